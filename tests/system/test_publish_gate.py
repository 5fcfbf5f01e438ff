"""The publish gate refuses what a device would refuse, names the fault, and keeps nothing of it (trust.md §2)."""

import copy
import hashlib
import json
import os
import socket
import sqlite3
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from lib import firmware, tuf
from lib.wait import wait_for
from lib.wire import Closed, head_bytes

HARDWARE = "qemu-arm"


@pytest.fixture(scope="module")
def gate(servers):
    """One server with one published release of "gate-product", and a device that fetches its metadata."""
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gate-product", "1.0.0", (HARDWARE,))
    return server


@pytest.fixture(scope="module")
def api(gate):
    return gate.operator()


@pytest.fixture(scope="module")
def repository(gate):
    return tuf.Repository(gate.device("gate-reader"), gate.keys, passphrase_of(gate))


def passphrase_of(server):
    return server.passphrase_file.read_text(encoding="utf-8").rstrip("\n")


IMAGE = firmware.ATH_7010.read_bytes()
SHA256 = hashlib.sha256(IMAGE).hexdigest()


class State:
    """All that a refused publication must not change."""

    def __init__(self, gate, api):
        self.files = gate.image_files()
        self.rows = [gate.query(f"SELECT count(*) FROM {table}") for table in ("release", "product", "deployment")]
        self.roles = api.ok("GET", "/api/v1/metadata")["roles"]
        self.metadata = [role for role in self.roles if role["role"] != "timestamp"]

    def __eq__(self, other):
        return (self.files, self.rows, self.metadata) == (other.files, other.rows, other.metadata)


@pytest.fixture(scope="module")
def uploaded(api):
    reply = api.upload(IMAGE)
    assert reply.status in (200, 201)
    return SHA256


def draft_with_release(repository, **fields):
    repository.refresh()
    draft = repository.next()
    path = draft.add(IMAGE, "gate-product", fields.pop("version", "1.1.0"), **fields)
    return draft, draft.targets["targets"][path], path


def entry_change(change):
    def spoil(repository):
        draft, entry, _ = draft_with_release(repository)
        change(entry, entry["custom"]["pawl"])
        return draft.files()

    return spoil


def draft_change(change):
    def spoil(repository):
        draft, _, _ = draft_with_release(repository)
        change(draft)
        return draft.files()

    return spoil


def targets_bytes_change(change):
    """Another form of the same targets file, listed by the snapshot as it is."""

    def spoil(repository):
        draft, _, _ = draft_with_release(repository)
        return draft.files(targets_bytes=change(tuf.envelope(draft.targets, *draft.targets_keys)))

    return spoil


def snapshot_bytes_change(change):
    def spoil(repository):
        draft, _, _ = draft_with_release(repository)
        files = draft.files()
        return {**files, "snapshot": change(tuf.envelope(draft.snapshot, *draft.snapshot_keys))}

    return spoil


def path_change(product, version, name):
    def spoil(repository):
        draft, entry, path = draft_with_release(repository)
        del draft.targets["targets"][path]
        draft.targets["targets"][f"{product}/{version}/{name}"] = entry
        entry["custom"]["pawl"]["version"] = version
        return draft.files()

    return spoil


def flip(value, *path):
    """One hex digit of a signature."""
    for step in path[:-1]:
        value = value[step]
    text = value[path[-1]]
    value[path[-1]] = text[:20] + ("0" if text[20] != "0" else "1") + text[21:]


def changed(envelope, change):
    envelope = copy.deepcopy(envelope)
    change(envelope)
    return tuf.file_bytes(envelope)


STRANGER = ec.generate_private_key(ec.SECP256R1())
STRANGER_ED = ed25519.Ed25519PrivateKey.generate()

# Each spoils one thing in an otherwise good publication: how, and the problem types that may name it.
SPOILT = {
    # signatures
    "targets signed by a stranger": (draft_change(lambda d: setattr(d, "targets_keys", [STRANGER])), {"signature"}),
    "targets signed by a stranger's Ed25519 key": (draft_change(lambda d: setattr(d, "targets_keys", [STRANGER_ED])), {"signature"}),
    "targets signed by the snapshot key": (draft_change(lambda d: setattr(d, "targets_keys", [d.repository.snapshot_key])), {"signature"}),
    "snapshot signed by the targets key": (draft_change(lambda d: setattr(d, "snapshot_keys", [d.repository.targets_key])), {"signature"}),
    "targets without signatures": (draft_change(lambda d: setattr(d, "targets_keys", [])), {"signature", "threshold", "format"}),
    "snapshot without signatures": (draft_change(lambda d: setattr(d, "snapshot_keys", [])), {"signature", "threshold", "format"}),
    "one bit of the targets signature": (targets_bytes_change(lambda e: changed(e, lambda v: flip(v, "signatures", 0, "sig"))), {"signature"}),
    "one bit of the snapshot signature": (snapshot_bytes_change(lambda e: changed(e, lambda v: flip(v, "signatures", 0, "sig"))), {"signature"}),
    "an empty targets signature": (targets_bytes_change(lambda e: changed(e, lambda v: v["signatures"][0].update(sig=""))), {"signature", "format"}),
    "upper-case signature": (targets_bytes_change(lambda e: changed(e, lambda v: v["signatures"][0].update(sig=v["signatures"][0]["sig"].upper()))), {"format", "signature"}),
    "odd signature": (targets_bytes_change(lambda e: changed(e, lambda v: v["signatures"][0].update(sig=v["signatures"][0]["sig"] + "0"))), {"format", "signature"}),
    "altered after signing": (targets_bytes_change(lambda e: changed(e, lambda v: next(iter(v["signed"]["targets"].values()))["custom"]["pawl"].update(security_version=9))),
                              {"signature"}),
    # versions
    "targets version as before": (draft_change(lambda d: d.targets.update(version=d.targets["version"] - 1)), {"rollback"}),
    "targets version 0": (draft_change(lambda d: d.targets.update(version=0)), {"rollback", "format"}),
    "targets version -1": (draft_change(lambda d: d.targets.update(version=-1)), {"rollback", "format"}),
    "targets version 1.0": (targets_bytes_change(lambda e: tuf.file_bytes(e).replace(b'"version":2}', b'"version":2.0}')), {"format"}),
    "targets version as text": (draft_change(lambda d: d.targets.update(version=str(d.targets["version"]))), {"format"}),
    "targets version 2^53": (draft_change(lambda d: d.targets.update(version=2**53)), {"format"}),
    "snapshot version as before": (draft_change(lambda d: d.snapshot.update(version=d.snapshot["version"] - 1)), {"rollback"}),
    # expiry
    "targets expired": (draft_change(lambda d: d.targets.update(expires=tuf.after(seconds=-1))), {"expired"}),
    "snapshot expired": (draft_change(lambda d: d.snapshot.update(expires=tuf.after(seconds=-1))), {"expired"}),
    "expiry that is no time": (draft_change(lambda d: d.targets.update(expires="tomorrow")), {"format"}),
    "expiry with an offset": (draft_change(lambda d: d.targets.update(expires=tuf.after(days=9).replace("Z", "+00:00"))), {"format"}),
    "no expiry": (draft_change(lambda d: d.targets.pop("expires")), {"format"}),
    # snapshot and targets belong together
    "snapshot lists another hash": (lambda r: mixed(r, "hash"), {"hash", "mix"}),
    "snapshot lists another length": (lambda r: mixed(r, "length"), {"length", "mix"}),
    "snapshot lists another version": (lambda r: mixed(r, "version"), {"mix", "rollback"}),
    "snapshot without targets": (lambda r: no_targets_listed(r), {"format", "mix", "rollback"}),
    # types and form
    "targets says it is a snapshot": (draft_change(lambda d: d.targets.update(_type="snapshot")), {"format"}),
    "another spec version": (draft_change(lambda d: d.targets.update(spec_version="2.0.0")), {"format"}),
    "not canonical": (targets_bytes_change(lambda e: tuf.file_bytes(e) + b"\n"), {"format"}),
    "with spaces": (targets_bytes_change(lambda e: tuf.file_bytes(e).replace(b",", b", ")), {"format"}),
    "member twice": (targets_bytes_change(lambda e: tuf.file_bytes(e).replace(b'"signed":{', b'"signed":{"_type":"targets",', 1)), {"format"}),
    "not JSON": (targets_bytes_change(lambda e: b"targets"), {"format"}),
    "empty file": (targets_bytes_change(lambda e: b""), {"format", "invalid", "length"}),
    "over 1 MiB": (targets_bytes_change(lambda e: tuf.file_bytes(e) + b" " * (1 << 20)), {"format", "length", "too-large", "invalid"}),
    # the entry
    "length one less": (entry_change(lambda e, p: e.update(length=e["length"] - 1)), {"length"}),
    "length one more": (entry_change(lambda e, p: e.update(length=e["length"] + 1)), {"length"}),
    "length 0": (entry_change(lambda e, p: e.update(length=0)), {"length", "target"}),
    "length negative": (entry_change(lambda e, p: e.update(length=-5)), {"length", "target", "format"}),
    "hash of another image": (entry_change(lambda e, p: e["hashes"].update(sha256="00" * 32)), {"hash", "target", "not-found"}),
    "hash in upper case": (entry_change(lambda e, p: e["hashes"].update(sha256=SHA256.upper())), {"target", "format"}),
    "hash too short": (entry_change(lambda e, p: e["hashes"].update(sha256=SHA256[:62])), {"target", "format"}),
    "no hash": (entry_change(lambda e, p: e["hashes"].clear()), {"target", "format"}),
    "md5 alone": (entry_change(lambda e, p: e.update(hashes={"md5": "00" * 16})), {"target", "format"}),
    "no custom": (entry_change(lambda e, p: e.pop("custom")), {"target"}),
    "no product": (entry_change(lambda e, p: p.pop("product")), {"target"}),
    "another product": (entry_change(lambda e, p: p.update(product="other")), {"target"}),
    "no hardware": (entry_change(lambda e, p: p.pop("hardware")), {"target"}),
    "empty hardware": (entry_change(lambda e, p: p.update(hardware=[])), {"target"}),
    "hardware as text": (entry_change(lambda e, p: p.update(hardware=HARDWARE)), {"target"}),
    "hardware id with a slash": (entry_change(lambda e, p: p.update(hardware=["a/b"])), {"target"}),
    "version unlike the path": (entry_change(lambda e, p: p.update(version="1.1.1")), {"target"}),
    "no sequence": (entry_change(lambda e, p: p.pop("sequence")), {"target"}),
    "sequence 0": (entry_change(lambda e, p: p.update(sequence=0)), {"target"}),
    "sequence negative": (entry_change(lambda e, p: p.update(sequence=-1)), {"target"}),
    "sequence as text": (entry_change(lambda e, p: p.update(sequence="2")), {"target"}),
    "sequence as before": (entry_change(lambda e, p: p.update(sequence=p["sequence"] - 1)), {"downgrade-refused", "conflict"}),
    "security version negative": (entry_change(lambda e, p: p.update(security_version=-1)), {"target"}),
    "stepping stone above itself": (entry_change(lambda e, p: p.update(requires_sequence=p["sequence"])), {"target"}),
    "unknown encryption": (entry_change(lambda e, p: p.update(encryption="rot13")), {"target"}),
    "unknown field": (entry_change(lambda e, p: p.update(colour="red")), {"target"}),
    "created that is no time": (entry_change(lambda e, p: p.update(created="now")), {"target"}),
    "notes too long": (entry_change(lambda e, p: p.update(notes="n" * 5000)), {"target"}),
    # the path
    "version v1": (path_change("gate-product", "v1.1.0", "image.bin"), {"target"}),
    "version 1.1": (path_change("gate-product", "1.1", "image.bin"), {"target"}),
    "version 01.1.0": (path_change("gate-product", "01.1.0", "image.bin"), {"target"}),
    "version latest": (path_change("gate-product", "latest", "image.bin"), {"target"}),
    "version 1.1.0-": (path_change("gate-product", "1.1.0-", "image.bin"), {"target"}),
    "version with 65 characters": (path_change("gate-product", "1.0.0-" + "x" * 59, "image.bin"), {"target"}),
    "file name that ends in .sig": (path_change("gate-product", "1.1.0", "image.sig"), {"target"}),
    "file name with a hash in front": (path_change("gate-product", "1.1.0", "ab" * 32 + ".image.bin"), {"target"}),
    "file name with a slash": (path_change("gate-product", "1.1.0", "a/b"), {"target"}),
    "file name ..": (path_change("gate-product", "1.1.0", ".."), {"target"}),
    "empty file name": (path_change("gate-product", "1.1.0", ""), {"target"}),
    # what is published stays
    "a published release gone": (draft_change(lambda d: d.targets["targets"].pop(published_path(d))), {"conflict"}),
    "a published release altered": (draft_change(lambda d: d.targets["targets"][published_path(d)]["custom"]["pawl"].update(notes="changed")), {"conflict"}),
    "a published path with other bytes": (draft_change(lambda d: d.targets["targets"][published_path(d)].update(length=len(IMAGE), hashes={"sha256": SHA256})), {"conflict"}),
}


def published_path(draft):
    return min(draft.targets["targets"], key=lambda path: draft.targets["targets"][path]["custom"]["pawl"]["sequence"])


def mixed(repository, what):
    draft, _, _ = draft_with_release(repository)
    draft.files()
    listed = draft.snapshot["meta"]["targets.json"]
    targets = tuf.file_bytes(tuf.envelope(draft.targets, *draft.targets_keys))
    listed.update(version=draft.targets["version"] + (what == "version"), length=len(targets) + (what == "length"),
                  hashes={"sha256": ("00" * 32) if what == "hash" else hashlib.sha256(targets).hexdigest()})
    return {"targets": targets, "snapshot": tuf.file_bytes(tuf.envelope(draft.snapshot, *draft.snapshot_keys))}


def no_targets_listed(repository):
    draft, _, _ = draft_with_release(repository)
    files = draft.files()
    draft.snapshot["meta"].clear()
    return {**files, "snapshot": tuf.file_bytes(tuf.envelope(draft.snapshot, *draft.snapshot_keys))}


@pytest.mark.parametrize("name", SPOILT)
def test_refused(gate, api, repository, uploaded, name):
    spoil, problems = SPOILT[name]
    before = State(gate, api)
    reply = api.publish_files(spoil(repository))
    assert 400 <= reply.status < 500, reply
    assert reply.problem in problems, reply
    assert len(reply.json["detail"]) > 10
    assert State(gate, api) == before
    assert gate.alive()


def test_the_same_unspoilt_is_taken(new_server):
    """The frame of the cases above is good: without a fault it is published, served and offered."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gate-product", "1.0.0", (HARDWARE,))
    device, api = server.device("gate-reader"), server.operator()
    repository = tuf.Repository(device, server.keys, passphrase_of(server))
    draft, _, path = draft_with_release(repository)
    assert api.upload(IMAGE).status == 201
    before = repository.timestamp["signed"]["version"]
    reply = api.publish_files(draft.files(), [(SHA256, draft.image_signature(IMAGE))])
    assert reply.status == 201 and [release["path"] for release in reply.json["releases"]] == [path]
    assert reply.json["timestamp_version"] > before
    directive = device.directive(product="gate-product", hardware=HARDWARE, version="1.0.0", sequence=1)
    assert directive["release"]["path"] == path
    assert device.get("/firmware/" + path).body == IMAGE
    assert device.get(f"/firmware/{path}.sig").status == 200
    # The same once more is no new publication.
    assert api.publish_files(draft.files()).status in (409, 422)


def test_image_that_was_not_uploaded(gate, api, repository):
    before = State(gate, api)
    repository.refresh()
    draft = repository.next()
    draft.add(b"never sent", "gate-product", "1.2.0")
    reply = api.publish_files(draft.files())
    assert reply.status in (404, 409, 422) and "image" in reply.json["detail"]
    assert State(gate, api) == before


@pytest.mark.parametrize("signature", [b"", b"\x30\x00", os.urandom(70), "stranger", "other image"], ids=["empty", "DER of nothing", "random", "stranger", "other image"])
def test_bad_image_signature(gate, api, repository, uploaded, signature):
    before = State(gate, api)
    draft, _, _ = draft_with_release(repository)
    if signature == "stranger":
        signature = tuf.sign_bytes(STRANGER, IMAGE)
    elif signature == "other image":
        signature = draft.image_signature(IMAGE + b"x")
    reply = api.publish_files(draft.files(), [(SHA256, signature)])
    assert 400 <= reply.status < 500 and reply.problem in ("signature", "invalid"), reply
    assert State(gate, api) == before


def test_signature_of_an_image_that_is_not_in_it(gate, api, repository, uploaded):
    draft, _, _ = draft_with_release(repository)
    reply = api.publish_files(draft.files(), [("00" * 32, draft.image_signature(IMAGE))])
    assert 400 <= reply.status < 500


def test_stolen_server_cannot_slip_an_entry_in(new_server):
    """`pawl` extends only what it has verified: metadata altered in the server's store is noticed before anything is signed."""
    server = new_server()
    server.publish(firmware.ATH_9271, "gate-product", "1.0.0", (HARDWARE,))
    server.stop()
    connection = sqlite3.connect(server.database_path)
    (data,) = connection.execute("SELECT data FROM metadata WHERE role = 'targets' AND current = 1").fetchone()
    forged = data.replace(b'"security_version":0', b'"security_version":1')
    assert forged != data
    connection.execute("UPDATE metadata SET data = ? WHERE role = 'targets' AND current = 1", (forged,))
    connection.commit()
    connection.close()
    try:
        server.start()
    except AssertionError as error:
        assert "does not verify" in str(error)
        return  # the server itself refuses to serve what does not verify
    done = server.publish(firmware.ATH_7010, "gate-product", "3.0.0", (HARDWARE,), check=False)
    assert done.returncode == 5, done.stdout + done.stderr


# ---- thresholds: a root of two of two targets keys, made here


class TwoOfTwo:
    """A server whose root asks for two signatures on targets, and a first publication for it."""

    def __init__(self, make_server):
        self.keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("root-a", "root-b", "targets-a", "targets-b", "snapshot")}
        self.server = make_server({"enrolment": {"auto_accept": "yes"}}, start=False, root=self.make_root)
        self.server.start()

    def make_root(self, online_keys, duplicate=False):
        keys, roles = {}, {}

        def role(name, threshold, *privates):
            for private in privates:
                keys[tuf.key_id(private)] = tuf.key_object(private)
            roles[name] = {"keyids": sorted(tuf.key_id(private) for private in privates), "threshold": threshold}

        role("root", 2, self.keys["root-a"], self.keys["root-b"])
        role("targets", 2, self.keys["targets-a"], self.keys["targets-b"])
        role("snapshot", 1, self.keys["snapshot"])
        role("timestamp", 1, online_keys["timestamp"])
        directive = online_keys["directive"]
        keys[tuf.key_id(directive)] = tuf.key_object(directive)
        signed = {"_type": "root", "spec_version": "1.0.31", "version": 1, "expires": tuf.after(days=365), "consistent_snapshot": True, "keys": keys, "roles": roles,
                  "x-pawl-directive": {"keyids": [tuf.key_id(directive)], "threshold": 1}}
        return tuf.file_bytes(tuf.envelope(signed, self.keys["root-a"], self.keys["root-b"]))

    def first(self, *signers, spoil=None):
        pawl = {"product": "pair", "hardware": [HARDWARE], "version": "1.0.0", "sequence": 1, "security_version": 0, "encryption": "none", "created": tuf.after(),
                "notes": ""}
        targets = {"_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": tuf.after(days=180),
                   "targets": {"pair/1.0.0/image.bin": {"length": len(IMAGE), "hashes": {"sha256": SHA256}, "custom": {"pawl": pawl}}}}
        document = tuf.envelope(targets, *[self.keys[name] for name in signers])
        if spoil:
            spoil(document)
        data = tuf.file_bytes(document)
        snapshot = {"_type": "snapshot", "spec_version": "1.0.31", "version": 1, "expires": tuf.after(days=180),
                    "meta": {"targets.json": {"version": 1, "length": len(data), "hashes": {"sha256": hashlib.sha256(data).hexdigest()}}}}
        return {"targets": data, "snapshot": tuf.file_bytes(tuf.envelope(snapshot, self.keys["snapshot"]))}


@pytest.fixture(scope="module")
def pair(servers):
    made = TwoOfTwo(servers)
    assert made.server.operator().upload(IMAGE).status == 201
    return made


def twice(document):
    document["signatures"].append(dict(document["signatures"][0]))


def under_another_id(document):
    document["signatures"].append({**document["signatures"][0], "keyid": "0" * 64})


def in_the_other_ones_name(document):
    stolen = document["signatures"][0]["sig"]
    document["signatures"][1]["sig"] = stolen


@pytest.mark.parametrize("signers, spoil, problems", [
    (("targets-a",), None, {"threshold"}),
    (("targets-a", "root-a"), None, {"threshold"}),
    (("targets-a", "snapshot"), None, {"threshold"}),
    (("targets-a",), twice, {"threshold", "format"}),
    (("targets-a",), under_another_id, {"threshold"}),
    (("targets-a", "targets-b"), in_the_other_ones_name, {"threshold"}),
], ids=["one of two", "and a root key", "and the snapshot key", "twice the same", "twice under two ids", "in the other one's name"])
def test_threshold(pair, signers, spoil, problems):
    reply = pair.server.operator().publish_files(pair.first(*signers, spoil=spoil))
    assert reply.status == 422 and reply.problem in problems, reply
    assert pair.server.operator().pages("/api/v1/releases") == []


def test_threshold_reached(pair):
    reply = pair.server.operator().publish_files(pair.first("targets-a", "targets-b"))
    assert reply.status == 201, reply


# ---- metadata alone


@pytest.fixture
def renewable(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gate-product", "1.0.0", (HARDWARE,))
    return server


def test_renewal(renewable):
    """Targets and snapshot with nothing new but their versions and expiry; snapshot alone; the devices see a newer timestamp."""
    api = renewable.operator()
    repository = tuf.Repository(renewable.device("gate-reader"), renewable.keys, passphrase_of(renewable))
    before = repository.timestamp["signed"]["version"]
    reply = api.post("/api/v1/metadata", {name: tuf.b64(data) for name, data in repository.next().files().items()})
    assert reply.status == 200
    assert {role["role"]: role["version"] for role in reply.json["roles"]}["targets"] == 2
    repository.refresh()
    assert repository.timestamp["signed"]["version"] > before and repository.targets["signed"]["version"] == 2
    draft = repository.next()
    draft.snapshot["meta"]["targets.json"]["version"] = 2
    alone = tuf.file_bytes(tuf.envelope(draft.snapshot, *draft.snapshot_keys))
    assert api.post("/api/v1/metadata", {"snapshot": tuf.b64(alone)}).status == 200
    assert api.post("/api/v1/metadata", {"snapshot": tuf.b64(alone)}).status in (409, 422)


def test_renewal_brings_no_release(renewable):
    """A new release has its own way in, with its own checks of images and products."""
    api = renewable.operator()
    repository = tuf.Repository(renewable.device("gate-reader"), renewable.keys, passphrase_of(renewable))
    draft, _, _ = draft_with_release(repository)
    assert api.upload(IMAGE).status == 201
    reply = api.post("/api/v1/metadata", {name: tuf.b64(data) for name, data in draft.files().items()})
    assert 400 <= reply.status < 500
    assert len(api.pages("/api/v1/releases")) == 1


def next_root(server, *signers, **changes):
    root = json.loads((server.keys / "1.root.json").read_bytes())["signed"]
    root.update(version=2, expires=tuf.after(days=365))
    root.update(changes)
    return tuf.file_bytes(tuf.envelope(root, *[tuf.load_key(server.keys / f"{name}.pem", passphrase_of(server)) for name in signers]))


def test_next_root(renewable):
    """Root N+1 by two of three root keys; devices walk to it, tuf metadata below stays valid."""
    api, device = renewable.operator(), renewable.device("gate-reader")
    for bad in (next_root(renewable, "root-1"), next_root(renewable, "root-1", "targets-1"), next_root(renewable, "root-1", "root-2", version=1),
                next_root(renewable, "root-1", "root-2", version=3), next_root(renewable, "root-1", "root-2", expires=tuf.after(days=-1)), b"{}"):
        reply = api.post("/api/v1/metadata", {"root": tuf.b64(bad)})
        assert 400 <= reply.status < 500, reply
        assert device.get("/tuf/2.root.json").status == 404
    good = next_root(renewable, "root-1", "root-3")
    assert api.post("/api/v1/metadata", {"root": tuf.b64(good)}).status == 200
    assert device.get("/tuf/2.root.json").body == good
    renewable.restart()
    assert device.get("/tuf/2.root.json").body == good
    assert renewable.publish(firmware.ATH_7010, "gate-product", "1.1.0", (HARDWARE,)).returncode == 0


# ---- uploads


def test_truncated_upload(gate, api):
    """The connection ends in the middle: nothing is stored, no temporary file stays."""
    before = gate.image_files()
    data = os.urandom(200_000)
    digest = hashlib.sha256(data).hexdigest()
    with api.connect() as connection:
        connection.send(head_bytes("PUT", f"/api/v1/images/{digest}", api.headers + [("Content-Length", str(len(data)))]) + data[:100_000])
        time.sleep(0.3)
        connection.raw.shutdown(socket.SHUT_RDWR)
    wait_for(lambda: gate.image_files() == before)
    assert api.get(f"/api/v1/images/{digest}").status == 404


def test_altered_upload(gate, api):
    before = gate.image_files()
    data = bytearray(os.urandom(200_000))
    digest = hashlib.sha256(data).hexdigest()
    data[150_000] ^= 1
    reply = api.upload(bytes(data), sha256=digest)
    assert reply.status == 422 and reply.problem == "hash"
    wait_for(lambda: gate.image_files() == before)


def test_empty_upload(gate, api):
    before = gate.image_files()
    assert 400 <= api.upload(b"").status < 500
    assert gate.image_files() == before


def test_upload_killed_in_the_middle(new_server):
    """kill -9 during an upload: the temporary file is gone after the next start."""
    server = new_server()
    api = server.operator()
    data = os.urandom(500_000)
    digest = hashlib.sha256(data).hexdigest()
    before = server.image_files()
    with api.connect() as connection:
        connection.send(head_bytes("PUT", f"/api/v1/images/{digest}", api.headers + [("Content-Length", str(len(data)))]) + data[:300_000])
        wait_for(lambda: server.image_files() != before)
        server.kill()
    server.start()
    wait_for(lambda: server.image_files() == before)
    api = server.operator()
    assert api.upload(data).status == 201 and api.get(f"/api/v1/images/{digest}").status == 200


def test_parallel_uploads_of_one_image(gate):
    """Two at once: both are answered well, one file."""
    import threading

    data = os.urandom(300_000)
    replies = []
    clients = [gate.operator(fresh=True) for _ in range(4)]
    threads = [threading.Thread(target=lambda c=client: replies.append(c.upload(data))) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(replies) == 4 and {reply.status for reply in replies} <= {200, 201}
    digest = hashlib.sha256(data).hexdigest()
    assert len([name for name in gate.image_files() if digest in name]) == 1


# ---- images that change on disk


def test_image_that_vanished(new_server):
    """500 with a problem, an event, and the server lives; the image uploaded again heals it."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gone-product", "1.0.0", (HARDWARE,))
    device = server.device("reader-1")
    assert device.directive(product="gone-product", hardware=HARDWARE)["action"] == "install"
    path = f"/firmware/gone-product/1.0.0/{firmware.ATH_9271.name}"
    assert device.get(path).status == 200
    server.restart()  # nothing is mapped any more
    device = server.device("reader-1")
    digest = hashlib.sha256(firmware.ATH_9271.read_bytes()).hexdigest()
    stored = next(file for file in server.data.rglob("*") if file.is_file() and digest in str(file))
    stored.unlink()
    reply = device.get(path)
    assert reply.status == 500 and reply.header("Content-Type") == "application/problem+json"
    assert str(server.data) not in reply.body.decode()
    assert [event for event in server.operator().events() if "image" in event["kind"]]
    assert device.get("/whoami").status == 200 and server.alive()
    assert server.operator().upload(firmware.ATH_9271).status in (200, 201)
    wait_for(lambda: device.get(path).status == 200)
    assert device.get(path).body == firmware.ATH_9271.read_bytes()


def test_image_truncated_under_a_download(new_server):
    """A file cut while it is mapped and sent: that connection fails, the server lives."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.UBOOT_ARM64, "cut-product", "1.0.0", (HARDWARE,))
    device = server.device("reader-2")
    assert device.directive(product="cut-product", hardware=HARDWARE)["action"] == "install"
    digest = hashlib.sha256(firmware.UBOOT_ARM64.read_bytes()).hexdigest()
    stored = next(file for file in server.data.rglob("*") if file.is_file() and digest in str(file))
    with device.connect() as connection:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(head_bytes("GET", "/firmware/cut-product/1.0.0/u-boot.bin", []) * 8)
        connection.socket.recv(1000)
        stored.chmod(0o600)
        os.truncate(stored, 4096)
        try:
            connection.receive_all(20)
        except (Closed, OSError, TimeoutError):
            pass
    assert server.alive() and server.device("reader-2").get("/whoami").status == 200
