"""Devices behind a TCP load balancer: mutual TLS to the server, addresses by the PROXY protocol (versions 1 and 2), believed from there alone."""

import ipaddress
import socket
import ssl
import struct
import time

import pytest

from lib.proxy import Proxy
from lib.wire import Closed, Connection, context, head_bytes

BALANCER = "127.0.0.9"
WHOAMI = head_bytes("GET", "/whoami", [])
V2 = b"\r\n\r\n\0\r\nQUIT\n"


def v1(client, server="192.0.2.250"):
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {server if family == 'TCP4' else '2001:db8::fa'} 40000 8443\r\n".encode()


def v2(client, vectors=b"", command=1):
    address = ipaddress.ip_address(client)
    body = address.packed + (b"\xc0\x00\x02\xfa" if address.version == 4 else b"\x20\x01\x0d\xb8" + bytes(12)) + struct.pack("!HH", 40000, 8443) + vectors
    return V2 + bytes([0x20 | command, 0x11 if address.version == 4 else 0x21]) + struct.pack("!H", len(body)) + body


def vector(size):
    return b"\xe0" + struct.pack("!H", size) + b"v" * size


@pytest.fixture(scope="module")
def behind(servers):
    return servers({"enrolment": {"auto_accept": "yes"}, "listen": {"proxies": f"{BALANCER} 198.51.100.0/24"},
                    "limits": {"connections_per_address": 4, "handshake_timeout": "2s"}})


@pytest.fixture
def balancers(behind):
    """Makes balancers; each gives a device's connections the same header."""
    made = []

    def make(opening, source=BALANCER, port=None):
        made.append(Proxy(port or behind.device_port, opening=lambda _: opening, source=source))
        return made[-1]

    yield make
    for each in made:
        each.close()


def http_through(behind, balancer, device="lb-1"):
    """What a device gets that comes this way."""
    certificate = behind.pki.device(device)
    try:
        with Connection(balancer.port, context(behind.pki.server_ca, certificate.cert, certificate.key), timeout=10) as connection:
            connection.send(WHOAMI)
            return connection.read_reply()
    except (Closed, ssl.SSLError, ConnectionError, TimeoutError) as error:
        return error


def last_address(server, device):
    """Of the newest line of the log about this device."""
    end = time.monotonic() + 20
    while True:
        lines = [line for line in server.log().splitlines() if f"device={device} " in line and "address=" in line]
        if lines:
            return lines[-1].split("address=")[1].split(" ")[0]
        assert time.monotonic() < end
        time.sleep(0.02)


GOOD = {
    "v1": (v1("203.0.113.7"), "203.0.113.7"),
    "v1 IPv6": (v1("2001:db8::77"), "2001:db8::77"),
    "v1 UNKNOWN": (b"PROXY UNKNOWN\r\n", BALANCER),
    "v2": (v2("203.0.113.8"), "203.0.113.8"),
    "v2 IPv6": (v2("2001:db8::88"), "2001:db8::88"),
    "v2 IPv4 in IPv6": (v2("::ffff:203.0.113.9"), "203.0.113.9"),
    "v2 LOCAL": (V2 + b"\x20\x00\x00\x00", BALANCER),
    "v2 LOCAL with an address": (v2("203.0.113.10", command=0), BALANCER),
    "v2 with vectors": (v2("203.0.113.11", vector(5) + vector(1500)), "203.0.113.11"),
}


@pytest.mark.parametrize("name", GOOD)
def test_address_of_the_header(behind, balancers, name):
    opening, address = GOOD[name]
    device = "lb-" + "".join(c if c.isalnum() else "-" for c in name)
    reply = http_through(behind, balancers(opening), device)
    assert getattr(reply, "status", reply) == 200 and reply.json["id"] == device
    assert last_address(behind, device) == address


BAD = {
    "none": b"",
    "broken": b"PROXY TCP4 203.0.113.7\r\n",
    "of another family": b"PROXY TCP4 2001:db8::1 2001:db8::2 1 2\r\n",
    "endless": b"PROXY UNKNOWN " + b"x" * 200 + b"\r\n",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "v2 cut": v2("203.0.113.8")[:20],
    "v2 with a vector past its end": v2("203.0.113.8", b"\xe0\xff\xff"),
    "v2 with too many vectors": v2("203.0.113.8", vector(3000)),
    "v2 of UDP": v2("203.0.113.8").replace(b"\x21\x11", b"\x21\x12"),
    "v3": V2 + b"\x31\x11\x00\x00",
    "twice": v1("203.0.113.7") + v1("203.0.113.7"),
}


def refused(behind):
    text = behind.operator().get("/metrics").body.decode()
    return int(next(line for line in text.splitlines() if line.startswith("pawl_connections_refused_proxy_total ")).rsplit(" ", 1)[1])


@pytest.mark.parametrize("name", BAD)
def test_bad_header_of_a_balancer(behind, balancers, name):
    before = refused(behind)
    reply = http_through(behind, balancers(BAD[name]))
    assert not hasattr(reply, "status"), reply
    if name not in ("v2 cut", "twice"):  # the first is like the rest of a header that would say too much, the second is no TLS
        assert refused(behind) == before + 1


@pytest.mark.parametrize("opening", [v1("203.0.113.7"), v2("203.0.113.7"), V2 + b"\x20\x00\x00\x00"], ids=["v1", "v2", "v2 LOCAL"])
@pytest.mark.parametrize("source", ["127.0.0.1", "127.0.0.8"])
def test_header_from_elsewhere_is_no_handshake(behind, balancers, opening, source):
    assert not hasattr(http_through(behind, balancers(opening, source)), "status")


def test_no_header_from_elsewhere(behind):
    assert behind.device("lb-direct").get("/whoami").status == 200
    assert last_address(behind, "lb-direct") == "127.0.0.1"


def test_administration_takes_no_header(behind, balancers):
    """Its listener has no balancer: from that address too it is TLS from the first byte."""
    reply = http_through(behind, balancers(v1("203.0.113.7"), port=behind.admin_port))
    assert not hasattr(reply, "status")
    operator = behind.operator(source=BALANCER)
    assert operator.get("/api/v1/whoami").status == 200


def test_silent_balancer_is_cut(behind):
    """The header must come within the handshake's deadline, also when it comes byte by byte."""
    with socket.create_connection(("127.0.0.1", behind.device_port), source_address=(BALANCER, 0), timeout=20) as raw:
        raw.sendall(b"PROX")
        begin = time.monotonic()
        try:
            assert raw.recv(1) == b""
        except ConnectionResetError:
            pass
        assert time.monotonic() - begin < 15
    with socket.create_connection(("127.0.0.1", behind.device_port), source_address=(BALANCER, 0), timeout=20) as raw:
        begin = time.monotonic()
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            for byte in v1("203.0.113.7")[:-1] + b" " * 200:
                raw.sendall(bytes([byte]))
                time.sleep(0.1)
        assert time.monotonic() - begin < 15


def test_header_in_pieces(behind):
    """A byte at a time, and the handshake in the same segment as its end."""
    certificate = behind.pki.device("lb-pieces")
    for opening in (v1("203.0.113.60"), v2("203.0.113.60", vector(40))):
        plain = socket.create_connection(("127.0.0.1", behind.device_port), source_address=(BALANCER, 0), timeout=20)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in opening[:-3]:
            plain.sendall(bytes([byte]))
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context(behind.pki.server_ca, certificate.cert, certificate.key).wrap_bio(incoming, outgoing, server_hostname="localhost")
        first = opening[-3:]
        while True:
            try:
                tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(first + outgoing.read())
                first = b""
                incoming.write(plain.recv(65536))
        tls.write(WHOAMI)
        plain.sendall(outgoing.read())
        data = b""
        while b"lb-pieces" not in data:
            incoming.write(plain.recv(65536))
            try:
                data += tls.read(65536)
            except ssl.SSLWantReadError:
                continue
        plain.close()
        assert data.startswith(b"HTTP/1.1 200")


def test_ceiling_by_the_clients_address(behind, balancers):
    """Four connections for each client; the balancer, which makes them all, has no ceiling of its own."""
    certificate = behind.pki.device("lb-many")
    tls = context(behind.pki.server_ca, certificate.cert, certificate.key)
    one, other = balancers(v1("203.0.113.20")), balancers(v2("203.0.113.21"))
    opened = []
    try:
        for _ in range(4):
            opened.append(Connection(one.port, tls))
            opened[-1].send(WHOAMI)
            assert opened[-1].read_reply().status == 200
        assert not hasattr(http_through(behind, one, "lb-other"), "status")
        assert http_through(behind, other, "lb-other").status == 200
        opened.pop().close()
        end = time.monotonic() + 20
        while not hasattr(http_through(behind, one, "lb-other"), "status"):
            assert time.monotonic() < end
    finally:
        for connection in opened:
            connection.close()


def test_bad_list_in_the_configuration(new_server):
    server = new_server(start=False)
    for text in ("10.0.0.1/8", "balancer.example", "10.0.0.0/40"):
        server.write_config({"listen": {"proxies": text}})
        done = server.run("check-config", check=False)
        assert done.returncode == 2 and "[listen] proxies" in done.stderr and text in done.stderr
