"""A stolen server shows the release team forged metadata to extend: `pawl` signs nothing on top of it, and nothing signed leaves the machine."""

import base64
import json
import os
import ssl

import pytest

from lib.evil import NEW, Reply, image, listed, release
from lib.pki import new_key
from lib.server import run_pawl, write_secret
from lib.tuf import after, file_bytes, key_id, key_object

TRUST, REFUSED = 5, 3


class Signer:
    def __init__(self, world, keys, folder):
        world.tls.verify_mode = ssl.CERT_NONE
        world.others["/api/v1/releases"] = Reply(b'{"items":[],"next":null}', headers=[("Content-Type", "application/json")])
        self.world, self.keys = world, keys
        self.folder = folder / "signer"
        keys.copy(self.folder)
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
        write_secret(folder / "token", "pawl_signer_" + "x" * 43 + "\n")
        (folder / "image.bin").write_bytes(image("the next release"))
        self.common = ("--server", f"https://localhost:{world.device_port}", "--ca", world.pki.server_ca, "--token-file", folder / "token")
        self.image = folder / "image.bin"

    def pawl(self, *arguments):
        return run_pawl(*arguments, *self.common, check=False, env=self.environment)

    def publish(self, *more):
        return self.pawl("release", "publish", self.image, "--product", "gateway", "--version", "4.0.0", "--hardware", "qemu-arm", "--keys", self.folder,
                         "--passphrase-file", self.keys.passphrase_file, "--yes", *more)


@pytest.fixture
def signer(world, keys, tmp_path):
    """Has seen the honest repository."""
    made = Signer(world, keys, tmp_path)
    done = made.publish()  # signs; the server here takes all that it is given
    assert [path for _, path, _ in world.taken if path == "/api/v1/releases"], done.stderr
    world.taken.clear()
    return made


def malware_slipped_in(world):
    document = json.loads(world.files["2.targets.json"])
    document["signed"]["targets"][NEW] = release(b"malware", "gateway", "3.0.0", 3, 1)
    changed_targets(world, document)


def an_old_entry_taken_out(world):
    document = json.loads(world.files["2.targets.json"])
    del document["signed"]["targets"]["gateway/1.0.0/image.bin"]
    changed_targets(world, document)


def changed_targets(world, document):
    """Under the honest names, announced by a new timestamp; the signatures are the old ones."""
    world.files["2.targets.json"] = file_bytes(document)
    snapshot = json.loads(world.files["2.snapshot.json"])
    snapshot["signed"]["version"] = 3
    snapshot["signed"]["meta"]["targets.json"] = listed(2, world.files["2.targets.json"])
    world.files["3.snapshot.json"] = file_bytes(snapshot)
    world.stamp(listed(3, world.files["3.snapshot.json"]))


def forged_by_the_online_keys(world):
    world.forge(*world.online.values())


def a_root_of_the_attackers(world):
    mine = new_key("p256")

    def take_over(root):
        root["keys"][key_id(mine)] = key_object(mine)
        root["roles"]["targets"] = {"keyids": [key_id(mine)], "threshold": 1}

    world.files.update([world.team.next_root(*world.online.values(), change=take_over)])
    world.forge(mine)


def yesterday_again(world):
    world.stamp(listed(1, world.history[0]["1.snapshot.json"]))


def old_targets_under_the_new_name(world):
    world.publish_new()
    world.files["3.targets.json"] = world.files["2.targets.json"]


def an_expired_timestamp(world):
    world.stamp(expires=after(hours=-1))


def an_older_timestamp(world):
    world.stamp(version=world.stamped - 5)


def a_timestamp_of_another_key(world):
    world.online["timestamp"] = new_key("ed25519")
    world.stamp()


def bytes_behind_the_targets(world):
    world.publish_new()
    world.files["3.targets.json"] += b"\n"


def targets_without_end(world):
    world.publish_new()
    world.files["3.targets.json"] = Reply(b"x" * (1 << 20), length=-1, endless=True)


def no_timestamp_any_more(world):
    del world.files["timestamp.json"]


def no_snapshot_any_more(world):
    world.publish_new()
    del world.files["3.snapshot.json"]


LIES = (malware_slipped_in, an_old_entry_taken_out, forged_by_the_online_keys, a_root_of_the_attackers, yesterday_again, old_targets_under_the_new_name,
        an_expired_timestamp, an_older_timestamp, a_timestamp_of_another_key, bytes_behind_the_targets, targets_without_end, no_timestamp_any_more,
        no_snapshot_any_more)


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_forged_metadata_is_not_extended(signer, lie):
    lie(signer.world)
    done = signer.publish()
    assert done.returncode in (TRUST, REFUSED), done.stderr
    assert signer.world.taken == []
    assert done.stderr.startswith("pawl: ") and len(done.stderr.splitlines()) == 1, done.stderr


def test_what_it_shows_first_is_what_it_signs(signer):
    """Honest metadata with a release that a stolen targets key has added: nothing is wrong with it, so people must see it."""
    signer.world.publish_new()
    listed_now = signer.world.files["3.targets.json"]
    done = signer.publish()
    assert "gateway: 3.0.0 -> 4.0.0" in done.stderr, done.stderr
    body = next(json.loads(body) for _, path, body in signer.world.taken if path == "/api/v1/releases")
    signed = json.loads(base64.b64decode(body["targets"]))["signed"]
    assert set(signed["targets"]) == set(json.loads(listed_now)["signed"]["targets"]) | {"gateway/4.0.0/image.bin"}
    assert signed["version"] == 4
