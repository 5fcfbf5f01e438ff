"""HTTP of images (device-api.md §3): ranges and preconditions with their exact bytes, as real clients depend on them."""

import base64
import hashlib
import subprocess

import pytest

from lib import firmware
from lib.wire import Connection

IMAGE = firmware.UBOOT_ARM64.read_bytes()
SIZE = len(IMAGE)
SHA256 = hashlib.sha256(IMAGE).hexdigest()
ETAG = f'"{SHA256}"'
PATH = "/firmware/router/1.1.0/u-boot.bin"
HASHED = f"/firmware/router/1.1.0/{SHA256}.u-boot.bin"
LONG_AGO = "Sun, 06 Nov 1994 08:49:37 GMT"
FUTURE = "Fri, 31 Dec 2100 23:59:59 GMT"
OTHER = '"' + "0" * 64 + '"'


@pytest.fixture(scope="module")
def device(router):
    made = router.device("range-1")
    directive = made.directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    assert directive["action"] == "install" and directive["release"]["version"] == "1.1.0"
    return made


@pytest.fixture(scope="module")
def modified(device):
    return device.head(PATH).header("Last-Modified")


def check_common(reply):
    assert reply.header("Accept-Ranges") == "bytes"
    assert reply.header("ETag") == ETAG
    assert reply.header("Content-Encoding") is None
    assert reply.header("Transfer-Encoding") is None


def check_digest(reply):
    expected = base64.b64encode(bytes.fromhex(SHA256)).decode()
    assert reply.header("Repr-Digest") == f"sha-256=:{expected}:"


def whole(reply):
    assert reply.status == 200
    check_common(reply)
    check_digest(reply)
    assert reply.header("Content-Range") is None
    assert reply.header("Content-Length") == str(SIZE)
    assert reply.body == IMAGE


def part(reply, first, last):
    assert reply.status == 206
    check_common(reply)
    check_digest(reply)
    assert reply.header("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert reply.header("Content-Length") == str(last - first + 1)
    assert reply.body == IMAGE[first : last + 1]


def unsatisfiable(reply):
    assert reply.status == 416
    assert reply.header("Content-Range") == f"bytes */{SIZE}"
    assert reply.header("ETag") == ETAG
    assert reply.header("Accept-Ranges") == "bytes"


def test_whole(device):
    reply = device.get(PATH)
    whole(reply)
    assert reply.header("Last-Modified").endswith(" GMT")


def test_hashed_name_is_the_same_file(device):
    whole(device.get(HASHED))
    part(device.get(HASHED, headers=[("Range", "bytes=5-9")]), 5, 9)


PARTS = [
    ("bytes=0-0", 0, 0),
    ("bytes=0-", 0, SIZE - 1),
    ("bytes=1-", 1, SIZE - 1),
    ("bytes=0-131071", 0, 131071),
    ("bytes=131072-262143", 131072, 262143),
    (f"bytes={SIZE - 1}-", SIZE - 1, SIZE - 1),
    (f"bytes={SIZE - 1}-{SIZE - 1}", SIZE - 1, SIZE - 1),
    (f"bytes=0-{SIZE - 1}", 0, SIZE - 1),
    (f"bytes=0-{SIZE}", 0, SIZE - 1),
    (f"bytes=100-{SIZE + 100000}", 100, SIZE - 1),
    ("bytes=100-9223372036854775807", 100, SIZE - 1),
    ("bytes=100-18446744073709551615", 100, SIZE - 1),
    ("bytes=-1", SIZE - 1, SIZE - 1),
    ("bytes=-1000", SIZE - 1000, SIZE - 1),
    (f"bytes=-{SIZE}", 0, SIZE - 1),
    (f"bytes=-{SIZE + 5}", 0, SIZE - 1),
    ("Bytes=3-7", 3, 7),
    ("bytes=00000000000000000003-7", 3, 7),
]


@pytest.mark.parametrize("value, first, last", PARTS)
def test_part(device, value, first, last):
    part(device.get(PATH, headers=[("Range", value)]), first, last)


@pytest.mark.parametrize("value", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 10}", "bytes=-0", "bytes=9223372036854775807-"])
def test_no_such_byte(device, value):
    unsatisfiable(device.get(PATH, headers=[("Range", value)]))


IGNORED = [
    "bytes=5-4",  # malformed: last before first
    "bytes=a-b",
    "bytes=",
    "bytes",
    "bytes=-",
    "bytes=--5",
    "bytes=+1-5",
    "bytes=1-5x",
    "bytes 1-5",
    "bytes=0x0-0x5",
    "items=0-5",
    "seconds=1-2",
    "bytes=0-0,5-9",  # several: the whole file
    "bytes=0-0,-1",
    "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 400, 2)),
]


@pytest.mark.parametrize("value", IGNORED)
def test_ignored(device, value):
    whole(device.get(PATH, headers=[("Range", value)]))


def test_head_ignores_range(device):
    for headers in [(), (("Range", "bytes=5-9"),), (("Range", f"bytes={SIZE}-"),)]:
        reply = device.head(PATH, headers=headers)
        assert reply.status == 200
        check_common(reply)
        check_digest(reply)
        assert reply.header("Content-Length") == str(SIZE)
        assert reply.header("Content-Range") is None


def test_head_equals_get(device):
    got, head = device.get(PATH), device.head(PATH)
    volatile = {"x-request-id", "date"}
    assert [h for h in head.headers if h[0].lower() not in volatile] == [h for h in got.headers if h[0].lower() not in volatile]


@pytest.mark.parametrize("tag, is_part", [(ETAG, True), (OTHER, False), (f"W/{ETAG}", False), (SHA256, False), ('"', False), ("", False), ("*", False)])
def test_if_range_tag(device, tag, is_part):
    reply = device.get(PATH, headers=[("Range", "bytes=10-19"), ("If-Range", tag)])
    if is_part:
        part(reply, 10, 19)
    else:
        whole(reply)


def test_if_range_date(device, modified):
    part(device.get(PATH, headers=[("Range", "bytes=10-19"), ("If-Range", modified)]), 10, 19)
    for date in (LONG_AGO, FUTURE, "yesterday"):
        whole(device.get(PATH, headers=[("Range", "bytes=10-19"), ("If-Range", date)]))


def test_if_range_without_range(device):
    whole(device.get(PATH, headers=[("If-Range", ETAG)]))


def test_if_range_of_another_file_ignores_an_unsatisfiable_range(device):
    whole(device.get(PATH, headers=[("Range", f"bytes={SIZE}-"), ("If-Range", OTHER)]))


@pytest.mark.parametrize("value, hit", [
    (ETAG, True), ("*", True), (f"W/{ETAG}", True), (f"{OTHER}, {ETAG}", True), (f"{OTHER},{ETAG}", True), (f"{OTHER}", False), (SHA256, False),
    (f'"a,b", {ETAG}', True),
])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_if_none_match(device, method, value, hit):
    reply = device.request(method, PATH, headers=[("If-None-Match", value)])
    if hit:
        assert reply.status == 304 and reply.body == b""
        assert reply.header("ETag") == ETAG
    elif method == "GET":
        whole(reply)
    else:
        assert reply.status == 200


def test_if_none_match_beats_range(device):
    assert device.get(PATH, headers=[("If-None-Match", ETAG), ("Range", "bytes=0-5")]).status == 304
    part(device.get(PATH, headers=[("If-None-Match", OTHER), ("Range", "bytes=0-5")]), 0, 5)


@pytest.mark.parametrize("value, holds", [(ETAG, True), ("*", True), (f"{OTHER}, {ETAG}", True), (OTHER, False), (f"W/{ETAG}", False), (SHA256, False)])
def test_if_match(device, value, holds):
    reply = device.get(PATH, headers=[("If-Match", value)])
    if holds:
        whole(reply)
    else:
        assert reply.status == 412 and reply.problem == "precondition"


def test_if_match_before_if_none_match(device):
    assert device.get(PATH, headers=[("If-Match", OTHER), ("If-None-Match", ETAG)]).status == 412
    assert device.get(PATH, headers=[("If-Match", ETAG), ("If-None-Match", ETAG)]).status == 304


def test_dates(device, modified):
    assert device.get(PATH, headers=[("If-Modified-Since", modified)]).status == 304
    assert device.get(PATH, headers=[("If-Modified-Since", FUTURE)]).status == 304
    whole(device.get(PATH, headers=[("If-Modified-Since", LONG_AGO)]))
    whole(device.get(PATH, headers=[("If-Modified-Since", "no date")]))
    whole(device.get(PATH, headers=[("If-Unmodified-Since", modified)]))
    assert device.get(PATH, headers=[("If-Unmodified-Since", LONG_AGO)]).status == 412
    # RFC 9110 §13.2.2: the tags win over the dates.
    whole(device.get(PATH, headers=[("If-None-Match", OTHER), ("If-Modified-Since", FUTURE)]))
    whole(device.get(PATH, headers=[("If-Match", ETAG), ("If-Unmodified-Since", LONG_AGO)]))


def test_same_tag_everywhere(device):
    tags = {
        device.get(PATH).header("ETag"),
        device.head(PATH).header("ETag"),
        device.get(HASHED).header("ETag"),
        device.get(PATH, headers=[("Range", "bytes=0-0")]).header("ETag"),
        device.get(PATH, headers=[("If-None-Match", "*")]).header("ETag"),
        device.get(PATH, headers=[("Range", f"bytes={SIZE}-")]).header("ETag"),
    }
    assert tags == {ETAG}


@pytest.mark.parametrize("path", [
    "/firmware/router/1.1.0/../1.1.0/u-boot.bin",
    "/firmware/router/1.1.0/./u-boot.bin",
    "/firmware/router//1.1.0/u-boot.bin",
    "/firmware/router/1.1.0%2fu-boot.bin",
    "/firmware/router/1.1.0%2Fu-boot.bin",
    "/firmware/router/1.1.0/u-boot.bin%00",
    "/firmware/router/1.1.0/u-boot.bin%00.sig",
    "/firmware/router/%2e%2e/router/1.1.0/u-boot.bin",
    "/firmware/router/1.1.0/u-boot.bin/",
    "/firmware/router/1.1.0/U-boot.bin",
    "/firmware/router/1.1.0/",
    "/firmware/",
    "/firmware",
    "/firmware/../../../../etc/passwd",
    f"/firmware/router/1.1.0/{SHA256[:-1]}0.u-boot.bin",
    f"/firmware/router/1.1.0/{SHA256.upper()}.u-boot.bin",
    f"/firmware/router/1.1.0/{SHA256}.other.bin",
    f"/firmware/router/1.0.0/{SHA256}.u-boot.bin",
    f"/firmware/{SHA256}",
])
def test_paths_are_exact(router, device, path):
    with Connection(router.device_port, device.tls) as connection:
        reply = device.get(path, connection=connection)
        assert reply.status in (400, 403, 404), reply
        assert reply.header("Content-Type").startswith("application/problem+json")


def test_signature_file(device):
    for path in (PATH, HASHED):
        reply = device.get(path + ".sig")
        assert reply.status == 200
        assert 64 <= len(reply.body) <= 80 and reply.body[0] == 0x30
    assert device.get(PATH + ".sig.sig").status == 404


def test_a_thousand_ranges_on_one_connection(router, device):
    """A streaming client: 128 KiB at a time. The database is locked by another process meanwhile: no range needs a write."""
    device.get(PATH)
    with Connection(router.device_port, device.tls) as connection, router.write_lock():
        for number in range(1000):
            first = number * 977 % (SIZE - 131072)
            reply = device.get(PATH, headers=[("Range", f"bytes={first}-{first + 131071}")], connection=connection)
            assert reply.status == 206
            if number % 50 == 0:
                part(reply, first, first + 131071)


def client_arguments(router, device, tool):
    certificate = device.certificate
    if tool == "curl":
        return ["curl", "-sS", "--fail", "--cacert", router.pki.server_ca, "--cert", certificate.cert, "--key", certificate.key]
    return ["wget", "-nv", "--ca-certificate", router.pki.server_ca, "--certificate", certificate.cert, "--private-key", certificate.key]


@pytest.mark.parametrize("tool, go_on", [("curl", ["-C", "-", "-O"]), ("wget", ["-c"])])
def test_resume_with_common_clients(router, device, tool, go_on, tmp_path):
    """curl -C - and wget -c finish a file that was cut in the middle."""
    (tmp_path / "u-boot.bin").write_bytes(IMAGE[:300001])
    done = subprocess.run([*map(str, client_arguments(router, device, tool)), *go_on, router.url(PATH)], cwd=tmp_path, capture_output=True, text=True,
                          timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "u-boot.bin").read_bytes() == IMAGE
    log = [line for line in router.log().splitlines() if "206" in line and "u-boot.bin" in line]
    assert log, "nothing in the server's log says that a part was sent"


@pytest.mark.parametrize("tool, go_on", [("curl", ["-C", "-", "-O"]), ("wget", ["-c"])])
def test_resume_of_a_complete_file(router, device, tool, go_on, tmp_path):
    (tmp_path / "u-boot.bin").write_bytes(IMAGE)
    arguments = [a for a in map(str, client_arguments(router, device, tool)) if a != "--fail"]
    done = subprocess.run([*arguments, *go_on, router.url(PATH)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (0, 33), done.stderr  # curl 33: the server says that there is no further byte
    assert (tmp_path / "u-boot.bin").read_bytes() == IMAGE
