"""Clients without a certificate: the token listener, which is off unless it is asked for."""

import contextlib
import pathlib
import socket
import time
import urllib.parse

import pytest

from lib.ddi import HARDWARE, DdiClient, Fleet
from lib.firmware import UBOOT_ARM
from lib.server import write_secret
from lib.wait import wait_for
from lib.wire import Client, Closed, context, head_bytes

GATEWAY = "the gateway's own token, long enough"


@pytest.fixture(scope="module")
def fleet(servers, tmp_path_factory):
    path = tmp_path_factory.mktemp("gateway") / "token"
    write_secret(path, GATEWAY + "\n")
    config = {"enrolment": {"auto_accept": "yes"}, "ddi": {"token_listen": "127.0.0.1:0", "gateway_token_file": path}}
    return Fleet(servers(config), "bare", releases=[("1.0.0", UBOOT_ARM)])


class Sources:
    """Another loopback address for each client, so that failed attempts are not slowed down."""

    count = 0

    def __call__(self):
        self.count += 1
        return f"127.2.{self.count // 250}.{self.count % 250 + 1}"


source = Sources()


def through(fleet, name, authorization=None):
    """A client on the token listener."""
    headers = [("Authorization", authorization)] if authorization else []
    line = Client(lambda: fleet.server.token_port, context(fleet.server.pki.server_ca), fleet.server.contract, headers, source())
    return DdiClient(line, name)


def register(fleet):
    """A device that the operator told of, and its token."""
    fleet.count += 1
    name = f"bare-{fleet.count}"
    fleet.admin.ok("POST", "/api/v1/devices", {"id": name, "product": fleet.product, "hardware": HARDWARE})
    return name, fleet.admin.ok("POST", f"/api/v1/devices/{name}/ddi/token")["secret"]


def test_off_by_default(new_server):
    assert new_server().token_port is None


def test_whole_update(fleet):
    name, token = register(fleet)
    action = int(fleet.admin.assign(name, "1.0.0").json["id"])
    client = through(fleet, name, f"TargetToken {token}")
    update = client.fetch()
    href = update["deployment"]["chunks"][0]["artifacts"][0]["_links"]["download"]["href"]
    assert client.follow(href).body == UBOOT_ARM.read_bytes()
    assert client.say(action, "closed", "success").status == 200
    assert client.config({"version": "1.0.0"}).status == 200
    assert fleet.state(action) == "confirmed"
    shown = fleet.admin.device(name)
    assert shown["pins"] == [] and shown["last_seen"]


def test_who_gets_nothing(fleet):
    name, token = register(fleet)
    other, others = register(fleet)
    for authorization in (None, "", f"TargetToken {others}", f"TargetToken {token[:-1]}", f"TargetToken  {token}", "TargetToken",
                          "TargetToken ", f"Bearer {token}", f"GatewayToken {token}", f"Bearer {fleet.server.token}", "GatewayToken x"):
        client = through(fleet, name, authorization)
        for reply in (client.get(), client.config({"a": "b"}), client.get("/deploymentBase/1001"), client.get("/softwaremodules/1/artifacts/u-boot.bin")):
            assert reply.status == 401 and reply.problem == "unauthenticated", authorization
    assert through(fleet, name, f"targettoken {token}").get().status == 200
    assert through(fleet, "nobody", f"TargetToken {token}").get().status == 401
    assert through(fleet, "no%20id", f"TargetToken {token}").get().status in (400, 401)
    assert through(fleet, other, f"TargetToken {token}").get().status == 401


def test_revoked_and_renewed(fleet):
    name, first = register(fleet)
    client = through(fleet, name, f"TargetToken {first}")
    assert client.get().status == 200
    second = fleet.admin.ok("POST", f"/api/v1/devices/{name}/ddi/token")["secret"]
    assert client.get().status == 401 and through(fleet, name, f"TargetToken {second}").get().status == 200
    assert not fleet.admin.ok("POST", f"/api/v1/devices/{name}/ddi/token/revoke", {"reason": "lost"})["has_token"]
    assert through(fleet, name, f"TargetToken {second}").get().status == 401
    actions = [row["action"] for row in fleet.admin.pages("/api/v1/audit") if row["object"] == f"device:{name}"]
    assert actions.count("ddi.token") == 2 and actions.count("ddi.token-revoke") == 1


def test_revoked_device(fleet):
    name, token = register(fleet)
    fleet.admin.ok("POST", f"/api/v1/devices/{name}/revoke")
    assert through(fleet, name, f"TargetToken {token}").get().status == 403


def test_a_download_ends_when_its_device_is_revoked(fleet):
    name, token = register(fleet)
    fleet.admin.assign(name, "1.0.0")
    client = through(fleet, name, f"TargetToken {token}")
    href = client.fetch()["deployment"]["chunks"][0]["artifacts"][0]["_links"]["download"]["href"]
    client.device.close()
    with client.device.connect() as connection:
        connection.raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.send(head_bytes("GET", urllib.parse.urlsplit(href).path, client.device.headers) * 20)
        assert connection.socket.recv(1000).startswith(b"HTTP/1.1 200")
        fleet.admin.get("/api/v1/whoami")
        before, end = fleet.server.open_files(), time.monotonic() + 20
        fleet.admin.ok("POST", f"/api/v1/devices/{name}/revoke")
        while fleet.server.open_files() >= before:
            assert time.monotonic() < end, "the server goes on with the download"
            time.sleep(0.01)


def test_gateway(fleet):
    """For every device that is registered and has no key of its own."""
    name, _ = register(fleet)
    assert through(fleet, name, f"GatewayToken {GATEWAY}").get().status == 200
    assert through(fleet, "never-heard-of", f"GatewayToken {GATEWAY}").get().status == 401
    proven = fleet.client()
    proven.poll()
    assert through(fleet, proven.name, f"GatewayToken {GATEWAY}").get().status == 401
    assert through(fleet, name, f"TargetToken {GATEWAY}").get().status == 401


def test_guesses_at_the_gateways_token(fleet):
    """After too many from one address not even the right one is looked at; a device's own token goes on, and so does every other address."""
    name, token = register(fleet)
    guesser = through(fleet, name, "GatewayToken guess")
    statuses = [guesser.get().status for _ in range(12)]
    assert statuses == [401] * 10 + [429] * 2
    here = guesser.device.source
    same = through(fleet, name, f"GatewayToken {GATEWAY}")
    same.device.source = here
    assert same.get().status == 429
    own = through(fleet, name, f"TargetToken {token}")
    own.device.source = here
    assert own.get().status == 200
    assert through(fleet, name, f"GatewayToken {GATEWAY}").get().status == 200


def test_connections_of_a_device(fleet):
    """[limits] connections_per_device, as where certificates are asked for: 8."""
    name, token = register(fleet)
    other, others = register(fleet)
    path = f"/DEFAULT/controller/v1/{name}"
    client, second = through(fleet, name, f"TargetToken {token}"), through(fleet, other, f"TargetToken {others}")
    with contextlib.ExitStack() as open_ones:
        first = open_ones.enter_context(client.device.connect())
        assert client.device.get(path, connection=first).status == 200
        for _ in range(7):
            assert client.device.get(path, connection=open_ones.enter_context(client.device.connect())).status == 200
        assert second.get().status == 200
        assert client.device.get(path, connection=first).status == 200  # counted once
        ninth = open_ones.enter_context(client.device.connect())
        ninth.send(head_bytes("GET", path, client.device.headers))
        with pytest.raises((Closed, OSError)):
            ninth.read_reply()
        tenth = open_ones.enter_context(client.device.connect())
        assert client.device.put(f"{path}/configData", {"data": {"a": "b"}}, connection=tenth).status == 200  # by the other way through the server
        with pytest.raises((Closed, OSError)):
            client.device.get(path, connection=tenth)
        first.close()
        wait_for(lambda: client_answers(client))


def client_answers(client):
    try:
        return client.get().status == 200
    except (Closed, OSError):
        return False


def test_beside_a_certificate_a_token_counts_for_nothing(fleet):
    """On the device listener the certificate decides, whatever the header says."""
    name, token = register(fleet)
    client = fleet.client()
    for authorization in (f"TargetToken {token}", "TargetToken x", f"GatewayToken {GATEWAY}"):
        assert client.get(headers=[("Authorization", authorization)]).status == 200
        assert client.device.get(f"/DEFAULT/controller/v1/{name}", headers=[("Authorization", authorization)]).status == 403


@pytest.mark.parametrize("path", ["/check", "/whoami", "/firmware/bare/1.0.0/u-boot.bin", "/tuf/timestamp.json", "/general/x", "/healthz", "/api/v1/devices", "/metrics",
                                  "/.well-known/est/cacerts"])
def test_nothing_else_is_there(fleet, path):
    name, token = register(fleet)
    client = through(fleet, name, f"TargetToken {token}")
    assert client.device.get(path).status == 404


def test_no_token_at_rest_and_none_in_a_replay(fleet):
    name, token = register(fleet)
    key = [("Idempotency-Key", f"token-{name}")]
    first = fleet.admin.post(f"/api/v1/devices/{name}/ddi/token", headers=key).json
    again = fleet.admin.post(f"/api/v1/devices/{name}/ddi/token", headers=key)
    assert first["secret"] and again.json["secret"] is None and again.header("Idempotency-Replayed") == "true"
    everything = b"".join(path.read_bytes() for path in pathlib.Path(fleet.server.data).glob("pawl.db*")) + fleet.server.log().encode()
    for secret in (token, first["secret"], GATEWAY):
        assert secret.encode() not in everything


def test_guessing_is_slowed_down(fleet):
    """Beyond ten failed attempts a minute 429; an image's connection is cut instead."""
    name, _ = register(fleet)
    client = through(fleet, name, "TargetToken wrong")
    statuses = [client.get().status for _ in range(12)]
    assert statuses[:10] == [401] * 10 and statuses[-1] == 429
    with pytest.raises(Closed) as closed, client.device.connect() as connection:
        client.get("/softwaremodules/1/artifacts/u-boot.bin", connection=connection)
    assert closed.value.received == b""


@pytest.mark.parametrize("text,mode", [("short", 0o600), ("x" * 300, 0o600), (GATEWAY, 0o644)])
def test_bad_gateway_file(servers, tmp_path, text, mode):
    path = tmp_path / "token"
    write_secret(path, text)
    path.chmod(mode)
    server = servers({"ddi": {"token_listen": "127.0.0.1:0", "gateway_token_file": path}}, start=False)
    done = server.run("serve", check=False)
    assert done.returncode != 0 and "gateway_token_file" in done.stderr


def test_links_stay_on_the_listener(fleet):
    name, token = register(fleet)
    client = through(fleet, name, f"TargetToken {token}")
    link = client.links(headers=[("Host", f"localhost:{fleet.server.token_port}")])["configData"]
    assert urllib.parse.urlsplit(link).port == fleet.server.token_port


def test_command_line(fleet, tmp_path):
    client = fleet.client()
    action = int(fleet.admin.assign(client.name, "1.0.0").json["id"])
    pawl = fleet.server.pawl
    assert "-" in pawl("devices", "ddi", client.name).stdout
    client.fetch()
    client.config({"os": "1", "weird": "\x1b[31mred"})
    shown = pawl("devices", "ddi", client.name).stdout
    assert '"os":"1"' in shown and "\x1b" not in shown
    client.say(action, "proceeding", details=["one\ttab", "two \x1b[2Jclear"])
    client.say(action, "closed", "failure", ["the end"])
    lines = pawl("deployments", "log", str(action)).stdout.splitlines()
    assert len(lines) == 2 and "proceeding" in lines[0] and "closed/failure" in lines[1] and "the end" in lines[1] and "\x1b" not in "".join(lines)
    pawl("devices", "ddi", client.name, "--ask")
    assert "configData" in client.links()
    out = tmp_path / "token"
    assert pawl("devices", "ddi", client.name, "--new-token", "--out", out).stdout == "" and out.stat().st_mode & 0o777 == 0o600
    assert through(fleet, client.name, f"TargetToken {out.read_text().strip()}").get().status == 200
    assert pawl("devices", "ddi", client.name, "--new-token", "--out", out, check=False).returncode == 6
    pawl("devices", "ddi", client.name, "--revoke-token", "--reason", "test")
    assert through(fleet, client.name, f"TargetToken {out.read_text().strip()}").get().status == 401
    secret = pawl("devices", "ddi", client.name, "--new-token").stdout.strip()
    assert through(fleet, client.name, f"TargetToken {secret}").get().status == 200
    assert pawl("devices", "ddi", client.name, "--ask", "--revoke-token", check=False).returncode == 2
