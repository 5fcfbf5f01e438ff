"""Who gets in: the certificate is required and verified in the handshake; no byte of HTTP goes to anyone else (device-api.md §1, §6)."""

import datetime
import socket
import ssl
import struct
import time

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID

from lib import firmware
from lib.pki import new_key
from lib.wire import Closed, Connection, context, head_bytes

VERSIONS = ["1.2", "1.3"]
WHOAMI = head_bytes("GET", "/whoami", [])
PROMPTLY_S = 10  # far from the 30 s of an idle connection, and room for a busy machine


def bytes_of_http(server, tls, **options):
    """What a client gets that handshakes, asks and reads to the end; TLS 1.3 tells a refusal only after the client's side of the handshake."""
    try:
        connection = Connection(server.device_port, tls, timeout=10, **options)
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return b""
    with connection:
        try:
            connection.send(WHOAMI)
            return connection.receive_all(timeout=10)
        except (Closed, ssl.SSLError, ConnectionResetError, BrokenPipeError) as error:
            return getattr(error, "received", b"")


def day(offset):
    return datetime.datetime.utcnow() + datetime.timedelta(days=offset)


STRANGE = {
    "not yet valid": {"begins": day(1), "ends": day(2)},
    "expired a minute ago": {"begins": day(-2), "ends": datetime.datetime.utcnow() - datetime.timedelta(minutes=1)},
    "no EKU": {"eku": ()},
    "EKU e-mail": {"eku": (ExtendedKeyUsageOID.EMAIL_PROTECTION,)},
    "EKU code signing": {"eku": (ExtendedKeyUsageOID.CODE_SIGNING,)},
    "SAN DNS only": {"uris": [], "dns": ("dev-1",)},
    "SAN of another scheme": {"uris": ["urn:other:device:x"]},
    "SAN of an administrator": {"uris": ["urn:pawl:admin:root"]},
    "SAN with an empty id": {"uris": ["urn:pawl:device:"]},
    "SAN with a slash": {"uris": ["urn:pawl:device:a/b"]},
    "SAN with a space": {"uris": ["urn:pawl:device:a b"]},
    "SAN id of 65": {"uris": ["urn:pawl:device:" + "x" * 65]},
    "SAN in upper case": {"uris": ["URN:PAWL:DEVICE:x"]},
    "SAN twice the same": {"uris": ["urn:pawl:device:x", "urn:pawl:device:x"]},
    "P-521": {"key": "p521"},
    "administrators' CA": {"issuer": "admin-ca"},
    "server CA": {"issuer": "server-ca"},
}

GOOD = {
    "P-256": {"key": "p256"},
    "P-384": {"key": "p384"},
    "Ed25519": {"key": "ed25519"},
    "RSA 2048": {"key": "rsa2048"},
    "id of 64": {"uris": ["urn:pawl:device:" + "y" * 64]},
    "every character of an id": {"uris": ["urn:pawl:device:Az09._:-"]},
    "a DNS name beside the URI": {"dns": ("thing.example",)},
}


made = {}  # certificates by name: a device has one key over all tests


def make_strange(pki, name, shape):
    shape = dict(shape)
    label = "".join(c if c.isalnum() else "-" for c in name)
    if label not in made:
        shape.setdefault("uris", [f"urn:pawl:device:{label}"])
        if "key" in shape:
            shape["key"] = new_key(shape["key"])
        made[label] = pki.strange(f"strange-{label}", **shape)
    return made[label]


@pytest.mark.parametrize("version", VERSIONS)
class TestHandshake:
    def test_good(self, server, pki, version):
        reply = server.device("good-1", version=version).get("/whoami")
        assert reply.status == 200 and reply.json["id"] == "good-1"

    def test_no_certificate(self, server, pki, version):
        assert bytes_of_http(server, context(pki.server_ca, version=version)) == b""

    @pytest.mark.parametrize("fault", [("--foreign",), ("--expired",), ("--eku", "server"), ("--ca-true",), ("--no-san",), ("--two-san",)], ids=" ".join)
    def test_fault(self, server, pki, version, fault):
        bad = pki.device("faulty-1", *fault)
        assert bytes_of_http(server, context(pki.server_ca, bad.cert, bad.key, version)) == b""
        assert server.operator().get("/api/v1/devices/faulty-1").status == 404

    @pytest.mark.parametrize("name", STRANGE)
    def test_strange(self, server, pki, version, name):
        bad = make_strange(pki, name, STRANGE[name])
        assert bytes_of_http(server, context(pki.server_ca, bad.cert, bad.key, version)) == b""

    @pytest.mark.parametrize("name", GOOD)
    def test_accepted(self, server, pki, version, name):
        good = make_strange(pki, "ok " + name, GOOD[name])
        assert server.device(certificate=good, version=version).get("/whoami").status == 200

    def test_weak_key(self, server, pki, version):
        bad = make_strange(pki, "RSA 1024", {"key": "rsa1024"})
        tls = context(pki.server_ca, version=version)
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        tls.load_cert_chain(bad.cert, bad.key)
        assert bytes_of_http(server, tls) == b""

    def test_sha1_signature(self, server, pki, version):
        try:
            bad = pki.strange("sha1", uris=["urn:pawl:device:sha1"], algorithm=hashes.SHA1())
        except Exception as error:  # noqa: BLE001 (a library that refuses to sign with SHA-1 cannot make the certificate)
            pytest.skip(f"no SHA-1 certificate can be made here: {error}")
        tls = context(pki.server_ca, version=version)
        tls.set_ciphers("DEFAULT:@SECLEVEL=0")
        tls.load_cert_chain(bad.cert, bad.key)
        assert bytes_of_http(server, tls) == b""

    def test_administrator_is_no_device(self, server, pki, version):
        admin = pki.admin("root")
        assert bytes_of_http(server, context(pki.server_ca, admin.cert, admin.key, version)) == b""


def test_no_plain_text(server):
    for port in (server.device_port, server.admin_port):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
            raw.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            try:
                data = raw.recv(1000)
            except ConnectionResetError:
                data = b""
            assert not data.startswith(b"HTTP")


@pytest.mark.parametrize("minimum", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_old_versions_are_refused(server, pki, minimum):
    good = pki.device("good-1")
    tls = context(pki.server_ca, good.cert, good.key)
    tls.set_ciphers("ALL:@SECLEVEL=0")
    tls.minimum_version = minimum
    tls.maximum_version = minimum
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Connection(server.device_port, tls).close()


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-CCM", "DHE-RSA-AES128-GCM-SHA256"])
def test_weak_suites_are_refused(server, pki, cipher):
    good = pki.device("good-1")
    tls = context(pki.server_ca, good.cert, good.key, "1.2")
    tls.set_ciphers(cipher + ":@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        Connection(server.device_port, tls).close()


@pytest.mark.parametrize("cipher", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"])
def test_listed_suites_are_taken(server, pki, cipher):
    good = pki.device("good-1")
    tls = context(pki.server_ca, good.cert, good.key, "1.2")
    tls.set_ciphers(cipher)
    with Connection(server.device_port, tls) as connection:
        assert connection.socket.cipher()[0] == cipher


def test_forwarded_headers_have_no_effect(server, pki):
    device = server.device("good-1")
    forged = ["X-Controller-Id", "X-SSL-Client-S-DN", "X-SSL-Client-Verify", "Client-Cert", "X-Forwarded-Client-Cert", "X-Forwarded-For", "Forwarded"]
    reply = device.get("/whoami", headers=[(name, "urn:pawl:device:root") for name in forged])
    assert reply.status == 200 and reply.json["id"] == "good-1"
    anonymous = server.operator(token="")
    assert anonymous.get("/api/v1/whoami", headers=[("X-SSL-Client-Verify", "SUCCESS"), ("Client-Cert", ":AAAA:")]).status == 401


# ---- resumption


def first_visit(server, tls):
    with Connection(server.device_port, tls) as connection:
        connection.send(WHOAMI)
        assert connection.read_reply().status == 200
        session = connection.socket.session
    return session


def test_resumption_on_13(server, pki):
    device = server.device("resume-1", version="1.3")
    session = first_visit(server, device.tls)
    assert session is not None and session.has_ticket
    with Connection(server.device_port, device.tls, session=session) as connection:
        assert connection.socket.session_reused
        reply = device.get("/whoami", connection=connection)
        assert reply.status == 200 and reply.json["id"] == "resume-1"
        assert reply.json["spki_sha256"] == device.certificate.spki_sha256


def test_a_session_is_good_once(server, pki):
    device = server.device("resume-2", version="1.3")
    session = first_visit(server, device.tls)
    reused = []
    for _ in range(2):
        with Connection(server.device_port, device.tls, session=session) as connection:
            reused.append(connection.socket.session_reused)
            assert device.get("/whoami", connection=connection).status == 200
    assert reused == [True, False]


def test_resumed_connections_resume_again(server, pki):
    device = server.device("resume-3", version="1.3")
    session = first_visit(server, device.tls)
    for _ in range(3):
        with Connection(server.device_port, device.tls, session=session) as connection:
            assert connection.socket.session_reused
            assert device.get("/whoami", connection=connection).json["id"] == "resume-3"
            session = connection.socket.session


def test_never_resumed_on_12(server, pki):
    device = server.device("resume-4", version="1.2")
    session = first_visit(server, device.tls)
    assert session is None or not session.has_ticket
    with Connection(server.device_port, device.tls, session=session) as connection:
        assert not connection.socket.session_reused
        assert device.get("/whoami", connection=connection).status == 200


def test_sessions_do_not_outlive_the_server(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    device = server.device("resume-5", version="1.3")
    session = first_visit(server, device.tls)
    server.restart()
    with Connection(server.device_port, device.tls, session=session) as connection:
        assert not connection.socket.session_reused


def test_another_device_cannot_use_a_session(server, pki):
    """A session is bound to the identity of its first handshake, whoever shows it."""
    first, second = server.device("resume-6", version="1.3"), server.device("resume-7", version="1.3")
    session = first_visit(server, first.tls)
    tls = context(pki.server_ca, second.certificate.cert, second.certificate.key, "1.3")
    try:
        connection = Connection(server.device_port, tls, session=session)
    except ValueError:
        pytest.skip("this Python binds a session to its context")
    with connection:
        connection.send(WHOAMI)
        assert connection.read_reply().json["id"] in ("resume-6" if connection.socket.session_reused else "resume-7")


# ---- pending and revoked


def test_pending(new_server):
    server = new_server({"enrolment": {"auto_accept": "no"}})
    device, operator = server.device("pending-1"), server.operator()
    reply = device.check(product="router", hardware="qemu-arm")
    assert reply.status == 403 and reply.problem == "device-pending"
    assert int(reply.header("Poll-After")) >= 1
    assert device.get("/firmware/router/1.0.0/u-boot.bin").status == 403
    assert device.report("1", 1, "downloading").status == 403
    assert device.get("/whoami").json["state"] == "pending"
    assert operator.device("pending-1")["state"] == "pending"
    operator.ok("POST", "/api/v1/devices/pending-1/accept")
    assert operator.device("pending-1")["pins"] == [device.certificate.spki_sha256]
    assert device.check(product="router", hardware="qemu-arm").status == 200


def test_pending_has_a_ceiling(new_server):
    server = new_server({"enrolment": {"auto_accept": "no", "pending_max": 2}})
    for name in ("wait-1", "wait-2"):
        assert server.device(name).check().status == 403
    reply = server.device("wait-3").check()
    assert reply.status in (403, 429, 503)
    known = [item["id"] for item in server.operator().pages("/api/v1/devices")]
    assert known == ["wait-1", "wait-2"]


@pytest.fixture
def victim(router):
    """A device in the middle of its working life, with a download it may make."""
    number = victim_numbers.pop()
    device = router.device(f"victim-{number}", version="1.3")
    assert device.directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)["action"] == "install"
    yield device
    device.close()


victim_numbers = list(range(20))


def revoke(server, device_id):
    server.operator().ok("POST", f"/api/v1/devices/{device_id}/revoke", {"reason": "stolen"})


def test_revoked_idle_connection_is_cut(router, victim):
    with victim.connect() as connection:
        assert victim.get("/whoami", connection=connection).status == 200
        revoke(router, victim.certificate.cert.stem)
        assert connection.seconds_until_closed(PROMPTLY_S) < PROMPTLY_S


def test_revoked_connection_before_its_first_request_is_cut(router, victim):
    with victim.connect() as connection:
        time.sleep(0.2)
        revoke(router, victim.certificate.cert.stem)
        assert connection.seconds_until_closed(PROMPTLY_S) < PROMPTLY_S


def test_revoked_download_is_cut(router, victim):
    """In the middle of an image: the rest never comes."""
    with victim.connect() as connection:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        size = firmware.UBOOT_ARM64.stat().st_size
        connection.send(head_bytes("GET", "/firmware/router/1.1.0/u-boot.bin", []) * 20)
        got = len(connection.socket.recv(1000))
        router.operator().get("/api/v1/whoami")
        before = router.open_files()
        revoke(router, victim.certificate.cert.stem)
        begin = time.monotonic()
        while router.open_files() >= before and time.monotonic() - begin < PROMPTLY_S:
            time.sleep(0.01)
        assert time.monotonic() - begin < PROMPTLY_S, "the server keeps the connection"
        while True:  # what the kernels still held
            try:
                piece = connection.receive()
            except ssl.SSLError:
                break
            if not piece:
                break
            got += len(piece)
        assert got < 20 * size


def test_revoked_cannot_come_back(router, victim):
    session = first_visit(router, victim.tls)
    revoke(router, victim.certificate.cert.stem)
    for options in ({}, {"session": session}):
        data = bytes_of_http(router, victim.tls, **options)
        assert data == b"" or b" 403 " in data.split(b"\r\n")[0], data[:200]
        assert b'"id"' not in data


def test_revoked_on_a_resumed_connection(router, victim):
    session = first_visit(router, victim.tls)
    with Connection(router.device_port, victim.tls, session=session) as connection:
        assert connection.socket.session_reused
        assert victim.get("/whoami", connection=connection).status == 200
        revoke(router, victim.certificate.cert.stem)
        assert connection.seconds_until_closed(PROMPTLY_S) < PROMPTLY_S


def test_revoked_in_the_middle_of_a_request(router, victim):
    with victim.connect() as connection:
        connection.send(b"GET /whoami HTTP/1.1\r\nHost: loc")
        revoke(router, victim.certificate.cert.stem)
        assert connection.seconds_until_closed(PROMPTLY_S) < PROMPTLY_S


def test_retired_is_refused(router, victim):
    router.operator().ok("POST", f"/api/v1/devices/{victim.certificate.cert.stem}/retire")
    data = bytes_of_http(router, victim.tls)
    assert data == b"" or b" 403 " in data.split(b"\r\n")[0]


def test_a_second_key_for_one_device(server, pki):
    """Same id, another key: not the pinned one, so refused, and an event says so."""
    server.device("twin-1").get("/whoami")
    twin = server.device(certificate=pki.device("twin-1", "--new-key"))
    reply = twin.check(product="router", hardware="qemu-arm")
    assert reply.status == 403 and reply.problem == "identity"
    assert [e for e in server.operator().events(device="twin-1") if e["kind"] == "clone-suspected"]
    assert server.device("twin-1").get("/whoami").status == 200


# ---- the administration listener


def test_admin_certificate_of_a_stranger_fails(server, pki):
    """A certificate is only requested there, but one that is sent must verify."""
    for bad in (pki.device("faulty-1", "--foreign"), pki.device("good-1")):
        tls = context(pki.server_ca, bad.cert, bad.key)
        try:
            with Connection(server.admin_port, tls) as connection:
                connection.send(head_bytes("GET", "/healthz", []))
                assert connection.receive_all(10) == b""
        except (Closed, ssl.SSLError, ConnectionResetError, BrokenPipeError):
            pass


def test_admin_certificate_in_place(server, pki):
    admin = pki.admin("root")
    assert server.operator(certificate=admin).get("/api/v1/whoami").status == 200


def test_garbage_instead_of_a_handshake(server):
    """Bytes that are no TLS, a huge record, an empty connection: closed, and the server lives."""
    for data in (b"", b"\x00" * 100, b"\x16\x03\x01\xff\xff" + b"\x01" * 100, b"\x80\x2e\x01\x03\x01", struct.pack("!BHH", 22, 0x0303, 16384) + b"\x02" * 16384):
        with socket.create_connection(("127.0.0.1", server.device_port), timeout=5) as raw:
            raw.sendall(data)
            raw.shutdown(socket.SHUT_WR)
            try:
                while raw.recv(1000):
                    pass
            except ConnectionResetError:
                pass
    assert server.device("good-1").get("/whoami").status == 200
