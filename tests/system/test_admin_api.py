"""The administrator's API: every resource, every convention, every kind of bad input (fleet.md §4)."""

import json
import threading

import pytest

from lib import firmware
from lib.wait import wait_for
from lib.wire import Client, context

HARDWARE = "qemu-arm"


@pytest.fixture(scope="module")
def fleet(router):
    """Three devices that have been seen, beside the two releases of "router"."""
    for number in range(3):
        router.device(f"fleet-{number}").check(product="router", hardware=HARDWARE, version="1.0.0", sequence=1)
    return router


@pytest.fixture(scope="module")
def api(fleet):
    return fleet.operator()


def etag_of(api, path):
    reply = api.get(path)
    assert reply.status == 200
    return reply.header("ETag")


# ---- resources


def test_whoami(api):
    me = api.ok("GET", "/api/v1/whoami")
    assert me["actor"].startswith("token:") and "token:admin" in me["scopes"]


def test_products(api):
    made = api.post("/api/v1/products", {"id": "thermostat", "policy": "rollout"})
    assert made.status == 201 and made.json["policy"] == "rollout"
    assert made.header("Location") == "/api/v1/products/thermostat"
    assert api.post("/api/v1/products", {"id": "thermostat"}).status == 409
    assert api.post("/api/v1/products", {"id": "plain"}).json["policy"] == "latest"
    tag = etag_of(api, "/api/v1/products/thermostat")
    assert tag == made.header("ETag")
    changed = api.patch("/api/v1/products/thermostat", {"policy": "latest"}, headers=[("If-Match", tag)])
    assert changed.status == 200 and changed.json["policy"] == "latest" and changed.header("ETag") != tag
    again = [("If-Match", changed.header("ETag"))]
    assert api.patch("/api/v1/products/thermostat", {}, headers=again).status == 400
    told = api.patch("/api/v1/products/thermostat", {"description": "on the wall"}, headers=again).json
    assert told["description"] == "on the wall" and told["policy"] == "latest"
    assert "thermostat" in [item["id"] for item in api.pages("/api/v1/products")]
    assert api.get("/api/v1/products/nothing").status == 404


def test_releases(api):
    releases = api.pages("/api/v1/releases?product=router")
    assert [(r["version"], r["sequence"]) for r in releases] == [("1.1.0", 2), ("1.0.0", 1)]
    one = api.ok("GET", "/api/v1/releases/router/1.0.0")
    assert one == releases[1] and one["hardware"] == [HARDWARE] and one["signature"] is True and one["encryption"] == "none"
    assert api.get("/api/v1/releases/router/9.9.9").status == 404
    assert api.get("/api/v1/releases/nothing/1.0.0").status == 404
    assert api.pages("/api/v1/releases?product=nothing") == []


def test_withdrawal(fleet, api):
    fleet.publish(firmware.UBOOT_ARM, "recalled", "1.0.0", (HARDWARE,))
    path = "/api/v1/releases/recalled/1.0.0"
    assert api.ok("GET", path)["withdrawn_at"] is None
    gone = api.post(f"{path}/withdraw", {"reason": "bricks"})
    assert gone.status == 200 and gone.json["withdrawn_at"]
    assert api.post(f"{path}/withdraw", {}).json["withdrawn_at"] == gone.json["withdrawn_at"]
    assert api.post("/api/v1/releases/recalled/9.9.9/withdraw", {}).status == 404


def test_images(api):
    import hashlib

    data = b"not published, only stored"
    digest = hashlib.sha256(data).hexdigest()
    assert api.get(f"/api/v1/images/{digest}").status == 404
    assert api.upload(data).status == 201
    again = api.upload(data)
    assert again.status == 200
    assert again.json == api.ok("GET", f"/api/v1/images/{digest}")
    assert again.json["size_bytes"] == len(data)
    assert again.json["sha1"] == hashlib.sha1(data).hexdigest() and again.json["md5"] == hashlib.md5(data).hexdigest()


def test_image_with_another_hash(fleet, api):
    before = fleet.image_files()
    reply = api.upload(b"these bytes", sha256="ab" * 32)
    assert reply.status == 422 and reply.problem == "hash"
    assert fleet.image_files() == before
    assert api.get("/api/v1/images/" + "ab" * 32).status == 404
    assert api.put("/api/v1/images/" + "AB" * 32, b"x").status in (400, 404)
    assert api.put("/api/v1/images/short", b"x").status in (400, 404)


def test_image_needs_a_length(api):
    with api.connect() as connection:
        reply = api.request("PUT", "/api/v1/images/" + "ab" * 32, None, headers=[("Content-Length", None)], connection=connection)
    assert reply.status == 411 and reply.problem == "length-required"


def test_devices(fleet, api):
    made = api.post("/api/v1/devices", {"id": "planned-1", "product": "router", "hardware": HARDWARE, "tags": ["lab", "north"], "spki_sha256": "0f" * 32})
    assert made.status == 201 and made.json["state"] == "active" and made.json["pins"] == ["0f" * 32] and made.json["first_seen"] is None
    assert made.header("Location") == "/api/v1/devices/planned-1"
    assert api.post("/api/v1/devices", {"id": "planned-1"}).status == 409
    assert api.device("planned-1") == made.json
    seen = api.device("fleet-0")
    assert seen["state"] == "active" and seen["product"] == "router" and seen["hardware"] == HARDWARE
    assert seen["pins"] == [fleet.pki.device("fleet-0").spki_sha256]
    ids = [item["id"] for item in api.pages("/api/v1/devices")]
    assert ids == sorted(ids) and {"planned-1", "fleet-0", "fleet-1", "fleet-2"} <= set(ids)
    assert api.get("/api/v1/devices/nobody").status == 404
    # A registered device is pinned: another key than the planned one is refused.
    reply = fleet.device("planned-1").check()
    assert reply.status == 403 and reply.problem == "identity"


def test_device_filters(api):
    api.post("/api/v1/products", {"id": "lamp"})
    api.ok("POST", "/api/v1/devices", {"id": "filter-1", "product": "lamp", "hardware": "bulb-1", "tags": ["blue"]})
    for query, expected in [("product=lamp", ["filter-1"]), ("hardware=bulb-1", ["filter-1"]), ("tag=blue", ["filter-1"]), ("tag=blu", []),
                            ("product=lamp&tag=green", []), ("product=lamp&state=active", ["filter-1"]), ("product=lamp&state=revoked", [])]:
        assert [item["id"] for item in api.pages("/api/v1/devices?" + query)] == expected, query
    assert api.get("/api/v1/devices?state=asleep").status == 400


def test_device_tags(api):
    path = "/api/v1/devices/fleet-0"
    tag = etag_of(api, path)
    reply = api.put(path + "/tags", {"tags": ["canary"]}, headers=[("If-Match", tag)])
    assert reply.status == 200 and reply.json["tags"] == ["canary"] and reply.header("ETag") not in (None, tag)
    assert api.device("fleet-0")["tags"] == ["canary"]
    reply = api.put(path + "/tags", {"tags": ["late"]}, headers=[("If-Match", tag)])
    assert reply.status == 412 and reply.problem == "precondition"
    assert api.device("fleet-0")["tags"] == ["canary"]


def test_device_states(api):
    api.ok("POST", "/api/v1/devices", {"id": "life-1"})
    assert api.post("/api/v1/devices/life-1/accept").status == 409  # not pending
    assert api.ok("POST", "/api/v1/devices/life-1/revoke", {"reason": "sold"})["state"] == "revoked"
    assert api.post("/api/v1/devices/life-1/accept").status == 409
    api.ok("POST", "/api/v1/devices", {"id": "life-2"})
    assert api.ok("POST", "/api/v1/devices/life-2/retire")["state"] == "retired"
    for action in ("accept", "revoke", "retire"):
        assert api.post(f"/api/v1/devices/nobody/{action}").status == 404


def test_deployments(fleet, api):
    made = api.assign("fleet-1", "1.1.0")
    assert made.status == 201
    deployment = made.json
    assert deployment["state"] == "assigned" and deployment["origin"] == "manual" and deployment["device"] == "fleet-1" and deployment["sequence"] == 2
    assert made.header("Location") == f"/api/v1/deployments/{deployment['id']}"
    assert api.ok("GET", f"/api/v1/deployments/{deployment['id']}") == deployment
    assert api.device("fleet-1")["deployment"] == deployment["id"]
    assert fleet.device("fleet-1").directive()["deployment"] == deployment["id"]
    assert api.ok("GET", f"/api/v1/deployments/{deployment['id']}")["state"] == "offered"
    second = api.assign("fleet-1", "1.1.0").json
    assert api.ok("GET", f"/api/v1/deployments/{deployment['id']}")["state"] == "superseded"
    cancelled = api.ok("POST", f"/api/v1/deployments/{second['id']}/cancel", {"reason": "changed our mind"})
    assert cancelled["state"] == "cancelled" and cancelled["reason"] == "changed our mind"
    assert api.post(f"/api/v1/deployments/{second['id']}/cancel").status == 409
    listed = api.pages("/api/v1/deployments?device=fleet-1")
    assert [item["id"] for item in listed[:2]] == [second["id"], deployment["id"]]
    assert api.get("/api/v1/deployments/nothing").status == 404
    assert api.post("/api/v1/deployments/nothing/cancel").status == 404
    assert {item["state"] for item in api.pages("/api/v1/deployments?product=router&state=cancelled")} == {"cancelled"}


@pytest.mark.parametrize("body, status, problem", [
    ({"device": "nobody", "version": "1.1.0"}, 404, "not-found"),
    ({"device": "fleet-2", "version": "7.7.7"}, 404, "not-found"),
    ({"device": "fleet-2", "version": "1.1.0", "product": "nothing"}, 404, "not-found"),
])
def test_assignment_of_what_is_not_there(api, body, status, problem):
    reply = api.post("/api/v1/deployments", body)
    assert (reply.status, reply.problem) == (status, problem)


def test_assignment_to_other_hardware(api):
    api.ok("POST", "/api/v1/devices", {"id": "wrong-board", "product": "router", "hardware": "other"})
    reply = api.assign("wrong-board", "1.1.0")
    assert reply.status == 409 and reply.problem == "hardware"


def test_assignment_to_revoked(api):
    api.ok("POST", "/api/v1/devices", {"id": "gone-1", "product": "router", "hardware": HARDWARE})
    api.ok("POST", "/api/v1/devices/gone-1/revoke")
    assert api.assign("gone-1", "1.1.0").status == 409


def test_tokens(fleet, api):
    made = api.post("/api/v1/tokens", {"name": "for the shop floor", "scopes": ["device:read", "release:read@router"], "expires_in_s": 3600})
    assert made.status == 201
    secret, token = made.json["secret"], made.json["token"]
    assert secret.startswith(f"pawl_{token['id']}_") and len(secret.rsplit("_", 1)[0]) and token["scopes"] == ["device:read", "release:read@router"]
    path = f"/api/v1/tokens/{token['id']}"
    assert made.header("Location") == path
    other = fleet.operator(secret)
    me = other.ok("GET", "/api/v1/whoami")
    assert me["token"] == token["id"] and me["name"] == "for the shop floor"
    assert token["id"] in [item["id"] for item in api.pages("/api/v1/tokens")]
    assert secret not in api.get("/api/v1/tokens").body.decode() and secret not in api.get(path).body.decode()
    assert api.delete(path, headers=[("If-Match", etag_of(api, path))]).status == 204
    assert other.get("/api/v1/whoami").status == 401
    assert api.ok("GET", path)["revoked_at"]


def test_token_cannot_give_more_than_it_has(fleet, api):
    weak = fleet.operator(api.token_with("token:admin", "device:read", "release:publish@router"))
    assert weak.post("/api/v1/tokens", {"scopes": ["device:write"]}).status == 403
    assert weak.post("/api/v1/tokens", {"scopes": ["release:publish"]}).status == 403
    assert weak.post("/api/v1/tokens", {"scopes": ["release:publish@lamp"]}).status == 403
    assert weak.post("/api/v1/tokens", {"scopes": ["device:read@router", "release:publish@router"]}).status == 201


def test_token_of_one_product(fleet, api):
    """Scope and object are judged pair by pair, never as a union."""
    api.post("/api/v1/products", {"id": "lamp"})
    api.post("/api/v1/devices", {"id": "lamp-1", "product": "lamp", "hardware": "bulb-1"})
    limited = fleet.operator(api.token_with("device:read@router", "release:read@lamp"))
    assert limited.get("/api/v1/devices?product=router").status == 200
    assert limited.get("/api/v1/devices?product=lamp").status == 403
    assert limited.get("/api/v1/devices").status == 403
    assert limited.get("/api/v1/devices/fleet-0").status == 200
    assert limited.get("/api/v1/devices/lamp-1").status in (403, 404)
    assert limited.get("/api/v1/releases?product=lamp").status == 200
    assert limited.get("/api/v1/releases?product=router").status == 403
    assert limited.get("/api/v1/releases/router/1.0.0").status in (403, 404)


def test_events(fleet, api):
    twin = fleet.device(certificate=fleet.pki.device("fleet-2", "--new-key"))
    twin.check()
    events = api.events(device="fleet-2", kind="clone-suspected")
    assert events and events[0]["device"] == "fleet-2"
    for path in ("/api/v1/events", "/api/v1/events/stream"):
        reply = api.get(f"{path}?kind=no-such-kind")
        assert reply.status == 400 and reply.json["errors"][0]["field"] == "kind"
    sequence = [int(event["id"]) for event in api.events()]
    assert sequence == sorted(sequence, reverse=True)


def test_two_places_with_one_identity(fleet, api):
    """The right key from two addresses in alternation: one event, nothing refused. A device that moves once is no clone."""
    places = [fleet.device("roamer-1", source=source) for source in ("127.0.0.1", "127.0.0.2")]
    for place in places[0], places[0], places[1], places[1]:
        assert place.check().status in (200, 204)
    assert api.events(device="roamer-1", kind="clone-suspected") == []
    for _ in range(4):
        for place in places:
            assert place.check().status in (200, 204)
    events = api.events(device="roamer-1", kind="clone-suspected")
    assert len(events) == 1 and events[0]["detail"]["reason"] == "alternating-addresses" and events[0]["detail"]["address"] in ("127.0.0.1", "127.0.0.2")
    assert api.device("roamer-1")["state"] == "active"


def test_identity_mismatch_changes_nothing(fleet, api):
    """A first report fills the empty fields; a later difference is an event and no change."""
    device = fleet.device("mover-1")
    device.check(product="router", hardware=HARDWARE)
    device.check(product="lamp", hardware="bulb-1")
    known = api.device("mover-1")
    assert (known["product"], known["hardware"]) == ("router", HARDWARE)
    assert [event for event in api.events(device="mover-1") if event["kind"] == "identity-mismatch"]


def patch(api, device, body):
    return api.patch(f"/api/v1/devices/{device}", body, headers=[("If-Match", "*")])


def test_administrator_settles_a_mismatch(fleet, api):
    """What the registry says is changed by an administrator alone; then the device and the registry agree, and a new difference is a new event."""
    device = fleet.device("settled-1")
    api.post("/api/v1/products", {"id": "lamp"})
    device.check(product="router", hardware="board-7")
    device.check(product="lamp", hardware="bulb-1")
    assert len(api.events(device="settled-1", kind="identity-mismatch")) == 1
    reply = patch(api, "settled-1", {"product": "lamp", "hardware": "bulb-1"})
    assert reply.status == 200 and (reply.json["product"], reply.json["hardware"]) == ("lamp", "bulb-1")
    row = next(row for row in api.pages("/api/v1/audit") if row["request_id"] == reply.header("X-Request-Id"))
    assert row["action"] == "device.update" and row["object"] == "device:settled-1" and json.loads(row["detail"]) == {"product": "lamp", "hardware": "bulb-1"}
    assert device.check(product="lamp", hardware="bulb-1", nonce=False).status == 204
    assert len(api.events(device="settled-1", kind="identity-mismatch")) == 1


def test_patch_keeps_what_is_left_out(api):
    api.ok("POST", "/api/v1/devices", {"id": "patched-1", "product": "router", "hardware": HARDWARE, "tags": ["north"]})
    assert patch(api, "patched-1", {"attributes": {"site": "Kiel", "room": "7"}}).status == 200
    assert patch(api, "patched-1", {"attributes": {"room": None, "rack": "\u00e4 \"2\""}}).json["attributes"] == {"site": "Kiel", "rack": "\u00e4 \"2\""}
    one = patch(api, "patched-1", {"tags": []}).json
    assert one["tags"] == [] and one["product"] == "router" and one["attributes"] == {"site": "Kiel", "rack": "\u00e4 \"2\""}
    assert patch(api, "patched-1", {"hardware": "board-9"}).json["hardware"] == "board-9"
    assert patch(api, "nobody", {"hardware": "board-9"}).status == 404


def test_a_device_with_a_history_keeps_its_product(fleet, api):
    device = fleet.device("historic-1")
    deployment = device.directive(product="router", hardware=HARDWARE)["deployment"]
    reply = patch(api, "historic-1", {"product": "lamp"})
    assert reply.status == 409 and "open deployment" in reply.json["detail"]
    device.confirm(deployment, "1.1.0", 2)
    assert patch(api, "historic-1", {"product": "lamp"}).status == 409
    assert api.device("historic-1")["product"] == "router"


@pytest.mark.parametrize("body, field", [
    ({}, None), ({"product": None}, "product"), ({"product": "a/b"}, "product"), ({"hardware": ""}, "hardware"), ({"hardware": 7}, "hardware"),
    ({"attributes": None}, "attributes"), ({"attributes": []}, "attributes"), ({"attributes": {"a": 1}}, "attributes.a"), ({"attributes": {"a": {}}}, "attributes.a"),
    ({"attributes": {"": "x"}}, "attributes"), ({"attributes": {"n" * 65: "x"}}, "attributes"), ({"attributes": {"a": "x" * 257}}, "attributes"),
    ({"attributes": {f"a{n}": "x" for n in range(101)}}, "attributes"), ({"attributes": {f"a{n}": "x" * 250 for n in range(40)}}, "attributes"),
    ({"tags": None}, "tags"), ({"tags": ["a b"]}, "tags"), ({"state": "active"}, "state"), ({"pins": []}, "pins"),
])
def test_bad_patches(api, body, field):
    before = api.device("fleet-2")
    reply = patch(api, "fleet-2", body)
    assert reply.status == 400, reply
    assert [error["field"] for error in reply.json.get("errors", [])] == ([field] if field else [])
    assert api.device("fleet-2") == before


def test_patch_of_an_unknown_product(api):
    api.ok("POST", "/api/v1/devices", {"id": "lost-1", "product": "router"})
    assert patch(api, "lost-1", {"product": "no-such-product"}).status == 404


def test_patch_needs_the_scope_for_both_products(fleet, api):
    api.post("/api/v1/products", {"id": "lamp"})
    api.ok("POST", "/api/v1/devices", {"id": "moved-1", "product": "router"})
    one = fleet.operator(api.token_with("device:write@router"))
    assert patch(one, "moved-1", {"product": "lamp"}).status == 403
    both = fleet.operator(api.token_with("device:write@router", "device:write@lamp"))
    assert patch(both, "moved-1", {"product": "lamp"}).status == 200
    assert patch(one, "moved-1", {"tags": ["x"]}).status == 404


def test_audit_is_a_chain(api):
    reply = api.post("/api/v1/products", {"id": "audited"})
    assert reply.status == 201
    rows = api.pages("/api/v1/audit")
    assert [row["seq"] for row in rows] == list(range(rows[0]["seq"], rows[0]["seq"] + len(rows)))
    assert all(later["prev_hash"] == earlier["hash"] for earlier, later in zip(rows, rows[1:]))
    mine = [row for row in rows if row["request_id"] == reply.header("X-Request-Id")]
    assert len(mine) == 1 and mine[0]["actor"].startswith("token:") and "audited" in mine[0]["object"]


def test_audit_cannot_be_changed(fleet):
    import sqlite3

    connection = sqlite3.connect(fleet.database_path, timeout=10)
    try:
        for statement in ("UPDATE audit SET actor = 'nobody'", "DELETE FROM audit"):
            with pytest.raises(sqlite3.Error):
                connection.execute(statement)
            connection.rollback()
    finally:
        connection.close()


def test_metadata(api):
    roles = {role["role"]: role for role in api.ok("GET", "/api/v1/metadata")["roles"]}
    assert {"root", "timestamp", "snapshot", "targets"} <= set(roles)
    reply = api.get("/api/v1/metadata/timestamp.json")
    assert reply.status == 200 and reply.json["signed"]["version"] == roles["timestamp"]["version"]
    assert api.get("/api/v1/metadata/timestamp.json", headers=[("If-None-Match", reply.header("ETag"))]).status == 304
    for name in ("1.root.json", f"{roles['targets']['version']}.targets.json"):
        assert api.get(f"/api/v1/metadata/{name}").status == 200
    for name in ("99.root.json", "nothing", "..", "timestamp.json.bak"):
        assert api.get(f"/api/v1/metadata/{name}").status in (400, 404)


def test_health_and_metrics(fleet, api):
    anonymous = fleet.operator(token="")
    assert anonymous.get("/healthz").json == {"status": "ok"}
    assert anonymous.get("/readyz").json == {"status": "ready"}
    assert fleet.operator(token="pawl_none_" + "A" * 43).get("/readyz").json == {"status": "ready"}
    assert fleet.operator(token=api.token_with("device:read")).get("/readyz").json == {"status": "ready"}
    ready = fleet.operator(token=api.token_with("metrics:read")).get("/readyz").json
    assert ready["status"] == "ready" and {"root", "certificate:server", "certificate:device_ca"} <= {row["what"] for row in ready["expires"]}
    assert ready["store_free_bytes"] > 0
    assert anonymous.get("/metrics").status == 401
    assert api.get("/metrics").status == 200  # test_metrics.py reads it


def test_not_ready_without_room(new_server):
    """Too little free space: told to whoever asks, and the work goes on."""
    server = new_server({"store": {"free_min": "1000000G"}})
    anonymous = server.operator(token="")
    reply = anonymous.get("/readyz")
    assert reply.status == 503 and reply.problem == "busy" and "free_min" in reply.json["detail"]
    assert anonymous.get("/healthz").status == 200
    assert "pawl_store_free_bytes " in server.operator().get("/metrics").body.decode()
    assert server.operator().post("/api/v1/products", {"id": "router"}).status == 201
    server.write_config({"listen": {"admin": f"127.0.0.1:{server.admin_port}"}, "store": {"free_min": "1000000G"}})
    assert server.run("health", check=False).returncode == 1
    server.write_config({"listen": {"admin": f"127.0.0.1:{server.admin_port}"}, "store": {"free_min": "0"}})
    server.restart()
    assert server.run("health").returncode == 0


def test_openapi_is_the_file(api, contract):
    from lib.paths import ROOT

    assert api.get("/api/v1/openapi.yaml").body == (ROOT / "api" / "openapi.yaml").read_bytes()


# ---- conventions: bodies

WRITES = {
    "/api/v1/products": {"id": "body-test"},
    "/api/v1/devices": {"id": "body-test"},
    "/api/v1/deployments": {"device": "body-test", "version": "1.0.0"},
    "/api/v1/tokens": {"scopes": ["device:read"]},
    "/api/v1/releases": {"targets": "e30=", "snapshot": "e30="},
    "/api/v1/metadata": {"snapshot": "e30="},
}


@pytest.mark.parametrize("path", WRITES)
def test_unknown_field(api, path):
    reply = api.post(path, {**WRITES[path], "colour": "red"})
    assert reply.status == 400 and reply.problem == "unknown-field"
    assert reply.json["errors"][0]["field"] == "colour"


@pytest.mark.parametrize("path", WRITES)
@pytest.mark.parametrize("value", [None, True, 12, 1.5, {}, {"a": "b"}, [[]]], ids=repr)
def test_wrong_type(api, path, value):
    for field in WRITES[path]:
        reply = api.post(path, {**WRITES[path], field: value})
        assert 400 <= reply.status < 500, reply
        assert reply.problem == "invalid"
        assert reply.json["errors"][0]["field"].split("[")[0].split(".")[0] == field


@pytest.mark.parametrize("path", WRITES)
def test_missing_field(api, path):
    for field in WRITES[path]:
        body = {name: value for name, value in WRITES[path].items() if name != field}
        reply = api.post(path, body)
        assert reply.status == 400 and reply.problem == "invalid"
        if path != "/api/v1/metadata":  # any one member will do there, so none is missing by name
            assert reply.json["errors"][0]["field"] == field


@pytest.mark.parametrize("path, field, value", [
    ("/api/v1/products", "id", "x" * 65),
    ("/api/v1/products", "id", ""),
    ("/api/v1/products", "id", "a/b"),
    ("/api/v1/products", "id", "a b"),
    ("/api/v1/products", "id", "\u00fc"),
    ("/api/v1/products", "policy", "sometimes"),
    ("/api/v1/devices", "id", "x" * 65),
    ("/api/v1/devices", "product", "x" * 65),
    ("/api/v1/devices", "hardware", ""),
    ("/api/v1/devices", "tags", ["x" * 65]),
    ("/api/v1/devices", "tags", [f"t{n}" for n in range(33)]),
    ("/api/v1/devices", "tags", [1]),
    ("/api/v1/devices", "spki_sha256", "ab" * 31),
    ("/api/v1/devices", "spki_sha256", "zz" * 32),
    ("/api/v1/deployments", "version", "1" * 65),
    ("/api/v1/tokens", "scopes", []),
    ("/api/v1/tokens", "scopes", ["everything"]),
    ("/api/v1/tokens", "scopes", ["device:read@"]),
    ("/api/v1/tokens", "scopes", ["device:read"] * 33),
    ("/api/v1/tokens", "name", "n" * 65),
    ("/api/v1/tokens", "expires_in_s", 59),
    ("/api/v1/tokens", "expires_in_s", 31536001),
    ("/api/v1/tokens", "expires_in_s", -1),
    ("/api/v1/tokens", "expires_in_s", 2**53 + 1),
    ("/api/v1/releases", "targets", "not base64!"),
    ("/api/v1/releases", "targets", "e30"),
    ("/api/v1/releases", "signatures", [{"sha256": "ab" * 32, "signature": "AA=="}] * 17),
])
def test_bad_value(api, path, field, value):
    reply = api.post(path, {**WRITES[path], field: value})
    assert 400 <= reply.status < 500 and reply.problem in ("invalid", "too-large", "format"), reply
    assert reply.json["errors"][0]["field"].split("[")[0].split(".")[0] == field


BAD_JSON = {
    "empty": b"",
    "no value": b"  ",
    "truncated": b'{"id": "x"',
    "trailing comma": b'{"id": "x",}',
    "two values": b'{"id": "x"}{"id": "y"}',
    "text behind": b'{"id": "x"} x',
    "member twice": b'{"id": "x", "id": "y"}',
    "array": b'[{"id": "x"}]',
    "string": b'"x"',
    "number": b"1",
    "null": b"null",
    "single quotes": b"{'id': 'x'}",
    "comment": b'{"id": "x" /* why */}',
    "NaN": b'{"id": NaN}',
    "byte order mark": b'\xef\xbb\xbf{"id": "x"}',
    "not UTF-8": b'{"id": "\xff\xfe"}',
    "overlong UTF-8": b'{"id": "\xc0\xaf"}',
    "lone surrogate": b'{"id": "\\ud800"}',
    "bad escape": b'{"id": "\\x"}',
    "raw line feed in a string": b'{"id": "a\nb"}',
    "NUL": b'{"id": "a\x00b"}',
    "escaped NUL": b'{"id": "a\\u0000b"}',
    "deep arrays": b'{"id": ' + b"[" * 100_00 + b"]" * 100_00 + b"}",
    "deep objects": b'{"id": ' + b'{"a":' * 1000 + b"1" + b"}" * 1000 + b"}",
    "huge number": b'{"id": ' + b"9" * 1000 + b"}",
    "number over 63 bits": b'{"id": 9223372036854775808}',
    "form": b"id=x",
    "XML": b"<id>x</id>",
    "binary": bytes(range(256)),
}


@pytest.mark.parametrize("name", BAD_JSON)
def test_bad_json(api, fleet, name):
    """Written down once, tried on an administrator's and on a device's route."""
    for client, path in ((api, "/api/v1/products"), (fleet.device("fleet-0"), "/report")):
        reply = client.post(path, BAD_JSON[name], headers=[("Content-Type", "application/json")])
        assert reply.status in (400, 413), reply
        assert reply.problem in ("invalid", "unknown-field", "too-large", "format"), reply


@pytest.mark.parametrize("media", ["text/plain", "application/x-www-form-urlencoded", "application/xml", "multipart/form-data; boundary=x"])
def test_wrong_media_type(api, media):
    reply = api.post("/api/v1/products", b'{"id": "media"}', headers=[("Content-Type", media)])
    assert reply.status == 415 and reply.problem == "media-type"


def test_media_type_with_parameter(api):
    assert api.post("/api/v1/products", b'{"id": "media-2"}', headers=[("Content-Type", "Application/JSON; charset=utf-8")]).status == 201


def test_many_bad_requests_leave_nothing(api, fleet):
    before = [fleet.query(f"SELECT count(*) FROM {table}") for table in ("product", "device", "deployment", "token", "release", "audit")]
    for path in WRITES:
        api.post(path, {**WRITES[path], "colour": "red"})
        api.post(path, b"{")
    assert [fleet.query(f"SELECT count(*) FROM {table}") for table in ("product", "device", "deployment", "token", "release", "audit")] == before


# ---- conventions: Idempotency-Key


def test_same_key_same_reply(api):
    first = api.post("/api/v1/products", {"id": "once"}, headers=[("Idempotency-Key", "key-1")])
    again = api.post("/api/v1/products", {"id": "once"}, headers=[("Idempotency-Key", "key-1")])
    assert first.status == again.status == 201 and first.body == again.body
    assert again.header("Idempotency-Replayed") == "true" and first.header("Idempotency-Replayed") is None
    assert again.header("ETag") == first.header("ETag") and again.header("Location") == first.header("Location")


def test_same_key_other_request(api):
    api.post("/api/v1/products", {"id": "mine"}, headers=[("Idempotency-Key", "key-2")])
    reply = api.post("/api/v1/products", {"id": "yours"}, headers=[("Idempotency-Key", "key-2")])
    assert reply.status == 422 and reply.problem == "idempotency"
    assert api.get("/api/v1/products/yours").status == 404


def test_key_replays_across_a_restart(new_server):
    server = new_server()
    api = server.operator()
    first = api.post("/api/v1/products", {"id": "durable"}, headers=[("Idempotency-Key", "key-3")])
    server.restart()
    again = server.operator().post("/api/v1/products", {"id": "durable"}, headers=[("Idempotency-Key", "key-3")])
    assert (again.status, again.body) == (first.status, first.body)


def test_secret_is_not_replayed(api, fleet):
    first = api.post("/api/v1/tokens", {"scopes": ["device:read"]}, headers=[("Idempotency-Key", "key-4")])
    again = api.post("/api/v1/tokens", {"scopes": ["device:read"]}, headers=[("Idempotency-Key", "key-4")])
    assert first.json["secret"] and again.json["secret"] is None and again.json["token"] == first.json["token"]
    stored = " ".join(str(row) for row in fleet.query("SELECT * FROM idempotency"))
    assert first.json["secret"].split("_", 2)[2] not in stored


def test_keys_of_two_tokens_are_apart(api, fleet):
    other = fleet.operator(api.token_with("release:publish", "release:read"))
    assert api.post("/api/v1/products", {"id": "apart-1"}, headers=[("Idempotency-Key", "key-5")]).status == 201
    assert other.post("/api/v1/products", {"id": "apart-2"}, headers=[("Idempotency-Key", "key-5")]).status == 201


@pytest.mark.parametrize("key", ["", "x" * 65, "a\x7fb"])
def test_bad_key(api, key):
    with api.connect() as connection:
        assert api.post("/api/v1/products", {"id": "bad-key"}, headers=[("Idempotency-Key", key)], connection=connection).status == 400


def test_refusals_are_not_remembered(api):
    """A request that was refused may be mended and sent again under its key only as a new request; the refusal itself stored nothing."""
    assert api.post("/api/v1/products", {"id": ""}, headers=[("Idempotency-Key", "key-6")]).status == 400
    assert api.post("/api/v1/products", {"id": "mended"}, headers=[("Idempotency-Key", "key-6")]).status == 201


def parallel(fleet, count, make):
    """Runs make(client) in `count` threads at once, each with a connection of its own."""
    clients = [fleet.operator(fresh=True) for _ in range(count)]
    for client in clients:
        client.get("/api/v1/whoami")
    replies, barrier = [None] * count, threading.Barrier(count)

    def run(number):
        barrier.wait()
        replies[number] = make(clients[number])

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(replies)
    return replies


def test_parallel_duplicates(fleet, api):
    """Sixteen times the same request at once: done once, the same reply for all."""
    replies = parallel(fleet, 16, lambda client: client.assign("fleet-2", "1.1.0", headers=[("Idempotency-Key", "all-at-once")]))
    assert {reply.status for reply in replies} == {201}
    assert len({reply.body for reply in replies}) == 1
    assert len([reply for reply in replies if reply.header("Idempotency-Replayed") is None]) == 1
    made = [item for item in api.pages("/api/v1/deployments?device=fleet-2") if item["origin"] == "manual"]
    assert len(made) == 1


def test_parallel_creates_without_a_key(fleet):
    replies = parallel(fleet, 8, lambda client: client.post("/api/v1/products", {"id": "race"}))
    assert sorted(reply.status for reply in replies) == [201] + [409] * 7


# ---- conventions: If-Match


def if_match_rows(api):
    token = api.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})["token"]["id"]
    api.post("/api/v1/products", {"id": "matched"})
    return [
        ("PATCH", "/api/v1/products/matched", "/api/v1/products/matched", {"policy": "rollout"}),
        ("PUT", "/api/v1/devices/fleet-1/tags", "/api/v1/devices/fleet-1", {"tags": ["x"]}),
        ("PATCH", "/api/v1/devices/fleet-1", "/api/v1/devices/fleet-1", {"attributes": {"matched": "yes"}}),
        ("DELETE", f"/api/v1/tokens/{token}", f"/api/v1/tokens/{token}", None),
    ]


def test_if_match(api):
    for method, path, resource, body in if_match_rows(api):
        assert (reply := api.request(method, path, body)).status == 428 and reply.problem == "precondition-required"
        for stale in ('"stale"', 'W/' + etag_of(api, resource), '"stale", "older"'):
            assert (reply := api.request(method, path, body, headers=[("If-Match", stale)])).status == 412 and reply.problem == "precondition"
        assert api.request(method, path, body, headers=[("If-Match", f'"stale", {etag_of(api, resource)}')]).status in (200, 204)


def test_if_match_star(api):
    for method, path, _, body in if_match_rows(api):
        assert api.request(method, path, body, headers=[("If-Match", "*")]).status in (200, 204)


def test_parallel_changes_with_one_tag(fleet, api):
    """Of many that saw the same state one wins, the others are told."""
    tag = etag_of(api, "/api/v1/devices/fleet-1")
    names = iter(range(100))
    replies = parallel(fleet, 8, lambda client: client.put("/api/v1/devices/fleet-1/tags", {"tags": [f"w{next(names)}"]}, headers=[("If-Match", tag)]))
    assert sorted(reply.status for reply in replies) == [200] + [412] * 7


# ---- conventions: lists


@pytest.mark.parametrize("path", ["/api/v1/products", "/api/v1/devices", "/api/v1/releases", "/api/v1/deployments", "/api/v1/tokens", "/api/v1/events", "/api/v1/audit"])
def test_paging(api, path):
    """Pages of 1, 2 and 1000 are the same list; Link names the next page."""
    whole = api.pages(path, limit=1000)
    assert whole
    assert strip(api.pages(path, limit=2)) == strip(whole)
    reply = api.get(f"{path}?limit=1")
    assert len(reply.json["items"]) == 1
    if len(whole) > 1:
        assert f'cursor={reply.json["next"]}' in reply.header("Link") and 'rel="next"' in reply.header("Link")
    else:
        assert reply.json["next"] is None
    last = api.get(f"{path}?limit=1000")
    assert last.json["next"] is None and last.header("Link") is None


def strip(items):
    """Without what moves by itself between two requests."""
    return [{name: value for name, value in item.items() if name not in ("last_used_at", "last_seen")} for item in items]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=", "limit=1&limit=2", "cursor=!!", "cursor=" + "A" * 300, "nothing=1",
                                   "cursor=AAAA"])
def test_bad_list_queries(api, query):
    for path in ("/api/v1/devices", "/api/v1/audit"):
        assert (reply := api.get(f"{path}?{query}")).status == 400, f"{path}?{query}: {reply}"


def test_a_cursor_holds_while_rows_come(api):
    """Keyset, not offset: a row that is added in front neither repeats nor hides one."""
    api.ok("POST", "/api/v1/products", {"id": "paged"})
    for number in range(4):
        api.ok("POST", "/api/v1/devices", {"id": f"page-{number}x", "product": "paged"})
    first = api.ok("GET", "/api/v1/devices?product=paged&limit=2")
    api.ok("POST", "/api/v1/devices", {"id": "page-0a", "product": "paged"})
    second = api.ok("GET", f"/api/v1/devices?product=paged&limit=2&cursor={first['next']}")
    assert [item["id"] for item in first["items"] + second["items"]] == [f"page-{n}x" for n in range(4)]


# ---- credentials


def test_no_and_bad_tokens(fleet):
    good = fleet.token
    for value, source in [(None, "127.0.1.1"), ("", "127.0.1.2"), ("Bearer", "127.0.1.3"), ("Bearer ", "127.0.1.4"), ("Basic " + good, "127.0.1.5"),
                          ("Bearer " + good[:-1], "127.0.1.6"), ("Bearer " + good + "A", "127.0.1.7"), ("Bearer " + good.upper(), "127.0.1.8"),
                          ("Bearer " + good[:-1] + ("A" if good[-1] != "A" else "B"), "127.0.1.9"), (good, "127.0.1.10")]:
        client = fleet.operator(token="", source=source)
        client.headers = [("Authorization", value)] if value is not None else []
        reply = client.get("/api/v1/whoami")
        assert reply.status == 401 and reply.problem == "unauthenticated", value
        assert (reply.header("WWW-Authenticate") or "").startswith("Bearer")


def test_expired_token(fleet, api):
    """An expired one is refused like an unknown one: shown by moving its row into the past while the server is down."""
    import sqlite3

    made = api.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    client = fleet.operator(made["secret"], source="127.0.2.1")
    assert client.get("/api/v1/whoami").status == 200
    fleet.stop()
    connection = sqlite3.connect(fleet.database_path)
    changed = connection.execute("UPDATE token SET expires_at = 1 WHERE id = ?", (made["token"]["id"],)).rowcount
    connection.commit()
    connection.close()
    assert changed == 1
    fleet.start()
    assert client.get("/api/v1/whoami").status == 401
    assert api.get("/api/v1/whoami").status == 200


def test_guessing_is_slowed(fleet):
    """Ten failures a minute from one address: 429, which spares other addresses."""
    guesser = fleet.operator(token="pawl_guess_" + "A" * 43, source="127.0.3.1")
    statuses = [guesser.get("/api/v1/whoami").status for _ in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429
    assert guesser.get("/api/v1/whoami").header("Retry-After")
    assert fleet.operator(source="127.0.3.2").get("/api/v1/whoami").status == 200


def test_request_ids_are_unique_and_logged(fleet, api):
    ids = {api.get("/api/v1/whoami").header("X-Request-Id") for _ in range(20)}
    assert len(ids) == 20
    wait_for(lambda: all(one in fleet.log() for one in ids))
    asked = api.get("/api/v1/whoami", headers=[("X-Request-Id", "chosen-by-the-client")]).header("X-Request-Id")
    assert asked != "chosen-by-the-client"


def test_problems_name_the_request(api):
    reply = api.get("/api/v1/devices/nobody")
    assert reply.json.get("request_id") in (None, reply.header("X-Request-Id"))
    assert "nobody" in reply.json["detail"]


def test_an_admin_body_is_not_executed_without_a_token(fleet):
    client = Client(fleet.admin_port, context(fleet.pki.server_ca), fleet.contract, source="127.0.4.1")
    assert client.post("/api/v1/products", {"id": "anonymous"}).status == 401
    client.close()
    assert fleet.operator().get("/api/v1/products/anonymous").status == 404


# ---- reports


def test_report_conventions(fleet, api):
    device = fleet.device("fleet-0")
    deployment = api.assign("fleet-0", "1.1.0").json["id"]
    device.directive()
    body = {"deployment": deployment, "report_seq": 1, "state": "downloading", "progress": 10}
    first = device.post("/report", body)
    again = device.post("/report", body)
    assert first.status == again.status == 200 and first.json["repeated"] is False and again.json["repeated"] is True
    assert {**again.json, "repeated": False} == first.json
    assert device.report(deployment, 2, "downloading", progress=80).status == 200
    assert device.report(deployment, 1, "downloaded").status == 409  # an old number with another content
    seen = api.ok("GET", f"/api/v1/deployments/{deployment}")
    assert (seen["progress"], seen["report_seq"], seen["state"]) == (80, 2, "downloading")
    assert device.report(deployment, 3, "rebooting").status == 200
    assert device.report(deployment, 4, "downloading").status == 409  # there is no way back from a reboot
    number = 4
    for bad in ({"report_seq": 0}, {"report_seq": -1}, {"report_seq": 10**10}, {"state": "done"}, {"state": "offered"}, {"progress": 101}, {"progress": -1},
                {"error": {"code": "oops"}}, {"error": {"code": "E_X", "detail": "d" * 513}}, {"installed": {"version": "x", "sequence": 1}},
                {"installed": {"version": "1.0.0"}}, {"extra": 1}, {"deployment": "x" * 65}):
        reply = device.post("/report", {"deployment": deployment, "report_seq": number, "state": "rebooting", **bad})
        assert reply.status == 400, (bad, reply)
    assert device.report(deployment, number, "confirmed").status == 400  # without `installed`
    stranger = fleet.device("fleet-1")
    assert stranger.report(deployment, number, "failed").status in (403, 404)
    assert device.report("nothing", 1, "downloading").status == 404
    failed = device.report(deployment, number, "failed", error={"code": "E_HASH", "detail": "not what was signed"})
    assert failed.status == 200
    ended = api.ok("GET", f"/api/v1/deployments/{deployment}")
    assert ended["state"] == "failed" and ended["error"] == {"code": "E_HASH", "detail": "not what was signed"}
    assert device.report(deployment, number + 1, "confirmed", installed={"version": "1.1.0", "sequence": 2}).status == 409


def test_json_is_what_it_says(api):
    """Numbers are numbers and times are times: checked by the contract on every reply; here that the check bites."""
    from lib.contract import ContractBroken

    reply = api.get("/api/v1/whoami")
    broken = json.loads(reply.body)
    broken["expires_at"] = 12
    reply.body = json.dumps(broken).encode()
    with pytest.raises(ContractBroken):
        api.contract.check("GET", "/api/v1/whoami", reply)
