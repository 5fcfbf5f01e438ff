"""Backup, restore, scrub and migrate by the real programs, with a server running and without."""

import json
import os
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import tarfile
import threading
import time

import pytest

from lib import firmware
from lib.paths import ROOT, program
from lib.wait import wait_for

WITHIN_S = 20


def files_beside(path):
    return sorted(other.name for other in path.parent.iterdir() if other.name.startswith(path.name))


@pytest.fixture
def lived(new_server):
    """A server with a release that a device has confirmed, an older one, and an upload that nobody published."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.UBOOT_ARM, "router", "1.0.0", ("qemu-arm",))
    server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", ("qemu-arm",))
    assert server.operator().upload(b"nobody names me").status in (200, 201)
    bring(server, "dev-1", "1.1.0", 2)
    return server


def bring(server, device_id, version, sequence):
    device = server.device(device_id)
    device.directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)
    deployment = server.operator().device(device_id)["deployment"]
    for number, event in enumerate(("downloading", "downloaded", "installing", "rebooting"), 1):
        assert device.report(deployment, number, event).status == 200
    assert device.report(deployment, 5, "confirmed", installed={"version": version, "sequence": sequence}).status == 200


class TestBackup:
    def test_of_a_running_server(self, lived, new_server, tmp_path):
        """A plain tar that comes back as a server with everything in it, in another place."""
        file = tmp_path / "b.tar"
        before = lived.operator().device("dev-1")
        said = lived.run("backup", str(file)).stdout
        assert "2 images" in said
        assert file.stat().st_mode & 0o777 == 0o600 and files_beside(file) == ["b.tar"]
        with tarfile.open(file) as tar:
            names = tar.getnames()
            manifest = json.load(tar.extractfile("manifest.json"))
        assert names[0] == "pawl.db" and names[-1] == "manifest.json" and len(names) == 4
        assert manifest["images"] == 2 and manifest["damaged"] == []
        assert subprocess.run(["tar", "tf", file], capture_output=True, text=True, check=True).stdout.split() == names

        other = new_server({"enrolment": {"auto_accept": "yes"}}, start=False)
        assert other.run("restore", str(file), check=False).returncode == 3
        done = other.run("restore", "--force", str(file))
        assert "2 images" in done.stdout and ".before-restore-" in done.stdout
        shutil.rmtree(other.folder / "online")
        shutil.copytree(lived.folder / "online", other.folder / "online")
        other.token, other.token_file = lived.token, lived.token_file
        other.start()
        after = other.operator().device("dev-1")
        for name in ("first_seen", "last_seen"):  # up to one flush interval behind
            after.pop(name), before.pop(name)
        assert after == before
        assert other.device("dev-1").directive(product="router", hardware="qemu-arm", version="1.1.0", sequence=2)["action"] == "none"
        assert [event["kind"] for event in other.operator().events(kind="restored")] == ["restored"]
        assert other.device("dev-2").directive(product="router", hardware="qemu-arm", version="0", sequence=0)["action"] == "install"

    def test_refusals(self, lived, tmp_path):
        file = tmp_path / "b.tar"
        file.write_bytes(b"mine")
        done = lived.run("backup", str(file), check=False)
        assert done.returncode == 3 and "exists already" in done.stderr and file.read_bytes() == b"mine"
        done = lived.run("backup", str(tmp_path / "no" / "where.tar"), check=False)
        assert done.returncode != 0 and "where.tar" in done.stderr
        done = lived.run("backup", check=False)
        assert done.returncode == 2 and "FILE" in done.stderr
        done = lived.run("restore", "--force", str(file), check=False)
        assert done.returncode == 1 and "locked" in done.stderr  # it is being served
        lived.stop()
        done = lived.run("restore", "--force", str(file), check=False)
        assert done.returncode == 5 and str(file) in done.stderr and len(done.stderr.splitlines()) == 1
        assert lived.start().device("dev-1").get("/whoami").status == 200

    def test_writes_go_on_under_it(self, lived, tmp_path):
        """20 backups one after the other while devices register: every acknowledged one is there, none waits long, every backup restores."""
        stop, slowest, made = threading.Event(), [0.0], []

        def register():
            client = lived.operator(fresh=True)
            while not stop.is_set():
                began = time.monotonic()
                name = f"under-load-{len(made)}"
                assert client.post("/api/v1/devices", {"id": name}).status == 201
                slowest[0] = max(slowest[0], time.monotonic() - began)
                made.append(name)

        thread = threading.Thread(target=register)
        thread.start()
        known = []
        try:
            for number in range(20):
                known.append(len(made))
                lived.run("backup", str(tmp_path / f"{number}.tar"))
        finally:
            stop.set()
            thread.join()
        assert len(made) > 20 and slowest[0] < 10
        lived.stop()
        for number in (0, 7, 19):
            lived.run("restore", "--force", str(tmp_path / f"{number}.tar"))
            ids = {row[0] for row in lived.query("SELECT id FROM device")}
            assert set(made[: known[number]]) <= ids
            assert lived.query("PRAGMA integrity_check") == [("ok",)]

    def test_killed(self, lived, tmp_path):
        file = tmp_path / "b.tar"
        for delay in (0, 0.005, 0.01, 0.02, 0.04):
            process = subprocess.Popen([program("pawld"), "backup", "--config", str(lived.config_path), str(file)], env=lived.env(), stdout=subprocess.DEVNULL)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            if process.wait() == 0:
                file.unlink()
            assert not file.exists()
        lived.run("backup", str(file))
        assert files_beside(file) == ["b.tar"]
        slow = subprocess.Popen([program("pawld"), "backup", "--config", str(lived.config_path), "--rate", "1000", str(tmp_path / "slow.tar")], env=lived.env(),
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_for(lambda: (tmp_path / "slow.tar.part").exists())
        slow.terminate()
        _, said = slow.communicate(timeout=WITHIN_S)
        assert slow.returncode == 1 and "stopped" in said and files_beside(tmp_path / "slow.tar") == []


def test_an_older_backup_lets_nobody_go_back(lived, tmp_path):
    """Floors and revocations that the replaced store knows outlive the restore."""
    file = tmp_path / "b.tar"
    admin = lived.operator()
    leaked = admin.ok("POST", "/api/v1/tokens", {"scopes": ["device:read"]})
    lived.run("backup", str(file))
    bring(lived, "dev-2", "1.1.0", 2)
    lived.device("dev-3").get("/whoami")
    admin.ok("POST", "/api/v1/devices/dev-3/revoke")
    assert admin.delete(f"/api/v1/tokens/{leaked['token']['id']}", headers=[("If-Match", "*")]).status == 204
    admin.ok("POST", "/api/v1/releases/router/1.1.0/withdraw", {})
    lived.stop()
    said = lived.run("restore", "--force", str(file)).stdout
    assert "2 devices" in said and "1 revoked tokens" in said and "1 withdrawn releases" in said
    lived.start()
    admin = lived.operator()
    assert admin.device("dev-2")["floor"]["sequence"] == 2 and admin.device("dev-3")["state"] == "revoked"
    assert lived.operator(leaked["secret"]).get("/api/v1/devices").status == 401
    device = lived.device("dev-2")
    assert device.check(product="router", hardware="qemu-arm", version="1.0.0", sequence=1).status in (200, 204)
    assert admin.assign("dev-2", "1.0.0").status == 409
    assert lived.device("dev-4").directive(product="router", hardware="qemu-arm", version="0", sequence=0)["release"]["version"] == "1.0.0"
    assert "store.restore" in [row["action"] for row in admin.ok("GET", "/api/v1/audit?limit=1000")["items"]]


class TestScrub:
    def images(self, server):
        return {row[0]: pathlib.Path(server.data, "images", row[0]) for row in server.query("SELECT sha256 FROM image ORDER BY length")}

    def test_good(self, lived):
        done = lived.run("scrub")
        assert "3 images" in done.stdout and "0 corrupt, 0 missing, 0 orphans" in done.stdout
        lived.stop()
        assert "3 images" in lived.run("scrub", "--rate", "100000000").stdout

    def test_faults(self, lived):
        """One image flipped in one bit, one truncated, one gone, one that nobody knows: found beside a running server, told as events."""
        (_, small), (flipped, middle), (gone, great) = self.images(lived).items()
        data = bytearray(middle.read_bytes())
        data[len(data) // 2] ^= 1
        middle.chmod(0o600)
        middle.write_bytes(data)
        great.unlink()
        orphan = small.with_name("ab" * 32)
        orphan.write_bytes(b"x")
        assert "0 orphans" in lived.run("scrub", check=False).stdout  # it may be on its way in
        os.utime(orphan, (1, 1))
        done = lived.run("scrub", check=False)
        assert done.returncode == 1
        assert set(done.stdout.splitlines()[:3]) == {f"corrupt\t{flipped}", f"missing\t{gone}", f"orphan\t{'ab' * 32}"}
        admin = lived.operator()
        for kind, sha256 in (("image-corrupt", flipped), ("image-missing", gone), ("image-orphan", "ab" * 32)):
            wait_for(lambda kind=kind, sha256=sha256: any(event["detail"].get("sha256") == sha256 for event in admin.events(kind=kind)))
        assert not (lived.data / "scrub.json").exists()
        # An upload again heals, the next start takes the orphan away.
        for image in (firmware.UBOOT_ARM, firmware.UBOOT_ARM64):
            assert admin.upload(pathlib.Path(image)).status == 200
        lived.restart()
        assert "0 corrupt, 0 missing, 0 orphans" in lived.run("scrub").stdout

    def test_found_while_nobody_serves(self, lived):
        lived.stop()
        next(iter(self.images(lived).values())).unlink()
        assert lived.run("scrub", check=False).returncode == 1
        assert (lived.data / "scrub.json").exists()
        lived.start()
        wait_for(lambda: lived.operator().events(kind="image-missing"))

    def test_no_store(self, lived, tmp_path):
        environment = {**lived.env(), "PAWL_STORE_DATA": str(tmp_path / "nothing")}
        done = subprocess.run([program("pawld"), "scrub", "--config", str(lived.config_path)], env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 3 and "nothing" in done.stderr and not (tmp_path / "nothing").exists()


class TestMigrate:
    def newest(self):
        return max(int(path.name[:4]) for path in (ROOT / "db" / "migrations").glob("*.sql"))

    def test_from_the_first_schema(self, new_server):
        server = new_server(start=False)
        shutil.rmtree(server.data)
        server.data.mkdir()
        connection = sqlite3.connect(server.database_path)
        connection.executescript((ROOT / "db" / "migrations" / "0001_initial.sql").read_text(encoding="utf-8") + "PRAGMA user_version = 1;")
        connection.close()
        assert f"from schema 1 to {self.newest()}" in server.run("migrate").stdout
        assert server.query("PRAGMA user_version") == [(self.newest(),)]
        assert "the newest" in server.run("migrate").stdout

    def test_refusals(self, new_server):
        server = new_server()
        done = server.run("migrate", check=False)
        assert done.returncode == 1 and "locked" in done.stderr  # it is being served
        server.stop()
        connection = sqlite3.connect(server.database_path)
        connection.execute("PRAGMA user_version = 9999")
        connection.close()
        done = server.run("migrate", check=False)
        assert done.returncode == 3 and "newer version" in done.stderr


class TestByRequest:
    def test_made_by_the_server(self, new_server, tmp_path):
        """Asked for over the API, made in the server's folder, restored as any other."""
        folder = tmp_path / "backups"
        server = new_server({"enrolment": {"auto_accept": "yes"}, "store": {"backups": folder}})
        server.publish(firmware.UBOOT_ARM, "router", "1.0.0", ("qemu-arm",))
        admin = server.operator()
        assert admin.ok("GET", "/api/v1/backups") == {"items": [], "next": None} and folder.is_dir()
        begun = admin.post("/api/v1/backups", {})
        assert begun.status == 202 and begun.json["name"].startswith("pawl-")
        wait_for(lambda: [item["state"] for item in admin.ok("GET", "/api/v1/backups")["items"]] == ["done"])
        name = server.pawl("backup", "create").stdout.strip()
        assert (folder / name).exists() and name in server.pawl("backup", "list").stdout
        assert "backup.create" in [row["action"] for row in admin.pages("/api/v1/audit")]
        server.stop()
        assert "1 images" in server.run("restore", "--force", str(folder / name)).stdout
        assert server.start().operator().get("/api/v1/releases/router/1.0.0").status == 200

    def test_a_name_is_never_taken_twice(self, new_server, tmp_path):
        """Every name of the next minute is taken, by a finished backup or by one that is being made by hand: the server takes the next one."""
        folder = tmp_path / "backups"
        server = new_server({"store": {"backups": folder}})
        start = int(time.time())
        for moment in range(start - 1, start + 60):
            stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(moment))
            (folder / f"pawl-{stamp}.tar").write_bytes(b"of that second")
            (folder / f"pawl-{stamp}-2.tar.part").write_bytes(b"being made")
        first = server.pawl("backup", "create").stdout.strip()
        second = server.pawl("backup", "create").stdout.strip()
        assert first.endswith("Z-3.tar") and second.endswith(("Z-3.tar", "Z-4.tar")) and first != second
        assert (folder / first).stat().st_size > 1000 < (folder / second).stat().st_size
        assert (folder / first.replace("-3", "")).read_bytes() == b"of that second"

    def test_refusals(self, lived, new_server, tmp_path):
        reply = lived.operator().post("/api/v1/backups", {})
        assert reply.status == 409 and "[store] backups" in reply.json["detail"]
        done = lived.pawl("backup", "create", check=False)
        assert done.returncode == 3 and "[store] backups" in done.stderr
        assert lived.operator(lived.operator().token_with("device:read", "audit:read")).get("/api/v1/backups").status == 403
        folder = tmp_path / "backups"
        server = new_server({"store": {"backups": folder}})
        shutil.rmtree(folder)
        done = server.pawl("backup", "create", check=False)
        assert done.returncode != 0 and "No such file" in done.stderr + server.log()
        (tmp_path / "file").touch()
        other = new_server({"store": {"backups": tmp_path / "file"}}, start=False)
        with pytest.raises(AssertionError, match="backups"):
            other.start()
