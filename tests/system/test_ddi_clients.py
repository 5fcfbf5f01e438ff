"""Clients that no one here wrote: Debian's rauc, curl and wget as they are; rauc-hawkbit-updater, Zephyr, hara and SWUpdate's general-server mode by the
requests that they send. swupdate itself is in test_ddi_swupdate.py."""

import hashlib
import os
import shutil
import subprocess
import urllib.parse

import pytest

from lib.ddi import HARDWARE, Fleet, compact
from lib.firmware import UBOOT_ARM64
from lib.proxy import Proxy


@pytest.fixture(scope="module")
def fleet(servers):
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}}))


@pytest.fixture(scope="module")
def by_report(servers):
    """For clients that never say which version they run."""
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}, "ddi": {"confirm": "report"}}), "word")


def curl(client, *arguments, **options):
    certificate, pki = client.device.certificate, client.device.server.pki
    return subprocess.run(["curl", "--silent", "--show-error", "--cert", certificate.cert, "--key", certificate.key, "--cacert", pki.server_ca, *map(str, arguments)],
                          capture_output=True, timeout=60, check=False, **options)


def link_of(client, port):
    """The download link as a client on this port gets it."""
    host = [("Host", f"localhost:{port}")]
    update = client.follow(client.links(headers=host)["deploymentBase"], headers=host).json
    return update["deployment"]["chunks"][0]["artifacts"][0]["_links"]["download-http"]["href"]


class TestPlainDownloaders:
    """A cut line, then the same command again: only the rest comes."""

    @pytest.fixture
    def cut(self, fleet):
        client, _ = fleet.offered()
        with Proxy(fleet.server.device_port, cut_after=400_000) as line:
            yield client, line, link_of(client, line.port)

    def test_curl(self, cut, tmp_path):
        client, line, url = cut
        out = tmp_path / "image"
        assert curl(client, "-o", out, url).returncode != 0 and 0 < out.stat().st_size < 400_000
        line.cut_after = None
        before = line.down
        done = curl(client, "-C", "-", "-o", out, url)
        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == UBOOT_ARM64.read_bytes() and line.down - before < len(UBOOT_ARM64.read_bytes()) - 300_000
        assert curl(client, "-C", "-", "-o", out, url).returncode in (0, 33)  # 416: it is all there

    def test_wget(self, cut, tmp_path):
        client, line, url = cut
        certificate = client.device.certificate
        command = ["wget", "--quiet", "--tries=1", "--continue", f"--certificate={certificate.cert}", f"--private-key={certificate.key}",
                   f"--ca-certificate={fleet_ca(client)}", "-O", str(tmp_path / "image"), url]
        first = subprocess.run(command, capture_output=True, timeout=60, check=False)
        assert first.returncode != 0 and 0 < (tmp_path / "image").stat().st_size < 400_000
        line.cut_after = None
        for _ in range(2):  # the second time it is all there
            again = subprocess.run(command, capture_output=True, timeout=60, check=False)
            assert again.returncode == 0, again.stderr
        assert (tmp_path / "image").read_bytes() == UBOOT_ARM64.read_bytes()


def fleet_ca(client):
    return client.device.server.pki.server_ca


@pytest.mark.skipif(not shutil.which("rauc"), reason="rauc is not installed (tools/bootstrap installs it)")
class TestRauc:
    """The bundle is fetched by curl with the device's certificate, as an updater beside rauc does; rauc itself has no option for one."""

    @pytest.fixture(scope="class")
    def bundle(self, tmp_path_factory):
        folder = tmp_path_factory.mktemp("rauc")
        (folder / "input").mkdir()
        (folder / "input" / "rootfs.img").write_bytes(os.urandom(300_000))
        (folder / "input" / "manifest.raucm").write_text("[update]\ncompatible=pawl-board\nversion=1.1.0\n[bundle]\nformat=plain\n[image.rootfs]\nfilename=rootfs.img\n")
        for name in ("good", "other"):
            self.run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem", "-subj",
                     f"/CN={name}", "-days", "40", "-addext", "keyUsage=critical,digitalSignature")
        self.run("rauc", "--cert", folder / "good.pem", "--key", folder / "good.key", "bundle", folder / "input", folder / "update.raucb")
        return folder

    @staticmethod
    def run(*command, check=True, **options):
        done = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, check=False, **options)
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done

    def system(self, folder, keyring):
        """Two slots that are files."""
        for name in ("slot0", "slot1"):
            (folder / name).write_bytes(b"\0" * 2**20)
        (folder / "mnt").mkdir(exist_ok=True)
        slots = "".join(f"[slot.rootfs.{n}]\ndevice={folder}/slot{n}\ntype=raw\nbootname={letter}\n" for n, letter in enumerate("AB"))
        (folder / "system.conf").write_text(f"[system]\ncompatible=pawl-board\nbootloader=noop\nmountprefix={folder}/mnt\n[keyring]\npath={keyring}\ncheck-purpose=any\n{slots}")

    @pytest.fixture(scope="class")
    def fetched(self, fleet, bundle, tmp_path_factory):
        """(client, action, the file as it came)."""
        fleet.server.publish(bundle / "update.raucb", fleet.product, "3.0.0", (HARDWARE,))
        client, action = fleet.offered("3.0.0")
        out = tmp_path_factory.mktemp("fetched") / "update.raucb"
        done = curl(client, "--fail", "-o", out, link_of(client, fleet.server.device_port))
        assert done.returncode == 0, done.stderr
        assert out.read_bytes() == (bundle / "update.raucb").read_bytes()
        return client, action, out

    def test_signature_and_content(self, bundle, fetched, tmp_path):
        _, _, file = fetched
        assert "Version:    \t'1.1.0'" in self.run("rauc", "--keyring", bundle / "good.pem", "info", file).stdout
        self.run("rauc", "--keyring", bundle / "good.pem", "extract", file, tmp_path / "out")
        assert (tmp_path / "out" / "rootfs.img").read_bytes() == (bundle / "input" / "rootfs.img").read_bytes()
        assert self.run("rauc", "--keyring", bundle / "other.pem", "info", file, check=False).returncode != 0

    @pytest.mark.skipif(os.geteuid() != 0 or not os.path.exists("/dev/loop-control") or not shutil.which("dbus-run-session"),
                        reason="rauc's service mounts the bundle: it needs root, loop devices and a message bus")
    @pytest.mark.parametrize("keyring", ["good", "other"])
    def test_install(self, fleet, bundle, fetched, tmp_path, keyring):
        """rauc's service on a bus of its own; then the feedback that an updater would give."""
        client, action, file = fetched
        self.system(tmp_path, bundle / f"{keyring}.pem")
        script = '''export DBUS_STARTER_BUS_TYPE=session
rauc --conf="$1/system.conf" --override-boot-slot=A service >"$1/service.log" 2>&1 & pid=$!
for try in $(seq 100); do rauc status >/dev/null 2>&1 && break; sleep 0.1; done
rauc install "$2"; code=$?; kill $pid; wait $pid; exit $code'''
        done = self.run("dbus-run-session", "--", "sh", "-c", script, "sh", tmp_path, file, check=False)
        written = (tmp_path / "slot1").read_bytes().startswith((bundle / "input" / "rootfs.img").read_bytes())
        if keyring == "good":
            assert done.returncode == 0 and written, done.stdout + done.stderr
            assert client.say(action, "closed", "success", ["Software bundle installed successfully."]).status == 200
            client.config({"version": "3.0.0"})
            assert fleet.state(action) == "confirmed"
        else:
            assert done.returncode != 0 and not written and "ignature" in done.stdout + done.stderr


def test_rauc_hawkbit_updater(fleet):
    """One connection, its header fields, its bodies."""
    client = fleet.client()
    action = fleet.admin.assign(client.name, "1.1.0").json["id"]
    headers = [("User-Agent", "rauc-hawkbit-c-agent/1.0"), ("Accept", "application/json;charset=UTF-8")]
    typed = [*headers, ("Content-Type", "application/json;charset=UTF-8")]
    with client.device.connect() as line:
        links = client.get(headers=headers, connection=line).json["_links"]
        config = {"time": "20261122T061335", "status": {"result": {"finished": "success"}, "execution": "closed", "details": [""]}, "data": {"product": "gw", "version": "1.0.0"}}
        body = compact(config)
        assert client.device.put(urllib.parse.urlsplit(links["configData"]["href"]).path, body, headers=typed, connection=line).status == 200
        update = client.follow(links["deploymentBase"]["href"], headers=headers, connection=line).json
        [chunk] = update["deployment"]["chunks"]
        [artifact] = chunk["artifacts"]
        assert isinstance(update["id"], str) and update["deployment"]["download"] != "skip" and update["deployment"]["update"] != "skip"
        image = client.follow(artifact["_links"]["download"]["href"], headers=headers, connection=line).body
        assert hashlib.sha1(image).hexdigest() == artifact["hashes"]["sha1"]
        lines = ["Download complete. 95.21 MB/s", "File checksum OK."] + [f"{percent:3}% Checking bundle done." for percent in range(0, 105, 5)]
        assert len(lines) == 23
        for text in lines:
            body = b'{"id":"%s","time":"20261122T061336","status":{"result":{"finished":"none"},"execution":"proceeding","details":["%s"]}}' % (
                action.encode(), text.encode())
            assert client.device.post(f"{client.base}/deploymentBase/{action}/feedback", body, headers=typed, connection=line).status == 200
        last = b'{"id":"%s","time":"20261122T061338","status":{"result":{"finished":"success"},"execution":"closed","details":["Software bundle installed successfully."]}}'
        for _ in range(2):  # the answer may be lost
            assert client.device.post(f"{client.base}/deploymentBase/{action}/feedback", last % action.encode(), headers=typed, connection=line).status == 200
    entries = fleet.admin.pages(f"/api/v1/deployments/{action}/log")
    assert [entry["details"] for entry in entries] == [[text] for text in lines] + [["Software bundle installed successfully."]]
    assert fleet.state(action) == "rebooting"
    assert client.config({"product": "gw", "version": "1.1.0"}).status == 200 and fleet.state(action) == "confirmed"


def test_rauc_hawkbit_updater_cannot_stop(fleet):
    """Its answer to a cancel in the middle of an installation; and silence when it is over: then an operator ends it."""
    client, action = fleet.offered()
    fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
    body = b'{"id":"%d","time":"20261122T061338","status":{"result":{"finished":"success"},"execution":"rejected","details":["Cancelation impossible, installation in progress."]}}'
    assert client.post(action, body % action, kind="cancelAction").status == 200
    assert client.action() == action and fleet.state(action) == "installing"
    fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
    fleet.admin.ok("POST", f"/api/v1/deployments/{action}/force-close", {})
    assert set(client.links()) == {"configData"}


class Zephyr:
    """Its polling as a walk: after each step it polls again at once. old: to about 3.7. fails: what it does with an update."""

    def __init__(self, client, old=False):
        self.client, self.old = client, old
        self.client.base = f"/default/controller/v1/{client.name}"
        self.downloaded = None
        self.steps = []

    def read_id(self, href):
        """One character too late in a cancelAction link: what is left must not be zero."""
        text = href.rsplit("/", 1)[1]
        assert int(text[1:]) != 0
        return text

    def step(self):
        """One poll and what follows; None: at rest."""
        reply = self.client.get(headers=[("Content-Type", "application/json")])
        assert len(reply.body) == int(reply.header("Content-Length")) and b"\\/" not in reply.body and len(reply.json["config"]["polling"]["sleep"]) == 8
        links = {name: link["href"] for name, link in reply.json["_links"].items()}
        if "cancelAction" in links:
            action = self.read_id(links["cancelAction"])
            assert len(links["cancelAction"][links["cancelAction"].index("cancelAction/"):]) <= 49
            self.client.follow(links["cancelAction"])
            if self.downloaded:
                return "cancel-refused", self.client.post(action, b'{"status":{"execution":"closed","result":{"finished":"failure"}}}', kind="cancelAction")
            return "cancelled", self.client.post(action, self.close(action), kind="cancelAction")
        if "deploymentBase" in links:
            assert len(links["deploymentBase"][links["deploymentBase"].index("deploymentBase/"):]) <= 49
            return self.update(links["deploymentBase"])
        if "configData" in links:
            data = b'{"mode":"merge","data":{"VIN":"%s"}}' % self.client.name.encode()
            if self.old:
                data = b'{"id":"","time":"","status":{"result":{"finished":"success"},"execution":"closed"},"data":{"VIN":"%s"}}' % self.client.name.encode()
            return "attributes", self.client.config(raw=data)
        return None

    def close(self, action):
        closing = b'{"status":{"execution":"closed","result":{"finished":"success"}}}'
        return b'{"id":"%s","time":"","status":{"execution":"closed","result":{"finished":"success"},"details":[]}}' % action.encode() if self.old else closing

    def update(self, href):
        update = self.client.follow(href).json
        assert isinstance(update["id"], str) and 1 <= int(update["id"]) < 2**31
        if self.downloaded == update["id"]:  # it is up again
            return "closed", self.client.post(update["id"], self.close(update["id"]))
        [chunk] = update["deployment"]["chunks"]
        [artifact] = chunk["artifacts"]
        link = artifact["_links"]["download-http"]["href"]
        assert chunk["part"] == "bApp" and len(link) < 200
        if self.old:
            assert "/DEFAULT/controller/v1" in link
        path = "/" + link.split("//", 1)[1].split("/", 1)[1]
        image = self.client.device.get(path)
        assert hashlib.sha256(image.body).hexdigest() == artifact["hashes"]["sha256"] and len(image.body) == artifact["size"]
        self.downloaded = update["id"]
        return "downloaded", image

    def walk(self, limit=8):
        """The steps until it rests."""
        steps = []
        for _ in range(limit):
            done = self.step()
            if done is None:
                return steps
            assert done[1].status == 200, done
            steps.append(done[0])
        raise AssertionError(f"does not come to rest: {steps}")


@pytest.mark.parametrize("old", [False, True], ids=["new", "old"])
class TestZephyr:
    def test_nothing_to_do(self, by_report, old):
        assert Zephyr(by_report.client(), old).walk() == ["attributes"]

    def test_update(self, by_report, old):
        client = by_report.client()
        action = by_report.admin.assign(client.name, "1.1.0").json["id"]
        assert Zephyr(client, old).walk() == ["downloaded", "closed", "attributes"]
        assert by_report.state(action) == "confirmed"

    def test_update_under_version(self, fleet, old):
        """It never says its version: it comes to rest all the same, and the deployment is left to its deadline."""
        client = fleet.client()
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        assert Zephyr(client, old).walk() == ["downloaded", "closed", "attributes"]
        assert fleet.state(action) == "rebooting"

    def test_cancel(self, by_report, old):
        client, action = by_report.offered()
        by_report.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert Zephyr(client, old).walk() == ["cancelled", "attributes"]
        assert by_report.state(action) == "cancelled"

    def test_cancel_after_the_installation(self, by_report, old):
        client = by_report.client()
        action = by_report.admin.assign(client.name, "1.1.0").json["id"]
        device = Zephyr(client, old)
        assert device.step()[0] == "downloaded"
        by_report.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        assert device.walk() == ["cancel-refused", "closed", "attributes"]
        assert by_report.state(action) == "confirmed"

    def test_lost_answers(self, by_report, old):
        """Each closing feedback twice."""
        client = by_report.client()
        action = by_report.admin.assign(client.name, "1.1.0").json["id"]
        device = Zephyr(client, old)
        device.walk()
        assert client.post(action, device.close(action)).status == 200
        assert device.walk() == []


class TestHara:
    def test_update(self, by_report):
        client = by_report.client()
        action = by_report.admin.assign(client.name, "1.1.0").json["id"]
        headers = [("Accept", "application/hal+json"), ("If-None-Match", ""), ("User-Agent", "okhttp/4.9.1")]
        links = client.links(headers=headers)
        data = {"id": "", "time": "20140511T121314", "status": {"execution": "closed", "result": {"finished": "success"}, "details": []},
                "data": {"client": "kotlin"}, "mode": "merge"}
        assert client.config(raw=compact(data)).status == 200
        update = client.follow(links["deploymentBase"], headers=headers).json
        artifact = update["deployment"]["chunks"][0]["artifacts"][0]
        assert update["deployment"]["download"] == "forced" and update["deployment"]["update"] == "forced"
        image = client.follow(artifact["_links"]["download-http"]["href"]).body
        assert hashlib.md5(image).hexdigest() == artifact["hashes"]["md5"]
        steps = [("proceeding", "none", (0, 1), "Start downloading 1 files"), ("download", "none", (1, 2), "Downloading u-boot.bin - 50%"),
                 ("downloaded", "none", (1, 1), "Downloaded all files"), ("proceeding", "none", (1, 2), "Installing"),
                 ("closed", "success", (2, 2), "Details")]
        for execution, finished, progress, text in steps:
            body = {"id": action, "time": "20140511T121314", "status": {"execution": execution, "details": [text],
                    "result": {"progress": {"cnt": progress[0], "of": progress[1]}, "finished": finished}}}
            assert client.post(action, body).status == 200
        assert by_report.state(action) == "confirmed"

    def test_cancel_id_is_in_no_deployment_link(self, by_report):
        client, action = by_report.offered()
        by_report.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
        links = client.links()
        assert "deploymentBase" not in links and links["cancelAction"].endswith(f"/{action}")
        body = {"id": str(action), "time": "20140511T121314", "status": {"execution": "closed", "result": {"finished": "success"}, "details": ["cancelled"]}}
        assert client.post(action, body, kind="cancelAction").status == 200
        assert client.links() == {"configData": client.links()["configData"]}


def test_swupdate_bodies(fleet):
    """Byte for byte as swupdate 2022.12 sends them, with its doubled header field and its interim answer."""
    client = fleet.client()
    action = int(fleet.admin.assign(client.name, "1.1.0").json["id"])
    common = [("User-Agent", "libcurl-agent/1.0"), ("Accept", "application/json"), ("Content-Type", "application/json"), ("charsets", "utf-8"), ("charsets", "utf-8")]
    assert client.get(headers=common).status == 200 and client.get(f"/deploymentBase/{action}", headers=common).status in (200, 404)
    config = b'{ "id": "", "time": "20261122T060249", "status": { "result": { "finished": "success" }, "execution": "closed", "details" : [ "" ] }, "data" : {  "serial": "dev-42","hwRevision": "1.0" } }'
    assert client.device.put(client.base + "/configData", config, headers=common).status == 200
    for _ in range(2):
        assert client.get(headers=common).status == 200 and client.get(f"/deploymentBase/{action}", headers=common).status == 200

    def say(count, of, finished, execution, detail):
        body = ('{ "id": %d, "time": "20261122T060252", "status": { "result": { "progress": { "cnt" : %d, "of" : %d }, "finished": "%s" }, "execution": "%s", '
                '"details" : [ "%s" ] } }') % (action, count, of, finished, execution, detail)
        return client.device.post(f"{client.base}/deploymentBase/{action}/feedback", body.encode(), headers=common).status

    assert say(0, 1, "none", "proceeding", "Installing Update Chunk Artifacts.") == 200
    assert say(0, 0, "none", "proceeding", "a log line") == 200
    assert say(1, 1, "none", "proceeding", "Installed Chunk.") == 200
    assert say(1, 1, "none", "proceeding", "All Chunks Installed.") == 200
    assert fleet.state(action) == "rebooting"
    last = b'{ "id": %d, "time": "20261122T060252", "status": { "result": { "finished": "success" }, "execution": "closed", "details" : [ "Update Installed." ] } }' % action
    assert client.device.post(f"{client.base}/deploymentBase/{action}/feedback", last, headers=common).status == 200
    # 2026.05 says how its attributes are meant
    newer = b'{"id":"","time":"20261122T060249","status":{"result":{"finished":"success"},"execution":"closed","details":[""]},"data":{"version":"1.1.0"},"mode":"replace"}'
    assert client.device.put(client.base + "/configData", newer, headers=common).status == 200
    assert fleet.admin.ok("GET", f"/api/v1/devices/{client.name}/ddi")["attributes"] == {"version": "1.1.0"}
    assert fleet.state(action) == "confirmed"


def test_swupdate_cancel_body(fleet):
    """Byte for byte: the log first, to deploymentBase, then the acknowledgement."""
    client, action = fleet.offered()
    fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})
    assert client.get(f"/cancelAction/{action}").json == {"id": str(action), "cancelAction": {"stopId": str(action)}}
    line = '"%d : a line of its log"'
    log = b'{ "id": %d, "time": "20261122T060252", "status": { "result": { "progress": { "cnt" : 0, "of" : 0 }, "finished": "none" }, "execution": "proceeding", "details" : [ %s ] } }'
    assert client.post(action, log % (action, ", ".join(line % number for number in range(39)).encode())).status == 200
    body = b'{ "id": %d, "time": "20261122T060252", "status": { "result": { "finished": "success" }, "execution": "closed", "details" : [ "cancellation acknowledged." ] } }'
    assert client.post(action, body % action, kind="cancelAction").status == 200
    assert fleet.state(action) == "cancelled" and "cancelAction" not in client.links()
    assert [len(entry["details"]) for entry in fleet.admin.pages(f"/api/v1/deployments/{action}/log")][-2:] == [39, 1]


class TestGeneralServer:
    """SWUpdate's other mode, by its requests: Debian's build has it not. GET with what it is, the status says the rest; its log is PUT as one line."""

    headers = [("User-Agent", "libcurl-agent/1.0"), ("Accept", "*/*")]

    def poll(self, client, **query):
        return client.device.get(f"/general/{client.name}?" + urllib.parse.urlencode({"swver": "x", **query}), headers=self.headers)

    def log(self, client, line):
        return client.device.put(f"/general/{client.name}/log", line.encode(), headers=[("Content-Type", "application/text"), ("Expect", "100-continue")])

    def test_update(self, fleet):
        client = fleet.client()
        nothing = self.poll(client, version="1.0.0")
        assert nothing.status == 404 and 270 <= int(nothing.header("Retry-After")) <= 330
        assert fleet.admin.device(client.name)["installed"] == {"version": "1.0.0", "sequence": 1}
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        found = self.poll(client, version="1.0.0")
        assert found.status == 302 and int(found.header("Retry-After")) > 0
        assert found.header("Location") == "https://localhost/firmware/gw/1.1.0/u-boot.bin"
        image = client.device.get(urllib.parse.urlsplit(found.header("Location")).path)
        assert image.status == 200 and image.body == UBOOT_ARM64.read_bytes()
        assert self.log(client, "started,20261122,1.0.0").status == 200 and fleet.state(action) == "installing"
        assert self.poll(client, version="1.0.0").status == 302
        assert self.log(client, "success,20261122,1.1.0").status == 200 and fleet.state(action) == "rebooting"
        assert self.poll(client, version="1.0.0").status == 404  # nothing while it waits for its restart
        assert self.poll(client, version="1.1.0").status == 404
        assert fleet.state(action) == "confirmed" and fleet.admin.device(client.name)["floor"]["sequence"] == 2
        details = [entry["details"] for entry in fleet.admin.pages(f"/api/v1/deployments/{action}/log")]
        assert details == [["started,20261122,1.0.0"], ["success,20261122,1.1.0"]]

    def test_update_without_a_log(self, fleet):
        client = fleet.client()
        self.poll(client, version="1.0.0")
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        assert self.poll(client, version="1.0.0").status == 302
        assert self.poll(client, version="1.1.0").status == 404
        assert fleet.state(action) == "confirmed"

    def test_failure(self, fleet):
        client = fleet.client()
        self.poll(client, version="1.0.0")
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        assert self.poll(client, version="1.0.0").status == 302
        assert self.log(client, "#2,some other line\x01\r\n").status == 200 and fleet.state(action) == "offered"
        assert self.log(client, "fail,20261122").status == 200
        assert fleet.state(action) == "failed" and self.poll(client, version="1.0.0").status == 404
        assert self.log(client, "fail,20261122").status == 200  # about nothing

    def test_cancel_asks_nobody(self, fleet):
        """There is no way to tell such a client."""
        client = fleet.client()
        action = fleet.admin.assign(client.name, "1.1.0").json["id"]
        assert self.poll(client).status == 302
        self.log(client, "started")
        assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})["state"] == "cancelled"
        assert self.poll(client).status == 404

    def test_refused_and_busy(self, new_server):
        server = new_server({"enrolment": {"auto_accept": "no", "pending_max": "1"}})
        first, second = server.device("one"), server.device("two")
        assert first.get("/general/one?version=1").status == 403
        busy = second.get("/general/two?version=1")
        assert busy.status == 503 and int(busy.header("Retry-After")) > 200  # the client keeps to it

    def test_many_parameters(self, fleet):
        client = fleet.client()
        assert self.poll(client, **{f"field{n}": n for n in range(15)}).status == 404
