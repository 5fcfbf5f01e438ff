"""Sealed images: Debian's `age` opens what `pawl` seals and the other way round, as streams, and nothing that is cut or changed leaves output behind."""

import hashlib
import json
import os
import re
import subprocess

import pytest

from lib import firmware
from lib.paths import program
from lib.server import run_pawl
from test_trust_lifecycle import hash_of, signing, tuf

HARDWARE = "qemu-arm"
USAGE, REFUSED, UNREACHABLE, TRUST, LOCAL, KEY = 2, 3, 4, 5, 6, 7
CHUNK = 65536
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10 << 20)


def pattern(size):
    block = bytes(range(251)) * 271
    return (block * (size // len(block) + 1))[:size]


class Identity:
    def __init__(self, path, recipient):
        self.path, self.recipient = path, recipient


@pytest.fixture(scope="module")
def identities(tmp_path_factory):
    """One made by each of the two programs."""
    folder = tmp_path_factory.mktemp("identities")
    ours = run_pawl("keys", "identity", folder / "ours").stdout.strip()
    theirs = subprocess.run(["age-keygen", "-o", folder / "theirs"], capture_output=True, text=True, check=True).stderr
    return Identity(folder / "ours", ours), Identity(folder / "theirs", re.search(r"age1[0-9a-z]+", theirs).group(0))


def pawl(*arguments, data=None):
    return subprocess.run([program("pawl"), *map(str, arguments)], input=data, capture_output=True, check=False, timeout=120)


def age(*arguments, data=None):
    return subprocess.run(["age", *map(str, arguments)], input=data, capture_output=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("whose", (0, 1))
def test_both_ways(identities, size, whose, tmp_path):
    identity, plain = identities[whose], pattern(size)
    (tmp_path / "plain").write_bytes(plain)
    assert pawl("seal", tmp_path / "plain", "--recipient", identity.recipient, "--out", tmp_path / "sealed").returncode == 0
    assert age("-d", "-i", identity.path, tmp_path / "sealed") == plain
    streamed = pawl("seal", "-r", identities[1 - whose].recipient, "-r", identity.recipient, data=plain)
    assert streamed.returncode == 0 and age("-d", "-i", identity.path, data=streamed.stdout) == plain
    by_age = age("-r", identity.recipient, data=plain)
    opened = pawl("unseal", "--identity", identity.path, data=by_age)
    assert opened.returncode == 0 and opened.stdout == plain
    (tmp_path / "by-age").write_bytes(by_age)
    assert pawl("unseal", tmp_path / "by-age", "-i", identity.path, "-o", tmp_path / "opened").returncode == 0
    assert (tmp_path / "opened").read_bytes() == plain


def peak_kib(command, megabytes):
    """Feeds the program through a pipe and reads its peak of memory."""
    # A sanitized build keeps what was freed for a while; here that would count as used.
    environment = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
    with open(os.devnull, "wb") as sink, subprocess.Popen(command, stdin=subprocess.PIPE, stdout=sink, env=environment) as process:
        block = bytes(1 << 20)
        for _ in range(megabytes):
            process.stdin.write(block)
        process.stdin.flush()
        status = open(f"/proc/{process.pid}/status", encoding="ascii").read()
        process.stdin.close()
        assert process.wait(timeout=120) == 0
    return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1))


def test_a_stream_takes_flat_memory(identities):
    command = [program("pawl"), "seal", "-r", identities[0].recipient]
    assert peak_kib(command, 200) - peak_kib(command, 4) < 4096


def refused(done, code):
    assert done.returncode == code, done.stderr
    assert re.fullmatch(rb"pawl: [^\n]+\n", done.stderr), done.stderr
    return done.stderr.decode()


class TestRefused:
    @pytest.fixture(scope="class")
    def sealed(self, identities, tmp_path_factory):
        plain = pattern(2 * CHUNK + 100)
        data = pawl("seal", "-r", identities[0].recipient, data=plain).stdout
        return data, len(data) - len(plain) - 3 * 16 - 16  # where the header ends and the nonce begins

    def unseal(self, data, identity, tmp_path):
        (tmp_path / "sealed").write_bytes(data)
        out = tmp_path / "out"
        done = pawl("unseal", tmp_path / "sealed", "--identity", identity.path, "--out", out)
        assert not out.exists() and sorted(path.name for path in tmp_path.iterdir()) == ["sealed"]
        return done

    def test_cut_in_the_header(self, sealed, identities, tmp_path):
        data, header = sealed
        lines = [match.end() for match in re.finditer(b"\n", data[:header])]
        for end in sorted({0, 1, *(edge + step for edge in lines for step in (-1, 0, 1) if edge + step < header)}):  # each byte: tests/unit/test_trust_seal.c
            refused(self.unseal(data[:end], identities[0], tmp_path), TRUST)

    def test_cut_at_the_chunks(self, sealed, identities, tmp_path):
        data, header = sealed
        first = header + 16
        for edge in (first, first + CHUNK + 16, first + 2 * (CHUNK + 16), len(data)):
            for end in (edge - 1, edge, edge + 1):
                if end == len(data):
                    continue
                cut = data[:end] if end < len(data) else data + b"x"
                refused(self.unseal(cut, identities[0], tmp_path), TRUST)

    def test_chunks_swapped_dropped_changed(self, sealed, identities, tmp_path):
        data, header = sealed
        first, size = header + 16, CHUNK + 16
        one, two = data[first:first + size], data[first + size:first + 2 * size]
        for changed in (data[:first] + two + one + data[first + 2 * size:], data[:first] + two + data[first + 2 * size:], data[:first] + one + one,
                        data[:first + 5] + bytes([data[first + 5] ^ 1]) + data[first + 6:]):
            refused(self.unseal(changed, identities[0], tmp_path), TRUST)

    def test_another_identity(self, sealed, identities, tmp_path):
        assert "identities" in refused(self.unseal(sealed[0], identities[1], tmp_path), TRUST)

    def test_to_a_pipe_the_exit_code_tells(self, sealed, identities):
        data, _ = sealed
        done = pawl("unseal", "-i", identities[0].path, data=data[:-1])
        assert done.returncode == TRUST and len(done.stdout) <= 2 * CHUNK

    def test_identity_open_to_others(self, sealed, identities, tmp_path):
        path = tmp_path / "open"
        path.write_bytes(identities[0].path.read_bytes())
        path.chmod(0o644)
        assert str(path) in refused(pawl("unseal", "-i", path, data=sealed[0]), KEY)

    @pytest.mark.parametrize("recipient", ["", "age1", "age1qqqq", "AGE1QQQQ", "ssh-ed25519 AAAA", "age1" + "q" * 58])
    def test_no_recipient(self, recipient, tmp_path):
        refused(pawl("seal", "-r", recipient, "-o", tmp_path / "out", data=b"x"), USAGE)
        assert not list(tmp_path.iterdir())

    def test_recipients_file(self, identities, tmp_path):
        (tmp_path / "list").write_text(f"# the batch\n\n{identities[0].recipient}\nnonsense\n")
        assert "4" in refused(pawl("seal", "-R", tmp_path / "list", data=b"x"), USAGE)
        (tmp_path / "list").write_text(f"# the batch\n\n{identities[0].recipient}\n{identities[1].recipient}\n")
        sealed = pawl("seal", "-R", tmp_path / "list", data=b"x").stdout
        assert age("-d", "-i", identities[1].path, data=sealed) == b"x"
        refused(pawl("seal", "-R", tmp_path / "nowhere", data=b"x"), LOCAL)


class TestPublish:
    @pytest.fixture(scope="class")
    def shop(self, servers):
        return servers({"enrolment": {"auto_accept": "yes"}})

    def test_the_server_has_only_the_sealed_bytes(self, shop, identities, tmp_path):
        image = firmware.ATH_9271
        done = shop.publish(image, "vault", "1.0.0", (HARDWARE,), "--file", "fw.bin", "--seal-to", identities[0].recipient, "--seal-to",
                            identities[1].recipient, "--sealed-out", tmp_path / "sealed")
        plain = image.read_bytes()
        assert f"age, opens to {len(plain)} B with sha256 {hashlib.sha256(plain).hexdigest()}" in done.stderr
        sealed = (tmp_path / "sealed").read_bytes()
        for identity in identities:
            assert age("-d", "-i", identity.path, data=sealed) == plain
        release = shop.operator().ok("GET", "/api/v1/releases/vault/1.0.0")
        assert (release["encryption"], release["plain_size_bytes"], release["sha256"]) == ("age", len(plain), hashlib.sha256(sealed).hexdigest())
        entry = tuf(shop, "1.targets.json")["signed"]["targets"]["vault/1.0.0/fw.bin"]
        assert entry["custom"]["pawl"]["plain_sha256"] == hashlib.sha256(plain).hexdigest() and entry["length"] == len(sealed)
        assert shop.operator().get(f"/api/v1/images/{hashlib.sha256(plain).hexdigest()}").status == 404
        open_ = shop.publish(firmware.ATH_7010, "vault", "1.1.0", (HARDWARE,))
        assert "! the last release was sealed" in open_.stderr

    def test_prepared_and_sealed(self, shop, identities, tmp_path):
        bundle = tmp_path / "bundle"
        prepare = ("release", "prepare", firmware.ATH_9271, "--product", "two", "--version", "1.0.0", "--hardware", HARDWARE, "--keys", shop.keys, "--out",
                   bundle, "--seal-to", identities[0].recipient)
        assert shop.pawl(*prepare, check=False).returncode == USAGE
        told = hash_of(shop.pawl(*prepare, "--sealed-out", tmp_path / "sealed").stderr)
        shop.pawl("release", "sign", bundle, *signing(shop), "--confirm", told)
        shop.pawl("release", "publish", tmp_path / "sealed", "--bundle", bundle, *signing(shop))
        assert shop.operator().ok("GET", "/api/v1/releases/two/1.0.0")["encryption"] == "age"

    def test_nothing_is_left_of_a_refused_one(self, shop, identities, tmp_path):
        environment = {"PATH": os.environ["PATH"], "HOME": str(shop.folder), "XDG_STATE_HOME": str(shop.folder / "state"), "TMPDIR": str(tmp_path)}
        done = shop.publish(firmware.ATH_9271, "vault", "1.2.0", (HARDWARE,), "--seal-to", "age1nobody", check=False, env=environment)
        assert done.returncode == USAGE and done.stderr.count("\n") == 1
        done = shop.publish(firmware.ATH_9271, "vault", "1.1.0", (HARDWARE,), "--seal-to", identities[0].recipient, check=False, env=environment)
        assert done.returncode == REFUSED and "published already" in done.stderr
        assert json.dumps([path.name for path in tmp_path.iterdir()]) == "[]"
