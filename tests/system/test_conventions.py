"""The conventions of the administrator's API, held against every row of the route table: a new row that keeps none of them fails here."""

import concurrent.futures
import itertools
import json

import pytest

from lib import tuf
from lib.routes import dump
from lib.wait import wait_for

ROWS = [row for row in dump() if "admin" in row.listeners and row.pattern.startswith("/api/v1/")]
POSTS = [row for row in ROWS if row.method == "POST"]
CHANGES = [row for row in ROWS if row.method in ("PUT", "PATCH", "DELETE")]
GUARDED = ("devices", "products", "rollouts", "webhooks", "tokens", "claims")  # these have an ETag
FREE = {"PUT /api/v1/images/{sha256}"}  # named by its own hash: there is nothing to overwrite


def fill(pattern):
    """A path of the pattern that names nothing."""
    return "/".join("1" if part.startswith("{") else part for part in pattern.split("/"))


def test_every_post_takes_an_idempotency_key(contract):
    assert len(POSTS) > 15
    for row in POSTS:
        assert "idempotent" in row.policy, row
        operation = next(item for template, _, item in contract.templates if template == row.pattern)["post"]
        names = [contract._resolve(parameter)["name"] for parameter in operation.get("parameters", [])]
        assert "Idempotency-Key" in names, row


def test_every_update_asks_for_if_match(contract):
    assert len(CHANGES) > 4
    for row in CHANGES:
        if repr(row) in FREE:
            continue
        assert row.pattern.split("/")[3] in GUARDED, f"{row}: has it an ETag? then add its collection here"
        assert "if-match" in row.policy, row
        operation = next(item for template, _, item in contract.templates if template == row.pattern)[row.method.lower()]
        names = [contract._resolve(parameter)["name"] for parameter in operation.get("parameters", [])]
        assert "If-Match" in names, row


def parameters(contract, row, place):
    item = next(item for template, _, item in contract.templates if template == row.pattern)
    found = [contract._resolve(parameter) for parameter in item.get("parameters", []) + item[row.method.lower()].get("parameters", [])]
    return {parameter["name"] for parameter in found if parameter["in"] == place}


def test_query_parameters_are_those_of_the_contract(contract):
    for row in ROWS:
        assert row.query == parameters(contract, row, "query"), row


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_unknown_query_parameter(router, row):
    """A misspelt one must not turn a rehearsal into the act, or a part into the whole: nothing is done, and it is named."""
    headers = [("If-Match", "*")] if "if-match" in row.policy else []
    body = {"none": None, "json": {}}.get(row.body, b"x")
    reply = router.operator().request(row.method, fill(row.pattern) + "?dryrun=true", body, headers=headers)
    assert reply.status == 400 and [error["field"] for error in reply.json["errors"]] == ["dryrun"], reply


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_nothing_is_for_a_cache(router, row):
    """Answers and refusals alike: some hold a secret, all are one operator's."""
    headers = [("If-Match", "*")] if "if-match" in row.policy else []
    body = {"none": None, "json": {"none-of": "these"}}.get(row.body, b"x")
    path = fill(row.pattern) + ("?after=x" if row.pattern.endswith("/stream") else "")
    assert router.operator().request(row.method, path, body, headers=headers).header("Cache-Control") == "no-store"


@pytest.mark.parametrize("path, body, member", [
    ("devices", {"id": "nameless", "product": "nowhere"}, "product"),
    ("deployments", {"device": "nobody", "version": "1.0.0"}, "device"),
    ("deployments", {"device": "conventions", "version": "7.7.7"}, "version"),
    ("claims", {"product": "nowhere"}, "product"),
    ("rollouts", {"product": "nowhere", "version": "1.0.0"}, "product"),
    ("rollouts", {"product": "router", "version": "7.7.7"}, "version"),
    ("rollouts/preview", {"product": "router", "version": "7.7.7"}, "version"),
])
def test_what_is_not_there_is_named(router, path, body, member):
    """404 of something that the body names says which member of it."""
    router.operator().post("/api/v1/devices", {"id": "conventions", "product": "router", "hardware": "qemu-arm"})
    reply = router.operator().post(f"/api/v1/{path}", body)
    assert reply.status == 404 and [error["field"] for error in reply.json["errors"]] == [member], reply


@pytest.mark.parametrize("row", [row for row in ROWS if row.method == "PATCH"], ids=repr)
def test_empty_patch(router, row, contract):
    """It says what there is to change, and that is what the contract says."""
    api = router.operator()
    api.post("/api/v1/devices", {"id": "conventions", "product": "router", "hardware": "qemu-arm"})
    path = {
        "PATCH /api/v1/devices/{device}": lambda: "/api/v1/devices/conventions",
        "PATCH /api/v1/products/{product}": lambda: "/api/v1/products/router",
        "PATCH /api/v1/rollouts/{rollout}": lambda: f"/api/v1/rollouts/{fresh_rollout(router)}",
        "PATCH /api/v1/webhooks/{webhook}": lambda: f"/api/v1/webhooks/{fresh_webhook(router)}",
    }[repr(row)]()
    reply = api.patch(path, {}, headers=[("If-Match", "*")])
    assert reply.status == 400 and "nothing to change" in reply.json["detail"], reply
    operation = next(item for template, _, item in contract.templates if template == row.pattern)["patch"]
    schema = contract._resolve(operation["requestBody"]["content"]["application/json"]["schema"])
    names = reply.json["detail"].split("give ")[1].replace(" or ", ", ").split(", ")
    assert set(names) == set(schema["properties"]) and schema["minProperties"] == 1


LISTS = [row for row in ROWS if "cursor" in row.query]


def test_every_list_is_a_page_or_lines(contract):
    assert len(LISTS) > 12
    for row in LISTS:
        operation = next(item for template, _, item in contract.templates if template == row.pattern)["get"]
        content = operation["responses"]["200"]["content"]
        page, line = (content[media]["schema"]["$ref"] for media in ("application/json", "application/x-ndjson"))
        assert contract._resolve({"$ref": page})["properties"]["items"]["items"]["$ref"] == line, row


@pytest.mark.parametrize("row", [row for row in LISTS if "{" not in row.pattern], ids=repr)
def test_list_as_lines(router, row):
    reply = router.operator().get(row.pattern, headers=[("Accept", "application/x-ndjson")])
    assert reply.status == 200 and reply.header("Content-Type") == "application/x-ndjson"


def test_what_always_may_come_is_in_the_contract(contract):
    """A generated client is to know what it must be ready for: nothing there, changed since, no If-Match."""
    for row in ROWS:
        operation = next(item for template, _, item in contract.templates if template == row.pattern)[row.method.lower()]
        wanted = {"404"} if "{" in row.pattern and repr(row) not in FREE else set()
        wanted |= {"412", "428"} if "if-match" in row.policy else set()
        assert wanted <= set(operation["responses"]), row


def test_every_action_takes_a_reason(contract):
    """Whoever posts {"reason": …} to whatever is done to a thing need not look up whether it is taken there."""
    for row in POSTS:
        if row.pattern.endswith("}") or not row.pattern.rsplit("/", 2)[1].startswith("{"):
            continue
        item = next(item for template, _, item in contract.templates if template == row.pattern)["post"]
        schema = contract._resolve(item["requestBody"]["content"]["application/json"]["schema"])
        assert "reason" in schema["properties"], row


@pytest.mark.parametrize("row", [row for row in CHANGES if "if-match" in row.policy], ids=repr)
def test_without_if_match(router, row):
    """428 before anything else is looked at."""
    reply = router.operator().request(row.method, fill(row.pattern), {} if row.method != "DELETE" else None)
    assert reply.status == 428, reply


@pytest.mark.parametrize("row", POSTS, ids=repr)
@pytest.mark.parametrize("key", ["x" * 300, ""], ids=["long", "empty"])
def test_bad_key(router, row, key):
    reply = router.operator().post(fill(row.pattern), {} if row.body == "json" else None, headers=[("Idempotency-Key", key)])
    assert reply.status == 400 and "Idempotency-Key" in reply.json["detail"], reply


numbers = itertools.count(1)


def fresh_device(server):
    name = f"storm-{next(numbers)}"
    server.device(name).check(product="router", hardware="qemu-arm")
    return name


def fresh_deployment(server):
    name = f"storm-{next(numbers)}"
    server.device(name).directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    return server.operator().device(name)["deployment"]


def failed_deployment(server):
    number = fresh_deployment(server)
    device = server.operator().ok("GET", f"/api/v1/deployments/{number}")["device"]
    assert server.device(device).report(number, 1, "failed", error={"code": "E_INSTALL"}).status == 200
    return number


def fresh_rollout(server, **plan):
    """A draft for one device, which the product's policy has served already."""
    plan = {"product": "router", "version": "1.1.0", "ids": [fresh_device(server)], **plan}
    return server.operator().ok("POST", "/api/v1/rollouts", plan)["id"]


def moved_rollout(server, *verbs):
    number = fresh_rollout(server)
    for verb in verbs:
        server.operator().ok("POST", f"/api/v1/rollouts/{number}/{verb}", {})
        wait_for(lambda: not server.operator().ok("GET", f"/api/v1/rollouts/{number}")["state"] == "scheduled")
    return number


def fresh_webhook(server):
    return server.operator().ok("POST", "/api/v1/webhooks", WEBHOOK)["webhook"]["id"]


def fresh_release(server):
    """The next release as files; its image is uploaded. The path, and what is posted there."""
    repository = tuf.Repository(server.device("storm-reader"), server.keys, server.passphrase_file.read_text(encoding="utf-8").rstrip("\n"))
    repository.refresh()
    draft, image = repository.next(), f"storm {next(numbers)}".encode()
    assert server.operator().upload(image).status == 201
    draft.add(image, "router", f"9.{next(numbers)}.0")
    return "/api/v1/releases", {name: tuf.b64(data) for name, data in draft.files().items()}


def released(server):
    path, body = fresh_release(server)
    release = server.operator().ok("POST", path, body)["releases"][-1]
    return f"/api/v1/releases/{release['product']}/{release['version']}"


def renewed(server):
    repository = tuf.Repository(server.device("storm-reader"), server.keys, server.passphrase_file.read_text(encoding="utf-8").rstrip("\n"))
    repository.refresh()
    return "/api/v1/metadata", {name: tuf.b64(data) for name, data in repository.next().files().items()}


def fresh_token(server):
    return server.operator().ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})["token"]["id"]


WEBHOOK = {"url": "https://example.com/", "product": "nobody", "kinds": ["revoked"]}

# How each POST is asked for so that it succeeds: path, body.
STORMS = {
    "POST /api/v1/products": lambda server: ("/api/v1/products", {"id": f"storm-{next(numbers)}"}),
    "POST /api/v1/devices": lambda server: ("/api/v1/devices", {"id": f"storm-new-{next(numbers)}"}),
    "POST /api/v1/devices/{device}/revoke": lambda server: (f"/api/v1/devices/{fresh_device(server)}/revoke", {}),
    "POST /api/v1/devices/{device}/retire": lambda server: (f"/api/v1/devices/{fresh_device(server)}/retire", {}),
    "POST /api/v1/deployments": lambda server: ("/api/v1/deployments", {"device": fresh_device(server), "version": "1.0.0"}),
    "POST /api/v1/deployments/{deployment}/cancel": lambda server: (f"/api/v1/deployments/{fresh_deployment(server)}/cancel", {}),
    "POST /api/v1/tokens": lambda server: ("/api/v1/tokens", {"scopes": ["device:read"]}),
    "POST /api/v1/tokens/{token}/rotate": lambda server: (f"/api/v1/tokens/{fresh_token(server)}/rotate", {}),
    "POST /api/v1/deployments/{deployment}/retry": lambda server: (f"/api/v1/deployments/{failed_deployment(server)}/retry", {}),
    "POST /api/v1/deployments/{deployment}/force-close": lambda server: (f"/api/v1/deployments/{fresh_deployment(server)}/force-close", {}),
    "POST /api/v1/devices/{device}/ddi/ask": lambda server: (f"/api/v1/devices/{fresh_device(server)}/ddi/ask", {}),
    "POST /api/v1/devices/{device}/ddi/token": lambda server: (f"/api/v1/devices/{fresh_device(server)}/ddi/token", {}),
    "POST /api/v1/claims": lambda server: ("/api/v1/claims", {"product": "router", "note": f"storm {next(numbers)}"}),
    "POST /api/v1/webhooks": lambda server: ("/api/v1/webhooks", WEBHOOK),
    "POST /api/v1/webhooks/{webhook}/rotate": lambda server: (f"/api/v1/webhooks/{fresh_webhook(server)}/rotate", None),
    "POST /api/v1/releases": fresh_release,
    "POST /api/v1/releases/{product}/{version}/withdraw": lambda server: (f"{released(server)}/withdraw", {}),
    "POST /api/v1/metadata": renewed,
    "POST /api/v1/rollouts": lambda server: ("/api/v1/rollouts", {"product": "router", "version": "1.1.0", "ids": [f"storm-id-{next(numbers)}"]}),
    "POST /api/v1/rollouts/preview": lambda server: ("/api/v1/rollouts/preview", {"product": "router", "version": "1.1.0"}),
    "POST /api/v1/rollouts/{rollout}/start": lambda server: (f"/api/v1/rollouts/{fresh_rollout(server)}/start", {}),
    "POST /api/v1/rollouts/{rollout}/pause": lambda server: (f"/api/v1/rollouts/{moved_rollout(server, 'start')}/pause", {}),
    "POST /api/v1/rollouts/{rollout}/resume": lambda server: (f"/api/v1/rollouts/{moved_rollout(server, 'start', 'pause')}/resume", {}),
    "POST /api/v1/rollouts/{rollout}/retry": lambda server: (f"/api/v1/rollouts/{moved_rollout(server, 'start', 'pause')}/retry", {}),
    "POST /api/v1/rollouts/{rollout}/stop": lambda server: (f"/api/v1/rollouts/{moved_rollout(server, 'start')}/stop", {}),
}
# Those that need another server than this one.
ELSEWHERE = {
    "POST /api/v1/backups": "test_backup_storm",
    "POST /api/v1/devices/import": "test_import.py",
    "POST /api/v1/devices/{device}/accept": "test_accept_storm",
    "POST /api/v1/devices/{device}/ddi/token/revoke": "test_ddi_tokens.py",
    "POST /api/v1/certificates/{serial}/revoke": "test_enrol.py",
    "POST /api/v1/rollouts/{rollout}/approve": "test_approval_storm",
    "POST /api/v1/webhooks/{webhook}/test": "test_webhooks.py",
    "POST /api/v1/webhooks/{webhook}/deliveries/{event}/retry": "test_webhooks.py",
}


def test_every_post_has_its_storm():
    assert set(STORMS) | set(ELSEWHERE) == {repr(row) for row in POSTS} and not set(STORMS) & set(ELSEWHERE)


def storm(admin, clients, path, body, changes=1):
    """Three at once with one key: one effect, one audit row, one reply; then the key with another body is 422."""
    before = len(admin.pages("/api/v1/audit", 1000))
    headers = [("Idempotency-Key", f"storm-{next(numbers)}")]
    with concurrent.futures.ThreadPoolExecutor(len(clients)) as pool:
        replies = list(pool.map(lambda client: client.post(path, body, headers=headers), clients))
    assert {reply.status for reply in replies} <= {200, 201, 202} and len({reply.status for reply in replies}) == 1, replies
    shown = [reply.json for reply in replies]
    secrets = [reply.pop("secret") for reply in shown if "secret" in reply]
    assert len({json.dumps(reply, sort_keys=True) for reply in shown}) == 1
    assert not secrets or sorted(secret is not None for secret in secrets) == [False, False, True]
    assert len(admin.pages("/api/v1/audit", 1000)) == before + changes
    if body is not None:
        reply = clients[0].post(path, {**body, "other": 1}, headers=headers)
        assert reply.status == 422, reply


@pytest.mark.parametrize("name", STORMS)
def test_retry_storm(router, name):
    path, body = STORMS[name](router)
    storm(router.operator(), [router.operator(fresh=True) for _ in range(3)], path, body, changes=0 if name.endswith("/preview") else 1)


def test_accept_storm(new_server):
    server = new_server({"enrolment": {"auto_accept": "no"}})
    server.device("storm-pending").get("/whoami")
    storm(server.operator(), [server.operator(fresh=True) for _ in range(3)], "/api/v1/devices/storm-pending/accept", {})


def test_backup_storm(new_server, tmp_path):
    server = new_server({"store": {"backups": tmp_path / "backups"}})
    storm(server.operator(), [server.operator(fresh=True) for _ in range(3)], "/api/v1/backups", {})
    wait_for(lambda: [item["state"] for item in server.operator().ok("GET", "/api/v1/backups")["items"]] == ["done"])


def test_approval_storm(router):
    """By another token than the one that planned it, and than all that come from that one."""
    admin = router.operator()
    planner = router.operator(admin.token_with("rollout:write"))
    number = planner.ok("POST", "/api/v1/rollouts", {"product": "router", "version": "1.1.0", "ids": [fresh_device(router)]})["id"]
    storm(admin, [router.operator(fresh=True) for _ in range(3)], f"/api/v1/rollouts/{number}/approve", {})
