"""Events: the list and its filters, one table of kinds, and the stream: order, resumption, scope by product, readers that stall, leave or lose their token."""

import json
import os
import re
import sqlite3
import subprocess
import time

import pytest

from lib.paths import ROOT, program
from lib.wait import wait_for
from lib.wire import Closed, head_bytes

HARDWARE = "qemu-arm"


@pytest.fixture(scope="module")
def server(servers):
    return servers({"enrolment": {"auto_accept": "yes"}, "limits": {"event_streams": "4"}})


@pytest.fixture(scope="module")
def admin(server):
    return server.operator()


def device_of(admin, name, product=None):
    """Makes a "registered" event."""
    if product:
        admin.post("/api/v1/products", {"id": product, "policy": "rollout"})
    admin.ok("POST", "/api/v1/devices", {"id": name, **({"product": product, "hardware": HARDWARE} if product else {})})


class Stream:
    def __init__(self, server, client, path="", headers=()):
        self.connection = client.connect()
        full = "/api/v1/events/stream" + path
        self.connection.send(head_bytes("GET", full, [*client.headers, *headers]))
        self.reply = self.connection.read_head()
        if self.reply.status != 200:
            self.connection.read_body(self.reply)
        server.contract.check("GET", full, self.reply)
        self.text, self.ended = b"", False

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def chunk(self):
        connection = self.connection
        size = int(connection._line(), 16)
        while len(connection.buffer) < size + 2:
            connection.buffer += connection._fill(connection.buffer)
        self.text += connection.buffer[:size]
        connection.buffer = connection.buffer[size + 2:]
        self.ended = size == 0

    def next(self, timeout=20):
        """The next event; comments and fields that are none are passed over."""
        deadline = time.monotonic() + timeout
        while True:
            while b"\n\n" not in self.text:
                assert not self.ended, "the stream has ended"
                self.connection.socket.settimeout(max(0.1, deadline - time.monotonic()))
                self.chunk()
            block, self.text = self.text.split(b"\n\n", 1)
            fields = dict(line.split(": ", 1) for line in block.decode().split("\n") if not line.startswith(":"))
            if "data" in fields:
                event = json.loads(fields["data"])
                assert fields["id"] == event["id"] and fields["event"] == event["kind"]
                return event

    def until_end(self, timeout=20):
        self.connection.socket.settimeout(timeout)
        while not self.ended:
            self.chunk()


def test_one_table_of_kinds(contract):
    """The server's table, the contract's enumeration and the documentation say the same."""
    table = re.findall(r'\{"([a-z-]+)", "', (ROOT / "db" / "event_kind.c").read_text(encoding="utf-8"))
    documented = re.findall(r"^\| `([a-z-]+)` \|", (ROOT / "docs" / "events.md").read_text(encoding="utf-8"), re.M)
    assert table == contract.document["components"]["schemas"]["EventKind"]["enum"] == documented


def test_list_since(server, admin):
    device_of(admin, "since-1")
    last = admin.events(device="since-1")[0]
    assert [event["id"] for event in admin.events(since=last["time"], device="since-1")] == [last["id"]]
    assert admin.events(since="2100-01-01T00:00:00Z") == []
    assert len(admin.events(since="2020-01-01T00:00:00Z")) == len(admin.events())
    for bad in ("yesterday", "2026-11-22", "1"):
        reply = admin.get(f"/api/v1/events?since={bad}")
        assert reply.status == 400 and reply.json["errors"][0]["field"] == "since"


def test_live(server, admin):
    """An event arrives as soon as it is committed, in order; the list shows the same objects."""
    with Stream(server, admin) as stream:
        assert stream.reply.header("Content-Type") == "text/event-stream" and stream.reply.header("Cache-Control") == "no-store"
        for number in range(5):
            device_of(admin, f"live-{number}")
        events = [stream.next() for _ in range(5)]
    assert [event["device"] for event in events] == [f"live-{number}" for number in range(5)]
    ids = [int(event["id"]) for event in events]
    assert ids == sorted(ids)
    listed = {event["id"]: event for event in admin.events()}
    assert all(listed[event["id"]] == event for event in events)


def test_resume(server, admin):
    """By Last-Event-ID, which goes before ?after=, nothing is missed and nothing comes twice; 0 begins with the oldest."""
    for number in range(300):
        device_of(admin, f"resume-{number}")
    everything = list(reversed(admin.pages("/api/v1/events", 1000)))
    with Stream(server, admin, "?after=0") as stream:
        assert [stream.next() for _ in everything] == everything
    seen = everything[len(everything) // 2]
    rest = everything[len(everything) // 2 + 1:]
    for path, headers in (("", [("Last-Event-ID", seen["id"])]), (f"?after={seen['id']}", []), ("?after=0", [("Last-Event-ID", seen["id"])])):
        with Stream(server, admin, path, headers) as stream:
            assert [stream.next() for _ in rest] == rest
    with Stream(server, admin, "?after=999999999") as stream:  # of a store that was put back: from now on
        device_of(admin, "resume-after")
        assert stream.next()["device"] == "resume-after"


def test_filters(server, admin):
    with Stream(server, admin, "?kind=revoked") as by_kind, Stream(server, admin, "?device=filter-2") as by_device, \
            Stream(server, admin, "?product=filter-line") as by_product:
        device_of(admin, "filter-1")
        device_of(admin, "filter-2")
        device_of(admin, "filter-3", "filter-line")
        admin.ok("POST", "/api/v1/devices/filter-1/revoke", {"reason": "lost"})
        assert by_kind.next()["device"] == "filter-1"
        assert by_device.next()["kind"] == "registered"
        event = by_product.next()
        assert event["device"] == "filter-3" and event["product"] == "filter-line"


@pytest.mark.parametrize("path,field", [("?after=x", "after"), ("?after=-1", "after"), ("?limit=3", "limit"), ("?since=2026-11-22T08:00:00Z", "since")])
def test_bad_query(server, admin, path, field):
    reply = admin.get("/api/v1/events/stream" + path)
    assert reply.status == 400 and reply.json["errors"][0]["field"] == field
    reply = admin.get("/api/v1/events/stream", headers=[("Last-Event-ID", "4711\u00e9")])
    assert reply.status == 400


def test_scope_by_product(server, admin):
    """A token for one product sees its events alone, also none that are about no product; another product is refused by name."""
    token = admin.token_with("device:read@scope-a")
    client = server.operator(token)
    with Stream(server, client) as stream:
        device_of(admin, "scope-none")
        device_of(admin, "scope-b", "scope-b")
        device_of(admin, "scope-a", "scope-a")
        assert stream.next()["device"] == "scope-a"
    reply = client.get("/api/v1/events/stream?product=scope-b")
    assert reply.status == 403 and reply.problem == "scope"


def test_too_many(server, admin):
    """One more than the limit is 503 with Retry-After; a reader that leaves makes room without a word."""
    streams = [Stream(server, admin) for _ in range(4)]
    reply = admin.get("/api/v1/events/stream")
    assert reply.status == 503 and reply.problem == "busy" and reply.header("Retry-After")
    for stream in streams:
        stream.connection.close()

    def there_is_room():
        again = Stream(server, admin)
        again.connection.close()
        return again.reply.status == 200

    wait_for(there_is_room)


def test_head(server, admin):
    reply = admin.head("/api/v1/events/stream")
    assert reply.status == 200 and reply.header("Content-Type") == "text/event-stream"


def test_quiet_streams(server, admin):
    """Within 15 s a comment comes although nothing happens; the stream of a token that was revoked ends instead."""
    made = admin.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    with Stream(server, admin, "?device=nobody") as stream, Stream(server, server.operator(made["secret"]), "?device=nobody") as other:
        begin = time.monotonic()
        admin.delete(f"/api/v1/tokens/{made['token']['id']}", headers=[("If-Match", "*")])
        other.until_end(8)  # at once: the next heartbeat is ten seconds away
        stream.connection.socket.settimeout(25)
        while b"\n: " not in b"\n" + stream.text:
            stream.chunk()
        assert time.monotonic() - begin < 20


def test_scopes_of_certificates_become_less(new_server, pki):
    """A stream that an administrator's certificate began ends when SIGHUP takes the scope away, and goes on when it does not."""
    server = new_server({"admin": {"certificate_scopes": "device:read audit:read"}})
    alice = server.operator(token="", certificate=pki.admin("alice"))
    with Stream(server, alice, "?device=nobody") as stream:
        server.reload()
        with pytest.raises(TimeoutError):
            stream.until_end(2)
        server.write_config({"admin": {"certificate_scopes": "audit:read"}})
        server.reload()
        stream.until_end(8)
    assert alice.get("/api/v1/devices").status == 403


def test_a_secret_that_was_renewed(server, admin):
    """The stream of the old secret ends with it; that of a grace goes on."""
    made = admin.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    path = f"/api/v1/tokens/{made['token']['id']}/rotate"
    with Stream(server, server.operator(made["secret"]), "?device=nobody") as old:
        renewed = admin.ok("POST", path, {"grace_s": 600})["secret"]
        with Stream(server, server.operator(made["secret"]), "?device=nobody") as grace:
            grace.connection.socket.settimeout(25)
            while b"\n: " not in b"\n" + grace.text:
                grace.chunk()
            admin.ok("POST", path, {})
            grace.until_end(30)
        old.until_end(30)
    assert server.operator(renewed).get("/api/v1/devices").status == 401


def test_lines_end_with_the_token(new_server):
    """A list on its way breaks off when the token is revoked, and does not look complete."""
    server = new_server({"limits": {"reply_min_rate": "1"}})
    admin = server.operator()
    made = admin.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    device_of(admin, "lines-0")
    connection = sqlite3.connect(server.database_path, isolation_level=None, timeout=20)
    detail = json.dumps({"note": "x" * 4000})
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO event (id, time, kind, detail) SELECT MAX(id) + 1, MAX(time), 'image-missing', ? FROM event", [(detail,)] * 6000)
    connection.execute("COMMIT")
    connection.close()
    client = server.operator(made["secret"])
    tls = client.connect()
    tls.send(head_bytes("GET", "/api/v1/events", [*client.headers, ("Accept", "application/x-ndjson")]))
    reply = tls.read_head()
    assert reply.status == 200 and reply.header("Content-Type") == "application/x-ndjson"
    admin.delete(f"/api/v1/tokens/{made['token']['id']}", headers=[("If-Match", "*")])
    with pytest.raises(Closed):
        tls.read_body(reply)
    tls.close()


def test_reader_that_stalls(new_server):
    """It holds no memory: with thousands of events waiting for it the server does not grow, others go on, and it gets them all when it reads again."""
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"  # a sanitizer keeps what was freed for a while
    server = new_server({"limits": {"reply_min_rate": "1"}}, {"ASAN_OPTIONS": options})
    admin = server.operator()
    tls = admin.connect()
    tls.send(head_bytes("GET", "/api/v1/events/stream?after=0", admin.headers))
    tls.read_head()
    count = 6000
    connection = sqlite3.connect(server.database_path, isolation_level=None, timeout=20)
    detail = json.dumps({"note": "x" * 4000})

    def memory():
        return int(re.search(r"RssAnon:\s+(\d+)", open(f"/proc/{server.pid}/status", encoding="ascii").read()).group(1))

    device_of(admin, "stall-0")
    before = memory()
    connection.execute("BEGIN")
    connection.executemany("INSERT INTO event (id, time, kind, detail) SELECT MAX(id) + 1, MAX(time), 'image-missing', ? FROM event", [(detail,)] * count)
    connection.execute("COMMIT")
    connection.close()
    device_of(admin, "stall-1")
    assert admin.get("/api/v1/products").status == 200
    time.sleep(1)
    assert memory() - before < 12 * 1024  # KiB; what waits is 24 MiB
    got, last, tail = 0, b"", b""
    tls.socket.settimeout(20)
    while b'"device":"stall-1"' not in last:
        piece = tls.receive()
        assert piece, f"closed after {got} events"
        last = tail + piece
        got += last.count(b"event: image-missing\n")
        tail = last[-20:]
    assert got == count
    tls.close()


def test_shutdown(new_server):
    """SIGTERM ends streams as if they had come to their end, and the server does not wait for them."""
    server = new_server()
    admin = server.operator()
    with Stream(server, admin) as stream:
        begin = time.monotonic()
        server.stop()
        assert time.monotonic() - begin < 8
        try:
            stream.until_end()
        except Closed as closed:
            raise AssertionError(f"cut: {closed}") from closed


def test_follow(new_server, tmp_path):
    """`pawl events follow` goes on behind the last event over a restart of the server on the same port; --limit ends it."""
    server = new_server()
    server.stop()
    server.write_config({"listen": {"device": "127.0.0.1:0", "admin": f"127.0.0.1:{server.admin_port}"}})
    server.start()
    admin = server.operator()
    device_of(admin, "follow-0")
    out = open(tmp_path / "out", "wb")
    follower = subprocess.Popen([program("pawl"), "--server", f"https://localhost:{server.admin_port}", "--ca", server.pki.server_ca, "--token-file",
                                 server.token_file, "--json", "events", "follow", "--after", "0", "--limit", "3"], stdout=out, stderr=subprocess.PIPE,
                                stdin=subprocess.DEVNULL)
    wait_for(lambda: b"follow-0" in (tmp_path / "out").read_bytes())
    server.restart()
    for number in (1, 2):
        device_of(server.operator(), f"follow-{number}")
    _, notes = follower.communicate(timeout=40)
    events = [json.loads(line) for line in (tmp_path / "out").read_text(encoding="utf-8").splitlines()]
    assert follower.returncode == 0 and [event["device"] for event in events] == ["follow-0", "follow-1", "follow-2"]
    assert b"connecting again" in notes
    plain = server.pawl("events", "follow", "--after", "0", "--limit", "2", "--kind", "registered")
    assert [line.split("\t")[3] for line in plain.stdout.splitlines()] == ["follow-0", "follow-1"]
    assert server.pawl("events", "follow", "--after", "x", check=False).returncode == 3
