"""A second, independent writer of TUF metadata: the tests forge with it what `pawl` would never sign."""

import base64
import copy
import datetime
import hashlib
import json
import pathlib

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def signed_bytes(value):
    """OLPC canonical JSON: what signatures cover."""
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if value is None:
        return b"null"
    if isinstance(value, int):
        return str(value).encode()
    if isinstance(value, str):
        return b'"' + value.replace("\\", "\\\\").replace('"', '\\"').encode() + b'"'
    if isinstance(value, list):
        return b"[" + b",".join(signed_bytes(item) for item in value) + b"]"
    return b"{" + b",".join(signed_bytes(name) + b":" + signed_bytes(value[name]) for name in sorted(value)) + b"}"


def file_bytes(value):
    """The one form that files have."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def key_object(private):
    public = private.public_key()
    if isinstance(private, ec.EllipticCurvePrivateKey):
        pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        return {"keytype": "ecdsa", "scheme": "ecdsa-sha2-nistp256", "keyval": {"public": pem}}
    raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw).hex()
    return {"keytype": "ed25519", "scheme": "ed25519", "keyval": {"public": raw}}


def key_id(private):
    return hashlib.sha256(signed_bytes(key_object(private))).hexdigest()


def sign_bytes(private, data):
    if isinstance(private, ec.EllipticCurvePrivateKey):
        return private.sign(data, ec.ECDSA(hashes.SHA256()))
    return private.sign(data)


def envelope(signed, *keys):
    data = signed_bytes(signed)
    return {"signatures": [{"keyid": key_id(key), "sig": sign_bytes(key, data).hex()} for key in keys], "signed": signed}


def load_key(path, passphrase):
    return serialization.load_pem_private_key(pathlib.Path(path).read_bytes(), passphrase.encode())


def after(**delta):
    return (datetime.datetime.utcnow().replace(microsecond=0) + datetime.timedelta(**delta)).isoformat() + "Z"


class Repository:
    """What a server serves under /tuf/, fetched by a device, and the offline keys to make the next step of it."""

    def __init__(self, device, keys_dir, passphrase):
        keys_dir = pathlib.Path(keys_dir)
        self.device = device
        self.targets_key = load_key(keys_dir / "targets-1.pem", passphrase)
        self.snapshot_key = load_key(keys_dir / "snapshot-1.pem", passphrase)
        self.refresh()

    def _get(self, name):
        reply = self.device.get("/tuf/" + name)
        assert reply.status == 200, f"/tuf/{name}: {reply}"
        return json.loads(reply.body)

    def refresh(self):
        self.timestamp = self._get("timestamp.json")
        version = self.timestamp["signed"]["meta"]["snapshot.json"]["version"]
        self.snapshot = self._get(f"{version}.snapshot.json")
        version = self.snapshot["signed"]["meta"]["targets.json"]["version"]
        self.targets = self._get(f"{version}.targets.json")

    def next(self):
        return Draft(self)


class Draft:
    """The next targets and snapshot: `targets` and `snapshot` are the signed parts, free to be spoilt before files() signs them."""

    def __init__(self, repository):
        self.repository = repository
        self.targets = copy.deepcopy(repository.targets["signed"])
        self.targets["version"] += 1
        self.targets["expires"] = after(days=180)
        self.snapshot = copy.deepcopy(repository.snapshot["signed"])
        self.snapshot["version"] += 1
        self.snapshot["expires"] = after(days=180)
        self.targets_keys = [repository.targets_key]
        self.snapshot_keys = [repository.snapshot_key]

    def add(self, image, product, version, name="image.bin", **fields):
        """A new entry like the newest one of the product, its counters one higher."""
        models = [e["custom"]["pawl"] for e in self.targets["targets"].values() if e["custom"]["pawl"]["product"] == product]
        pawl = copy.deepcopy(max(models, key=lambda entry: entry["sequence"]))
        pawl.update(version=version, sequence=pawl["sequence"] + 1, created=after())
        pawl.update(fields)
        path = f"{product}/{version}/{name}"
        digest = hashlib.sha256(image).hexdigest()
        self.targets["targets"][path] = {"length": len(image), "hashes": {"sha256": digest}, "custom": {"pawl": pawl}}
        return path

    def files(self, targets_bytes=None, relist=True):
        """{name: bytes}, snapshot listing the targets as signed."""
        targets = targets_bytes if targets_bytes is not None else file_bytes(envelope(self.targets, *self.targets_keys))
        if relist:
            listed = self.snapshot["meta"]["targets.json"]
            listed["version"] = self.targets["version"] if isinstance(self.targets.get("version"), int) else listed["version"] + 1
            if "length" in listed:
                listed["length"] = len(targets)
            if "hashes" in listed:
                listed["hashes"] = {"sha256": hashlib.sha256(targets).hexdigest()}
        return {"targets": targets, "snapshot": file_bytes(envelope(self.snapshot, *self.snapshot_keys))}

    def image_signature(self, image):
        return sign_bytes(self.repository.targets_key, image)


def b64(data):
    return base64.b64encode(data).decode()
