"""No header ever says who is calling: every route × every header of the family that proxies use for it (device-api.md §1)."""

import base64
import contextlib
import urllib.parse

import pytest

from lib import firmware
from lib.est import Applicant, issuing
from lib.routes import dump
from lib.wire import Closed
from test_routes import SHAPES

ROWS = dump()


def family(certificate):
    """As HAProxy, nginx, Traefik, Envoy, Apache, AWS, Azure, Caddy and RFC 9440 name them."""
    pem = certificate.cert.read_text()
    der = base64.b64encode(certificate.x509.public_bytes(__import__("cryptography").hazmat.primitives.serialization.Encoding.DER)).decode()
    name, uri, dn = "root", "urn:pawl:device:header-b", "CN=header-b"
    quoted = urllib.parse.quote(pem)
    return [
        ("X-Controller-Id", "header-b"), ("X-Device-Id", "header-b"), ("X-Forwarded-User", name), ("X-Remote-User", name), ("Remote-User", name),
        ("X-Auth-Request-User", name), ("X-Authenticated-User", name), ("Client-Cert", f":{der}:"), ("Client-Cert-Chain", f":{der}:"),
        ("X-Client-Cert", quoted), ("X-Client-Certificate", quoted), ("X-Client-Verify", "SUCCESS"), ("X-Client-DN", dn),
        ("X-SSL-Client-Cert", quoted), ("X-SSL-Client-Verify", "SUCCESS"), ("X-SSL-Client-S-DN", dn), ("X-SSL-Client-S-DN-CN", "header-b"),
        ("X-SSL-Client-SAN", uri), ("X-SSL-Client-Serial", "1"), ("X-SSL-Issuer-Hash-1", "00"), ("X-SSL-Issuer-DN-1", dn), ("SSL-Client-Cert", quoted),
        ("SSL_CLIENT_S_DN", dn), ("SSL_CLIENT_VERIFY", "SUCCESS"), ("X-ARR-ClientCert", der), ("X-Amzn-Mtls-Clientcert", quoted),
        ("X-Amzn-Mtls-Clientcert-Leaf", quoted), ("X-Amzn-Mtls-Clientcert-Subject", dn), ("X-Forwarded-Client-Cert", f'By={uri};URI={uri};Subject="{dn}"'),
        ("X-Forwarded-Tls-Client-Cert", quoted), ("X-Forwarded-Tls-Client-Cert-Info", quoted), ("X-Forwarded-For", "203.0.113.99"),
        ("X-Forwarded-Host", "admin"), ("X-Forwarded-Proto", "https"), ("X-Forwarded-Port", "9443"), ("X-Real-IP", "203.0.113.99"),
        ("Forwarded", 'for=203.0.113.99;by=203.0.113.1;host=admin;proto=https'), ("True-Client-IP", "203.0.113.99"), ("CF-Connecting-IP", "203.0.113.99"),
        ("X-Cluster-Client-IP", "203.0.113.99"), ("X-Original-URL", "/api/v1/tokens"), ("X-Rewrite-URL", "/api/v1/tokens"),
        ("X-HTTP-Method-Override", "DELETE"), ("X-Method-Override", "DELETE"), ("GatewayToken", "root"), ("X-Pawl-Device", "header-b"),
        ("X-Pawl-Admin", name),
    ]


@pytest.fixture(scope="module")
def two(servers, pki, tmp_path_factory):
    server = servers(issuing(pki, tmp_path_factory.mktemp("issuing"), auto_accept="yes", requests=100000))
    server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", ("qemu-arm",))
    for name in ("header-a", "header-b"):
        server.device(name).check(product="router", hardware="qemu-arm")
    return server


def outcome(client, row, headers):
    """What is told: status, kind of problem, and who the server thinks it is."""
    path, body = SHAPES[repr(row)]
    precondition = [("If-Match", "*")] if row.method in ("PUT", "PATCH", "DELETE") and "images" not in path else []
    with client.connect() as connection, contextlib.suppress(Closed):
        reply = client.request(row.method, path, body, headers=precondition + headers, connection=connection)
        told = reply.json.get("id") or reply.json.get("type") if (reply.header("Content-Type") or "").endswith("json") and reply.body else None
        return reply.status, told if isinstance(told, str) else None
    return None


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_no_header_changes_who_one_is(two, row):
    admin = two.pki.admin("root")
    other = two.pki.device("header-b")
    callers = []
    if "device" in row.listeners:
        callers.append(two.device("header-a"))
    if "admin" in row.listeners:
        callers.append(two.operator(token=""))
    if "enrol" in row.listeners:
        callers.append(Applicant(two))
    assert callers
    for client in callers:
        plain = outcome(client, row, [])
        assert plain is not None
        if row.role == "operator":
            assert plain[0] == 401
        for certificate in (other, admin):
            headers = family(certificate)
            for at in range(0, len(headers), 24):  # the gate takes 64 fields
                assert outcome(client, row, headers[at:at + 24]) == plain, f"{row} with {headers[at:at + 24]}"


def test_each_header_alone(two):
    """On the two routes that say who one is, and in the log: one at a time."""
    device, anonymous = two.device("header-a"), two.operator(token="")
    for header in family(two.pki.device("header-b")):
        reply = device.get("/whoami", headers=[header])
        assert reply.status == 200 and reply.json["id"] == "header-a", header
        assert anonymous.get("/api/v1/whoami", headers=[header]).status == 401, header
    assert "203.0.113.99" not in two.log()
