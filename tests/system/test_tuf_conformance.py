"""trust/ against the cases of the public TUF conformance suite (github: theupdateframework/tuf-conformance), by the names they have there, with a
repository of our own that can lie: tests/system/tuf_simulator.py. The client is build/tests/tuf-client, whose command line is that suite's, so that
anyone can run the suite itself:

    pytest tuf_conformance --entrypoint .../build/tests/tuf-client
"""

import copy
import hashlib
import json
import os
import pathlib
import subprocess
import urllib.parse

import pytest

from lib.paths import program
from tuf_simulator import TOP_LEVEL, Reply, Repositories, stamp

ALL = ("root", "targets", "snapshot", "timestamp")
REST = ("targets", "snapshot", "timestamp")
DAY_S = 86400
MARK = b"pawl-trust-profile: relaxed"


@pytest.fixture(scope="module")
def repositories():
    made = Repositories()
    yield made
    made.close()


@pytest.fixture
def repo(repositories, request):
    return repositories.new(request.node.name)


class Client:
    def __init__(self, folder, repo):
        self.repo = repo
        self.folder = folder
        self.metadata = folder / "metadata"
        self.artifacts = folder / "artifacts"
        self.metadata.mkdir()
        self.artifacts.mkdir()
        self.stderr = ""
        self.trusted_root = repo.published["root"][0]

    def run(self, *arguments, days=0):
        environment = dict(os.environ)
        if days:
            environment.update(LD_PRELOAD=program("tests/shift_clock.so"), PAWL_TEST_CLOCK_OFFSET_S=str(days * DAY_S))
            environment["ASAN_OPTIONS"] = environment.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        command = [program("tests/tuf-client"), "--metadata-dir", str(self.metadata), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=90, check=False)
        self.stderr = done.stderr
        assert done.returncode in (0, 1), done.stderr
        assert done.returncode == 0 or done.stderr.startswith("tuf-client: E_"), done.stderr
        assert len(done.stderr.splitlines()) <= 1, done.stderr
        return done.returncode

    def init(self):
        file = self.folder / "initial_root.json"
        file.write_bytes(self.trusted_root)
        return self.run("init", str(file))

    def refresh(self, days=0):
        return self.run("--metadata-url", self.repo.metadata_url, "refresh", days=days)

    def download(self, *names, days=0):
        targets = [part for name in names for part in ("--target-name", name)]
        return self.run("--metadata-url", self.repo.metadata_url, *targets, "--target-dir", str(self.artifacts), "--target-base-url",
                        self.repo.targets_url, "download", days=days)

    @property
    def error(self):
        return self.stderr.split(": ")[1] if self.stderr else None

    def stored(self, role):
        file = self.metadata / f"{role}.json"
        return file.read_bytes() if file.exists() else None

    def version(self, role):
        stored = self.stored(role)
        return None if stored is None else json.loads(stored)["signed"]["version"]

    def trusted_roles(self):
        return [(file.name.removesuffix(".json"), json.loads(file.read_bytes())["signed"]["version"]) for file in sorted(self.metadata.glob("*.json"))]

    def downloaded(self):
        files = [file for file in self.artifacts.rglob("*") if file.is_file()]
        return [file.read_bytes() for file in sorted(files, key=lambda file: file.stat().st_mtime_ns)]


@pytest.fixture
def client(tmp_path, repo):
    return Client(tmp_path, repo)


# Refresh.


def test_basic_refresh_requests(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    assert repo.metadata_requests == [("root", 2), ("timestamp", None), ("snapshot", 1), ("targets", 1)]


def test_basic_init_and_refresh(client, repo):
    assert client.init() == 0
    assert repo.metadata_requests == []
    assert client.trusted_roles() == [("root", 1)]
    assert client.refresh() == 0
    assert client.trusted_roles() == [("root", 1), ("snapshot", 1), ("targets", 1), ("timestamp", 1)]


def test_basic_refresh_trusted_data(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    for role in TOP_LEVEL:
        assert client.stored(role) == repo.newest(role)


def test_implicit_refresh(client, repo):
    assert client.init() == 0
    assert client.download("nonexistent artifact") == 1
    assert client.error == "E_NOT_FOUND"
    assert repo.metadata_requests == [("root", 2), ("timestamp", None), ("snapshot", 1), ("targets", 1)]
    for role in TOP_LEVEL:
        assert client.stored(role) == repo.newest(role)


def test_invalid_initial_root(client, repo):
    root = json.loads(client.trusted_root)
    del root["signed"]["version"]
    client.trusted_root = json.dumps(root).encode()
    client.init()
    assert client.refresh() == 1
    assert repo.metadata_requests == []


def test_unsigned_initial_root(client, repo):
    root = json.loads(client.trusted_root)
    root["signatures"][0]["sig"] = repo.signers["root"][root["signatures"][0]["keyid"]].sign(b"something else")
    client.trusted_root = json.dumps(root).encode()
    client.init()
    assert client.error == "E_SIGNATURE"
    assert client.refresh() == 1
    assert repo.metadata_requests == []


UNSIGNED = {
    "root": [("root", 1)],
    "timestamp": [("root", 2)],
    "snapshot": [("root", 2), ("timestamp", 2)],
    "targets": [("root", 2), ("snapshot", 2), ("timestamp", 2)],
}


@pytest.mark.parametrize("role", UNSIGNED)
def test_unsigned_metadata(client, repo, role):
    repo.signers[role].popitem()
    repo.publish(*ALL)
    assert client.init() == 0
    assert client.refresh() == 1
    assert client.error == "E_SIGNATURE"
    assert client.trusted_roles() == UNSIGNED[role]


MISMATCH = {"root": "E_MIX", "snapshot": "E_NOT_FOUND", "targets": "E_NOT_FOUND"}


@pytest.mark.parametrize("role", MISMATCH)
def test_url_and_metadata_version_mismatch(client, repo, role):
    repo.signed[role]["version"] += 1
    repo.publish(*ALL)  # that role says version 3 and is served as version 2
    assert client.init() == 0
    assert client.refresh() == 1
    assert client.error == MISMATCH[role]
    assert client.trusted_roles() == UNSIGNED[role]


def test_new_snapshot_version_mismatch(client, repo):
    repo.signed["snapshot"]["version"] += 1
    repo.publish("snapshot")
    repo.timestamp["meta"]["snapshot.json"]["version"] = 2  # where the file says 3
    repo.publish("timestamp")
    assert client.init() == 0
    assert client.refresh() == 1
    assert client.error == "E_MIX"
    assert client.trusted_roles() == [("root", 1), ("timestamp", 2)]
    assert repo.metadata_requests[-1] == ("snapshot", 2)


def test_new_targets_version_mismatch(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    repo.signed["targets"]["version"] += 1
    repo.publish("targets")
    repo.snapshot["meta"]["targets.json"]["version"] = 2
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_MIX"
    assert client.version("targets") == 1


def test_timestamp_content_changes(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    first = client.stored("timestamp")
    repo.timestamp["meta"]["snapshot.json"]["version"] = 100
    del repo.published["timestamp"]
    repo.publish("timestamp")
    assert repo.newest("timestamp") != first and repo.version("timestamp") == 1
    assert client.refresh() == 0
    assert repo.metadata_requests[-1] == ("timestamp", None)
    assert client.stored("timestamp") == first


test_timestamp_eq_versions_check = test_timestamp_content_changes


def test_basic_metadata_hash_support(client, repo):
    repo.announce_hashes = True
    repo.publish(*REST)
    assert client.init() == 0
    assert client.refresh() == 0
    repo.publish("targets")
    repo.snapshot["meta"]["targets.json"]["hashes"]["sha256"] = "46419349341cfb2d95f6ae3d4cd5c3d3dd7f4673985dad42a45130be5e0531a0"
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_HASH"
    assert client.version("snapshot") == 3
    assert client.version("targets") == 2


def test_new_targets_hash_mismatch(client, repo):
    repo.announce_hashes = True
    repo.publish(*REST)
    assert client.init() == 0
    assert client.refresh() == 0
    repo.publish(*REST)
    repo.published["targets"][-1] = repo.newest("targets").replace(b"1.0.31", b"1.0.30")
    assert client.refresh() == 1
    assert client.error == "E_HASH"
    assert client.version("snapshot") == 3
    assert client.version("targets") == 2


@pytest.mark.parametrize("change", [lambda data: data + b" ", lambda data: data[:-1]], ids=["longer", "shorter"])
def test_metadata_length_mismatch(client, repo, change):
    repo.announce_hashes = True
    repo.publish(*REST)
    repo.published["snapshot"][-1] = change(repo.newest("snapshot"))
    assert client.init() == 0
    assert client.refresh() == 1
    assert client.error == "E_LENGTH"
    assert client.trusted_roles() == [("root", 1), ("timestamp", 2)]


def test_metadata_bytes_match(client, repo):
    assert client.init() == 0
    repo.published["timestamp"][-1] += b" "
    assert client.refresh() == 0
    assert client.stored("timestamp") == repo.newest("timestamp")


def test_custom_fields(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    signer = repo.new_signer()
    signer.public["extra-field"] = {"a": 1, "b": 2, "text": "ä \" \\ \n"}
    repo.root["custom-field"] = "value"
    repo.root["roles"]["root"]["another-field"] = "value"
    repo.add_key("root", signer=signer)
    repo.publish("root")
    assert client.refresh() == 0, client.stderr
    assert client.version("root") == 2


def test_deprecated_keyid_hash_algorithms(client, repo):
    assert client.init() == 0
    repo.clear_keys("snapshot")
    signer = repo.new_signer()
    signer.public["keyid_hash_algorithms"] = "md5"
    repo.add_key("snapshot", signer=signer)
    repo.publish("root", "snapshot", "timestamp")
    assert client.refresh() == 0
    assert client.version("root") == 2
    assert client.version("snapshot") == 2


def test_snapshot_404(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    repo.timestamp["meta"]["snapshot.json"]["version"] += 1
    repo.publish("timestamp")
    assert client.refresh() == 1
    assert repo.metadata_requests[-1] == ("snapshot", 2)
    assert client.trusted_roles() == [("root", 1), ("snapshot", 1), ("targets", 1), ("timestamp", 2)]


def test_targets_404(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    repo.snapshot["meta"]["targets.json"]["version"] += 1
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert repo.metadata_requests[-1] == ("targets", 2)
    assert client.trusted_roles() == [("root", 1), ("snapshot", 2), ("targets", 1), ("timestamp", 2)]


def test_timestamp_404(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    del repo.published["timestamp"]
    assert client.refresh() == 1
    assert repo.metadata_requests[-1] == ("timestamp", None)


def test_incorrect_metadata_type(client, repo):
    assert client.init() == 0
    repo.add_key("snapshot", signer=next(iter(repo.signers["timestamp"].values())))
    repo.snapshot["meta"] = {"snapshot.json": {"version": 1}}
    repo.publish("root", "snapshot")
    repo.published["timestamp"].append(repo.published["snapshot"].pop())
    assert client.refresh() == 1
    assert client.error == "E_FORMAT"
    assert client.trusted_roles() == [("root", 2)]


def test_faketime(client, repo):
    assert client.init() == 0
    repo.root["expires"] = stamp(days=7)
    repo.publish("root")
    assert client.refresh() == 0
    assert client.refresh(days=8) == 1
    assert client.error == "E_EXPIRED"


def test_consistent_snapshot_off(client, repositories, request):
    """Names without versions and hashes, as repositories without consistent snapshots have them."""
    repo = client.repo = repositories.new(request.node.name + "-plain", consistent=False)
    client.trusted_root = repo.published["root"][0]
    repo.add_artifact("targets", b"plain", "a/b.txt")
    repo.publish(*REST)
    assert client.init() == 0
    assert client.download("a/b.txt") == 0, client.stderr
    assert client.downloaded() == [b"plain"]
    assert repo.metadata_requests == [("root", 2), ("timestamp", None), ("snapshot", None), ("targets", None)]
    assert repo.artifact_requests == [("a/b.txt", None)]


# A server that lies below the metadata.

LIES = {
    "endless body": (Reply(b'{"signatures": [' * 4096, endless=True), "E_LENGTH"),
    "too short for its Content-Length": (Reply(b"{}", length=1000), "E_NETWORK"),
    "longer than allowed": (Reply(b" " * 20000), "E_LENGTH"),
    "error with a body": (Reply(b"{}", status=500), "E_NETWORK"),
    "redirect": (Reply(b"", status=302, headers=(("Location", "timestamp.json"),)), "E_NETWORK"),
    "empty": (Reply(b""), "E_FORMAT"),
    "not JSON": (Reply(b"<html>"), "E_FORMAT"),
    "member twice": (Reply(b'{"signatures":[],"signatures":[],"signed":{"_type":"timestamp"}}'), "E_FORMAT"),
    "deep": (Reply(b'{"signatures":[],"signed":' + b"[" * 5000 + b"]" * 5000 + b"}"), "E_FORMAT"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lying_reply(client, repo, lie):
    reply, code = LIES[lie]
    assert client.init() == 0
    assert client.refresh() == 0
    repo.publish("timestamp")
    repo.replies["metadata/timestamp.json"] = reply
    assert client.refresh() == 1
    assert client.error == code, client.stderr
    assert client.version("timestamp") == 1
    repo.replies.clear()
    assert client.refresh() == 0
    assert client.version("timestamp") == 2


# Expiry.


def test_root_expired(client, repo):
    assert client.init() == 0
    assert client.refresh() == 0
    repo.publish("root")
    assert client.refresh() == 0
    repo.root["expires"] = stamp(days=-1)
    repo.publish("root")
    repo.publish(*REST)
    assert client.refresh() == 1
    assert client.error == "E_EXPIRED"
    assert client.trusted_roles() == [("root", 3), ("snapshot", 1), ("targets", 1), ("timestamp", 1)]


EXPIRED = {"timestamp": (1, 1, 1), "snapshot": (1, 1, 2), "targets": (2, 1, 2)}  # snapshot, targets, timestamp trusted in the end


@pytest.mark.parametrize("role", EXPIRED)
def test_expired(client, repo, role):
    """test_timestamp_expired, test_snapshot_expired, and targets that are both new and expired."""
    assert client.init() == 0
    assert client.refresh() == 0
    repo.signed[role]["expires"] = stamp(days=-5)
    repo.publish(*REST)
    assert client.refresh() == 1
    assert client.error == "E_EXPIRED"
    snapshot, targets, timestamp = EXPIRED[role]
    assert client.trusted_roles() == [("root", 1), ("snapshot", snapshot), ("targets", targets), ("timestamp", timestamp)]


def test_targets_expired(client, repo):
    """The expired targets were signed but never announced: they are not even asked for."""
    assert client.init() == 0
    assert client.refresh() == 0
    repo.targets["expires"] = stamp(days=-5)
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    assert client.trusted_roles() == [("root", 1), ("snapshot", 2), ("targets", 1), ("timestamp", 2)]


def test_expired_local_root(client, repo):
    assert client.init() == 0
    repo.root["expires"] = stamp(days=7)
    repo.publish("root")
    assert client.refresh() == 0
    repo.root["expires"] = stamp(days=21)
    repo.publish("root")
    assert client.refresh(days=18) == 0
    assert client.version("root") == 3


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets"])
def test_expired_local(client, repo, role):
    """test_expired_local_timestamp, test_expired_metadata: what expired here still serves to get newer files."""
    assert client.init() == 0
    repo.signed[role]["expires"] = stamp(days=7)
    repo.publish(*REST)
    assert client.refresh() == 0
    assert client.refresh(days=18) == 1
    assert client.error == "E_EXPIRED"
    repo.signed[role]["expires"] = stamp(days=21)
    repo.publish(*REST)
    assert client.refresh(days=18) == 0
    assert client.trusted_roles() == [("root", 1), ("snapshot", 3), ("targets", 3), ("timestamp", 3)]


def test_delegated_targets_expired(client, repo):
    assert client.init() == 0
    repo.delegate("targets", "delegated", ["delegatedpath/*"], expires=stamp(days=-1))
    repo.add_artifact("delegated", b"delegated content", "delegatedpath/target")
    repo.publish("delegated", *REST)
    assert client.refresh() == 0
    assert client.download("delegatedpath/target") == 1
    assert client.error == "E_EXPIRED"
    assert client.downloaded() == []
    assert client.trusted_roles() == [("root", 1), ("snapshot", 2), ("targets", 2), ("timestamp", 2)]


def delegate_for_a_week(client, repo):
    assert client.init() == 0
    repo.delegate("targets", "delegated", ["delegatedpath/*"], expires=stamp(days=7))
    repo.add_artifact("delegated", b"first", "delegatedpath/first")
    repo.add_artifact("delegated", b"second", "delegatedpath/second")
    repo.publish("delegated", *REST)
    assert client.download("delegatedpath/first") == 0
    assert client.downloaded() == [b"first"]


def test_expired_local_delegated_targets(client, repo):
    delegate_for_a_week(client, repo)
    assert client.download("delegatedpath/second", days=18) == 1
    assert client.error == "E_EXPIRED"
    assert client.downloaded() == [b"first"]


def test_expired_local_delegated_targets_updates(client, repo):
    delegate_for_a_week(client, repo)
    repo.signed["delegated"]["expires"] = stamp(days=21)
    repo.publish("delegated", "snapshot", "timestamp")
    assert client.download("delegatedpath/second", days=18) == 0
    assert client.downloaded() == [b"first", b"second"]


# Rollback.


def restart(repo, *roles):
    """The next publish() of these roles is version 1 again."""
    for role in roles:
        del repo.published[role]
        repo.signed[role]["version"] = 1


def test_new_timestamp_version_rollback(client, repo):
    assert client.init() == 0
    repo.publish("timestamp")
    assert client.refresh() == 0
    assert client.version("timestamp") == 2
    restart(repo, "timestamp")
    repo.publish("timestamp")
    assert client.refresh() == 1
    assert client.error == "E_ROLLBACK"
    assert client.version("timestamp") == 2
    assert repo.metadata_requests[-1] == ("timestamp", None)


def test_simple_snapshot_rollback(client, repo):
    assert client.init() == 0
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    repo.published["snapshot"].pop()  # the timestamp still says 2, which the client has
    assert client.refresh() == 0
    assert client.version("snapshot") == 2
    assert repo.metadata_requests[-1] == ("timestamp", None)


@pytest.mark.parametrize("use_hashes", [False, True], ids=["basic", "with hashes"])
def test_snapshot_rollback(client, repo, use_hashes):
    assert client.init() == 0
    repo.announce_hashes = use_hashes
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    restart(repo, "snapshot")
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_ROLLBACK"
    assert (client.version("timestamp"), client.version("snapshot")) == (2, 2)
    assert repo.metadata_requests[-1] == ("timestamp", None)


@pytest.mark.parametrize("use_hashes", [False, True], ids=["basic", "with hashes"])
def test_targets_rollback(client, repo, use_hashes):
    assert client.init() == 0
    repo.announce_hashes = use_hashes
    repo.publish(*REST)
    assert client.refresh() == 0
    restart(repo, "targets")
    repo.publish(*REST)
    assert client.refresh() == 1
    assert client.error == "E_ROLLBACK"
    assert (client.version("snapshot"), client.version("targets")) == (2, 2)


def test_targets_gone(client, repo):
    """A file that the snapshot listed and lists no more."""
    assert client.init() == 0
    repo.delegate("targets", "delegated")
    repo.publish("delegated", *REST)
    assert client.refresh() == 0
    del repo.snapshot["meta"]["delegated.json"]
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_ROLLBACK"


def test_new_targets_fast_forward_recovery(client, repo):
    assert client.init() == 0
    repo.publish(*["targets"] * 99)
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    assert client.version("targets") == 100
    repo.rotate_keys("snapshot")
    restart(repo, "targets")
    repo.publish(*ALL)
    assert client.refresh() == 0, client.stderr
    assert client.version("targets") == 1


def test_new_snapshot_fast_forward_recovery(client, repo):
    assert client.init() == 0
    repo.publish(*["snapshot"] * 99)
    repo.publish("timestamp")
    assert client.refresh() == 0
    assert client.version("snapshot") == 100
    repo.rotate_keys("snapshot")
    repo.rotate_keys("timestamp")
    restart(repo, "snapshot")
    repo.publish(*ALL)
    assert client.refresh() == 0, client.stderr
    assert client.version("snapshot") == 1


def test_new_timestamp_fast_forward_recovery(client, repo):
    assert client.init() == 0
    repo.publish(*["timestamp"] * 99)
    assert client.refresh() == 0
    assert client.version("timestamp") == 100
    repo.rotate_keys("timestamp")
    restart(repo, "timestamp")
    repo.publish("root", "timestamp")
    assert client.refresh() == 0, client.stderr
    assert client.version("timestamp") == 1


@pytest.mark.parametrize("role", ["timestamp", "snapshot"])
def test_fast_forward_recovery_of_one_key(client, repo, role):
    """One of two keys goes, though the other one signed the far too high version as well."""
    assert client.init() == 0
    changed = ["timestamp"] if role == "timestamp" else ["snapshot", "timestamp"]
    stolen = repo.add_key(role)
    repo.publish("root", *[role] * 98, *changed)
    assert client.refresh() == 0
    assert client.version(role) == 100
    repo.root["roles"][role]["keyids"].remove(stolen.keyid)
    del repo.signers[role][stolen.keyid]
    restart(repo, *changed)
    repo.publish("root", *changed)
    assert client.refresh() == 0, client.stderr
    assert client.version(role) == 1


# Keys.


def test_snapshot_does_not_meet_threshold(client, repo):
    repo.root["roles"]["snapshot"]["threshold"] = 3
    repo.add_key("snapshot")
    repo.add_key("snapshot")
    repo.publish(*ALL)
    assert client.init() == 0
    assert client.refresh() == 0
    repo.signers["snapshot"].popitem()
    repo.publish(*REST)
    assert client.refresh() == 1
    assert client.error == "E_THRESHOLD"
    assert client.version("snapshot") == 2


def test_snapshot_has_too_few_keys(client, repo):
    """The public suite wants such a root accepted; nothing can then be signed by that role."""
    assert client.init() == 0
    for _ in range(4):
        repo.add_key("snapshot")
    repo.root["roles"]["snapshot"]["threshold"] = 6
    repo.publish("root", "snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_THRESHOLD"
    assert client.version("root") == 2
    assert client.version("snapshot") is None


test_snapshot_threshold = test_snapshot_has_too_few_keys


@pytest.mark.parametrize("twice", ["in root too", "in signatures only"])
def test_duplicate_keys(client, repo, twice):
    assert client.init() == 0
    signer = repo.add_key("snapshot")
    repo.root["roles"]["snapshot"]["threshold"] = 6
    if twice == "in root too":
        repo.root["roles"]["snapshot"]["keyids"] += [signer.keyid] * 8
    repo.publish("root", "snapshot", "timestamp")

    def repeat(document):
        document["signatures"] += [document["signatures"][-1]] * 8

    repo.change("snapshot", repeat)
    assert client.refresh() == 1
    assert client.error in ("E_FORMAT", "E_THRESHOLD")
    assert client.version("snapshot") is None


test_duplicate_keys_root = test_duplicate_keys


@pytest.mark.parametrize("others", ["alone", "with another key"])
def test_same_key_under_two_ids(client, repo, others):
    """Threshold 2 met by one key that is listed twice, with two ids; beside it a key that could have signed, or none."""
    assert client.init() == 0
    signer = next(iter(repo.signers["snapshot"].values()))
    other = copy.copy(signer)
    other.public = {**signer.public, "note": "another id"}
    repo.add_key("snapshot", signer=other)
    if others == "with another key":
        repo.add_key("snapshot", sign=False)
    repo.root["roles"]["snapshot"]["threshold"] = 2
    repo.publish("root", "snapshot", "timestamp")
    assert len(json.loads(repo.newest("snapshot"))["signatures"]) == 2
    assert client.refresh() == 1
    assert client.error == "E_THRESHOLD"
    assert client.version("snapshot") is None


def test_duplicate_sig_keyids(client, repo):
    assert client.init() == 0
    repo.change("snapshot", lambda document: document["signatures"].append(document["signatures"][0]))
    assert client.refresh() == 1
    assert client.error == "E_FORMAT"
    assert client.version("snapshot") is None


@pytest.mark.parametrize("keytype, scheme", [("rsa", "rsassa-pss-sha256"), ("ecdsa", "ecdsa-sha2-nistp256"), ("ed25519", "ed25519")],
                         ids=lambda value: value)
def test_keytype_and_scheme(client, repo, keytype, scheme):
    assert client.init() == 0
    signer = repo.add_key("root", signer=repo.new_signer(keytype, scheme))
    repo.root["roles"]["root"]["threshold"] += 1
    repo.publish("root")
    assert client.refresh() == 0, client.stderr
    assert client.version("root") == 2
    repo.publish("root")

    def forge(document):
        next(entry for entry in document["signatures"] if entry["keyid"] == signer.keyid)["sig"] = signer.sign(b"other bytes")

    repo.change("root", forge)
    assert client.refresh() == 1
    assert client.error == "E_THRESHOLD"
    assert client.version("root") == 2


@pytest.mark.parametrize("keytype, scheme", [("rsa", "rsassa-pss-sha256"), ("ed25519", "ed25519")], ids=lambda value: value)
def test_all_roles_of_one_keytype(client, repo, keytype, scheme):
    assert client.init() == 0
    old = dict(repo.signers["root"])
    for role in TOP_LEVEL:
        repo.clear_keys(role)
        repo.add_key(role, signer=repo.new_signer(keytype, scheme))
    repo.signers["root"].update(old)
    repo.publish(*ALL)
    assert client.refresh() == 0, client.stderr
    assert client.trusted_roles() == [("root", 2), ("snapshot", 2), ("targets", 2), ("timestamp", 2)]


def test_unknown_keytype_counts_for_nothing(client, repo):
    assert client.init() == 0
    signer = repo.new_signer()
    signer.public["keytype"] = signer.public["scheme"] = "of the future"
    repo.add_key("snapshot", signer=signer)
    repo.publish("root", "snapshot", "timestamp")
    assert client.refresh() == 0, client.stderr
    repo.root["roles"]["snapshot"]["threshold"] = 2
    repo.publish("root", "snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_THRESHOLD"


def test_key_of_another_role(client, repo):
    assert client.init() == 0
    repo.signers["snapshot"] = dict(repo.signers["timestamp"])
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error == "E_SIGNATURE"


@pytest.mark.parametrize("threshold", [0, -1, 1.0, "1", None, True, 2**31, 2**53])
def test_threshold_cheating(client, repo, threshold):
    assert client.init() == 0
    repo.publish(*REST)

    def cheat(document):
        document["signed"]["roles"]["snapshot"]["threshold"] = threshold

    # Signed like that: what is signed of 1.0 are the bytes of 1, the only canonical form of it.
    repo.root["roles"]["snapshot"]["threshold"] = 1 if threshold == 1.0 else threshold
    repo.publish("root")
    repo.change("root", cheat)
    repo.signers["snapshot"].clear()
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 1
    assert client.error in ("E_FORMAT", "E_THRESHOLD", "E_SIGNATURE")
    assert client.version("snapshot") is None


BAD_SIGNATURES = {"plausible": None, "empty": "", "not hex": "no hex", "long": "ab" * 4000, "upper case": "AB"}


@pytest.mark.parametrize("bad", BAD_SIGNATURES)
def test_invalid_sig_in_valid_metadata(client, repo, bad):
    assert client.init() == 0
    first = next(iter(repo.signers["timestamp"].values()))
    repo.add_key("timestamp")
    repo.publish("root", "timestamp")

    def spoil(document):
        entry = next(entry for entry in document["signatures"] if entry["keyid"] == first.keyid)
        entry["sig"] = first.sign(b"other bytes") if BAD_SIGNATURES[bad] is None else BAD_SIGNATURES[bad]

    repo.change("timestamp", spoil)
    assert client.refresh() == 0, client.stderr
    assert client.version("timestamp") == 2


# Rotation: keys, threshold and signatures (numbers of keys) of each version.

ROOT_ROTATIONS = {
    "1-of-1-key-rotation": [([1], 1, [1]), ([2], 1, [2, 1]), ([2], 1, [2])],
    "1-of-1-key-rotation-unused-signatures": [([1], 1, [3, 1, 4]), ([2], 1, [3, 2, 1, 4]), ([2], 1, [3, 2, 4])],
    "3-of-5-sign-with-different-keycombos": [
        ([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 2, 3, 4], 3, [0, 4, 1]), ([0, 1, 2, 3, 4], 3, [0, 1, 3]), ([0, 1, 2, 3, 4], 3, [0, 1, 3])],
    "3-of-5-one-key-rotated": [([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 1])],
    "3-of-5-one-key-rotated-with-intermediate-step": [
        ([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4, 5]), ([0, 1, 3, 4, 5], 3, [0, 4, 5])],
    "3-of-5-all-keys-rotated-with-intermediate-step": [
        ([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([5, 6, 7, 8, 9], 3, [0, 2, 4, 5, 6, 7]), ([5, 6, 7, 8, 9], 3, [5, 6, 7])],
    "1-of-3-threshold-increase-to-2-of-3": [([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [1, 2])],
    "2-of-3-threshold-decrease-to-1-of-3": [([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1, 2]), ([1, 2, 3], 1, [1])],
    "1-of-2-threshold-increase-to-2-of-2": [([1], 1, [1]), ([1, 2], 2, [1, 2])],
    "1-of-1-key-rotation-fail-not-signed-with-old-key": [([1], 1, [1]), ([2], 1, [2, 3, 4], False)],
    "1-of-1-key-rotation-fail-not-signed-with-new-key": [([1], 1, [1]), ([2], 1, [1, 3, 4], False)],
    "3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys": [([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 2, 4], False)],
    "3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys": [([0, 1, 2, 3, 4], 3, [0, 2, 4]), ([0, 1, 3, 4, 5], 3, [0, 4, 5], False)],
    "1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached": [([1, 2, 3], 1, [1]), ([1, 2, 3], 2, [2], False)],
    "2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-eached": [([1, 2, 3], 2, [1, 2]), ([1, 2, 3], 1, [1], False)],
}

OTHER_ROTATIONS = {
    "1-of-1-key-rotation": ([2], 1, [2]),
    "1-of-1-key-rotation-unused-signatures": ([1], 1, [3, 1, 4]),
    "1-of-1-key-rotation-fail-not-signed-with-new-key": ([2], 1, [1, 3, 4], False),
    "3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys": ([0, 1, 3, 4, 5], 3, [0, 2, 4], False),
    "2-of-5-one-key-signature-mising-threshold-not-reached": ([0, 1, 3, 4, 5], 3, [0, 4], False),
    "3-of-5-sign-first-combo": ([0, 1, 2, 3, 4], 3, [0, 2, 4]),
    "3-of-5-sign-second-combo": ([0, 1, 2, 3, 4], 3, [0, 4, 1]),
    "3-of-5-sign-third-combo": ([0, 1, 2, 3, 4], 3, [0, 1, 3]),
    "3-of-5-sign-fourth-combo": ([0, 1, 2, 3, 4], 3, [1, 2, 3]),
    "3-of-5-sign-fifth-combo": ([0, 1, 2, 3, 4], 3, [2, 3, 4]),
}


def set_keys(repo, role, pool, keys, threshold, signatures):
    repo.clear_keys(role)
    repo.root["roles"][role]["threshold"] = threshold
    for number in keys:
        repo.add_key(role, signer=pool[number], sign=False)
    for number in signatures:
        repo.add_signer(role, pool[number])


@pytest.mark.parametrize("case", ROOT_ROTATIONS)
def test_root_rotation(client, repo, case):
    pool = [repo.new_signer("ed25519", "ed25519") for _ in range(10)]
    restart(repo, "root")
    repo.signed["root"]["keys"] = {keyid: key for keyid, key in repo.root["keys"].items() if keyid not in repo.signers["root"]}
    fine = True
    for keys, threshold, signatures, *result in ROOT_ROTATIONS[case]:
        fine = result != [False]
        set_keys(repo, "root", pool, keys, threshold, signatures)
        repo.publish("root")
    client.trusted_root = repo.published["root"][0]
    assert client.init() == 0, client.stderr
    assert client.refresh() == (0 if fine else 1), client.stderr
    assert client.stored("root") == repo.published["root"][-1 if fine else -2]
    assert fine or client.error in ("E_SIGNATURE", "E_THRESHOLD")


@pytest.mark.parametrize("case", OTHER_ROTATIONS)
def test_non_root_rotations(client, repo, case):
    keys, threshold, signatures, *result = OTHER_ROTATIONS[case]
    fine = result != [False]
    pool = [repo.new_signer("ed25519", "ed25519") for _ in range(10)]
    assert client.init() == 0
    for role in ("timestamp", "snapshot", "targets"):
        set_keys(repo, role, pool, keys, threshold, signatures)
        repo.publish("root", *REST)
        assert client.refresh() == (0 if fine else 1), client.stderr
        assert not fine or client.stored(role) == repo.newest(role)
        assert fine or client.version(role) is None


def test_long_root_walk(client, repo):
    """At most 64 hops in a run, each persisted, so that the next run goes on."""
    assert client.init() == 0
    repo.publish(*["root"] * 80)
    assert client.refresh() == 0
    assert client.version("root") == 65
    assert client.refresh() == 0
    assert client.version("root") == 81


# Download.


def test_client_downloads_expected_file(client, repo):
    assert client.init() == 0
    repo.add_artifact("targets", b"target file contents", "target_file.txt")
    repo.publish(*REST)
    assert client.refresh() == 0
    assert client.downloaded() == []
    assert client.download("target_file.txt") == 0
    assert client.downloaded() == [b"target file contents"]


def test_client_downloads_expected_file_in_sub_dir(client, repo):
    assert client.init() == 0
    repo.add_artifact("targets", b"target file contents", "path/to/a/target_file.txt")
    repo.publish(*REST)
    assert client.download("path/to/a/target_file.txt") == 0
    assert client.downloaded() == [b"target file contents"]
    assert repo.artifact_requests == [("path/to/a/target_file.txt", hashlib.sha256(b"target file contents").hexdigest())]


def test_artifact_cache(client, repo):
    """What is there already with the signed hash is not downloaded again."""
    assert client.init() == 0
    repo.add_artifact("targets", b"contents", "file")
    repo.publish(*REST)
    assert client.download("file") == 0
    assert client.download("file") == 0
    assert len(repo.artifact_requests) == 1
    next(client.artifacts.iterdir()).write_bytes(b"damaged!")
    assert client.download("file") == 0
    assert len(repo.artifact_requests) == 2
    assert client.downloaded() == [b"contents"]


@pytest.mark.parametrize("malicious", [b"malicious data - should not download", b"cont3nt", b"conten", b""])
def test_repository_substitutes_target_file(client, repo, malicious):
    assert client.init() == 0
    repo.add_artifact("targets", b"target file contents", "target_file.txt")
    repo.add_artifact("targets", b"content", "another_target_file.txt")
    repo.publish(*REST)
    assert client.download("target_file.txt") == 0
    repo.artifacts.update({"target_file.txt": malicious, "another_target_file.txt": malicious})
    client.download("target_file.txt")
    assert client.downloaded() == [b"target file contents"]
    assert client.download("another_target_file.txt") == 1
    assert client.error in ("E_HASH", "E_LENGTH", "E_TOO_LARGE")
    assert client.downloaded() == [b"target file contents"]


def test_multiple_changes_to_target(client, repo):
    assert client.init() == 0
    content = b"target file contents"
    repo.add_artifact("targets", content, "target_file.txt")
    repo.publish(*REST)
    assert client.download("target_file.txt") == 0
    expected = [content]
    for number in range(11):
        changed = f"modified file contents {number}".encode()
        repo.add_artifact("targets", changed, "target_file.txt")
        new = f"new file contents {number}".encode()
        repo.add_artifact("targets", new, f"new-target-{number}")
        repo.publish(*REST)
        if number % 5 != 0:
            continue
        assert client.download("target_file.txt") == 0
        expected.remove(content)
        expected.append(changed)
        content = changed
        assert client.downloaded() == expected
        assert client.download(f"new-target-{number}") == 0
        expected.append(new)
        assert client.downloaded() == expected
        repo.artifacts["target_file.txt"] = f"malicious contents {number}".encode()
        repo.publish(*REST)
        client.download("target_file.txt")
        assert client.downloaded() == expected


@pytest.mark.parametrize("algorithms", [["sha256"], ["sha512"], ["sha256", "sha512"]], ids="-".join)
def test_download_with_hash_algorithms(client, repo, algorithms):
    repo.add_artifact("targets", b"target file contents", "target_file.txt", algorithms)
    repo.publish(*REST)
    assert client.init() == 0
    assert client.download("target_file.txt") == 0, client.stderr
    possible = [("target_file.txt", digest) for digest in repo.targets["targets"]["target_file.txt"]["hashes"].values()]
    assert len(repo.artifact_requests) == 1 and repo.artifact_requests[0] in possible
    assert client.downloaded() == [b"target file contents"]


@pytest.mark.parametrize("wrong", ["sha256", "sha512"])
def test_every_known_hash_is_checked(client, repo, wrong):
    repo.add_artifact("targets", b"target file contents", "target_file.txt", ["sha256", "sha512"])
    digests = repo.targets["targets"]["target_file.txt"]["hashes"]
    digests[wrong] = digests[wrong][::-1]
    repo.publish(*REST)
    assert client.init() == 0
    assert client.download("target_file.txt") == 1
    assert client.error == "E_HASH"
    assert client.downloaded() == []


def test_download_with_unknown_hash_algorithm(client, repo):
    repo.add_artifact("targets", b"target file contents", "target_file.txt", ["sha512"])
    digests = repo.targets["targets"]["target_file.txt"]["hashes"]
    digests["unknown-hash"] = digests.pop("sha512")
    repo.publish(*REST)
    assert client.init() == 0
    assert client.refresh() == 0
    assert client.download("target_file.txt") == 1
    assert client.error == "E_TARGET"
    assert client.downloaded() == []


# Delegations: (delegator, role, further words for delegate()).

GRAPHS = {
    "basic-delegation": ([("targets", "A")], "A"),
    "single-level-delegations": ([("targets", "A"), ("targets", "B")], "AB"),
    "two-level-delegations": ([("targets", "A"), ("targets", "B"), ("B", "C")], "ABC"),
    "two-level-test-DFS-order-of-traversal": ([("targets", "A"), ("targets", "B"), ("A", "C"), ("A", "D")], "ACDB"),
    "three-level-delegation-test-DFS-order-of-traversal": ([("targets", "A"), ("targets", "B"), ("A", "C"), ("C", "D")], "ACDB"),
    "two-level-terminating-ignores-all-but-roles-descendants": (
        [("targets", "A"), ("targets", "B"), ("A", "C", {"terminating": True}), ("A", "D")], "AC"),
    "three-level-terminating-ignores-all-but-roles-descendants": (
        [("targets", "A"), ("targets", "B"), ("A", "C", {"terminating": True}), ("C", "D")], "ACD"),
    "two-level-ignores-all-branches-not-matching-paths": ([("targets", "A", {"paths": ["*.py"]}), ("targets", "B"), ("A", "C")], "B"),
    "three-level-ignores-all-branches-not-matching-paths": (
        [("targets", "A"), ("targets", "B"), ("A", "C", {"paths": ["*.py"]}), ("C", "D")], "AB"),
    "cycle-before-another-role": ([("targets", "B"), ("B", "C"), ("C", "B"), ("targets", "Z")], "BCZ"),
    "cyclic-graph": ([("targets", "A"), ("targets", "B"), ("B", "C"), ("C", "D"), ("D", "B")], "ABCD"),
    "two-roles-delegating-to-a-third": ([("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C")], "ACB"),
    "two-roles-delegating-to-a-third-different-paths": (
        [("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C", {"paths": ["*.py"]})], "ABC"),
    "terminating-that-does-not-match": ([("targets", "A", {"paths": ["*.py"], "terminating": True}), ("targets", "B")], "B"),
    "no-paths-at-all": ([("targets", "A", {"paths": []}), ("targets", "B")], "B"),
}


def publish_graph(repo, delegations, artifacts=()):
    roles = []
    for delegator, role, *words in delegations:
        repo.delegate(delegator, role, **(words[0] if words else {}))
        roles += [role] if role not in roles else []
    for role, content, path in artifacts:
        repo.add_artifact(role, content, path)
    repo.publish(*roles, *REST)


@pytest.mark.parametrize("graph", GRAPHS)
def test_graph_traversal(client, repo, graph):
    delegations, visited = GRAPHS[graph]
    assert client.init() == 0
    publish_graph(repo, delegations)
    assert client.download("missingpath") == 1
    assert client.error == "E_NOT_FOUND"
    assert repo.metadata_requests[4:] == [(role, 1) for role in visited]
    assert client.download("missingpath") == 1  # now from what is stored
    assert repo.metadata_requests[4 + len(visited):] == [("root", 2), ("timestamp", None)]


TREE = [
    ("targets", "A", {"paths": ["*.doc", "*.md", "foo-?.tgz"]}),
    ("targets", "B", {"paths": ["releases/*/*"]}),
    ("B", "C", {"paths": ["releases/x/*"]}),
    ("B", "D", {"paths": ["releases/y/*.zip"]}),
]
TREE_FILES = [
    ("targets", b"targetfile content", "targetfile"),
    ("A", b"README by A", "README.md"),
    ("A", b"nested README by A", "releases/README.md"),
    ("A", b"foo 1", "foo-1.tgz"),
    ("A", b"foo alpha", "foo-alpha.tgz"),
    ("C", b"x release by C", "releases/x/x_v1"),
    ("D", b"y release by D", "releases/y/y_v1.zip"),
    ("D", b"z release by D", "releases/z/z_v1.zip"),
]
SEARCHES = {
    "no delegations": ("targetfile", True, ""),
    "targetpath matches wildcard": ("README.md", True, "A"),
    "targetpath with separators x": ("releases/x/x_v1", True, "BC"),
    "targetpath with separators y": ("releases/y/y_v1.zip", True, "BD"),
    "targetpath is not delegated by all roles in the chain": ("releases/z/z_v1.zip", False, "B"),
    "wildcard does not match path separator": ("releases/README.md", False, ""),
    "targetpath matches question mark wildcard": ("foo-1.tgz", True, "A"),
    "targetpath does not match question mark wildcard": ("foo-alpha.tgz", False, ""),
    "targetpath matching is case sensitive": ("README.MD", False, ""),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_targetfile_search(client, repo, search):
    path, found, visited = SEARCHES[search]
    assert client.init() == 0
    publish_graph(repo, TREE, TREE_FILES)
    assert client.download(path) == (0 if found else 1)
    assert client.downloaded() == ([repo.artifacts[path]] if found else [])
    assert repo.metadata_requests[4:] == [(role, 1) for role in visited]


def test_delegation_not_in_snapshot(client, repo):
    """A role that the snapshot does not list is not asked for, and nobody behind it either."""
    assert client.init() == 0
    publish_graph(repo, [("targets", "delegated", {"paths": ["delegatedpath/*"]}), ("targets", "other")], [("other", b"content", "delegatedpath/foo")])
    del repo.snapshot["meta"]["delegated.json"]
    repo.publish("snapshot", "timestamp")
    assert client.refresh() == 0
    repo.metadata_requests.clear()
    assert client.download("delegatedpath/foo") == 1
    assert client.error == "E_MIX"
    assert client.version("delegated") is None and client.version("other") is None
    assert repo.metadata_requests == [("root", 2), ("timestamp", None)]


def diamond(client, repo):
    """A and B both delegate to C, each for paths and with a key of its own; C is signed with A's key only."""
    assert client.init() == 0
    publish_graph(repo, [("targets", "A", {"paths": ["a/*"]}), ("targets", "B", {"paths": ["b/*"]}), ("A", "C", {"paths": ["a/*"]}),
                         ("B", "C", {"paths": ["b/*"]})], [("C", b"a", "a/file"), ("C", b"b", "b/file")])
    of_a, of_b = (repo.signed[role]["delegations"]["roles"][0]["keyids"][0] for role in "AB")
    assert of_a != of_b
    signers = dict(repo.signers["C"])
    del repo.signers["C"][of_b]
    repo.publish("C", "snapshot", "timestamp")
    return signers


@pytest.mark.parametrize("how", ["one run", "two runs", "B first"])
def test_cached_role_is_verified_against_current_delegator(client, repo, how):
    """The case that the reference clients list as an expected failure: a role that is held, or stored, is verified by whoever delegates to it now."""
    signers = diamond(client, repo)
    if how == "one run":
        assert client.download("a/file", "b/file") == 1
    else:
        first, second = ("b/file", "a/file") if how == "B first" else ("a/file", "b/file")
        assert (client.download(first), client.download(second)) == ((1, 0) if how == "B first" else (0, 1))
    assert how == "B first" or client.error == "E_SIGNATURE"
    assert client.downloaded() == [b"a"]
    repo.signers["C"] = signers
    repo.publish("C", "snapshot", "timestamp")
    assert client.download("a/file", "b/file") == 0, client.stderr
    assert client.downloaded() == [b"a", b"b"]


def test_delegator_changes_keys(client, repo):
    """A stored role stops being believed when its delegator names another key, though snapshot still lists that very file."""
    assert client.init() == 0
    publish_graph(repo, [("targets", "A")], [("A", b"a", "file")])
    assert client.download("file") == 0
    repo.targets["delegations"]["roles"][0]["keyids"].clear()
    repo.add_key("A", "targets", sign=False)
    repo.publish(*REST)
    assert client.download("file") == 1
    assert client.error == "E_SIGNATURE"


@pytest.mark.parametrize("path, found", [("a/b", True), ("a/b/c", False), ("b", False), ("x/y.zip", True), ("x/yy.zip", False)])
def test_path_patterns(client, repo, path, found):
    """A star or a question mark never stands for a slash."""
    assert client.init() == 0
    publish_graph(repo, [("targets", "A", {"paths": ["a/*", "x/?.zip"]})], [("A", b"content", path)])
    assert client.download(path) == (0 if found else 1)
    assert (("A", 1) in repo.metadata_requests) == found


def test_path_hash_prefixes(client, repo):
    assert client.init() == 0
    digest = hashlib.sha256(b"some/where/file").hexdigest()
    wrong = "0" if digest[0] != "0" else "1"
    publish_graph(repo, [("targets", "other", {"prefixes": [wrong + digest[1:3]]}), ("targets", "bin", {"prefixes": ["fffffff", digest[:2]]})],
                  [("bin", b"in the bin", "some/where/file"), ("other", b"not that", "some/where/file")])
    repo.artifacts["some/where/file"] = b"in the bin"
    assert client.download("some/where/file") == 0, client.stderr
    assert client.downloaded() == [b"in the bin"]
    assert repo.metadata_requests[4:] == [("bin", 1)]


def test_at_most_32_roles_are_visited(client, repo):
    assert client.init() == 0
    chain = ["targets", *(f"r{number}" for number in range(40))]
    publish_graph(repo, list(zip(chain, chain[1:])), [("r39", b"deep", "file"), ("r31", b"reached", "other")])
    assert client.download("file") == 1
    assert repo.metadata_requests[4:] == [(f"r{number}", 1) for number in range(32)]
    assert client.download("other") == 0, client.stderr


@pytest.mark.parametrize("role", ["?", "#", "/delegatedrole", "../delegatedrole", "ä ö", "%2e%2e"])
def test_unusual_role_name(client, repo, role):
    assert client.init() == 0
    repo.delegate("targets", role)
    repo.publish(role, *REST)
    assert client.download("nonexistent target") == 1
    assert client.error == "E_NOT_FOUND", client.stderr
    assert (urllib.parse.quote(role, ""), 1) in repo.metadata_requests
    assert len(client.trusted_roles()) == 5
    assert sorted(file.name for file in client.folder.iterdir()) == ["artifacts", "initial_root.json", "metadata"]


# Repositories as files.


def write_team_repository(repo):
    """As repositories run by several people look: custom fields, people who have not signed yet, a delegation over several depths."""
    repo.root["x-expiry-period"] = 7300
    late = repo.add_key("root", sign=False)
    repo.root["keys"][late.keyid]["x-keyowner"] = "@someone"
    repo.delegate("targets", "delegatedrole", [f"delegatedrole/{depth}*" for depth in ("", "*/", "*/*/")], terminating=True)
    repo.add_artifact("delegatedrole", b"artifact of the delegated role\n", "delegatedrole/artifact")
    repo.publish("root", "delegatedrole", *REST)
    for role in ("root", "delegatedrole"):
        repo.change(role, lambda document: document["signatures"].append({"keyid": late.keyid, "sig": ""}))
    return "delegatedrole/artifact", 0


def write_late_repository(repo):
    """Years of root versions behind it, in two key types, and metadata that expires in days."""
    repo.publish(*["root"] * 10)
    old = dict(repo.signers["root"])
    repo.rotate_keys("root")
    repo.add_key("root", signer=repo.new_signer("rsa", "rsassa-pss-sha256"))
    repo.signers["root"].update(old)
    repo.publish("root")
    for role in REST:
        repo.signed[role]["expires"] = stamp(days=4)
    repo.add_artifact("targets", b"{}", "trusted_root.json", ["sha256", "sha512"])
    repo.publish(*REST)
    return "trusted_root.json", 3


class StaticReplies(dict):
    """Files of a folder in the place of a repository."""

    def __init__(self, folder):
        super().__init__()
        self.folder = folder

    def __contains__(self, path):
        return (self.folder / path).is_file()

    def __getitem__(self, path):
        return Reply((self.folder / path).read_bytes())


@pytest.mark.parametrize("write", [write_team_repository, write_late_repository])
def test_static_repo(client, repo, tmp_path, write):
    target, days = write(repo)
    repo.save(tmp_path / "static")
    repo.replies = StaticReplies(tmp_path / "static")
    repo.published.clear()
    assert client.init() == 0
    assert client.refresh(days=days) == 0, client.stderr
    assert client.download(target, days=days) == 0, client.stderr
    assert client.downloaded() == [repo.artifacts[target]]


# The relaxed profile is the test program's alone.


def test_relaxed_profile_is_in_no_program():
    assert MARK in pathlib.Path(program("tests/tuf-client")).read_bytes()
    for name in ("pawld", "pawl", "pawl-agent"):
        assert MARK not in pathlib.Path(program(name)).read_bytes(), name
