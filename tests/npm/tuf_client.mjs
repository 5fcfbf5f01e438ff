// A TUF client on the command line: tuf-js as published, with a fetcher that shows a device certificate.
// usage: node tuf_client.mjs OPTIONS.json
// Options: metadata_dir (holds root.json), target_dir, metadata_url, target_url, cert, key, ca (PEM files), targets (list of target paths).
// Prints one JSON object: the versions it verified and, for each target, the file it stored.
import fs from 'node:fs';
import https from 'node:https';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { BaseFetcher, Updater } = require('tuf-js');
const { DownloadHTTPError } = require('tuf-js/dist/error.js');

const options = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));

class DeviceFetcher extends BaseFetcher {
  constructor() {
    super();
    this.agent = new https.Agent({
      keepAlive: true,
      cert: fs.readFileSync(options.cert),
      key: fs.readFileSync(options.key),
      ca: fs.readFileSync(options.ca),
    });
  }

  fetch(url) {
    return new Promise((resolve, reject) => {
      https
        .get(url, { agent: this.agent }, (reply) => {
          if (reply.statusCode !== 200) {
            reply.resume();
            reject(new DownloadHTTPError(`${url}: ${reply.statusCode}`, reply.statusCode));
            return;
          }
          resolve(reply);
        })
        .on('error', reject);
    });
  }
}

const fetcher = new DeviceFetcher();
const updater = new Updater({
  metadataDir: options.metadata_dir,
  metadataBaseUrl: options.metadata_url,
  targetDir: options.target_dir,
  targetBaseUrl: options.target_url,
  fetcher,
});

try {
  await updater.refresh();
  const result = { targets: {}, versions: {} };
  for (const path of options.targets) {
    const info = await updater.getTargetInfo(path);
    if (!info) {
      result.targets[path] = null;
      continue;
    }
    result.targets[path] = { file: await updater.downloadTarget(info), length: info.length, hashes: info.hashes, custom: info.custom };
  }
  for (const role of ['root', 'timestamp', 'snapshot', 'targets']) {
    result.versions[role] = JSON.parse(fs.readFileSync(`${options.metadata_dir}/${role}.json`, 'utf8')).signed.version;
  }
  console.log(JSON.stringify(result));
} catch (error) {
  console.error(`${error.name}: ${error.constructor.name}: ${error.message}`);
  process.exitCode = 1;
} finally {
  fetcher.agent.destroy();
}
