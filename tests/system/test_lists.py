"""Lists: filter and sort, cursors that stay right in every order, all items as lines."""

import json
import urllib.parse

import pytest

from lib import firmware
from lib import help as said

HARDWARE = "qemu-arm"
COUNT = 450  # more than two of the server's own reads for a stream
LINES = [("Accept", "application/x-ndjson")]


@pytest.fixture(scope="module")
def fleet(router):
    """Numbered devices with tags and attributes, some of which have been seen."""
    api = router.operator()
    api.post("/api/v1/products", {"id": "sensor"})
    for number in range(COUNT):
        body = {"id": f"d-{number:04}", "product": "sensor" if number % 3 else "router", "hardware": f"board-{number % 5}"}
        body["tags"] = (["canary"] if number % 10 == 0 else []) + (["eu-west"] if number % 2 else ["us-east"])
        assert api.post("/api/v1/devices", body).status == 201
    for number in range(0, COUNT, 50):
        path = f"/api/v1/devices/d-{number:04}"
        tag = api.get(path).header("ETag")
        assert api.patch(path, {"attributes": {"ram": str(number), "site": "Köln"}}, headers=[("If-Match", tag)]).status == 200
    for number in range(6):
        router.device(f"seen-{number}").check(product="router", hardware=HARDWARE, version=f"1.{number % 2}.0", sequence=number % 3)
    return router


@pytest.fixture(scope="module")
def api(fleet):
    return fleet.operator()


def path_of(**query):
    return "/api/v1/devices?" + urllib.parse.urlencode(query, quote_via=urllib.parse.quote)


def ids(items):
    return [item["id"] for item in items]


def filtered(api, text, **query):
    return ids(api.pages(path_of(filter=text, **query), limit=97))


def numbered(condition):
    return [f"d-{number:04}" for number in range(COUNT) if condition(number)]


@pytest.mark.parametrize(
    "text, condition",
    [
        ("product == sensor", lambda n: n % 3),
        ("product == router and id ~ d-*", lambda n: n % 3 == 0),
        ("tag == canary", lambda n: n % 10 == 0),
        ("tag == canary and not tag ~ eu-*", lambda n: n % 10 == 0),
        ("product == sensor and tag ~ eu-* and hardware in (board-1, board-2)", lambda n: n % 3 and n % 2 and n % 5 in (1, 2)),
        ("attribute.ram >= 200", lambda n: n % 50 == 0 and n >= 200),
        ('attribute.site == "Köln" and tag == canary', lambda n: n % 50 == 0),
        ("id in (d-0003, d-0001, d-9999)", lambda n: n in (1, 3)),
        ("id ~ d-044?", lambda n: n // 10 == 44),
        ("id ~ d-* and attribute.ram != 0", lambda n: n != 0),
        ("id == nothing", lambda n: False),
    ],
)
def test_filter(api, text, condition):
    assert filtered(api, text) == numbered(condition)


def test_filter_of_what_was_seen(api):
    assert filtered(api, "version == 1.1.0") == ["seen-1", "seen-3", "seen-5"]
    assert filtered(api, "sequence >= 1") == ["seen-1", "seen-2", "seen-4", "seen-5"]
    assert filtered(api, "last_seen > 2020-01-01T00:00:00Z") == [f"seen-{n}" for n in range(6)]
    assert filtered(api, "state == active and id ~ seen-*") == [f"seen-{n}" for n in range(6)]


def test_filter_joins_the_other_parameters(api):
    assert filtered(api, "tag ~ eu-*", product="router", id_prefix="d-00") == [i for i in numbered(lambda n: n % 3 == 0 and n % 2) if i < "d-0100"]
    assert filtered(api, "", hardware="board-4", tag="canary") == numbered(lambda n: n % 5 == 4 and n % 10 == 0)


@pytest.mark.parametrize("field", ["id", "product", "hardware", "state", "version", "sequence", "last_seen"])
@pytest.mark.parametrize("minus", ["", "-"])
def test_sort(api, field, minus):
    def key(item):
        installed = item["installed"] or {}
        value = {
            "version": installed.get("version") or "",
            "sequence": installed.get("sequence", -1),
            "last_seen": item["last_seen"] or "",
        }.get(field, item.get(field) or "")
        return (value, item["id"])

    items = api.pages(path_of(sort=minus + field), limit=101)
    assert len(items) == COUNT + 6
    assert items == sorted(items, key=key, reverse=bool(minus))


def test_sort_and_filter(api):
    assert filtered(api, "tag == canary", sort="-id") == numbered(lambda n: n % 10 == 0)[::-1]


def test_cursor_stays_right_while_devices_come_and_go(api):
    first = api.ok("GET", path_of(sort="-id", filter="id ~ d-*", limit=10))
    assert ids(first["items"])[-1] == "d-0440"
    assert api.post("/api/v1/devices", {"id": "d-zzzz"}).status == 201  # before the cursor in this order
    assert api.post("/api/v1/devices/d-0440/retire", {}).status == 200
    second = api.ok("GET", path_of(sort="-id", filter="id ~ d-*", limit=10, cursor=first["next"]))
    assert ids(second["items"])[0] == "d-0439"


@pytest.mark.parametrize(
    "query, field, detail",
    [
        ({"filter": "product == )"}, "filter", "column 12: expected a value, found ')'"),
        ({"filter": "("}, "filter", "column 2: expected a field"),
        ({"sort": "name"}, "sort", "'sort' must be"),
        ({"sort": "--id"}, "sort", "'sort' must be"),
        ({"sort": "last_seen", "cursor": "642d31"}, "cursor", "in this order"),
        ({"sort": "-id", "cursor": b"id/d-0001".hex()}, "cursor", "in this order"),
        ({"sort": "last_seen", "cursor": b"last_seen/d-0001/x".hex()}, "cursor", "in this order"),
        ({"sort": "id", "cursor": "xyz"}, "cursor", "none that a list"),
        ({"id_prefix": "a*", "sort": "id"}, "id_prefix", "id_prefix"),
    ],
)
def test_mistakes(api, query, field, detail):
    reply = api.get(path_of(**query))
    assert reply.status == 400 and reply.json["errors"][0]["field"] == field and detail in reply.json["detail"]


def test_limited_token(fleet, api):
    limited = fleet.operator(api.token_with("device:read@sensor"))
    assert limited.get(path_of()).status == 403
    assert limited.get(path_of(filter="product == router")).status == 403
    assert limited.get(path_of(filter="product == sensor or tag == canary")).status == 403
    assert limited.get(path_of(filter="product == sensor", product="router")).status == 403
    assert filtered(limited, "product == sensor and tag == canary") == numbered(lambda n: n % 3 and n % 10 == 0)


# ---- numbers


def test_stats(fleet, api):
    stats = api.ok("GET", "/api/v1/stats")
    devices = api.pages("/api/v1/devices", limit=1000)
    assert stats["devices"] == len(devices) == sum(stats["states"].values())
    assert stats["states"]["retired"] == sum(d["state"] == "retired" for d in devices)
    assert stats["seen"] == {"hour": 6, "day": 6, "week": 6, "never": len(devices) - 6}
    expected = {}
    for device in devices:
        key = (device["product"], (device["installed"] or {}).get("version"))
        expected[key] = expected.get(key, 0) + 1
    assert {(line["product"], line["version"]): line["devices"] for line in stats["installed"]} == expected and not stats["cut"]
    assert stats["open_deployments"] == sum(d["deployment"] is not None for d in devices) == sum(line["open_deployments"] for line in stats["installed"])
    counted = {line["state"]: line["deployments"] for line in stats["deployments"]}
    assert sum(counted.values()) == len(api.pages("/api/v1/deployments", limit=1000))
    assert counted["offered"] == stats["open_deployments"] > 0

    of_one = api.ok("GET", "/api/v1/stats?product=sensor")
    assert of_one["devices"] == sum(d["product"] == "sensor" for d in devices) and of_one["deployments"] is None
    assert {line["product"] for line in of_one["installed"]} == {"sensor"}
    assert api.ok("GET", "/api/v1/stats?product=nothing")["devices"] == 0
    limited = fleet.operator(api.token_with("device:read@sensor"))
    assert limited.get("/api/v1/stats").status == 403 and limited.ok("GET", "/api/v1/stats?product=sensor") == of_one


# ---- lines


def lines(api, path):
    reply = api.get(path, headers=LINES)
    assert reply.status == 200 and reply.header("Content-Type") == "application/x-ndjson", reply
    assert reply.header("Content-Length") is None and reply.header("Transfer-Encoding") == "chunked"
    return [json.loads(line) for line in reply.body.splitlines()]


@pytest.mark.parametrize("query", [{}, {"sort": "-hardware"}, {"filter": "tag == canary"}, {"filter": "id == nothing"}, {"product": "sensor"}])
def test_lines_are_the_pages(api, query):
    assert lines(api, path_of(**query)) == api.pages(path_of(**query), limit=1000)


@pytest.mark.parametrize("name", ["products", "releases", "deployments", "tokens", "audit"])
def test_every_list_has_lines(api, name):
    path = f"/api/v1/{name}"
    assert lines(api, path) == api.pages(path, limit=1000)


def test_events_as_lines(api):
    # More than one read of the server, and newer ones may come in between.
    found = lines(api, "/api/v1/events?kind=registered")
    assert len(found) >= COUNT and len({event["id"] for event in found}) == len(found)


def test_lines_from_a_cursor_and_without_a_limit(api):
    page = api.ok("GET", path_of(limit=10))
    assert ids(lines(api, path_of(limit=5, cursor=page["next"]))) == ids(api.pages(path_of(), limit=1000))[10:]


def test_lines_refuse_like_pages(fleet, api):
    assert api.get(path_of(filter="product =="), headers=LINES).status == 400
    assert api.get("/api/v1/devices?cursor=zz", headers=LINES).status == 400
    limited = fleet.operator(api.token_with("device:read@sensor"))
    assert limited.get("/api/v1/devices", headers=LINES).status == 403


def test_head_of_lines(api):
    reply = api.request("HEAD", "/api/v1/devices", headers=LINES)
    assert reply.status == 200 and reply.header("Content-Type") == "application/x-ndjson" and reply.body == b""
    assert api.get("/api/v1/whoami").status == 200  # the connection goes on


ORDERS = [  # path, then what decides: the field of each order, and the list's own
    ("/api/v1/products", {"name": "id", "created_at": "created_at"}, "name"),
    ("/api/v1/releases", {"published_at": "sequence", "product": "product", "sequence": "sequence"}, "-published_at"),
    ("/api/v1/releases?product=router", {"published_at": "sequence", "product": "product", "sequence": "sequence"}, "-published_at"),
    ("/api/v1/deployments", {"created_at": "number"}, "-created_at"),
    ("/api/v1/deployments?product=router", {"created_at": "number"}, "-created_at"),
    ("/api/v1/deployments?device=seen-0", {"created_at": "number"}, "-created_at"),
    ("/api/v1/deployments?state=superseded", {"created_at": "number"}, "-created_at"),
    ("/api/v1/rollouts", {"created_at": "number", "name": "name"}, "-created_at"),
    ("/api/v1/rollouts?product=router", {"created_at": "number", "name": "name"}, "-created_at"),
    ("/api/v1/tokens", {"id": "id", "name": "name", "created_at": "created_at", "expires_at": "expires_at", "last_used_at": "last_used_at"}, "id"),
    ("/api/v1/claims", {"id": "id", "created_at": "created_at", "expires_at": "expires_at"}, "id"),
    ("/api/v1/claims?product=router", {"id": "id", "created_at": "created_at", "expires_at": "expires_at"}, "id"),
    ("/api/v1/events", {"time": "number"}, "-time"),
    ("/api/v1/events?product=router", {"time": "number"}, "-time"),
    ("/api/v1/events?kind=registered&product=router", {"time": "number"}, "-time"),
    ("/api/v1/events?kind=registered", {"time": "number"}, "-time"),
    ("/api/v1/events?device=seen-5", {"time": "number"}, "-time"),
    ("/api/v1/webhooks", {"id": "id", "created_at": "created_at"}, "id"),
    ("/api/v1/audit", {"time": "seq"}, "time"),
]


@pytest.fixture(scope="module")
def full(fleet):
    """Something in every list."""
    api = fleet.operator()
    for number in range(5):
        if number:
            fleet.publish(firmware.UBOOT_ARM, "router", f"3.{number}.0", (HARDWARE,))
            assert api.assign("seen-0", f"3.{number}.0").status == 201
        if number < 2:
            assert api.post(f"/api/v1/devices/seen-5/{('revoke', 'retire')[number]}", {}).status == 200
        assert api.post("/api/v1/products", {"id": f"p{number * 7 % 5}"}).status == 201
        assert api.post("/api/v1/rollouts", {"product": "router", "version": "1.1.0", "name": f"r{number * 3 % 4}", "phases": [{"rest": True}]}).status == 201
        token = {"name": f"t{number % 3}", "expires_in_s": 3600 * (number % 3 + 1), "scopes": ["device:read"]}
        assert api.post("/api/v1/tokens", token).status == 201
        assert api.post("/api/v1/claims", {"product": "router", "expires_in_s": 3600 * (number % 3 + 1)}).status == 201
        assert api.post("/api/v1/webhooks", {"url": f"https://1.1.1.1/{number}", "state": "disabled"}).status == 201
    return api


def steady(items):
    """The token in use changes while one looks."""
    return [{key: value for key, value in item.items() if key != "last_used_at"} for item in items]


@pytest.mark.parametrize("path, orders, own", ORDERS, ids=[path for path, *_ in ORDERS])
def test_every_list_sorts(full, path, orders, own):
    """Page by page every row comes once, in order, up and down; of equals the id decides."""
    joint = "&" if "?" in path else "?"

    def value(item, field):
        return int(item["id"]) if field == "number" else item[field] or ""

    for order, field in orders.items():
        up = full.pages(f"{path}{joint}sort={order}", limit=2)
        down = full.pages(f"{path}{joint}sort=-{order}", limit=3)
        assert len(up) >= 3 and steady(up) == steady(down)[::-1]
        assert [value(item, field) for item in up] == sorted(value(item, field) for item in up)
        if order == own.lstrip("-"):
            assert steady(full.pages(path, limit=1000)) == steady(down if own.startswith("-") else up)
        assert steady(lines(full, f"{path}{joint}sort=-{order}")) == steady(down)
    reply = full.get(f"{path}{joint}sort=colour")
    assert reply.status == 400 and reply.json["errors"][0]["field"] == "sort"
    assert all(order in reply.json["detail"] for order in orders)
    page = full.ok("GET", f"{path}{joint}sort={order}&limit=1")
    reply = full.get(f"{path}{joint}sort=-{order}&limit=1&cursor={page['next']}")
    assert reply.status == 400 and reply.json["errors"][0]["field"] == "cursor"


LISTS = {  # of pawl, and where each asks
    "release list": "/api/v1/releases",
    "products list": "/api/v1/products",
    "devices list": "/api/v1/devices",
    "deployments list": "/api/v1/deployments",
    "deployments log": "/api/v1/deployments/{deployment}/log",
    "rollouts list": "/api/v1/rollouts",
    "rollouts devices": "/api/v1/rollouts/{rollout}/devices",
    "tokens list": "/api/v1/tokens",
    "claims list": "/api/v1/claims",
    "certificates list": "/api/v1/certificates",
    "certificates expiring": "/api/v1/certificates/expiring",
    "events list": "/api/v1/events",
    "webhooks list": "/api/v1/webhooks",
    "webhooks deliveries": "/api/v1/webhooks/{webhook}/deliveries",
    "audit list": "/api/v1/audit",
}
ARE_EMPTY = {"deployments log", "rollouts devices", "certificates list", "certificates expiring", "webhooks deliveries"}  # here


def test_pawl_names_the_orders_of_the_contract(contract):
    told = {}
    for path, item in contract.document["paths"].items():
        for parameter in item.get("get", {}).get("parameters", ()):
            if parameter.get("name") == "sort":
                told[path] = parameter["schema"]
    sorts = said.pawl_sorts()
    assert set(sorts) == set(LISTS) and set(told) == set(LISTS.values())
    for command, (keys, own) in sorts.items():
        schema = told[LISTS[command]]
        assert sorted(keys) == sorted(schema["pattern"].split("(")[1].split(")")[0].split("|")), command
        assert own == schema.get("default", own), command


@pytest.mark.parametrize("command", LISTS)
def test_pawl_sorts(fleet, full, command):
    """Every list by each of its keys, up and down; the server says no to any other."""
    group = LISTS[command].split("/")[3]
    parent = str(full.ok("GET", f"/api/v1/{group}?limit=1")["items"][0]["id"]) if "{" in LISTS[command] else None
    path = LISTS[command].replace("{" + group[:-1] + "}", parent or "")
    words = [*command.split(), *filter(None, [parent]), "--json"]

    def ask(*options):
        return steady(json.loads(fleet.pawl(*words, *options).stdout)["items"])

    keys, own = said.pawl_sorts()[command]
    for key in keys:
        also = ["--state=waiting"] if key == "phase" else []
        up, down = ask("--sort", key, *also), ask(f"--sort=-{key}", *also)
        assert up == steady(full.pages(f"{path}?sort={key}" + "&state=waiting" * len(also), limit=1000)) and down == up[::-1]
        assert (not up) == (up == down) == (command in ARE_EMPTY)
        assert ask("--sort", f"-{key}", "--limit", "2", *also) == down[:2]
        if own.lstrip("-") == key:
            assert ask() == (down if own.startswith("-") else up)
        refused = fleet.pawl(*words, "--sort", "colour", *also, check=False)
        assert refused.returncode == 3 and "'sort' must be" in refused.stderr and key in refused.stderr
