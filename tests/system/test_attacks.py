"""Every known attack on an updater, against the real agent (trust.md §6). Names are those of the public TUF conformance suite where it has one.

The server is the attacker's: it has the TLS key, the timestamp key and the directive key. What it has not is an offline key; where a test signs with
one, the release team did that itself (a key rotation), or the test is about thresholds.
"""

import json

import pytest

from lib.evil import NEW, Reply, image, listed
from lib.pki import new_key
from lib.tuf import envelope, file_bytes, key_id, key_object
from lib.victim import CONFIRMED, FLOOR


def test_the_harness_can_update(world, device):
    """No attack: what is refused below is refused for its fault alone."""
    world.publish_new()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")
    assert device.state()["floors"] == [{**FLOOR, "sequence": 3}]


# ---- arbitrary software


def test_arbitrary_software_image(world, device):
    world.publish_new()
    world.images[NEW] = b"M" * len(world.images[NEW])
    device.assert_refused("E_HASH")
    assert "E_HASH" in world.reported()


@pytest.mark.parametrize("role", ["timestamp", "directive", "both", "stranger"])
def test_arbitrary_software_metadata(world, device, role):
    """Signed by a key that is valid, but for another role."""
    keys = {"timestamp": [world.online["timestamp"]], "directive": [world.online["directive"]], "both": list(world.online.values()),
            "stranger": [new_key("ed25519")]}[role]
    world.forge(*keys)
    device.assert_refused("E_SIGNATURE")


def test_unsigned_metadata(world, device):
    """No signature, an empty list, a signature of 0 bytes, the signed part alone."""
    world.publish_new()
    name = f"{world.team.targets['version']}.targets.json"
    honest = json.loads(world.files[name])
    honest["signed"]["targets"][NEW]["hashes"]["sha256"] = "0" * 64
    empty = [{"keyid": honest["signatures"][0]["keyid"], "sig": ""}]
    for document, code in ((dict(honest, signatures=[]), "E_SIGNATURE"), (dict(honest, signatures=empty), "E_SIGNATURE"),
                           (honest["signed"], "E_FORMAT"), ({"signed": honest["signed"]}, "E_FORMAT"), (dict(honest, signatures=None), "E_FORMAT")):
        announce_targets(world, file_bytes(document))
        device.assert_refused(code, passes=1)


def announce_targets(world, targets_file):
    """The team's snapshot key signs for these targets, so that only the targets' own checks stand in the way."""
    world.team.targets["version"] += 1
    document = json.loads(targets_file)
    if isinstance(document, dict) and isinstance(document.get("signed"), dict):
        document["signed"]["version"] = world.team.targets["version"]
        targets_file = file_bytes(document)
    world.files[f"{world.team.targets['version']}.targets.json"] = targets_file
    world.take(world.team.publish_snapshot(targets_file))


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_a_bit_flipped_in_each_file(world, device, role):
    """A sample over the wire; every bit is flipped in tests/unit/test_trust_metadata.c."""
    world.publish_new()
    if role == "root":
        world.files.update([world.team.next_root()])
    name = {"timestamp": "timestamp.json", "snapshot": f"{world.team.snapshot['version']}.snapshot.json",
            "targets": f"{world.team.targets['version']}.targets.json", "root": "2.root.json"}[role]
    honest = world.files[name]
    for at in range(len(honest) // 7, len(honest), len(honest) // 5):
        spoilt = bytearray(honest)
        spoilt[at] ^= 1
        world.files[name] = bytes(spoilt)
        device.assert_refused("E_SIGNATURE", "E_FORMAT", "E_HASH", "E_THRESHOLD", passes=1)
    world.files[name] = honest
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_fields_deleted_and_emptied(world, device):
    """By the attacker in what it can sign: no field of a timestamp or directive may be missing, and none makes the device crash."""
    world.publish_new()
    for field in ("_type", "expires", "meta", "spec_version", "version"):
        for value in (None, "", {}, [], 0, -1, True):
            signed = json.loads(world.files["timestamp.json"])["signed"]
            world.stamped += 1
            signed["version"] = world.stamped
            signed[field] = value
            if value is None:
                del signed[field]
            saved = world.files["timestamp.json"]
            world.files["timestamp.json"] = file_bytes(envelope(signed, world.online["timestamp"]))
            device.assert_refused("E_FORMAT", "E_FREEZE", passes=1)
            world.files["timestamp.json"] = saved
    world.stamp()
    for field in ("_type", "action", "device", "spki_sha256", "nonce", "issued", "expires", "timestamp_version", "release", "deployment"):
        for value in (None, "", {}, -1):
            world.on_check = lambda ask, field=field, value=value: world.directive(ask, **{field: value})
            device.assert_refused("E_FORMAT", "E_FREEZE", "E_DIRECTIVE", passes=1)


# ---- threshold cheating: the root says 2 of 3


def signed_root_2(world, *signers, change=None):
    name, data = world.team.next_root(*signers, change=change)
    world.files[name] = data
    return json.loads(data)


def test_root_has_too_few_signatures(world, device):
    signed_root_2(world, world.team.keys.root[0])
    device.assert_refused("E_THRESHOLD")


def test_duplicate_sig_keyids(world, device):
    """One key's signature twice under one id."""
    document = signed_root_2(world, world.team.keys.root[0])
    document["signatures"] *= 2
    world.files["2.root.json"] = file_bytes(document)
    device.assert_refused("E_FORMAT", "E_THRESHOLD")


def test_one_key_under_two_ids(world, device):
    document = signed_root_2(world, world.team.keys.root[0])
    document["signatures"].append(dict(document["signatures"][0], keyid=key_id(world.team.keys.root[1])))
    world.files["2.root.json"] = file_bytes(document)
    device.assert_refused("E_THRESHOLD")


def test_duplicate_keys_root(world, device):
    """The release team itself lists one key under two ids, and a threshold that only counting twice can reach."""
    def change(root):
        root["keys"]["0" * 64] = key_object(world.team.keys.targets)
        root["roles"]["targets"] = {"keyids": [key_id(world.team.keys.targets), "0" * 64], "threshold": 2}

    signed_root_2(world, change=change)
    device.assert_refused("E_THRESHOLD", "E_FORMAT")


@pytest.mark.parametrize("threshold", [0, -1, 2**31, 2**32 + 1, 2**53, "1", None, True, [], 3])
def test_threshold_that_is_none(world, device, threshold):
    """Refused although the root keys themselves signed it."""
    def change(root):
        root["roles"]["timestamp"]["threshold"] = threshold

    signed_root_2(world, change=change)
    device.assert_refused("E_THRESHOLD", "E_FORMAT", passes=1)


@pytest.mark.parametrize("text", [b"1.0", b"1e0", b"01", b"+1", b" 1", b"0x1", b"1,\"threshold\":1"])
def test_threshold_spelled_otherwise(world, device, text):
    document = signed_root_2(world)
    data = file_bytes(document).replace(b'"threshold":1', b'"threshold":' + text, 1)
    assert data != file_bytes(document)
    world.files["2.root.json"] = data
    device.assert_refused("E_FORMAT", passes=1)


# ---- key rotation


def rotate(world, role, new, signers=None):
    def change(root):
        old = {key_id(key) for key in (world.team.keys.targets, world.team.keys.snapshot, world.online["timestamp"], world.online["directive"])}
        place = root if role == "x-pawl-directive" else root["roles"]
        root["keys"][key_id(new)] = key_object(new)
        gone = [name for name in place[role]["keyids"] if name in old]
        place[role]["keyids"] = [key_id(new)]
        for name in gone:
            del root["keys"][name]

    world.files.update([world.team.next_root(*(signers or ()), change=change)])


def test_root_rotation(world, device):
    """Roots 2 to 5 are walked in one run and persisted."""
    for _ in range(4):
        world.files.update([world.team.next_root()])
    world.publish_new()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")
    assert json.loads((device.folder / "state" / "tuf" / "root.json").read_bytes())["signed"]["version"] == 5


def test_root_rotation_by_new_keys_alone(world, device):
    """The new root satisfies itself, but the old keys did not sign it."""
    mine = [new_key("p256"), new_key("p256")]

    def change(root):
        for key in mine:
            root["keys"][key_id(key)] = key_object(key)
        root["roles"]["root"] = {"keyids": [key_id(key) for key in mine], "threshold": 2}

    world.files.update([world.team.next_root(*mine, change=change)])
    device.assert_refused("E_SIGNATURE")


def test_root_rotation_by_old_keys_alone(world, device):
    """The old keys signed, the new root does not satisfy itself."""
    mine = new_key("p256")

    def change(root):
        root["keys"][key_id(mine)] = key_object(mine)
        root["roles"]["root"] = {"keyids": [key_id(mine)], "threshold": 1}

    world.files.update([world.team.next_root(change=change)])
    device.assert_refused("E_SIGNATURE")


def test_root_signed_with_online_keys(world, device):
    world.files.update([world.team.next_root(*world.online.values())])
    device.assert_refused("E_SIGNATURE")


def test_targets_of_a_rotated_key(world, device):
    """The targets key was stolen and rotated: what it signs now is nothing."""
    rotate(world, "targets", new_key("p256"))
    world.publish_new()
    device.assert_refused("E_SIGNATURE")


def test_root_version_gap_and_repeat(world, device):
    world.files["2.root.json"] = world.team.keys.root_file
    device.assert_refused("E_ROLLBACK", passes=1)
    world.team.next_root()
    world.files["2.root.json"] = world.team.next_root()[1]  # says 3
    device.assert_refused("E_MIX", passes=1)


def test_max_root_rotations(world, device):
    """At most 64 hops a run: an endless chain is a bounded run, and the next one goes on."""
    for _ in range(70):
        world.files.update([world.team.next_root()])
    world.publish_new()
    device.settle()
    asked = [path for path in world.requests if path.endswith("root.json")]
    assert device.running_image() == image("gateway 3.0.0") and "/tuf/71.root.json" in asked


# ---- metadata rollback


def test_new_timestamp_version_rollback(world, device):
    old = world.files["timestamp.json"]
    world.publish_new()
    device.once()
    world.files["timestamp.json"] = old
    assert "E_ROLLBACK" in device.codes()


def test_new_timestamp_snapshot_rollback(world, device):
    """A newer timestamp names the older snapshot."""
    old = world.history[0]
    world.offer("gateway/1.0.0/image.bin")
    world.stamp(listed(1, old["1.snapshot.json"]))
    device.assert_refused("E_ROLLBACK")


def test_new_snapshot_version_rollback(world, device):
    """The release team's snapshot key, stolen: a new snapshot that names the old targets."""
    world.team.targets["version"] = 1
    world.files.update(world.team.publish_snapshot(world.history[0]["1.targets.json"]))
    world.stamp()
    device.assert_refused("E_ROLLBACK")


def test_snapshot_that_lists_no_targets(world, device):
    signed = dict(world.team.snapshot, version=9, meta={})
    data = file_bytes(envelope(signed, world.team.keys.snapshot))
    world.files["9.snapshot.json"] = data
    world.stamp(listed(9, data))
    device.assert_refused("E_ROLLBACK", "E_FORMAT", "E_MIX")


def test_a_device_that_lost_its_metadata_keeps_its_floor(world, device):
    """Timestamp, snapshot and targets deleted on the device: rollback of metadata is not seen, the floor holds."""
    for name in ("timestamp.json", "snapshot.json", "targets.json"):
        (device.folder / "state" / "tuf" / name).unlink()
    world.files = dict(world.history[0])
    world.stamp(listed(1, world.files["1.snapshot.json"]))
    world.offer("gateway/1.0.0/image.bin")
    device.assert_refused("E_ROLLBACK")


# ---- mix-and-match


def test_mix_and_match_targets(world, device):
    """The new snapshot with the old targets under the new name."""
    world.publish_new()
    world.files["3.targets.json"] = world.files["2.targets.json"]
    device.assert_refused("E_LENGTH", "E_HASH")


def test_new_snapshot_version_mismatch(world, device):
    """The timestamp announces version 7, the file says another one; length and hash fit."""
    world.publish_new()
    data = world.files[f"{world.team.snapshot['version']}.snapshot.json"]
    world.files["7.snapshot.json"] = data
    world.stamp(listed(7, data))
    device.assert_refused("E_MIX")


def test_new_targets_version_mismatch(world, device):
    world.team.add("3.0.0", 3, 1)
    files = world.team.publish()
    targets = files[f"{world.team.targets['version']}.targets.json"]
    world.team.targets["version"] = 8
    world.files["8.targets.json"] = targets
    world.files.update(world.team.publish_snapshot(targets))
    world.stamp()
    device.assert_refused("E_MIX")


# ---- fast-forward and recovery


def test_new_timestamp_fast_forward_recovery(world, device):
    """The stolen timestamp key signs version 2^53 − 1: nothing newer can come, until root names another key."""
    world.stamp(version=2**53 - 1)
    device.once()
    assert device.hurt() == []
    world.stamped = 2_000_000_000
    world.publish_new()
    device.assert_refused("E_ROLLBACK")
    world.online["timestamp"] = new_key("ed25519")
    rotate(world, "timestamp", world.online["timestamp"])
    world.stamp()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_new_snapshot_fast_forward_recovery(world, device):
    """The same with a snapshot version that the timestamp announces."""
    world.stamp(listed(2**53 - 1, world.files["2.snapshot.json"]))
    assert "E_NOT_FOUND" in device.codes()
    world.publish_new()
    device.assert_refused("E_ROLLBACK")
    world.online["timestamp"] = new_key("ed25519")
    rotate(world, "timestamp", world.online["timestamp"])
    world.stamp()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_new_directive_fast_forward_recovery(world, device):
    """The stolen directive key issues in the year 9998. To a device without a clock nothing issued now is as new, until root names another key."""
    device.write_config(device={"clock": "none"})
    world.on_check = lambda ask: world.directive(ask, issued="9998-01-01T00:00:00Z", expires="9998-01-01T01:00:00Z")
    device.once()
    world.on_check = None
    world.publish_new()
    device.assert_refused("E_FREEZE")
    world.online["directive"] = new_key("ed25519")
    rotate(world, "x-pawl-directive", world.online["directive"])
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


# ---- firmware downgrade, wrong hardware, what else the signed release says


def test_firmware_downgrade(world, device):
    world.offer("gateway/1.0.0/image.bin")
    device.assert_refused("E_ROLLBACK")
    assert "E_ROLLBACK" in world.reported()


def test_firmware_downgrade_by_a_lying_directive(world, device):
    """The directive gives the old release a higher sequence: it must be what the offline keys signed."""
    for lies in ({"sequence": 9}, {"sequence": 9, "security_version": 9}, {"version": "9.0.0"}, {"sha256": "0" * 64}, {"length": 1}):
        world.offer("gateway/1.0.0/image.bin", **lies)
        device.assert_refused("E_TARGET", passes=1)


def test_equal_sequence_with_other_bits(world, device):
    """Signed by the team (by mistake): the same sequence again is no update."""
    world.offer(world.team.add("2.0.1", 2, 1))
    world.take(world.team.publish())
    device.assert_refused("E_ROLLBACK")


def test_security_version_downgrade(world, device):
    world.offer(world.team.add("3.0.0", 3, 0))
    world.take(world.team.publish())
    device.assert_refused("E_ROLLBACK")


@pytest.mark.parametrize("hardware", [("qemu-arm64",), ("qemu-ar", "qemu-armx", "QEMU-ARM", "qemu_arm")])
def test_wrong_hardware(world, device, hardware):
    world.publish_new(hardware=hardware)
    device.assert_refused("E_HARDWARE")
    assert "E_HARDWARE" in world.reported()


def test_wrong_product(world, device):
    world.offer(world.team.add("9.0.0", 9, 9, product="camera"))
    world.take(world.team.publish())
    device.assert_refused("E_TARGET")


def test_stepping_stone_is_not_skipped(world, device):
    world.publish_new(requires_sequence=2)
    world.offer(world.team.add("5.0.0", 5, 1, requires_sequence=4))
    world.take(world.team.publish())
    device.assert_refused("E_STEPPING_STONE")


def test_withdrawn_release(world, device):
    world.publish_new(withdrawn=True)
    device.assert_refused("E_TARGET")


def test_floor_survives_every_refusal(world, device):
    for path in ("gateway/1.0.0/image.bin", "gateway/7.7.7/image.bin"):
        world.offer(path)
        device.codes()
    assert device.state()["floors"] == [FLOOR] and device.running_image() == CONFIRMED


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "gateway/3.0.0/../1.0.0/image.bin", "gateway//image.bin", "gateway/3.0.0/%2e%2e", "x" * 300])
def test_paths_in_directives(world, device, path):
    world.offer(path)
    device.assert_refused("E_NOT_FOUND", "E_TARGET", passes=1)


@pytest.mark.parametrize("deployment", ["../../x", "a b", "", "x" * 65, "\n", 7])
def test_deployment_that_is_no_id(world, device, deployment):
    world.publish_new()
    world.on_check = lambda ask: world.directive(ask, deployment=deployment)
    device.assert_refused("E_FORMAT", "E_DIRECTIVE", passes=1)


def test_metadata_that_is_withheld(world, device):
    for name in ("timestamp.json", f"{world.team.snapshot['version'] + 1}.snapshot.json"):
        world.publish_new() if name != "timestamp.json" else None
        saved = dict(world.files)
        world.files[name] = Reply(status=404)
        device.assert_refused("E_NOT_FOUND", passes=1)
        world.files = saved


def test_after(world, device):
    """The device is none the worse for any of it: one that has seen refusals takes the honest release that follows."""
    world.offer("gateway/1.0.0/image.bin")
    device.codes()
    world.publish_new()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")
