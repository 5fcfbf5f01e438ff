"""The life of certificates: revocation within a second, lists (CRLs), reloads and CA roll-overs without a lost request, what is told before the end."""

import contextlib
import datetime
import re
import shutil
import socket
import ssl
import threading
import time

import pytest

from lib import firmware
from lib.est import issuing, make_ca
from lib.pki import Pki
from lib.wire import Closed, Connection, context, head_bytes

WHOAMI = head_bytes("GET", "/whoami", [])
SOON_S = 1.0
PATIENCE_S = 20.0


class Held:
    """A server with a revocation list, and devices that have a download to make."""

    def __init__(self, servers, folder):
        self.crl = folder / "device.crl"
        self.pki = servers.pki
        self.pki.crl(self.crl)
        self.server = servers({"enrolment": {"auto_accept": "yes"}, "tls": {"device_crl": self.crl}})
        self.server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", ("qemu-arm",))
        self.revoked = []
        self.count = 0

    def victim(self, version):
        self.count += 1
        device = self.server.device(f"held-{self.count}", version=version)
        assert device.directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)["action"] == "install"
        device.close()
        return device

    def by_registry(self, device):
        self.server.operator().ok("POST", f"/api/v1/devices/{device.certificate.cert.stem}/revoke", {"reason": "stolen"})

    def by_crl(self, device):
        self.revoked.append(device.certificate)
        self.pki.crl(self.crl, self.revoked)
        self.server.reload()


@pytest.fixture(scope="module")
def held(servers, tmp_path_factory):
    return Held(servers, tmp_path_factory.mktemp("held"))


def bytes_of_http(port, tls, **options):
    try:
        with Connection(port, tls, timeout=10, **options) as connection:
            connection.send(WHOAMI)
            return connection.receive_all(10)
    except (Closed, ssl.SSLError, ConnectionResetError, BrokenPipeError) as error:
        return getattr(error, "received", b"")


# ---- what a connection may be doing when its device is revoked; each returns when the server has let go of it


def until_closed(connection):
    connection.seconds_until_closed(PATIENCE_S)


@contextlib.contextmanager
def idle(held, device):
    with device.connect() as connection:
        assert device.get("/whoami", connection=connection).status == 200
        yield lambda: until_closed(connection)


@contextlib.contextmanager
def silent(held, device):
    with device.connect() as connection:
        yield lambda: until_closed(connection)


@contextlib.contextmanager
def in_a_head(held, device):
    with device.connect() as connection:
        connection.send(b"GET /whoami HTTP/1.1\r\nHost: loc")
        yield lambda: until_closed(connection)


@contextlib.contextmanager
def in_a_body(held, device):
    """A request with a body goes through the HTTP library."""
    with device.connect() as connection:
        connection.send(head_bytes("POST", "/report", [("Content-Type", "application/json"), ("Content-Length", "1000")]) + b'{"state":')
        yield lambda: until_closed(connection)


@contextlib.contextmanager
def in_a_download(held, device):
    """The client reads slowly: only the server's descriptors show that it has given up, because the kernels hold so much."""
    with device.connect() as connection:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(head_bytes("GET", "/firmware/router/1.1.0/u-boot.bin", []) * 20)
        assert connection.socket.recv(1000).startswith(b"HTTP/1.1 200")
        held.server.operator().get("/api/v1/whoami")
        before = held.server.open_files()

        def gone():
            end = time.monotonic() + PATIENCE_S
            while held.server.open_files() >= before:
                assert time.monotonic() < end, "the server keeps the connection"
                time.sleep(0.005)

        yield gone
        got = 1000
        with contextlib.suppress(ssl.SSLError):
            while piece := connection.receive():
                got += len(piece)
        assert got < 20 * firmware.UBOOT_ARM64.stat().st_size


@contextlib.contextmanager
def resumed(held, device):
    with Connection(held.server.device_port, device.tls) as first:
        first.send(WHOAMI)
        assert first.read_reply().status == 200
        session = first.socket.session
    with Connection(held.server.device_port, device.tls, session=session) as connection:
        assert connection.socket.session_reused
        assert device.get("/whoami", connection=connection).status == 200
        yield lambda: until_closed(connection)


MOMENTS = [(doing, "1.3") for doing in (idle, silent, in_a_head, in_a_body, in_a_download, resumed)]
MOMENTS += [(doing, "1.2") for doing in (idle, in_a_download)]


@pytest.mark.parametrize("how", ["registry", "crl"])
@pytest.mark.parametrize("doing,version", MOMENTS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_revoked_within_a_second(held, doing, version, how):
    """A loaded machine may take one attempt or two: what counts is that it can be within the second. Twenty seconds are never fine."""
    taken = []
    while len(taken) < 3 and not any(seconds < SOON_S for seconds in taken):
        device = held.victim(version)
        with doing(held, device) as gone:
            begin = time.monotonic()
            held.by_registry(device) if how == "registry" else held.by_crl(device)
            gone()
            taken.append(time.monotonic() - begin)
        data = bytes_of_http(held.server.device_port, device.tls)
        assert data == b"" or (how == "registry" and b" 403 " in data.split(b"\r\n")[0]), data[:200]
    assert min(taken) < SOON_S, taken


@pytest.mark.parametrize("how", ["registry", "crl"])
def test_no_session_survives(held, how):
    device = held.victim("1.3")
    with Connection(held.server.device_port, device.tls) as first:
        first.send(WHOAMI)
        assert first.read_reply().status == 200
        session = first.socket.session
    assert session.has_ticket
    held.by_registry(device) if how == "registry" else held.by_crl(device)
    assert b'"id"' not in bytes_of_http(held.server.device_port, device.tls, session=session)
    nobody = context(held.pki.server_ca, version="1.3")  # the session alone, without the certificate
    with contextlib.suppress(ValueError):
        assert bytes_of_http(held.server.device_port, nobody, session=session) == b""


@pytest.mark.parametrize("how", ["registry", "crl"])
def test_tls_12_has_no_session_to_survive(held, how):
    device = held.victim("1.2")
    with Connection(held.server.device_port, device.tls) as first:
        first.send(WHOAMI)
        assert first.read_reply().status == 200
        session = first.socket.session
    assert session is None or not session.has_ticket
    with Connection(held.server.device_port, device.tls, session=session) as second:
        assert not second.socket.session_reused
    held.by_registry(device) if how == "registry" else held.by_crl(device)
    assert b'"id"' not in bytes_of_http(held.server.device_port, device.tls, session=session)


def test_one_revoked_disturbs_no_other(held):
    other, device = held.victim("1.3"), held.victim("1.3")
    with other.connect() as connection:
        assert other.get("/whoami", connection=connection).status == 200
        held.by_crl(device)
        assert other.get("/whoami", connection=connection).status == 200
    text = held.server.operator().get("/metrics").body.decode()
    assert f'pawl_crl_revoked{{listener="device",issuer="CN=Pawl device CA,O=Pawl development"}} {len(held.revoked)}\n' in text


# ---- lists that are wrong, late or for administrators


def test_foreign_list_is_refused_and_the_old_one_stays(held):
    device = held.victim("1.3")
    held.by_crl(device)
    good = held.crl.read_bytes()
    try:
        held.pki.crl(held.crl, [], issuer="server-ca")
        line = held.server.reload("certificates not reloaded")
        assert str(held.crl) in line and "is not signed by a configured CA" in line and "CN=Pawl server CA" in line
        held.crl.write_text("nothing of the kind")
        assert "no CRL in it" in held.server.reload("certificates not reloaded")
        held.crl.unlink()
        assert "No such file" in held.server.reload("certificates not reloaded")
        assert bytes_of_http(held.server.device_port, device.tls) == b""
        assert held.victim("1.3").get("/whoami").status == 200
    finally:
        held.crl.write_bytes(good)
        held.server.reload()


def test_no_start_with_a_foreign_list(new_server, tmp_path, pki):
    crl = tmp_path / "foreign.crl"
    pki.crl(crl, issuer="server-ca")
    server = new_server({"tls": {"device_crl": crl}}, start=False)
    with pytest.raises(AssertionError, match="is not signed by a configured CA"):
        server.start()


def events_of(server, kind, count=1):
    """Events are written behind what raises them."""
    end = time.monotonic() + PATIENCE_S
    while len(found := server.operator().events(kind=kind)) < count:
        assert time.monotonic() < end, f"no event {kind}: {server.operator().events()}"
        time.sleep(0.02)
    return found


def test_expired_list_is_an_alarm_and_locks_nobody_out(new_server, tmp_path, pki):
    crl = tmp_path / "late.crl"
    gone, stays = pki.device("late-1"), pki.device("late-2")
    pki.crl(crl, [gone], days=-1)
    server = new_server({"enrolment": {"auto_accept": "yes"}, "tls": {"device_crl": crl}})
    assert server.device(certificate=stays).get("/whoami").status == 200
    assert bytes_of_http(server.device_port, context(pki.server_ca, gone.cert, gone.key)) == b""  # what it says still counts
    (event,) = events_of(server, "crl-expired")
    assert event["detail"]["issuer"] == "CN=Pawl device CA,O=Pawl development" and event["detail"]["listener"] == "device"
    assert "crl-expired" in server.log()
    text = server.operator().get("/metrics").body.decode()
    due = next(line for line in text.splitlines() if line.startswith('pawl_crl_next_update_seconds{listener="device"'))
    assert 0 < float(due.rsplit(" ", 1)[1]) < time.time()
    pki.crl(crl, [gone])
    server.reload()
    time.sleep(1.2)  # a tick of the timers: no second event
    assert len(server.operator().events(kind="crl-expired")) == 1


def test_administrators_have_a_list_of_their_own(new_server, tmp_path, pki):
    crl = tmp_path / "admin.crl"
    pki.crl(crl, issuer="admin-ca")
    server = new_server({"tls": {"admin_crl": crl}, "admin": {"certificate_scopes": "device:read"}})
    alice, bob = pki.admin("alice"), pki.admin("bob")
    operator = server.operator(token="", certificate=alice)
    with operator.connect() as connection:
        assert operator.get("/api/v1/devices", connection=connection).status == 200
        pki.crl(crl, [alice], issuer="admin-ca")
        server.reload()
        connection.seconds_until_closed(PATIENCE_S)
    assert bytes_of_http(server.admin_port, operator.tls) == b""
    assert server.operator(token="", certificate=bob).get("/api/v1/devices").status == 200


# ---- reloads and roll-overs


class Traffic:
    """Devices that ask again and again, on connections that stay open; every failure is kept."""

    def __init__(self, devices):
        self.devices, self.failures, self.done, self.ended = devices, [], 0, threading.Event()
        self.threads = [threading.Thread(target=self.run, args=(device,)) for device in devices]

    def run(self, device):
        connection = device.connect()
        while not self.ended.is_set():
            try:
                connection.send(WHOAMI)
                reply = connection.read_reply()
                assert reply.status == 200, reply
                self.done += 1
            except Exception as error:  # noqa: BLE001 (whatever it is, it is a lost request)
                self.failures.append(repr(error))
                return
            self.ended.wait(0.002)
        connection.close()

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        for thread in self.threads:
            thread.join()


@pytest.fixture
def own(new_server, tmp_path):
    """A server with a PKI that the test may change."""
    mine = Pki(tmp_path / "pki")
    believed = tmp_path / "believed.pem"
    shutil.copy(mine.device_ca, believed)
    server = new_server({"enrolment": {"auto_accept": "yes"}, "tls": {"certificate": mine.server.cert, "key": mine.server.key, "device_ca": believed,
                                                                       "admin_ca": mine.admin_ca}}, start=False)
    server.pki = mine
    server.believed = believed
    server.start()
    return server


def next_ca(pki, tmp_path, same_name=True):
    """Another device CA, by the same name but with another key; the folder's own becomes the new one."""
    for suffix in (".pem", ".key"):
        shutil.move(pki.folder / f"device-ca{suffix}", tmp_path / f"old-ca{suffix}")
    pki.script()
    return tmp_path / "old-ca.pem"


def test_reloads_under_load_lose_no_request(own):
    devices = [own.device(f"busy-{number}", version="1.3") for number in range(3)]
    with Traffic(devices) as traffic:
        for _ in range(20):
            (own.pki.folder / "server.pem").unlink()
            own.pki.script()
            own.reload()
    assert not traffic.failures and traffic.done > 20


def test_a_reload_that_changes_no_ca_keeps_the_sessions(own):
    device = own.device("stays-1", version="1.3")

    def session():
        with Connection(own.device_port, device.tls) as connection:
            connection.send(WHOAMI)
            assert connection.read_reply().status == 200
            return connection.socket.session

    kept = session()
    own.reload()
    with Connection(own.device_port, device.tls, session=kept) as connection:
        assert connection.socket.session_reused
    flushed = session()
    own.believed.write_bytes(own.believed.read_bytes() + own.pki.server_ca.read_bytes())
    own.reload()
    with Connection(own.device_port, device.tls, session=flushed) as connection:
        assert not connection.socket.session_reused


def test_roll_over_of_the_device_ca(own, tmp_path):
    """Old, old and new side by side, new alone: nobody who has a certificate of a believed CA loses a request; who has not is cut."""
    before = own.device("old-1", version="1.3")
    with before.connect() as connection, Traffic([before]) as traffic:
        assert before.get("/whoami", connection=connection).status == 200
        old = next_ca(own.pki, tmp_path)
        own.believed.write_bytes(old.read_bytes() + own.pki.device_ca.read_bytes())
        own.reload()
        after = own.device("new-1", version="1.3")
        assert after.get("/whoami").status == 200
        assert before.get("/whoami", connection=connection).status == 200
        traffic.ended.set()
    assert not traffic.failures
    with before.connect() as connection, Traffic([after]) as traffic:
        assert before.get("/whoami", connection=connection).status == 200
        shutil.copy(own.pki.device_ca, own.believed)
        own.reload()
        connection.seconds_until_closed(PATIENCE_S)
        assert bytes_of_http(own.device_port, before.tls) == b""
        assert after.get("/whoami").status == 200
    assert not traffic.failures


# ---- told before it is too late


def test_expiring_certificates_are_told(new_server, pki, tmp_path):
    server = new_server({"enrolment": {"auto_accept": "yes"}, "fleet": {"flush": "1s"}, "tls": {"expiry_warning": "2d"}})
    now = datetime.datetime.utcnow()
    shapes = {"brief-1": datetime.timedelta(hours=20), "brief-2": datetime.timedelta(hours=40), "long-1": datetime.timedelta(days=30)}
    for name, life in shapes.items():
        certificate = pki.strange(name, uris=[f"urn:pawl:device:{name}"], ends=now + life)
        assert server.device(certificate=certificate).check().status in (200, 204)
    api = server.operator()
    end = time.monotonic() + PATIENCE_S
    while len(rows := api.ok("GET", "/api/v1/certificates/expiring?within=100d")["items"]) < 3:
        assert time.monotonic() < end, rows
        time.sleep(0.05)
    assert [row["device"] for row in rows] == ["brief-1", "brief-2", "long-1"] and rows[0]["state"] == "active"
    assert [row["device"] for row in api.pages("/api/v1/certificates/expiring", limit=1)] == ["brief-1", "brief-2"]
    assert [row["device"] for row in api.pages("/api/v1/certificates/expiring?within=100d", limit=1)] == ["brief-1", "brief-2", "long-1"]
    assert api.ok("GET", "/api/v1/certificates/expiring?within=24h")["items"][0]["device"] == "brief-1"
    assert api.ok("GET", "/api/v1/certificates/expiring?product=nothing")["items"] == []
    for bad in ("within=30", "within=-1d", "within=11000d", "cursor=zz", "cursor=6161", "other=1"):
        assert api.get(f"/api/v1/certificates/expiring?{bad}").status == 400, bad
    server.reload()  # looks at everything anew
    told = events_of(server, "certificate-expiring", 2)
    assert sorted(event["device"] for event in told) == ["brief-1", "brief-2"]
    assert "expires_at" in told[0]["detail"]
    text = api.get("/metrics").body.decode()
    assert 'pawl_device_certificates{state="expiring"} 2\n' in text and 'pawl_device_certificates{state="expired"} 0\n' in text
    server.reload()
    time.sleep(1.2)
    assert len(server.operator().events(kind="certificate-expiring")) == 2  # once for each certificate
    done = server.pawl("certificates", "expiring", "--within", "24h")
    assert "brief-1" in done.stdout and "brief-2" not in done.stdout
    assert "no certificate ends" in (done := server.pawl("certificates", "expiring", "--within", "1h")).stdout + done.stderr
    server.operator().ok("POST", "/api/v1/devices/brief-1/revoke")
    assert [row["device"] for row in api.ok("GET", "/api/v1/certificates/expiring")["items"]] == ["brief-2"]


def test_expiring_files_are_told(new_server, pki, tmp_path):
    """Each configured file by its name, wherever one looks; one that is not configured is in none of them."""
    own = new_server({"tls": {"expiry_warning": "3650d"}})
    assert told_files(own) == {"server", "device_ca", "admin_ca"}
    assert "certificate-expiring" in own.log()
    # Three files more, of which two end later than is warned of.
    config = issuing(pki, tmp_path, factory_ca=make_ca(pki, "brief-factory", days=10))
    config["tls"] = {"expiry_warning": "20d"}
    config["webhooks"] = {"ca_file": make_ca(pki, "long-webhooks", days=30)}
    server = new_server(config)
    assert told_files(server) == {"factory_ca"}
    ends = {row["what"]: row["expires_at"] for row in server.operator().ok("GET", "/readyz")["expires"] if row["what"].startswith("certificate:")}
    assert set(ends) == {f"certificate:{file}" for file in ("server", "device_ca", "admin_ca", "issuing_ca", "factory_ca", "webhook_ca")}
    assert ends["certificate:factory_ca"] < ends["certificate:webhook_ca"] < ends["certificate:issuing_ca"] == ends["certificate:device_ca"]
    text = server.operator().get("/metrics").body.decode()
    assert set(re.findall(r'pawl_certificate_expires_seconds\{file="(\w+)"\}', text)) == {what.removeprefix("certificate:") for what in ends}


def told_files(server):
    """Of the event that the first look raises; all of one look are written together."""
    return {event["detail"]["file"] for event in events_of(server, "certificate-expiring")}
