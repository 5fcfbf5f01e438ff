"""pawl top: a live view on a terminal, one look elsewhere, one document for scripts."""

import json
import os
import signal

import pexpect
import pytest

from lib.paths import heed_interrupts, program


@pytest.fixture(scope="module")
def lively(router):
    for number in range(3):
        router.device(f"top-{number}").directive(product="router", hardware="qemu-arm", version="0.9.0", sequence=0)
    rollout = router.operator().ok("POST", "/api/v1/rollouts", {"product": "router", "version": "1.1.0", "name": "seen by top", "continuous": True})
    router.operator().ok("POST", f"/api/v1/rollouts/{rollout['id']}/start", {})
    return router


def test_once(lively):
    done = lively.pawl("top")
    lines = done.stdout.splitlines()
    assert "\033" not in done.stdout and str(lively.admin_port) in lines[0]
    assert any(line.startswith("devices      3: 3 active, 0 pending") for line in lines)
    assert any(line.startswith("polls        ") and line.endswith(" a second") and "?" not in line for line in lines)
    assert any(line.startswith("deployments  ") and "3 offered" in line for line in lines)
    assert any(line.startswith("running      router 0.9.0 (3)") for line in lines)
    assert any(line.startswith("rollout 1  router 1.1.0  ") for line in lines)
    assert any("registered" in line and "top-2" in line for line in lines)


def test_json(lively):
    seen = json.loads(lively.pawl("top", "--json").stdout)
    assert seen["stats"]["devices"] == 3 and float(seen["polls_per_second"]) >= 0
    assert seen["rollouts"]["items"][0]["name"] == "seen by top" and seen["events"]["items"]


def test_with_fewer_scopes(lively, tmp_path):
    """What the token may not read is left out; without device:read there is nothing to show."""
    def run(*scopes):
        file = tmp_path / "-".join(scopes).replace(":", "-")
        file.write_text(lively.operator().token_with(*scopes))
        file.chmod(0o600)
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
        from lib.server import run_pawl

        return run_pawl("top", "--server", f"https://localhost:{lively.admin_port}", "--ca", lively.pki.server_ca, "--token-file", file, check=False, env=environment)

    done = run("device:read")
    assert done.returncode == 0 and "polls        ? a second" in done.stdout and "rollout 1" not in done.stdout and "devices      3" in done.stdout
    done = run("audit:read")
    assert done.returncode == 3 and "device:read" in done.stderr


def test_mistakes(lively):
    assert lively.pawl("top", "--interval", "0s", check=False).returncode == 2
    assert "3600" in lively.pawl("top", "--interval", "9999", check=False).stderr


def test_live_on_a_terminal(lively):
    """Drawn again in place, and what changes is seen; Ctrl-C ends it."""
    arguments = ["top", "--interval", "1", "--server", f"https://localhost:{lively.admin_port}", "--ca", lively.pki.server_ca, "--token-file", str(lively.token_file)]
    child = pexpect.spawn(program("pawl"), list(map(str, arguments)), dimensions=(40, 70), timeout=30, encoding="utf-8",
                          env={"PATH": os.environ["PATH"], "HOME": str(lively.folder), "TERM": "xterm"}, preexec_fn=heed_interrupts)
    child.expect("Ctrl-C ends")
    child.expect("devices      3: 3 active")
    lively.device("top-late").get("/whoami")
    child.expect("devices      4: 4 active")
    child.expect("top-late")
    widest = max(len(line) for line in child.before.replace("\x1b[K", "").replace("\x1b[H", "").replace("\x1b[J", "").splitlines())
    assert widest < 70
    child.kill(signal.SIGINT)
    child.expect(pexpect.EOF)
