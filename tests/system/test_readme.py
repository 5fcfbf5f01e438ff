"""The README's shell blocks that are marked for testing are run, exactly those lines.

A block is marked by an HTML comment on the line before it: `<!-- test: curl -->`. The variables that its text explains are set here:
SERVER (https://host:port of the device listener), CERT, KEY, CA, PRODUCT, HARDWARE and the targets key's public part in targets-1.pub.pem.
"""

import hashlib
import os
import re
import shutil
import subprocess
import threading

import pytest

from lib import firmware
from lib.est import issuing
from lib.fleet import HARDWARE, Fleet
from lib.paths import BUILD, ROOT
from lib.pki import Certificate
from lib.server import write_secret

INI = re.compile(r"<!-- test: agent-conf -->\s*\n```ini\n(.*?)\n```", re.DOTALL)
BLOCK = re.compile(r"<!-- test: (\S+) -->\s*\n```(?:sh|shell|console|bash)\n(.*?)\n```", re.DOTALL)
README = (ROOT / "README.md").read_text(encoding="utf-8") if (ROOT / "README.md").exists() else ""


def blocks(name):
    return [text for marked, text in BLOCK.findall(README) if marked == name]


def test_curl_alone(router, tmp_path):
    """check → download in two ranges → verify the detached signature with openssl, by a plain client."""
    lines = blocks("curl")
    assert lines, "the README has no block that is marked with <!-- test: curl -->"
    device = router.pki.device("readme-1")
    router.device("readme-1").get("/whoami")
    public = router.pawl("keys", "export", router.keys, "targets-1").stdout
    (tmp_path / "targets-1.pub.pem").write_text(public, encoding="ascii")
    env = {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(tmp_path), "SERVER": router.url(), "CERT": str(device.cert), "KEY": str(device.key),
           "CA": str(router.pki.server_ca), "PRODUCT": "router", "HARDWARE": "qemu-arm"}
    script = "set -eu\n" + "\n".join(lines) + "\n"
    done = subprocess.run(["sh", "-x"], input=script, capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Verified OK" in done.stdout
    assert any(hashlib.sha256(path.read_bytes()).digest() == hashlib.sha256(firmware.UBOOT_ARM64.read_bytes()).digest()
               for path in tmp_path.iterdir() if path.is_file())
    log = [line for line in router.log().splitlines() if "readme-1" in line and "u-boot.bin" in line]
    assert len([line for line in log if "206" in line]) >= 2, "not downloaded in two ranges"


def test_from_zero_in_three_commands(new_server, pki, tmp_path):
    """The configuration and the three lines of the README, as they stand there; only the ports are this test's."""
    server = new_server(issuing(pki, tmp_path / "ca"))
    server.publish(firmware.UBOOT_ARM64, "router", "1.0.0", ("rev-b",))
    (conf,) = INI.findall(README)
    (script,) = blocks("three")
    assert len([line for line in script.splitlines() if line]) == 3
    here = tmp_path / "here"
    here.mkdir()
    (here / "pawl-agent.conf").write_text(conf + "\n", encoding="utf-8")
    shutil.copy(server.pki.server_ca, here / "server-ca.pem")
    shutil.copy(server.keys / "1.root.json", here / "1.root.json")
    profile = here / "profile"
    profile.write_text(f"[default]\nserver = https://localhost:{server.admin_port}\nca = {server.pki.server_ca}\ntoken_file = {server.token_file}\n", encoding="utf-8")
    env = {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(tmp_path), "PAWL_CONFIG": str(profile), "PAWL_AGENT_SERVER_URL": server.url(),
           "PAWL_AGENT_ENROLMENT_URL": f"https://localhost:{server.enrol_port}"}
    done = subprocess.run(["sh", "-x"], input=f"set -eu\n{script}\n", capture_output=True, text=True, env=env, cwd=here, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (here / "installed.bin").read_bytes() == firmware.UBOOT_ARM64.read_bytes()
    assert server.operator().device("kitchen-1")["installed"] == {"version": "1.0.0", "sequence": 1}


def test_enrolment_page(new_server, pki, tmp_path):
    """docs/enrolment.md: the issuing CA that it makes is one that the server takes, and curl with openssl is a sufficient client."""
    page = (ROOT / "docs" / "enrolment.md").read_text(encoding="utf-8")
    found = dict(BLOCK.findall(page))
    write_secret(tmp_path / "passphrase", "of the issuing CA\n")

    def run(script, **env):
        env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), **env}
        done = subprocess.run(["sh", "-x"], input=f"set -eu\n{script}\n", capture_output=True, text=True, env=env, cwd=tmp_path, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    run(found["ca"])
    cas = tmp_path / "device-cas.pem"
    cas.write_bytes((tmp_path / "issuing-ca.pem").read_bytes() + pki.device_ca.read_bytes())
    server = new_server({"listen": {"enrol": "127.0.0.1:0"}, "tls": {"device_ca": cas},
                         "enrolment": {"ca_certificate": tmp_path / "issuing-ca.pem", "ca_key": tmp_path / "issuing-ca.key", "ca_passphrase_file": tmp_path / "passphrase"}})
    claim = server.operator().ok("POST", "/api/v1/claims", {"device": "plain-1"})["secret"]
    run(found["curl"], EST=f"https://localhost:{server.enrol_port}", CA=str(pki.server_ca), ID="plain-1", CLAIM=claim)
    for name in ("device.pem", "next.pem"):
        assert server.device(certificate=Certificate(tmp_path / name, tmp_path / "device.key")).get("/whoami").json["id"] == "plain-1"


def live(fleet, script):
    """The fleet polls and installs while the script runs."""
    while script.poll() is None:
        fleet.confirm({name: told for name, told in fleet.poll().items()}, "1.1.0", 2)


def test_a_rollout_in_five_minutes(new_server, tmp_path):
    """The section's lines, with twenty devices that take part."""
    lines = blocks("rollout")
    assert lines, "the README has no block that is marked with <!-- test: rollout -->"
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.operator().ok("POST", "/api/v1/products", {"id": "router", "policy": "rollout"})
    server.publish(firmware.UBOOT_ARM, "router", "1.0.0", (HARDWARE,))
    server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", (HARDWARE,))
    fleet = Fleet(server, "router", 20)
    config = tmp_path / ".config" / "pawl"
    config.mkdir(parents=True)
    (config / "config").write_text(f"[default]\nserver = https://localhost:{server.admin_port}\nca = {server.pki.server_ca}\n"
                                   f"token_file = {server.token_file}\n", encoding="utf-8")
    env = {"PATH": f"{BUILD}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    script = subprocess.Popen(["sh", "-eu"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env, cwd=tmp_path)
    world = threading.Thread(target=live, args=(fleet, script))
    world.start()
    output, _ = script.communicate("\n".join(lines) + "\n", timeout=100)
    world.join()
    assert script.returncode == 0, output
    assert "included\t20\tget the release\n" in output and "phase 1\t2\t-\n" in output
    assert re.search(r"^rollout \d+  router 1\.1\.0  completed$", output, re.M)
    assert re.search(r"^phase 2  the rest     done      18 of 18 confirmed$", output, re.M)
    assert "reason\tpolicy-rollout\n" in output
    assert all(server.operator().device(name)["installed"]["version"] == "1.1.0" for name in fleet.ids)


@pytest.mark.parametrize("command", ["tools/demo", "tools/test"])
def test_the_two_commands_are_named(command):
    assert command in README and os.access(ROOT / command, os.X_OK)
