"""Rates and numbers of downloads: to one device, to all, and at one time (device-api.md §3)."""

import contextlib
import hashlib
import threading
import time
import urllib.parse

import pytest

from lib import firmware
from lib.ddi import DdiClient
from lib.fleet import Fleet
from lib.wire import head_bytes

IMAGE = firmware.UBOOT_ARM64
SIZE = IMAGE.stat().st_size
PATH = "/firmware/router/1.1.0/u-boot.bin"
RATE = SIZE  # one image a second
BURST = RATE // 4


def start(servers, limits):
    server = servers({"enrolment": {"auto_accept": "yes"}, "limits": limits})
    server.publish(IMAGE, "router", "1.1.0", ("qemu-arm",))
    return server


def downloader(server, name, version=None):
    device = server.device(name, version=version)
    assert device.directive(product="router", hardware="qemu-arm", version="0.0.1", sequence=0)["action"] == "install"
    device.close()
    return device


def seconds_for(device, ranges=None):
    """One image, whole or in pieces of that size, on a connection of its own."""
    begin = time.monotonic()
    with device.connect() as connection:
        got = b""
        while len(got) < SIZE:
            headers = [("Range", f"bytes={len(got)}-{len(got) + ranges - 1}")] if ranges else []
            reply = device.get(PATH, connection=connection, headers=headers)
            assert reply.status in (200, 206), reply.status
            got += reply.body
    assert hashlib.sha256(got).hexdigest() == hashlib.sha256(IMAGE.read_bytes()).hexdigest()
    return time.monotonic() - begin


def side_by_side(*work):
    """Runs them at one time; how long all took."""
    failures = []

    def run(one):
        try:
            one()
        except BaseException as error:  # noqa: BLE001 (told below)
            failures.append(error)

    threads = [threading.Thread(target=run, args=(one,)) for one in work]
    begin = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures
    return time.monotonic() - begin


def keeps_the_rate(measure, bytes_sent, rate):
    """Never faster than the rate by more than ten per cent; as slow as it, or as ten per cent below it, in the best of some attempts: a busy machine is
    slower. Only what the pause before has earned comes for nothing."""
    expected = (bytes_sent - BURST) / rate
    taken = []
    while len(taken) < 4 and not any(each <= 1.1 * bytes_sent / rate for each in taken):
        time.sleep(0.3)  # the burst is full again
        taken.append(measure())
        assert taken[-1] >= 0.9 * expected, f"{taken[-1]:.2f} s for what takes {expected:.2f} s"
    assert min(taken) <= 1.1 * bytes_sent / rate, taken


@pytest.fixture(scope="module")
def per_device(servers):
    return start(servers, {"device_download_rate": RATE})


@pytest.fixture(scope="module")
def whole_fleet(servers):
    return start(servers, {"download_rate": RATE})


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_rate_of_a_device(per_device, version):
    device = downloader(per_device, f"slow-{version}", version)
    keeps_the_rate(lambda: seconds_for(device), SIZE, RATE)


def test_rate_of_a_device_over_its_ranges_and_connections(per_device):
    """Thousands of ranges of 128 KB are no way around it, nor are two connections."""
    device = downloader(per_device, "slow-ranges")
    keeps_the_rate(lambda: seconds_for(device, 128 * 1024), SIZE, RATE)
    keeps_the_rate(lambda: side_by_side(lambda: seconds_for(device), lambda: seconds_for(device)), 2 * SIZE, RATE)


def test_devices_do_not_share_their_rates(per_device):
    devices = [downloader(per_device, f"slow-many-{number}") for number in range(3)]
    keeps_the_rate(lambda: side_by_side(*[lambda device=device: seconds_for(device) for device in devices]), SIZE, RATE)


def test_polls_are_not_paced(per_device):
    device = downloader(per_device, "slow-polls")
    with device.connect() as loading, device.connect() as asking:
        loading.send(head_bytes("GET", PATH, []) * 10)
        begin = time.monotonic()
        for _ in range(20):
            assert device.get("/whoami", connection=asking).status == 200
        assert time.monotonic() - begin < 5  # the images take ten


def test_rate_of_the_fleet(whole_fleet):
    devices = [downloader(whole_fleet, f"fleet-{number}") for number in range(3)]
    keeps_the_rate(lambda: side_by_side(*[lambda device=device: seconds_for(device) for device in devices]), 3 * SIZE, RATE)


def test_no_limit_no_wait(servers):
    server = start(servers, {})
    assert seconds_for(downloader(server, "free-1")) < 0.9 * (SIZE - BURST) / RATE


def test_reader_that_stops_gives_its_share_back(whole_fleet):
    """Who does not read reserves one piece, no more."""
    stalled, other = downloader(whole_fleet, "fleet-stalled"), downloader(whole_fleet, "fleet-reads")
    with stalled.connect() as connection:
        connection.send(head_bytes("GET", PATH, []) * 30)
        time.sleep(0.1)
        device_alone = seconds_for(other)
    assert device_alone < 20


def test_who_gives_up_is_not_charged(servers):
    """Forty that wait for their first byte hold forty seconds of the fleet's; when they go, whoever stays does not wait for them."""
    server = start(servers, {"download_rate": 16 * 1024})
    devices = [downloader(server, f"gives-up-{number}") for number in range(5)]
    stays = downloader(server, "stays")
    with contextlib.ExitStack() as gone:
        for device in devices:
            for _ in range(8):
                gone.enter_context(device.connect()).send(head_bytes("GET", PATH, []))
        until(lambda: gauge(server, "pawl_downloads") == 40)
    until(lambda: gauge(server, "pawl_downloads") == 0)
    begin = time.monotonic()
    assert stays.get(PATH, headers=[("Range", "bytes=0-99")]).status == 206
    assert time.monotonic() - begin < 20


# ---- at one time


@pytest.fixture(scope="module")
def two_places(servers):
    """Two downloads at one time, each slow enough to be met in the middle."""
    return start(servers, {"downloads": 2, "device_download_rate": SIZE // 10})


@contextlib.contextmanager
def loading(device):
    """In the middle of a download."""
    with device.connect() as connection:
        connection.send(head_bytes("GET", PATH, []))
        assert connection.read_head().status == 200
        yield connection


def gauge(server, name):
    text = server.operator().get("/metrics").body.decode()
    return float(next(line for line in text.splitlines() if line.startswith(name + " ")).rsplit(" ", 1)[1])


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_places(two_places):
    devices = [downloader(two_places, f"place-{number}") for number in range(3)]
    with loading(devices[0]) as first, loading(devices[1]):
        assert gauge(two_places, "pawl_downloads") == 2
        reply = devices[2].get(PATH)
        assert reply.status == 503 and reply.problem == "busy" and reply.header("Retry-After") == "30"
        assert reply.header("ETag") is None and reply.header("Repr-Digest") is None
        assert devices[2].head(PATH).status == 200  # no bytes, no place
        assert devices[2].get("/whoami").status == 200
        assert gauge(two_places, "pawl_downloads_refused_total") >= 1
        first.close()
        until(lambda: gauge(two_places, "pawl_downloads") == 1)
        with loading(devices[2]):
            assert gauge(two_places, "pawl_downloads") == 2
    until(lambda: gauge(two_places, "pawl_downloads") == 0)


def test_ddi_clients_wait(two_places):
    """Never 429 or 503 on an artifact (ddi.md §1 rule 12): the answer comes when there is a place."""
    devices = [downloader(two_places, f"wait-{number}") for number in range(3)]
    ddi = DdiClient(devices[2], "wait-2")
    href = ddi.fetch()["deployment"]["chunks"][0]["artifacts"][0]["_links"]["download"]["href"]
    devices[2].close()
    with loading(devices[0]) as first, loading(devices[1]):
        with devices[2].connect() as waiting, devices[2].connect() as gone:
            for connection in (waiting, gone):
                connection.send(head_bytes("GET", urllib.parse.urlsplit(href).path, [("Range", "bytes=0-99")]))
            assert waiting.is_open(wait=1.0) and waiting.buffer == b""
            assert devices[2].get(PATH).status == 503  # the same device by the native path
            gone.close()  # who leaves takes no place
            first.close()
            reply = waiting.read_reply()
            assert reply.status == 206 and len(reply.body) == 100
    until(lambda: gauge(two_places, "pawl_downloads") == 0)


def test_places_of_a_rollout(servers):
    """One download of each rollout at one time, whatever the others do."""
    server = servers({"enrolment": {"auto_accept": "yes"}, "limits": {"rollout_downloads": 1, "device_download_rate": 10 * 1024}})
    paths, fleets = {}, {}
    for product in ("lamp", "hub"):
        server.operator().ok("POST", "/api/v1/products", {"id": product, "policy": "rollout"})
        server.publish(firmware.ATH_9271, product, "1.0.0", ("qemu-arm",), "--file", "fw.bin")
        fleets[product] = Fleet(server, product, 2)
        paths[product] = f"/firmware/{product}/1.0.0/fw.bin"
        made = server.operator().ok("POST", "/api/v1/rollouts", {"product": product, "version": "1.0.0", "phases": [{"percent": 100}]})
        server.operator().ok("POST", f"/api/v1/rollouts/{made['id']}/start")
        fleets[product].told(2)
    lamp, other_lamp = (fleets["lamp"].device(name) for name in fleets["lamp"].ids)
    hub = fleets["hub"].device(fleets["hub"].ids[0])
    with lamp.connect() as connection:
        connection.send(head_bytes("GET", paths["lamp"], []))
        assert connection.read_head().status == 200
        assert other_lamp.get(paths["lamp"]).status == 503
        assert hub.get(paths["hub"], headers=[("Range", "bytes=0-9")]).status == 206
    until(lambda: gauge(server, "pawl_downloads") <= 1)
    assert other_lamp.get(paths["lamp"], headers=[("Range", "bytes=0-9")]).status == 206


def test_a_range_gives_the_place_back(two_places):
    """With its last byte, not when the connection goes: three streaming clients share two places."""
    devices = [downloader(two_places, f"range-{number}") for number in range(3)]
    with devices[0].connect() as one, devices[1].connect() as two, devices[2].connect() as three:
        for first in (0, 100, 200):
            for connection, device in ((one, devices[0]), (two, devices[1]), (three, devices[2])):
                reply = device.get(PATH, connection=connection, headers=[("Range", f"bytes={first}-{first + 99}")])
                assert reply.status == 206 and len(reply.body) == 100
        assert gauge(two_places, "pawl_downloads") == 0


def test_whole_image_gives_the_place_back(servers):
    server = start(servers, {"downloads": 1})
    first, second = downloader(server, "whole-1"), downloader(server, "whole-2")
    with first.connect() as connection:
        assert first.get(PATH, connection=connection).status == 200
        assert second.get(PATH).status == 200


def test_revoked_while_paced(two_places):
    """Waiting for its bytes' time is no shelter."""
    device = downloader(two_places, "place-revoked")
    with loading(device) as connection:
        two_places.operator().ok("POST", "/api/v1/devices/place-revoked/revoke")
        assert connection.seconds_until_closed(20) < 9  # the rest of the image would take as long
    until(lambda: gauge(two_places, "pawl_downloads") == 0)


def test_paced_over_the_reply_deadline_is_not_cut(servers):
    """Slower than [limits] reply_min_rate, because we are: nobody is cut for that."""
    server = start(servers, {"device_download_rate": 40 * 1024, "reply_min_rate": "1M"})
    device = downloader(server, "patient-1")
    with device.connect() as connection:
        begin = time.monotonic()
        reply = device.get(PATH, connection=connection, headers=[("Range", f"bytes=0-{100 * 1024 - 1}")])
        assert reply.status == 206 and len(reply.body) == 100 * 1024
        assert time.monotonic() - begin > 1.5
