"""Secrets stay where they belong: canaries are looked for in logs, output, arguments and the database."""

import os
import pathlib
import subprocess
import threading
import time

import pexpect
import pytest

from lib import firmware
from lib.agent import Agent
from lib.paths import program
from lib.server import ONLINE_PASSPHRASE, PASSPHRASE

HARDWARE = "qemu-arm"


class Watch(threading.Thread):
    """Reads the command line and the environment of every process that starts meanwhile."""

    def __init__(self, canaries):
        super().__init__(daemon=True)
        self.canaries = [canary.encode() for canary in canaries]
        self.found, self.seen, self.over = [], 0, threading.Event()

    def run(self):
        while not self.over.is_set():
            for folder in pathlib.Path("/proc").glob("[0-9]*"):
                try:
                    program_name = os.path.basename(os.readlink(folder / "exe"))
                    if not program_name.startswith("pawl"):
                        continue
                    self.seen += 1
                    for name in ("cmdline", "environ"):
                        data = (folder / name).read_bytes()
                        self.found += [(program_name, name, canary) for canary in self.canaries if canary in data]
                except OSError:
                    pass
            time.sleep(0.002)


def test_canaries(new_server, tmp_path):
    server = new_server({"enrolment": {"auto_accept": "yes"}, "log": {"level": "debug"}})
    secret = server.token.split("_", 2)[2]
    canaries = [PASSPHRASE, ONLINE_PASSPHRASE, secret]
    watch = Watch(canaries)
    watch.start()
    output = ""
    for done in (server.publish(firmware.ATH_9271, "canary", "1.0.0", (HARDWARE,)), server.pawl("whoami"), server.pawl("tokens", "list", "--json"),
                 server.pawl("release", "publish", "/nonexistent", "--product", "canary", "--version", "1", "--hardware", HARDWARE, "--keys", server.keys,
                             "--passphrase-file", server.passphrase_file, check=False)):
        output += done.stdout + done.stderr
    agent = Agent(tmp_path / "device", server, "canary-1", "canary")
    agent.settle()
    operator = server.operator()
    made = operator.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    canaries.append(made["secret"].split("_", 2)[2])
    bad = server.operator(token=server.token[:-1] + "x")
    bad.get("/api/v1/whoami")
    operator.post("/api/v1/products", b'{"id": "' + secret.encode() + b'/"}', headers=[("Content-Type", "application/json")])
    output += server.run("print-config").stdout
    server.stop()
    watch.over.set()
    watch.join()
    assert watch.seen > 0 and not watch.found
    for canary in canaries:
        assert canary not in server.log(), f"{canary[:6]}… in the log"
        assert canary not in output
        assert canary not in agent.log
    assert "PRIVATE KEY" not in server.log() + output + agent.log
    for path in server.data.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            assert not [canary for canary in canaries if canary.encode() in data], path
            assert path.stat().st_mode & 0o077 == 0, f"{path} is open to others"


def test_keys_folder(keys):
    """Encrypted, mode 0400, and the index has public parts alone."""
    names = ["root-1", "root-2", "root-3", "targets-1", "snapshot-1", "online/timestamp", "online/directive", "online/audit"]
    for name in names:
        path = keys.folder / f"{name}.pem"
        assert path.stat().st_mode & 0o777 == 0o400
        assert path.read_text(encoding="ascii").startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    assert "PRIVATE" not in (keys.folder / "keys.json").read_text(encoding="ascii")


def test_keys_init_needs_a_passphrase(tmp_path):
    """No terminal and none given: refused; too short: refused; nothing is left behind."""
    short = tmp_path / "short"
    short.write_text("short\n", encoding="ascii")
    short.chmod(0o600)
    for arguments in ([], ["--passphrase-file", str(short)]):
        done = subprocess.run([program("pawl"), "keys", "init", str(tmp_path / "keys"), *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False,
                              timeout=30, start_new_session=True)
        assert done.returncode != 0
        assert not (tmp_path / "keys").exists()
    opened = tmp_path / "open"
    opened.write_text(PASSPHRASE + "\n", encoding="ascii")
    opened.chmod(0o644)
    done = subprocess.run([program("pawl"), "keys", "init", str(tmp_path / "keys"), "--passphrase-file", str(opened)], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 7 and not (tmp_path / "keys").exists()


def test_passphrase_by_descriptor(tmp_path):
    read, write = os.pipe()
    os.write(write, (PASSPHRASE + "\n").encode())
    os.close(write)
    done = subprocess.run([program("pawl"), "keys", "init", str(tmp_path / "keys"), "--passphrase-fd", str(read)], capture_output=True, text=True, check=False, timeout=60,
                          pass_fds=[read], stdin=subprocess.DEVNULL)
    os.close(read)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "keys" / "1.root.json").exists()


def test_passphrase_on_a_terminal_is_not_shown(tmp_path):
    child = pexpect.spawn(program("pawl"), ["keys", "init", str(tmp_path / "keys")], encoding="utf-8", timeout=60)
    shown = ""
    for _ in range(4):  # for the offline and the online keys, each twice
        child.expect(r"(offline|online) keys[^\n]*: ")
        shown += child.before + child.after
        assert child.waitnoecho(20)
        child.sendline(PASSPHRASE)
    child.expect(pexpect.EOF)
    shown += child.before
    child.close()
    assert child.exitstatus == 0, shown
    assert PASSPHRASE not in shown


def test_wrong_passphrase_of_a_signing_key(router, tmp_path):
    wrong = tmp_path / "wrong"
    wrong.write_text("certainly not this\n", encoding="ascii")
    wrong.chmod(0o600)
    done = router.pawl("release", "publish", firmware.ATH_9271, "--product", "router", "--version", "8.0.0", "--hardware", HARDWARE, "--keys", router.keys,
                       "--passphrase-file", wrong, check=False)
    assert done.returncode == 7 and "passphrase" in done.stderr
    assert router.operator().get("/api/v1/releases/router/8.0.0").status == 404


@pytest.mark.parametrize("text, code", [("pawl_none_" + "A" * 43, 3), ("", 7), ("two\nlines\n", 2)])
def test_bad_token_files(router, tmp_path, text, code):
    path = tmp_path / "token"
    path.write_text(text + "\n", encoding="ascii")
    path.chmod(0o600)
    done = subprocess.run([program("pawl"), "whoami", "--server", f"https://localhost:{router.admin_port}", "--ca", str(router.pki.server_ca), "--token-file", str(path)],
                          capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == code or text == "" and done.returncode in (2, 3), done.stderr
