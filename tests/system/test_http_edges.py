"""The edges of HTTP (reliability-security.md §2): nothing odd is executed, nothing slow lives, and early answers can be read."""

import hashlib
import json
import os
import re
import socket
import ssl
import subprocess
import time

import pytest

from lib import firmware
from lib.paths import DATA
from lib.wait import wait_for
from lib.wire import Closed, Connection, head_bytes

MALFORMED = sorted((DATA / "http" / "malformed").glob("*"))
LEGAL = sorted((DATA / "http" / "legal").glob("*"))
HEAD_S, HANDSHAKE_S, IDLE_S = 3, 3, 4
LATE_S = 10  # what a busy machine may add
SANITIZED_CPU = 4  # a sanitizer makes everything dearer; the limits below are for one and far below one busy core all the same


@pytest.fixture(scope="module")
def edge(servers):
    """A server with short deadlines."""
    server = servers({
        "enrolment": {"auto_accept": "yes"},
        "limits": {"handshake_timeout": f"{HANDSHAKE_S}s", "head_timeout": f"{HEAD_S}s", "idle_timeout": f"{IDLE_S}s", "connections_per_device": 1000,
                   "image_bytes": "4M"},
    })
    server.publish(firmware.UBOOT_ARM64, "edge-product", "1.0.0", ("edge-board",))
    return server


@pytest.fixture(scope="module")
def device(edge):
    made = edge.device("edge-1")
    made.deployment = made.directive(product="edge-product", hardware="edge-board")["deployment"]
    return made


def statuses(data):
    return [int(found) for found in re.findall(rb"(?:^|\r\n)HTTP/1\.1 (\d{3}) ", data)]


def test_the_set_is_complete():
    assert len(MALFORMED) >= 32 and len(LEGAL) >= 7


@pytest.mark.parametrize("path", MALFORMED, ids=lambda path: path.name)
def test_malformed(edge, device, path):
    """No 2xx, one clear answer at most, and the connection ends."""
    with Connection(edge.device_port, device.tls) as connection:
        try:
            connection.send(path.read_bytes())
        except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
            pass
        try:
            data = connection.receive_all(HEAD_S + IDLE_S + 3)
        except Closed as closed:
            data = closed.received
    seen = statuses(data)
    assert not [status for status in seen if status < 400], f"{path.name}: {data[:300]!r}"
    assert len(seen) <= 1, f"{path.name}: {data[:600]!r}"
    if seen:
        assert b"application/problem+json" in data and b"urn:pawl:problem:" in data
        assert re.search(rb"(?i)\r\nX-Request-Id: [0-9a-f]{16,}\r\n", data), data[:400]


report_numbers = iter(range(1, 1000))


def as_sent_here(data, device):
    """The files ask a stand-in server; here POST is a report, and a query says what /check understands."""
    data = data.replace(b"product=a%2Fb&nonce=Zm9v%3D%3D&x=%20", b"product=edge%2Dproduct&nonce=%61bababababababab")
    while b"POST /echo" in data:
        body = json.dumps({"deployment": device.deployment, "report_seq": next(report_numbers), "state": "downloading"}).encode()
        before, after = data.split(b"POST /echo", 1)
        head, rest = after.split(b"\r\n\r\n", 1)
        assert rest.startswith(b"hello") and b"Content-Length: 5" in head
        head = head.replace(b"Content-Length: 5", b"Content-Length: %d" % len(body)).replace(b"text/plain", b"application/json")
        if b"Content-Type" not in head:
            head += b"\r\nContent-Type: application/json"
        data = before + b"POST /report" + head + b"\r\n\r\n" + body + rest[len(b"hello") :]
    return data


@pytest.mark.parametrize("path", LEGAL, ids=lambda path: path.name)
def test_legal(edge, device, path):
    with Connection(edge.device_port, device.tls) as connection:
        data = as_sent_here(path.read_bytes(), device)
        connection.send(data)
        for method in re.findall(rb"(GET|HEAD|POST) /\S* HTTP/1.1\r\n", data):
            reply = connection.read_reply(method.decode())
            assert 200 <= reply.status < 300, f"{path.name}: {reply}"


# ---- slow clients


def client_hello(edge):
    """The first flight of a real client, as bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


@pytest.mark.parametrize("part", ["nothing", "half", "whole"])
def test_stalled_handshake(edge, part):
    """A client that stops before, within or after its ClientHello: no measurable CPU, closed at the deadline."""
    hello = client_hello(edge)
    data = {"nothing": b"", "half": hello[: len(hello) // 2], "whole": hello}[part]
    with socket.create_connection(("127.0.0.1", edge.device_port), timeout=HANDSHAKE_S + LATE_S) as raw:
        begin = time.monotonic()
        raw.sendall(data)
        time.sleep(0.3)
        cpu = edge.cpu_seconds()
        try:
            while raw.recv(65536):
                pass
        except ConnectionResetError:
            pass
        lived = time.monotonic() - begin
        spent = edge.cpu_seconds() - cpu
    assert HANDSHAKE_S - 0.5 <= lived <= HANDSHAKE_S + LATE_S
    assert spent <= 0.03 * SANITIZED_CPU


def test_five_hundred_tricklers(new_server):
    """Each sends a byte of its head now and then for ever: dead at the deadline, no measurable CPU, others are served meanwhile."""
    server = new_server({"enrolment": {"auto_accept": "yes"}, "limits": {"connections_per_device": 1000}})
    device = server.device("trickler")
    assert device.get("/whoami").status == 200
    head = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\nX-Slow: " + b"a" * 1000
    open_ones, deadline_s, slowest, sent = [], 8, 0.0, 1
    try:
        for _ in range(500):
            open_ones.append(device.connect())
            open_ones[-1].send(head[:1])
        cpu, begin, first = server.cpu_seconds(), time.monotonic(), len(open_ones)
        while open_ones and time.monotonic() - begin < deadline_s + LATE_S:
            for connection in list(open_ones):
                try:
                    if not connection.is_open():
                        raise ConnectionResetError
                    connection.send(head[sent : sent + 1])
                except (OSError, ssl.SSLError):
                    open_ones.remove(connection)
                    connection.close()
            sent += 1
            asked = time.monotonic()
            assert device.get("/whoami").status == 200
            slowest = max(slowest, time.monotonic() - asked)
            time.sleep(0.4)
        spent, took = server.cpu_seconds() - cpu, time.monotonic() - begin
    finally:
        left = len(open_ones)
        for connection in open_ones:
            connection.close()
    assert first == 500 and left == 0
    assert spent / took <= 0.04 * SANITIZED_CPU, f"{spent:.2f} s of CPU in {took:.1f} s"
    assert slowest < deadline_s / 2


def test_idle_connection_is_closed(edge, device):
    with device.connect() as connection:
        assert device.get("/whoami", connection=connection).status == 200
        assert connection.seconds_until_closed(IDLE_S + LATE_S) >= IDLE_S - 0.5


def test_slow_body_is_cut(edge):
    """A body that comes slower than the minimum rate."""
    operator = edge.operator()
    with operator.connect() as connection:
        connection.send(head_bytes("POST", "/api/v1/products", operator.headers + [("Content-Type", "application/json"), ("Content-Length", "5000")]))
        begin = time.monotonic()
        try:
            while connection.is_open(0.2) and time.monotonic() - begin < 60:
                connection.send(b" ")
        except (OSError, ssl.SSLError):
            pass
        assert time.monotonic() - begin < 40


def test_client_that_does_not_read_is_cut(edge):
    """It asks for images and reads nothing: no CPU, cut, and others are served meanwhile."""
    slow = edge.device("no-reader")
    assert slow.directive(product="edge-product", hardware="edge-board", version="0.0.1", sequence=0)["action"] == "install"
    slow.close()
    time.sleep(0.5)
    before = edge.open_files()  # the client cannot see the end: it stands behind bytes that it does not read
    with slow.connect() as connection:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(head_bytes("GET", "/firmware/edge-product/1.0.0/u-boot.bin", []) * 50)
        time.sleep(0.5)
        assert edge.open_files() > before
        cpu, begin = edge.cpu_seconds(), time.monotonic()
        while edge.open_files() > before and time.monotonic() - begin < 45:
            time.sleep(0.5)
            assert slow.get("/whoami").status == 200
            slow.close()
            time.sleep(0.2)
        assert time.monotonic() - begin < 45, "still open"
        assert edge.cpu_seconds() - cpu <= 0.05 * SANITIZED_CPU + 0.02 * (time.monotonic() - begin)


# ---- early answers


def send_anyway(connection, data):
    """As clients do: on and on, whatever the server says meanwhile."""
    try:
        connection.send(data)
    except (OSError, ssl.SSLError):
        pass


@pytest.mark.parametrize("size", [4 * 1024 * 1024 + 1, 64 * 1024 * 1024, 2**53])
def test_413_is_readable(edge, size):
    """A body over its limit is refused at the head, and the client that goes on sending can read why."""
    operator = edge.operator()
    with operator.connect() as connection:
        connection.send(head_bytes("PUT", "/api/v1/images/" + "0" * 64, operator.headers + [("Content-Type", "application/octet-stream"), ("Content-Length", str(size))]))
        send_anyway(connection, b"x" * min(size, 256 * 1024))
        reply = connection.read_reply()
    edge.contract.check("PUT", "/api/v1/images/" + "0" * 64, reply)
    assert reply.status == 413 and reply.problem == "too-large"


def test_403_is_readable(edge):
    weak = edge.operator(edge.operator().token_with("device:read"))
    with weak.connect() as connection:
        connection.send(head_bytes("PUT", "/api/v1/images/" + "0" * 64, weak.headers + [("Content-Type", "application/octet-stream"), ("Content-Length", "2000000")]))
        send_anyway(connection, b"x" * 2000000)
        reply = connection.read_reply()
    assert reply.status == 403 and reply.problem == "scope"


@pytest.mark.parametrize("status, mebibytes, scope, expect", [
    (413, 8, "release:publish", "100-continue"), (413, 64, "release:publish", ""), (403, 2, "device:read", "100-continue"), (403, 3, "device:read", ""),
])
def test_curl_sees_the_refusal(edge, tmp_path, status, mebibytes, scope, expect):
    """Also one that sends without asking first reads the whole problem while it is still sending."""
    big, header, body = tmp_path / "big.bin", tmp_path / "header", tmp_path / "body"
    with open(big, "wb") as file:
        file.truncate(mebibytes << 20)
    header.write_text(f"Authorization: Bearer {edge.operator().token_with(scope)}\nExpect: {expect}\n", encoding="ascii")
    done = subprocess.run(
        ["curl", "-sS", "-o", str(body), "-w", "%{http_code}", "--cacert", str(edge.pki.server_ca), "-H", f"@{header}", "-T", str(big),
         f"https://localhost:{edge.admin_port}/api/v1/images/{'0' * 64}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == str(status), done.stderr
    assert json.loads(body.read_text())["type"] == "urn:pawl:problem:" + {413: "too-large", 403: "scope"}[status]


def test_json_body_over_its_limit(edge):
    operator = edge.operator()
    with operator.connect() as connection:
        connection.send(head_bytes("POST", "/api/v1/products", operator.headers + [("Content-Type", "application/json"), ("Content-Length", "10000000")]))
        send_anyway(connection, b'{"id": "' + b"x" * 200_000)
        reply = connection.read_reply()
    edge.contract.check("POST", "/api/v1/products", reply)
    assert reply.status == 413 and reply.problem == "too-large"


# ---- Content-Length


def test_short_body_stores_nothing(edge):
    """Fewer bytes than declared, then the end: no image, no temporary file."""
    operator = edge.operator()
    before = edge.image_files()
    data = os.urandom(100_000)
    sha256 = hashlib.sha256(data).hexdigest()
    with operator.connect() as connection:
        connection.send(head_bytes("PUT", f"/api/v1/images/{sha256}", operator.headers + [("Content-Length", str(len(data) + 1))]) + data)
        connection.raw.shutdown(socket.SHUT_WR)
        try:
            received = connection.receive_all(HEAD_S + IDLE_S + 12)
        except Closed as closed:
            received = closed.received
    assert not [status for status in statuses(received) if 200 <= status < 300]
    wait_for(lambda: edge.image_files() == before)
    assert operator.get(f"/api/v1/images/{sha256}").status == 404


def test_long_body_is_not_a_request(edge):
    """More bytes than declared: the rest is read as the next request, which it is not."""
    operator = edge.operator()
    with operator.connect() as connection:
        connection.send(head_bytes("POST", "/api/v1/products", operator.headers + [("Content-Type", "application/json"), ("Content-Length", "2")]) + b"{}xxxx\r\n\r\n")
        first = connection.read_reply()
        assert first.status == 400
        rest = connection.receive_all(10)
    assert statuses(rest) in ([400], [])


# ---- legal, and sometimes forgotten


def test_pipelining(edge, device):
    """Ten requests in one segment: ten answers in order."""
    with device.connect() as connection:
        connection.send(b"".join(head_bytes("GET" if n % 2 else "HEAD", "/whoami" if n % 3 else "/nowhere", []) for n in range(10)))
        for n in range(10):
            reply = connection.read_reply("GET" if n % 2 else "HEAD")
            assert reply.status == (200 if n % 3 else 404)


def test_request_in_single_bytes(edge, device):
    with device.connect() as connection:
        for byte in head_bytes("GET", "/whoami", [("X-Note", "slow but steady")]):
            connection.send(bytes([byte]))
        assert connection.read_reply().status == 200


def test_expect_continue(edge):
    operator = edge.operator()
    body = b'{"id": "expected"}'
    with operator.connect() as connection:
        connection.send(head_bytes("POST", "/api/v1/products", operator.headers
                                   + [("Content-Type", "application/json"), ("Content-Length", str(len(body))), ("Expect", "100-continue")]))
        assert connection.read_head().status == 100
        connection.send(body)
        assert connection.read_reply().status == 201


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_expect_without_a_body(edge, method):
    """Nothing is waited for, and a 304 does not say how long the body is that it does not have."""
    operator, path = edge.operator(), "/api/v1/metadata/timestamp.json"
    etag = operator.get(path).header("ETag")
    with operator.connect() as connection:
        connection.send(head_bytes(method, path, operator.headers + [("Expect", "100-continue"), ("If-None-Match", etag)]))
        reply = connection.read_head()
        assert reply.status == 304 and reply.header("Content-Length") is None, reply.head


def test_connection_close(edge, device):
    with device.connect() as connection:
        reply = device.get("/whoami", connection=connection, headers=[("Connection", "close")])
        assert reply.status == 200 and reply.header("Connection").lower() == "close"
        assert connection.receive_all(5) == b""


def test_head_of_8_kib(edge, device):
    """A legal head of just under 8 KiB is served, one above is refused with 431."""
    base = len(head_bytes("GET", "/whoami", [("X-Pad", "")]))
    assert device.get("/whoami", headers=[("X-Pad", "a" * (8192 - base))]).status == 200
    with device.connect() as connection:
        assert device.get("/whoami", headers=[("X-Pad", "a" * (8192 - base + 1))], connection=connection).status == 431


def test_number_of_fields(edge, device):
    with device.connect() as connection:
        assert device.get("/whoami", headers=[(f"X-{n}", "v") for n in range(63)], connection=connection).status == 200
        assert device.get("/whoami", headers=[(f"X-{n}", "v") for n in range(64)], connection=connection).status == 431


@pytest.mark.parametrize("target, status", [
    ("/check?product=a&product=b", 400), ("/check?sequence=-1", 400), ("/check?sequence=1e3", 400),
    ("/check?sequence=99999999999999999999", 400), ("/check?nonce=xyz", 400), ("/check?nonce=ab", 400), ("/check?nonce=" + "a" * 66, 400),
    ("/check?product=%zz", 400), ("/check?product=%0a", 400), ("/check?product=%00", 400), ("/check?product=" + "x" * 65, 400),
    ("/check?version=" + "1" * 65, 400), ("/check?hardware=a/b", 400), ("/check?" + "&".join(f"a{n}=1" for n in range(40)), 400), ("/nowhere", 404), ("/", 404),
    ("/check/", 404), ("//check", 404), ("/Check", 404), ("/api/v1/devices", 404), ("/metrics", 404),
])
def test_targets(edge, device, target, status):
    with device.connect() as connection:
        assert device.get(target, connection=connection).status == status


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "FOO", "get"])
def test_wrong_methods(edge, device, method):
    with device.connect() as connection:
        reply = device.request(method, "/whoami", connection=connection)
        assert reply.status == 405 and {"GET", "HEAD"} <= set(re.split(r",\s*", reply.header("Allow")))


def test_device_routes_are_not_on_the_admin_listener(edge):
    operator = edge.operator()
    for path in ("/check", "/whoami", "/tuf/timestamp.json", "/firmware/a/1.0.0/b"):
        assert operator.get(path).status == 404
    assert operator.post("/report", {}).status == 404


# ---- ceilings on connections


def test_connections_per_device(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}, "limits": {"connections_per_device": 3}})
    device, other = server.device("many-1"), server.device("many-2")
    held = []
    try:
        for _ in range(3):
            connection = device.connect()
            assert device.get("/whoami", connection=connection).status == 200
            held.append(connection)
        with pytest.raises((Closed, OSError)), device.connect() as connection:
            device.get("/whoami", connection=connection)
        assert other.get("/whoami").status == 200
    finally:
        for connection in held:
            connection.close()
    wait_for(lambda: answers(device))


def answers(client, path="/whoami"):
    try:
        with client.connect() as connection:
            return client.get(path, connection=connection).status == 200
    except (Closed, OSError):
        return False


def test_administration_answers_at_the_cap(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}, "limits": {"connections": 20, "admin_connections": 4, "connections_per_device": 1000}})
    device = server.device("crowd-1")
    held = []
    try:
        for _ in range(40):
            try:
                held.append(device.connect())
            except (OSError, ssl.SSLError):
                pass
        assert server.operator().get("/api/v1/whoami").status == 200
        assert server.operator().get("/healthz").status == 200
    finally:
        for connection in held:
            connection.close()
    wait_for(lambda: answers(device))


def test_connections_per_address(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}, "limits": {"connections_per_address": 5, "connections_per_device": 1000}})
    here, there = server.device("near-1"), server.device("near-2", source="127.0.0.77")
    held = [here.connect() for _ in range(5)]
    try:
        assert not answers(here)
        assert answers(there)
    finally:
        for connection in held:
            connection.close()
    wait_for(lambda: answers(here))


def test_nothing_is_left_open(edge, device):
    """After all that: no descriptor is leaked."""
    wait_for(lambda: answers(device))
    device.close()
    time.sleep(0.5)
    before = edge.open_files()
    for _ in range(50):
        with device.connect() as connection:
            assert device.get("/whoami", connection=connection).status == 200
    wait_for(lambda: edge.open_files() <= before + 2)
