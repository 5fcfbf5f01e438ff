"""What a device must live through without help: files that went away, clocks that jump, answers that would silence or busy it (trust.md §5)."""

import datetime
import json
import os
import resource
import shutil
import signal
import subprocess
import time

import pytest

from lib.evil import Reply, image
from lib.paths import program
from lib.pki import new_key
from lib.tuf import envelope, file_bytes, key_id, key_object
from lib.agent import wait_until

LOCAL_IO = 6
COMMAND = {"installer": "command", "command": "/bin/true", "slot_a": None, "slot_b": None, "boot_pointer": None}


def stamp(**delta):
    return (datetime.datetime.utcnow().replace(microsecond=0) + datetime.timedelta(**delta)).isoformat() + "Z"


class Daemon:
    """`pawl-agent run` for the time of a test."""

    def __init__(self, device):
        self.device = device
        self.process = device.spawn("run")

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(timeout=20) == 0, self.log()
        assert "AddressSanitizer" not in self.log() and "runtime error:" not in self.log()

    def log(self):
        return (self.device.folder / "agent.log").read_text(encoding="utf-8")

    def said(self, text, times=1, timeout=20):
        return wait_until(lambda: self.log().count(text) >= times, timeout)


# ---- the trusted root


def retire_all_root_keys(world):
    keys = [new_key("ed25519") for _ in range(3)]

    def change(root):
        for key in keys:
            root["keys"][key_id(key)] = key_object(key)
        root["roles"]["root"] = {"keyids": [key_id(key) for key in keys], "threshold": 2}

    name, data = world.team.next_root(*world.team.keys.root[:2], *keys[:2], change=change)
    world.files[name] = data


def forge_with_retired_root_keys(world):
    """Whoever has two of the retired root keys makes another root 2, and malware under it."""
    thief = new_key("ed25519")
    root = json.loads(world.team.keys.root_file)["signed"]
    root["version"] = 2
    root["keys"][key_id(thief)] = key_object(thief)
    for role in ("targets", "snapshot"):
        root["roles"][role] = {"keyids": [key_id(thief)], "threshold": 1}
    world.files["2.root.json"] = file_bytes(envelope(root, *world.team.keys.root[:2]))
    world.forge(thief)


@pytest.mark.parametrize("lost", ["root.json", "root.json is a loop", "tuf"])
def test_lost_root_does_not_bring_the_pinned_one_back(world, device, lost):
    retire_all_root_keys(world)
    assert device.once().returncode == 0 and device.state()["root_version"] == 2
    folder = device.folder / "state" / "tuf"
    if lost == "tuf":
        shutil.rmtree(folder)
    else:
        (folder / "root.json").unlink()
    if lost == "root.json is a loop":
        (folder / "root.json").symlink_to("root.json")
    forge_with_retired_root_keys(world)
    before = device.events()
    for _ in range(2):
        done = device.once()
        assert done.returncode == LOCAL_IO and str(device.folder / "state" / "tuf") in done.stderr, done.stderr
    assert device.hurt() == [] and device.events() == before and device.state()["root_version"] == 2


def test_lost_state_is_not_made_anew(device):
    """With it the floor is gone: whoever takes it away must not be able to downgrade the device."""
    assert device.once().returncode == 0
    (device.folder / "state" / "state").unlink()
    for _ in range(2):
        done = device.once()
        assert done.returncode == LOCAL_IO and "its floor is lost" in done.stderr, done.stderr
    assert not (device.folder / "state" / "state").exists()


def test_lost_metadata_of_a_young_device(device):
    """Also one that has only been pinned is not pinned twice."""
    shutil.rmtree(device.folder / "state")
    assert device.once().returncode == 0 and device.state()["root_version"] == 1
    shutil.rmtree(device.folder / "state" / "tuf")
    done = device.once()
    assert done.returncode == LOCAL_IO and "provision" in done.stderr


# ---- clocks


def test_server_clock_ahead_for_one_poll(world, device):
    """One answer from a server whose clock is a year ahead is refused, and the next honest one is good."""
    world.publish_new()
    world.on_check = lambda ask: world.directive(ask, issued=stamp(days=365), expires=stamp(days=365, minutes=59))
    device.assert_refused("E_FREEZE", passes=1)
    world.on_check = None
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_server_clock_a_little_ahead_and_back(world, device):
    world.on_check = lambda ask: world.directive(ask, issued=stamp(minutes=9), expires=stamp(minutes=68))
    assert device.once().returncode == 0
    world.on_check = None
    world.publish_new()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


# ---- waiting


def test_no_answer_silences_the_device(world, device):
    """Nobody signs Retry-After: a year is cut to the device's own longest wait (here a second)."""
    world.files["timestamp.json"] = Reply(status=503, headers=(("Retry-After", "31536000"),))
    with Daemon(device) as daemon:
        assert daemon.said("msg=waiting", 3), daemon.log()
    assert "seconds=31536000" not in daemon.log()


def test_repair_once_a_day(world, device):
    """The server offers what is confirmed as ever new deployments: it is installed over itself once, not for ever."""
    device.write_config(install={**COMMAND, "reboot": "none"})

    def check(ask):
        world.offer("gateway/2.0.0/image.bin")
        return world.directive(ask)

    world.on_check = check
    with Daemon(device) as daemon:
        assert daemon.said("code=E_TARGET", 2), daemon.log()
    assert daemon.log().count("msg=installing") == 1
    assert device.state()["repaired_at"] > 0 and device.state()["installed"]["sequence"] == 2


def test_asks_again_soon_but_not_at_once(world, device):
    device.write_config(install={**COMMAND, "reboot": "none"}, poll={"retry_min": "3s", "retry_max": "3s"})
    world.publish_new()
    with Daemon(device) as daemon:
        assert daemon.said("msg=waiting", 1), daemon.log()
        assert "msg=confirmed" in daemon.log() and "msg=waiting seconds=3" in daemon.log()


# ---- the verdict of somebody else


@pytest.mark.parametrize("verdict", ["passed", "failed"])
def test_confirm_beside_the_daemon(world, device, verdict):
    device.write_config(hooks={"confirm": "external", "self_test": None})
    world.publish_new()
    with Daemon(device) as daemon:
        assert daemon.said("waiting for `pawl-agent confirm`"), daemon.log()
        world.offered = None  # or it would try again at once
        done = device.command("confirm", *(["--failed"] if verdict == "failed" else []))
        assert done.returncode == 0, done.stderr
        assert wait_until(lambda: device.trial() is None), daemon.log()
    passed = verdict == "passed"
    assert device.running_image() == image("gateway 3.0.0" if passed else "gateway 2.0.0")
    assert device.state()["installed"]["sequence"] == (3 if passed else 2)


# ---- commands


def test_old_system_is_not_confirmed(device):
    """installer = command with nothing but a self-test: the old system after a failed switch would pass it as well."""
    device.write_config(install={**COMMAND, "running_file": None})
    done = device.command("check-config")
    assert done.returncode == 2 and "running_file" in done.stderr


def test_a_process_left_behind_by_a_hook(world, device):
    """It goes on writing into the hook's pipe; the hook has ended all the same."""
    script = device.folder / "self-test"
    script.write_text(f"#!/bin/sh\nyes &\necho $! >{device.folder}/pid\nsleep 0.5\n", encoding="ascii")
    device.write_config(install={**COMMAND, "reboot": "none"})
    world.publish_new()
    process = device.spawn("once")
    try:
        assert process.wait(timeout=20) == 0
    finally:
        process.kill()
        try:
            os.kill(int((device.folder / "pid").read_text(encoding="ascii")), signal.SIGKILL)
        except ProcessLookupError:
            pass
    assert device.state()["installed"]["sequence"] == 3


def started_oddly(device, prepare):
    return subprocess.run([program("pawl-agent"), "once", "--config", str(device.config_path)], capture_output=True, text=True, env=device.env(),
                          preexec_fn=prepare, timeout=60, check=False)


def test_started_with_ended_children_ignored(world, device):
    world.publish_new()
    done = started_oddly(device, lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN))
    assert done.returncode == 0, done.stderr
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_no_core_file(world, device):
    """A hook inherits the limit that the agent has given itself."""
    script = device.folder / "self-test"
    script.write_text(f"#!/bin/sh\nulimit -c >{device.folder}/core-limit\n", encoding="ascii")
    device.write_config(install={**COMMAND, "reboot": "none"})
    world.publish_new()
    hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
    if hard == 0:
        pytest.skip("core files are forbidden here already")
    done = started_oddly(device, lambda: resource.setrlimit(resource.RLIMIT_CORE, (hard, hard)))
    assert done.returncode == 0, done.stderr
    assert (device.folder / "core-limit").read_text(encoding="ascii") == "0\n"


def test_same_bits_as_a_new_release_have_their_own_chances(world, device):
    """Three times the self-test said no; signed again as another release, the bits are tried again, and a confirmation clears their count."""
    world.publish_new()
    device.self_test_says(1)
    for _ in range(11):
        device.once()
    assert device.state()["attempts"] == [{"path": "gateway/3.0.0/image.bin", "count": 3, "error": "E_SELFTEST"}]
    world.offer(world.team.add("3.0.1", 4, 1, data=image("gateway 3.0.0")))
    world.take(world.team.publish())
    for _ in range(3):  # installed, tested, back
        device.once()
    assert [attempt["path"] for attempt in device.state()["attempts"]] == ["gateway/3.0.0/image.bin", "gateway/3.0.1/image.bin"]
    device.self_test_says(0)
    device.settle()
    assert device.running_image() == image("gateway 3.0.0") and device.state()["installed"]["sequence"] == 4
    assert [attempt["path"] for attempt in device.state()["attempts"]] == ["gateway/3.0.0/image.bin"]


def test_full_disk_gives_the_unfinished_download_up(world, device, tmp_path):
    """Somebody else has filled the disk: not even the state can be written until the cut download goes."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, check=False).returncode != 0:
        pytest.skip("no right to mount a small file system")
    try:
        shutil.copytree(device.folder / "state", place / "state")
        device.write_config(device={"state": place / "state"})
        world.publish_new(data=b"z" * 1_000_000)
        world.images["gateway/3.0.0/image.bin"] = Reply(b"z" * 1_000_000, cut=900_000)
        device.once()
        assert sum(path.stat().st_size for path in (place / "state" / "download").iterdir()) > 0
        with open(place / "others", "wb", buffering=0) as others, pytest.raises(OSError):
            while True:
                others.write(b"x" * 4096)
        world.images["gateway/3.0.0/image.bin"] = b"z" * 1_000_000
        for _ in range(3):
            device.once()
        assert not list((place / "state" / "download").iterdir())
        world.offered = None
        done = device.once()
        assert done.returncode == 0, done.stderr
    finally:
        subprocess.run(["umount", place], check=True)


def test_opened_image_left_by_a_kill_is_swept(device):
    """The process was killed while an installer had the opened image of a sealed release."""
    left = device.folder / "state" / "download" / f"{'a' * 64}.opened.part"
    left.parent.mkdir(exist_ok=True)
    left.write_bytes(b"plain text")
    assert device.once().returncode == 0
    assert not left.exists()
