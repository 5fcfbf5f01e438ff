"""A server that is in an attacker's hands: real TLS with the real server certificate, every online secret, and whatever replies a test wants.

    world = EvilServer(pki, release_keys)          # the release team has published RELEASES with the offline keys; the server is honest so far
    world.offer("gateway/3.0.0/image.bin")         # what directives say
    world.files["timestamp.json"] = Reply(status=404)
    world.images["gateway/3.0.0/image.bin"] = b"malware"

Only `team` holds offline keys. `online` is what the attacker has.
"""

import copy
import dataclasses
import datetime
import hashlib
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from .server import ONLINE_PASSPHRASE, PASSPHRASE
from .tuf import after, envelope, file_bytes, load_key

HARDWARE = "qemu-arm"
PRODUCT = "gateway"
NEW = f"{PRODUCT}/3.0.0/image.bin"


def image(name, size=20_000):
    """Bytes that nobody mistakes for another release's."""
    block = hashlib.sha256(name.encode()).digest()
    return (block * (size // len(block) + 1))[:size]


@dataclasses.dataclass
class Reply:
    body: bytes = b""
    status: int = 200
    headers: tuple = ()
    length: int | None = None  # what Content-Length says; -1: nothing is said, the body ends with the connection
    endless: bool = False
    rate: int | None = None  # bytes a second
    cut: int | None = None  # bytes of the body before the connection ends


NOT_FOUND = Reply(b'{"detail":"not here","status":404,"title":"t","type":"urn:pawl:problem:not-found"}', 404,
                  headers=(("Content-Type", "application/problem+json"),))


class Keys:
    """Opened once a session: the passphrases are slow by design."""

    def __init__(self, release_keys):
        folder = release_keys.folder
        self.root = [load_key(folder / f"root-{number}.pem", PASSPHRASE) for number in (1, 2, 3)]
        self.targets = load_key(folder / "targets-1.pem", PASSPHRASE)
        self.snapshot = load_key(folder / "snapshot-1.pem", PASSPHRASE)
        self.timestamp = load_key(folder / "online" / "timestamp.pem", ONLINE_PASSPHRASE)
        self.directive = load_key(folder / "online" / "directive.pem", ONLINE_PASSPHRASE)
        self.root_file = (folder / "1.root.json").read_bytes()


def listed(version, data):
    return {"version": version, "length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}


def release(data, product, version, sequence, security_version=0, hardware=(HARDWARE,), length=None, **fields):
    """An entry of targets metadata. `length` and `sha256` in place of data's own."""
    pawl = {"product": product, "version": version, "sequence": sequence, "security_version": security_version, "hardware": list(hardware),
            "encryption": "none", "created": after(days=-1), **fields}
    digest = pawl.pop("sha256", None) or hashlib.sha256(data).hexdigest()
    return {"length": len(data) if length is None else length, "hashes": {"sha256": digest}, "custom": {"pawl": pawl}}


class Team:
    """The people with the offline keys. What they publish is honest unless a test makes them sign something else."""

    def __init__(self, keys):
        self.keys = keys
        self.root = json.loads(keys.root_file)["signed"]
        self.targets = {"_type": "targets", "spec_version": "1.0.31", "version": 0, "expires": after(days=180), "targets": {}}
        self.snapshot = {"_type": "snapshot", "spec_version": "1.0.31", "version": 0, "expires": after(days=180), "meta": {}}
        self.targets_keys, self.snapshot_keys = [keys.targets], [keys.snapshot]
        self.images = {}

    def add(self, version, sequence, security_version=0, product=PRODUCT, data=None, **fields):
        data = image(f"{product} {version}") if data is None else data
        path = f"{product}/{version}/image.bin"
        self.targets["targets"][path] = release(data, product, version, sequence, security_version, **fields)
        self.images[path] = data
        return path

    def publish(self):
        """{name: bytes}: the next targets and snapshot."""
        self.targets["version"] += 1
        targets = file_bytes(envelope(self.targets, *self.targets_keys))
        return {f"{self.targets['version']}.targets.json": targets, **self.publish_snapshot(targets)}

    def publish_snapshot(self, targets):
        self.snapshot["version"] += 1
        self.snapshot["meta"]["targets.json"] = listed(self.targets["version"], targets)
        return {f"{self.snapshot['version']}.snapshot.json": file_bytes(envelope(self.snapshot, *self.snapshot_keys))}

    def next_root(self, *signers, change=None):
        """(name, bytes) of the next root; by default two of the three root keys sign."""
        self.root = copy.deepcopy(self.root)
        self.root["version"] += 1
        if change:
            change(self.root)
        return f"{self.root['version']}.root.json", file_bytes(envelope(self.root, *(signers or self.keys.root[:2])))


class EvilServer:
    def __init__(self, pki, release_keys, keys):
        self.pki, self.keys = pki, release_keys.folder  # as the device's harness wants it
        self.team, self.online = Team(keys), {"timestamp": keys.timestamp, "directive": keys.directive}
        self.files, self.images, self.history = {}, self.team.images, []
        self.others = {}  # path: what is no metadata and no image
        self.reports, self.requests, self.directives, self.taken = [], [], [], []
        self.on_report = self.on_check = None
        self.offered, self.deployment = None, 0
        self.stamped = int(time.time()) - 1000
        self.team.add("1.0.0", 1)
        self.take(self.team.publish())
        self.team.add("2.0.0", 2, 1)
        self.take(self.team.publish())
        self._serve()

    def fork(self):
        """A server of its own with the same past."""
        other = copy.copy(self)
        other.team = copy.copy(self.team)
        for name in ("root", "targets", "snapshot", "images"):
            setattr(other.team, name, copy.deepcopy(getattr(self.team, name)))
        other.team.targets_keys, other.team.snapshot_keys = list(self.team.targets_keys), list(self.team.snapshot_keys)
        other.others = dict(self.others)
        other.online, other.files, other.images = dict(self.online), dict(self.files), other.team.images
        other.history = [dict(files) for files in self.history]
        other.reports, other.requests, other.directives, other.taken = [], [], [], []
        other._serve()
        return other

    # ---- what it serves

    def take(self, files):
        """As pawld does after a publish: stores, and writes a new timestamp."""
        self.files.update(files)
        self.history.append(dict(self.files))
        self.stamp()

    def stamp(self, snapshot=None, **fields):
        """A new timestamp for the newest (or this) snapshot: {"version", "length", "hashes"}."""
        self.stamped += 1
        name = f"{self.team.snapshot['version']}.snapshot.json"
        meta = {"snapshot.json": snapshot or listed(self.team.snapshot["version"], self.files[name])}
        signed = {"_type": "timestamp", "spec_version": "1.0.31", "version": self.stamped, "expires": after(hours=24), "meta": meta, **fields}
        self.stamped = signed["version"] if isinstance(signed["version"], int) else self.stamped
        self.files["timestamp.json"] = file_bytes(envelope(signed, self.online["timestamp"]))

    def serve_metadata(self, targets, snapshot, number):
        """Forged files under the number, announced by a timestamp that the attacker signs."""
        self.files[f"{number}.targets.json"] = targets
        self.files[f"{number}.snapshot.json"] = snapshot
        self.stamp(listed(number, snapshot))

    def offer(self, path, **lies):
        """What directives say from now on: install this release, as a deployment of its own."""
        self.deployment += 1
        self.offered = (path, str(self.deployment), lies)

    def publish_new(self, **fields):
        """The team publishes 3.0.0 and the server offers it."""
        self.team.add("3.0.0", 3, 1, **fields)
        self.take(self.team.publish())
        self.offer(NEW)

    def forge(self, *keys, change=None, data=b"malware"):
        """Targets and snapshot with malware as 3.0.0, signed with these keys and announced by a timestamp that is good."""
        number = self.team.snapshot["version"] + 1
        targets, snapshot = copy.deepcopy(self.team.targets), copy.deepcopy(self.team.snapshot)
        targets["version"] = snapshot["version"] = number
        targets["targets"][NEW] = self.team.targets["targets"][NEW] = release(data, PRODUCT, "3.0.0", 3, 1)
        if change:
            change(targets)
        self.images[NEW] = data
        targets_file = file_bytes(envelope(targets, *keys))
        snapshot["meta"]["targets.json"] = listed(number, targets_file)
        self.serve_metadata(targets_file, file_bytes(envelope(snapshot, *keys)), number)
        self.offer(NEW)

    def statement(self, ask, **changes):
        """The signed part of a directive for this question, as an honest server would say it, but for the changes (None takes a field out)."""
        now = datetime.datetime.utcnow().replace(microsecond=0)
        signed = {"_type": "directive", "action": "none", "device": ask["device"], "spki_sha256": ask["spki_sha256"], "nonce": ask.get("nonce"),
                  "issued": now.isoformat() + "Z", "expires": (now + datetime.timedelta(hours=1)).isoformat() + "Z",
                  "timestamp_version": self.stamped}
        if self.offered:
            path, deployment, lies = self.offered
            entry = self.team.targets["targets"].get(path) or release(b"?", PRODUCT, "9.9.9", 99)
            said = {"path": path, "length": entry["length"], "sha256": entry["hashes"]["sha256"]}
            said.update({name: entry["custom"]["pawl"][name] for name in ("version", "sequence", "security_version")})
            signed.update(action="install", deployment=deployment, release={**said, **lies})
        signed.update(changes)
        return {name: value for name, value in signed.items() if value is not None}

    def directive(self, ask, *keys, **changes):
        return file_bytes(envelope(self.statement(ask, **changes), *(keys or (self.online["directive"],))))

    # ---- the wire

    def _serve(self):
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(self.pki.server.cert, self.pki.server.key)
        self.tls.load_verify_locations(self.pki.device_ca)
        self.tls.verify_mode = ssl.CERT_REQUIRED
        self.server = Listener(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.world = self
        self.device_port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, path, ask):
        self.requests.append(path)
        if path == "/check":
            made = self.on_check(ask) if self.on_check else self.directive(ask)
            self.directives.append(made)
            return made
        for prefix, things in (("/tuf/", self.files), ("/api/v1/metadata/", self.files), ("/firmware/", self.images)):
            if path.startswith(prefix):
                return things.get(path[len(prefix):], NOT_FOUND)
        return self.others.get(path, NOT_FOUND)

    def report(self, body):
        report = json.loads(body)
        self.reports.append(report)
        if self.on_report:
            self.on_report(report)

    def reported(self):
        """The codes of the refusals that were reported."""
        return [report["error"]["code"] for report in self.reports if report.get("error")]


class Listener(http.server.ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        """A handshake that the device gave up is what many tests want."""


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self):
        self.request.settimeout(20)
        self.request = self.server.world.tls.wrap_socket(self.request, server_side=True)
        super().setup()

    def handle(self):
        try:
            super().handle()
        except OSError:  # the client has hung up, which is its right
            pass

    def finish(self):
        super().finish()
        self.request.close()

    def ask(self, query):
        if self.connection.getpeercert(True) is None:  # an operator's command line
            return {}
        certificate = x509.load_der_x509_certificate(self.connection.getpeercert(True))
        spki = certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        device = names.get_values_for_type(x509.UniformResourceIdentifier)[0].rsplit(":", 1)[1]
        return {**dict(urllib.parse.parse_qsl(query)), "device": device, "spki_sha256": hashlib.sha256(spki).hexdigest()}

    def do_GET(self):  # pylint: disable=invalid-name
        path, _, query = self.path.partition("?")
        made = self.server.world.answer(path, self.ask(query))
        self.send(made if isinstance(made, Reply) else Reply(made))

    def do_POST(self):  # pylint: disable=invalid-name
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path == "/report":
            self.server.world.report(body)
            self.send(Reply(b"{}"))
        else:
            self.take(body)

    def do_PUT(self):  # pylint: disable=invalid-name
        self.take(self.rfile.read(int(self.headers["Content-Length"])))

    def take(self, body):
        self.server.world.taken.append((self.command, self.path, body))
        self.send(Reply(b"{}", 201, headers=[("Content-Type", "application/json")]))

    def send(self, reply):
        self.send_response(reply.status)
        if reply.length != -1:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        if reply.length is not None or reply.endless:
            self.send_header("Connection", "close")
        for header in reply.headers:
            self.send_header(*header)
        self.end_headers()
        if reply.cut is not None:
            self.wfile.write(reply.body[:reply.cut])
            self.close_connection = True
        elif reply.rate:
            for at in range(0, len(reply.body), max(1, reply.rate // 10)):
                self.wfile.write(reply.body[at:at + max(1, reply.rate // 10)])
                time.sleep(0.1)
        else:
            self.wfile.write(reply.body)
        while reply.endless:
            self.wfile.write(reply.body)

    def log_message(self, *_arguments):  # pylint: disable=arguments-differ
        pass
