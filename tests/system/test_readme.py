"""The README's shell blocks that are marked for testing are run, exactly those lines.

A block is marked by an HTML comment on the line before it: `<!-- test: curl -->`. The variables that its text explains are set here:
SERVER (https://host:port of the device listener), CERT, KEY, CA, PRODUCT, HARDWARE and the targets key's public part in targets-1.pub.pem.
"""

import hashlib
import os
import re
import subprocess

import pytest

from lib import firmware
from lib.paths import BUILD, ROOT

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


@pytest.mark.parametrize("command", ["tools/demo", "tools/test"])
def test_the_two_commands_are_named(command):
    assert command in README and os.access(ROOT / command, os.X_OK)
