"""The owned-server game: an attacker with the server, its TLS key, both online keys and all that was ever published plays against the real agent.

A strategy is a function that arranges the world and says which codes the device may answer with. It has won when the device runs, or would boot,
anything but what the offline keys signed for it above its floor.
"""

import copy
import datetime
import json
import time

from lib.evil import NEW, Reply, image, listed
from lib.pki import new_key
from lib.tuf import envelope, file_bytes, key_id, key_object
from lib.victim import CODE, Victim

OLD = "gateway/1.0.0/image.bin"
TRUST = ("E_SIGNATURE", "E_THRESHOLD", "E_FORMAT")
strategies = []


def strategy(*codes):
    def note(function):
        strategies.append((function, codes))
        return function

    return note


@strategy("E_HASH")
def malware_in_place_of_the_image(world, _):
    world.publish_new()
    world.images[NEW] = b"M" * len(world.images[NEW])


@strategy("E_LENGTH")
def malware_behind_the_image(world, _):
    world.publish_new()
    world.images[NEW] += b"M" * 100


@strategy(*TRUST)
def targets_by_the_timestamp_key(world, _):
    world.forge(world.online["timestamp"])


@strategy(*TRUST)
def targets_by_the_directive_key(world, _):
    world.forge(world.online["directive"])


@strategy(*TRUST)
def targets_by_both_keys_under_the_right_ids(world, _):
    world.forge(*world.online.values())
    number = world.team.snapshot["version"] + 1
    for name, key in ((f"{number}.targets.json", world.team.keys.targets), (f"{number}.snapshot.json", world.team.keys.snapshot)):
        document = json.loads(world.files[name])
        document["signatures"] = [dict(document["signatures"][0], keyid=key_id(key))]
        world.files[name] = file_bytes(document)
    world.stamp(listed(number, world.files[f"{number}.snapshot.json"]))


@strategy(*TRUST)
def targets_without_signatures(world, _):
    world.forge()


@strategy(*TRUST, "E_HASH")
def honest_signatures_over_changed_targets(world, _):
    world.publish_new()
    document = json.loads(world.files["3.targets.json"])
    document["signed"]["targets"][NEW]["hashes"]["sha256"] = "0" * 64
    world.files["3.targets.json"] = file_bytes(document)


@strategy(*TRUST)
def delegation_to_myself(world, _):
    mine = new_key("ed25519")

    def delegate(targets):
        targets["delegations"] = {"keys": {key_id(mine): key_object(mine)},
                                  "roles": [{"name": "mine", "keyids": [key_id(mine)], "threshold": 1, "paths": ["gateway/*/*"], "terminating": True}]}

    world.forge(world.online["timestamp"], change=delegate)


@strategy(*TRUST)
def root_by_the_online_keys(world, _):
    mine = new_key("p256")

    def take_over(root):
        root["keys"][key_id(mine)] = key_object(mine)
        for role in ("targets", "snapshot"):
            root["roles"][role] = {"keyids": [key_id(mine)], "threshold": 1}

    world.files.update([world.team.next_root(*world.online.values(), change=take_over)])
    world.forge(mine)


@strategy("E_ROLLBACK")
def root_1_again_as_root_2(world, _):
    world.files["2.root.json"] = world.team.keys.root_file


@strategy("E_FORMAT", "E_SIGNATURE")
def root_2_with_two_signed_parts(world, _):
    world.files["2.root.json"] = world.team.keys.root_file.replace(b'"signed":{', b'"signed":{"_type":"root"},"signed":{', 1)


@strategy("E_ROLLBACK")
def all_of_yesterday_under_a_new_timestamp(world, _):
    world.stamp(listed(1, world.history[0]["1.snapshot.json"]))
    world.offer(OLD)


@strategy("E_HASH", "E_LENGTH", "E_ROLLBACK", "E_MIX")
def old_targets_in_the_new_snapshot(world, _):
    world.publish_new()
    world.files["3.targets.json"] = world.files["1.targets.json"]
    world.offer(OLD)


@strategy("E_ROLLBACK")
def the_old_release(world, _):
    world.offer(OLD)


@strategy("E_TARGET")
def the_old_release_called_new(world, _):
    world.offer(OLD, sequence=2**40, security_version=2**40, version="9.9.9")


@strategy("E_TARGET")
def the_new_path_with_the_old_image(world, _):
    world.publish_new()
    old = world.team.targets["targets"][OLD]
    world.images[NEW] = world.images[OLD]
    world.offer(NEW, sha256=old["hashes"]["sha256"], length=old["length"])


@strategy("E_HASH")
def the_old_image_under_the_new_name(world, _):
    world.publish_new()
    world.images[NEW] = world.images[OLD]


@strategy("E_HARDWARE")
def a_release_for_other_hardware(world, _):
    world.publish_new(hardware=("qemu-arm64",))


@strategy("E_TARGET")
def a_release_of_another_product(world, _):
    world.offer(world.team.add("9.0.0", 9, 9, product="camera"))
    world.take(world.team.publish())


@strategy("E_TARGET")
def a_withdrawn_release(world, _):
    world.publish_new(withdrawn=True)


@strategy("E_ROLLBACK")
def a_release_of_a_lower_security_version(world, _):
    world.offer(world.team.add("4.0.0", 4, 0))
    world.take(world.team.publish())


@strategy("E_STEPPING_STONE")
def over_a_stepping_stone(world, _):
    world.offer(world.team.add("9.0.0", 9, 1, requires_sequence=5))
    world.take(world.team.publish())


@strategy("E_DECRYPT")
def a_sealed_release_without_its_identity(world, _):
    world.publish_new(encryption="age", plain_length=10, plain_sha256="0" * 64)


@strategy("E_DIRECTIVE")
def the_directive_of_a_neighbour(world, _):
    world.publish_new()
    world.on_check = lambda ask: world.directive({**ask, "device": "neighbour", "spki_sha256": "0" * 64})


@strategy("E_FREEZE")
def the_directive_of_a_moment_ago(world, device):
    world.publish_new()
    kept = world.directive({"device": device.device_id, "spki_sha256": device.certificate.spki_sha256, "nonce": "0" * 32})
    world.on_check = lambda ask: kept


@strategy("E_FREEZE")
def a_directive_ahead_of_the_metadata(world, _):
    world.on_check = lambda ask: world.directive(ask, timestamp_version=2**50)


@strategy("E_SIGNATURE")
def a_directive_by_the_timestamp_key(world, _):
    world.publish_new()
    world.on_check = lambda ask: world.directive(ask, world.online["timestamp"])


@strategy("E_NOT_FOUND", "E_TARGET")
def a_path_out_of_the_repository(world, _):
    world.images["../../etc/passwd"] = b"M"
    world.offer("../../etc/passwd", length=1, sha256="0" * 64)


@strategy("E_FORMAT", "E_DIRECTIVE")
def a_deployment_that_is_a_path(world, _):
    world.publish_new()
    world.on_check = lambda ask: world.directive(ask, deployment="../../state")


@strategy("E_HASH", "E_RANGE")
def malware_first_and_the_honest_rest(world, device):
    world.publish_new()
    honest = world.images[NEW]
    world.images[NEW] = Reply(b"M" * len(honest), headers=[("ETag", '"one"')], cut=5000)
    device.once()
    have = sum(path.stat().st_size for path in device.downloads())
    world.images[NEW] = Reply(honest[have:], 206, headers=[("ETag", '"one"'), ("Content-Range", f"bytes {have}-{len(honest) - 1}/{len(honest)}")])


@strategy("E_RANGE", "E_LENGTH")
def a_part_that_nobody_asked_for(world, _):
    world.publish_new()
    world.images[NEW] = Reply(b"M" * 100, 206, headers=[("Content-Range", "bytes 0-99/100")])


@strategy("E_NETWORK")
def a_redirect_to_another_server(world, _):
    world.publish_new()
    world.images[NEW] = Reply(status=307, headers=[("Location", f"https://127.0.0.1:{world.device_port}/firmware/{OLD}")])


@strategy("E_HASH")
def the_file_changed_on_disk_after_its_check(world, device):
    world.publish_new()

    def strike(report):
        for part in device.downloads() if report["state"] == "installing" else ():
            part.write_bytes(b"M" * part.stat().st_size)

    world.on_report = strike


@strategy("E_ROLLBACK", "E_EXPIRED", "E_NOT_FOUND")
def back_in_time_on_a_device_without_clock(world, device):
    """The device believes the directive's time; that makes old metadata fresh again, and no release newer than it is."""
    device.write_config(device={"clock": "none"})
    past = datetime.datetime.utcnow().replace(microsecond=0) - datetime.timedelta(seconds=1)
    world.offer(OLD)
    world.on_check = lambda ask: world.directive(ask, issued=(past + datetime.timedelta(seconds=60)).isoformat() + "Z",
                                                 expires=(past + datetime.timedelta(seconds=120)).isoformat() + "Z")


@strategy("E_ROLLBACK")
def fast_forward_and_then_the_old_release(world, device):
    world.stamp(version=2**53 - 2)
    device.once()
    world.stamp(version=2**53 - 1)
    world.offer(OLD)


@strategy("E_ROLLBACK")
def the_old_release_to_a_device_that_lies_about_its_version(world, device):
    """The device's own report cannot lower its floor: the answer is judged by what was confirmed."""
    state = copy.deepcopy(device.state())
    assert state["installed"]["sequence"] == 2
    (device.folder / "running").write_text("a\n", encoding="ascii")
    device.slots["a"].write_bytes(image("gateway 2.0.0"))
    (device.folder / "boot").unlink()
    (device.folder / "boot").symlink_to(device.slots["a"])
    world.offer(OLD)


def test_the_owned_server_game(victim_past, tmp_path, capsys):
    wins, answers, begin = [], {}, time.monotonic()
    for number, (play, codes) in enumerate(strategies):
        world = victim_past[0].fork()
        try:
            device = Victim(tmp_path / str(number), world).be_like(victim_past[1])
            events = device.events()
            play(world, device)
            said = [CODE.findall(device.once().stderr) for _ in range(3)]
            harm = device.hurt()
            if harm or device.events() != events:
                wins.append((play.__name__, harm, device.log[-2000:]))
            answers[play.__name__] = said, codes
        finally:
            world.close()
    with capsys.disabled():
        print(f"\nattacks: {len(strategies)} strategies, {len(wins)} successes ({time.monotonic() - begin:.0f} s)")
    assert len(strategies) >= 20 and wins == []
    wrong = {name: said for name, (said, codes) in answers.items() if not all(one and one[-1] in codes for one in said)}
    assert wrong == {}
