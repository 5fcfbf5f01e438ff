"""An administrator's client certificate: an identity of its own, with the scopes of the configuration (device-api.md, listeners; fleet.md §4)."""

import ssl

import pytest

from lib.wire import Closed

SCOPES = "device:read device:write@router  audit:read"
USAGE = 2


@pytest.fixture(scope="module")
def guarded(servers):
    """A server where administrators' certificates may do something."""
    server = servers({"enrolment": {"auto_accept": "yes"}, "admin": {"certificate_scopes": SCOPES}})
    api = server.operator()
    for product in ("router", "lamp"):
        api.ok("POST", "/api/v1/products", {"id": product})
        api.ok("POST", "/api/v1/devices", {"id": f"{product}-1", "product": product, "hardware": "board-a"})
    return server


@pytest.fixture(scope="module")
def alice(guarded):
    return guarded.operator(token="", certificate=guarded.pki.admin("alice"))


def test_whoami_names_the_certificate(guarded, alice):
    me = alice.ok("GET", "/api/v1/whoami")
    assert (me["actor"], me["name"], me["token"]) == ("cert:alice", "alice", None)
    assert me["scopes"] == ["device:read", "device:write@router", "audit:read"]
    ends = guarded.pki.admin("alice").x509.not_valid_after
    assert me["expires_at"] == ends.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_scopes_of_the_configuration(alice):
    assert alice.get("/api/v1/devices").status == 200
    for path in ("/api/v1/tokens", "/metrics", "/api/v1/releases"):
        reply = alice.get(path)
        assert reply.status == 403 and reply.problem == "scope"
    assert alice.post("/api/v1/devices/router-1/revoke").status == 200
    reply = alice.post("/api/v1/devices/lamp-1/revoke")
    assert reply.status == 403 and reply.problem == "scope"


def test_audit_and_log_name_it(guarded, alice):
    reply = alice.post("/api/v1/devices", {"id": "router-2", "product": "router"})
    assert reply.status == 201
    row = next(row for row in alice.pages("/api/v1/audit") if row["request_id"] == reply.header("X-Request-Id"))
    assert row["actor"] == "cert:alice"
    line = next(line for line in guarded.log().splitlines() if reply.header("X-Request-Id") in line)
    assert "actor=cert:alice" in line and "device=" not in line


def test_events_as_they_happen(guarded, alice):
    connection = alice.connect()
    connection.send(b"GET /api/v1/events/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert connection.read_head().status == 200
    text = b""
    while b'"device":"router-1"' not in text:
        piece = connection.receive()
        assert piece and b"\r\n0\r\n" not in text, text
        text += piece
    connection.close()


def test_a_token_goes_before_the_certificate(guarded):
    certificate = guarded.pki.admin("alice")
    token = guarded.operator().token_with("metrics:read")
    both = guarded.operator(token=token, certificate=certificate)
    assert both.ok("GET", "/api/v1/whoami")["actor"].startswith("token:")
    assert both.get("/metrics").status == 200
    assert both.get("/api/v1/devices").status == 403
    bad = guarded.operator(token="pawl_x_" + "A" * 43, certificate=certificate, source="127.0.0.9")
    assert bad.get("/api/v1/whoami").status == 401


def test_one_administrator_is_not_another_ones_key(guarded, alice):
    """Idempotency-Key belongs to the actor."""
    bob = guarded.operator(token="", certificate=guarded.pki.admin("bob"))
    key = [("Idempotency-Key", "the same")]
    assert alice.post("/api/v1/devices", {"id": "router-3", "product": "router"}, headers=key).status == 201
    assert alice.post("/api/v1/devices", {"id": "router-3", "product": "router"}, headers=key).header("Idempotency-Replayed") == "true"
    assert bob.post("/api/v1/devices", {"id": "router-3", "product": "router"}, headers=key).status == 409


@pytest.mark.parametrize("origin, status", [("https://evil.example", 403), ("null", 403), ("http://localhost", 403), ("https://localhost", 200), (None, 200)])
def test_no_page_of_another_origin_changes_anything(guarded, alice, origin, status):
    """A browser shows the certificate unasked; what may be read is kept from the page by the browser."""
    path = "/api/v1/devices/router-1"
    reply = alice.put(f"{path}/tags", {"tags": ["a"]}, headers=[("If-Match", "*"), *([("Origin", origin)] if origin else [])])
    assert reply.status == status
    if origin:
        assert alice.get(path, headers=[("Origin", origin)]).status == 200
        assert guarded.operator().put(f"{path}/tags", {"tags": ["b"]}, headers=[("If-Match", "*"), ("Origin", origin)]).status == 200


def test_without_scopes_it_may_nothing(server):
    nobody = server.operator(token="", certificate=server.pki.admin("alice"))
    assert nobody.ok("GET", "/api/v1/whoami")["scopes"] == []
    reply = nobody.get("/api/v1/devices")
    assert reply.status == 403 and reply.problem == "scope"


def test_a_device_of_the_same_name_is_somebody_else(guarded):
    """Neither the device's revocation nor its count of connections touches the administrator."""
    device = guarded.device("twin")
    assert device.get("/whoami").status == 200
    twin = guarded.operator(token="", certificate=guarded.pki.admin("twin"))
    with twin.connect() as connection:
        assert twin.get("/api/v1/whoami", connection=connection).json["actor"] == "cert:twin"
        guarded.operator().ok("POST", "/api/v1/devices/twin/revoke")
        assert twin.get("/api/v1/whoami", connection=connection).json["actor"] == "cert:twin"
    assert twin.get("/api/v1/whoami").status == 200


@pytest.mark.parametrize("which", ["device", "device's name under the administrators' CA", "two names", "no name", "server's purpose", "expired",
                                   "administrator's name under the device CA"])
def test_refused_in_the_handshake(guarded, which):
    import datetime

    from cryptography.x509.oid import ExtendedKeyUsageOID

    pki, uri, now = guarded.pki, "urn:pawl:admin:mallory", datetime.datetime.utcnow()
    name = "admin-" + which.replace(" ", "-").replace("'", "")
    certificate = {
        "device": lambda: pki.device("router-1"),
        "device's name under the administrators' CA": lambda: pki.strange(name, uris=["urn:pawl:device:router-1"], issuer="admin-ca"),
        "two names": lambda: pki.strange(name, uris=[uri, uri + "2"], issuer="admin-ca"),
        "no name": lambda: pki.strange(name, issuer="admin-ca"),
        "server's purpose": lambda: pki.strange(name, uris=[uri], eku=(ExtendedKeyUsageOID.SERVER_AUTH,), issuer="admin-ca"),
        "expired": lambda: pki.strange(name, uris=[uri], issuer="admin-ca", begins=now - datetime.timedelta(days=3), ends=now - datetime.timedelta(days=1)),
        "administrator's name under the device CA": lambda: pki.strange(name, uris=[uri]),
    }[which]()
    client = guarded.operator(token="", certificate=certificate)
    with pytest.raises((Closed, ssl.SSLError, ConnectionResetError, BrokenPipeError)):
        client.get("/api/v1/whoami")
    good = guarded.operator(token="", certificate=pki.strange(name + "-good", uris=[uri], issuer="admin-ca"))
    assert good.ok("GET", "/api/v1/whoami")["name"] == "mallory"


@pytest.mark.parametrize("which", ["the same file", "one CA of two", "an administrator's CA signed by a device CA"])
def test_authorities_must_be_disjoint(new_server, pki, tmp_path, which):
    both = tmp_path / "both.pem"
    both.write_bytes(pki.admin_ca.read_bytes() + pki.device_ca.read_bytes())
    below = pki.strange("below-" + "ca", common_name="below", eku=(), usage=False, basic=True)
    file = {"the same file": pki.device_ca, "one CA of two": both, "an administrator's CA signed by a device CA": below.cert}[which]
    server = new_server(start=False)
    assert server.run("check-config").returncode == 0
    server.write_config({"tls": {"admin_ca": file}})
    for command in ("check-config", "serve"):
        done = server.run(command, check=False)
        assert done.returncode == USAGE and "admin_ca" in done.stderr and str(file) in done.stderr


@pytest.mark.parametrize("scopes", ["device:reed", "device:read,device:write", "device:read device:read", "device:read@"])
def test_bad_scopes_are_refused(new_server, scopes):
    server = new_server(start=False)
    server.write_config({"admin": {"certificate_scopes": scopes}})
    done = server.run("check-config", check=False)
    assert done.returncode == USAGE and "certificate_scopes" in done.stderr
