"""Rollouts over the real pawld: phases, thresholds, silence, windows, approval, and what an operator does with them."""

import concurrent.futures
import datetime
import random
import sqlite3
import time
import zoneinfo

import pytest

from lib import firmware
from lib.fleet import HARDWARE, Fleet
from lib.wait import wait_for

ROLLOUTS = "/api/v1/rollouts"
CANARY = [{"percent": 10, "success_percent": 100, "error_percent": 30, "deadline_s": 600},
          {"rest": True, "success_percent": 90, "error_percent": 10, "deadline_s": 600}]


def planner(server):
    """An operator who plans, with a token of their own: from the first one come all others, so that it would leave nobody to approve."""
    return server.operator(server.operator().token_with("token:admin", "rollout:read", "rollout:write", "rollout:approve", "device:read"))


def colleague(server, *scopes):
    """An operator whose token does not come from the planner's."""
    return server.operator(server.operator().token_with(*scopes))


class Console:
    """An operator at work on rollouts."""

    def __init__(self, server, api=None):
        self.server, self.api = server, api or server.operator()

    def create(self, product, **plan):
        return self.api.ok("POST", ROLLOUTS, {"product": product, "version": "1.0.0", **plan})

    def get(self, rollout):
        return self.api.ok("GET", f"{ROLLOUTS}/{rollout['id']}")

    def move(self, rollout, verb, body=None):
        return self.api.ok("POST", f"{ROLLOUTS}/{rollout['id']}/{verb}", body)

    def until(self, rollout, **members):
        """The rollout once it looks so."""
        def look():
            seen = self.get(rollout)
            return seen if all(seen[name] == value for name, value in members.items()) else None

        return wait_for(look)

    def run(self, product, **plan):
        """Created, started, begun."""
        made = self.create(product, **plan)
        self.move(made, "start")
        return self.until(made, state="running", working=False)

    def devices(self, rollout, **filters):
        query = "&".join(f"{name}={value}" for name, value in filters.items())
        return {item["device"]: item for item in self.api.pages(f"{ROLLOUTS}/{rollout['id']}/devices?{query}")}

    def decision(self, device):
        return self.api.ok("GET", f"/api/v1/devices/{device}/decision")


@pytest.fixture(scope="module")
def console(server):
    return Console(server)


@pytest.fixture
def fleet(server, request):
    """Devices of a product of this test's own, which offers nothing by itself; release 1.0.0 is there."""
    def make(count, name=None):
        product = (name or request.node.name.removeprefix("test_").split("[")[0].replace("_", "-"))[:40]
        server.operator().ok("POST", "/api/v1/products", {"id": product, "policy": "rollout"})
        server.publish(firmware.ATH_9271, product, "1.0.0", (HARDWARE,))
        return Fleet(server, product, count)

    return make


def test_a_whole_rollout(console, fleet):
    devices = fleet(30)
    draft = console.create(devices.product, name="spring", phases=CANARY)
    assert (draft["state"], draft["name"], draft["phase"], draft["approval"]) == ("draft", "spring", None, "none")
    assert [phase["state"] for phase in draft["phases"]] == ["waiting", "waiting"] and draft["counts"]["devices"] == 0
    assert devices.poll() == {}
    preview = console.api.ok("GET", f"{ROLLOUTS}/{draft['id']}/preview")
    assert (preview["matched"], preview["included"], preview["excluded"]) == (30, 30, [])
    assert [phase["devices"] for phase in preview["phases"]] == [3, 27]
    console.move(draft, "start")
    running = console.until(draft, state="running", working=False)
    assert running["phase"] == 1 and running["waits_for"] == "success-threshold" and running["counts"]["devices"] == 30

    canaries = console.devices(draft, phase=1)
    assert len(canaries) == 3
    told = devices.told(len(canaries))
    assert set(told) == set(canaries)
    assert set(console.devices(draft, state="in-flight")) == set(told)
    late = next(name for name in devices.ids if name not in canaries)
    decision = console.decision(late)
    assert (decision["reason"], decision["release"]) == ("rollout-phase-not-open", None)
    assert [(item["id"], item["phase"], item["member"], item["reason"]) for item in decision["rollouts"]] == [
        (draft["id"], 2, "waiting", "rollout-phase-not-open")]
    offered = console.decision(next(iter(told)))
    assert (offered["reason"], offered["origin"], offered["release"]["version"]) == ("offered", "rollout", "1.0.0")
    assert offered["deployment"]["rollout"] == draft["id"] and offered["deployment"]["origin"] == "rollout"
    listed = console.api.pages(f"/api/v1/deployments?rollout={draft['id']}")
    assert {item["id"] for item in listed} == set(told.values())

    devices.confirm(told, "1.0.0", 1)
    second = console.until(draft, phase=2)
    assert [phase["state"] for phase in second["phases"]] == ["done", "running"]
    told = devices.told(27, [name for name in devices.ids if name not in canaries])
    devices.confirm(told, "1.0.0", 1)
    done = console.until(draft, state="completed")
    assert done["counts"]["confirmed"] == 30 and done["closed_at"] and done["phases"][0]["counts"]["confirmed"] == 3
    assert {item["state"] for item in console.devices(draft).values()} == {"confirmed"}
    kinds = [item["kind"] for item in console.api.events(product=devices.product)]
    assert "rollout-completed" in kinds and "rollout-running" in kinds


def test_failures_pause_it(console, fleet):
    devices = fleet(10)
    made = console.run(devices.product, phases=[{"percent": 40, "success_percent": 100, "error_count": 2, "deadline_s": 600}, {"rest": True}])
    told = devices.told(4)
    failing, good = dict(list(told.items())[:2]), dict(list(told.items())[2:])
    devices.fail(failing)
    paused = console.until(made, state="paused")
    assert (paused["reason"], paused["counts"]["failed"], paused["phase"]) == ("error-threshold", 2, 1)
    assert "rollout-paused" in [item["kind"] for item in console.api.events(product=devices.product)]
    devices.confirm(good, "1.0.0", 1)  # what was begun goes on
    assert devices.poll() == {}
    waiting = next(name for name in devices.ids if name not in told)
    assert console.decision(waiting)["reason"] in ("rollout-paused", "rollout-phase-not-open")
    assert console.decision(next(iter(failing)))["rollouts"][0]["reason"] == "rollout-paused"

    console.move(made, "resume")  # what halted it is accepted
    console.move(made, "retry")
    wait_for(lambda: console.get(made)["counts"]["failed"] == 0)
    again = devices.told(len(failing), failing)
    assert set(again) == set(failing) and not set(again.values()) & set(failing.values())
    devices.confirm(again, "1.0.0", 1)
    console.until(made, phase=2)
    told = devices.told(6, [name for name in devices.ids if name not in told])
    devices.confirm(told, "1.0.0", 1)
    assert console.until(made, state="completed")["counts"]["confirmed"] == 10


def test_silence_is_a_failure(console, fleet):
    devices = fleet(6)
    made = console.run(devices.product, phases=[{"percent": 50, "success_percent": 100, "error_percent": 50, "deadline_s": 3}, {"rest": True}])
    told = devices.told(3)
    heard = dict([told.popitem()])
    devices.confirm(heard, "1.0.0", 1)
    paused = console.until(made, state="paused")
    assert (paused["reason"], paused["counts"]["timed_out"], paused["counts"]["confirmed"]) == ("error-threshold", 2, 1)
    assert set(console.devices(made, state="timed-out")) == set(told)
    for deployment in told.values():
        assert console.api.ok("GET", f"/api/v1/deployments/{deployment}")["state"] == "timed-out"
    name, deployment = next(iter(told.items()))  # it wakes up late and has it after all
    late = devices.device(name).report(deployment, 1, "confirmed", installed={"version": "1.0.0", "sequence": 1})
    assert late.status == 200
    assert wait_for(lambda: console.devices(made, state="confirmed").get(name))["deployment"] == deployment


def test_stop_cancels_what_is_open(console, fleet):
    devices = fleet(4)
    made = console.run(devices.product)
    told = devices.told(4)
    stopped = console.move(made, "stop", {"reason": "wrong image"})
    assert stopped["state"] == "stopped" and stopped["closed_at"]
    console.until(made, working=False)
    assert {console.api.ok("GET", f"/api/v1/deployments/{number}")["state"] for number in told.values()} == {"cancelled"}
    assert devices.poll() == {}
    rows = [row for row in console.api.pages("/api/v1/audit") if row["object"] == f"rollout:{made['id']}"]
    assert [row["action"] for row in rows] == ["rollout.create", "rollout.start", "rollout.stop"] and "wrong image" in rows[2]["detail"]


def wall(zone, hours):
    """The wall clock of a zone so many hours from now."""
    return (datetime.datetime.now(zoneinfo.ZoneInfo(zone)) + datetime.timedelta(hours=hours)).strftime("%H:%M")


def test_windows(console, fleet):
    devices = fleet(2)
    closed = {"days": "daily", "from": wall("Asia/Tokyo", 2), "to": wall("Asia/Tokyo", 4)}
    made = console.run(devices.product, zone="Asia/Tokyo", windows=[closed])
    assert made["windows"] == [{**closed, "zone": "Asia/Tokyo", "tag": None}]
    assert devices.poll() == {}
    decision = console.decision(devices.ids[0])
    assert decision["reason"] == "outside-window"
    opens = datetime.datetime.strptime(decision["valid_until"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=datetime.timezone.utc)
    assert abs((opens - datetime.datetime.now(datetime.timezone.utc)).total_seconds() - 7200) < 180
    console.move(made, "stop")

    opened = {"days": "daily", "from": wall("America/New_York", -2), "to": wall("America/New_York", 2), "zone": "America/New_York"}
    console.run(devices.product, windows=[opened])
    assert set(devices.told(len(devices.ids))) == set(devices.ids)


def test_windows_of_a_tag(console, fleet):
    devices = fleet(2)
    tagged, plain = devices.ids
    console.api.ok("PUT", f"/api/v1/devices/{tagged}/tags", {"tags": ["night"]}, headers=[("If-Match", "*")])
    console.run(devices.product, windows=[{"days": "daily", "from": wall("UTC", 2), "to": wall("UTC", 4), "tag": "night"}])
    assert set(devices.told(1)) == {plain}
    assert console.decision(tagged)["reason"] == "outside-window"


def test_max_in_flight(console, fleet):
    devices = fleet(5)
    made = console.run(devices.product, max_in_flight=2)
    first = devices.told(2)
    held = next(name for name in devices.ids if name not in first)
    assert console.decision(held)["reason"] == "in-flight-limit"
    devices.confirm(dict([first.popitem()]), "1.0.0", 1)
    assert len(devices.poll([name for name in devices.ids if name not in first])) == 1
    assert console.get(made)["counts"]["in_flight"] == 2


def test_continuous(console, fleet):
    devices = fleet(3)
    made = console.run(devices.product, continuous=True, filter=f"product == {devices.product}")
    devices.confirm(devices.told(3), "1.0.0", 1)
    console.until(made, waits_for="newcomers")
    newcomer = devices.add(1)[0]
    wait_for(lambda: newcomer in console.devices(made))
    told = devices.told(1, [newcomer])
    devices.confirm(told, "1.0.0", 1)
    assert wait_for(lambda: console.get(made)["counts"]["confirmed"] == 4)
    assert console.get(made)["state"] == "running"


def test_newcomers_stay_out(console, fleet):
    devices = fleet(2)
    made = console.run(devices.product)
    newcomer = devices.add(1)[0]
    time.sleep(2.5)  # longer than the engine sleeps
    assert devices.poll([newcomer]) == {} and newcomer not in console.devices(made)
    assert [item["reason"] for item in console.decision(newcomer)["rollouts"]] == ["not-in-rollout"]


def test_a_list_of_devices(console, fleet):
    devices = fleet(4)
    wanted = devices.ids[1:3]
    preview = console.api.ok("POST", f"{ROLLOUTS}/preview", {"product": devices.product, "version": "1.0.0", "ids": [*wanted, "nobody"]})
    assert (preview["matched"], preview["unknown"], preview["included"]) == (2, 1, 2)
    made = console.run(devices.product, ids=wanted)
    assert made["ids"] == wanted and made["filter"] is None
    assert set(devices.told(len(wanted))) == set(wanted)


def test_preview_names_who_is_left_out(console, fleet, server):
    devices = fleet(6)
    has_it, other_board, revoked, *_ = devices.ids
    first = console.run(devices.product, ids=[has_it])
    devices.confirm(devices.told(1, [has_it]), "1.0.0", 1)
    console.until(first, state="completed")
    console.api.ok("PATCH", f"/api/v1/devices/{other_board}", {"hardware": "rev-z"}, headers=[("If-Match", "*")])
    console.api.ok("POST", f"/api/v1/devices/{revoked}/revoke")
    plan = {"product": devices.product, "version": "1.0.0", "phases": [{"count": 2}, {"rest": True}]}
    preview = console.api.ok("POST", f"{ROLLOUTS}/preview", plan)
    assert (preview["matched"], preview["included"]) == (6, 3)
    assert {item["reason"]: item["devices"] for item in preview["excluded"]} == {"up-to-date": 1, "wrong-hardware": 1, "revoked": 1}
    assert all(item["text"] for item in preview["excluded"])
    assert [phase["devices"] for phase in preview["phases"]] == [2, 1] and not preview["approval_needed"]
    filtered = console.api.ok("POST", f"{ROLLOUTS}/preview", {**plan, "filter": f"id == {devices.ids[5]}"})
    assert (filtered["matched"], filtered["included"]) == (1, 1)
    assert console.api.pages(f"{ROLLOUTS}?product={devices.product}&state=draft") == []


def test_schedule(console, fleet):
    devices = fleet(1)
    soon = (datetime.datetime.utcnow() + datetime.timedelta(seconds=3)).strftime("%Y-%m-%dT%H:%M:%SZ")
    made = console.create(devices.product, start_at=soon)
    assert console.move(made, "start")["state"] == "scheduled"
    assert devices.poll() == {} and console.decision(devices.ids[0])["rollouts"][0]["reason"] == "rollout-scheduled"
    assert console.until(made, state="running")["started_at"] >= soon
    assert set(devices.told(len(devices.ids))) == set(devices.ids)
    console.move(made, "stop")

    far = console.create(devices.product)
    scheduled = console.move(far, "start", {"start_at": "2099-01-01T00:00:00Z"})
    assert (scheduled["state"], scheduled["start_at"]) == ("scheduled", "2099-01-01T00:00:00Z")
    assert console.move(far, "start", {"start_at": "2099-01-01T00:00:00Z"})["state"] == "scheduled"
    console.move(far, "start", {"start_at": None})
    console.until(far, state="running")


def test_moves_repeat_and_forbidden_ones_name_the_state(console, fleet):
    devices = fleet(1)
    made = console.create(devices.product)
    for verb in ("pause", "resume", "retry"):
        refused = console.api.post(f"{ROLLOUTS}/{made['id']}/{verb}")
        assert refused.status == 409 and "draft" in refused.json["detail"], refused
    console.move(made, "start")
    console.until(made, state="running", working=False)
    console.move(made, "start")
    for verb, state in (("pause", "paused"), ("resume", "running"), ("stop", "stopped")):
        assert [console.move(made, verb)["state"] for _ in range(3)] == [state] * 3
    for verb in ("start", "pause", "resume", "retry", "approve"):
        refused = console.api.post(f"{ROLLOUTS}/{made['id']}/{verb}")
        assert refused.status == 409 and "stopped" in refused.json["detail"], refused
    for method in ("PATCH", "DELETE"):
        refused = console.api.request(method, f"{ROLLOUTS}/{made['id']}", {"name": "x"} if method == "PATCH" else None, headers=[("If-Match", "*")])
        assert refused.status == 409 and "stopped" in refused.json["detail"]
    actions = [row["action"] for row in console.api.pages("/api/v1/audit") if row["object"] == f"rollout:{made['id']}"]
    assert actions == ["rollout.create", "rollout.start", "rollout.pause", "rollout.resume", "rollout.stop"]


def test_drafts_are_changed_under_their_etag(console, fleet):
    devices = fleet(1)
    path = f"{ROLLOUTS}/{console.create(devices.product, filter='tag == a', max_in_flight=3, start_at='2099-01-01T00:00:00Z')['id']}"
    etag = console.api.get(path).header("ETag")
    assert console.api.patch(path, {"name": "x"}).status == 428
    changed = console.api.patch(path, {"name": "two", "filter": None, "max_in_flight": None, "start_at": None, "mode": "optional", "continuous": True,
                                       "phases": [{"count": 1}, {"rest": True, "soak_s": 60}]}, headers=[("If-Match", etag)])
    assert changed.status == 200 and changed.header("ETag") != etag
    seen = changed.json
    assert (seen["name"], seen["filter"], seen["max_in_flight"], seen["start_at"], seen["mode"], seen["continuous"]) == ("two", None, None, None, "optional", True)
    assert [(phase["count"], phase["rest"], phase["soak_s"], phase["success_percent"], phase["error_percent"]) for phase in seen["phases"]] == [
        (1, False, 0, 90, 10), (None, True, 60, 90, 10)]
    stale = console.api.patch(path, {"name": "late"}, headers=[("If-Match", etag)])
    assert (stale.status, stale.problem) == (412, "precondition")
    assert console.api.delete(path, headers=[("If-Match", etag)]).status == 412
    assert console.api.delete(path).status == 428
    assert console.api.delete(path, headers=[("If-Match", changed.header("ETag"))]).status == 204
    assert console.api.get(path).status == 404
    assert console.create(devices.product)["id"] != path.rsplit("/", 1)[1]  # its number is not given again


BAD = [
    ({"filter": "tag = north"}, "filter", "column "),
    ({"filter": "tag == (north"}, "filter", "column "),
    ({"filter": "tag == a", "ids": ["x"]}, "ids", "not both"),
    ({"ids": []}, "ids", ""),
    ({"ids": ["no such id!"]}, "ids[0]", ""),
    ({"phases": []}, "phases", ""),
    ({"phases": [{}]}, "phases[0]", "one of percent, count and rest"),
    ({"phases": [{"percent": 5, "rest": True}]}, "phases[0]", "one of percent, count and rest"),
    ({"phases": [{"percent": 50}]}, "phases", "100"),
    ({"phases": [{"percent": 60}, {"percent": 60}]}, "phases", "100"),
    ({"phases": [{"count": 5}]}, "phases", "rest"),
    ({"phases": [{"rest": True}, {"percent": 5}]}, "phases[0]", "last"),
    ({"phases": [{"percent": 101}]}, "phases[0].percent", ""),
    ({"phases": [{"rest": True, "success_percent": 0}]}, "phases[0].success_percent", ""),
    ({"phases": [{"percent": 1}, {"rest": True, "error_percent": 101}]}, "phases[1].error_percent", ""),
    ({"phases": [{"rest": True, "error_percent": 1, "error_count": 1}]}, "phases[0].error_count", "not both"),
    ({"phases": [{"rest": True, "deadline_s": 0}]}, "phases[0].deadline_s", ""),
    ({"phases": [{"rest": True, "soak": 1}]}, "phases[0].soak", ""),
    ({"windows": [{"days": "daily", "from": "22:00", "to": "04:00", "zone": "Mars/Olympus"}]}, "windows[0].zone", "Mars/Olympus"),
    ({"windows": [{"days": "daily", "from": "22:00", "to": "04:00"}], "zone": "Europe/Atlantis"}, "windows[0].zone", "Europe/Atlantis"),
    ({"windows": [{"days": "someday", "from": "22:00", "to": "04:00"}]}, "windows[0].days", ""),
    ({"windows": [{"days": "daily", "from": "25:00", "to": "04:00"}]}, "windows[0].from", ""),
    ({"windows": [{"days": "daily", "from": "22:00", "to": "4"}]}, "windows[0].to", ""),
    ({"windows": [{"days": "daily", "from": "22:00"}]}, "windows[0].to", ""),
    ({"max_in_flight": 0}, "max_in_flight", ""),
    ({"mode": "gently"}, "mode", "forced or optional"),
    ({"start_at": "tomorrow"}, "start_at", ""),
    ({"name": "x" * 129}, "name", ""),
    ({"name": ""}, "name", ""),
    ({"colour": "red"}, "colour", ""),
]


@pytest.mark.parametrize("change, field, said", BAD, ids=[str(index) for index in range(len(BAD))])
def test_bad_plans_name_the_field(console, plain, change, field, said):
    for path in (ROLLOUTS, f"{ROLLOUTS}/preview"):
        reply = console.api.post(path, {"product": plain, "version": "1.0.0", **change})
        assert reply.status == 400, reply
        assert [error["field"] for error in reply.json["errors"]] == [field] and said in reply.json["detail"], reply
    assert console.api.pages(f"{ROLLOUTS}?product={plain}") == []


@pytest.fixture(scope="module")
def plain(server):
    """A product with release 1.0.0 and a withdrawn 2.0.0, without devices or rollouts."""
    server.operator().ok("POST", "/api/v1/products", {"id": "plain", "policy": "rollout"})
    server.publish(firmware.ATH_9271, "plain", "1.0.0", (HARDWARE,))
    server.publish(firmware.ATH_7010, "plain", "2.0.0", (HARDWARE,))
    server.operator().ok("POST", "/api/v1/releases/plain/2.0.0/withdraw")
    return "plain"


def test_what_is_not_there(console, plain):
    for body, status, field in (({"product": "nothing", "version": "1.0.0"}, 404, "product"), ({"product": plain, "version": "9.9.9"}, 404, "version"),
                                ({"product": plain, "version": "2.0.0"}, 410, "version"), ({"version": "1.0.0"}, 400, "product"),
                                ({"product": plain}, 400, "version")):
        reply = console.api.post(ROLLOUTS, body)
        assert reply.status == status and reply.json["errors"][0]["field"] == field, reply
    for path in ("77777", "nothing", "0", "-1"):
        assert console.api.get(f"{ROLLOUTS}/{path}").status == 404
        assert console.api.post(f"{ROLLOUTS}/{path}/start").status == 404
    for query, field in (("state=open", "state"), ("sort=version", "sort"), ("colour=red", "colour")):
        reply = console.api.get(f"{ROLLOUTS}?{query}")
        assert reply.status == 400 and reply.json["errors"][0]["field"] == field


def test_lists(console, plain):
    made = [console.create(plain, name=f"list {number}")["id"] for number in range(5)]
    path = f"{ROLLOUTS}?product={plain}"
    assert [item["id"] for item in console.api.pages(path, limit=2)] == made[::-1]
    assert [item["id"] for item in console.api.pages(f"{path}&sort=created_at", limit=2)] == made
    assert [item["id"] for item in console.api.pages(f"{path}&state=draft&sort=-created_at")] == made[::-1]
    assert console.api.pages(f"{path}&state=running") == []
    for number in made:
        assert console.api.delete(f"{ROLLOUTS}/{number}", headers=[("If-Match", "*")]).status == 204


def test_scope_and_product_are_one_pair(console, server, plain):
    """rollout:write for one product beside rollout:read for another is not rollout:write for both."""
    mixed = server.operator(console.api.token_with("rollout:write@gateway", "rollout:read@plain", "device:read@gateway"))
    made = console.create(plain)
    for method, path, body in (("POST", ROLLOUTS, {"product": plain, "version": "1.0.0"}), ("POST", f"{ROLLOUTS}/{made['id']}/start", None),
                               ("PATCH", f"{ROLLOUTS}/{made['id']}", {"name": "x"}), ("DELETE", f"{ROLLOUTS}/{made['id']}", None)):
        reply = mixed.request(method, path, body, headers=[("If-Match", "*")])
        assert (reply.status, reply.problem) == (403, "scope") and "rollout:write" in reply.json["detail"], reply
    assert mixed.get(f"{ROLLOUTS}/{made['id']}").status == 200
    assert mixed.post(f"{ROLLOUTS}/preview", {"product": plain, "version": "1.0.0"}).status == 200
    assert mixed.get(f"{ROLLOUTS}?product=plain").status == 200 and mixed.get(ROLLOUTS).status == 403
    approval = mixed.post(f"{ROLLOUTS}/{made['id']}/approve")
    assert approval.status == 403 and "rollout:approve" in approval.json["detail"]
    assert console.api.delete(f"{ROLLOUTS}/{made['id']}", headers=[("If-Match", "*")]).status == 204


def test_idempotency_of_a_preview(console, plain):
    """What only reads remembers its reply as well."""
    body, key = {"product": plain, "version": "1.0.0"}, [("Idempotency-Key", "look-1")]
    first = console.api.post(f"{ROLLOUTS}/preview", body, headers=key)
    again = console.api.post(f"{ROLLOUTS}/preview", body, headers=key)
    assert again.json == first.json and again.header("Idempotency-Replayed") == "true"
    assert console.api.post(f"{ROLLOUTS}/preview", {**body, "name": "x"}, headers=key).status == 422


@pytest.fixture(scope="module")
def careful(servers):
    """A server on which more than three devices need a second pair of eyes."""
    return servers({"enrolment": {"auto_accept": "yes"}, "fleet": {"approval_above": 3}})


def test_approval_by_a_second_token(careful):
    careful.operator().ok("POST", "/api/v1/products", {"id": "four-eyes", "policy": "rollout"})
    careful.publish(firmware.ATH_9271, "four-eyes", "1.0.0", (HARDWARE,))
    devices, console = Fleet(careful, "four-eyes", 4), Console(careful, planner(careful))
    made = console.create("four-eyes")
    assert console.api.ok("GET", f"{ROLLOUTS}/{made['id']}/preview")["approval_needed"]
    console.move(made, "start")
    waiting = console.until(made, approval="awaited")
    assert waiting["state"] == "scheduled" and devices.poll() == {}
    assert console.decision(devices.ids[0])["rollouts"][0]["reason"] == "awaiting-approval"
    own = console.api.post(f"{ROLLOUTS}/{made['id']}/approve")
    assert own.status == 409 and "approve" in own.json["detail"], own
    straw = careful.operator(console.api.token_with("token:admin", "rollout:approve"))
    for token in (straw, careful.operator(straw.token_with("rollout:approve"))):
        refused = token.post(f"{ROLLOUTS}/{made['id']}/approve")
        assert refused.status == 409 and "comes from" in refused.json["detail"], refused
    helper = careful.operator(console.api.token_with("rollout:write", "rollout:read"))
    assert helper.post(f"{ROLLOUTS}/{made['id']}/approve").status == 403
    second = colleague(careful, "rollout:approve@four-eyes")
    approved = second.ok("POST", f"{ROLLOUTS}/{made['id']}/approve", {"reason": "looks right"})
    assert approved["approval"] == "given" and approved["approved_by"].startswith("token:")
    assert second.ok("POST", f"{ROLLOUTS}/{made['id']}/approve")["approved_by"] == approved["approved_by"]
    console.until(made, state="running")
    assert set(devices.told(len(devices.ids))) == set(devices.ids)
    few = console.run("four-eyes", ids=devices.ids[:3])
    assert few["approval"] == "none"


def test_a_change_takes_the_approval_away(careful):
    careful.operator().ok("POST", "/api/v1/products", {"id": "changed", "policy": "rollout"})
    careful.publish(firmware.ATH_9271, "changed", "1.0.0", (HARDWARE,))
    console = Console(careful, planner(careful))
    made = console.create("changed")
    path = f"{ROLLOUTS}/{made['id']}"
    second = colleague(careful, "rollout:approve", "rollout:write", "rollout:read")
    assert second.ok("POST", f"{path}/approve")["approval"] == "given"
    changed = second.patch(path, {"name": "mine now"}, headers=[("If-Match", "*")])
    assert changed.status == 200 and changed.json["approval"] == "none" and changed.json["approved_by"] is None
    refused = second.post(f"{path}/approve")
    assert refused.status == 409, refused


def test_only_what_was_seen_is_approved(careful):
    careful.operator().ok("POST", "/api/v1/products", {"id": "as-seen", "policy": "rollout"})
    careful.publish(firmware.ATH_9271, "as-seen", "1.0.0", (HARDWARE,))
    console = Console(careful, planner(careful))
    path = f"{ROLLOUTS}/{console.create('as-seen')['id']}"
    second = colleague(careful, "rollout:approve", "rollout:read")
    seen = second.get(path).header("ETag")
    assert console.api.patch(path, {"name": "another plan"}, headers=[("If-Match", seen)]).status == 200
    refused = second.post(f"{path}/approve", headers=[("If-Match", seen)])
    assert refused.status == 412, refused
    assert second.ok("GET", path)["approval"] == "none"
    approved = second.post(f"{path}/approve", headers=[("If-Match", second.get(path).header("ETag"))])
    assert approved.status == 200 and approved.json["approval"] == "given", approved


def crowd(server, product, count):
    """So many registered devices, written into the stopped server's database."""
    connection = sqlite3.connect(server.database_path)
    with connection:
        connection.execute(
            "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
            "INSERT INTO device (id, state, product, hardware, floor_sequence, floor_security, attributes, created_at, revision, pin_origin) "
            "SELECT printf('%s-%06d', ?, i), 'active', ?, ?, 0, 0, '{}', 0, 1, 'requested' FROM n", (count, product, product, HARDWARE))
        connection.execute("INSERT INTO device_seen (device) SELECT id FROM device WHERE id NOT IN (SELECT device FROM device_seen)")
    connection.close()


def test_killed_while_it_begins(new_server):
    """kill -9 between any two slices: the next start chooses the rest, every device once."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.operator().ok("POST", "/api/v1/products", {"id": "crowd", "policy": "rollout"})
    server.publish(firmware.ATH_9271, "crowd", "1.0.0", (HARDWARE,))
    server.stop()
    count = 20000
    crowd(server, "crowd", count)
    server.start()
    console, made = Console(server), []
    for _ in range(3):
        rollout = console.create("crowd", phases=[{"percent": 1}, {"rest": True}])
        console.move(rollout, "start")
        time.sleep(random.uniform(0, 0.3))
        server.kill()
        server.start()
        made.append(console.until(rollout, state="running", working=False))
    for rollout in made:
        assert rollout["counts"]["devices"] == count and [phase["counts"]["devices"] for phase in rollout["phases"]] == [count // 100, count * 99 // 100]
    first = made[0]
    assert len({item["device"] for item in console.api.pages(f"{ROLLOUTS}/{first['id']}/devices?phase=1", limit=1000)}) == count // 100


STORM = 3


def storm(server, calls):
    """Each call sent three times at once under one key; {name: [replies]}."""
    with concurrent.futures.ThreadPoolExecutor(STORM * 4) as pool:
        def send(name, path, body):
            return server.operator(fresh=True).post(path, body, headers=[("Idempotency-Key", f"storm-{name}")])

        sent = {name: [pool.submit(send, name, path, body) for _ in range(STORM)] for name, path, body in calls}
        return {name: [future.result() for future in futures] for name, futures in sent.items()}


def agree(replies):
    for name, group in replies.items():
        assert {reply.status for reply in group} in ({200}, {201}), (name, group)
        bodies = [{member: value for member, value in reply.json.items() if member != "secret"} for reply in group]
        assert all(body == bodies[0] for body in bodies), (name, bodies)


def test_a_retry_storm_makes_no_duplicate(console, fleet, server):
    """Every POST three times, in parallel."""
    devices = fleet(4)
    product = devices.product
    first, second, third, fourth = devices.ids
    patient = [{"rest": True, "error_count": 2}]  # the one failure below does not pause it, whoever comes first
    plan = {"product": product, "version": "1.0.0", "name": "storm", "phases": patient}
    before = {table: server.query(f"SELECT COUNT(*) FROM {table}")[0][0] for table in ("product", "device", "token", "deployment", "rollout")}
    made = storm(server, [
        ("product", "/api/v1/products", {"id": "storm-made"}),
        ("device", "/api/v1/devices", {"id": "storm-device", "product": product}),
        ("token", "/api/v1/tokens", {"scopes": ["device:read"]}),
        ("deployment", "/api/v1/deployments", {"device": first, "version": "1.0.0"}),
        ("other", "/api/v1/deployments", {"device": second, "version": "1.0.0"}),
        ("rollout", ROLLOUTS, {**plan, "ids": [third]}),
        ("preview", f"{ROLLOUTS}/preview", plan),
    ])
    agree(made)
    after = {table: server.query(f"SELECT COUNT(*) FROM {table}")[0][0] for table in before}
    assert {table: after[table] - before[table] for table in before} == {"product": 1, "device": 1, "token": 1, "deployment": 2, "rollout": 1}
    assert sum(reply.json["secret"] is not None for reply in made["token"]) == 1

    rollout = made["rollout"][0].json
    deployment, other = made["deployment"][0].json, made["other"][0].json
    agree(storm(server, [
        ("start", f"{ROLLOUTS}/{rollout['id']}/start", None),
        ("cancel", f"/api/v1/deployments/{deployment['id']}/cancel", None),
        ("close", f"/api/v1/deployments/{other['id']}/force-close", None),
        ("retire", f"/api/v1/devices/{fourth}/retire", None),
        ("revoke", "/api/v1/devices/storm-device/revoke", None),
    ]))
    console.until(rollout, state="running", working=False)
    told = devices.told(1, [third])
    devices.fail(told)
    retried = storm(server, [("retry", f"/api/v1/deployments/{deployment['id']}/retry", None), ("again", f"{ROLLOUTS}/{rollout['id']}/retry", None)])
    agree(retried)
    devices.told(1, [third])
    assert len(console.api.pages(f"/api/v1/deployments?device={first}")) == 2
    assert len(console.api.pages(f"/api/v1/deployments?device={third}")) == 2
    for verb in ("pause", "resume", "stop"):
        agree(storm(server, [(verb, f"{ROLLOUTS}/{rollout['id']}/{verb}", None)]))
    actions = [row["action"] for row in console.api.pages("/api/v1/audit") if row["object"] == f"rollout:{rollout['id']}"]
    assert actions == [f"rollout.{verb}" for verb in ("create", "start", "retry", "pause", "resume", "stop")]
