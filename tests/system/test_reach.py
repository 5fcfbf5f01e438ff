"""A token that is limited to products: what it may not read does not exist for it, in the very words, whatever is asked of it."""

import pytest

from lib.routes import dump

KINDS = ("device", "deployment", "rollout", "claim")
ROWS = [row for row in dump() if "admin" in row.listeners and any(f"{{{kind}}}" in row.pattern for kind in KINDS)]


@pytest.fixture(scope="module")
def there(router):
    """One thing of each kind, of product "router"; and how things that are not there would be called."""
    api = router.operator()
    router.device("reach-router").directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    deployment = api.device("reach-router")["deployment"]
    rollout = api.ok("POST", "/api/v1/rollouts", {"product": "router", "version": "1.1.0", "ids": ["reach-router"]})["id"]
    claim = api.ok("POST", "/api/v1/claims", {"device": "reach-router"})["claim"]["id"]
    return {"device": "reach-router", "deployment": deployment, "rollout": rollout, "claim": claim}


@pytest.fixture(scope="module")
def stranger(router):
    """Everything, of another product."""
    api = router.operator()
    api.post("/api/v1/products", {"id": "lamp"})
    scopes = ("device:read", "device:write", "rollout:read", "rollout:write", "rollout:approve", "release:read", "release:publish")
    return router.operator(api.token_with(*(f"{scope}@lamp" for scope in scopes)))


def ask(operator, row, kind, name):
    """The answer, without what differs from request to request, and with one name for whatever was asked for."""
    headers = [("If-Match", "*")] if "if-match" in row.policy else []
    path = row.pattern.replace(f"{{{kind}}}", name)
    reply = operator.request(row.method, path, {} if row.body == "json" else None, headers=headers)
    problem = reply.json
    problem.pop("request_id")
    return reply.status, {key: str(value).replace(name, "NAME") for key, value in problem.items()}


@pytest.mark.parametrize("row", ROWS, ids=repr)
def test_not_there_and_not_yours_are_one(stranger, there, row):
    kind = next(kind for kind in KINDS if f"{{{kind}}}" in row.pattern)
    nothing = {"device": "reach-nobody", "claim": "0" * 12}.get(kind, "424242")
    answer = ask(stranger, row, kind, there[kind])
    assert answer == ask(stranger, row, kind, nothing) and answer[0] == 404


def test_products_are_its_own(router, stranger):
    assert [item["id"] for item in stranger.ok("GET", "/api/v1/products")["items"]] == ["lamp"]
    assert {"lamp", "router"} <= {item["id"] for item in router.operator().pages("/api/v1/products", limit=1)}
    assert [item["id"] for item in stranger.pages("/api/v1/products", limit=1)] == ["lamp"]


def test_a_list_says_what_it_wants(stranger):
    reply = stranger.get("/api/v1/devices")
    assert reply.status == 403 and "product=" in reply.json["detail"]


def test_one_spelling_of_a_number(router, there):
    """Another would be refused in other words than what is not there."""
    for path in (f"deployments/0{there['deployment']}", f"rollouts/0{there['rollout']}"):
        assert router.operator().get(f"/api/v1/{path}").status == 404


def test_named_in_a_body(stranger, there):
    """The same where a device is named in what is sent; and whose it is stays untold."""
    for path, body in (("deployments", {"version": "1.1.0"}), ("claims", {})):
        replies = [stranger.post(f"/api/v1/{path}", {"device": name, **body}) for name in (there["device"], "reach-nobody")]
        assert {reply.status for reply in replies} == ({404} if path == "deployments" else {403})
        assert len({reply.json["detail"].replace(there["device"], "reach-nobody") for reply in replies}) == 1, replies
    preview = stranger.post("/api/v1/rollouts/preview", {"product": "lamp", "version": "1.0.0", "ids": [there["device"], "reach-nobody"]})
    assert preview.status == 404 and preview.json["errors"][0]["field"] == "version"
    for row in ('{"id": "reach-router", "product": "lamp"}', '{"id": "reach-router", "tags": []}'):
        reply = stranger.post("/api/v1/devices/import", row.encode(), headers=[("Content-Type", "application/x-ndjson")])
        assert reply.status == 403 and "router'" not in reply.json["detail"].replace("reach-router", ""), reply
