"""The main job: two releases of real firmware go from an operator's key to a device's slot; older ones are refused in all places."""

import json

import pytest

from lib import firmware, tuf
from lib.agent import Agent
from lib.proxy import Proxy

HARDWARE = "qemu-arm"
ONE, TWO = firmware.UBOOT_ARM.read_bytes(), firmware.UBOOT_ARM64.read_bytes()
PATH_ONE, PATH_TWO = "/firmware/ratchet/1.0.0/u-boot.bin", "/firmware/ratchet/2.0.0/u-boot.bin"


@pytest.fixture(scope="module")
def shop(servers):
    return servers({"enrolment": {"auto_accept": "yes"}})


@pytest.fixture(scope="module")
def agent(shop, tmp_path_factory):
    return Agent(tmp_path_factory.mktemp("agent") / "device", shop, "ratchet-1", "ratchet", HARDWARE)


@pytest.fixture(scope="module")
def updated(shop, agent):
    """The whole way once: publish, install, confirm; publish, cut, resume, confirm. The tests below look at its stations."""
    stations = {}
    done = shop.publish(firmware.UBOOT_ARM, "ratchet", "1.0.0", (HARDWARE,), "--security-version", "1")
    stations["published"] = done.stdout + done.stderr
    agent.settle()
    stations["first"] = {"slot": agent.running, "image": agent.running_image(), "events": agent.events(), "device": shop.operator().device("ratchet-1")}
    shop.publish(firmware.UBOOT_ARM64, "ratchet", "2.0.0", (HARDWARE,), "--security-version", "1")
    with Proxy(shop.device_port, cut_after=500_000) as proxy:
        agent.through(proxy)
        cut = agent.once()
        stations["cut"] = {"code": cut.returncode, "log": cut.stderr, "slot": agent.running, "image": agent.running_image(), "bytes": proxy.down}
    log_mark = len(shop.log())
    with Proxy(shop.device_port) as proxy:
        agent.through(proxy)
        agent.settle()
        stations["resumed"] = {"bytes": proxy.down, "server_log": shop.log()[log_mark:]}
    agent.through(None)
    stations["second"] = {"slot": agent.running, "image": agent.running_image(), "device": shop.operator().device("ratchet-1")}
    return stations


def test_first_release_runs(updated):
    first = updated["first"]
    assert first["slot"] == "b" and first["image"] == ONE
    assert first["events"] == ["reboot", "self-test b"]
    assert first["device"]["installed"] == {"version": "1.0.0", "sequence": 1}
    assert first["device"]["floor"] == {"sequence": 1, "security_version": 1}
    assert first["device"]["deployment"] is None


def test_cut_download_changes_nothing(updated):
    """The agent says why it stopped, and the running slot is what it was."""
    cut = updated["cut"]
    assert cut["code"] != 0
    assert cut["slot"] == "b" and cut["image"] == ONE
    assert 400_000 < cut["bytes"] <= 500_000
    assert "E_NETWORK" in cut["log"] or "network" in cut["log"]


def test_download_goes_on_where_it_was(updated):
    """The second run fetches only what was missing."""
    resumed = updated["resumed"]
    assert resumed["bytes"] < len(TWO) - 400_000 + 120_000
    assert [line for line in resumed["server_log"].splitlines() if "206" in line and "u-boot.bin" in line]


def test_second_release_runs(updated):
    second = updated["second"]
    assert second["slot"] == "a" and second["image"] == TWO
    assert second["device"]["installed"] == {"version": "2.0.0", "sequence": 2}
    assert second["device"]["floor"] == {"sequence": 2, "security_version": 1}


def test_deployments_tell_the_story(shop, updated):
    deployments = shop.operator().pages("/api/v1/deployments?device=ratchet-1")
    assert [(d["version"], d["state"], d["origin"]) for d in deployments] == [("2.0.0", "confirmed", "latest"), ("1.0.0", "confirmed", "latest")]


def test_nothing_more_to_do(shop, updated, agent):
    before = agent.events()
    assert agent.once().returncode == 0
    assert agent.events() == before
    assert shop.device("ratchet-1").check(product="ratchet", hardware=HARDWARE, version="2.0.0", sequence=2, nonce=None).status == 204


def test_whoami_agrees(shop, updated, agent):
    known = shop.device("ratchet-1").get("/whoami").json
    assert known["installed"] == {"version": "2.0.0", "sequence": 2} and known["floor"] == {"sequence": 2, "security_version": 1}
    assert agent.state()["installed"]["sequence"] == 2


# ---- older releases are refused: in every place by itself


def test_downgrade_refused_at_publish_by_pawl(shop, updated):
    """`pawl` itself will not sign a lower sequence."""
    done = shop.publish(firmware.ATH_7010, "ratchet", "1.5.0", (HARDWARE,), "--sequence", "1", check=False)
    assert done.returncode != 0
    assert "sequence" in done.stderr


def test_downgrade_refused_at_publish_by_the_server(shop, updated):
    """Signed with the real keys by something that does not ask `pawl`'s questions."""
    image = firmware.ATH_7010.read_bytes()
    repository = tuf.Repository(shop.device("ratchet-1"), shop.keys, shop.passphrase_file.read_text(encoding="ascii").strip())
    operator = shop.operator()
    assert operator.upload(image).status in (200, 201)
    for name, fields in {"lower sequence": {"sequence": 1}, "equal sequence": {"sequence": 2}, "lower security version": {"security_version": 0}}.items():
        draft = repository.next()
        draft.add(image, "ratchet", "3.0.0", **fields)
        reply = operator.publish_files(draft.files())
        assert reply.status in (409, 422) and reply.problem in ("downgrade-refused", "conflict"), (name, reply)
    assert [r["version"] for r in operator.pages("/api/v1/releases?product=ratchet")] == ["2.0.0", "1.0.0"]


def test_downgrade_refused_at_assignment(shop, updated):
    reply = shop.operator().assign("ratchet-1", "1.0.0")
    assert reply.status == 409 and reply.problem == "downgrade-refused"
    done = shop.pawl("deployments", "assign", "ratchet-1", "1.0.0", check=False)
    assert done.returncode == 3 and "floor" in done.stderr + done.stdout


@pytest.mark.parametrize("version, sequence", [("2.0.0", 2), ("1.0.0", 1), ("0.0.1", 0), (None, None), ("2.0.0-dev", 0), ("9.9.9", 999)])
def test_downgrade_never_offered_at_check(shop, updated, version, sequence):
    """Whatever the device says that it runs: nothing at or below its floor."""
    signed = shop.device("ratchet-1").directive(product="ratchet", hardware=HARDWARE, version=version, sequence=sequence)
    assert signed["action"] == "none" and "release" not in signed


def test_lie_about_the_version_is_an_event(shop, updated):
    shop.device("ratchet-1").directive(product="ratchet", hardware=HARDWARE, version="1.0.0", sequence=1)
    assert [event for event in shop.operator().events(device="ratchet-1") if event["kind"] == "rolled-back"]
    assert shop.operator().device("ratchet-1")["floor"] == {"sequence": 2, "security_version": 1}


@pytest.mark.parametrize("path", [PATH_ONE, f"/firmware/ratchet/1.0.0/{{}}.u-boot.bin", PATH_ONE + ".sig"])
def test_downgrade_refused_at_firmware(shop, updated, path):
    import hashlib

    path = path.format(hashlib.sha256(ONE).hexdigest())
    device = shop.device("ratchet-1")
    device.check(product="ratchet", hardware=HARDWARE, version="0.0.1", sequence=0)  # the lie before does not help
    for options in ({}, {"headers": [("Range", "bytes=0-9")]}):
        reply = device.get(path, **options)
        assert reply.status == 403 and reply.problem == "downgrade-refused"
    assert device.head(path).status == 403


def test_downgrade_refused_by_the_device(shop, updated, agent, tmp_path):
    """A wholly compromised server: it forgot the floor, assigns the old release and serves it. The device refuses by its own floor."""
    device = shop.device("ratchet-1")
    assert device.get(PATH_TWO).status == 200
    shop.stop()
    import sqlite3

    connection = sqlite3.connect(shop.database_path)
    connection.execute("DROP TRIGGER device_floor_rises")
    connection.execute("UPDATE device SET floor_sequence = 0, floor_security = 0, floor_sha256 = NULL WHERE id = 'ratchet-1'")
    connection.execute("DELETE FROM quarantine")
    connection.commit()
    connection.close()
    shop.start()
    made = shop.operator().assign("ratchet-1", "1.0.0")
    assert made.status == 201, made  # the server itself does not know better any more
    agent.through(None)
    before, slots = agent.events(), {name: path.read_bytes() for name, path in agent.slots.items()}
    done = agent.once()
    assert "E_ROLLBACK" in done.stderr, done.stderr
    assert agent.events() == before
    assert {name: path.read_bytes() for name, path in agent.slots.items()} == slots
    assert agent.state()["floors"] == [{"product": "ratchet", "sequence": 2, "security_version": 1}]
    told = shop.operator().ok("GET", f"/api/v1/deployments/{made.json['id']}")
    assert told["state"] == "failed" and told["error"]["code"] == "E_ROLLBACK"


def test_operator_sees_it_all(shop, updated):
    """`pawl` with tables and with --json."""
    listed = json.loads(shop.pawl("devices", "list", "--json").stdout)
    items = listed["items"] if isinstance(listed, dict) else listed
    assert [item["id"] for item in items] == ["ratchet-1"]
    shown = json.loads(shop.pawl("devices", "show", "ratchet-1", "--json").stdout)
    assert shown["id"] == "ratchet-1" and shown["state"] == "active"
    table = shop.pawl("release", "list", "--product", "ratchet").stdout
    assert "1.0.0" in table and "2.0.0" in table
    assert "token" in shop.pawl("whoami").stdout
