// Writes each vector of the age format's public test suite (npm: cctv-age) to a file of its name in the folder given.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as module from "cctv-age";

const folder = process.argv[2];
for (const [name, bytes] of Object.entries(module.default ?? module))
    writeFileSync(join(folder, name), bytes);
