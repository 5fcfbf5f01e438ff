"""pawl-agent against a real server, bad servers and bad luck (trust.md §5)."""

import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from lib import firmware
from lib.agent import Agent, wait_until
from lib.paths import LONG
from lib.proxy import Proxy

HARDWARE = "qemu-arm"
IMAGE = firmware.UBOOT_ARM64.read_bytes()
OLD = firmware.UBOOT_ARM.read_bytes()
USAGE, UNREACHABLE, TRUST = 2, 4, 5
numbers = iter(range(1000))


@pytest.fixture
def agent(router, tmp_path):
    """A new device that has not polled yet."""
    return Agent(tmp_path / "device", router, f"agent-{next(numbers)}")


def untouched(agent):
    return agent.running == "a" and agent.slots["a"].read_bytes() == b"factory image" and agent.slots["b"].read_bytes() == b"" and agent.events() == []


def test_installs_the_newest(agent):
    agent.settle()
    assert agent.running == "b" and agent.running_image() == IMAGE
    assert agent.installed() == {"version": "1.1.0", "sequence": 2}
    assert agent.downloads() == []


# ---- what it will not be talked into


@pytest.mark.parametrize("url", ["http://localhost:{port}", "HTTP://localhost:{port}", "ftp://localhost:{port}", "localhost:{port}", "//localhost:{port}",
                                 "https://user:word@localhost:{port}", "https://localhost:{port}/path", ""])
def test_only_https(agent, url):
    agent.write_config(server={"url": url.format(port=agent.server.device_port)})
    done = agent.once()
    assert done.returncode == USAGE and "url" in done.stderr
    assert untouched(agent)


def test_no_insecure_switch(agent):
    for name, value in (("insecure", "yes"), ("verify", "no"), ("tls_verify", "0"), ("ca_path", "/etc/ssl/certs")):
        agent.write_config(server={name: value})
        done = agent.once()
        assert done.returncode == USAGE and name in done.stderr
        agent.write_config(server={name: None})
    assert agent.command("once", "--insecure").returncode == USAGE
    assert agent.command("once", "-k").returncode == USAGE


def test_no_root_no_start(agent):
    shutil.copy(agent.server.keys / "1.root.json", agent.folder / "root.json")
    for state in ("missing", "empty", "garbage", "another key"):
        path = agent.folder / f"{state}.json"
        if state == "empty":
            path.write_bytes(b"")
        elif state == "garbage":
            path.write_bytes(b"{}")
        elif state == "another key":
            document = json.loads((agent.folder / "root.json").read_bytes())
            document["signed"]["version"] = 1
            document["signed"]["roles"]["targets"]["threshold"] = 7
            path.write_bytes(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())
        agent.write_config(device={"trust_root": path})
        done = agent.once()
        assert done.returncode != 0 and "root" in done.stderr, (state, done.stderr)
        assert untouched(agent)
    agent.write_config(device={"trust_root": None})
    assert agent.once().returncode == USAGE


def test_root_of_another_repository(agent, tmp_path, keys, pki, contract):
    """A device provisioned with another root believes nothing that this server says."""
    from lib.server import ReleaseKeys

    other = ReleaseKeys(tmp_path / "other" / "keys")
    agent.write_config(device={"trust_root": other.folder / "1.root.json"})
    done = agent.once()
    assert done.returncode == TRUST
    assert "E_SIGNATURE" in done.stderr or "E_THRESHOLD" in done.stderr
    assert untouched(agent)


def test_wrong_server_ca(agent):
    agent.write_config(server={"ca": agent.server.pki.device_ca})
    done = agent.once()
    assert done.returncode == UNREACHABLE and "certificate" in done.stderr.lower()
    assert untouched(agent)


def test_system_cas_are_not_used(agent):
    """The server's CA among the system's: still refused when the configured set lacks it."""
    env = {**agent.env(), "SSL_CERT_FILE": str(agent.server.pki.server_ca), "CURL_CA_BUNDLE": str(agent.server.pki.server_ca)}
    agent.write_config(server={"ca": agent.server.pki.device_ca})
    assert agent.once(env=env).returncode == UNREACHABLE


def test_wrong_host_name(agent):
    """The right CA, a server certificate for other names."""
    server = agent.server
    stranger = server.pki.strange("other-host", dns=("update.example",), issuer="server-ca", eku=(server_auth(),))
    with FakeServer(stranger.cert, stranger.key) as fake:
        agent.write_config(server={"url": f"https://localhost:{fake.port}"})
        done = agent.once()
    assert done.returncode == UNREACHABLE
    assert fake.requests == 0 and untouched(agent)


def test_expired_server(agent):
    import datetime

    now = datetime.datetime.utcnow()
    stranger = agent.server.pki.strange("old-host", dns=("localhost",), issuer="server-ca", eku=(server_auth(),), begins=now - datetime.timedelta(days=9),
                                        ends=now - datetime.timedelta(days=1))
    with FakeServer(stranger.cert, stranger.key) as fake:
        agent.write_config(server={"url": f"https://localhost:{fake.port}"})
        assert agent.once().returncode == UNREACHABLE
    assert fake.requests == 0 and untouched(agent)


def server_auth():
    from cryptography.x509.oid import ExtendedKeyUsageOID

    return ExtendedKeyUsageOID.SERVER_AUTH


def test_pinned_public_key(agent):
    import base64

    pin = "sha256//" + base64.b64encode(bytes.fromhex(agent.server.pki.server.spki_sha256)).decode()
    wrong = "sha256//" + base64.b64encode(b"\0" * 32).decode()
    agent.write_config(server={"public_key": wrong})
    done = agent.once()
    assert done.returncode == UNREACHABLE and untouched(agent)
    agent.write_config(server={"public_key": wrong + ";" + pin})
    agent.settle()
    assert agent.running_image() == IMAGE


def test_key_file_open_to_others(agent):
    key = agent.folder / "device.key"
    shutil.copy(agent.certificate.key, key)
    key.chmod(0o644)
    agent.write_config(device={"key": key})
    done = agent.once()
    assert done.returncode != 0 and "device.key" in done.stderr
    assert untouched(agent)


def test_redirect_is_not_followed(agent):
    certificate = agent.server.pki.server
    answer = f"HTTP/1.1 302 Found\r\nLocation: https://localhost:{agent.server.device_port}/tuf/timestamp.json\r\nContent-Length: 0\r\n\r\n".encode()
    with FakeServer(certificate.cert, certificate.key, answer) as fake:
        agent.write_config(server={"url": f"https://localhost:{fake.port}"})
        done = agent.once()
    assert done.returncode != 0 and fake.requests >= 1
    assert untouched(agent)


class FakeServer:
    """Answers every request with the same bytes, or with what a function makes of the request line."""

    def __init__(self, cert, key, answer=b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"):
        self.answer = answer if callable(answer) else lambda line: answer
        self.requests = 0
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.load_cert_chain(cert, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                raw, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(raw,), daemon=True).start()

    def _serve(self, raw):
        try:
            with self.tls.wrap_socket(raw, server_side=True) as connection:
                data = b""
                while True:
                    piece = connection.recv(65536)
                    if not piece:
                        return
                    data += piece
                    while b"\r\n\r\n" in data:
                        head, data = data.split(b"\r\n\r\n", 1)
                        self.requests += 1
                        connection.sendall(self.answer(head.split(b"\r\n")[0].decode()))
        except (OSError, ssl.SSLError):
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


def test_endless_metadata(agent):
    """A body without an end is given up at the ceiling, not when memory is full."""
    certificate = agent.server.pki.server
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999\r\n\r\n"
    with FakeServer(certificate.cert, certificate.key, head + b"x" * (4 << 20)) as fake:
        agent.write_config(server={"url": f"https://localhost:{fake.port}", "request_timeout": "5s"})
        begin = time.monotonic()
        done = agent.once()
    assert done.returncode != 0 and time.monotonic() - begin < 20
    assert untouched(agent)


def test_errors_that_are_no_problem_documents(agent):
    """A proxy's HTML page, an empty 500: an error, nothing more."""
    certificate = agent.server.pki.server
    for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 13\r\n\r\n<html></html>", b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", b"garbage\r\n\r\n", b""):
        with FakeServer(certificate.cert, certificate.key, answer) as fake:
            agent.write_config(server={"url": f"https://localhost:{fake.port}", "request_timeout": "2s"})
            assert agent.once().returncode != 0
        assert untouched(agent)


# ---- hardware and stepping stones


def test_other_hardware_gets_nothing(router, tmp_path):
    agent = Agent(tmp_path / "device", router, f"agent-{next(numbers)}", hardware="another-board")
    agent.once()
    assert untouched(agent)


def test_hardware_is_checked_on_the_device(router, tmp_path):
    """The registry says that the release fits; the device knows what it is."""
    number = f"agent-{next(numbers)}"
    agent = Agent(tmp_path / "device", router, number, hardware="really-another-board")
    operator = router.operator()
    operator.ok("POST", "/api/v1/devices", {"id": number, "product": "router", "hardware": HARDWARE})
    assert operator.assign(number, "1.1.0").status == 201
    done = agent.once()
    assert "E_HARDWARE" in done.stderr
    assert untouched(agent)


def test_stepping_stone(servers, tmp_path):
    """A release that needs another one first is offered after it."""
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "stone", "1.0.0", (HARDWARE,))
    server.publish(firmware.ATH_7010, "stone", "2.0.0", (HARDWARE,), "--requires-sequence", "1")
    agent = Agent(tmp_path / "device", server, "stone-1", "stone")
    agent.settle()
    assert agent.running_image() == firmware.ATH_7010.read_bytes()
    story = [(d["version"], d["state"]) for d in server.operator().pages("/api/v1/deployments?device=stone-1")]
    assert story == [("2.0.0", "confirmed"), ("1.0.0", "confirmed")]


# ---- self-test, attempts, fall back


def test_failed_self_test_falls_back(agent):
    agent.self_test_says(1)
    agent.once()  # installs, reboots
    assert agent.running == "b"
    agent.once()  # tests, falls back
    assert wait_until(lambda: agent.running == "a", timeout=1), agent.log
    agent.once()
    assert agent.running_image() == b"factory image"
    deployments = agent.server.operator().pages(f"/api/v1/deployments?device={agent.device_id}")
    assert deployments[-1]["state"] == "failed" and deployments[-1]["error"]["code"] == "E_SELFTEST"
    assert agent.server.operator().device(agent.device_id)["floor"] in (None, {"sequence": 0, "security_version": 0})


def test_three_attempts_and_no_more(router, tmp_path):
    router.publish(firmware.ATH_9271, "solo", "1.0.0", (HARDWARE,))
    agent = Agent(tmp_path / "device", router, f"agent-{next(numbers)}", "solo")
    agent.self_test_says(1)
    for _ in range(14):
        agent.once()
    tests = [event for event in agent.events() if event == "self-test b"]
    assert len(tests) == 3, agent.events()
    assert agent.running_image() == b"factory image"
    # Even when the operator insists, the device leaves a release alone that failed three times; and the server has left it alone before.
    assert agent.state()["attempts"][0]["count"] == 3
    signed = agent.server.device(agent.device_id).directive()
    assert signed["action"] == "none"


def test_mended_release_is_taken(agent):
    """After failures the same release is installed when it works."""
    agent.self_test_says(1)
    for _ in range(3):  # installs; tests and falls back; takes note
        agent.once()
    assert agent.running == "a" and agent.trial() is None
    agent.self_test_says(0)
    agent.settle(tries=10)
    assert agent.running_image() == IMAGE and agent.installed()["sequence"] == 2


def test_boot_loader_falls_back_by_itself(agent):
    """The new slot did not come up and the boot loader took the old one: the device says so."""
    reboot = agent.folder / "reboot"
    reboot.write_text(f"#!/bin/sh\ncat /proc/sys/kernel/random/uuid >{agent.folder}/boot-id\necho reboot >>{agent.folder}/events\n", encoding="ascii")
    agent.once()
    assert agent.pointed == "b" and agent.running == "a"
    agent.once()
    assert agent.pointed == "a" and agent.running_image() == b"factory image"
    assert "failed" in {d["state"] for d in agent.server.operator().pages(f"/api/v1/deployments?device={agent.device_id}")}


def test_running_slot_unknown_means_nothing(agent):
    (agent.folder / "running").write_text("c\n", encoding="ascii")
    done = agent.once()
    assert done.returncode != 0
    assert agent.slots["a"].read_bytes() == b"factory image" and agent.slots["b"].read_bytes() == b""


def test_same_slot_under_two_names(agent):
    """The other slot is the running one by a link: refused before a byte is written."""
    agent.slots["b"].unlink()
    os.link(agent.slots["a"], agent.slots["b"])
    agent.once()
    assert agent.slots["a"].read_bytes() == b"factory image"


@pytest.fixture
def partitions(agent):
    """The device's slots as block devices behind links, as /dev/disk/by-partlabel has them."""
    nodes = []
    try:
        for name, slot in agent.slots.items():
            medium = agent.folder / f"medium-{name}"
            with medium.open("wb") as file:
                file.truncate(8 << 20)
            done = subprocess.run(["losetup", "--find", "--show", medium], capture_output=True, text=True, check=False)
            if done.returncode != 0:
                pytest.skip(f"no loop device can be had here: {done.stderr}")
            nodes.append(done.stdout.strip())
            slot.unlink()
            slot.symlink_to(nodes[-1])
        yield nodes
    finally:
        for node in nodes:
            subprocess.run(["losetup", "--detach", node], check=True)


def test_slots_are_block_devices(agent, partitions):
    """Written in place, and nothing but the image: neither cut, nor replaced by a file."""
    behind = agent.folder / "medium-b"
    with behind.open("r+b") as file:
        file.seek(len(IMAGE))
        file.write(b"behind")
    agent.settle()
    assert agent.running == "b" and agent.installed() == {"version": "1.1.0", "sequence": 2}
    assert pathlib.Path(partitions[1]).is_block_device() and agent.slots["b"].is_symlink()
    assert pathlib.Path(partitions[1]).read_bytes() == IMAGE + b"behind" + bytes((8 << 20) - len(IMAGE) - 6)


def test_a_partition_that_has_not_appeared(agent):
    """A file in its place would read back well, and the device would boot something else."""
    agent.slots["b"].unlink()
    done = agent.once()
    assert "E_INSTALL" in done.stderr and not agent.slots["b"].exists()
    assert agent.pointed == "a" and agent.running == "a" and agent.events() == []


@pytest.mark.parametrize("section,key", [("server", "ca"), ("device", "certificate"), ("device", "key"), ("device", "trust_root"),
                                         ("device", "seal_identity"), ("install", "boot_id_file"), ("install", "running_file")])
def test_a_file_of_the_configuration_that_is_not_there(agent, section, key):
    agent.write_config(**{section: {key: agent.folder / "nowhere"}})
    done = agent.command("check-config")
    assert done.returncode == USAGE and f"[{section}] {key}" in done.stderr, (done.returncode, done.stderr)


def test_a_key_that_is_not_the_certificates(agent):
    agent.write_config(device={"key": agent.server.pki.device("somebody-else").key})
    done = agent.command("check-config")
    assert done.returncode == 7 and "not for this device's key" in done.stderr, (done.returncode, done.stderr)


def test_slot_altered_while_it_is_written(agent):
    """What is read back is what boots: a slot that keeps other bytes is never made bootable."""
    os.remove(agent.slots["b"])
    os.symlink("/dev/null", agent.slots["b"])
    agent.once()
    assert agent.pointed == "a" and agent.running == "a"


# ---- space and speed


def test_disk_too_small(router, tmp_path):
    """Refused before the download begins, with the reason."""
    import subprocess

    mount = tmp_path / "small"
    mount.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(mount)], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount here")
    try:
        agent = Agent(tmp_path / "device", router, f"agent-{next(numbers)}", config={"device": {"state": mount / "state"}})
        with Proxy(router.device_port) as proxy:
            agent.through(proxy)
            done = agent.once()
            assert "E_NOSPC" in done.stderr, done.stderr
            assert proxy.down < 100_000
        assert untouched(agent)
    finally:
        subprocess.run(["umount", str(mount)], check=False)


def test_slow_server(agent):
    """Slower than the minimum for too long: stopped, and later gone on from there."""
    agent.write_config(download={"min_rate": "200k", "min_rate_time": "2s"})
    with Proxy(agent.server.device_port, rate=60_000) as proxy:
        agent.through(proxy)
        begin = time.monotonic()
        done = agent.once()
        took = time.monotonic() - begin
    assert "E_SLOW" in done.stderr, done.stderr
    assert took < 12
    with Proxy(agent.server.device_port) as proxy:
        agent.through(proxy)
        agent.settle()
        assert proxy.down < len(IMAGE) + 100_000
    assert agent.running_image() == IMAGE


def test_many_cuts(agent):
    """Cut after every 150 KB: each run goes on where the last one stopped."""
    total = 0
    for _ in range(30):
        with Proxy(agent.server.device_port, cut_after=150_000) as proxy:
            agent.through(proxy)
            agent.once()
            total += proxy.down
        if agent.running == "b":
            break
    agent.through(None)
    agent.settle()
    assert agent.running_image() == IMAGE
    assert total < 2 * len(IMAGE)


def test_part_that_was_altered_on_disk(agent):
    """A half download with a flipped byte: noticed at the end, thrown away, fetched anew."""
    with Proxy(agent.server.device_port, cut_after=600_000) as proxy:
        agent.through(proxy)
        agent.once()
    agent.through(None)
    parts = agent.downloads()
    assert len(parts) == 1 and parts[0].stat().st_size > 100_000
    data = bytearray(parts[0].read_bytes())
    data[1000] ^= 1
    parts[0].write_bytes(data)
    done = agent.once()
    assert "E_HASH" in done.stderr, done.stderr
    assert untouched(agent)
    agent.settle()
    assert agent.running_image() == IMAGE


def test_part_of_another_release_is_not_joined(servers, tmp_path):
    """A newer release came while the old one was half here."""
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.UBOOT_ARM, "half", "1.0.0", (HARDWARE,))
    agent = Agent(tmp_path / "device", server, "half-1", "half")
    with Proxy(server.device_port, cut_after=300_000) as proxy:
        agent.through(proxy)
        agent.once()
    agent.through(None)
    server.publish(firmware.UBOOT_ARM64, "half", "1.1.0", (HARDWARE,))
    operator = server.operator()
    assert operator.assign("half-1", "1.1.0").status == 201
    agent.settle()
    assert agent.running_image() == IMAGE


# ---- crashes


def test_killed_at_random_stages(agent):
    """SIGKILL again and again: never boots what is not verified, the floor never falls, and it comes through."""
    random.seed(int(hashlib.sha256(agent.device_id.encode()).hexdigest()[:8], 16))
    good = {"a": {b"factory image"}, "b": {IMAGE}}
    killed = 0
    for _ in range(100 if LONG else 20):
        killed += agent.random_kill(0.25)
        running, pointed = agent.running, agent.pointed
        assert agent.running_image() in good[running], f"slot {running} runs bytes that nobody signed"
        assert agent.slots[pointed].read_bytes() in good[pointed]
    agent.settle(tries=5)
    assert agent.running_image() == IMAGE and agent.installed()["sequence"] == 2
    assert killed > 0


def test_killed_on_the_way_up(servers, tmp_path):
    """The same over an update from a confirmed release: the floor stays, whatever happens."""
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.UBOOT_ARM, "kill", "1.0.0", (HARDWARE,))
    agent = Agent(tmp_path / "device", server, "kill-1", "kill")
    agent.settle()
    server.publish(firmware.UBOOT_ARM64, "kill", "2.0.0", (HARDWARE,))
    for _ in range(100 if LONG else 20):
        agent.random_kill(0.3)
        assert agent.running_image() in (OLD, IMAGE)
        assert agent.state()["floors"][0]["sequence"] >= 1
    agent.settle(tries=5)
    assert agent.running_image() == IMAGE
    assert agent.state()["floors"] == [{"product": "kill", "sequence": 2, "security_version": 0}]
    states = [d["state"] for d in server.operator().pages("/api/v1/deployments?device=kill-1")]
    assert states == ["confirmed", "confirmed"]


def test_damaged_state_is_not_an_empty_one(agent):
    """Forgetting the floor would be a downgrade: a state file with one bit flipped is refused."""
    agent.settle()
    path = max((p for p in (agent.folder / "state").iterdir() if p.is_file() and p.name.startswith("state")), key=lambda p: p.stat().st_size)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    done = agent.once()
    assert done.returncode != 0 and "state" in done.stderr
    assert agent.running_image() == IMAGE


def test_two_agents_at_once(agent):
    """The second one steps back."""
    with Proxy(agent.server.device_port, rate=100_000) as proxy:
        agent.through(proxy)
        first = agent.spawn("once")
        try:
            assert wait_until(lambda: proxy.down > 20_000)
            done = agent.once()
            assert done.returncode != 0 and ("lock" in done.stderr or "another" in done.stderr or "busy" in done.stderr.lower())
        finally:
            first.kill()
            first.wait()


# ---- the daemon


def test_daemon(agent):
    """Polls by itself, installs, goes on after the reboot, ends at SIGTERM."""
    process = agent.spawn("run")
    try:
        assert wait_until(lambda: agent.running == "b" and (agent.installed() or {}).get("sequence") == 2, timeout=30) or restarted(agent)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=15) in (0, -signal.SIGTERM)
    assert agent.running_image() == IMAGE


def restarted(agent):
    """A supervisor starts the agent again after the reboot."""
    process = agent.spawn("run")
    try:
        return wait_until(lambda: (agent.installed() or {}).get("sequence") == 2, timeout=20)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)


def test_daemon_survives_a_server_that_is_away(router, tmp_path):
    """Nothing listens, then something does: backoff, then the update."""
    agent = Agent(tmp_path / "device", router, f"agent-{next(numbers)}")
    with socket.create_server(("127.0.0.1", 0)) as placeholder:
        port = placeholder.getsockname()[1]
    agent.write_config(server={"url": f"https://localhost:{port}"})
    process = agent.spawn("run")
    try:
        time.sleep(1.5)
        assert process.poll() is None
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=15)
    assert untouched(agent)


def test_log_says_what_and_why(agent):
    """One line an event; the reason of a failure is in it."""
    agent.write_config(log={"level": "info"})
    done = agent.once()
    text = done.stderr
    assert "1.1.0" in text
    for line in text.splitlines():
        assert len(line) < 1000
    agent.write_config(server={"ca": agent.server.pki.device_ca})
    assert len([line for line in agent.once().stderr.splitlines() if "level=error" in line or "level=warn" in line]) >= 1


def test_help_and_version(agent):
    for arguments in (["--help"], ["once", "--help"], ["--version"]):
        import subprocess

        from lib.paths import program

        done = subprocess.run([program("pawl-agent"), *arguments], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0 and done.stdout
