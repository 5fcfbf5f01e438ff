"""A TUF repository in memory, served over HTTP on loopback, that can lie at every step: any role's content, signatures, versions and bytes can be
changed before or after they are published, and any reply can be replaced.

    repo = Repositories().new("name")      # root, timestamp, snapshot, targets at version 1
    repo.targets["expires"] = stamp(days=-1)
    repo.publish("targets", "snapshot", "timestamp")
    repo.published["snapshot"][-1] += b" " # what is served as the newest snapshot
    repo.replies["metadata/timestamp.json"] = Reply(b"...", status=500)
"""

import copy
import dataclasses
import datetime
import functools
import hashlib
import http.server
import json
import threading
import urllib.parse

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from lib.tuf import signed_bytes as canonical

TOP_LEVEL = ("root", "timestamp", "snapshot", "targets")


def stamp(moment=None, **delta):
    """A time as TUF writes it: now, or that moment, plus timedelta(**delta)."""
    moment = moment or datetime.datetime.now(datetime.timezone.utc)
    return (moment + datetime.timedelta(**delta)).strftime("%Y-%m-%dT%H:%M:%SZ")


def file_bytes(document):
    """The layout that common repository tools write."""
    return json.dumps(document, indent=1, separators=(",", ": "), ensure_ascii=False, sort_keys=True).encode()


@functools.lru_cache(maxsize=None)
def private_key(keytype, number):
    """Keys are made once and shared by all repositories."""
    del number
    if keytype == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=3072)
    return ec.generate_private_key(ec.SECP256R1()) if keytype == "ecdsa" else ed25519.Ed25519PrivateKey.generate()


class Signer:
    def __init__(self, keytype, scheme, private):
        self.private = private
        self.kind = keytype  # what it is, whatever self.public is made to say
        if keytype == "ed25519":
            public = private.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
        else:
            public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        self.public = {"keytype": keytype, "scheme": scheme, "keyval": {"public": public}}

    @property
    def keyid(self):
        return hashlib.sha256(canonical(self.public)).hexdigest()

    def sign(self, data):
        if self.kind == "ed25519":
            return self.private.sign(data).hex()
        if self.kind == "ecdsa":
            return self.private.sign(data, ec.ECDSA(hashes.SHA256())).hex()
        return self.private.sign(data, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH), hashes.SHA256()).hex()


@dataclasses.dataclass
class Reply:
    """What goes over the wire instead: `endless` repeats the body until the client hangs up, `length` lies in Content-Length."""

    body: bytes = b""
    status: int = 200
    length: int | None = None
    endless: bool = False
    headers: tuple = ()


class NotThere(Exception):
    pass


class Repository:
    def __init__(self, name, base_url, consistent=True):
        self.name = name
        self.metadata_url = f"{base_url}/{urllib.parse.quote(name, '')}/metadata/"
        self.targets_url = f"{base_url}/{urllib.parse.quote(name, '')}/targets/"
        self.signed = {}  # role: what the next publish() signs
        self.signers = {}  # role: {keyid: Signer}
        self.published = {}  # role: [bytes of version 1, ...]
        self.artifacts = {}  # path: bytes
        self.replies = {}  # path: Reply
        self.metadata_requests = []  # [(role as in the URL, version or None)]
        self.artifact_requests = []  # [(path, hash or None)]
        self.announce_hashes = False
        self.made = {}
        self.safe = stamp(days=30)
        for role in TOP_LEVEL:
            self.signed[role] = self.head(role)
        self.root.update(consistent_snapshot=consistent, keys={}, roles={role: {"keyids": [], "threshold": 1} for role in TOP_LEVEL})
        for role in TOP_LEVEL:
            self.add_key(role)
        self.publish("targets", "snapshot", "timestamp", "root")

    def head(self, role):
        kind = role if role in TOP_LEVEL else "targets"
        own = {"root": {}, "timestamp": {"meta": {}}, "snapshot": {"meta": {}}, "targets": {"targets": {}}}[kind]
        return {"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": self.safe, **own}

    root = property(lambda self: self.signed["root"])
    timestamp = property(lambda self: self.signed["timestamp"])
    snapshot = property(lambda self: self.signed["snapshot"])
    targets = property(lambda self: self.signed["targets"])

    def version(self, role):
        return self.signed[role]["version"]

    def newest(self, role):
        return self.published[role][-1]

    def new_signer(self, keytype="ecdsa", scheme="ecdsa-sha2-nistp256"):
        number = self.made[keytype] = self.made.get(keytype, 0) + 1
        return Signer(keytype, scheme, private_key(keytype, number))

    def role_entry(self, role, delegator):
        if role in TOP_LEVEL:
            return self.root["keys"], self.root["roles"][role]
        delegations = self.signed[delegator]["delegations"]
        return delegations["keys"], next(entry for entry in delegations["roles"] if entry["name"] == role)

    def add_key(self, role, delegator=None, signer=None, sign=True):
        """Lists a key for the role; it signs from the next publish() on."""
        signer = signer or self.new_signer()
        keys, entry = self.role_entry(role, delegator)
        keys[signer.keyid] = copy.deepcopy(signer.public)
        if signer.keyid not in entry["keyids"]:
            entry["keyids"].append(signer.keyid)
        if sign:
            self.add_signer(role, signer)
        return signer

    def add_signer(self, role, signer):
        self.signers.setdefault(role, {})[signer.keyid] = signer

    def clear_keys(self, role):
        self.root["roles"][role]["keyids"].clear()
        self.signers[role].clear()

    def rotate_keys(self, role):
        self.clear_keys(role)
        for _ in range(self.root["roles"][role]["threshold"]):
            self.add_key(role)

    def publish(self, *roles):
        """Signs these roles in this order; a role that is out already gets the next version. Snapshot and timestamp are told of it, not published."""
        for role in roles:
            signed = self.signed[role]
            if role in self.published:
                signed["version"] += 1
            data = canonical(signed)
            signatures = [{"keyid": signer.keyid, "sig": signer.sign(data)} for signer in self.signers[role].values()]
            document = file_bytes({"signatures": signatures, "signed": signed})
            self.published.setdefault(role, []).append(document)
            entry = {"version": signed["version"]}
            if self.announce_hashes:
                entry.update(length=len(document), hashes={"sha256": hashlib.sha256(document).hexdigest()})
            if role == "snapshot":
                self.timestamp["meta"]["snapshot.json"] = entry
            elif role not in ("root", "timestamp"):
                self.snapshot["meta"][f"{role}.json"] = entry

    def change(self, role, change):
        """Alters the newest published file of the role: change(document) in place."""
        document = json.loads(self.published[role].pop())
        change(document)
        self.published[role].append(json.dumps(document).encode())

    def add_artifact(self, role, data, path, algorithms=("sha256",)):
        digests = {name: hashlib.new(name, data).hexdigest() for name in algorithms}
        self.signed[role]["targets"][path] = {"length": len(data), "hashes": digests}
        self.artifacts[path] = data

    def delegate(self, delegator, role, paths=("*",), threshold=1, terminating=False, prefixes=None, expires=None):
        delegations = self.signed[delegator].setdefault("delegations", {"keys": {}, "roles": []})
        covers = {"path_hash_prefixes": list(prefixes)} if prefixes is not None else {"paths": list(paths)}
        delegations["roles"].append({"name": role, "keyids": [], "threshold": threshold, "terminating": terminating, **covers})
        if role not in self.signed:
            self.signed[role] = self.head(role)
        if expires is not None:
            self.signed[role]["expires"] = expires
        return self.add_key(role, delegator)

    def reply(self, path):
        if path in self.replies:
            self.count(path)
            return self.replies[path]
        return Reply(self.fetch(path))

    def count(self, path):
        """Notes the request; returns what is asked for: (kind, name, version or hash)."""
        kind, _, rest = path.partition("/")
        if kind == "metadata" and rest.endswith(".json"):
            name, version = rest[: -len(".json")], None
            number, _, role = name.partition(".")
            if role == "root" or (self.root["consistent_snapshot"] and name != "timestamp"):
                name, version = role, int(number)
            self.metadata_requests.append((name, version))
            return kind, name, version
        if kind == "targets":
            folder, slash, name = rest.rpartition("/")
            prefix = None
            if self.root["consistent_snapshot"]:
                prefix, _, name = name.partition(".")
            self.artifact_requests.append((f"{folder}{slash}{name}", prefix))
            return kind, f"{folder}{slash}{name}", prefix
        raise NotThere(path)

    def fetch(self, path):
        kind, name, detail = self.count(path)
        if kind == "targets":
            if urllib.parse.unquote(name) not in self.artifacts:
                raise NotThere(path)
            return self.artifacts[urllib.parse.unquote(name)]
        versions = self.published.get(urllib.parse.unquote(name), [])
        if not versions or (detail is not None and not 1 <= detail <= len(versions)):
            raise NotThere(path)
        return versions[-1 if detail is None else detail - 1]

    def save(self, folder):
        """As files that a plain web server serves."""
        (folder / "metadata").mkdir(parents=True)
        for role, versions in self.published.items():
            for number, document in enumerate(versions, 1):
                name = "timestamp.json" if role == "timestamp" else f"{number}.{urllib.parse.quote(role, '')}.json"
                (folder / "metadata" / name).write_bytes(document)
        for role in self.signed:
            for path, entry in self.signed[role].get("targets", {}).items():
                for digest in entry["hashes"].values():
                    parent, slash, name = path.rpartition("/")
                    place = folder / "targets" / f"{parent}{slash}{digest}.{name}"
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(self.artifacts[path])


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):  # pylint: disable=invalid-name
        name, _, path = self.path.lstrip("/").partition("/")
        try:
            reply = self.server.repositories[urllib.parse.unquote(name)].reply(path)
        except (KeyError, NotThere, ValueError):
            self.send_error(404)
            return
        self.send_response(reply.status)
        if not reply.endless:
            self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        for header in reply.headers:
            self.send_header(*header)
        self.end_headers()
        try:
            self.wfile.write(reply.body)
            while reply.endless:
                self.wfile.write(reply.body)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def log_message(self, *_arguments):  # pylint: disable=arguments-differ
        pass


class Repositories:
    """The web server of any number of repositories."""

    def __init__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.repositories = {}
        self.base_url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def new(self, name, **options):
        made = self.server.repositories[name] = Repository(name, self.base_url, **options)
        return made

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
