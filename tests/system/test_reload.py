"""SIGHUP and the configuration: what changes at once, what needs a restart, what a bad file does."""

import os
import signal

import pytest

from lib.wait import wait_for


@pytest.fixture
def own(new_server):
    return new_server({"enrolment": {"auto_accept": "yes"}, "log": {"requests": "yes"}})


def reload(server, changes, expect="configuration reloaded"):
    """Writes the configuration anew and waits for the last word about it."""
    server.write_config(changes)
    return said(server, expect)


def poll_after(server):
    return int(server.device("before").check(product="router", hardware="qemu-arm").header("Poll-After"))


def said(server, expect):
    begin = server.log_path.stat().st_size
    os.kill(server.pid, signal.SIGHUP)
    news = lambda: server.log_path.read_bytes()[begin:].decode(errors="replace")  # noqa: E731
    wait_for(lambda: expect in news())
    return news()


def test_values_take_effect(own):
    """Enrolment, polling, ceilings and logging: without a restart, and without losing a connection."""
    assert own.device("before").get("/whoami").json["state"] == "active"
    client = own.operator()
    with client.connect() as connection:
        assert client.get("/api/v1/whoami", connection=connection).status == 200
        text = reload(own, {"enrolment": {"auto_accept": "no"}, "fleet": {"poll_after": "1h", "poll_jitter": 0}, "limits": {"image_bytes": "1024"},
                            "log": {"requests": "no"}})
        assert "restart" not in text
        assert client.get("/api/v1/whoami", connection=connection).status == 200
    assert own.device("after").get("/whoami").json["state"] == "pending"
    assert poll_after(own) == 3600
    assert client.upload(b"x" * 2000).status == 413
    begin = len(own.log())
    client.get("/api/v1/whoami")
    assert "path=/api/v1/whoami" not in own.log()[begin:]
    reload(own, {"enrolment": {"auto_accept": "yes"}, "log": {"level": "error", "requests": "yes"}}, "certificates reloaded")
    assert own.device("later").get("/whoami").json["state"] == "active"


def test_what_a_certificate_may_do(own):
    """[admin] certificate_scopes: given and taken back while connections stay open."""
    alice = own.operator(token="", certificate=own.pki.admin("alice"))
    with alice.connect() as connection:
        assert alice.get("/api/v1/devices", connection=connection).status == 403
        reload(own, {"admin": {"certificate_scopes": "device:read"}})
        assert alice.get("/api/v1/devices", connection=connection).status == 200
        reload(own, {})
        assert alice.get("/api/v1/devices", connection=connection).status == 403


def test_throttle(own):
    reload(own, {"limits": {"auth_failures": 2}})
    client = own.operator(token="pawl_x_" + "A" * 43, source="127.9.9.9")
    assert [client.get("/api/v1/whoami").status for _ in range(4)] == [401, 401, 429, 429]


def test_what_needs_a_restart_is_named_and_ignored(own):
    port = own.admin_port
    text = reload(own, {"listen": {"admin": "127.0.0.1:1", "workers": 1}, "fleet": {"poll_after": "2h", "poll_jitter": 0}})
    line = next(line for line in text.splitlines() if "restart" in line)
    assert "[listen] admin" in line and "[listen] workers" in line and "poll_after" not in line and "level=warn" in line
    assert own.admin_port == port and own.operator().get("/api/v1/whoami").status == 200
    assert poll_after(own) == 7200  # the others take effect


@pytest.mark.parametrize("changes, why", [
    ({"fleet": {"poll_afer": "1h"}}, "unknown key 'poll_afer'"),
    ({"fleet": {"poll_after": "soon"}}, "poll_after"),
    ({"fleet": {"poll_after": "1h"}, "admin": {"certificate_scopes": "device:rede"}}, "device:rede"),
    ({"fleet": {"poll_after": "1h"}, "limits": {"image_bytes": "1"}}, "image_bytes"),
], ids=["unknown-key", "no-duration", "no-scope", "out-of-range"])
def test_a_bad_file_changes_nothing(own, changes, why):
    text = reload(own, changes, "configuration not reloaded")
    line = next(line for line in text.splitlines() if "configuration not reloaded" in line)
    assert why in line and "level=error" in line
    assert 270 <= poll_after(own) <= 330
    assert own.operator().get("/api/v1/whoami").status == 200


def test_a_certificate_that_is_not_there_changes_nothing(own):
    text = reload(own, {"tls": {"certificate": "nowhere.pem"}, "enrolment": {"auto_accept": "no"}}, "certificates not reloaded")
    assert "nowhere.pem" in text
    assert own.device("d").get("/whoami").json["state"] == "active"
    own.config_path.unlink()
    assert str(own.config_path) in said(own, "configuration not reloaded")
    assert own.device("d2").get("/whoami").json["state"] == "active"


def test_many_reloads_under_load(own):
    """A hundred readings, good and bad in turn: nothing is lost, nothing piles up but what is small."""
    client, device = own.operator(), own.device("d")
    for number in range(25):
        reload(own, {"fleet": {"poll_after": f"{number + 10}m"}})
        reload(own, {"fleet": {"nonsense": "1"}}, "configuration not reloaded")
        assert client.get("/api/v1/whoami").status == 200 and device.get("/whoami").status == 200
