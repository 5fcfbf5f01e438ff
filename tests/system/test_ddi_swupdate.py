"""Debian's swupdate against the real server: suricatta mode over mutual TLS."""

import os
import shutil

import pytest

from lib.ddi import HARDWARE, Fleet
from lib.proxy import Proxy
from lib.swupdate import Signer, SwUpdate, make_swu

pytestmark = pytest.mark.skipif(not shutil.which("swupdate"), reason="swupdate is not installed (tools/bootstrap installs it)")


@pytest.fixture(scope="module")
def signer(tmp_path_factory):
    return Signer(tmp_path_factory.mktemp("swu"))


@pytest.fixture(scope="module")
def fleet(servers):
    """Devices poll every second: the server's pace wins over their own."""
    return Fleet(servers({"enrolment": {"auto_accept": "yes"}, "fleet": {"poll_after": "1s", "poll_jitter": "0"}}), "swu", releases=())


class Bench:
    """One swupdate and the releases for it."""

    def __init__(self, fleet, signer, folder, port=None, options=()):
        self.fleet, self.signer, self.folder = fleet, signer, folder
        self.client = fleet.client()
        self.device = SwUpdate(folder / "device", self.client.name, self.client.device.certificate, fleet.server.pki.server_ca, signer,
                               {"version": "1.0.0", "hwRevision": "1.0"}, port or fleet.server.device_port, options)

    def release(self, version, size=300_000, signer=None):
        """Published under a version of this bench's own."""
        payload = os.urandom(size)
        swu = make_swu(self.folder, version, version, payload, self.device.installed, signer or self.signer)
        self.fleet.server.publish(swu, self.fleet.product, version, (HARDWARE,))
        return payload

    def assign(self, version):
        return int(self.fleet.admin.assign(self.client.name, version).json["id"])

    def log(self, action):
        return self.fleet.admin.pages(f"/api/v1/deployments/{action}/log")

    def details(self, action):
        return [line for entry in self.log(action) for line in entry["details"]]


@pytest.fixture
def bench(fleet, signer, tmp_path):
    made = []

    def make(**options):
        made.append(Bench(fleet, signer, tmp_path, **options))
        return made[-1]

    yield make
    for each in made:
        each.device.stop()


def test_update(fleet, bench):
    """Poll, attributes, download, signature, installation, restart, the last word, the version."""
    b = bench()
    payload = b.release("1.1.0")
    action = b.assign("1.1.0")
    with b.device.start():
        b.device.wait(lambda: fleet.state(action) == "rebooting")
        assert b.device.installed.read_bytes() == payload
        assert fleet.admin.ok("GET", f"/api/v1/devices/{b.client.name}/ddi")["attributes"] == {"version": "1.0.0", "hwRevision": "1.0"}
        details = b.details(action)
        assert "Installing Update Chunk Artifacts." in details and details[-1] == "All Chunks Installed."
        b.device.stop()
        b.device.configure({"version": "1.1.0", "hwRevision": "1.0"})
        b.device.start(confirm=2)
        b.device.wait(lambda: fleet.state(action) == "confirmed")
    last = b.log(action)[-1]
    assert (last["execution"], last["finished"], last["details"]) == ("closed", "success", ["Update Installed."])
    device = fleet.admin.device(b.client.name)
    assert device["installed"]["version"] == "1.1.0" and device["floor"]["sequence"] == device["installed"]["sequence"]


def test_cut_download_is_resumed(fleet, bench):
    with Proxy(fleet.server.device_port, cut_after=900_000) as line:
        b = bench(port=line.port)
        payload = b.release("1.2.0", size=3_000_000)
        action = b.assign("1.2.0")
        with b.device.start():
            b.device.wait(lambda: line.down >= 900_000)
            line.cut_after = None
            b.device.wait(lambda: fleet.state(action) == "rebooting")
        assert b.device.installed.read_bytes() == payload
    parts = [entry for entry in fleet.server.log().splitlines() if f"device={b.client.name} " in entry and ".swu status=206" in entry]
    assert parts, "no part was asked for"


def test_cancel_is_obeyed(fleet, bench):
    """In the middle of a slow download, told over another connection."""
    with Proxy(fleet.server.device_port, rate=200_000) as line:
        b = bench(port=line.port)
        b.release("1.3.0", size=8_000_000)
        action = b.assign("1.3.0")
        with b.device.start():
            b.device.wait(lambda: fleet.state(action) == "installing" and line.down > 300_000)
            assert fleet.admin.ok("POST", f"/api/v1/deployments/{action}/cancel", {})["state"] == "cancelling"
            b.device.wait(lambda: fleet.state(action) == "cancelled")
            b.device.wait(lambda: "cancelAction" not in b.client.links())
        assert not b.device.installed.exists() or b.device.installed.stat().st_size < 8_000_000
        answer = [entry for entry in b.log(action) if entry["cancel"]]
        assert [(entry["execution"], entry["finished"]) for entry in answer] == [("closed", "success")]
        assert b.client.action() is None


def test_bad_signature_is_refused_and_recorded(fleet, bench, tmp_path):
    b = bench()
    (tmp_path / "other").mkdir()
    b.release("1.4.0", signer=Signer(tmp_path / "other"))
    action = b.assign("1.4.0")
    with b.device.start():
        b.device.wait(lambda: fleet.state(action) == "failed")
        assert not b.device.installed.exists()
        error = fleet.deployment(action)["error"]
        assert error["code"] == "E_INSTALL" and error["detail"]
        assert any("ignature" in line for line in b.details(action)), b.details(action)
        polls = fleet.server.log().count(f"device={b.client.name} ")
        b.device.wait(lambda: fleet.server.log().count(f"device={b.client.name} ") >= polls + 3)
        assert b.client.action() is None and fleet.state(action) == "failed"  # left alone


def test_failed_restart(fleet, bench):
    """The boot loader fell back: the client says failure for an action that was installed."""
    b = bench()
    b.release("1.5.0")
    action = b.assign("1.5.0")
    with b.device.start():
        b.device.wait(lambda: fleet.state(action) == "rebooting")
        b.device.restart(confirm=3)
        b.device.wait(lambda: fleet.state(action) == "failed")
    assert fleet.admin.device(b.client.name)["floor"] is None
