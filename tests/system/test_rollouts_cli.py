"""`pawl rollouts` and `pawl devices decision`: from flags to bars."""

import json
import os
import re
import threading

import pexpect
import pytest

from lib import firmware
from lib.fleet import HARDWARE, Fleet
from lib.paths import program
from lib.server import run_pawl, write_secret
from lib.wait import wait_for

USAGE, REFUSED, PAUSED, STOPPED = 2, 3, 8, 9


@pytest.fixture(scope="module")
def shop(servers):
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.pawl("products", "create", "shop", "--policy", "rollout")
    server.publish(firmware.ATH_9271, "shop", "1.0.0", (HARDWARE,))
    server.publish(firmware.ATH_7010, "shop", "1.1.0", (HARDWARE,))
    return server


@pytest.fixture(scope="module")
def fleet(shop):
    return Fleet(shop, "shop", 6)


def create(shop, *options):
    return json.loads(shop.pawl("rollouts", "create", "--product", "shop", "--release", "1.0.0", *options, "--json").stdout)


def test_every_flag_becomes_a_member(shop, fleet, tmp_path):
    ids = tmp_path / "ids"
    ids.write_text(f"# the first ones\n{fleet.ids[0]}\r\n\n{fleet.ids[1]}\n", encoding="ascii")
    made = create(shop, "--name", "all of it", "--devices-file", ids, "--device", fleet.ids[2], "--phase", "50%,success=80,errors=2,soak=1h,deadline=2d",
                  "--phase", "rest,errors=7%", "--window", "mon-fri 22:00-04:00", "--window", "sun 01:00-02:00 zone=UTC tag=lab", "--zone", "Europe/Berlin",
                  "--max-in-flight", "2", "--optional", "--continuous", "--start-at", "2099-01-01T00:00:00Z")
    assert (made["state"], made["name"], made["mode"], made["continuous"], made["max_in_flight"], made["start_at"]) == (
        "draft", "all of it", "optional", True, 2, "2099-01-01T00:00:00Z")
    assert sorted(made["ids"]) == fleet.ids[:3]
    kept = [{name: phase[name] for name in ("percent", "rest", "success_percent", "error_percent", "error_count", "soak_s", "deadline_s")} for phase in made["phases"]]
    assert kept == [{"percent": 50, "rest": False, "success_percent": 80, "error_percent": None, "error_count": 2, "soak_s": 3600, "deadline_s": 172800},
                    {"percent": None, "rest": True, "success_percent": 90, "error_percent": 7, "error_count": None, "soak_s": 0, "deadline_s": 86400}]
    assert made["windows"] == [{"days": "mon-fri", "from": "22:00", "to": "04:00", "zone": "Europe/Berlin", "tag": None},
                               {"days": "sun", "from": "01:00", "to": "02:00", "zone": "UTC", "tag": "lab"}]
    shown = dict(line.split("\t", 1) for line in shop.pawl("rollouts", "show", made["id"]).stdout.splitlines())
    assert shown["release"] == "shop/1.0.0" and shown["devices"] == "a list of 3" and shown["max in flight"] == "2"
    assert shown["phases"] == "50 % waiting (success 80 %, errors 2, soak 1h, deadline 2d); the rest waiting (success 90 %, errors 7 %, soak 0s, deadline 1d)"
    assert shown["windows"] == "mon-fri 22:00-04:00 Europe/Berlin; sun 01:00-02:00 UTC for tag lab"
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps({"product": "shop", "version": "1.0.0", "filter": "tag == x", "name": "by file"}), encoding="ascii")
    other = json.loads(shop.pawl("rollouts", "create", "--plan", plan, "--json").stdout)
    assert (other["name"], other["filter"]) == ("by file", "tag == x")
    listed = [line.split("\t")[:4] for line in shop.pawl("rollouts", "list", "--state", "draft").stdout.splitlines()]
    assert listed == [[other["id"], "by file", "shop/1.0.0", "draft"], [made["id"], "all of it", "shop/1.0.0", "draft"]]
    for number in (made["id"], other["id"]):
        shop.pawl("rollouts", "delete", number)
    assert shop.pawl("rollouts", "list", "--state", "draft", "--sort", "created_at").stdout == ""
    assert shop.pawl("rollouts", "show", made["id"], check=False).returncode == REFUSED


@pytest.mark.parametrize("arguments, code, said", [
    (("--release", "1.0.0"), USAGE, "--product and --release"),
    (("--product", "shop", "--release", "1.0.0", "--phase", "some"), USAGE, "--phase some: a size"),
    (("--product", "shop", "--release", "1.0.0", "--window", "22:00"), USAGE, "DAYS FROM-TO"),
    (("--product", "shop", "--release", "1.0.0", "--device", "a b"), USAGE, "no device id"),
    (("--product", "shop", "--release", "1.0.0", "--phase", "50%"), REFUSED, "phases"),
    (("--product", "shop", "--release", "1.0.0", "--filter", "tag = a"), REFUSED, "column"),
    (("--product", "shop", "--release", "9.0.0"), REFUSED, "9.0.0"),
    (("--plan", "/nowhere"), 6, "/nowhere"),
])
def test_what_is_wrong_is_said(shop, arguments, code, said):
    for verb in ("create", "preview"):
        done = shop.pawl("rollouts", verb, *arguments, check=False)
        assert done.returncode == code and said in done.stderr and len(done.stderr.splitlines()) == 1, done


def test_from_preview_to_the_end(shop, fleet):
    """Plain lines for a script; the exit code says how it ended."""
    preview = shop.pawl("rollouts", "preview", "--product", "shop", "--release", "1.0.0", "--phase", "2", "--phase", "rest").stdout
    assert preview.splitlines()[:4] == ["matched\t6\tby the filter or the list", "included\t6\tget the release", "phase 1\t2\t-", "phase 2\t4\t-"]
    made = create(shop, "--phase", "2,success=100,errors=1", "--phase", "rest")
    assert shop.pawl("rollouts", "preview", made["id"]).stdout == preview
    draft = shop.pawl("rollouts", "watch", made["id"], check=False)
    assert draft.returncode == REFUSED and "is a draft" in draft.stderr
    assert "state\tscheduled" in shop.pawl("rollouts", "start", made["id"], "--reason", "spring").stdout
    wait_for(lambda: "state\trunning" in shop.pawl("rollouts", "show", made["id"]).stdout)
    told = fleet.told(2)  # "running" is said before its devices are written
    fleet.fail(told)
    watched = shop.pawl("rollouts", "watch", made["id"], "--interval", "1", check=False)
    assert watched.returncode == PAUSED
    assert re.search(rf"^rollout {made['id']}  shop 1\.0\.0  paused \(error-threshold\)$", watched.stdout, re.M)
    assert "\033" not in watched.stdout and "0 of 2 confirmed, 2 failed" in watched.stdout
    rows = shop.pawl("rollouts", "devices", made["id"], "--state", "failed").stdout.splitlines()
    assert sorted(row.split("\t")[0] for row in rows) == sorted(told)
    assert shop.pawl("rollouts", "devices", made["id"], "--state", "failed", "--sort", "-phase").stdout.splitlines() == rows[::-1]
    every = shop.pawl("rollouts", "devices", made["id"], "--sort", "-device").stdout.splitlines()
    assert [row.split("\t")[0] for row in every] == sorted(fleet.ids, reverse=True)
    decision = shop.pawl("devices", "decision", next(name for name in fleet.ids if name not in told)).stdout
    assert "reason\trollout-" in decision and f"rollout {made['id']} 1.0.0, paused, phase 2, waiting: rollout-" in decision

    shop.pawl("rollouts", "resume", made["id"])
    shop.pawl("rollouts", "retry", made["id"])
    again = fleet.told(2, told)
    fleet.confirm(again, "1.0.0", 1)
    left = fleet.told(4, [name for name in fleet.ids if name not in told])
    assert "state\tpaused (operator)" in shop.pawl("rollouts", "pause", made["id"]).stdout
    shop.pawl("rollouts", "resume", made["id"])
    world = threading.Timer(1.5, fleet.confirm, (left, "1.0.0", 1))
    world.start()
    lines = [json.loads(line) for line in shop.pawl("rollouts", "watch", made["id"], "--interval", "1", "--json").stdout.splitlines()]
    world.join()
    assert [line["state"] for line in lines][-1] == "completed" and lines[0]["state"] == "running"
    assert lines[-1]["counts"]["confirmed"] == 6
    assert shop.pawl("rollouts", "stop", made["id"], check=False).returncode == REFUSED


def test_bars_on_a_terminal(shop, fleet, tmp_path):
    config = tmp_path / ".config" / "pawl"
    config.mkdir(parents=True)
    (config / "config").write_text(f"[default]\nserver = https://localhost:{shop.admin_port}\nca = {shop.pki.server_ca}\ntoken_file = {shop.token_file}\n",
                                   encoding="utf-8")
    made = json.loads(shop.pawl("rollouts", "create", "--product", "shop", "--release", "1.1.0", "--phase", "3,success=100", "--phase", "rest", "--json").stdout)
    shop.pawl("rollouts", "start", made["id"])
    wait_for(lambda: "state\trunning" in shop.pawl("rollouts", "show", made["id"]).stdout)
    told = fleet.told(3)  # "running" is said before its devices are written
    child = pexpect.spawn(program("pawl"), ["rollouts", "watch", made["id"], "--interval", "1"],
                          env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TERM": "xterm"}, dimensions=(30, 120), timeout=30, encoding="utf-8")
    child.expect(r"phase 1  3 devices    running   \[>+\]  0 of 3 confirmed, 3 in flight")
    fleet.confirm(told, "1.1.0", 2)
    child.expect(r"\033\[3A")
    child.expect(r"phase 1  3 devices    done      \[#{40}\]  3 of 3 confirmed")
    shop.pawl("rollouts", "stop", made["id"])
    child.expect(r"stopped")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == STOPPED


def test_a_second_pair_of_eyes(shop, tmp_path):
    own = create(shop)
    assert shop.pawl("rollouts", "approve", own["id"], check=False).returncode == REFUSED
    shop.pawl("rollouts", "delete", own["id"])
    first, second = shop.operator(), tmp_path / "second"
    planner = shop.operator(first.token_with("rollout:write", "rollout:read"))
    made = planner.ok("POST", "/api/v1/rollouts", {"product": "shop", "version": "1.0.0"})
    write_secret(second, first.token_with("rollout:approve", "rollout:read") + "\n")
    arguments = ["--server", f"https://localhost:{shop.admin_port}", "--ca", shop.pki.server_ca, "--token-file", second]
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    child = pexpect.spawn("/bin/sh", ["-c", 'exec "$@" >"$OUT"', "sh", program("pawl"), "--json", "rollouts", "approve", made["id"], *map(str, arguments)],
                          env={**environment, "TERM": "xterm", "OUT": str(tmp_path / "out")}, timeout=30, encoding="utf-8")
    child.expect(r"release +shop/1.0.0\r\n(.|\n)*approve \d+: let it begin as shown\? \[y/N\] ")  # for people, beside the JSON
    assert planner.patch(f"/api/v1/rollouts/{made['id']}", {"name": "another plan"}, headers=[("If-Match", "*")]).status == 200
    child.sendline("y")
    child.expect("changed meanwhile")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == REFUSED and (tmp_path / "out").read_bytes() == b""
    done = run_pawl("rollouts", "approve", made["id"], "--yes", *arguments, env=environment)
    assert "approval\tgiven\n" in done.stdout
    scheduled = shop.pawl("rollouts", "start", made["id"], "--at", "2099-01-01T00:00:00Z")
    assert "state\tscheduled" in scheduled.stdout and "starts at\t2099-01-01T00:00:00Z" in scheduled.stdout
    assert shop.pawl("rollouts", "start", made["id"], "--at", "2099-01-01T00:00:00Z", "--now", check=False).returncode == USAGE
    assert "state\tstopped" in shop.pawl("rollouts", "stop", made["id"]).stdout
