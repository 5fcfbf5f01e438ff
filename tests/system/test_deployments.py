"""What an operator does with one deployment: try again, close whatever the device says."""

import json

import pytest

QUERY = {"product": "router", "hardware": "qemu-arm"}


@pytest.fixture(scope="module")
def held(router):
    """The product offers nothing by itself: every deployment is an operator's."""
    api = router.operator()
    api.ok("PATCH", "/api/v1/products/router", {"policy": "rollout"}, headers=[("If-Match", "*")])
    return router


def failing(server, device_id):
    """The device, and its deployment of 1.1.0 that failed."""
    device, api = server.device(device_id), server.operator()
    device.check(**QUERY)
    made = api.assign(device_id, "1.1.0").json
    assert device.directive(**QUERY)["deployment"] == made["id"]
    assert device.report(made["id"], 1, "failed", error={"code": "E_INSTALL"}).status == 200
    return device, api.ok("GET", f"/api/v1/deployments/{made['id']}")


def test_retry_is_a_new_deployment_and_repeats(held):
    api = held.operator()
    device, failed = failing(held, "again-1")
    assert failed["state"] == "failed" and device.directive(**QUERY)["action"] == "none"
    first = api.ok("POST", f"/api/v1/deployments/{failed['id']}/retry", {"reason": "power is back"})
    assert first["id"] != failed["id"] and (first["device"], first["version"], first["state"]) == ("again-1", "1.1.0", "assigned")
    assert api.ok("POST", f"/api/v1/deployments/{failed['id']}/retry")["id"] == first["id"]
    assert device.directive(**QUERY)["deployment"] == first["id"]
    device.confirm(first["id"], "1.1.0", 2)
    refused = api.post(f"/api/v1/deployments/{first['id']}/retry")
    assert refused.status == 409 and "is confirmed: retry is refused" in refused.json["detail"]
    rows = [row for row in api.pages("/api/v1/audit") if row["object"] == f"deployment:{failed['id']}" and row["action"] == "deployment.retry"]
    assert json.loads(rows[0]["detail"]) == {"reason": "power is back", "deployment": first["id"]}


def test_retry_lifts_the_quarantine(held):
    """Three failures of what the policy offered by itself, and the device is left alone until somebody says: again."""
    api = held.operator()
    api.ok("PATCH", "/api/v1/products/router", {"policy": "latest"}, headers=[("If-Match", "*")])
    device = held.device("again-2")
    for _ in range(3):
        directive = device.directive(**QUERY)
        assert directive["release"]["version"] == "1.1.0"
        assert device.report(directive["deployment"], 1, "failed", error={"code": "E_INSTALL"}).status == 200
    api.ok("PATCH", "/api/v1/products/router", {"policy": "rollout"}, headers=[("If-Match", "*")])
    assert held.query("SELECT held FROM quarantine WHERE device = 'again-2'") == [(1,)]
    made = api.ok("POST", f"/api/v1/deployments/{directive['deployment']}/retry")
    assert held.query("SELECT held FROM quarantine WHERE device = 'again-2'") == []
    refused = api.post(f"/api/v1/deployments/{made['id']}/retry")
    assert refused.status == 409 and "is assigned: retry is refused" in refused.json["detail"]
    assert device.directive(**QUERY)["deployment"] == made["id"]


def test_retry_asks_the_rules_again(held):
    api = held.operator()
    device = held.device("again-3")
    device.check(**QUERY)
    old = api.assign("again-3", "1.0.0").json
    api.ok("POST", f"/api/v1/deployments/{old['id']}/cancel")
    new = api.assign("again-3", "1.1.0").json
    device.directive(**QUERY)
    device.confirm(new["id"], "1.1.0", 2)
    refused = api.post(f"/api/v1/deployments/{old['id']}/retry")
    assert refused.status == 409 and refused.problem == "downgrade-refused"


def test_force_close(held):
    api = held.operator()
    device = held.device("closed-1")
    device.check(**QUERY)
    made = api.assign("closed-1", "1.1.0").json
    assert device.directive(**QUERY)["action"] == "install"
    assert device.report(made["id"], 1, "installing").status == 200
    closed = api.ok("POST", f"/api/v1/deployments/{made['id']}/force-close", {"reason": "the board is gone"})
    assert closed["state"] == "cancelled" and closed["reason"] == "the board is gone" and closed["closed_at"]
    assert api.ok("POST", f"/api/v1/deployments/{made['id']}/force-close", {"reason": "twice"}) == closed
    assert device.directive(**QUERY)["action"] == "none"
    _, failed = failing(held, "closed-2")
    refused = api.post(f"/api/v1/deployments/{failed['id']}/force-close")
    assert refused.status == 409 and "is failed: force-close is refused" in refused.json["detail"]
    assert api.post("/api/v1/deployments/7/force-close").status == 404 == api.post("/api/v1/deployments/7/retry").status


def test_reach_of_a_token(held):
    api = held.operator()
    _, failed = failing(held, "reach-1")
    other = held.operator(api.token_with("rollout:write@gateway", "rollout:read@router"))
    for verb in ("retry", "force-close"):
        refused = other.post(f"/api/v1/deployments/{failed['id']}/{verb}")
        assert refused.status == 403 and refused.problem == "scope" and "rollout:write" in refused.json["detail"]


def test_by_the_command_line(held):
    _, failed = failing(held, "line-1")
    again = json.loads(held.pawl("deployments", "retry", failed["id"], "--reason", "once more", "--json").stdout)
    assert again["state"] == "assigned" and again["id"] != failed["id"]
    closed = held.pawl("deployments", "force-close", again["id"], "--reason", "enough").stdout
    assert "state\tcancelled\n" in closed and "reason\tenough\n" in closed
    assert held.pawl("deployments", "retry", "7", check=False).returncode == 3
