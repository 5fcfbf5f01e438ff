"""Existing clients: every rule of the DDI contract, seen from the wire. Real clients are in test_ddi_clients.py."""

import hashlib
import json
import re
import sqlite3
import urllib.parse

import pytest

from lib.ddi import HARDWARE, DdiClient, Fleet, feedback
from lib.firmware import UBOOT_ARM, UBOOT_ARM64, UBOOT_RISCV
from lib.wire import Closed, Connection

EXECUTIONS = ["closed", "proceeding", "canceled", "scheduled", "rejected", "resumed", "download", "downloaded"]


@pytest.fixture(scope="module")
def fleet(servers):
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}}))


@pytest.fixture(scope="module")
def auto(fleet):
    """A product that offers its newest release by itself."""
    return Fleet(fleet.server, "auto", policy="latest")


@pytest.fixture(scope="module")
def odd(servers):
    """Everything set otherwise: a client's word is enough, other names."""
    ddi = {"confirm": "report", "tenants": "acme Beta", "part": "os", "hosts": "localhost updates.example.org", "product_attribute": "line",
           "hardware_attribute": "hwRevision", "version_attribute": "os"}
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}, "fleet": {"firmware_grace": "0"}, "ddi": ddi}), "odd", policy="latest", tenant="acme")


@pytest.fixture(scope="module")
def restarted(servers):
    """A server for tests that end it."""
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}}), "old", releases=[("1.0.0", UBOOT_ARM)])


def artifact_of(update):
    return update["deployment"]["chunks"][0]["artifacts"][0]


def path_of(href):
    return urllib.parse.urlsplit(href).path


class TestRules:
    """ddi.md, section 1."""

    def test_1_puts_and_posts_are_answered_200(self, fleet):
        client, action = fleet.offered()
        for reply in (client.config({"a": "b"}), client.say(action, "proceeding"), client.say(action, "closed", "failure")):
            assert (reply.status, reply.body, reply.header("Content-Length")) == (200, b"", "0")

    def test_2_ids_are_strings_of_digits(self, fleet):
        client, action = fleet.offered()
        assert client.fetch()["id"] == str(action)
        for given in (action, str(action), None, "", {"x": 1}, 0):
            assert client.post(action, feedback("proceeding", action=given)).status == 200
        fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert client.get(f"/cancelAction/{action}").json == {"id": str(action), "cancelAction": {"stopId": str(action)}}

    def test_3_action_ids_start_high_and_skip_round_ones(self, restarted):
        fleet = restarted
        _, action = fleet.offered("1.0.0")
        assert action == 1001
        for last, following in ((1999, 2001), (9999, 10001), (10998, 10999), (2999999, 3000001)):
            fleet.server.stop()
            with sqlite3.connect(fleet.server.database_path) as database:
                database.execute("UPDATE deployment SET id = ? WHERE id = (SELECT MAX(id) FROM deployment)", (last,))
            fleet.server.start()
            _, action = fleet.offered("1.0.0")
            assert action == following < 2**31

    def test_4_links_are_absolute_on_the_host_that_was_polled(self, fleet):
        client, _ = fleet.offered()
        port = fleet.server.device_port
        for host in ("localhost", f"localhost:{port}", "updates.example.org:443", "[::1]:8443"):
            headers = [("Host", host)]
            links = client.links(headers=headers)
            assert set(links) == {"deploymentBase", "configData"}
            update = client.follow(links["deploymentBase"], headers=headers).json
            for href in [*links.values(), *(link["href"] for link in artifact_of(update)["_links"].values())]:
                assert href.startswith(f"https://{host}/DEFAULT/controller/v1/{client.name}/"), href

    def test_4_hosts_that_no_link_is_built_for(self, fleet):
        client, _ = fleet.offered()
        for host in ("evil/../", "a b", 'x"y', "user@host"):
            assert client.get(headers=[("Host", host)]).status == 400

    def test_4_configured_names(self, odd):
        client = odd.client()
        assert client.links(headers=[("Host", "UPDATES.example.org:8443")])["configData"].startswith("https://UPDATES.example.org:8443/")
        assert client.get(headers=[("Host", "evil.example.org")]).status == 400

    def test_4_public_url(self, restarted):
        restarted.server.stop()
        restarted.server.write_config({"enrolment": {"auto_accept": "yes"}, "ddi": {"public_url": "https://updates.example.org:443"}})
        restarted.server.start()
        client = restarted.client()
        assert client.links(headers=[("Host", "elsewhere")])["configData"] == f"https://updates.example.org:443/DEFAULT/controller/v1/{client.name}/configData"

    def test_5_6_11_one_artifact_with_all_hashes_and_both_links(self, fleet):
        client, _ = fleet.offered()
        update = client.fetch()
        [chunk] = update["deployment"]["chunks"]
        [artifact] = chunk["artifacts"]
        data = UBOOT_ARM64.read_bytes()
        assert (chunk["part"], chunk["version"], chunk["name"]) == ("bApp", "1.1.0", "gw")
        assert artifact["size"] == len(data) and artifact["filename"] == "u-boot.bin"
        assert artifact["hashes"] == {name: hashlib.new(name, data).hexdigest() for name in ("sha1", "md5", "sha256")}
        links = artifact["_links"]
        assert links["download"] == links["download-http"] and links["md5sum"] == links["md5sum-http"]
        assert client.follow(links["download"]["href"]).body == data
        assert client.follow(links["md5sum"]["href"]).body == f"{hashlib.md5(data).hexdigest()}  u-boot.bin\n".encode()
        listed = client.get("/softwaremodules/" + re.search(r"softwaremodules/(\d+)", links["download"]["href"]).group(1) + "/artifacts")
        assert listed.json == chunk["artifacts"]

    def test_7_content_length_and_no_escaped_slashes(self, fleet):
        client, action = fleet.offered()
        for reply in (client.get(), client.get(f"/deploymentBase/{action}")):
            assert int(reply.header("Content-Length")) == len(reply.body)
            assert reply.header("Transfer-Encoding") is None and reply.header("Content-Encoding") is None
            assert b"\\/" not in reply.body

    @pytest.mark.parametrize("tenant", ["default", "DEFAULT", "DeFault"])
    def test_8_tenant(self, fleet, tenant):
        client = fleet.client(tenant=tenant)
        fleet.admin.assign(client.name, "1.1.0")
        assert "/DEFAULT/controller/v1/" in artifact_of(client.fetch())["_links"]["download-http"]["href"]
        assert DdiClient(client.device, client.name, "other").get().status == 404

    def test_8_other_tenants(self, odd):
        client = odd.client(tenant="beta")
        update = client.fetch()
        assert update["deployment"]["chunks"][0]["part"] == "os" and "/BETA/" in artifact_of(update)["_links"]["download"]["href"]
        assert DdiClient(client.device, client.name).get().status == 404

    def test_9_links_go_with_the_answer(self, fleet):
        client, action = fleet.offered()
        assert client.config({"x": "1"}).status == 200
        assert set(client.links()) == {"deploymentBase"}
        assert client.say(action, "closed", "failure").status == 200
        assert set(client.links()) == {"configData"}  # after a finished action it is asked for again
        assert client.config({"x": "1"}).status == 200
        assert client.links() == {}

    def test_9_success_that_waits_for_its_version(self, fleet):
        client, action = fleet.offered()
        assert client.say(action, "closed", "success").status == 200
        assert fleet.state(action) == "rebooting"
        assert set(client.links()) == {"configData"}
        assert client.get(f"/deploymentBase/{action}").status == 404

    def test_10_never_both_links(self, fleet):
        client, action = fleet.offered()
        fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert fleet.state(action) == "cancelling"
        assert set(client.links()) == {"cancelAction", "configData"}
        assert client.get(f"/deploymentBase/{action}").status == 404
        link = client.links()["cancelAction"]
        assert link.endswith(f"/cancelAction/{action}")  # nothing behind the id: clients append to it
        assert len(link) - link.index("cancelAction/") <= 49

    def test_12_an_image_is_cut_never_refused_by_the_server(self, restarted):
        """What would be 5xx elsewhere ends the connection: the error's text would be installed."""
        fleet = restarted
        client, _ = fleet.offered("1.0.0")
        href = artifact_of(client.fetch())["_links"]["download"]["href"]
        [image] = (fleet.server.data / "images").iterdir()
        image.rename(image.with_name("gone"))
        with pytest.raises(Closed) as closed, client.device.connect() as connection:
            client.follow(href, connection=connection)
        assert closed.value.received == b""
        with client.device.connect() as connection:
            assert client.device.get("/firmware/old/1.0.0/u-boot.bin", connection=connection).status >= 500
        image.with_name("gone").rename(image)

    def test_14_what_is_odd_is_taken(self, fleet):
        client, action = fleet.offered()
        for body in ({}, {"data": None}, {"data": []}, {"mode": 5, "data": {"a": 1, "b": "x", "c": {}}}, {"mode": "sideways", "data": {"d": "y" * 1000}},
                     {"data": {f"name-{i:03}" + "n" * 200: "v" * 300 for i in range(300)}}):
            assert client.config(raw=body).status == 200, body
        shown = fleet.admin.ok("GET", f"/api/v1/devices/{client.name}/ddi")["attributes"]
        assert len(shown) == 100 and shown["b"] == "x" and shown["d"] == "y" * 128 and "a" not in shown
        assert all(len(name) <= 128 and len(value) <= 128 for name, value in shown.items())
        long = feedback("proceeding", details=["é" * 3000, 5, None, {"a": 1}] + ["x"] * 200, progress=(0, 0), action=action)
        assert client.post(action, long).status == 200
        [entry] = fleet.admin.pages(f"/api/v1/deployments/{action}/log")
        assert entry["details"] == ["é" * 1024] + ["x"] * 63 and entry["progress"] == {"count": 0, "of": 0}


class TestPoll:
    def test_shape_and_types(self, fleet):
        client = fleet.client()
        for accept, kind in (("application/hal+json", "application/hal+json"), ("application/json;charset=UTF-8", "application/json"), ("*/*", "application/json"),
                             (None, "application/json")):
            reply = client.get(headers=[("Accept", accept)] if accept else [])
            assert reply.status == 200 and reply.header("Content-Type") == kind
        reply = client.get(headers=[("charsets", "utf-8"), ("charsets", "utf-8"), ("Content-Type", "application/json"), ("If-None-Match", "")])
        assert reply.status == 200 and re.fullmatch(r"\d\d:\d\d:\d\d", reply.json["config"]["polling"]["sleep"])

    @pytest.mark.parametrize("after,sleep", [("1s", "00:00:01"), ("90m", "01:30:00"), ("7d", "23:59:59")])
    def test_sleep(self, new_server, after, sleep):
        server = new_server({"enrolment": {"auto_accept": "yes"}, "fleet": {"poll_after": after, "poll_jitter": "0"}})
        assert DdiClient(server.device("sleeper"), "sleeper").poll()["config"]["polling"]["sleep"] == sleep

    def test_unknown_device_is_registered(self, fleet):
        client = fleet.stranger("stranger")
        assert set(client.links()) == {"configData"}
        assert fleet.admin.device("stranger")["state"] == "active"

    def test_pending_device(self, new_server):
        server = new_server({"enrolment": {"auto_accept": "no"}})
        client = DdiClient(server.device("waiting"), "waiting")
        reply = client.get()
        assert reply.status == 403 and reply.problem == "device-pending" and reply.json["message"] == reply.json["detail"]
        server.operator().ok("POST", "/api/v1/devices/waiting/accept")
        assert client.get().status == 200

    def test_idle_poll_writes_nothing(self, fleet):
        """Twenty polls, no commit of their own."""
        client = fleet.client()
        client.config({"version": "1.1.0"})
        client.poll()
        commits = lambda: int(re.search(r"^pawl_db_commits_total (\d+)", fleet.admin.get("/metrics").body.decode(), re.M).group(1))  # noqa: E731
        before = commits()
        for _ in range(20):
            assert client.links() == {}
        assert commits() - before <= 1  # a flush of last-seen values may fall in between

    def test_off(self, new_server):
        server = new_server({"enrolment": {"auto_accept": "yes"}, "ddi": {"enabled": "no"}})
        assert DdiClient(server.device("any"), "any").get().status == 404
        assert server.device("any").get("/general/any").status == 404

    def test_confirmation_base_is_not_there(self, fleet):
        assert fleet.client().get("/confirmationBase").status == 404


def of_another(fleet):
    """A device that asks under its own name for what belongs to another, and under the other's name."""
    victim, action = fleet.offered()
    href = artifact_of(victim.fetch())["_links"]["download"]["href"]
    module = re.search(r"softwaremodules/(\d+)/", href).group(1)
    return victim, action, module


class TestOtherDevices:
    def test_under_their_name(self, fleet):
        victim, action, module = of_another(fleet)
        thief = DdiClient(fleet.device("thief"), victim.name)
        replies = [thief.get(), thief.config({"a": "b"}), thief.get(f"/deploymentBase/{action}"), thief.say(action, "closed", "success"),
                   thief.get(f"/cancelAction/{action}"), thief.answer(action, "closed", "success"), thief.get(f"/installedBase/{action}"),
                   thief.get(f"/softwaremodules/{module}/artifacts"), thief.get(f"/softwaremodules/{module}/artifacts/u-boot.bin"),
                   thief.get(f"/softwaremodules/{module}/artifacts/u-boot.bin.MD5SUM"), fleet.device("thief").get(f"/general/{victim.name}"),
                   fleet.device("thief").put(f"/general/{victim.name}/log", b"fail")]
        assert {(reply.status, reply.problem) for reply in replies} == {(403, "identity")}
        assert fleet.state(action) == "offered"

    def test_their_action_under_the_own_name(self, fleet):
        _, action, module = of_another(fleet)
        thief = fleet.client()
        replies = [thief.get(f"/deploymentBase/{action}"), thief.say(action, "closed", "success"), thief.get(f"/cancelAction/{action}"),
                   thief.answer(action, "closed", "success"), thief.get(f"/installedBase/{action}"), thief.get(f"/softwaremodules/{module}/artifacts"),
                   thief.get(f"/softwaremodules/{module}/artifacts/u-boot.bin")]
        assert {reply.status for reply in replies} == {404}
        assert fleet.state(action) == "offered"

    @pytest.mark.parametrize("action", ["0", "7", "99999999", "x", "-1", "1001x", "9" * 30])
    def test_no_such_action(self, fleet, action):
        client = fleet.client()
        for reply in (client.get(f"/deploymentBase/{action}"), client.say(action, "closed", "success"), client.get(f"/cancelAction/{action}")):
            assert reply.status == 404 and reply.json["message"]

    def test_an_action_that_was_not_read_is_none(self, fleet):
        client = fleet.client()
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        assert client.get(f"/deploymentBase/{action}").status == 404
        assert client.say(action, "closed", "success").status == 404
        assert client.action() == int(action)
        assert client.say(action, "closed", "success").status == 404


# What each word does to an open action: (status, state, does the action stay open for the client?), by ddi.md section 7.
OPEN = {
    ("closed", "success"): ("rebooting", False), ("closed", "none"): ("rebooting", False), ("closed", "failure"): ("failed", False),
    **{("downloaded", finished): ("downloaded", True) for finished in ("none", "success", "failure")},
    **{("download", finished): ("downloading", True) for finished in ("none", "success", "failure")},
    **{("canceled", finished): ("cancelled", False) for finished in ("none", "success", "failure")},
    **{(word, finished): ("installing", True) for word in ("proceeding", "resumed") for finished in ("none", "success", "failure")},
    **{(word, finished): ("offered", True) for word in ("scheduled", "rejected") for finished in ("none", "success", "failure")},
}


class TestFeedback:
    @pytest.mark.parametrize("execution,finished", OPEN)
    def test_on_an_open_action(self, fleet, execution, finished):
        client, action = fleet.offered()
        state, stays = OPEN[execution, finished]
        assert client.say(action, execution, finished).status == 200
        assert fleet.state(action) == state
        assert (client.action() == action) is stays
        assert client.say(action, execution, finished).status == 200  # the answer was lost
        assert fleet.state(action) == state

    @pytest.mark.parametrize("execution,finished", OPEN)
    def test_on_a_cancelling_action(self, fleet, execution, finished):
        """Progress is taken, closed wins over the cancel."""
        client, action = fleet.offered()
        fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert client.say(action, execution, finished).status == 200
        closing = {("closed", "success"): "rebooting", ("closed", "none"): "rebooting", ("closed", "failure"): "failed"}
        state = "cancelled" if execution == "canceled" else closing.get((execution, finished), "cancelling")
        assert fleet.state(action) == state

    @pytest.mark.parametrize("recorded", [("closed", "success"), ("closed", "failure"), ("canceled", "none")])
    def test_on_a_closed_action(self, odd, recorded):
        """The repeat of the answer on record is 200, anything else 410."""
        client, action = odd.offered()
        assert client.say(action, *recorded).status == 200
        state = odd.state(action)
        assert state == {"success": "confirmed", "failure": "failed"}.get(recorded[1], "cancelled")
        for execution, finished in OPEN:
            if execution == "canceled":
                same = recorded[0] == "canceled"
            else:
                same = execution == recorded[0] and (finished == "failure") == (recorded[1] == "failure")
            reply = client.say(action, execution, finished)
            assert reply.status == (200 if same else 410), (execution, finished)
        assert odd.state(action) == state

    def test_closed_by_others(self, odd):
        """Closed by force: every word is late. What a late success brought still counts for the floor."""
        client, action = odd.offered()
        odd.admin.ok("POST", f"/api/v1/deployments/{action}/force-close", {})
        assert client.say(action, "proceeding").status == 410
        assert client.say(action, "closed", "success").status == 410
        assert odd.state(action) == "cancelled"
        assert odd.admin.device(client.name)["floor"]["sequence"] == 2

    @pytest.mark.parametrize("execution", ["", "done", "CLOSED", "x" * 500, 5, None])
    def test_unknown_execution(self, fleet, execution):
        client, action = fleet.offered()
        assert client.post(action, feedback(execution)).status == 400
        assert client.post(action, feedback("closed", execution)).status == 400
        assert fleet.state(action) == "offered"

    def test_failure_is_recorded_and_not_offered_again(self, fleet):
        client, action = fleet.offered()
        lines = ["Signature verification failed", "Image invalid or corrupted. Not installing ..."]
        assert client.say(action, "closed", "failure", lines).status == 200
        shown = fleet.deployment(action)
        assert shown["state"] == "failed" and shown["error"] == {"code": "E_INSTALL", "detail": "; ".join(lines)}
        assert client.action() is None
        again = fleet.admin.ok("POST", f"/api/v1/deployments/{action}/retry", {})
        assert client.action() == int(again["id"]) != action

    def test_one_failure_holds_a_policys_release(self, auto):
        client = auto.client()
        first = client.fetch()
        assert first["deployment"]["chunks"][0]["version"] == "1.1.0"
        assert client.say(first["id"], "closed", "failure").status == 200
        second = client.fetch()
        assert second["deployment"]["chunks"][0]["version"] == "1.0.0"
        assert client.say(second["id"], "closed", "failure").status == 200
        assert client.action() is None

    def test_awaiting_restart_is_shown(self, fleet):
        client, action = fleet.offered()
        client.say(action, "proceeding", details=["Installed Chunk."], progress=(1, 1))
        assert fleet.deployment(action)["state"] == "installing" and fleet.deployment(action)["progress"] == 100
        client.say(action, "proceeding", details=["All Chunks Installed."], progress=(1, 1))
        assert fleet.state(action) == "rebooting"
        assert client.action() == action  # SWUpdate reads it again before it says how it went
        client.say(action, "proceeding", details=["Installing Update Chunk Artifacts."])
        assert fleet.state(action) == "rebooting"

    def test_success_is_the_version(self, fleet):
        """closed/success, then the attribute; or the attribute first; and not another version's."""
        client, action = fleet.offered()
        client.say(action, "closed", "success", ["Update Installed."])
        client.config({"version": "1.0.0"})
        assert fleet.state(action) == "rebooting"
        client.config({"version": "1.1.0"})
        device = fleet.admin.device(client.name)
        assert fleet.state(action) == "confirmed" and device["installed"] == {"version": "1.1.0", "sequence": 2} and device["floor"]["sequence"] == 2
        client, action = fleet.offered()
        client.config({"version": "1.1.0"})
        assert fleet.state(action) == "offered"
        client.say(action, "closed", "success")
        assert fleet.state(action) == "confirmed"
        assert client.get(f"/installedBase/{action}").json["id"] == str(action)

    def test_success_then_failure(self, fleet):
        client, action = fleet.offered()
        assert client.say(action, "closed", "success").status == 200
        assert client.say(action, "closed", "failure", ["booted the old one"]).status == 200
        assert fleet.state(action) == "failed"

    def test_report_is_enough(self, odd):
        client, action = odd.offered()
        assert client.say(action, "closed", "success").status == 200
        assert odd.state(action) == "confirmed"
        assert odd.admin.device(client.name)["installed"] == {"version": "1.1.0", "sequence": 2}

    def test_dirty_json(self, fleet):
        client, action = fleet.offered()
        line = b"a\x01b\tc\x00d\xffe\xc3"
        body = json.dumps(feedback("proceeding", details=["LINE"])).encode().replace(b"LINE", line)
        assert client.post(action, body).status == 200
        doubled = b'{"id":1,"id":2,"status":{"execution":"proceeding","result":{"finished":"none"},"details":["nul \\u0000 here"]}}'
        assert client.post(action, doubled).status == 200
        first, second = fleet.admin.pages(f"/api/v1/deployments/{action}/log")
        assert first["details"] == ["a b c d?e?"] and second["details"] == ["nul   here"]
        for broken in (b"", b"{", b"[]", b"null", b'{"status":{}}', b'{"status":{"execution":"closed"}}', b'{"status":"closed"}', b"[" * 5000,
                       b'{"status":{"execution":"closed","result":{"finished":"success"}},"data":"unescaped " quote"}'):
            assert client.post(action, broken).status == 400, broken
        assert fleet.state(action) == "installing"

    def test_256_kb_of_log(self, fleet):
        client, action = fleet.offered()
        body = json.dumps(feedback("proceeding", details=["y" * 2000] * 135)).encode()
        assert len(body) > 256 * 1024
        assert client.post(action, body).status == 200
        [entry] = fleet.admin.pages(f"/api/v1/deployments/{action}/log")
        assert len(entry["details"]) == 64 and entry["details"][0] == "y" * 2000
        assert client.post(action, b" " * (513 * 1024)).status == 413

    def test_log_is_bounded_and_keeps_the_result(self, fleet):
        client, action = fleet.offered()
        fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert client.answer(action, "rejected", "none", ["too late"]).status == 200
        for number in range(12):
            assert client.say(action, "proceeding", details=[f"{number} " + "z" * 2000] * 64).status == 200
        assert client.say(action, "closed", "failure", ["the end"]).status == 200
        entries = fleet.admin.pages(f"/api/v1/deployments/{action}/log")
        numbers = [entry["seq"] for entry in entries]
        assert entries[0]["details"] == ["too late"] and entries[0]["cancel"] and entries[-1]["details"] == ["the end"]
        assert numbers[0] == 1 and numbers[-1] == 14 and numbers[1:] == list(range(15 - len(numbers) + 1, 15))
        assert sum(len(json.dumps(entry["details"])) for entry in entries) < 1.1 * 2**20

    def test_restart_in_between(self, restarted):
        fleet = restarted
        client, action = fleet.offered("1.0.0")
        client.say(action, "proceeding")
        client.say(action, "closed", "success")
        fleet.server.kill()
        fleet.server.start()
        assert client.action() is None and set(client.links()) == {"configData"}
        assert client.say(action, "closed", "success").status == 200
        client.config({"version": "1.0.0"})
        assert fleet.state(action) == "confirmed"
        fleet.server.restart()
        assert client.links() == {}


class TestCancel:
    def cancelling(self, fleet):
        client, action = fleet.offered()
        client.say(action, "proceeding")
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {"reason": "wrong one"})["state"] == "cancelling"
        return client, action

    @pytest.mark.parametrize("finished", ["success", "none"])
    def test_accepted(self, fleet, finished):
        client, action = self.cancelling(fleet)
        assert client.answer(action, "closed", finished, ["cancellation acknowledged."]).status == 200
        assert fleet.state(action) == "cancelled" and "cancelAction" not in client.links() and client.action() is None
        assert client.answer(action, "closed", finished).status == 200
        assert client.answer(action, "rejected", "none").status == 404
        assert client.say(action, "closed", "success").status == 410

    @pytest.mark.parametrize("answer", [("closed", "failure"), ("rejected", "none"), ("rejected", "success")])
    def test_refused(self, fleet, answer):
        """It runs again; the poll shows it again."""
        client, action = self.cancelling(fleet)
        assert client.answer(action, *answer).status == 200
        assert fleet.state(action) == "installing" and client.action() == action
        assert client.answer(action, *answer).status == 200
        assert client.answer(action, "closed", "success").status == 404
        assert client.get(f"/cancelAction/{action}").status == 404
        fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert client.answer(action, "closed", "success").status == 200
        assert fleet.state(action) == "cancelled"

    @pytest.mark.parametrize("word", ["proceeding", "scheduled", "resumed", "canceled", "download", "downloaded"])
    def test_noted(self, fleet, word):
        client, action = self.cancelling(fleet)
        assert client.answer(action, word).status == 200
        assert fleet.state(action) == "cancelling" and "cancelAction" in client.links()

    def test_never_read_is_dropped_at_once(self, fleet):
        client = fleet.client()
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        client.poll()
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})["state"] == "cancelled"
        assert set(client.links()) == {"configData"}

    def test_by_force(self, fleet):
        client, action = self.cancelling(fleet)
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/force-close", {})["state"] == "cancelled"
        assert set(client.links()) == {"configData"}
        assert client.answer(action, "closed", "success").status == 404

    def test_nothing_else_is_offered_meanwhile(self, fleet):
        client, action = self.cancelling(fleet)
        assert fleet.admin.assign(client.name, "1.0.0").status == 202
        assert "deploymentBase" not in client.links() and "cancelAction" in client.links()
        client.answer(action, "rejected")
        assert client.action() == action

    def superseding(self, fleet):
        """1.0.0 is out, 1.1.0 waits for its end."""
        client, action = fleet.offered("1.0.0")
        reply = fleet.admin.assign(client.name, "1.1.0")
        assert reply.status == 202
        assert reply.json == {"device": client.name, "product": "gw", "version": "1.1.0", "waits_for": str(action)}
        assert fleet.state(action) == "cancelling" and fleet.deployment(action)["reason"] == "superseded by gw 1.1.0"
        decision = f"/api/v1/devices/{client.name}/decision"
        shown = fleet.admin.ok("GET", decision)
        assert shown["deployment"]["id"] == str(action) and shown["waiting"]["version"] == "1.1.0" and shown["rollouts"] == []
        plain = fleet.server.operator(fleet.admin.token_with("device:read")).ok("GET", decision)
        assert (plain["deployment"], plain["waiting"], plain["rollouts"]) == (None, None, None) and plain["reason"] == shown["reason"]
        refused = fleet.admin.post(f"/api/v1/deployments/{action}/retry", {})
        assert refused.status == 409 and "wait for the client's answer or close it by force" in refused.json["detail"]
        assert "deploymentBase" not in client.links() and client.links()["cancelAction"].endswith(f"/{action}")
        return client, action

    def follows(self, fleet, client, action):
        """The one that waited is offered now."""
        assert client.action() != action and "cancelAction" not in client.links()
        assert fleet.admin.ok("GET", f"/api/v1/devices/{client.name}/decision")["waiting"] is None
        assert client.fetch()["deployment"]["chunks"][0]["version"] == "1.1.0"

    def test_superseding_waits_for_agreement(self, fleet):
        client, action = self.superseding(fleet)
        assert client.answer(action, "closed", "success").status == 200
        assert fleet.state(action) == "cancelled"
        self.follows(fleet, client, action)

    def test_superseding_waits_for_the_installation(self, fleet):
        client, action = self.superseding(fleet)
        assert client.answer(action, "rejected").status == 200
        assert fleet.state(action) == "installing" and client.action() == action
        assert client.say(action, "closed", "success").status == 200
        assert fleet.state(action) == "rebooting"
        client.config({"version": "1.0.0"})
        assert fleet.state(action) == "confirmed"
        self.follows(fleet, client, action)

    def test_superseding_by_force(self, fleet):
        client, action = self.superseding(fleet)
        said = fleet.server.pawl("deployments", "assign", client.name, "1.1.0").stdout
        assert said == f"device\t{client.name}\nrelease\tgw/1.1.0\nwaits for\t{action}\n"
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/force-close", {})["state"] == "cancelled"
        self.follows(fleet, client, action)

    def test_after_the_answer_there_is_nobody_to_ask(self, fleet):
        client, action = fleet.offered()
        client.say(action, "closed", "success")
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})["state"] == "cancelled"
        assert "cancelAction" not in client.links()

    def test_not_being_cancelled(self, fleet):
        client, action = fleet.offered()
        assert client.get(f"/cancelAction/{action}").status == 404
        assert client.answer(action, "closed", "success").status == 404
        assert fleet.state(action) == "offered"

    def test_unknown_word(self, fleet):
        client, action = self.cancelling(fleet)
        assert client.answer(action, "closed!").status == 400
        assert fleet.state(action) == "cancelling"

    def test_withdrawn_release_is_cancelled_first(self, fleet):
        """The policy has another release for it: the client is asked to stop before it hears of that."""
        fleet = Fleet(fleet.server, "fading", policy="latest")
        client = fleet.client()
        action = client.fetch()["id"]
        fleet.admin.ok("POST", "/api/v1/releases/fading/1.1.0/withdraw", {})
        client.poll()
        assert "cancelAction" in client.links() and fleet.state(action) == "cancelling"
        assert client.answer(action, "closed", "success").status == 200
        assert client.fetch()["deployment"]["chunks"][0]["version"] == "1.0.0"


class TestAttributes:
    def shown(self, fleet, client):
        return fleet.admin.ok("GET", f"/api/v1/devices/{client.name}/ddi")

    def test_modes(self, fleet):
        client = fleet.client()
        assert self.shown(fleet, client)["attributes"] == {}
        for data, mode, result in (({"a": "1", "b": "2"}, None, {"a": "1", "b": "2"}), ({"b": "3", "c": "4"}, "merge", {"a": "1", "b": "3", "c": "4"}),
                                   ({"a": "", "x": ""}, "remove", {"b": "3", "c": "4"}), ({"z": "9"}, "replace", {"z": "9"})):
            assert client.config(data, mode).status == 200
            assert self.shown(fleet, client)["attributes"] == result

    def test_asked_for(self, fleet):
        client = fleet.client()
        assert set(client.links()) == {"configData"}
        client.config({"a": "1"})
        assert client.links() == {} and not self.shown(fleet, client)["attributes_wanted"]
        assert fleet.admin.ok("POST", f"/api/v1/devices/{client.name}/ddi/ask", {"reason": "curious"})["attributes_wanted"]
        assert set(client.links()) == {"configData"}
        assert client.config({"a": "1"}).status == 200 and client.config({"a": "2"}).status == 200  # taken at any time
        assert client.links() == {}

    def test_version_is_looked_up_exactly(self, fleet):
        client = fleet.client()
        for version, sequence in (("1.0.0", 1), ("1.1.0", 2), ("1.1", None), ("v1.1.0", None), ("x" * 128, None), ("1.0.0", 1)):
            client.config({"version": version})
            installed = fleet.admin.device(client.name)["installed"]
            assert (installed and installed["sequence"]) == sequence, version
        assert [event["kind"] for event in fleet.admin.events(device=client.name)].count("rolled-back") == 0
        client.config({"version": "1.1.0"})
        client.config({"version": "1.0.0"})
        assert [event["kind"] for event in fleet.admin.events(device=client.name)].count("rolled-back") == 1

    def test_what_runs_is_not_offered(self, auto):
        client = auto.client()
        client.config({"version": "1.1.0"})
        assert client.links() == {}

    def test_product_and_hardware_from_attributes(self, odd):
        client = odd.stranger("new")
        assert set(client.links()) == {"configData"}
        client.config({"line": "no such", "hwRevision": "a b"})
        assert odd.admin.device("new")["product"] is None and odd.admin.device("new")["hardware"] is None
        client.config({"line": "odd", "hwRevision": HARDWARE, "os": "1.0.0"})
        device = odd.admin.device("new")
        assert (device["product"], device["hardware"], device["installed"]) == ("odd", HARDWARE, {"version": "1.0.0", "sequence": 1})
        assert client.fetch()["deployment"]["chunks"][0]["version"] == "1.1.0"
        client.config({"line": "odd", "hwRevision": "other"})
        assert odd.admin.device("new")["hardware"] == HARDWARE
        assert "identity-mismatch" in [event["kind"] for event in odd.admin.events(device="new")]

    def test_stepping_stone_of_an_unknown_version(self, fleet):
        fleet.server.publish(UBOOT_RISCV, "gw", "2.0.0", (HARDWARE,), "--requires-sequence", "1")
        client = fleet.client()
        client.config({"version": "home-made"})
        reply = fleet.admin.assign(client.name, "2.0.0")
        assert reply.status == 409 and "installed-unknown" in reply.json["detail"]
        client.config({"version": "1.0.0"})
        assert fleet.admin.assign(client.name, "2.0.0").status == 201
        assert client.fetch()["deployment"]["chunks"][0]["version"] == "2.0.0"

    def test_broken_body(self, fleet):
        client = fleet.client()
        assert client.config(raw=b'{"data":{"a":"dirty \x07 \xfe"}}').status == 200
        assert self.shown(fleet, client)["attributes"] == {"a": "dirty   ?"}
        assert client.config(raw=b'{"data":{"a":"un"escaped"}}').status == 400
        assert client.config(raw=b"").status == 200


class TestArtifact:
    """Section 10; the range table byte for byte is in test_ranges.py, over the same code."""

    def test_head_range_and_conditions(self, fleet):
        client, _ = fleet.offered()
        path = path_of(artifact_of(client.fetch())["_links"]["download"]["href"])
        data = UBOOT_ARM64.read_bytes()
        size, etag = len(data), f'"{hashlib.sha256(data).hexdigest()}"'
        whole = client.device.get(path)
        assert whole.status == 200 and whole.body == data and whole.header("Accept-Ranges") == "bytes" and whole.header("ETag") == etag
        assert whole.header("Content-Disposition") == "attachment" and whole.header("Repr-Digest")
        head = client.device.head(path, headers=[("Range", "bytes=5-")])
        assert head.status == 200 and head.header("Content-Length") == str(size)
        for asked, first, last in (("0-", 0, size - 1), ("0-0", 0, 0), ("1000-", 1000, size - 1), ("5-9", 5, 9), ("-7", size - 7, size - 1), (f"100-{size * 2}", 100, size - 1)):
            part = client.device.get(path, headers=[("Range", f"bytes={asked}")])
            assert part.status == 206 and part.body == data[first : last + 1] and part.header("Content-Range") == f"bytes {first}-{last}/{size}"
        none = client.device.get(path, headers=[("Range", f"bytes={size}-")])
        assert none.status == 416 and none.header("Content-Range") == f"bytes */{size}"
        assert client.device.get(path, headers=[("If-None-Match", etag)]).status == 304
        assert client.device.get(path, headers=[("If-Match", '"x"')]).status == 412

    @pytest.mark.parametrize("file", ["u-boot.bin.md5sum", "u-boot", "u-boot.bin%2f", "..%2fu-boot.bin", "u-boot.bin%00", "u-boot.bin.MD5SUM.MD5SUM", ".MD5SUM"])
    def test_exact_names(self, fleet, file):
        client, _ = fleet.offered()
        folder = path_of(artifact_of(client.fetch())["_links"]["download"]["href"]).rsplit("/", 1)[0]
        assert client.device.get(f"{folder}/{file}").status in (400, 404)

    def test_entitlement_ends(self, odd):
        client, action = odd.offered()
        path = path_of(artifact_of(client.fetch())["_links"]["download"]["href"])
        assert client.device.get(path).status == 200
        client.say(action, "closed", "failure")
        assert wait_for(lambda: client.device.get(path).status == 404)

    def test_survives_a_restart(self, restarted):
        fleet = restarted
        client, _ = fleet.offered("1.0.0")
        path = path_of(artifact_of(client.fetch())["_links"]["download"]["href"])
        first = client.device.get(path, headers=[("Range", "bytes=0-999")]).body
        fleet.server.kill()
        fleet.server.start()
        assert first + client.device.get(path, headers=[("Range", "bytes=1000-")]).body == UBOOT_ARM.read_bytes()

    def test_sealed_releases_are_not_offered(self, fleet, tmp_path):
        import subprocess

        fleet = Fleet(fleet.server, "secret", releases=[("1.0.0", UBOOT_ARM)], policy="latest")
        key = tmp_path / "key"
        recipient = subprocess.run(["age-keygen", "-o", str(key)], capture_output=True, text=True, check=True).stderr.split()[-1]
        fleet.server.publish(UBOOT_ARM64, "secret", "1.1.0", (HARDWARE,), "--seal-to", recipient, "--sealed-out", tmp_path / "sealed")
        client = fleet.client()
        assert client.fetch()["deployment"]["chunks"][0]["version"] == "1.0.0"
        reply = fleet.admin.assign(client.name, "1.1.0")
        assert reply.status == 409
        native = fleet.device("native")
        assert native.directive(product="secret", hardware=HARDWARE)["release"]["version"] == "1.1.0"


def wait_for(condition, seconds=20):
    import time

    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return False


def test_expect_continue(fleet):
    """SWUpdate waits for the interim answer before it sends its attributes."""
    client = fleet.client()
    body = b'{"data":{"a":"b"}}'
    with Connection(fleet.server.device_port, client.device.tls) as connection:
        connection.send(f"PUT {client.base}/configData HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\nExpect: 100-continue\r\n\r\n".encode())
        assert connection.read_head().status == 100
        connection.send(body)
        assert connection.read_reply("PUT").status == 200


def test_native_and_ddi_share_everything(fleet):
    """One device, both protocols: the same deployment."""
    client, action = fleet.offered()
    directive = client.device.directive()
    assert directive["deployment"] == str(action)
    assert client.device.report(str(action), 1, "downloading").status == 200
    assert client.say(action, "proceeding").status == 200
    assert fleet.state(action) == "installing"


def test_optional_rollout_is_an_attempt(fleet):
    """The device's user may postpone it; hara asks, the others go ahead."""
    client = fleet.client()
    plan = {"product": fleet.product, "version": "1.1.0", "ids": [client.name], "mode": "optional"}
    rollout = fleet.admin.ok("POST", "/api/v1/rollouts", plan)
    fleet.admin.ok("POST", f"/api/v1/rollouts/{rollout['id']}/start", {})
    assert wait_for(lambda: client.action() is not None)
    update = client.fetch()["deployment"]
    assert (update["download"], update["update"]) == ("attempt", "attempt")
    action = client.action()
    fleet.admin.ok("POST", f"/api/v1/rollouts/{rollout['id']}/stop", {})
    assert client.say(action, "closed", "failure").status == 200
    assert fleet.state(action) == "failed"
