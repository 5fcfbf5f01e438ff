"""The route table, the contract and the credentials: every row × every credential (F18 of reliability-security.md)."""

import ssl
import sqlite3

import pytest

from lib.routes import dump
from lib.wire import Closed, Connection, context, head_bytes

ROWS = dump()
NOTHING = "ab" * 32

# How to ask each route: path, body. A route that is not listed fails the matrix.
SHAPES = {
    "GET /check": ("/check", None),
    "GET /firmware/{path...}": ("/firmware/router/1.1.0/u-boot.bin", None),
    "GET /tuf/{file}": ("/tuf/timestamp.json", None),
    "POST /report": ("/report", {"deployment": "nothing", "report_seq": 1, "state": "downloading"}),
    "GET /whoami": ("/whoami", None),
    "GET /{tenant}/controller/v1/{controller}": ("/default/controller/v1/matrix-active", None),
    "PUT /{tenant}/controller/v1/{controller}/configData": ("/default/controller/v1/matrix-active/configData", {"data": {}}),
    "GET /{tenant}/controller/v1/{controller}/deploymentBase/{action}": ("/default/controller/v1/matrix-active/deploymentBase/999", None),
    "POST /{tenant}/controller/v1/{controller}/deploymentBase/{action}/feedback": ("/default/controller/v1/matrix-active/deploymentBase/999/feedback", {"status": {"execution": "proceeding", "result": {"finished": "none"}}}),
    "GET /{tenant}/controller/v1/{controller}/cancelAction/{action}": ("/default/controller/v1/matrix-active/cancelAction/999", None),
    "POST /{tenant}/controller/v1/{controller}/cancelAction/{action}/feedback": ("/default/controller/v1/matrix-active/cancelAction/999/feedback", {"status": {"execution": "proceeding", "result": {"finished": "none"}}}),
    "GET /{tenant}/controller/v1/{controller}/installedBase/{action}": ("/default/controller/v1/matrix-active/installedBase/999", None),
    "GET /{tenant}/controller/v1/{controller}/softwaremodules/{module}/artifacts": ("/default/controller/v1/matrix-active/softwaremodules/1/artifacts", None),
    "GET /{tenant}/controller/v1/{controller}/softwaremodules/{module}/artifacts/{file}": ("/default/controller/v1/matrix-active/softwaremodules/1/artifacts/u-boot.bin", None),
    "GET /.well-known/est/cacerts": ("/.well-known/est/cacerts", None),
    "POST /.well-known/est/simpleenroll": ("/.well-known/est/simpleenroll", {}),
    "POST /.well-known/est/simplereenroll": ("/.well-known/est/simplereenroll", {}),
    "GET /general/{controller}": ("/general/matrix-active", None),
    "PUT /general/{controller}/log": ("/general/matrix-active/log", b"#2,now"),
    "GET /healthz": ("/healthz", None),
    "GET /readyz": ("/readyz", None),
    "GET /metrics": ("/metrics", None),
    "GET /api/v1/openapi.yaml": ("/api/v1/openapi.yaml", None),
    "GET /api/v1/whoami": ("/api/v1/whoami", None),
    "GET /api/v1/stats": ("/api/v1/stats", None),
    "GET /api/v1/products": ("/api/v1/products", None),
    "POST /api/v1/products": ("/api/v1/products", {}),
    "GET /api/v1/products/{product}": ("/api/v1/products/router", None),
    "PATCH /api/v1/products/{product}": ("/api/v1/products/router", {}),
    "GET /api/v1/devices": ("/api/v1/devices", None),
    "POST /api/v1/devices": ("/api/v1/devices", {}),
    "POST /api/v1/devices/import": ("/api/v1/devices/import", b"{"),
    "GET /api/v1/devices/{device}": ("/api/v1/devices/matrix-active", None),
    "PATCH /api/v1/devices/{device}": ("/api/v1/devices/nobody", {}),
    "PUT /api/v1/devices/{device}/tags": ("/api/v1/devices/matrix-active/tags", {}),
    "POST /api/v1/devices/{device}/accept": ("/api/v1/devices/nobody/accept", None),
    "POST /api/v1/devices/{device}/revoke": ("/api/v1/devices/nobody/revoke", None),
    "POST /api/v1/devices/{device}/retire": ("/api/v1/devices/nobody/retire", None),
    "GET /api/v1/devices/{device}/ddi": ("/api/v1/devices/matrix-active/ddi", None),
    "POST /api/v1/devices/{device}/ddi/ask": ("/api/v1/devices/nobody/ddi/ask", None),
    "POST /api/v1/devices/{device}/ddi/token": ("/api/v1/devices/nobody/ddi/token", None),
    "POST /api/v1/devices/{device}/ddi/token/revoke": ("/api/v1/devices/nobody/ddi/token/revoke", None),
    "GET /api/v1/images/{sha256}": (f"/api/v1/images/{NOTHING}", None),
    "PUT /api/v1/images/{sha256}": (f"/api/v1/images/{NOTHING}", b"x"),
    "GET /api/v1/releases": ("/api/v1/releases", None),
    "POST /api/v1/releases": ("/api/v1/releases", {}),
    "GET /api/v1/releases/{product}/{version}": ("/api/v1/releases/router/1.0.0", None),
    "POST /api/v1/releases/{product}/{version}/withdraw": ("/api/v1/releases/router/9.9.9/withdraw", {}),
    "GET /api/v1/metadata": ("/api/v1/metadata", None),
    "POST /api/v1/metadata": ("/api/v1/metadata", {}),
    "GET /api/v1/metadata/{file}": ("/api/v1/metadata/timestamp.json", None),
    "GET /api/v1/deployments": ("/api/v1/deployments", None),
    "POST /api/v1/deployments": ("/api/v1/deployments", {}),
    "GET /api/v1/deployments/{deployment}": ("/api/v1/deployments/nothing", None),
    "GET /api/v1/deployments/{deployment}/log": ("/api/v1/deployments/nothing/log", None),
    "POST /api/v1/deployments/{deployment}/cancel": ("/api/v1/deployments/nothing/cancel", None),
    "POST /api/v1/deployments/{deployment}/retry": ("/api/v1/deployments/nothing/retry", None),
    "POST /api/v1/deployments/{deployment}/force-close": ("/api/v1/deployments/nothing/force-close", None),
    "GET /api/v1/devices/{device}/decision": ("/api/v1/devices/matrix-active/decision", None),
    "GET /api/v1/rollouts": ("/api/v1/rollouts", None),
    "POST /api/v1/rollouts": ("/api/v1/rollouts", {}),
    "POST /api/v1/rollouts/preview": ("/api/v1/rollouts/preview", {}),
    "GET /api/v1/rollouts/{rollout}": ("/api/v1/rollouts/nothing", None),
    "PATCH /api/v1/rollouts/{rollout}": ("/api/v1/rollouts/nothing", {}),
    "DELETE /api/v1/rollouts/{rollout}": ("/api/v1/rollouts/nothing", None),
    "GET /api/v1/rollouts/{rollout}/preview": ("/api/v1/rollouts/nothing/preview", None),
    "GET /api/v1/rollouts/{rollout}/devices": ("/api/v1/rollouts/nothing/devices", None),
    "POST /api/v1/rollouts/{rollout}/start": ("/api/v1/rollouts/nothing/start", None),
    "POST /api/v1/rollouts/{rollout}/pause": ("/api/v1/rollouts/nothing/pause", None),
    "POST /api/v1/rollouts/{rollout}/resume": ("/api/v1/rollouts/nothing/resume", None),
    "POST /api/v1/rollouts/{rollout}/stop": ("/api/v1/rollouts/nothing/stop", None),
    "POST /api/v1/rollouts/{rollout}/approve": ("/api/v1/rollouts/nothing/approve", None),
    "POST /api/v1/rollouts/{rollout}/retry": ("/api/v1/rollouts/nothing/retry", None),
    "GET /api/v1/backups": ("/api/v1/backups", None),
    "POST /api/v1/backups": ("/api/v1/backups", {}),
    "GET /api/v1/tokens": ("/api/v1/tokens", None),
    "POST /api/v1/tokens": ("/api/v1/tokens", {}),
    "GET /api/v1/tokens/{token}": ("/api/v1/tokens/nothing", None),
    "POST /api/v1/tokens/{token}/rotate": ("/api/v1/tokens/nothing/rotate", {}),
    "DELETE /api/v1/tokens/{token}": ("/api/v1/tokens/nothing", None),
    "GET /api/v1/claims": ("/api/v1/claims", None),
    "POST /api/v1/claims": ("/api/v1/claims", {}),
    "GET /api/v1/claims/{claim}": ("/api/v1/claims/nothing", None),
    "DELETE /api/v1/claims/{claim}": ("/api/v1/claims/nothing", None),
    "GET /api/v1/certificates": ("/api/v1/certificates", None),
    "GET /api/v1/certificates/{serial}": ("/api/v1/certificates/nothing", None),
    "POST /api/v1/certificates/{serial}/revoke": ("/api/v1/certificates/00/revoke", None),
    "GET /api/v1/certificates/expiring": ("/api/v1/certificates/expiring", None),
    "GET /api/v1/events": ("/api/v1/events", None),
    "GET /api/v1/events/stream": ("/api/v1/events/stream?after=nothing", None),
    "GET /api/v1/webhooks": ("/api/v1/webhooks", None),
    "POST /api/v1/webhooks": ("/api/v1/webhooks", {}),
    "GET /api/v1/webhooks/{webhook}": ("/api/v1/webhooks/nothing", None),
    "PATCH /api/v1/webhooks/{webhook}": ("/api/v1/webhooks/nothing", {}),
    "DELETE /api/v1/webhooks/{webhook}": ("/api/v1/webhooks/nothing", None),
    "POST /api/v1/webhooks/{webhook}/rotate": ("/api/v1/webhooks/nothing/rotate", None),
    "POST /api/v1/webhooks/{webhook}/test": ("/api/v1/webhooks/nothing/test", None),
    "GET /api/v1/webhooks/{webhook}/deliveries": ("/api/v1/webhooks/nothing/deliveries", None),
    "POST /api/v1/webhooks/{webhook}/deliveries/{event}/retry": ("/api/v1/webhooks/nothing/deliveries/1/retry", None),
    "GET /api/v1/audit": ("/api/v1/audit", None),
    "GET /api/v1/audit/checkpoint": ("/api/v1/audit/checkpoint", None),
}

SCOPES = ["device:read", "device:write", "release:read", "release:publish", "rollout:read", "rollout:write", "rollout:approve", "token:admin", "audit:read",
          "metrics:read"]
DEVICE_ROWS = [row for row in ROWS if "device" in row.listeners]
ADMIN_ROWS = [row for row in ROWS if "admin" in row.listeners]
OPERATOR_ROWS = [row for row in ADMIN_ROWS if row.role == "operator"]


def test_table_equals_contract(contract):
    """Both ways: every row is documented, everything documented is a row."""
    assert {(row.method, row.pattern) for row in ROWS} == contract.operations()


def test_rows_say_what_the_contract_says(contract):
    for row in ROWS:
        item = next(item for template, _, item in contract.templates if template == row.pattern)
        operation = item[row.method.lower()]
        for listener in ("device", "enrol", "token"):
            assert (listener in operation["tags"]) == (listener in row.listeners), row
        security = operation["security"]
        if row.role == "anyone":
            assert security in ([], [{"claimToken": []}, {"factoryCertificate": []}, {}]), row
        elif row.role == "operator":
            scopes = [row.scope] if row.scope else []
            assert security == [{"bearerToken": scopes}, {"adminCertificate": scopes}], row
        else:
            assert security == [{"deviceCertificate": []}] + [{"clientToken": []}] * ("token" in row.listeners), row


def test_rows_are_unique():
    assert len({(row.method, row.pattern) for row in ROWS}) == len(ROWS)


def test_every_route_has_a_shape():
    assert {repr(row) for row in ROWS} == set(SHAPES)


@pytest.fixture(scope="module")
def matrix(router):
    router.device("matrix-active").check(product="router", hardware="qemu-arm")
    return router


class Sources:
    """Another loopback address for each attempt, so that failed logins are not slowed down."""

    def __init__(self):
        self.count = 0

    def __call__(self):
        self.count += 1
        return f"127.1.{self.count // 250}.{self.count % 250 + 1}"


source = Sources()


def ask(client, row):
    path, body = SHAPES[repr(row)]
    if "{controller}" in row.pattern:  # a device's own resources
        path = path.replace("matrix-active", client.certificate.cert.stem)
    return ask_for(client, row, path, body)


def ask_for(client, row, path, body):
    headers = [("If-Match", "*")] if row.method in ("PUT", "PATCH", "DELETE") and "images" not in path else []
    if row.pattern.endswith("/import") and body:
        headers.append(("Content-Type", "application/x-ndjson"))
    with client.connect() as connection:
        return client.request(row.method, path, body, headers=headers, connection=connection)


@pytest.fixture(scope="module")
def tokens(matrix):
    """One secret for each way of holding scopes."""
    admin = matrix.operator()
    made = {scope: admin.token_with(scope) for scope in SCOPES}
    for scope in SCOPES:
        made["all but " + scope] = admin.token_with(*[other for other in SCOPES if other != scope])
    gone = admin.ok("POST", "/api/v1/tokens", {"scopes": SCOPES})
    assert admin.delete(f"/api/v1/tokens/{gone['token']['id']}", headers=[("If-Match", "*")]).status == 204
    made["deleted"] = gone["secret"]
    old = admin.ok("POST", "/api/v1/tokens", {"scopes": SCOPES})
    with sqlite3.connect(matrix.database_path, timeout=10) as connection:  # its end is past
        connection.execute("UPDATE token SET expires_at = created_at WHERE id = ?", (old["token"]["id"],))
    made["expired"] = old["secret"]
    turned = admin.ok("POST", "/api/v1/tokens", {"scopes": SCOPES})
    admin.ok("POST", f"/api/v1/tokens/{turned['token']['id']}/rotate", {})
    made["rotated"] = turned["secret"]
    for scope in SCOPES:
        for product in ("router", "toaster"):
            made[f"{scope}@{product}"] = admin.token_with(f"{scope}@{product}")
    return made


@pytest.mark.parametrize("row", OPERATOR_ROWS, ids=repr)
class TestOperatorRoute:
    def test_without_credentials(self, matrix, tokens, row):
        for token in ("", "pawl_x_" + "A" * 43, tokens["deleted"], tokens["expired"], tokens["rotated"]):
            client = matrix.operator(token=token, source=source())
            reply = ask(client, row)
            assert reply.status == 401 and reply.problem == "unauthenticated"

    def test_with_a_device_certificate(self, matrix, row):
        """A device's certificate is no administrator's: the handshake fails, or it counts for nothing."""
        client = matrix.operator(token="", certificate=matrix.pki.device("matrix-active"), source=source())
        try:
            assert ask(client, row).status == 401
        except (Closed, ssl.SSLError, ConnectionResetError, BrokenPipeError):
            pass

    def test_with_every_other_scope(self, matrix, tokens, row):
        if not row.scope:
            assert ask(matrix.operator(tokens["device:read"]), row).status == 200
            return
        reply = ask(matrix.operator(tokens["all but " + row.scope]), row)
        assert reply.status == 403 and reply.problem == "scope"

    def test_with_the_scope_alone(self, matrix, tokens, row):
        reply = ask(matrix.operator(tokens[row.scope or "device:read"]), row)
        assert reply.status not in (401, 403, 405) and reply.status < 500


    def test_limited_to_a_product(self, matrix, tokens, things, row):
        """A scope for one product opens what is that product's, and nothing of another's: by id it is refused or not there, in a list it is left out."""
        if not row.scope:
            return
        own, other = tokens[f"{row.scope}@router"], tokens[f"{row.scope}@toaster"]
        if "by-product" not in row.policy:
            for token in (own, other):
                reply = ask(matrix.operator(token), row)
                assert reply.status == 403 and reply.problem == "scope"
            return
        path, body = things.get(repr(row), SHAPES[repr(row)])
        if row.method == "GET" and "{" not in row.pattern and repr(row) not in OPEN_TO_EVERY_PRODUCT:  # a list, or the stream
            reply = ask_for(matrix.operator(other), row, path, body)
            assert reply.status == 403 or "router" not in reply.body.decode() and "matrix-" not in reply.body.decode()
            path += "?product=router" if reply.status == 403 else ""
        reply = ask_for(matrix.operator(other), row, path, body)
        if repr(row) not in OPEN_TO_EVERY_PRODUCT and reply.status != 200:
            assert reply.status in (400, 403, 404), (reply.status, reply.body)
        elif repr(row) not in OPEN_TO_EVERY_PRODUCT:
            assert row.method == "GET" and "{" not in row.pattern and "matrix-" not in reply.body.decode()
        reply = ask_for(matrix.operator(own), row, path, body)
        assert reply.status not in (401, 405) and reply.status < 500
        assert reply.status != 403 or reply.problem != "scope", reply.body

    def test_with_an_administrators_certificate(self, certified, row):
        """What [admin] certificate_scopes says, pair by pair, and no more."""
        reply = ask(certified.operator(token="", certificate=certified.pki.admin("alice"), source=source()), row)
        held = {"device:read": "", "audit:read": "", "release:read": "router"}
        allowed = not row.scope or (row.scope in held and (held[row.scope] == "" or "by-product" in row.policy))
        if allowed:
            assert reply.status not in (401, 405) and reply.status < 500
            assert reply.status != 403 or "by-product" in row.policy
        else:
            assert reply.status == 403 and reply.problem == "scope"


@pytest.fixture(scope="module")
def certified(servers):
    return servers({"admin": {"certificate_scopes": "device:read audit:read release:read@router"}})


# What all teams share: TUF metadata names every product and says nothing about devices; an image is known by its hash and belongs to no product.
OPEN_TO_EVERY_PRODUCT = {"GET /api/v1/metadata", "GET /api/v1/metadata/{file}", "GET /api/v1/images/{sha256}", "PUT /api/v1/images/{sha256}"}


@pytest.fixture(scope="module")
def things(matrix):
    """Real objects of product router, where the shapes above name none."""
    admin = matrix.operator()
    matrix.device("matrix-doomed").check(product="router", hardware="qemu-arm")
    sha256 = admin.ok("GET", "/api/v1/releases")["items"][0]["sha256"]
    matrix.device("matrix-a").directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    deployment = admin.device("matrix-a")["deployment"] or admin.ok("GET", "/api/v1/deployments?device=matrix-a")["items"][0]["id"]
    made = {"POST /api/v1/devices/import": ("/api/v1/devices/import", b'{"id":"matrix-import","product":"router"}\n'),
            "GET /api/v1/images/{sha256}": (f"/api/v1/images/{sha256}", None),
            "PATCH /api/v1/devices/{device}": ("/api/v1/devices/matrix-active", {}),
            "POST /api/v1/devices": ("/api/v1/devices", {"id": "matrix-new", "product": "router", "hardware": "qemu-arm"}),
            "POST /api/v1/products": ("/api/v1/products", {"id": "router"}),
            "GET /api/v1/deployments/{deployment}": (f"/api/v1/deployments/{deployment}", None)}
    for verb in ("accept", "revoke", "retire"):
        made[f"POST /api/v1/devices/{{device}}/{verb}"] = (f"/api/v1/devices/matrix-doomed/{verb}", None)
    for verb in ("cancel", "retry", "force-close"):
        made[f"POST /api/v1/deployments/{{deployment}}/{verb}"] = (f"/api/v1/deployments/{deployment}/{verb}", {})
    return made


@pytest.mark.parametrize("row", [row for row in ADMIN_ROWS if row.role == "anyone"], ids=repr)
def test_open_route(matrix, row):
    client = matrix.operator(token="")
    assert ask(client, row).status == 200


@pytest.mark.parametrize("row", [row for row in ROWS if "enrol" in row.listeners], ids=repr)
def test_strangers_at_the_enrolment_listener(enrolling, row):
    """A certificate is asked for there: none may be shown, but none that does not verify."""
    pki = enrolling.pki
    for certificate in (pki.device("matrix-active", "--foreign"), pki.admin("root"), pki.device("matrix-active", "--eku", "server")):
        for version in ("1.2", "1.3"):
            assert http_bytes(enrolling, certificate, row, version, enrolling.enrol_port) == b""
    assert http_bytes(enrolling, None, row, None, enrolling.enrol_port).startswith(b"HTTP/1.1 401 " if row.role == "active-device" else b"HTTP/1.1 ")


@pytest.fixture(scope="module")
def enrolling(servers):
    return servers({"listen": {"enrol": "127.0.0.1:0"}})


def http_bytes(server, certificate, row, version=None, port=None):
    path, body = SHAPES[repr(row)]
    tls = context(server.pki.server_ca, certificate and certificate.cert, certificate and certificate.key, version)
    try:
        with Connection(port or server.device_port, tls, timeout=10) as connection:
            connection.send(head_bytes(row.method, path, [("Connection", "close")] + ([("Content-Length", "2")] if body is not None else [])) + (b"{}" if body is not None else b""))
            return connection.receive_all(10)
    except Closed as closed:
        return closed.received
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError):
        return b""


@pytest.mark.parametrize("row", DEVICE_ROWS, ids=repr)
class TestDeviceRoute:
    @pytest.mark.parametrize("who", ["nobody", "foreign", "expired", "administrator"])
    def test_strangers_see_no_http(self, matrix, row, who):
        pki = matrix.pki
        certificate = {"nobody": lambda: None, "foreign": lambda: pki.device("matrix-active", "--foreign"), "expired": lambda: pki.device("matrix-active", "--expired"),
                       "administrator": lambda: pki.admin("root")}[who]()
        for version in ("1.2", "1.3"):
            assert http_bytes(matrix, certificate, row, version) == b""

    def test_a_token_is_no_device(self, matrix, row):
        """A bearer token beside a device's certificate changes nothing."""
        device = matrix.device("matrix-active", headers=[("Authorization", f"Bearer {matrix.token}")])
        plain = matrix.device("matrix-active")
        assert ask(device, row).status == ask(plain, row).status

    def test_active(self, matrix, row):
        reply = ask(matrix.device("matrix-active"), row)
        assert reply.status not in (401, 405) and reply.status < 500
        assert reply.status != 403 or reply.problem == "not-entitled"

    def test_pending(self, pending, row):
        reply = ask(pending.device("matrix-pending"), row)
        if row.role == "any-device":
            assert reply.status == 200
        else:
            assert reply.status == 403 and reply.problem == "device-pending"

    @pytest.mark.parametrize("state", ["revoked", "retired"])
    def test_out_of_service(self, matrix, out_of_service, row, state):
        data = http_bytes(matrix, matrix.pki.device(f"matrix-{state}"), row)
        assert data == b"" or data.startswith(b"HTTP/1.1 403 "), data[:100]


@pytest.fixture(scope="module")
def pending(servers):
    server = servers({"enrolment": {"auto_accept": "no"}})
    server.device("matrix-pending").get("/whoami")
    return server


@pytest.fixture(scope="module")
def out_of_service(matrix):
    admin = matrix.operator()
    for action, state in (("revoke", "revoked"), ("retire", "retired")):
        with matrix.device(f"matrix-{state}").connect() as connection:
            matrix.device(f"matrix-{state}").get("/whoami", connection=connection)
        admin.ok("POST", f"/api/v1/devices/matrix-{state}/{action}")


def test_device_cannot_use_another_ones_deployment(matrix):
    """Device A on what belongs to B: not its reports, not its image."""
    matrix.device("matrix-a").directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    deployment = matrix.operator().device("matrix-a")["deployment"]
    other = matrix.device("matrix-b")
    assert other.check().status in (200, 204)
    assert other.report(deployment, 1, "downloading").status in (403, 404)
    reply = other.get("/firmware/router/1.1.0/u-boot.bin")
    assert reply.status == 403 and reply.problem == "not-entitled"
    assert other.get("/firmware/router/1.1.0/u-boot.bin.sig").status == 403


def test_no_secret_at_rest(matrix, tokens):
    """The database holds hashes of the secrets alone."""
    connection = sqlite3.connect(f"file:{matrix.database_path}?mode=ro", uri=True)
    text = "\n".join(connection.iterdump())
    connection.close()
    for secret in [*tokens.values(), matrix.token]:
        assert secret.split("_", 2)[2] not in text
