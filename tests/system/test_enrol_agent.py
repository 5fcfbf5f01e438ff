"""pawl-agent gets its certificate by itself and renews it: the old and the new one overlap, and a kill at any moment loses nothing."""

import datetime
import itertools
import random
import shutil
import signal
import sqlite3
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from lib import firmware
from lib.agent import Agent, wait_until
from lib.est import EST, issuing, make_ca
from lib.server import write_secret

HARDWARE = "qemu-arm"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def est(servers, pki, tmp_path_factory):
    config = issuing(pki, tmp_path_factory.mktemp("issuing"), factory_ca=make_ca(pki, "factory-ca"), requests=100000)
    config["fleet"] = {"poll_after": "1s"}
    server = servers(config)
    server.publish(firmware.UBOOT_ARM, "router", "1.0.0", (HARDWARE,))
    return server


class Newborn(Agent):
    """A device that has nothing but its configuration."""

    def __init__(self, folder, server, claim=True, product="router", config=None, **enrolment):
        name = f"newborn-{next(numbers)}"
        keys = {"url": f"https://localhost:{server.enrol_port}", "id": name}
        if claim:
            folder.mkdir(parents=True, exist_ok=True)
            self.claim_file = folder / "claim"
            write_secret(self.claim_file, server.operator().ok("POST", "/api/v1/claims", {"device": name})["secret"] + "\n")
            keys["claim"] = self.claim_file
        config = {**(config or {}), "enrolment": {**keys, **enrolment}}
        config["device"] = {"certificate": None, "key": None, **config.get("device", {})}
        super().__init__(folder, server, name, product=product, config=config)

    @property
    def identity(self):
        return self.folder / "state" / "identity"

    def files(self):
        return sorted(path.name for path in self.identity.iterdir())

    def current(self):
        return x509.load_pem_x509_certificate(self.pem("current.pem", "CERTIFICATE"))

    def pem(self, name, kind):
        text = (self.identity / name).read_bytes()
        begin = text.index(f"-----BEGIN {kind}-----".encode())
        return text[begin:]

    def issued(self):
        return self.server.operator().ok("GET", f"/api/v1/certificates?device={self.device_id}&limit=1000")["items"]

    def age(self, share):
        """Makes the certificate that the device has look as if this share of its life were over: another one of the same key and CA."""
        key = serialization.load_pem_private_key(self.pem("current.pem", "PRIVATE KEY"), None)
        now = datetime.datetime.utcnow()
        life = datetime.timedelta(days=90)
        begins = now - share * life
        aged = self.server.pki.strange(f"aged-{self.device_id}-{share}", key=key, uris=[f"urn:pawl:device:{self.device_id}"], begins=begins, ends=begins + life)
        path = self.identity / "current.pem"
        text = self.pem("current.pem", "PRIVATE KEY").split(b"-----BEGIN CERTIFICATE-----")[0] + aged.cert.read_bytes()
        path.chmod(0o600)
        path.write_bytes(text)
        path.chmod(0o400)


class TestFirst:
    def test_by_a_claim_to_an_update(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        done = agent.command("check-config")
        assert done.returncode == 0 and "not enrolled yet" in done.stdout, done.stderr
        done = agent.command("enrol")
        assert done.returncode == 0 and agent.device_id in done.stdout, done.stderr
        assert agent.files() == ["current.pem"]
        assert (agent.identity / "current.pem").stat().st_mode & 0o777 == 0o400 and agent.identity.stat().st_mode & 0o777 == 0o700
        assert agent.command("check-config").returncode == 0
        agent.settle()
        assert agent.installed() == {"version": "1.0.0", "sequence": 1}
        assert agent.command("enrol").returncode == 0 and len(agent.issued()) == 1
        secret = agent.claim_file.read_text(encoding="ascii").strip()
        assert secret not in agent.log and secret not in est.log()

    def test_once_enrols_too(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        agent.settle()
        assert agent.installed() == {"version": "1.0.0", "sequence": 1}

    def test_by_acceptance(self, est, tmp_path):
        agent = Newborn(tmp_path, est, claim=False)
        done = agent.command("enrol")
        assert done.returncode == 3 and "accept" in done.stderr, done.stderr
        key = (agent.identity / "next.key").read_bytes()
        assert (agent.identity / "next.key").stat().st_mode & 0o777 == 0o400
        assert agent.command("once").returncode == 3
        est.operator().ok("POST", f"/api/v1/devices/{agent.device_id}/accept")
        assert agent.command("enrol").returncode == 0
        assert (agent.identity / "current.pem").read_bytes().startswith(key) and agent.files() == ["current.pem"]

    def test_by_a_factory_certificate(self, est, pki, tmp_path):
        agent = Newborn(tmp_path, est, claim=False)
        shown = pki.strange(f"factory-{agent.device_id}", issuer="factory-ca", uris=[f"urn:pawl:device:{agent.device_id}"])
        agent.write_config(enrolment={"factory_certificate": shown.cert, "factory_key": shown.key})
        assert agent.command("enrol").returncode == 0
        assert agent.issued()[0]["way"] == "factory"

    def test_the_daemon_waits_until_it_is_accepted(self, est, tmp_path):
        agent = Newborn(tmp_path, est, claim=False)
        process = agent.spawn("run")
        try:
            assert wait_until(lambda: est.query("SELECT state FROM device WHERE id = ?", agent.device_id) == [("pending",)])
            est.operator().ok("POST", f"/api/v1/devices/{agent.device_id}/accept")
            assert wait_until(lambda: est.operator().device(agent.device_id)["installed"], timeout=40)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0

    def test_stopped_while_it_waits(self, est, tmp_path):
        agent = Newborn(tmp_path, est, claim=False, config={"poll": {"retry_min": "1h", "retry_max": "1h"}})
        process = agent.spawn("run")
        assert wait_until(lambda: est.query("SELECT state FROM device WHERE id = ?", agent.device_id))
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0

    @pytest.mark.parametrize("fault", ["readable", "missing", "wrong"])
    def test_a_claim_that_is_no_good(self, est, tmp_path, fault):
        agent = Newborn(tmp_path, est)
        if fault == "readable":
            agent.claim_file.chmod(0o644)
        elif fault == "missing":
            agent.claim_file.unlink()
        else:
            write_secret(agent.claim_file, "pawlclaim_0123456789ab_" + "A" * 43)
        done = agent.command("enrol")
        assert done.returncode == {"readable": 7, "missing": 2, "wrong": 3}[fault], (done.returncode, done.stderr)
        assert est.query("SELECT count(*) FROM device WHERE id = ?", agent.device_id) == [(0,)]

    def test_another_server_is_not_believed(self, est, pki, tmp_path):
        """The claim goes to nobody but the server whose CA is in the configuration."""
        agent = Newborn(tmp_path, est)
        agent.write_config(server={"ca": make_ca(pki, "stranger-ca")})
        assert agent.command("enrol").returncode == 4
        assert est.query("SELECT spent_at FROM claim WHERE device = ?", agent.device_id) == [(None,)]

    def test_a_lost_answer(self, est, tmp_path):
        """Killed after the server has issued and before the agent had it: the same key gets the same certificate; later the key alone does."""
        agent = Newborn(tmp_path, est)
        agent.command("enrol")
        certificate = agent.current()
        text = (agent.identity / "current.pem").read_bytes()
        for hours in (0, 2):
            (agent.identity / "current.pem").unlink()
            key = agent.identity / "next.key"
            write_secret(key, text.split(b"-----BEGIN CERTIFICATE-----")[0].decode())
            if hours:
                connection = sqlite3.connect(est.database_path, timeout=20)
                connection.execute("UPDATE claim SET spent_at = spent_at - 7200 WHERE device = ?", (agent.device_id,))
                connection.commit()
                connection.close()
            done = agent.command("enrol")
            assert done.returncode == 0, done.stderr
            assert agent.current() == certificate and len(agent.issued()) == 1
        assert "asking without the claim" in agent.log

    def test_killed_at_any_moment(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        for _ in range(40):
            process = agent.spawn("enrol")
            time.sleep(random.uniform(0.0, 0.06))
            process.kill()
            process.wait()
        assert agent.command("enrol").returncode == 0
        assert len(agent.issued()) == 1 and agent.files() == ["current.pem"]
        assert agent.once().returncode == 0


class TestRenewal:
    def test_not_before_two_thirds(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        agent.settle()
        agent.age(0.65)
        before = agent.current()
        assert agent.once().returncode == 0
        assert agent.current() == before and len(agent.issued()) == 1

    def test_from_two_thirds_on(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        agent.settle()
        agent.age(0.67)
        before = agent.current()
        assert agent.once().returncode == 0
        after = agent.current()
        assert after.public_key().public_numbers() != before.public_key().public_numbers(), "a new key"
        assert agent.files() == ["current.pem"] and "certificate renewed" in agent.log
        assert [row["way"] for row in agent.issued()] == ["claim", "renewal"]
        assert agent.once().returncode == 0 and len(agent.issued()) == 2

    def test_the_daemon_follows_what_is_there(self, est, tmp_path):
        """Another process, or whoever manages the device's certificate, has replaced it under the daemon."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        process = agent.spawn("run")
        try:
            assert wait_until(lambda: "no update" in (agent.folder / "agent.log").read_text(encoding="utf-8"))
            agent.age(0.7)  # the daemon that goes on with the one in its memory sees nothing to renew
            assert wait_until(lambda: [row["way"] for row in agent.issued()] == ["claim", "renewal"], timeout=20)
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        assert agent.once().returncode == 0 and agent.files() == ["current.pem"]

    def test_the_daemon_stays_who_it_is(self, est, pki, tmp_path):
        """A certificate of another device in that place is no renewal: state and floor are this one's."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        name = f"not-{agent.device_id}"
        other = pki.strange(name, uris=[f"urn:pawl:device:{name}"])
        process = agent.spawn("run")
        try:
            log = agent.folder / "agent.log"
            assert wait_until(lambda: "no update" in log.read_text(encoding="utf-8"))
            write_secret(agent.identity / "current.pem", other.key.read_text(encoding="ascii") + other.cert.read_text(encoding="ascii"))
            assert wait_until(lambda: f"is for device '{name}' now" in log.read_text(encoding="utf-8"))
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=20) == 0
        assert est.operator().get(f"/api/v1/devices/{name}").status == 404, "it has spoken as the other"

    def test_only_what_the_server_accepts_takes_the_old_ones_place(self, est, pki, tmp_path):
        """A certificate in waiting that the server does not believe is thrown away; the old one goes on."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        make_ca(pki, "stranger-ca")
        stranger = pki.strange(f"stranger-{agent.device_id}", issuer="stranger-ca", uris=[f"urn:pawl:device:{agent.device_id}"])
        other = pki.strange(f"other-key-{agent.device_id}", uris=[f"urn:pawl:device:{agent.device_id}"])
        before = (agent.identity / "current.pem").read_bytes()
        for key, certificate in ((stranger.key, stranger.cert), (other.key, other.cert), (stranger.key, other.cert)):
            write_secret(agent.identity / "next.pem", key.read_text(encoding="ascii") + certificate.read_text(encoding="ascii"))
            assert agent.once().returncode == 0
            assert agent.files() == ["current.pem"] and (agent.identity / "current.pem").read_bytes() == before
        assert agent.log.count("the new certificate is not accepted") == 3

    def test_server_out_of_reach_while_the_new_one_waits(self, est, tmp_path):
        """Nothing is thrown away by a network that fails."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        shutil.copy(agent.identity / "current.pem", agent.identity / "next.pem")
        agent.write_config(server={"url": "https://localhost:1"})
        assert agent.once().returncode == 4
        assert agent.files() == ["current.pem", "next.pem"]
        agent.through(None)
        assert agent.once().returncode == 0
        assert agent.files() == ["current.pem"]

    def test_killed_at_any_moment(self, est, tmp_path):
        agent = Newborn(tmp_path, est)
        agent.settle()
        for _ in range(3):
            agent.age(0.7)
            serial = agent.current().serial_number
            for _ in range(12):
                agent.random_kill(0.12)
            assert agent.once().returncode == 0
            assert agent.files() == ["current.pem"] and agent.current().serial_number != serial
            assert agent.once().returncode == 0

    def test_a_used_key_that_was_left_behind(self, est, tmp_path):
        """Killed between two files: the next renewal has a new key all the same."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        agent.age(0.7)
        before = agent.current()
        text = (agent.identity / "current.pem").read_text(encoding="ascii")
        write_secret(agent.identity / "next.key", text[:text.index("-----BEGIN CERTIFICATE-----")])
        assert agent.once().returncode == 0 and agent.files() == ["current.pem"]
        assert agent.current().public_key().public_numbers() != before.public_key().public_numbers()

    def test_expired(self, est, tmp_path):
        """Switched off for long: the enrolment listener renews for the same key."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        # What was issued within the hour would be answered again; this device was issued its certificate long ago.
        connection = sqlite3.connect(est.database_path, timeout=20)
        connection.execute("UPDATE certificate SET issued_at = issued_at - 10000 WHERE device = ?", (agent.device_id,))
        connection.commit()
        connection.close()
        agent.age(2)
        key = agent.current().public_key().public_numbers()
        assert agent.once().returncode == 0, agent.log
        assert agent.current().public_key().public_numbers() == key
        assert agent.current().not_valid_after > datetime.datetime.utcnow() and agent.files() == ["current.pem"]
        # … and the next renewal has a key of its own.
        agent.age(0.7)
        assert agent.once().returncode == 0
        assert agent.current().public_key().public_numbers() != key

    def test_a_server_that_does_not_issue_any_more(self, est, tmp_path):
        """What fails is told, and the update goes on."""
        agent = Newborn(tmp_path, est)
        agent.settle()
        agent.age(0.9)
        before = agent.current()
        config = est.config_path.read_text(encoding="utf-8")
        try:
            lines = [line for line in config.splitlines() if not line.startswith(("ca_certificate", "ca_key"))]
            est.config_path.write_text("\n".join(lines) + "\n", encoding="utf-8")
            est.restart()
            agent.through(None)
            assert agent.once().returncode == 0
            assert "could not be renewed" in agent.log and agent.current() == before
        finally:
            est.config_path.write_text(config, encoding="utf-8")
            est.restart()

    def test_a_device_without_a_clock(self, est, tmp_path):
        """Two thirds of the life are counted by the server's signed answers."""
        agent = Newborn(tmp_path, est, config={"device": {"clock": "none"}})
        agent.settle()
        agent.age(0.7)
        assert agent.once().returncode == 0
        assert len(agent.issued()) == 2


class TestConfiguration:
    @pytest.mark.parametrize("changes,words", [
        ({"enrolment": {"id": None}}, "[enrolment] id"),
        ({"enrolment": {"id": "no id"}}, "[enrolment] id"),
        ({"enrolment": {"url": "http://localhost:1"}}, "[enrolment] url"),
        ({"enrolment": {"url": None}}, "[device] certificate and key are required"),
        ({"device": {"certificate": "x", "key": "y"}}, "are not set with [enrolment] url"),
        ({"enrolment": {"factory_key": "x"}}, "belong together"),
    ])
    def test_mistakes(self, est, tmp_path, changes, words):
        agent = Newborn(tmp_path, est)
        agent.write_config(**changes)
        done = agent.command("enrol")
        assert done.returncode == 2 and words in done.stderr, done.stderr

    def test_enrol_without_a_listener(self, est, tmp_path):
        agent = Agent(tmp_path, est, "by-hand")
        done = agent.command("enrol")
        assert done.returncode == 2 and "[enrolment] url" in done.stderr
