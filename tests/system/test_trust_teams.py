"""A team that publishes its product with keys of its own: delegated targets roles end to end."""

import json

import pytest

from lib import firmware
from lib.server import run_pawl
from test_trust_lifecycle import hash_of, offline, signing, tuf
from test_trust_root import HARDWARE, KEY, REFUSED, TRUST, USAGE, people, rotate, sign_and_publish  # noqa: F401  people is a fixture


@pytest.fixture
def shop(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin")
    return server


def delegate(server, *arguments, **options):
    return server.pawl("targets", "delegate", *arguments, *signing(server), **options)


def release(server, image, version, product="gateway"):
    return "release", "publish", image, "--product", product, "--version", version, "--hardware", HARDWARE, "--root", server.keys / "1.root.json"


def team_snapshot(server, people, path):
    """The team's own snapshot key, which root lists beside the other one."""
    rotate(server, path, "--add-key", f"snapshot={people.new('team-snapshot', 'snapshot')}")
    sign_and_publish(server, path)


def test_a_team_publishes_alone(shop, people, tmp_path):
    team_snapshot(shop, people, tmp_path / "2.root.json")
    done = delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", people.new("tim", "targets"))
    assert "! new delegation to gateway-team: gateway/*/*, signed by 1 of 1" in done.stderr
    rows = [line.split("\t") for line in shop.pawl("targets", "show", "--keys", shop.keys).stdout.splitlines()]
    assert [(row[0], row[1], row[3], row[6]) for row in rows] == [("targets", "2", "1", "*"), ("gateway-team", "0", "0", "gateway/*/*")]
    done = shop.pawl(*release(shop, firmware.ATH_7010, "1.1.0"), *people.key("tim", "team-snapshot"))
    assert "Product gateway: 1.0.0 -> 1.1.0 (gateway-team version 1):" in done.stderr
    served = tuf(shop, "1.gateway-team.json")
    assert list(served["signed"]["targets"]) == ["gateway/1.1.0/" + firmware.ATH_7010.name]
    assert shop.device("team-dev").get("/tuf/1.gateway-team.json").status == 200
    assert shop.operator().ok("GET", "/api/v1/releases/gateway/1.1.0")["sequence"] == 2
    # the roles stand in metrics, readiness and status
    assert 'pawl_metadata_expires_seconds{role="gateway-team"}' in shop.operator().get("/metrics").body.decode()
    assert "gateway-team" in shop.pawl("keys", "status", shop.keys).stdout
    # after a restart everything is verified again, and the team goes on
    shop.restart()
    shop.pawl("release", "renew", "--role", "gateway-team", "--root", shop.keys / "1.root.json", *people.key("tim", "team-snapshot"))
    shop.pawl(*release(shop, firmware.UBOOT_ARM, "1.2.0"), *people.key("tim", "team-snapshot"))
    assert len(tuf(shop, "3.gateway-team.json")["signed"]["targets"]) == 2
    # a release of the team is withdrawn with the team's key
    shop.pawl("release", "withdraw", "gateway", "1.1.0", "--root", shop.keys / "1.root.json", *people.key("tim", "team-snapshot"))
    assert "withdrawn" in json.dumps(tuf(shop, "4.gateway-team.json"))


def test_what_a_team_may_not(shop, people, tmp_path):
    team_snapshot(shop, people, tmp_path / "2.root.json")
    delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", people.new("tim", "targets"))
    keys = people.key("tim", "team-snapshot")
    other = shop.pawl(*release(shop, firmware.ATH_7010, "1.0.0", "sensor"), *keys, check=False)
    assert other.returncode == KEY and "targets needs 1 signature" in other.stderr
    other = shop.pawl(*release(shop, firmware.ATH_7010, "1.0.0", "sensor"), "--role", "gateway-team", *keys, check=False)
    assert other.returncode == REFUSED and "does not speak for their path" in other.stderr.splitlines()[-1]
    assert shop.operator().get("/api/v1/releases/sensor/1.0.0").status == 404
    people.new("eve", "targets")
    stranger = shop.pawl(*release(shop, firmware.ATH_7010, "1.1.0"), *people.key("eve", "team-snapshot"), check=False)
    assert stranger.returncode == KEY and "gateway-team needs 1 signature" in stranger.stderr


def test_two_of_a_team_by_bundle_and_a_changed_delegation(shop, people, tmp_path):
    bundle, copy = tmp_path / "bundle", tmp_path / "copy"
    keys = ("--public-key", people.new("tim", "targets"), "--public-key", people.new("tom", "targets"))
    told = hash_of(shop.pawl("targets", "delegate", "duo", "--path", "gateway/*", *keys, "--threshold", "2", "--keys", shop.keys, "--out", bundle).stderr)
    shop.pawl("release", "sign", bundle, *signing(shop), "--confirm", told)
    shop.pawl("release", "publish", "--bundle", bundle, *signing(shop))
    bundle.unlink()
    prepared = shop.pawl("release", "prepare", firmware.ATH_7010, "--product", "gateway", "--version", "1.1.0", "--hardware", HARDWARE, "--keys",
                         shop.keys, "--out", bundle)
    assert "2 signatures needed" in prepared.stderr
    copy.write_bytes(bundle.read_bytes())
    for name, path in (("tim", bundle), ("tom", copy)):
        home = tmp_path / f"{name}-home"
        home.mkdir()
        offline("release", "sign", path, *people.key(name), "--root", shop.keys / "1.root.json", "--confirm", hash_of(prepared.stderr), home=home)
    shop.pawl("release", "attach", bundle, copy)
    shop.pawl("release", "publish", firmware.ATH_7010, "--bundle", bundle, *signing(shop))
    assert len(tuf(shop, "1.duo.json")["signatures"]) == 2


def test_a_stolen_team_key(shop, people, tmp_path):
    """The recipe of SECURITY.md: the new key beside the old one, the team's file signed by it, then the old key goes."""
    team_snapshot(shop, people, tmp_path / "2.root.json")
    old, new = people.new("old", "targets"), people.new("new", "targets")
    delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", old)
    shop.pawl(*release(shop, firmware.ATH_7010, "1.1.0"), *people.key("old", "team-snapshot"))
    at_once = delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", new, check=False)
    assert at_once.returncode == REFUSED and "gateway-team: 0 valid signatures" in at_once.stderr
    delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", old, "--public-key", new)
    shop.pawl("release", "renew", "--role", "gateway-team", "--root", shop.keys / "1.root.json", *people.key("new", "team-snapshot"))
    delegate(shop, "gateway-team", "--path", "gateway/*", "--public-key", new)
    thief = shop.pawl(*release(shop, firmware.UBOOT_ARM, "1.2.0"), *people.key("old", "team-snapshot"), check=False)
    assert thief.returncode == KEY
    shop.pawl(*release(shop, firmware.UBOOT_ARM, "1.2.0"), *people.key("new", "team-snapshot"))


@pytest.mark.parametrize("arguments, code, said", [
    (("targets", "--path", "a/*"), REFUSED, "none of the four roles"),
    (("team", "--path", "gateway"), USAGE, "matches no target"),
    (("team",), USAGE, "--path PATTERN"),
    (("team", "--path", "a/*", "--threshold", "2"), TRUST, "threshold of 2"),
])
def test_refused_delegations(shop, people, arguments, code, said):
    done = delegate(shop, *arguments, "--public-key", people.new("tim", "targets"), check=False)
    assert done.returncode == code and said in done.stderr.splitlines()[-1], done.stderr
    assert run_pawl("targets", "delegate", "x", "--path", "a/*", "--keys", shop.keys, check=False).returncode == USAGE
