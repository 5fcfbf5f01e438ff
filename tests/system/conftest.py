"""Fixtures: one contract, one PKI and one set of release keys a session; servers a module, so that the suite stays quick."""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from lib import firmware  # noqa: E402
from lib.contract import Contract  # noqa: E402
from lib.evil import EvilServer, Keys  # noqa: E402
from lib.pki import Pki  # noqa: E402
from lib.server import ReleaseKeys, Server  # noqa: E402
from lib.victim import Victim  # noqa: E402

HARDWARE = "qemu-arm"


@pytest.fixture(scope="session")
def contract():
    """In a run of several processes (PAWL_TEST_RECORD names a folder) each leaves what it saw, and test_contract.py, run last and alone, judges all."""
    made = Contract()
    record = os.environ.get("PAWL_TEST_RECORD")
    if record:
        made.load(pathlib.Path(record))
    yield made
    if record:
        made.save(pathlib.Path(record))


@pytest.fixture(scope="session")
def pki(tmp_path_factory):
    return Pki(tmp_path_factory.mktemp("pki") / "pki")


@pytest.fixture(scope="session")
def keys(tmp_path_factory):
    return ReleaseKeys(tmp_path_factory.mktemp("keys") / "keys")


@pytest.fixture(scope="session")
def victim_past(pki, keys, tmp_path_factory):
    """A server in an attacker's hands and a device that has lived an honest life with it so far."""
    world = EvilServer(pki, keys, Keys(keys))
    yield world, Victim(tmp_path_factory.mktemp("victim") / "device", world).grow_up()
    world.close()


@pytest.fixture
def world(victim_past):
    made = victim_past[0].fork()
    yield made
    made.close()


@pytest.fixture
def device(victim_past, world, tmp_path):
    return Victim(tmp_path / "device", world).be_like(victim_past[1])


class Servers:
    """Starts servers and ends them; a log is attached to a failed test through `running`."""

    def __init__(self, folder, pki, keys, contract):
        self.folder, self.pki, self.keys, self.contract = folder, pki, keys, contract
        self.running = []

    def __call__(self, config=None, environment=None, start=True, root=None):
        made = Server(self.folder / f"server-{len(self.running) + 1}", self.pki, self.keys, self.contract, config, environment, root)
        self.running.append(made)
        return made.start() if start else made

    def close(self):
        problems = []
        for server in self.running:
            try:
                server.stop()
            except AssertionError as error:
                problems.append(str(error))
            if "ERROR: AddressSanitizer" in server.log() or "runtime error:" in server.log() or "LeakSanitizer" in server.log():
                problems.append(f"sanitizer report in {server.log_path}:\n{server.log()[-6000:]}")
        assert not problems, "\n".join(problems)


_live = []


@pytest.fixture(scope="module")
def servers(tmp_path_factory, pki, keys, contract):
    made = Servers(tmp_path_factory.mktemp("servers"), pki, keys, contract)
    _live.append(made)
    yield made
    _live.remove(made)
    made.close()


@pytest.fixture
def new_server(tmp_path, pki, keys, contract):
    """Servers of this one test."""
    made = Servers(tmp_path, pki, keys, contract)
    _live.append(made)
    yield made
    _live.remove(made)
    made.close()


@pytest.fixture(scope="module")
def server(servers):
    """An empty server that takes new devices at once."""
    return servers({"enrolment": {"auto_accept": "yes"}})


@pytest.fixture(scope="module")
def operator(server):
    return server.operator()


@pytest.fixture(scope="module")
def router(server):
    """The server with two releases of product "router": U-Boot images for HARDWARE."""
    server.publish(firmware.UBOOT_ARM, "router", "1.0.0", (HARDWARE,))
    server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", (HARDWARE,))
    return server


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.failed:
        for group in _live:
            for server in group.running:
                report.sections.append((f"log of {server.folder.name} ({'alive' if server.alive() else 'ended'})", server.log()[-6000:]))


def pytest_collection_modifyitems(items):
    """The judgement over the whole session comes last."""
    items.sort(key=lambda item: item.fspath.basename == "test_contract.py")
