"""Every kind of certificate × TLS version × fresh, keep-alive and resumed × listener: a table of what comes of it, printed at the end and written to
certificate-matrix.txt in the build folder (tools/test shows it)."""

import concurrent.futures
import datetime
import itertools
import os
import pathlib
import ssl
import time

import pytest

from lib.est import EST, csr, issuing, make_ca
from lib.paths import ROOT
from lib.pki import new_key
from lib.wire import Closed, Connection, context, head_bytes

WHOAMI = head_bytes("GET", "/whoami", [])
CACERTS = head_bytes("GET", f"{EST}/cacerts", [])
NO_HTTP = "no HTTP"
BRIEF_S = 4


def now():
    return datetime.datetime.utcnow()


def uri(name):
    return [f"urn:pawl:device:{name}"]


class World:
    """A server with all listeners, a revocation list, and a certificate of each kind."""

    def __init__(self, servers, pki, folder):
        self.pki, self.crl = pki, folder / "matrix.crl"
        pki.crl(self.crl)
        settings = issuing(pki, folder, auto_accept="yes")
        cas = folder / "device-cas.pem"
        cas.write_bytes(pki.device_ca.read_bytes() + make_ca(pki, "lapsed-ca", days=-1).read_bytes())
        settings["tls"] = {"device_ca": cas, "device_crl": self.crl}
        self.server = servers(settings)
        self.revoked = []
        self.made = {}
        self.numbers = itertools.count(1)

    def name(self):
        return f"matrix-{next(self.numbers)}"

    def once(self, kind, make):
        """A certificate that nothing becomes of serves all cells of its kind."""
        if kind not in self.made:
            self.made[kind] = make(self)
        return self.made[kind]

    def good(self):
        name = self.name()
        return self.pki.strange(name, uris=uri(name))

    def brief(self):
        """Ends while it is looked at."""
        name = self.name()
        return self.pki.strange(name, uris=uri(name), ends=now() + datetime.timedelta(seconds=BRIEF_S))

    def script(self, *fault):
        return self.pki.device(self.name(), *fault)

    def strange(self, **shape):
        name = self.name()
        return self.pki.strange(name, **{"uris": uri(name), **shape})

    def same_name(self):
        """A CA by the name of the device CA, with a key of its own."""
        ca = make_ca(self.pki, "Pawl device CA namesake")
        if not (self.pki.folder / "namesake.pem").exists():
            self.pki.folder.joinpath("namesake.key").write_bytes(ca.with_suffix(".key").read_bytes())
            self.namesake()
        return self.strange(issuer="namesake")

    def namesake(self):
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        real = x509.load_pem_x509_certificate(self.pki.device_ca.read_bytes())
        key = serialization.load_pem_private_key((self.pki.folder / "namesake.key").read_bytes(), None)
        builder = x509.CertificateBuilder().subject_name(real.subject).issuer_name(real.subject).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number()).not_valid_before(real.not_valid_before).not_valid_after(real.not_valid_after)
        made = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(key, hashes.SHA256())
        (self.pki.folder / "namesake.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))

    def revoke_by_registry(self, certificate):
        self.server.operator().ok("POST", f"/api/v1/devices/{certificate.cert.stem}/revoke", {"reason": "matrix"})

    def revoke_by_list(self, certificate):
        self.revoked.append(certificate)
        self.pki.crl(self.crl, self.revoked)
        self.server.reload()


@pytest.fixture(scope="module")
def world(servers, pki, tmp_path_factory):
    return World(servers, pki, tmp_path_factory.mktemp("matrix"))


def lapse(world, certificate):
    time.sleep(max(0, (certificate.x509.not_valid_after - now()).total_seconds()) + 1.1)


# What a certificate is, how it becomes what it is called (None: it is so from the beginning), and what comes of it on the device listener and on the
# enrolment listener: a status, or no byte of HTTP. There a certificate is requested only, and an expired one let in, for renewals alone.
KINDS = {
    "good": (World.good, None, "200", "200"),
    "none": (lambda world: None, None, NO_HTTP, "200"),
    "other CA": (lambda world: world.script("--foreign"), None, NO_HTTP, NO_HTTP),
    "same-name CA": (World.same_name, None, NO_HTTP, NO_HTTP),
    "expired": (lambda world: world.script("--expired"), None, NO_HTTP, "200"),
    "expired CA": (lambda world: world.strange(issuer="lapsed-ca"), None, NO_HTTP, NO_HTTP),
    "expires meanwhile": (World.brief, lapse, NO_HTTP, "200"),
    "not yet valid": (lambda world: world.strange(begins=now() + datetime.timedelta(days=1), ends=now() + datetime.timedelta(days=2)), None, NO_HTTP, NO_HTTP),
    "serverAuth only": (lambda world: world.script("--eku", "server"), None, NO_HTTP, NO_HTTP),
    "CA:TRUE": (lambda world: world.script("--ca-true"), None, NO_HTTP, NO_HTTP),
    "revoked, registry": (World.good, World.revoke_by_registry, NO_HTTP, NO_HTTP),
    "revoked, list": (World.good, World.revoke_by_list, NO_HTTP, NO_HTTP),
    "two SAN URIs": (lambda world: world.script("--two-san"), None, NO_HTTP, NO_HTTP),
    "malformed id": (lambda world: world.strange(uris=["urn:pawl:device:a/b"]), None, NO_HTTP, NO_HTTP),
}
MODES = [("1.2", "fresh"), ("1.2", "keep-alive"), ("1.3", "fresh"), ("1.3", "keep-alive"), ("1.3", "resumed")]
CELLS = [(listener, version, mode, kind) for listener in ("device", "enrol") for version, mode in MODES for kind in KINDS]
found = {}


class Caller:
    def __init__(self, world, listener, version, certificate):
        self.port = world.server.device_port if listener == "device" else world.server.enrol_port
        self.request = WHOAMI if listener == "device" else CACERTS
        self.tls = context(world.pki.server_ca, certificate and certificate.cert, certificate and certificate.key, version)

    def connect(self, session=None):
        return Connection(self.port, self.tls, session=session, timeout=20)

    def ask(self, connection):
        """The status, or that there was no byte of HTTP. A TLS 1.3 client learns of a refusal only when it reads."""
        try:
            connection.send(self.request)
            return str(connection.read_reply().status)
        except (Closed, ssl.SSLError, ConnectionError) as error:
            assert getattr(error, "received", b"") == b"", error.received
            return NO_HTTP

    def once(self, session=None):
        try:
            connection = self.connect(session)
        except (ssl.SSLError, ConnectionError):
            return NO_HTTP, None, False
        with connection:
            return self.ask(connection), connection.socket.session, connection.socket.session_reused


def fresh(world, caller, certificate, become):
    if become:
        assert caller.once()[0] == "200"
        become(world, certificate)
    return caller.once()[0]


def keep_alive(world, caller, certificate, become):
    """The second request on one connection."""
    try:
        connection = caller.connect()
    except (ssl.SSLError, ConnectionError):
        return NO_HTTP
    with connection:
        first = caller.ask(connection)
        if first == NO_HTTP:
            return NO_HTTP
        if become:
            become(world, certificate)
        return caller.ask(connection)


def resumed(world, caller, certificate, become):
    """With the session of a connection before, where one was given: the enrolment listener gives none."""
    first, session, _ = caller.once()
    assert (session is not None and session.has_ticket) == (first == "200" and caller.request == WHOAMI)
    if become:
        become(world, certificate)
    status, _, reused = caller.once(session)
    if not become and first == "200" and caller.request == WHOAMI:
        assert reused
    if status == NO_HTTP:
        assert not reused
    return status


DO = {"fresh": fresh, "keep-alive": keep_alive, "resumed": resumed}


def run(world, listener, version, mode, kind):
    make, become, _, _ = KINDS[kind]
    certificate = make(world) if become else world.once(kind, make)
    if become == World.revoke_by_registry:  # it must be known before it can be revoked
        assert Caller(world, "device", None, certificate).once()[0] == "200"
    return DO[mode](world, Caller(world, listener, version, certificate), certificate, become)


@pytest.fixture(scope="module")
def lapsing(world):
    """The cells that wait for a certificate to end, all at one time."""
    with concurrent.futures.ThreadPoolExecutor(2 * len(MODES)) as pool:
        yield {cell: pool.submit(run, world, *cell) for cell in CELLS if KINDS[cell[-1]][1] == lapse}


@pytest.mark.parametrize("listener,version,mode,kind", CELLS, ids=lambda each: each.replace(" ", "-"))
def test_cell(world, lapsing, listener, version, mode, kind):
    cell = (listener, version, mode, kind)
    found[cell] = lapsing[cell].result() if cell in lapsing else run(world, *cell)
    expected = KINDS[kind][2 if listener == "device" else 3]
    assert found[cell] in (expected, "403" if kind == "revoked, registry" else expected)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("kind,status", [("none", 401), ("expired", 403)])
def test_who_is_let_in_may_not_renew(world, version, kind, status):
    """What the enrolment listener lets through the handshake has no right by that."""
    certificate = world.once(kind, KINDS[kind][0])
    body = csr(new_key("p256"))
    fields = [("Content-Type", "application/pkcs10"), ("Content-Length", str(len(body)))]
    with Caller(world, "enrol", version, certificate).connect() as connection:
        connection.send(head_bytes("POST", f"{EST}/simplereenroll", fields) + body)
        assert connection.read_reply().status == status


def table():
    columns = [(listener, *mode) for listener in ("device", "enrol") for mode in MODES]
    rows = [["certificate"] + [f"{listener} {version} {mode}" for listener, version, mode in columns]]
    rows += [[kind] + [found.get((*column, kind), "not run") for column in columns] for kind in KINDS]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]
    served = sum(1 for outcome in found.values() if outcome == "200")
    refused = sum(1 for outcome in found.values() if outcome == NO_HTTP)
    lines.append(f"{len(found)} of {len(CELLS)} cells: {served} served, {refused} without a byte of HTTP, {len(found) - served - refused} refused in HTTP")
    return "\n".join(lines) + "\n"


def test_print_the_table(capsys):
    text = table()
    build = pathlib.Path(os.environ.get("PAWL_TEST_BUILD") or ROOT / "build")
    (build / "certificate-matrix.txt").write_text(text, encoding="utf-8")
    with capsys.disabled():
        print("\n" + text)
    assert len(found) == len(CELLS)
