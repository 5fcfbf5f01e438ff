"""The recipes of docs/keys.md, run as they stand there: every block is marked with its name, and what must be true after it is said here."""

import os
import re
import shlex
import subprocess

import pytest

from lib import firmware
from lib import tuf as signer
from lib.paths import ROOT, program
from lib.server import run_pawl
from test_trust_lifecycle import tuf
from test_trust_root import key_ids

BLOCK = re.compile(r"<!-- test: (\S+) -->\n```sh\n(.*?)\n```", re.DOTALL)
RECIPES = dict(BLOCK.findall((ROOT / "docs" / "keys.md").read_text(encoding="utf-8")))
SIGNING = ("keys new", "root sign", "root publish", "release publish", "release sign", "release renew", "release reissue", "release withdraw",
           "targets delegate")


class Desk:
    """A folder with keys, an image, and a `pawl` that knows the server and types the passphrases."""

    def __init__(self, new_server, folder):
        self.folder = folder
        self.next = folder / "next"
        self.next.mkdir(mode=0o700)
        self.server = new_server({"enrolment": {"auto_accept": "yes"}, "trust": {"next_keys": self.next}})
        self.server.publish(firmware.ATH_9271, "gateway", "1.0.0", ("rev-a",), "--file", "fw.bin")
        self.server.publish(firmware.ATH_7010, "gateway", "1.1.0", ("rev-a",), "--file", "fw.bin")
        (folder / "keys").symlink_to(self.server.keys)
        (folder / "fw.bin").write_bytes(firmware.UBOOT_ARM.read_bytes())
        (folder / "bin").mkdir()

    def wrap(self):
        """The server's port is another after each start."""
        wrapper = self.folder / "bin" / "pawl"
        online, offline = shlex.quote(str(self.server.online_passphrase_file)), shlex.quote(str(self.server.passphrase_file))
        asks = "|".join(f'"{words}"' for words in SIGNING)
        options = f"--yes --server https://localhost:{self.server.admin_port} --ca {shlex.quote(str(self.server.pki.server_ca))} --token-file " \
                  f"{shlex.quote(str(self.server.token_file))}"
        wrapper.write_text(f"""#!/bin/sh
case "$1 $2 $3" in
"keys new timestamp"|"keys new directive") exec {program("pawl")} "$@" --passphrase-file {online} ;;
esac
case "$1 $2" in
{asks}) exec {program("pawl")} "$@" --passphrase-file {offline} {options} ;;
esac
exec {program("pawl")} "$@" {options}
""")
        wrapper.chmod(0o755)

    def run(self, recipe, **variables):
        self.wrap()
        environment = {"PATH": f"{self.folder / 'bin'}:/usr/bin:/bin", "HOME": str(self.server.folder), "XDG_STATE_HOME": str(self.server.folder / "state"),
                       "NEXT_KEYS": str(self.next), **variables}
        done = subprocess.run(["bash", "-euc", RECIPES[recipe]], cwd=self.folder, env=environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, f"{recipe}:\n{done.stdout}{done.stderr}"
        return done

    def old(self, name):
        return key_ids(self.server, name)[0][:16]

    def publish_next(self, *more, version="3.0.0"):
        return self.server.publish(self.folder / "fw.bin", "gateway", version, ("rev-a",), *more, check=False)


@pytest.fixture
def desk(new_server, tmp_path):
    (tmp_path / "desk").mkdir()
    return Desk(new_server, tmp_path / "desk")


def keyids(server, role, version):
    signed = tuf(server, f"{version}.root.json")["signed"]
    return signed["x-pawl-directive"]["keyids"] if role == "directive" else signed["roles"][role]["keyids"]


def test_every_recipe_is_run_here():
    source = (ROOT / "tests" / "system" / "test_recipes.py").read_text(encoding="utf-8")
    assert len(RECIPES) >= 10 and [name for name in RECIPES if f'"{name}"' not in source] == []


def test_two_signers(desk):
    desk.run("two-signers")
    assert desk.server.operator().ok("GET", "/api/v1/releases/gateway/2.0.0")["signature"]
    assert len(tuf(desk.server, "4.targets.json")["signatures"]) == 2


def fill_targets(desk):
    """Releases with the longest notes, in one publication, until pawl finds no room for another."""
    device, api = desk.server.device("recipe-dev"), desk.server.operator()
    repository = signer.Repository(device, desk.server.keys, desk.server.passphrase_file.read_text(encoding="utf-8").rstrip("\n"))
    image = firmware.UBOOT_ARM64.read_bytes()
    draft = repository.next()
    while len(signer.file_bytes(draft.targets)) < (1 << 20) - (96 << 10) - 8000:
        draft.add(image, "gateway", f"1.2.{len(draft.targets['targets'])}", notes="n" * 4096)
    assert api.upload(image).status == 201
    reply = api.publish_files(draft.files())
    assert reply.status == 201, reply
    return len(reply.json["releases"])


def test_a_full_role(desk):
    """The last release that fits, the one that does not, and the way out; devices find old and new ones."""
    assert fill_targets(desk) > 150
    assert desk.publish_next("--notes", "n" * 2500, version="1.9.0").returncode == 0
    assert desk.publish_next("--notes", "n" * 2500, version="1.9.1").returncode in (0, 3)
    done = desk.publish_next("--notes", "n" * 4096, version="2.0.0")
    assert done.returncode == 3 and "this role is full with" in done.stderr and "pawl targets delegate" in done.stderr
    desk.run("full-role")
    assert list(tuf(desk.server, "1.gateway-2.json")["signed"]["targets"]) == ["gateway/2.0.0/fw.bin"]
    api = desk.server.operator()
    assert api.ok("GET", "/api/v1/releases/gateway/2.0.0")["sequence"] > api.ok("GET", "/api/v1/releases/gateway/1.9.0")["sequence"]
    done = desk.server.pawl("release", "withdraw", "gateway", "1.9.0", "--keys", desk.server.keys, "--passphrase-file", desk.server.passphrase_file, check=False)
    assert done.returncode == 0, done.stderr
    desk.server.restart()
    assert desk.publish_next(version="2.1.0").returncode == 0


def test_sealing(desk):
    desk.run("sealing")
    assert desk.server.operator().ok("GET", "/api/v1/releases/gateway/2.0.0")["encryption"] == "age"


@pytest.mark.parametrize("recipe, name, lost", [("root", "root-3", "root-3.pem"), ("targets", "targets-1", "targets-1.pem"),
                                                ("snapshot", "snapshot-1", "snapshot-1.pem"), ("timestamp", "timestamp", None),
                                                ("directive", "directive", None)])
def test_a_role_key_is_replaced(desk, recipe, name, lost):
    old = key_ids(desk.server, name)[0]
    if lost:
        (desk.server.keys / lost).unlink()
    desk.run(recipe, OLD=old[:16])
    assert old in keyids(desk.server, recipe, 1) and old not in keyids(desk.server, recipe, 2)
    extra = {"targets": ("--key", desk.folder / "tina.pem"), "snapshot": ("--key", desk.folder / "sue.pem")}.get(recipe, ())
    done = desk.publish_next(*extra)
    assert done.returncode == 0, done.stderr
    directive = desk.server.device("recipe-dev").get("/check?product=gateway&hardware=rev-a&nonce=0123456789abcdef")
    assert directive.status == 200 and directive.json["signatures"][0]["keyid"] in keyids(desk.server, "directive", 2)


def test_a_team_key(desk):
    for name in ("old", "new"):
        run_pawl("keys", "new", "targets", desk.folder / name, "--passphrase-file", desk.server.passphrase_file)
    signing = ("--keys", desk.server.keys, "--passphrase-file", desk.server.passphrase_file)
    desk.server.pawl("targets", "delegate", "gateway-team", "--path", "gateway/*", "--public-key", desk.folder / "old.pub", *signing)
    assert desk.publish_next("--key", desk.folder / "old.pem").returncode == 0
    desk.run("team")
    assert desk.publish_next("--key", desk.folder / "old.pem", version="3.1.0").returncode != 0
    assert desk.publish_next("--key", desk.folder / "new.pem", version="3.1.0").returncode == 0


def test_expired(desk):
    """Half a year later: targets and snapshot have expired for devices and for publishing, and are renewed all the same."""
    later = {"LD_PRELOAD": program("tests/shift_clock.so"), "TEST_CLOCK_OFFSET_S": str(181 * 86400),
             "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}
    desk.server.stop()
    desk.server.environment.update(later)
    desk.server.start()
    refused = desk.server.publish(desk.folder / "fw.bin", "gateway", "3.0.0", ("rev-a",), check=False, env={**os.environ, **later, "HOME": str(desk.folder)})
    assert refused.returncode == 5 and "expired" in refused.stderr
    done = desk.run("expired", **later)
    assert "! metadata of the server" in done.stderr
    assert tuf(desk.server, "2.root.json")["signed"]["version"] == 2 and tuf(desk.server, "3.targets.json")["signed"]["version"] == 3


def test_a_bad_release(desk):
    desk.run("bad-release")
    assert desk.server.operator().ok("GET", "/api/v1/releases/gateway/1.1.0")["withdrawn_at"]
    assert desk.server.operator().ok("GET", "/api/v1/releases/gateway/1.2.0")["sequence"] == 3
    assert os.path.exists(desk.folder / "keys")
