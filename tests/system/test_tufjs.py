"""A TUF client that nobody here wrote (npm: tuf-js, unmodified) believes what the server serves."""

import hashlib
import json
import pathlib
import shutil
import subprocess

import pytest

from lib import firmware
from lib.npm import NPM, packages
from test_trust_root import People, key_ids, rotate, sign_and_publish

HARDWARE = "qemu-arm"
TARGET = "router/1.1.0/u-boot.bin"


@pytest.fixture(scope="module")
def tuf_js():
    packages()

    def run(server, device, folder, targets=(), root=None):
        folder = pathlib.Path(folder)
        (folder / "metadata").mkdir(parents=True, exist_ok=True)
        (folder / "targets").mkdir(exist_ok=True)
        if not (folder / "metadata" / "root.json").exists():
            shutil.copy(root or server.keys / "1.root.json", folder / "metadata" / "root.json")
        options = {
            "metadata_dir": str(folder / "metadata"), "target_dir": str(folder / "targets"), "metadata_url": server.url("/tuf"), "target_url": server.url("/firmware"),
            "cert": str(device.certificate.cert), "key": str(device.certificate.key), "ca": str(server.pki.server_ca), "targets": list(targets),
        }
        (folder / "options.json").write_text(json.dumps(options), encoding="utf-8")
        return subprocess.run(["node", str(NPM / "tuf_client.mjs"), str(folder / "options.json")], capture_output=True, text=True, timeout=60, check=False)

    return run


def test_downloads_as_an_entitled_device(router, tuf_js, tmp_path):
    device = router.device("tufjs-1")
    assert device.directive(product="router", hardware=HARDWARE)["release"]["path"] == TARGET
    done = tuf_js(router, device, tmp_path, [TARGET, "router/0.0.0/nothing"])
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["targets"]["router/0.0.0/nothing"] is None
    stored = pathlib.Path(result["targets"][TARGET]["file"]).read_bytes()
    assert stored == firmware.UBOOT_ARM64.read_bytes()
    assert result["targets"][TARGET]["hashes"] == {"sha256": hashlib.sha256(stored).hexdigest()}
    assert result["targets"][TARGET]["custom"]["pawl"]["hardware"] == [HARDWARE]
    assert result["versions"]["root"] == 1 and result["versions"]["targets"] >= 2


def test_refresh_again_and_after_a_publication(servers, tuf_js, tmp_path):
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "npm-product", "1.0.0", (HARDWARE,))
    device = server.device("tufjs-2")
    first = json.loads(tuf_js(server, device, tmp_path).stdout)
    again = json.loads(tuf_js(server, device, tmp_path).stdout)
    assert again == first
    server.publish(firmware.ATH_7010, "npm-product", "1.1.0", (HARDWARE,))
    later = json.loads(tuf_js(server, device, tmp_path).stdout)
    assert all(later["versions"][role] > first["versions"][role] for role in ("timestamp", "snapshot", "targets"))


def test_walks_from_root_1_to_root_3(new_server, tuf_js, tmp_path):
    """Root 2 brings a root key and drops another, root 3 asks for two of two targets keys; the client has root 1 alone."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.UBOOT_ARM, "router", "1.0.0", (HARDWARE,))
    people = People(tmp_path)
    gone = key_ids(server, "root-3")[0]
    rotate(server, tmp_path / "2.json", "--add-key", f"root={people.new('rosa', 'root')}", "--remove-key", f"root={gone}")
    sign_and_publish(server, tmp_path / "2.json")
    rotate(server, tmp_path / "3.json", "--add-key", f"targets={people.new('tina', 'targets')}", "--threshold", "targets=2")
    sign_and_publish(server, tmp_path / "3.json", "--key", tmp_path / "tina.pem")
    server.publish(firmware.UBOOT_ARM64, "router", "1.1.0", (HARDWARE,), "--key", tmp_path / "tina.pem")
    device = server.device("tufjs-3")
    assert device.directive(product="router", hardware=HARDWARE)["release"]["path"] == TARGET
    done = tuf_js(server, device, tmp_path, [TARGET])
    assert done.returncode == 0, done.stderr
    result = json.loads(done.stdout)
    assert result["versions"]["root"] == 3
    assert pathlib.Path(result["targets"][TARGET]["file"]).read_bytes() == firmware.UBOOT_ARM64.read_bytes()


def test_not_entitled(router, tuf_js, tmp_path):
    """Metadata is for every device, an image only for those that have it assigned."""
    done = tuf_js(router, router.device("tufjs-3"), tmp_path, [TARGET])
    assert done.returncode == 1 and "403" in done.stderr


def test_another_root_believes_nothing(router, tuf_js, tmp_path):
    from lib.server import ReleaseKeys

    other = ReleaseKeys(tmp_path / "other" / "keys")
    done = tuf_js(router, router.device("tufjs-1"), tmp_path / "client", root=other.folder / "1.root.json")
    assert done.returncode == 1, done.stdout


def test_files_as_signed(router):
    """ETag and 304; the bytes are stored as received; unknown names are 404."""
    device = router.device("tufjs-1")
    timestamp = device.get("/tuf/timestamp.json")
    version = timestamp.json["signed"]["meta"]["snapshot.json"]["version"]
    for name in ("timestamp.json", "1.root.json", f"{version}.snapshot.json"):
        reply = device.get(f"/tuf/{name}")
        assert reply.status == 200 and reply.header("ETag") and reply.header("Content-Length") == str(len(reply.body))
        assert device.get(f"/tuf/{name}", headers=[("If-None-Match", reply.header("ETag"))]).status == 304
        assert device.head(f"/tuf/{name}").header("ETag") == reply.header("ETag")
    assert device.get("/tuf/1.root.json").body == (router.keys / "1.root.json").read_bytes()
    for name in ("2.root.json", "0.root.json", "01.root.json", "-1.root.json", "root.json", "99999.targets.json", "18446744073709551617.root.json", "x", "timestamp.json/",
                 "..%2f..%2fetc%2fpasswd", "1.ROOT.json"):
        assert device.get(f"/tuf/{name}").status in (400, 404), name


def test_timestamp_version_is_its_time(router):
    """max(last + 1, Unix seconds): a restored backup never goes backwards."""
    import time

    version = router.device("tufjs-1").get("/tuf/timestamp.json").json["signed"]["version"]
    assert abs(version - time.time()) < 3600
