"""Webhooks: the resource, signed deliveries to a real HTTPS receiver, retries, a queue that outlives kill -9, targets that are refused, secrets that stay."""

import json
import re
import socket
import time

import pytest

from lib.receiver import Receiver, make_certificate
from lib.wait import wait_for

LOOPBACK = {"allow": "127.0.0.0/8 ::1", "retry_first": "1s", "retry_max": "1s", "attempts": "3", "timeout": "2s"}


@pytest.fixture(scope="module")
def receiver(tmp_path_factory):
    made = Receiver(tmp_path_factory.mktemp("receiver"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def server(servers, receiver):
    return servers({"webhooks": {**LOOPBACK, "ca_file": receiver.certificate[0]}})


@pytest.fixture(scope="module")
def admin(server):
    return server.operator()


@pytest.fixture(autouse=True)
def fresh(receiver):
    receiver.messages.clear()
    receiver.answer = 204


class Hook:
    def __init__(self, client, url, **fields):
        made = client.ok("POST", "/api/v1/webhooks", {"url": url, **fields})
        self.client, self.secret, self.shown = client, made["secret"], made["webhook"]
        self.path = f"/api/v1/webhooks/{self.shown['id']}"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.client.delete(self.path, headers=[("If-Match", "*")])

    def deliveries(self, state=None):
        return self.client.ok("GET", self.path + "/deliveries?limit=1000" + (f"&state={state}" if state else ""))["items"]

    def test(self):
        return self.client.ok("POST", self.path + "/test")["event"]

    def state_of(self, event):
        return next(each for each in self.deliveries() if each["event"] == event)

    def wait(self, event, state):
        return wait_for(lambda: self.state_of(event)["state"] == state and self.state_of(event))


def device_of(admin, name, product=None):
    if product:
        admin.post("/api/v1/products", {"id": product, "policy": "rollout"})
    admin.ok("POST", "/api/v1/devices", {"id": name, **({"product": product, "hardware": "board-a"} if product else {})})


class TestResource:
    def test_life(self, server, admin, receiver):
        made = admin.post("/api/v1/webhooks", {"url": receiver.url(), "kinds": ["registered", "revoked"], "product": "life", "description": "pager"})
        assert made.status == 201 and re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made.json["secret"])
        path = f"/api/v1/webhooks/{made.json['webhook']['id']}"
        assert made.header("Location") == path
        got = admin.get(path)
        assert got.json == made.json["webhook"] and got.header("ETag") == made.header("ETag")
        assert "secret" not in got.json and made.json["secret"] not in got.body.decode()
        assert got.json in admin.pages("/api/v1/webhooks")
        assert admin.patch(path, {"description": "x"}, headers=[("If-Match", '"9"')]).status == 412
        assert admin.patch(path, {"description": "x"}).status == 428
        assert admin.patch(path, {}, headers=[("If-Match", "*")]).status == 400
        changed = admin.patch(path, {"description": "siren", "product": None, "kinds": [], "state": "disabled"}, headers=[("If-Match", got.header("ETag"))])
        assert changed.status == 200 and changed.json == {**got.json, "description": "siren", "product": None, "kinds": [], "state": "disabled"}
        assert admin.get(path).header("ETag") == changed.header("ETag") != got.header("ETag")
        assert admin.post(path + "/test").status == 409
        assert admin.delete(path, headers=[("If-Match", got.header("ETag"))]).status == 412
        assert admin.delete(path, headers=[("If-Match", changed.header("ETag"))]).status == 204
        assert admin.get(path).status == 404 and admin.get(path + "/deliveries").status == 404
        rows = [row for row in admin.pages("/api/v1/audit", 1000) if row["object"] == "webhook:" + made.json["webhook"]["id"]]
        assert [row["action"] for row in rows] == ["webhook.create", "webhook.update", "webhook.delete"]
        host = receiver.url().split("/")[2]
        assert json.loads(rows[0]["detail"]) == {"host": host, "kinds": "registered,revoked", "product": "life", "state": "enabled"}
        assert json.loads(rows[1]["detail"]) == {"host": host, "kinds": "all", "state": "disabled"}

    def test_secret_is_shown_once(self, admin, receiver):
        """The same Idempotency-Key again makes no second webhook and shows no secret."""
        key = [("Idempotency-Key", "hook-1")]
        first = admin.post("/api/v1/webhooks", {"url": receiver.url("/once")}, headers=key)
        again = admin.post("/api/v1/webhooks", {"url": receiver.url("/once")}, headers=key)
        assert again.json == {"webhook": first.json["webhook"], "secret": None}
        assert len([each for each in admin.pages("/api/v1/webhooks") if each["url"].endswith("/once")]) == 1
        admin.delete(f"/api/v1/webhooks/{first.json['webhook']['id']}", headers=[("If-Match", "*")])

    @pytest.mark.parametrize("body,field", [
        ({}, "url"), ({"url": "ftp://example.com/"}, "url"), ({"url": "http://example.com/"}, "url"), ({"url": "https://"}, "url"),
        ({"url": "https://user:word@example.com/"}, "url"), ({"url": "https://example.com/#part"}, "url"), ({"url": "https://exa mple.com/"}, "url"),
        ({"url": "https://example.com:0/"}, "url"), ({"url": "https://example.com:99999/"}, "url"), ({"url": "https://example.com/" + "x" * 2048}, "url"),
        ({"url": "https://example.com/", "kinds": ["nothing"]}, "kinds"), ({"url": "https://example.com/", "state": "asleep"}, "state"),
        ({"url": "https://example.com/", "product": "a b"}, "product"), ({"url": "https://example.com/", "secret": "mine"}, "secret"),
    ])
    def test_bad_input(self, admin, body, field):
        before = admin.pages("/api/v1/webhooks")
        reply = admin.post("/api/v1/webhooks", body)
        assert reply.status == 400 and reply.json["errors"][0]["field"].startswith(field), reply
        assert admin.pages("/api/v1/webhooks") == before

    def test_no_more_than_one_may_see(self, server, admin, receiver):
        """A token sends nothing out that it could not read itself."""
        client = server.operator(admin.token_with("token:admin", "device:read@seen"))
        for product in (None, "unseen"):
            reply = client.post("/api/v1/webhooks", {"url": receiver.url(), "product": product})
            assert reply.status == 403 and reply.problem == "scope"
        with Hook(client, receiver.url(), product="seen") as hook:
            reply = client.patch(hook.path, {"product": None}, headers=[("If-Match", "*")])
            assert reply.status == 403

    def test_switched_off(self, new_server):
        off = new_server({"webhooks": {"enabled": "no"}}).operator()
        reply = off.post("/api/v1/webhooks", {"url": "https://example.com/"})
        assert reply.status == 409 and "[webhooks] enabled" in reply.json["detail"]


class TestDelivery:
    def test_signed_event(self, admin, receiver):
        """The event as the list shows it, with Standard Webhooks headers; verified by nothing of ours."""
        with Hook(admin, receiver.url("/hook?channel=7"), kinds=["registered"]) as hook:
            device_of(admin, "signed-1", "signed")
            admin.ok("POST", "/api/v1/devices/signed-1/revoke", {"reason": "not asked for"})
            message = wait_for(lambda: receiver.messages and receiver.messages[0])
            event = admin.events(device="signed-1", kind="registered")[0]
            assert message.path == "/hook?channel=7" and message.headers["Content-Type"] == "application/json"
            assert message.json == {"type": "registered", "timestamp": event["time"], "data": event}
            assert abs(int(message.headers["webhook-timestamp"]) - time.time()) < 60
            assert message.verify(hook.secret) and not message.verify("whsec_" + "A" * 43 + "=")
            message.body += b" "
            assert not message.verify(hook.secret)
            done = hook.wait(event["id"], "delivered")
            assert done["attempts"] == 1 and done["status"] == 204 and done["error"] is None and done["next_at"] is None
            assert hook.deliveries() == [done] and hook.deliveries("delivered") == [done] and hook.deliveries("dead") == []
            assert len(receiver.messages) == 1

    def test_kinds_and_products(self, admin, receiver):
        with Hook(admin, receiver.url("/all")), Hook(admin, receiver.url("/one"), product="one"), Hook(admin, receiver.url("/none"), kinds=["image-missing"]), \
                Hook(admin, receiver.url("/off"), state="disabled"):
            device_of(admin, "kinds-none")
            device_of(admin, "kinds-one", "one")
            device_of(admin, "kinds-two", "two")
            wait_for(lambda: len(receiver.messages) >= 4)
            time.sleep(0.3)
            got = sorted((message.path, message.event["device"]) for message in receiver.messages)
        assert got == [("/all", "kinds-none"), ("/all", "kinds-one"), ("/all", "kinds-two"), ("/one", "kinds-one")]

    def test_in_order(self, admin, receiver):
        with Hook(admin, receiver.url()):
            for number in range(50):
                device_of(admin, f"order-{number}")
            wait_for(lambda: len(receiver.messages) >= 50)
        assert [message.event["device"] for message in receiver.messages] == [f"order-{number}" for number in range(50)]
        assert len({message.id for message in receiver.messages}) == 50

    def test_rotation(self, admin, receiver):
        """For a day both secrets sign, so that no receiver misses anything while it changes over."""
        with Hook(admin, receiver.url()) as hook:
            made = admin.post(hook.path + "/rotate")
            assert made.status == 200 and made.json["secret"] != hook.secret and made.json["webhook"]["old_secret_until"]
            hook.test()
            message = wait_for(lambda: receiver.messages and receiver.messages[0])
            assert message.verify(hook.secret) and message.verify(made.json["secret"])
            again = admin.post(hook.path + "/rotate").json["secret"]
            hook.test()
            wait_for(lambda: len(receiver.messages) >= 2)
            assert receiver.messages[1].verify(again) and not receiver.messages[1].verify(hook.secret)

    def test_test(self, admin, receiver):
        """A test goes to this one webhook, whatever kinds it wants."""
        with Hook(admin, receiver.url("/asked"), kinds=["image-missing"]) as hook, Hook(admin, receiver.url("/other")):
            event = hook.test()
            assert hook.wait(event, "delivered")["status"] == 204
            assert [(message.path, message.json["type"]) for message in receiver.messages] == [("/asked", "webhook-test")]
            metrics = admin.get("/metrics").body.decode()
            assert int(re.search(r'^pawl_webhook_deliveries{state="delivered"} (\d+)$', metrics, re.M).group(1)) >= 1


class TestFailure:
    def test_again_with_the_same_id_and_body(self, admin, receiver):
        answers = [(500, {}, b""), (503, {}, b"later"), (200, {}, b"ok")]
        receiver.answer = lambda _: answers.pop(0)
        with Hook(admin, receiver.url()) as hook:
            done = hook.wait(hook.test(), "delivered")
            assert done["attempts"] == 3 and done["status"] == 200
            assert len({message.id for message in receiver.messages}) == len({message.body for message in receiver.messages}) == 1
            assert all(message.verify(hook.secret) for message in receiver.messages)

    def test_given_up(self, server, admin, receiver):
        """After the last attempt the delivery is dead and there is an event, once an hour, that goes to no webhook; retry begins again."""
        receiver.answer = 500
        with Hook(admin, receiver.url("/dead")) as hook, Hook(admin, receiver.url("/dead-too")):
            events = [hook.test(), hook.test()]
            dead = [hook.wait(event, "dead") for event in events]
            assert all(each["attempts"] == 3 and each["status"] == 500 and "500" in each["error"] for each in dead)
            told = [event for event in admin.events(kind="webhook-dead") if event["detail"]["webhook"] == hook.shown["id"]]
            assert len(told) == 1 and told[0]["detail"]["event"] in events
            assert receiver.of("webhook-dead") == []
            assert "webhook delivery failed" in server.log()
            receiver.answer = 204
            assert admin.post(f"{hook.path}/deliveries/{events[0]}/retry").status == 202
            assert hook.wait(events[0], "delivered")["attempts"] == 1
            assert admin.post(f"{hook.path}/deliveries/999999/retry").status == 404

    def test_retry_of_what_waits(self, admin, receiver):
        receiver.answer = 500
        with Hook(admin, receiver.url()) as hook:
            event = hook.test()
            wait_for(lambda: receiver.messages)
            reply = admin.post(f"{hook.path}/deliveries/{event}/retry")
            assert reply.status == 409 or hook.state_of(event)["state"] == "dead"

    @pytest.mark.parametrize("name", ["redirect", "hang up", "too slow", "endless head", "large body"])
    def test_answers(self, admin, receiver, name):
        """A redirect is not followed; what hangs, floods or breaks off is a failure, and a 2xx with whatever body is a success."""
        answers = {
            "redirect": lambda _: (302, {"Location": receiver.url("/elsewhere")}, b""),
            "hang up": lambda _: None,
            "too slow": lambda _: (time.sleep(3), None)[1],
            "endless head": lambda _: (200, {f"X-{number}": "y" * 8000 for number in range(40)}, b""),
            "large body": lambda _: (200, {}, b"x" * 4000000),
        }
        receiver.answer = answers[name]
        with Hook(admin, receiver.url()) as hook:
            event = hook.test()
            if name in ("large body", "endless head"):
                assert hook.wait(event, "delivered")["status"] == 200
            else:
                wait_for(lambda: hook.state_of(event)["error"])
                assert hook.state_of(event)["status"] == (302 if name == "redirect" else None)
                assert "/elsewhere" not in [message.path for message in receiver.messages]

    def test_nobody_is_held_up(self, server, admin, receiver):
        """While receivers hang, requests are answered, and other webhooks get theirs."""
        receiver.answer = lambda message: time.sleep(3) if message.path == "/slow" else (204, {}, b"")
        hooks = [Hook(admin, receiver.url("/slow")) for _ in range(4)]
        with Hook(admin, receiver.url("/quick")):
            begin = time.monotonic()
            device_of(admin, "held-1")
            wait_for(lambda: [message for message in receiver.messages if message.path == "/quick"])
            assert time.monotonic() - begin < 6  # one after the other they would take eight
        for hook in hooks:
            hook.__exit__()


def test_outlives_kill(new_server, tmp_path):
    """kill -9 between the event and its delivery, and in the middle of one: delivered after the next start, at least once, with the same id."""
    receiver = Receiver(tmp_path / "receiver")
    server = new_server({"webhooks": {**LOOPBACK, "attempts": "30", "ca_file": receiver.certificate[0]}})
    hook = Hook(server.operator(), receiver.url())
    receiver.answer = lambda _: time.sleep(1)  # has it, and never says so
    device_of(server.operator(), "kill-0")
    wait_for(lambda: receiver.messages)
    server.kill()
    port = receiver.port
    receiver.close()
    server.start()
    for number in range(1, 6):
        device_of(server.operator(), f"kill-{number}")
    wait_for(lambda: "webhook delivery failed" in server.log())
    server.kill()
    server.start()
    again = Receiver(tmp_path / "receiver", port=port, certificate=receiver.certificate)
    wait_for(lambda: {f"kill-{number}" for number in range(6)} <= {message.event["device"] for message in list(again.messages)}, timeout=40)
    assert receiver.messages[0].id in [message.id for message in again.messages]
    assert all(message.verify(hook.secret) for message in again.messages)
    hook.client = server.operator()
    wait_for(lambda: [each["state"] for each in hook.deliveries()] == ["delivered"] * 6)
    server.stop()
    again.close()


REFUSED = ["127.0.0.1", "127.1.2.3", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1", "255.255.255.255",
           "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[fe80::1]", "[fd00::1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::1]", "[::127.0.0.1]",
           "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.0.1.", "[127.0.0.1]", "[::1%25lo]", "localhost."]


@pytest.fixture(scope="module")
def closed(servers, receiver):
    """As installed: nothing is allowed but public addresses."""
    return servers({"webhooks": {"ca_file": receiver.certificate[0], "retry_first": "1s", "attempts": "1"}})


@pytest.mark.parametrize("host", REFUSED)
def test_private_address_is_refused(closed, receiver, host):
    reply = closed.operator().post("/api/v1/webhooks", {"url": receiver.url(host=host)})
    assert reply.status == 400 and reply.json["errors"][0]["field"] == "url"


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "ip6-localhost", "a.localhost"])
def test_name_that_leads_home_is_refused(closed, receiver, host):
    """A name is looked up at every delivery, and the address that would be connected to is what counts."""
    with Hook(closed.operator(), receiver.url(host=host)) as hook:
        dead = hook.wait(hook.test(), "dead")
        assert dead["status"] is None
        assert "no public address" in dead["error"] or "resolve" in dead["error"], dead
    assert receiver.messages == []


def test_localhost_really_resolves_here():
    """Else the test above would show nothing."""
    assert {each[4][0] for each in socket.getaddrinfo("localhost", 443)} & {"127.0.0.1", "::1"}


def test_redirect_to_private(server, admin, receiver):
    """No way around by an answer of the receiver."""
    receiver.answer = lambda _: (307, {"Location": "https://169.254.169.254/latest"}, b"")
    with Hook(admin, receiver.url()) as hook:
        assert hook.wait(hook.test(), "dead")["status"] == 307


def test_wrong_certificate(servers, receiver, tmp_path_factory):
    """Another authority, or another name: nothing is sent."""
    other = Receiver(tmp_path_factory.mktemp("other"))
    client = servers({"webhooks": {**LOOPBACK, "attempts": "1", "ca_file": other.certificate[0]}}).operator()
    with Hook(client, receiver.url()) as hook:
        assert hook.wait(hook.test(), "dead")["status"] is None
    elsewhere = make_certificate(tmp_path_factory.mktemp("elsewhere"), names=["elsewhere.example"], addresses=[])
    named = Receiver(tmp_path_factory.mktemp("named"), certificate=elsewhere)
    client = servers({"webhooks": {**LOOPBACK, "attempts": "1", "ca_file": elsewhere[0]}}).operator()
    with Hook(client, named.url()) as hook:
        dead = hook.wait(hook.test(), "dead")
        assert dead["status"] is None and "localhost" in dead["error"]
    assert receiver.messages == other.messages == named.messages == []
    other.close()
    named.close()


def test_plain_http(servers):
    plain = Receiver()
    client = servers({"webhooks": {**LOOPBACK, "plain_http": "yes"}}).operator()
    with Hook(client, plain.url(scheme="http")) as hook:
        hook.wait(hook.test(), "delivered")
        assert plain.messages[0].verify(hook.secret)
    plain.close()


@pytest.mark.parametrize("value", ["127.0.0.1/8", "nonsense", "10.0.0.0/33", "10.0.0.0/8,127.0.0.1"])
def test_bad_configuration(servers, value):
    server = servers(start=False)
    server.write_config({"webhooks": {"allow": value}})
    done = server.run("check-config", check=False)
    assert done.returncode == 2 and "[webhooks] allow" in done.stderr


def test_secrets_stay(server, admin, receiver, tmp_path):
    """Neither secret nor URL (which may be one) is in the log or in the audit, whatever happens."""
    receiver.answer = 500
    with Hook(admin, receiver.url("/canary-path?token=canary-query")) as hook:
        rotated = admin.post(hook.path + "/rotate").json["secret"]
        hook.wait(hook.test(), "dead")
        audit = json.dumps(admin.pages("/api/v1/audit", 1000)) + json.dumps(admin.pages("/api/v1/events", 1000))
        for canary in (hook.secret, rotated, hook.secret[6:30], "canary-path", "canary-query"):
            assert canary not in server.log() and canary not in audit


def test_command_line(server, admin, receiver, tmp_path):
    """pawl webhooks: each verb once."""
    def pawl(*arguments, **options):
        return server.pawl("--json", "webhooks", *arguments, **options)

    made = json.loads(pawl("create", receiver.url("/cli"), "--kind", "registered", "--product", "cli", "--out", tmp_path / "secret").stdout)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    secret = (tmp_path / "secret").read_text(encoding="ascii").strip()
    assert pawl("create", receiver.url(), "--out", tmp_path / "secret", check=False).returncode == 6
    assert json.loads(pawl("show", made["id"]).stdout) == made and made in json.loads(pawl("list").stdout)["items"]
    changed = json.loads(pawl("set", made["id"], "--all-products", "--all-kinds", "--url", receiver.url("/moved")).stdout)
    assert changed["product"] is None and changed["kinds"] == [] and changed["url"].endswith("/moved")
    assert json.loads(pawl("disable", made["id"]).stdout)["state"] == "disabled"
    assert pawl("test", made["id"], check=False).returncode == 3
    assert json.loads(pawl("enable", made["id"]).stdout)["state"] == "enabled"
    event = json.loads(pawl("test", made["id"]).stdout)["event"]
    wait_for(lambda: receiver.messages and receiver.messages[0].verify(secret))
    wait_for(lambda: json.loads(pawl("deliveries", made["id"], "--state", "delivered").stdout)["items"])
    assert json.loads(pawl("retry", made["id"], event).stdout)["state"] == "waiting"
    rotated = json.loads(pawl("rotate", made["id"]).stdout)["secret"]
    assert rotated.startswith("whsec_") and rotated != secret
    shown = server.pawl("webhooks", "create", receiver.url("/shown"))
    assert re.fullmatch(r"whsec_\S+\n", shown.stdout), "nothing but the secret, as of a token"
    assert pawl("set", made["id"], check=False).returncode == 2
    assert pawl("set", made["id"], "--kind", "registered", "--all-kinds", check=False).returncode == 2
    for webhook in json.loads(pawl("list").stdout)["items"]:
        pawl("delete", webhook["id"])
    assert json.loads(pawl("list").stdout)["items"] == []
