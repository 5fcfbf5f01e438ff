"""A write that was acknowledged is there after kill -9, once (F01 of reliability-security.md; PAWL_TEST_LONG for the long form)."""

import hashlib
import os
import random
import sqlite3
import ssl
import threading
import time

import pytest

from lib import firmware, tuf
from lib.paths import LONG
from lib.wait import wait_for
from lib.wire import Closed

HARDWARE = "qemu-arm"
KILLS = 100 if LONG else 10
READY_S = 2.0


class Writer(threading.Thread):
    """Writes until the server is gone; remembers what was acknowledged, and what was asked and not answered."""

    def __init__(self, server, stop):
        super().__init__(daemon=True)
        self.server, self.stop = server, stop
        self.acknowledged, self.unanswered, self.wrong = [], [], []

    def run(self):
        while not self.stop.is_set():
            try:
                self.step()
            except (Closed, OSError, ssl.SSLError):
                return
            except AssertionError as error:
                self.wrong.append(str(error))
                return

    def done(self, what, reply, *expected):
        assert reply.status in expected, f"{what}: {reply}"
        self.acknowledged.append(what)


class Devices(Writer):
    number = 0

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.operator = self.server.operator(fresh=True)

    def step(self):
        Devices.number += 1
        name = f"made-{Devices.number}"
        self.unanswered.append(name)
        self.done(name, self.operator.post("/api/v1/devices", {"id": name}, headers=[("Idempotency-Key", name)]), 201)
        self.unanswered.remove(name)


class Assigns(Writer):
    """Gives one device the same release again and again; each supersedes the one before."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.operator = self.server.operator(fresh=True)

    def step(self):
        reply = self.operator.assign("durable-1", "1.0.0")
        self.done(reply.json.get("id"), reply, 201)


class Reports(Writer):
    def __init__(self, server, stop, deployment, first):
        super().__init__(server, stop)
        self.device = server.device("durable-2")
        self.deployment, self.next = deployment, first

    def step(self):
        self.done(self.next, self.device.report(self.deployment, self.next, "downloading", progress=self.next % 101), 200)
        self.next += 1


class Uploads(Writer):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.operator = self.server.operator(fresh=True)

    def step(self):
        data = os.urandom(20_000)
        self.done(hashlib.sha256(data).hexdigest(), self.operator.upload(data), 201)


def check_store(server):
    """While it is down: the database is whole, the audit is a chain, every image row has its file."""
    connection = sqlite3.connect(f"file:{server.database_path}?mode=ro", uri=True)
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
        chain = connection.execute("SELECT seq, prev_hash, hash FROM audit ORDER BY seq").fetchall()
        assert [row[0] for row in chain] == list(range(1, len(chain) + 1))
        assert all(later[1] == earlier[2] for earlier, later in zip(chain, chain[1:]))
    finally:
        connection.close()


def test_kill_under_four_writers(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "durable", "1.0.0", (HARDWARE,))
    for name in ("durable-1", "durable-2"):
        server.device(name).check(product="durable", hardware=HARDWARE)
    deployment = server.operator().device("durable-2")["deployment"]
    assert deployment
    acknowledged = {Devices: set(), Assigns: set(), Reports: set(), Uploads: set()}
    unanswered = set()
    next_report = 1
    slowest = 0.0
    random.seed(20)
    for _ in range(KILLS):
        stop = threading.Event()
        writers = [Devices(server, stop), Assigns(server, stop), Reports(server, stop, deployment, next_report), Uploads(server, stop)]
        for writer in writers:
            writer.start()
        time.sleep(random.uniform(0.1, 0.6))
        server.process.kill()
        server.process.wait()
        stop.set()
        for writer in writers:
            writer.join(timeout=30)
            assert not writer.wrong, writer.wrong
            acknowledged[type(writer)] |= set(writer.acknowledged)
        unanswered |= set(writers[0].unanswered)
        check_store(server)
        begin = time.monotonic()
        server.start()
        slowest = max(slowest, time.monotonic() - begin)
        operator = server.operator()
        seen = operator.ok("GET", f"/api/v1/deployments/{deployment}")["report_seq"]
        assert seen >= max(acknowledged[Reports], default=0), "an acknowledged report is lost"
        next_report = seen + 1
    assert all(acknowledged.values()), "a writer wrote nothing: the test shows nothing"

    operator = server.operator()
    devices = [item["id"] for item in operator.pages("/api/v1/devices", limit=1000)]
    assert len(devices) == len(set(devices))
    assert acknowledged[Devices] <= set(devices), "acknowledged devices are lost"
    # What was asked and not answered may be there or not; asked again under its key it is there once.
    for name in unanswered:
        assert operator.post("/api/v1/devices", {"id": name}, headers=[("Idempotency-Key", name)]).status == 201
    deployments = [item["id"] for item in operator.pages("/api/v1/deployments?device=durable-1", limit=1000)]
    assert len(deployments) == len(set(deployments)) and acknowledged[Assigns] <= set(deployments)
    assert len([item for item in operator.pages("/api/v1/deployments?device=durable-1", limit=1000) if item["state"] in ("assigned", "offered")]) == 1
    reports = server.query("SELECT report_seq FROM report WHERE deployment = ? ORDER BY report_seq", int(deployment))
    assert [row[0] for row in reports] == list(range(1, len(reports) + 1)), "a report is missing or twice"
    for digest in acknowledged[Uploads]:
        assert operator.get(f"/api/v1/images/{digest}").status == 200
        assert hashlib.sha256(next(server.data.rglob(digest)).read_bytes()).hexdigest() == digest
    assert slowest < READY_S * 4, f"ready after {slowest:.1f} s"


def test_kill_during_publication(new_server):
    """Either the whole release or nothing of it; the same request again brings it."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "atomic", "1.0.0", (HARDWARE,))
    passphrase = server.passphrase_file.read_text(encoding="ascii").strip()
    random.seed(21)
    for number in range(30 if LONG else 6):
        image = firmware.ATH_7010.read_bytes() + bytes([number])
        digest = hashlib.sha256(image).hexdigest()
        assert server.operator().upload(image).status == 201
        draft = tuf.Repository(server.device("atomic-1"), server.keys, passphrase).next()
        version = f"1.0.{number + 1}"
        draft.add(image, "atomic", version)
        files, operator = draft.files(), server.operator(fresh=True)
        operator.get("/api/v1/whoami")
        answered = []

        def publish():
            try:
                answered.append(operator.publish_files(files, headers=[("Idempotency-Key", f"publish-{version}")]).status)
            except (Closed, OSError, ssl.SSLError):
                pass

        thread = threading.Thread(target=publish)
        thread.start()
        time.sleep(random.uniform(0, 0.05))
        server.process.kill()
        server.process.wait()
        thread.join()
        check_store(server)
        server.start()
        operator = server.operator()
        there = operator.get(f"/api/v1/releases/atomic/{version}").status == 200
        assert there or not answered
        served = tuf.Repository(server.device("atomic-1"), server.keys, passphrase).targets["signed"]["targets"]
        assert (f"atomic/{version}/image.bin" in served) == there
        reply = operator.publish_files(files, headers=[("Idempotency-Key", f"publish-{version}")])
        assert reply.status == 201 or there and reply.status in (409, 422)
        assert operator.get(f"/api/v1/images/{digest}").status == 200


def test_clean_end_and_start(new_server):
    """SIGTERM lets the request under way finish and flushes what is coalesced: last-seen is there afterwards."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    device = server.device("seen-1")
    device.check(product="p", hardware="h", version="3.2.1", sequence=7)
    server.restart()
    known = server.operator().device("seen-1")
    assert known["installed"] == {"version": "3.2.1", "sequence": 7} and known["last_seen"]


def test_drain_lets_a_request_finish(new_server):
    """A body that is still coming when SIGTERM comes."""
    import signal

    from lib.wire import head_bytes

    server = new_server()
    operator = server.operator()
    data = os.urandom(400_000)
    digest = hashlib.sha256(data).hexdigest()
    with operator.connect() as connection:
        connection.send(head_bytes("PUT", f"/api/v1/images/{digest}", operator.headers + [("Content-Length", str(len(data)))]) + data[:200_000])
        time.sleep(0.3)
        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.send(data[200_000:])
        assert connection.read_reply().status == 201
    assert server.process.wait(timeout=15) == 0


def test_locked_database(new_server):
    """Another process holds the database: reads go on, writes are refused with Retry-After or wait, and it heals."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    operator, device = server.operator(), server.device("locked-1")
    device.check(product="p", hardware="h")
    with server.write_lock():
        assert operator.get("/api/v1/devices").status == 200
        assert device.check(nonce=None).status == 204
        reply = operator.post("/api/v1/products", {"id": "while-locked"})
        assert reply.status == 503 and int(reply.header("Retry-After")) <= 10
    assert operator.post("/api/v1/products", {"id": "while-locked"}).status == 201


def test_upload_that_the_writer_never_took(new_server):
    """The database stays locked to the end of an upload: 503, and neither the image nor its temporary file stays."""
    server = new_server()
    operator = server.operator()
    before, data = server.image_files(), os.urandom(300_000)
    with server.write_lock():
        assert operator.upload(data).status == 503
        wait_for(lambda: server.image_files() == before)
    assert operator.upload(data).status == 201


def test_newer_database_is_refused(new_server):
    server = new_server()
    server.stop()
    connection = sqlite3.connect(server.database_path)
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    assert version >= 1
    connection.execute(f"PRAGMA user_version = {version + 1}")
    connection.commit()
    connection.close()
    with pytest.raises(AssertionError, match="newer"):
        server.start()


def test_second_server_on_one_store(new_server):
    """Two processes on one folder would undo each other's registry: the second one is refused."""
    server = new_server()
    import subprocess

    from lib.paths import program

    done = subprocess.run([program("pawld"), "serve", "--config", str(server.config_path)], capture_output=True, text=True, timeout=20, check=False, env=server.env())
    assert done.returncode != 0 and server.alive()
    assert server.operator().get("/api/v1/whoami").status == 200
