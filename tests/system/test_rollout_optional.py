"""An optional rollout: the signed directive says so, and pawl-agent asks the device's user."""

from lib import firmware
from lib.agent import Agent
from lib.fleet import HARDWARE
from lib.wait import wait_for

ASK = """#!/bin/sh
echo "$PAWL_VERSION $PAWL_DEPLOYMENT" >>{folder}/asked
exit $(cat {folder}/answer)
"""


def an_agent(server, folder, product, consent=True):
    agent = Agent(folder, server, f"{product}-device", product=product, hardware=HARDWARE)
    script = agent.folder / "ask"
    script.write_text(ASK.format(folder=agent.folder), encoding="ascii")
    script.chmod(0o755)
    if consent:
        agent.write_config(hooks={"consent": script})
    agent.once()  # it is known from now on
    return agent


def asked(agent):
    file = agent.folder / "asked"
    return file.read_text(encoding="ascii").splitlines() if file.exists() else []


def roll_out(server, product, mode):
    api = server.operator()
    made = api.ok("POST", "/api/v1/rollouts", {"product": product, "version": "1.0.0", "mode": mode,
                                               "phases": [{"rest": True, "success_percent": 100, "error_count": 1, "deadline_s": 600}]})
    api.ok("POST", f"/api/v1/rollouts/{made['id']}/start")
    wait_for(lambda: api.ok("GET", f"/api/v1/rollouts/{made['id']}")["state"] == "running")
    return made["id"]


def a_product(server, product):
    server.operator().ok("POST", "/api/v1/products", {"id": product, "policy": "rollout"})
    server.publish(firmware.ATH_9271, product, "1.0.0", (HARDWARE,))


def test_the_user_postpones(server, tmp_path):
    a_product(server, "optional-asked")
    agent = an_agent(server, tmp_path / "device", "optional-asked")
    rollout = roll_out(server, "optional-asked", "optional")
    (agent.folder / "answer").write_text("1\n", encoding="ascii")
    for times in (1, 2):
        done = agent.once()
        assert done.returncode == 0 and "postponed by the device's user" in done.stderr
        assert len(asked(agent)) == times and agent.running == "a" and agent.slots["b"].read_bytes() == b""
    deployment = server.operator().ok("GET", f"/api/v1/deployments?device={agent.device_id}")["items"][0]
    assert deployment["state"] == "offered" and asked(agent) == [f"1.0.0 {deployment['id']}"] * 2
    (agent.folder / "answer").write_text("0\n", encoding="ascii")
    agent.settle()
    assert agent.running == "b" and len(asked(agent)) == 3
    assert wait_for(lambda: server.operator().ok("GET", f"/api/v1/rollouts/{rollout}")["state"] == "completed")


def test_a_forced_one_does_not_ask(server, tmp_path):
    a_product(server, "optional-forced")
    agent = an_agent(server, tmp_path / "device", "optional-forced")
    roll_out(server, "optional-forced", "forced")
    (agent.folder / "answer").write_text("1\n", encoding="ascii")
    agent.settle()
    assert agent.running == "b" and asked(agent) == []


def test_nobody_to_ask(server, tmp_path):
    a_product(server, "optional-unasked")
    agent = an_agent(server, tmp_path / "device", "optional-unasked", consent=False)
    roll_out(server, "optional-unasked", "optional")
    agent.settle()
    assert agent.running == "b"
