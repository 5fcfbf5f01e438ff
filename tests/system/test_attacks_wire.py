"""Attacks on time, length, speed and the line, and on sealed images, against the real agent (trust.md §6)."""

import datetime
import gzip
import hashlib
import http.server
import json
import pathlib
import subprocess
import threading

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID

from lib.evil import NEW, PRODUCT, Reply, image
from lib.tuf import envelope, file_bytes
from lib.victim import CODE, Victim

MIB = 1 << 20


def stamp(**delta):
    return (datetime.datetime.utcnow().replace(microsecond=0) + datetime.timedelta(**delta)).isoformat() + "Z"


def without_clock(device):
    device.write_config(device={"clock": "none"})
    return device


@pytest.fixture(params=["clock", "no clock"])
def timed(device, request):
    return device if request.param == "clock" else without_clock(device)


# ---- freeze


def test_freeze_replayed_directive(world, timed):
    """Yesterday's "nothing to do", and the answer to another nonce."""
    timed.once()
    old = world.directives[-1]
    world.publish_new()
    world.on_check = lambda ask: old
    timed.assert_refused("E_FREEZE")


def test_freeze_directive_without_nonce(world, timed):
    for answer in (lambda ask: world.directive(ask, nonce=None), lambda ask: Reply(status=204)):
        world.on_check = answer
        timed.assert_refused("E_FREEZE", passes=1)


def test_freeze_directive_issued_before_the_last(world, device):
    """Without a clock the directive is the time, and time does not go back. (With one the nonce says that the answer is fresh.)"""
    without_clock(device).once()
    world.on_check = lambda ask: world.directive(ask, issued=stamp(minutes=-30), expires=stamp(minutes=30))
    device.assert_refused("E_FREEZE")


def test_freeze_directive_issued_in_the_future(world, device):
    world.on_check = lambda ask: world.directive(ask, issued=stamp(minutes=11), expires=stamp(minutes=70))
    device.assert_refused("E_FREEZE")


def test_freeze_expired_directive(world, device):
    world.on_check = lambda ask: world.directive(ask, issued=stamp(days=-1), expires=stamp(days=-1, hours=1))
    device.assert_refused("E_FREEZE", "E_EXPIRED")


def test_freeze_directive_of_long_life(world, timed):
    world.on_check = lambda ask: world.directive(ask, expires=stamp(days=30))
    timed.assert_refused("E_FORMAT")


def test_freeze_withheld_timestamp(world, timed):
    """The old timestamp, still good, beside directives that know a newer one."""
    old = world.files["timestamp.json"]
    world.publish_new()
    world.files["timestamp.json"] = old
    timed.assert_refused("E_FREEZE")


@pytest.mark.parametrize("role", ["timestamp", "snapshot", "targets", "root"])
def test_freeze_expired(world, timed, role):
    """Each role in the past, for the device's own clock and for the directive's time."""
    if role == "timestamp":
        world.stamp(expires=stamp(hours=-1))
    elif role == "root":
        def change(root):
            root["expires"] = stamp(hours=-1)

        world.files.update([world.team.next_root(change=change)])
    else:
        getattr(world.team, role)["expires"] = stamp(hours=-1)
        world.publish_new()
    timed.assert_refused("E_EXPIRED")


def test_freeze_after_two_days(world, device):
    """Nobody renews the timestamp; the device's clock goes on."""
    device.clock_says(datetime.datetime.utcnow() + datetime.timedelta(days=2))
    device.assert_refused("E_EXPIRED")


@pytest.mark.parametrize("year", [1970, 2100])
def test_clock_far_off(world, device, year):
    """With a clock that is believed, no certificate is good in those years. Without one the directive's time counts, for what is fresh and what is not."""
    world.publish_new()
    device.clock_says(datetime.datetime(year, 1, 2))
    device.assert_refused("E_TLS")
    without_clock(device)
    good = world.files["timestamp.json"]
    world.stamp(expires=stamp(hours=-1))
    expired, world.files["timestamp.json"] = world.files["timestamp.json"], good
    old = world.directives[-1] if world.directives else world.directive({"device": device.device_id, "spki_sha256": device.certificate.spki_sha256})
    world.on_check = lambda ask: old
    device.assert_refused("E_FREEZE")
    world.on_check = None
    world.files["timestamp.json"] = expired
    device.assert_refused("E_EXPIRED")
    world.stamp()
    device.settle()
    assert device.running_image() == image("gateway 3.0.0")


def test_no_clock_is_no_leave_for_strangers(world, device):
    """Without a clock dates are not asked; authority and name are."""
    without_clock(device).clock_says(datetime.datetime(1970, 1, 2))
    pki = world.pki
    stranger = pki.strange("clockless-host", dns=("update.example",), issuer="server-ca", eku=(ExtendedKeyUsageOID.SERVER_AUTH,))
    foreign = pki.strange("clockless-foreign", dns=("localhost",), issuer="device-ca", eku=(ExtendedKeyUsageOID.SERVER_AUTH,))
    for certificate in (stranger, foreign):
        world.tls.load_cert_chain(certificate.cert, certificate.key)
        device.assert_refused("E_TLS", passes=1)
    assert world.requests == []


# ---- directives for others


def test_directive_for_another_device(world, timed):
    other = {"device": "neighbour", "spki_sha256": "0" * 64}
    world.publish_new()
    for lie in (other, {"device": "neighbour"}, {"spki_sha256": "0" * 64}, {"device": timed.device_id.upper()}):
        world.on_check = lambda ask, lie=lie: world.directive(ask, **lie)
        timed.assert_refused("E_DIRECTIVE", passes=1)


@pytest.mark.parametrize("roles", [[], ["timestamp"], ["targets"], ["snapshot"]])
def test_directive_signed_by_another_role(world, device, roles):
    world.publish_new()
    known = {"timestamp": world.online["timestamp"], "targets": world.team.keys.targets, "snapshot": world.team.keys.snapshot}
    world.on_check = lambda ask: file_bytes(envelope(world.statement(ask), *(known[name] for name in roles)))
    device.assert_refused("E_SIGNATURE")


# ---- endless data


@pytest.mark.parametrize("name", ["timestamp.json", "2.root.json", "3.snapshot.json", "3.targets.json"])
@pytest.mark.parametrize("status", [200, 404])
def test_endless_metadata(world, device, name, status):
    world.publish_new()
    world.files[name] = Reply(b"x" * MIB, status, length=-1, endless=True)
    device.assert_refused("E_LENGTH", passes=1)


def test_endless_directive_and_report(world, device):
    world.publish_new()
    world.on_check = lambda ask: Reply(b"x" * MIB, length=-1, endless=True)
    device.assert_refused("E_TOO_LARGE", "E_LENGTH", passes=1)


@pytest.mark.parametrize("status", [200, 206, 403])
def test_endless_image(world, device, status):
    world.publish_new()
    world.images[NEW] = Reply(b"x" * MIB, status, length=-1, endless=True)
    device.assert_refused("E_LENGTH", "E_RANGE", "E_NOT_ENTITLED", "E_TOO_LARGE", passes=1)
    assert sum(path.stat().st_size for path in device.downloads()) <= 20_000


def test_endless_head(world, device):
    world.publish_new()
    world.images[NEW] = Reply(b"", headers=[("X-Filler", "y" * 5000)] * 40)
    device.assert_refused("E_TOO_LARGE", "E_NETWORK", passes=1)


@pytest.mark.parametrize("length", [0, 1, 19_999, 20_001, 2**31, 2**32 + 20_000, 2**63 - 1])
def test_lying_content_length_of_the_image(world, device, length):
    world.publish_new()
    world.images[NEW] = Reply(world.images[NEW], length=length)
    device.assert_refused("E_LENGTH", "E_NETWORK", passes=1)


@pytest.mark.parametrize("length", [0, 10, 10**10])
def test_lying_content_length_of_metadata(world, device, length):
    world.files["timestamp.json"] = Reply(world.files["timestamp.json"], length=length)
    device.assert_refused("E_FORMAT", "E_NETWORK", "E_LENGTH", "E_TIMEOUT", passes=1)


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br"])
def test_compressed_bomb(world, device, encoding):
    """Nothing is ever unpacked: the bytes as sent count."""
    bomb = gzip.compress(b"\0" * (64 * MIB))
    world.publish_new()
    world.images[NEW] = Reply(bomb, headers=[("Content-Encoding", encoding)])
    device.assert_refused("E_LENGTH", passes=1)
    world.images[NEW] = Reply(bomb[:20_000], headers=[("Content-Encoding", encoding)])
    device.assert_refused("E_HASH", passes=1)
    world.files["timestamp.json"] = Reply(gzip.compress(world.files["timestamp.json"]), headers=[("Content-Encoding", encoding)])
    device.assert_refused("E_FORMAT", passes=1)


def test_extra_bytes(world, device):
    world.publish_new()
    honest = dict(world.files)
    for name, code in (("timestamp.json", "E_FORMAT"), ("3.snapshot.json", "E_LENGTH"), ("3.targets.json", "E_LENGTH")):
        for extra in (b"\n", b" ", b"\0", b"{}"):
            world.files = {**honest, name: honest[name] + extra}
            device.assert_refused(code, passes=1)
    world.files = {**honest, "timestamp.json": b"\xef\xbb\xbf" + honest["timestamp.json"]}
    device.assert_refused("E_FORMAT", passes=1)
    world.files = {**honest, "timestamp.json": honest["timestamp.json"].replace(b'{"signatures"', b'{"signed":{},"signatures"', 1)}
    device.assert_refused("E_FORMAT", passes=1)
    world.files = honest
    world.on_check = lambda ask: world.directive(ask) + b"\n"
    device.assert_refused("E_FORMAT", passes=1)
    world.on_check = None
    world.images[NEW] += b"\0"
    device.assert_refused("E_LENGTH", passes=1)


# ---- sizes around 2^31 and 2^32


@pytest.mark.parametrize("length", [2**31 - 1, 2**31, 2**31 + 1, 2**32 - 1, 2**32, 2**32 + 1000])
def test_signed_length_that_a_short_body_has_modulo_2_32(world, device, length):
    """The offline keys signed this length; what comes is as long as its low bits say."""
    data = image("short", length % 2**32 if length % 2**32 < 10_000 else 1000)
    world.publish_new(data=data, length=length)
    for lie in (None, -1, length):
        world.images[NEW] = Reply(data, length=lie)
        device.assert_refused("E_LENGTH", "E_NETWORK", "E_SLOW", passes=1)


def test_signed_length_without_sense(world, device):
    for length in (0, -1, 2**40 + 1, 2**53 - 1):
        world.publish_new(length=length)
        device.assert_refused("E_FORMAT", "E_TARGET", "E_NOSPC", passes=1)


def have_zeros(world, device, length, sha256):
    """The whole download is there already, sparse, so that it costs no disk; the offline keys signed this hash for it."""
    world.publish_new(length=length, sha256=sha256)
    folder = device.folder / "state" / "download"
    folder.mkdir(exist_ok=True)
    with open(folder / f"{sha256}.part", "wb") as file:
        file.truncate(length)
    path = device.folder / "state" / "state"
    state = json.loads(path.read_bytes().rsplit(b"\n", 2)[0])
    state["partial"] = {"sha256": sha256, "etag": '"x"'}
    text = json.dumps(state, separators=(",", ":")).encode()
    path.write_bytes(text + b"\n" + hashlib.sha256(text).hexdigest().encode() + b"\n")


@pytest.mark.parametrize("length, hashed", [(2**31 + 1, 2**31), (2**32 + 1, 1)])
def test_hash_covers_what_is_past_2_and_4_gib(world, device, length, hashed):
    """Signed is the hash of what a counter of 31 or 32 bits would see of the file. The whole file's own hash is found good, and only then is it used."""
    prefix = hashlib.sha256()
    for _ in range(hashed // (16 * MIB)):
        prefix.update(bytes(16 * MIB))
    prefix.update(bytes(hashed % (16 * MIB)))
    have_zeros(world, device, length, prefix.hexdigest())
    device.assert_refused("E_HASH", passes=1)
    if length < 2**32:
        prefix.update(bytes(length - hashed))
        have_zeros(world, device, length, prefix.hexdigest())
        device.write_config(install={"slot_a": "/dev/null"})
        done = device.once()
        assert "downloaded and verified" in done.stderr and CODE.findall(done.stderr)[-1] == "E_INSTALL"


# ---- slow retrieval


def test_slow_retrieval_of_the_image(world, device):
    world.publish_new()
    world.images[NEW] = Reply(world.images[NEW], rate=100)
    device.assert_refused("E_SLOW", passes=1)


def test_slow_retrieval_of_metadata(world, device):
    world.files["timestamp.json"] = Reply(world.files["timestamp.json"], rate=50)
    device.assert_refused("E_TIMEOUT", "E_SLOW", passes=1)


def test_slow_retrieval_of_the_directive(world, device):
    world.on_check = lambda ask: Reply(world.directive(ask), rate=50)
    device.assert_refused("E_TIMEOUT", "E_SLOW", passes=1)


# ---- image changed between check and use


@pytest.mark.parametrize("moment", ["downloaded", "installing"])
def test_image_changed_between_check_and_use(world, device, moment):
    """The file is altered in place when its hash has been found good: what is read back from the slot decides."""
    world.publish_new()

    def strike(report):
        if report["state"] == moment:
            for part in device.downloads():
                data = bytearray(part.read_bytes())
                data[-1] ^= 1
                part.write_bytes(data)

    world.on_report = strike
    device.assert_refused("E_HASH", passes=1)
    assert device.pointed == device.running


def test_download_joined_from_two_sources(world, device):
    """First malware, cut; then the honest rest."""
    world.publish_new()
    honest = world.images[NEW]
    world.images[NEW] = Reply(b"M" * len(honest), headers=[("ETag", '"one"')], cut=8000)
    device.assert_refused("E_NETWORK", passes=1)
    have = sum(path.stat().st_size for path in device.downloads())
    rest = honest[have:]
    world.images[NEW] = Reply(rest, 206, headers=[("ETag", '"one"'), ("Content-Range", f"bytes {have}-{len(honest) - 1}/{len(honest)}")])
    device.assert_refused("E_HASH", passes=1)
    world.images[NEW] = honest
    device.settle()
    assert device.running_image() == honest


# ---- man in the middle


def server_certificate(pki, name, **options):
    return pki.strange(name, issuer=options.pop("issuer", "server-ca"), eku=(ExtendedKeyUsageOID.SERVER_AUTH,), **{"dns": ("localhost",), **options})


@pytest.mark.parametrize("fault", ["wrong CA", "wrong host", "expired", "not yet valid", "a device's certificate"])
def test_man_in_the_middle(world, device, fault):
    now, day = datetime.datetime.utcnow(), datetime.timedelta(days=1)
    certificate = {
        "wrong CA": lambda: server_certificate(world.pki, "mitm-ca", issuer="admin-ca"),
        "wrong host": lambda: server_certificate(world.pki, "mitm-host", dns=("update.example",)),
        "expired": lambda: server_certificate(world.pki, "mitm-old", begins=now - 9 * day, ends=now - day),
        "not yet valid": lambda: server_certificate(world.pki, "mitm-new", begins=now + day, ends=now + 9 * day),
        "a device's certificate": lambda: world.pki.device("neighbour"),
    }[fault]()
    world.tls.load_cert_chain(certificate.cert, certificate.key)
    world.publish_new()
    device.assert_refused("E_TLS")
    assert world.requests == []


def test_man_in_the_middle_plain_http(world, device):
    """A server that speaks without TLS where TLS was; and one that sends the device to plain HTTP."""
    heard = []

    class Plain(http.server.BaseHTTPRequestHandler):
        def do_GET(self):  # pylint: disable=invalid-name
            heard.append(self.path)

        def log_message(self, *_arguments):  # pylint: disable=arguments-differ
            pass

    plain = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Plain)
    threading.Thread(target=plain.serve_forever, daemon=True).start()
    url = f"localhost:{plain.server_address[1]}"
    device.write_config(server={"url": f"https://{url}"})
    device.assert_refused("E_TLS", passes=1)
    device.write_config(server={"url": f"https://localhost:{world.device_port}"})
    world.publish_new()
    for status in (301, 302, 307, 308):
        world.images[NEW] = Reply(status=status, headers=[("Location", f"http://{url}/{NEW}")])
        device.assert_refused("E_NETWORK", passes=1)
    plain.shutdown()
    plain.server_close()
    assert heard == []


# ---- sealed images


class Sealing:
    """An identity as Debian's age makes it, and images sealed with Debian's age."""

    def __init__(self, folder, name="identity"):
        self.file = pathlib.Path(folder) / name
        subprocess.run(["age-keygen", "-o", str(self.file)], check=True, capture_output=True)
        self.file.chmod(0o400)
        self.secret = next(line for line in self.file.read_text(encoding="ascii").splitlines() if line.startswith("AGE-SECRET-KEY-1"))
        self.recipient = subprocess.run(["age-keygen", "-y", str(self.file)], check=True, capture_output=True, text=True).stdout.strip()

    def seal(self, data):
        return subprocess.run(["age", "-r", self.recipient], input=data, check=True, capture_output=True).stdout


PLAIN = image("sealed", 3 * 65536 + 100)
CHUNK = 65536 + 16


@pytest.fixture
def sealing(device, tmp_path):
    made = Sealing(tmp_path)
    device.write_config(device={"seal_identity": made.file})
    return made


def publish_sealed(world, sealed, plain=PLAIN):
    world.publish_new(data=sealed, encryption="age", plain_length=len(plain), plain_sha256=hashlib.sha256(plain).hexdigest())


def test_sealed_image_is_installed(world, device, sealing):
    publish_sealed(world, sealing.seal(PLAIN))
    device.settle()
    assert device.running_image() == PLAIN and device.downloads() == []


def spoil(sealed, other, fault):
    body = sealed.index(b"\n--- ") + len("\n--- ") + 43 + 1 + 16
    head, chunks = sealed[:body], [sealed[at:at + CHUNK] for at in range(body, len(sealed), CHUNK)]
    return {
        "reorder": lambda: head + chunks[1] + chunks[0] + b"".join(chunks[2:]),
        "drop first": lambda: head + b"".join(chunks[1:]),
        "drop last": lambda: head + b"".join(chunks[:-1]),
        "duplicate": lambda: head + chunks[0] + b"".join(chunks),
        "truncate": lambda: sealed[:-1],
        "header only": lambda: head,
        "half a header": lambda: sealed[:60],
        "splice": lambda: head + other[body:body + CHUNK] + b"".join(chunks[1:]),
        "another's payload": lambda: head + other[body:],
        "extended": lambda: sealed + b"\0",
        "flipped": lambda: head + bytes([chunks[0][0] ^ 1]) + chunks[0][1:] + b"".join(chunks[1:]),
        "not sealed": lambda: PLAIN,
    }[fault]()


FAULTS = ["reorder", "drop first", "drop last", "duplicate", "truncate", "header only", "half a header", "splice", "another's payload", "extended",
          "flipped", "not sealed"]


@pytest.mark.parametrize("fault", FAULTS)
def test_sealed_chunks(world, device, sealing, fault):
    """On the way: the hash of the sealed bytes. By whoever sealed it, under a good signature: the opening."""
    sealed = sealing.seal(PLAIN)
    spoilt = spoil(sealed, sealing.seal(PLAIN), fault)
    publish_sealed(world, sealed)
    world.images[NEW] = spoilt
    device.assert_refused("E_HASH" if len(spoilt) == len(sealed) else "E_LENGTH", passes=1)
    publish_sealed(world, spoilt)
    device.assert_refused("E_DECRYPT", passes=1)
    assert "E_DECRYPT" in world.reported()


def test_sealed_for_another_device(world, device, sealing, tmp_path):
    publish_sealed(world, Sealing(tmp_path, "other").seal(PLAIN))
    device.assert_refused("E_DECRYPT")
    device.write_config(device={"seal_identity": None})
    device.assert_refused("E_DECRYPT")
    assert sealing.secret not in device.log


def test_sealed_with_another_plain_image(world, device, sealing):
    """Whoever holds the recipient can seal anything: the signed plain hash decides."""
    device.write_config(install={"max_attempts": 9})  # they are counted by release, and this one comes four times
    publish_sealed(world, sealing.seal(b"M" * len(PLAIN)))
    device.assert_refused("E_HASH", passes=1)
    for length in (len(PLAIN) - 1, len(PLAIN) + 1, 0):
        publish_sealed(world, sealing.seal(b"M" * length))
        device.assert_refused("E_DECRYPT", passes=1)


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o660])
def test_identity_open_to_others(world, device, sealing, mode):
    sealing.file.chmod(mode)
    publish_sealed(world, sealing.seal(PLAIN))
    for command in ("once", "check-config"):
        done = device.command(command)
        assert done.returncode != 0 and "identity" in done.stderr and sealing.secret not in done.stderr
    assert device.hurt() == [] and world.requests == []


def test_sealed_for_an_installer(world, sealing, victim_past, tmp_path):
    """The command gets the opened file, and only a whole one; nothing of it is left."""
    installer = tmp_path / "installer"
    installer.write_text(f"#!/bin/sh\ncp \"$1\" {tmp_path}/got\nstat -c %a \"$1\" >{tmp_path}/mode\nexit 0\n", encoding="ascii")
    installer.chmod(0o755)
    device = Victim(tmp_path / "other", world, config={
        "device": {"seal_identity": sealing.file},
        "install": {"installer": "command", "command": installer, "reboot": "none", "boot_pointer": None, "slot_a": None, "slot_b": None}})
    device.be_like(victim_past[1])
    sealed = sealing.seal(PLAIN)
    publish_sealed(world, spoil(sealed, sealed, "truncate"))
    done = device.once()
    assert CODE.findall(done.stderr)[-1] == "E_DECRYPT" and not (tmp_path / "got").exists()
    assert [path.name for path in device.downloads() if "opened" in path.name] == []
    publish_sealed(world, sealed)
    device.settle()
    assert (tmp_path / "got").read_bytes() == PLAIN and (tmp_path / "mode").read_text(encoding="ascii") == "600\n"
    assert device.downloads() == [] and device.state()["installed"]["sequence"] == 3


def test_canaries_of_sealing(world, device, sealing):
    """The identity is nowhere but in its file: not in the log, the state, the reports, or a file that is left."""
    device.write_config(log={"level": "debug"})
    sealed = sealing.seal(PLAIN)
    publish_sealed(world, spoil(sealed, sealed, "truncate"))
    device.once()
    publish_sealed(world, sealed)
    device.settle()
    assert device.running_image() == PLAIN
    secrets = [sealing.secret, sealing.secret[16:], sealing.secret[16:48]]
    texts = [device.log, json.dumps(world.reports), " ".join(world.requests), device.command("status", "--json").stdout]
    texts += [path.read_bytes().decode(errors="replace") for path in (device.folder / "state").rglob("*") if path.is_file()]
    assert not [secret for secret in secrets for text in texts if secret in text]
    assert PRODUCT in device.log
