"""The conventions of the administrator's API, held against every row of the route table: a new row that keeps none of them fails here."""

import concurrent.futures
import itertools
import json

import pytest

from lib.routes import dump

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


def fresh_token(server):
    return server.operator().ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})["token"]["id"]


# How each POST that makes or moves something is asked for so that it succeeds: path, body. The others have tests of their own, named here.
STORMS = {
    "POST /api/v1/products": lambda server: ("/api/v1/products", {"id": f"storm-{next(numbers)}"}),
    "POST /api/v1/devices": lambda server: ("/api/v1/devices", {"id": f"storm-new-{next(numbers)}"}),
    "POST /api/v1/devices/{device}/revoke": lambda server: (f"/api/v1/devices/{fresh_device(server)}/revoke", {}),
    "POST /api/v1/devices/{device}/retire": lambda server: (f"/api/v1/devices/{fresh_device(server)}/retire", {}),
    "POST /api/v1/deployments": lambda server: ("/api/v1/deployments", {"device": fresh_device(server), "version": "1.0.0"}),
    "POST /api/v1/deployments/{deployment}/cancel": lambda server: (f"/api/v1/deployments/{fresh_deployment(server)}/cancel", {}),
    "POST /api/v1/tokens": lambda server: ("/api/v1/tokens", {"scopes": ["device:read"]}),
    "POST /api/v1/tokens/{token}/rotate": lambda server: (f"/api/v1/tokens/{fresh_token(server)}/rotate", {}),
}


@pytest.mark.parametrize("name", STORMS)
def test_retry_storm(router, name):
    """Three at once with one key: one effect, one audit row, one reply; then the key with another body is 422."""
    path, body = STORMS[name](router)
    admin = router.operator()
    before = len(admin.pages("/api/v1/audit", 1000))
    headers = [("Idempotency-Key", f"storm-{next(numbers)}")]
    clients = [router.operator(fresh=True) for _ in range(3)]
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        replies = list(pool.map(lambda client: client.post(path, body, headers=headers), clients))
    assert {reply.status for reply in replies} <= {200, 201} and len({reply.status for reply in replies}) == 1, replies
    shown = [reply.json for reply in replies]
    secrets = [reply.pop("secret") for reply in shown if "secret" in reply]
    assert len({json.dumps(reply, sort_keys=True) for reply in shown}) == 1
    assert not secrets or sorted(secret is not None for secret in secrets) == [False, False, True]
    assert len(admin.pages("/api/v1/audit", 1000)) == before + 1
    reply = admin.post(path, {**body, "other": 1}, headers=headers)
    assert reply.status == 422, reply
