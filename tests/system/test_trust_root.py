"""Root: made by people who never share a machine, rotated, and what a k-of-n release needs after that."""

import concurrent.futures
import json
import re
import subprocess
import time

import pytest

from lib import firmware
from lib.server import PASSPHRASE, run_pawl, write_secret
from lib.tuf import Repository, b64
from test_trust_lifecycle import hash_of, offline, signing, tuf

HARDWARE = "qemu-arm"
USAGE, REFUSED, UNREACHABLE, TRUST, LOCAL, KEY = 2, 3, 4, 5, 6, 7


@pytest.fixture
def shop(new_server):
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin")
    return server


class People:
    """Each has a machine (a home), a key pair, and no network."""

    def __init__(self, folder):
        self.folder = folder
        self.passphrase = folder / "passphrase"
        write_secret(self.passphrase, PASSPHRASE + "\n")

    def new(self, name, role):
        done = run_pawl("keys", "new", role, self.folder / name, "--passphrase-file", self.passphrase)
        assert re.fullmatch(r"[0-9a-f]{64}\n", done.stdout)
        return self.folder / f"{name}.pub"

    def key(self, *names):
        arguments = ["--passphrase-file", self.passphrase]
        for name in names:
            arguments += ["--key", self.folder / f"{name}.pem"]
        return arguments


@pytest.fixture
def people(tmp_path):
    (tmp_path / "people").mkdir()
    return People(tmp_path / "people")


def key_ids(server, name):
    return [row["keyid"] for row in json.loads(run_pawl("keys", "list", server.keys, "--json").stdout)["keys"] if row["name"] == name]


def rotate(server, out, *changes, **options):
    return server.pawl("root", "rotate", "--keys", server.keys, "--out", out, *changes, **options)


def sign_and_publish(server, path, *more):
    server.pawl("root", "sign", path, *signing(server))
    return server.pawl("root", "publish", path, *signing(server), *more)


class TestRootOfMany:
    def test_init_sign_and_serve(self, people, new_server, tmp_path):
        """Three root keys on three machines; the server takes root 1 when two have signed it."""
        root = tmp_path / "1.root.json"
        arguments = ["--threshold", "root=2", "--out", root]
        for role, names in {"root": ("ann", "ben", "eve"), "targets": ("tom",), "snapshot": ("sue",), "timestamp": ("time",), "directive": ("word",)}.items():
            for name in names:
                arguments += ["--add-key", f"{role}={people.new(name, role)}"]
        told = hash_of(run_pawl("root", "init", *arguments).stderr)
        again = run_pawl("root", "init", *arguments, check=False)
        assert again.returncode == LOCAL and "exists" in again.stderr
        for name in ("ann", "ben"):
            home = tmp_path / name
            home.mkdir()
            done = offline("root", "sign", root, *people.key(name), "--confirm", told, home=home)
        assert "2 signatures" in done.stderr
        shown = offline("root", "show", root, home=tmp_path / "ann").stdout
        assert "root\t2 of 3\t" in shown and "signatures\t2\n" in shown
        stranger = offline("root", "sign", root, *people.key("tom"), "--yes", check=False, home=tmp_path / "ann")
        assert stranger.returncode == KEY and "none of the keys" in stranger.stderr

    @pytest.mark.parametrize("changes, code, said", [
        (("--add-key", "roof=x"), USAGE, "is not ROLE=VALUE"),
        (("--add-key", "root"), USAGE, "is not ROLE=VALUE"),
        (("--add-key", "root=/nonexistent"), KEY, "nonexistent"),
        (("--add-key", "root=/dev/null"), KEY, "not a public"),
        (("--remove-key", "root=0123"), USAGE, "has no key"),
        (("--threshold", "root=0"), USAGE, "is not a number"),
        (("--threshold", "root=4"), TRUST, "threshold of 4"),
        (("--threshold", "root=1.0"), USAGE, "is not a number"),
        (("--expires", "-1"), USAGE, "--expires"),
    ])
    def test_refused_changes(self, servers, tmp_path, changes, code, said, plain):
        done = rotate(plain, tmp_path / "root", *changes, check=False)
        assert done.returncode == code and said in done.stderr.splitlines()[-1], done.stderr
        assert not (tmp_path / "root").exists()

    @pytest.fixture(scope="class")
    def plain(self, servers):
        return servers()


class TestRotation:
    def test_thresholds_of_old_and_new_keys(self, shop, people, tmp_path):
        new = people.new("zoe", "root")
        gone = key_ids(shop, "root-3")[0]
        path = tmp_path / "2.root.json"
        made = rotate(shop, path, "--add-key", f"root={new}", "--remove-key", f"root={gone[:12]}", "--threshold", "root=3")
        assert "2 of 3 -> 3 of 3" in made.stderr and "-" + gone[:16] in made.stderr
        refused = shop.pawl("root", "publish", path, *signing(shop), check=False)
        assert refused.returncode == TRUST and "0 valid signatures" in refused.stderr
        shop.pawl("root", "sign", path, *signing(shop), "--confirm", hash_of(made.stderr))
        refused = shop.pawl("root", "publish", path, *signing(shop), check=False)  # the old threshold is met, the new one is not
        assert refused.returncode == TRUST and "3 needed" in refused.stderr
        home = tmp_path / "zoe-home"
        home.mkdir()
        offline("root", "sign", path, *people.key("zoe"), "--previous", shop.keys / "1.root.json", "--root", shop.keys / "1.root.json",
                "--confirm", hash_of(made.stderr), home=home)
        assert shop.pawl("root", "publish", path, *signing(shop)).stdout == "published root 2\n"
        assert tuf(shop, "2.root.json")["signed"]["version"] == 2
        assert "version\t2\n" in shop.pawl("root", "show", "--keys", shop.keys).stdout
        shop.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE,))
        stale = shop.pawl("root", "publish", path, *signing(shop), check=False)
        assert stale.returncode == TRUST and stale.stderr.count("\n") == 1

    def test_two_of_two_release_managers(self, shop, people, tmp_path):
        """A release from two signers: root asks for two targets keys, and each signs on a machine of their own."""
        path, bundle = tmp_path / "2.root.json", tmp_path / "bundle"
        rotate(shop, path, "--add-key", f"targets={people.new('tom', 'targets')}")
        sign_and_publish(shop, path)
        path = tmp_path / "3.root.json"
        rotate(shop, path, "--threshold", "targets=2")
        shop.pawl("root", "sign", path, *signing(shop))
        alone = shop.pawl("root", "publish", path, *signing(shop), check=False)
        assert alone.returncode == KEY and "targets needs 2 signatures" in alone.stderr
        shop.pawl("root", "publish", path, *signing(shop), *people.key("tom")[2:])
        refused = shop.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE,), check=False)
        assert refused.returncode == KEY and "targets needs 2 signatures" in refused.stderr
        told = hash_of(shop.pawl("release", "prepare", firmware.ATH_7010, "--product", "gateway", "--version", "1.1.0", "--hardware", HARDWARE,
                                 "--keys", shop.keys, "--out", bundle).stderr)
        copy = tmp_path / "copy"
        copy.write_bytes(bundle.read_bytes())
        shop.pawl("release", "sign", bundle, *signing(shop), "--confirm", told)
        refused = shop.pawl("release", "publish", firmware.ATH_7010, "--bundle", bundle, *signing(shop), check=False)
        assert refused.returncode == TRUST and "1 valid signatures by targets keys, 2 needed" in refused.stderr
        home = tmp_path / "tom-home"
        home.mkdir()
        offline("release", "sign", copy, *people.key("tom"), "--root", shop.keys / "1.root.json", "--confirm", told, home=home)
        shop.pawl("release", "attach", bundle, copy)
        shop.pawl("release", "publish", firmware.ATH_7010, "--bundle", bundle, *signing(shop), "--confirm", told)
        assert len(tuf(shop, "3.targets.json")["signatures"]) == 2

    def test_a_lost_snapshot_key(self, shop, people, tmp_path):
        path = tmp_path / "2.root.json"
        rotate(shop, path, "--add-key", f"snapshot={people.new('sue', 'snapshot')}", "--remove-key", f"snapshot={key_ids(shop, 'snapshot-1')[0]}")
        shop.pawl("root", "sign", path, *signing(shop))
        done = shop.pawl("root", "publish", path, *signing(shop), *people.key("sue")[2:])
        assert "snapshot is signed by keys that this root does not name" in done.stderr
        assert tuf(shop, "2.snapshot.json")["signatures"][0]["keyid"] == tuf(shop, "2.root.json")["signed"]["roles"]["snapshot"]["keyids"][0]
        old = shop.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE,), check=False)
        assert old.returncode == KEY and "snapshot needs 1 signature" in old.stderr

    def test_an_old_root_key_alone_rotates_nothing(self, shop, tmp_path):
        path = tmp_path / "2.root.json"
        rotate(shop, path, "--threshold", "root=1")
        shop.pawl("root", "sign", path, "--key", shop.keys / "root-1.pem", "--passphrase-file", shop.passphrase_file, "--keys", shop.keys)
        content = json.loads(path.read_text())
        content["signatures"] = content["signatures"][:1]
        path.write_text(json.dumps(content, sort_keys=True, separators=(",", ":")))
        done = shop.pawl("root", "publish", path, *signing(shop), check=False)
        assert done.returncode == TRUST and "1 valid signatures" in done.stderr
        assert tuf(shop, "2.root.json") is None


class TestOnlineKeys:
    """The server's own two keys are changed by a new root while it serves."""

    @pytest.fixture
    def shop(self, new_server, tmp_path):
        self.next = tmp_path / "next"
        self.next.mkdir(mode=0o700)
        server = new_server({"enrolment": {"auto_accept": "yes"}, "trust": {"next_keys": self.next}})
        server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin")
        return server

    def make(self, server, role):
        run_pawl("keys", "new", role, self.next / role, "--passphrase-file", server.online_passphrase_file)
        return self.next / f"{role}.pub"

    def make_cheap(self, role, passphrase_file):
        """Opening the key takes no time then: the job that does it does not end its group of commits."""
        pem = self.next / f"{role}.pem"
        twice = passphrase_file.read_text() * 2  # openssl reads a line for the key that it opens and one for the key that it writes
        command = ["openssl", "pkcs8", "-in", pem, "-topk8", "-v2", "aes-256-cbc", "-iter", "1", "-passin", "stdin", "-passout", "stdin"]
        cheap = subprocess.run(command, input=twice, capture_output=True, text=True, check=True).stdout
        pem.chmod(0o600)
        pem.write_text(cheap)
        pem.chmod(0o400)

    def exchange(self, server, path, *roles):
        changes = []
        for role in roles:
            changes += ["--add-key", f"{role}={self.make(server, role)}", "--remove-key", f"{role}={key_ids(server, role)[0]}"]
        rotate(server, path, *changes)
        server.pawl("root", "sign", path, *signing(server))

    def test_without_a_restart_and_with_one(self, shop, tmp_path):
        pid = shop.pid
        self.exchange(shop, tmp_path / "2.root.json", "timestamp", "directive")
        shop.pawl("root", "publish", tmp_path / "2.root.json", *signing(shop))
        assert shop.alive() and shop.pid == pid
        root = tuf(shop, "2.root.json")["signed"]
        assert tuf(shop, "timestamp.json")["signatures"][0]["keyid"] == root["roles"]["timestamp"]["keyids"][0] != key_ids(shop, "timestamp")[0]
        device = shop.device("dev-rotated")
        reply = device.get("/check?product=gateway&hardware=qemu-arm&nonce=0123456789abcdef")
        assert reply.status == 200 and json.loads(reply.body)["signatures"][0]["keyid"] == root["x-pawl-directive"]["keyids"][0]
        shop.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE,))
        shop.restart()
        shop.publish(firmware.UBOOT_ARM, "gateway", "1.2.0", (HARDWARE,))

    def test_a_renewal_in_the_same_commit_does_not_bring_the_old_key_back(self, shop, tmp_path):
        """Three requests wait for the writer: one keeps it busy, the new root and a renewal after it are then one commit."""
        self.exchange(shop, tmp_path / "2.root.json", "directive")
        self.make_cheap("directive", shop.online_passphrase_file)
        operator, device = shop.operator(), shop.device("dev-grouped")
        repository = Repository(device, shop.keys, PASSPHRASE)
        requests = [
            ("/api/v1/products", {"id": "before"}),
            ("/api/v1/metadata", {"root": b64((tmp_path / "2.root.json").read_bytes())}),
            ("/api/v1/metadata", {name: b64(data) for name, data in repository.next().files().items()}),
        ]
        with concurrent.futures.ThreadPoolExecutor(len(requests)) as pool, shop.write_lock():
            waiting = []
            for request in requests:
                waiting.append(pool.submit(shop.operator(fresh=True).post, *request))
                time.sleep(0.3)
        assert [reply.result().status for reply in waiting] == [201, 200, 200]
        directive = json.loads(device.get("/check?product=gateway&hardware=qemu-arm&nonce=0123456789abcdef").body)
        assert directive["signatures"][0]["keyid"] == tuf(shop, "2.root.json")["signed"]["x-pawl-directive"]["keyids"][0] != key_ids(shop, "directive")[0]
        assert operator.get("/api/v1/products/before").status == 200

    def test_a_root_whose_keys_the_server_lacks(self, shop, tmp_path):
        self.exchange(shop, tmp_path / "2.root.json", "timestamp")
        (self.next / "timestamp.pem").rename(self.next / "elsewhere")
        refused = shop.pawl("root", "publish", tmp_path / "2.root.json", *signing(shop), check=False)
        assert refused.returncode in (REFUSED, TRUST, KEY) and "none of the keys in" in refused.stderr
        assert tuf(shop, "2.root.json") is None
        (self.next / "elsewhere").rename(self.next / "timestamp.pem")
        shop.pawl("root", "publish", tmp_path / "2.root.json", *signing(shop))
        shop.stop()
        (self.next / "timestamp.pem").chmod(0o644)
        done = shop.run("serve", check=False)
        assert done.returncode != 0 and "root names none of the keys" in done.stdout + done.stderr and "timestamp.pem" in done.stdout + done.stderr

    def test_expiry_is_told(self, shop):
        text = shop.operator().get("/metrics").body.decode()
        for role in ("root", "timestamp", "snapshot", "targets"):
            assert f'pawl_metadata_expires_seconds{{role="{role}"}} ' in text
        for file in ("server", "device_ca", "admin_ca"):
            assert f'pawl_certificate_expires_seconds{{file="{file}"}} ' in text
        told = {row["what"]: row["expires_at"] for row in shop.operator().get("/readyz").json["expires"]}
        assert {"root", "timestamp", "snapshot", "targets", "certificate:server"} <= set(told)
        status = shop.pawl("keys", "status", shop.keys, "--certificate", shop.pki.server.cert, "--json")
        rows = {row["role"]: row for row in json.loads(status.stdout)["roles"]}
        assert rows[str(shop.pki.server.cert)]["expires_at"] == told["certificate:server"] and rows["root"]["expires_at"] == told["root"]
        assert shop.pawl("keys", "status", shop.keys, "--certificate", "/dev/null", check=False).returncode == LOCAL
