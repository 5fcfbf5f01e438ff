"""Devices by the thousand: NDJSON and CSV, judged as a whole before anything is applied, applied in turns."""

import json
import threading
import time

import pytest

from lib.wire import Closed, Connection, context

PATH = "/api/v1/devices/import"
KEY = "ab" * 32


@pytest.fixture(scope="module")
def server(router):
    api = router.operator()
    api.post("/api/v1/products", {"id": "sensor"})
    return router


@pytest.fixture(scope="module")
def api(server):
    return server.operator()


def send(api, body, query="", kind="application/x-ndjson", headers=()):
    return api.post(PATH + query, body if isinstance(body, bytes) else body.encode(), headers=[("Content-Type", kind), *headers])


def ndjson(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def count(api):
    return len(api.pages("/api/v1/devices", limit=1000))


def test_new_and_changed(api):
    body = ndjson(
        {"id": "n-1", "product": "sensor", "hardware": "board", "tags": ["a", "b"], "attributes": {"site": "Köln"}, "spki_sha256": KEY},
        {"id": "n-2"},
    )
    done = send(api, body)
    assert done.status == 200, done
    assert done.json == {"dry_run": False, "rows": 2, "created": 2, "updated": 0, "unchanged": 0, "error_count": 0, "errors": []}
    one = api.device("n-1")
    assert (one["state"], one["product"], one["hardware"], one["tags"]) == ("active", "sensor", "board", ["a", "b"])
    assert one["attributes"] == {"site": "Köln"} and one["pins"] == [KEY]
    assert api.device("n-2")["product"] is None

    tag = api.get("/api/v1/devices/n-1").header("ETag")
    again = send(api, body).json
    assert (again["unchanged"], again["created"], again["updated"]) == (2, 0, 0)
    assert api.get("/api/v1/devices/n-1").header("ETag") == tag, "nothing changed, so no new revision"

    changed = send(api, ndjson({"id": "n-1", "tags": ["c"], "attributes": {"site": None, "floor": "2"}}, {"id": "n-2", "product": "sensor"})).json
    assert changed["updated"] == 2
    one = api.device("n-1")
    assert one["tags"] == ["c"] and one["attributes"] == {"floor": "2"} and one["hardware"] == "board" and one["product"] == "sensor"
    assert api.device("n-2")["product"] == "sensor"
    row = api.pages("/api/v1/audit", limit=1000)[-1]
    assert row["action"] == "device.import" and json.loads(row["detail"]) == {"rows": 2, "created": 0, "updated": 2, "unchanged": 0}


def test_csv(api):
    body = 'id,product,tags,attribute.site,attribute."x"\r\n'.replace('attribute."x"', '"attribute.the ""x"""')
    body += 'c-1,sensor,a b,"Köln, Dom",1\r\nc-2,,,,\n\nc-3,sensor,,"say ""hi""",\n'
    done = send(api, body, kind="text/csv; charset=utf-8")
    assert done.status == 200 and done.json["created"] == 3, done
    assert api.device("c-1")["attributes"] == {"site": "Köln, Dom", 'the "x"': "1"} and api.device("c-1")["tags"] == ["a", "b"]
    assert api.device("c-2")["product"] is None and api.device("c-2")["attributes"] == {}
    assert api.device("c-3")["attributes"] == {"site": 'say "hi"'}


def test_last_line_without_its_end(api):
    assert send(api, ndjson({"id": "e-1"}) + '{"id": "e-2"}').json["created"] == 2


BAD = [
    ({"id": "x y"}, "id", "'id' must be"),
    ({"product": "sensor"}, "id", "id"),
    ({"id": "b-1", "product": "nothing"}, "", "product 'nothing'"),
    ({"id": "b-2", "colour": "red"}, "colour", "colour"),
    ({"id": "b-3", "tags": ["not a tag"]}, "tags", "'tags' must be"),
    ({"id": "b-4", "spki_sha256": "zz" * 32}, "spki_sha256", "64 lower-case"),
    ({"id": "b-5", "spki_sha256": KEY}, "", "belongs to another device"),
    ({"id": "n-1", "spki_sha256": "cd" * 32}, "spki_sha256", "does not replace keys"),
    ({"id": "b-6", "attributes": {"a": "b" * 257}}, "attributes", "at most 256"),
    ({"id": "b-7", "attributes": {f"name-{n}": "b" * 256 for n in range(40)}}, "attributes", "longer than 8192"),
]


def test_one_bad_row_and_nothing_is_applied(api):
    before = count(api)
    good = [{"id": f"g-{number}"} for number in range(len(BAD))]
    body = ndjson(*(row for pair in zip(good, (bad[0] for bad in BAD)) for row in pair)) + "no json\n"
    dry = send(api, body, "?dry_run=true")
    assert dry.status == 200 and dry.json["dry_run"] and dry.json["created"] == len(good) and dry.json["rows"] == 2 * len(good) + 1
    assert dry.json["error_count"] == len(BAD) + 1
    for number, (error, (row, field, detail)) in enumerate(zip(dry.json["errors"], BAD)):
        assert error["line"] == 2 * number + 2 and error["field"] == field and detail in error["detail"], (row, error)
    assert dry.json["errors"][-1]["line"] == 2 * len(good) + 1

    refused = send(api, body)
    assert refused.status == 400 and refused.problem == "invalid"
    assert refused.json["errors"] == dry.json["errors"]
    assert "nothing was applied" in refused.json["detail"] and "line 2" in refused.json["detail"]
    assert count(api) == before


def test_doubles_within_the_file(api):
    body = ndjson({"id": "t-1", "spki_sha256": "11" * 32}, {"id": "t-2", "spki_sha256": "22" * 32}, {"id": "t-1"}, {"id": "t-3", "spki_sha256": "22" * 32})
    errors = send(api, body).json["errors"]
    assert [(e["line"], e["field"]) for e in errors] == [(3, "id"), (4, "spki_sha256")] and "line 1" in errors[0]["detail"]


def test_only_the_first_hundred_errors_are_told(api):
    errors = send(api, "{}\n" * 250, "?dry_run=true").json
    assert errors["error_count"] == 250 and len(errors["errors"]) == 100


@pytest.mark.parametrize(
    "text, detail",
    [
        ("product\nx\n", "id among them"),
        ("id,colour\nx,y\n", "column 'colour'"),
        ("id,id\nx,y\n", "twice"),
        ("id,product\nx\n", "1 cells where the first line names 2"),
        ('id\n"x\n', "not closed"),
        ('id\nx"y"\n', "a quote within"),
        ('id\n"x"y\n', "behind a closing quote"),
        ("id\n\xff\n".encode("latin-1"), "UTF-8"),
        ("id,tags\nx," + " ".join(f"t{n}" for n in range(33)) + "\n", "at most 32 tags"),
    ],
)
def test_bad_csv(api, text, detail):
    refused = send(api, text, kind="text/csv")
    assert refused.status == 400 and detail in refused.json["detail"], refused


def test_what_is_no_import(server, api):
    assert send(api, "{}", kind="application/json").status == 415
    assert api.post(PATH, None, headers=[("Content-Length", "0"), ("Content-Type", "text/csv")]).json["rows"] == 0
    assert send(api, ndjson({"id": "m-1"}), "?dry_run=yes").status == 400
    assert send(api, ndjson({"id": "m-1", "tags": ["t" * 60] * 40})).status == 400
    assert send(api, '{"id": "' + "m" * 70000 + '"}\n').status == 400
    limited = server.operator(api.token_with("device:write@router"))
    refused = send(limited, ndjson({"id": "m-2", "product": "router"}, {"id": "m-3", "product": "sensor"}))
    assert refused.status == 403 and "sensor" in refused.json["detail"]
    assert send(limited, ndjson({"id": "n-1", "tags": []})).status == 403, "a device of another product"
    assert api.get("/api/v1/devices/m-2").status == 404
    assert send(limited, ndjson({"id": "m-2", "product": "router"})).json["created"] == 1


def test_a_device_that_comes_while_the_body_is_on_its_way(server, api):
    secret = api.token_with("device:write@router")
    body = ndjson({"id": "late-1", "product": "router", "spki_sha256": "cd" * 32, "tags": ["mine"]}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {secret}\r\nContent-Type: application/x-ndjson\r\nContent-Length: {len(body) + 1}\r\n\r\n"
    with Connection(server.admin_port, context(server.pki.server_ca)) as slow:
        slow.send(head.encode() + body)
        time.sleep(0.5)  # the row is judged: nobody has this id
        assert api.post("/api/v1/devices", {"id": "late-1", "product": "sensor"}).status == 201
        slow.send(b"\n")
        refused = slow.read_reply()
    assert refused.status == 403, refused
    one = api.device("late-1")
    assert (one["product"], one["tags"], one["pins"]) == ("sensor", [], [])


def rows(prefix, number):
    return ndjson(*({"id": f"{prefix}-{n:05}", "product": "sensor", "tags": [f"t{n % 7}"], "attributes": {"n": str(n)}} for n in range(number)))


def test_same_key_three_times_in_parallel(server, api):
    body = rows("par", 2000)
    replies, threads = [], []

    def run(client):
        replies.append(send(client, body, headers=[("Idempotency-Key", "import-1")]))

    for client in [server.operator(fresh=True) for _ in range(3)]:
        threads.append(threading.Thread(target=run, args=(client,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert [reply.status for reply in replies] == [200] * 3
    assert sum(reply.header("Idempotency-Replayed") == "true" for reply in replies) == 2
    assert replies[0].json == replies[1].json == replies[2].json
    assert len(api.pages("/api/v1/devices?id_prefix=par-", limit=1000)) == 2000
    registered = [e for e in api.pages("/api/v1/events?kind=registered", limit=1000) if e["device"].startswith("par-")]
    assert len(registered) == 2000
    audited = [row for row in api.pages("/api/v1/audit", limit=1000) if row["action"] == "device.import" and '"rows":2000' in row["detail"]]
    assert len(audited) == 1
    assert send(api, rows("par", 1999), headers=[("Idempotency-Key", "import-1")]).status == 422
    assert send(api, body, "?dry_run=true", headers=[("Idempotency-Key", "import-1")]).status == 422


def test_a_dry_run_is_remembered_as_one(api):
    body, headers = rows("dry", 10), [("Idempotency-Key", "dry-1")]
    first = send(api, body, "?dry_run=true", headers=headers)
    assert first.json["created"] == 10 and send(api, body, "?dry_run=true", headers=headers).json == first.json
    assert send(api, body, headers=headers).status == 422
    assert api.get("/api/v1/devices/dry-00000").status == 404


def test_others_are_served_between_two_turns(server, api):
    body = rows("turn", 6000)
    slowest, done, client = 0.0, threading.Event(), server.operator(fresh=True)

    def run():
        try:
            assert send(client, body).status == 200
        finally:
            done.set()

    thread = threading.Thread(target=run)
    thread.start()
    number = 0
    while not done.is_set():
        start = time.monotonic()
        assert api.post("/api/v1/devices", {"id": f"between-{number}"}).status == 201
        slowest = max(slowest, time.monotonic() - start)
        number += 1
    thread.join()
    assert number >= 3, "writes came through while the import ran"
    assert slowest < 20


def test_killed_between_two_turns(servers):
    server = servers()
    api = server.operator()
    api.post("/api/v1/products", {"id": "sensor"})
    body = rows("kill", 12000)
    client = server.operator(fresh=True)

    def run():
        try:
            send(client, body, headers=[("Idempotency-Key", "kill-1")])
        except (Closed, OSError):
            pass

    thread = threading.Thread(target=run)
    thread.start()
    while not api.ok("GET", "/api/v1/devices?id_prefix=kill-&limit=1")["items"]:
        time.sleep(0.01)
    server.kill()
    thread.join()
    server.start()
    api = server.operator()
    left = count(api)
    assert 0 < left < 12000
    begun = [row for row in api.pages("/api/v1/audit", limit=1000) if row["action"] == "device.import-begin"]
    assert [json.loads(row["detail"]) for row in begun] == [{"rows": 12000}], "what it has committed is in the audit"
    done = send(api, body, headers=[("Idempotency-Key", "kill-1")]).json
    assert done["unchanged"] == left and done["created"] == 12000 - left
    assert count(api) == 12000


# ---- the command line


def test_pawl_import_and_export(server, api, tmp_path):
    table = tmp_path / "devices.csv"
    table.write_text('id,product,tags,attribute.site\ncli-1,sensor,a b,"Köln, Dom"\ncli-2,sensor,b,\n', encoding="utf-8")
    said = server.pawl("devices", "import", table, "--dry-run").stdout
    assert said == "2 rows: 2 new, 0 changed, 0 as they are (nothing was applied)\n"
    assert api.get("/api/v1/devices/cli-1").status == 404
    assert server.pawl("devices", "import", table).stdout == "2 rows: 2 new, 0 changed, 0 as they are\n"

    out = tmp_path / "devices.ndjson"
    said = server.pawl("devices", "export", out, "--filter", "id ~ cli-* and tag == b")
    assert "2 devices" in said.stderr
    assert [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()] == [
        {"id": "cli-1", "product": "sensor", "tags": ["a", "b"], "attributes": {"site": "Köln, Dom"}},
        {"id": "cli-2", "product": "sensor", "tags": ["b"], "attributes": {}},
    ]
    assert server.pawl("devices", "import", out).stdout == "2 rows: 0 new, 0 changed, 2 as they are\n"
    assert json.loads(server.pawl("--json", "devices", "import", out).stdout)["unchanged"] == 2
    every = server.pawl("devices", "export").stdout.splitlines()
    assert len(every) == count(api)
    refused = server.pawl("devices", "export", out, check=False)
    assert refused.returncode == 6 and "exists" in refused.stderr, "an export replaces nothing"


def test_pawl_says_which_lines_are_bad(server, api, tmp_path):
    path = tmp_path / "bad.ndjson"
    path.write_text('{"id": "cli-9"}\n{"id": "x y"}\n{"id": "cli-9"}\n', encoding="utf-8")
    refused = server.pawl("devices", "import", path, check=False)
    assert refused.returncode == 3 and "2 bad rows, nothing was applied; the first is line 2" in refused.stderr
    listed = server.pawl("devices", "import", path, "--dry-run", check=False)
    assert listed.returncode == 3 and "2 bad lines" in listed.stderr
    assert [line.split(":")[0] for line in listed.stdout.splitlines()[:2]] == ["line 2", "line 3"]
    assert api.get("/api/v1/devices/cli-9").status == 404
    missing = server.pawl("devices", "import", tmp_path / "nothing.csv", check=False)
    assert missing.returncode == 6


def test_pawl_list_by_filter(server):
    listed = server.pawl("devices", "list", "--filter", "id ~ cli-*", "--sort=-id").stdout
    assert [line.split("\t")[0] for line in listed.splitlines()[-2:]] == ["cli-2", "cli-1"]
    refused = server.pawl("devices", "list", "--filter", "product == )", check=False)
    assert refused.returncode == 3 and "column 12: expected a value, found ')'" in refused.stderr
