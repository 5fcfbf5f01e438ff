"""Nobody's silence or stalling may keep others out (reliability-security.md §2): places for handshakes."""

import socket
import ssl
import threading
import time

import pytest

from lib.wire import Connection, context

HANDSHAKES = 16
ANONYMOUS = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
WHOAMI = b"GET /whoami HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(scope="module")
def narrow(servers):
    """One worker and few places, so that a few hundred connections are a flood."""
    return servers({"enrolment": {"auto_accept": "yes"}, "listen": {"workers": 1}, "limits": {"handshakes": HANDSHAKES}, "log": {"requests": "no"}})


def client_hello():
    """The first flight of a real client, as bytes."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        tls.do_handshake()
    return outgoing.read()


class Flood:
    """Connections that say `data` and no more, `per_second` new ones; the oldest of `most` are given up by the client."""

    def __init__(self, port, data, per_second, at_once, source="127.0.0.1", most=800):
        self.port, self.data, self.pause, self.at_once, self.source, self.most = port, data, 1 / per_second, at_once, source, most
        self.sockets = []
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def one(self):
        made = socket.socket()
        self.sockets.append(made)
        made.bind((self.source, 0))
        made.settimeout(2)
        try:
            made.connect(("127.0.0.1", self.port))
            made.sendall(self.data)
        except OSError:
            pass
        if len(self.sockets) > self.most:
            self.sockets.pop(0).close()

    def run(self):
        while not self.ended.wait(self.pause):
            self.one()

    def __enter__(self):
        for _ in range(self.at_once):
            self.one()
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()
        for each in self.sockets:
            each.close()


def seconds(work):
    begin = time.monotonic()
    work()
    return time.monotonic() - begin


def ask(port, tls, request, source=None):
    with Connection(port, tls, timeout=8, source=source) as connection:
        connection.send(request)
        assert connection.read_reply().status == 200


@pytest.mark.parametrize("data", [b"", b"\x16", client_hello()], ids=["nothing", "one-byte", "hello"])
def test_neither_silence_nor_stalling_shuts_the_door(narrow, data):
    """Administration answers at once; a device gets through from an address of its own and from the flood's."""
    admin, device = context(narrow.pki.server_ca), narrow.device("fair-1")
    ask(narrow.device_port, device.tls, WHOAMI)
    with Flood(narrow.device_port, data, per_second=20, at_once=300):
        for _ in range(3):
            assert seconds(lambda: ask(narrow.admin_port, admin, ANONYMOUS)) < 2
            assert seconds(lambda: ask(narrow.device_port, device.tls, WHOAMI, source="127.0.0.2")) < 4
        if not data:
            assert seconds(lambda: ask(narrow.device_port, device.tls, WHOAMI)) < 2


def test_silence_at_the_administration_port(narrow):
    admin, device = context(narrow.pki.server_ca), narrow.device("fair-1")
    with Flood(narrow.admin_port, b"", per_second=20, at_once=300):
        for _ in range(3):
            assert seconds(lambda: ask(narrow.admin_port, admin, ANONYMOUS)) < 2
            assert seconds(lambda: ask(narrow.device_port, device.tls, WHOAMI)) < 2


def test_more_honest_clients_than_places(narrow):
    """They wait for each other; nobody is turned away."""
    device = narrow.device("fair-1")
    waiting = [socket.create_connection(("127.0.0.1", narrow.device_port), timeout=8) for _ in range(3 * HANDSHAKES)]
    done = []

    def go(raw):
        with device.tls.wrap_socket(raw, server_hostname="localhost") as tls:
            done.append(tls.version())

    threads = [threading.Thread(target=go, args=(raw,)) for raw in waiting]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(done) == len(waiting)


def test_strangers_do_not_keep_administrators_out(servers, pki):
    """The places kept for administration serve who is one: a client that has shown nothing gives way, one that has does not."""
    server = servers({"listen": {"workers": 1}, "limits": {"connections": 20, "admin_connections": 4, "idle_timeout": "300s"}})
    anonymous, operator = server.operator(token=""), server.operator()
    held, kept = [], operator.connect()
    try:
        assert operator.get("/api/v1/whoami", connection=kept).status == 200
        by_certificate = server.operator(token="", certificate=pki.admin("root"))
        certified = by_certificate.connect()
        held.append(certified)
        for _ in range(40):
            connection = anonymous.connect()
            connection.send(ANONYMOUS)
            assert connection.read_reply().status == 200
            held.append(connection)
        assert server.operator(fresh=True).get("/api/v1/whoami").status == 200
        assert operator.get("/api/v1/whoami", connection=kept).status == 200
        assert certified.is_open()
        assert sum(connection.is_open() for connection in held) <= 19
    finally:
        kept.close()
        for connection in held:
            connection.close()
