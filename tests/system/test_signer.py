"""What a signer cannot be made to sign: metadata in an image's clothes, a root with a swapped key, a world that begins again, a stolen server's
withdrawals."""

import base64
import hashlib
import http.server
import json
import os
import ssl
import threading

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lib import firmware
from lib.evil import PRODUCT, Reply
from lib.pki import new_key
from lib.server import PASSPHRASE, run_pawl, write_secret
from lib.tuf import after, file_bytes, load_key, sign_bytes, signed_bytes
from test_attacks import rotate
from test_trust_lifecycle import offline, signing

HARDWARE = "qemu-arm"
USAGE, REFUSED, TRUST, LOCAL = 2, 3, 5, 6


@pytest.fixture
def shop(new_server):
    server = new_server({})
    server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin")
    return server


def prepare(shop, image, version, bundle):
    shop.pawl("release", "prepare", image, "--product", "gateway", "--version", version, "--hardware", HARDWARE, "--file", "fw.bin", "--keys", shop.keys,
              "--out", bundle)


def detached(bundle):
    return json.loads(bundle.read_bytes())["sig"]


@pytest.fixture
def disguised(tmp_path):
    """An image that is the signed part of targets metadata."""
    image = tmp_path / "disguised.bin"
    image.write_bytes(signed_bytes({"_type": "targets", "expires": after(days=30), "spec_version": "1.0.31", "targets": {}, "version": 99}))
    return image


class TestDetachedSignatures:
    def test_nobody_signs_an_image_by_its_hash(self, shop, tmp_path):
        bundle = tmp_path / "bundle"
        prepare(shop, firmware.ATH_7010, "1.1.0", bundle)
        done = shop.pawl("release", "sign", bundle, *signing(shop))
        assert "without --image FILE" in done.stderr and detached(bundle) == ""
        other = shop.pawl("release", "sign", bundle, *signing(shop), "--image", firmware.UBOOT_ARM, check=False)
        assert other.returncode == TRUST and "is not the image that the draft speaks of" in other.stderr and detached(bundle) == ""
        shop.pawl("release", "sign", bundle, *signing(shop), "--image", firmware.ATH_7010)
        assert detached(bundle)
        shop.pawl("release", "publish", firmware.ATH_7010, "--bundle", bundle, *signing(shop))
        assert shop.operator().ok("GET", "/api/v1/releases/gateway/1.1.0")["signature"]
        shop.pawl("release", "renew", "--keys", shop.keys, "--out", tmp_path / "renewal")
        none = shop.pawl("release", "sign", tmp_path / "renewal", *signing(shop), "--image", firmware.ATH_7010, check=False)
        assert none.returncode == USAGE and "there is no image to sign" in none.stderr

    def test_an_image_that_could_be_metadata_gets_none(self, shop, disguised, tmp_path):
        bundle = tmp_path / "bundle"
        prepare(shop, disguised, "1.1.0", bundle)
        done = shop.pawl("release", "sign", bundle, *signing(shop), "--image", disguised)
        assert "it could pass for signed metadata" in done.stderr and detached(bundle) == ""
        done = shop.publish(disguised, "gateway", "1.1.0", (HARDWARE,))
        assert "it could pass for signed metadata" in done.stderr
        assert not shop.operator().ok("GET", "/api/v1/releases/gateway/1.1.0")["signature"]

    def test_the_server_takes_none(self, shop, disguised, tmp_path):
        """Made elsewhere, by somebody who does not hold to the rule."""
        bundle = tmp_path / "bundle"
        prepare(shop, disguised, "1.1.0", bundle)
        shop.pawl("release", "sign", bundle, *signing(shop))
        (tmp_path / "sig").write_bytes(sign_bytes(load_key(shop.keys / "targets-1.pem", PASSPHRASE), disguised.read_bytes()))
        shop.pawl("release", "attach", bundle, "--image-signature", tmp_path / "sig")
        done = shop.pawl("release", "publish", disguised, "--bundle", bundle, *signing(shop), check=False)
        assert done.returncode == REFUSED and "it could pass for signed metadata" in done.stderr, done.stderr
        assert shop.operator().get("/api/v1/releases/gateway/1.1.0").status == 404


def test_a_sealed_image_is_read_once(shop, tmp_path):
    """What is sealed is what was hashed: whoever changes the file in between cannot make them differ. A pipe cannot be read twice."""
    plain = firmware.ATH_7010.read_bytes()
    recipient = run_pawl("keys", "identity", tmp_path / "identity").stdout.strip()
    pipe, bundle = tmp_path / "fw.bin", tmp_path / "bundle"
    os.mkfifo(pipe)
    feeder = threading.Thread(target=lambda: pipe.write_bytes(plain), daemon=True)
    feeder.start()
    shop.pawl("release", "prepare", pipe, "--product", "gateway", "--version", "1.1.0", "--hardware", HARDWARE, "--keys", shop.keys, "--out", bundle,
              "--seal-to", recipient, "--sealed-out", tmp_path / "sealed")
    feeder.join(10)
    entry = json.loads(base64.b64decode(json.loads(bundle.read_bytes())["draft"]))["signed"]["targets"]["gateway/1.1.0/fw.bin"]
    sealed = (tmp_path / "sealed").read_bytes()
    assert (entry["length"], entry["hashes"]["sha256"]) == (len(sealed), hashlib.sha256(sealed).hexdigest())
    assert (entry["custom"]["pawl"]["plain_length"], entry["custom"]["pawl"]["plain_sha256"]) == (len(plain), hashlib.sha256(plain).hexdigest())
    assert run_pawl("unseal", tmp_path / "sealed", "--identity", tmp_path / "identity", "--out", tmp_path / "opened").returncode == 0
    assert (tmp_path / "opened").read_bytes() == plain
    (tmp_path / "empty").touch()
    for nothing, said in ((tmp_path / "empty", "image in it"), (tmp_path, "directory")):
        done = shop.pawl("release", "prepare", nothing, "--product", "gateway", "--version", "1.1.0", "--hardware", HARDWARE, "--keys", shop.keys, "--out",
                         tmp_path / "none", "--seal-to", recipient, "--sealed-out", tmp_path / "sealed-none", "--file", "fw.bin", check=False)
        assert done.returncode == LOCAL and said in done.stderr and str(nothing) in done.stderr, done.stderr
        assert not (tmp_path / "sealed-none").exists()


def test_a_bogus_signature_does_not_keep_the_real_one_out(shop, tmp_path):
    bundle, good = tmp_path / "bundle", tmp_path / "good"
    shop.pawl("release", "renew", "--keys", shop.keys, "--out", bundle)
    good.write_bytes(bundle.read_bytes())
    shop.pawl("release", "sign", good, *signing(shop))
    content = json.loads(good.read_bytes())
    draft = json.loads(base64.b64decode(content["draft"]))
    draft["signatures"][0]["sig"] = "00" * 70
    content["draft"] = base64.b64encode(file_bytes(draft)).decode()
    bundle.write_text(json.dumps(content))
    done = shop.pawl("release", "attach", bundle, good, "--keys", shop.keys)
    assert "left out 1 signature that is not genuine" in done.stderr and "bundle: 1 signature" in done.stderr
    assert "published targets 2" in shop.pawl("release", "publish", "--bundle", bundle, *signing(shop)).stdout


class TestRoots:
    def swapped(self, shop, path):
        """Root 2, in which the id of the targets key stands for the attacker's."""
        key = ec.generate_private_key(ec.SECP256R1()).public_key()
        root = json.loads((shop.keys / "1.root.json").read_bytes())
        root["signatures"] = []
        root["signed"].update(version=2, expires=after(days=365))
        entry = root["signed"]["keys"][root["signed"]["roles"]["targets"]["keyids"][0]]
        entry["keyval"]["public"] = key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo).decode()
        path.write_bytes(file_bytes(root))
        return path

    def test_a_key_under_anothers_id(self, shop, tmp_path):
        root = self.swapped(shop, tmp_path / "2.root.json")
        before = root.read_bytes()
        done = shop.pawl("root", "sign", root, *signing(shop), check=False)
        assert done.returncode == TRUST and "under an id that is not its own" in done.stderr
        assert root.read_bytes() == before

    def test_previous_roots_are_followed_from_the_pinned_one(self, shop, tmp_path):
        chain = [shop.keys / "1.root.json"]
        for version in (2, 3):
            chain.append(tmp_path / f"{version}.root.json")
            shop.pawl("root", "rotate", "--keys", shop.keys, "--out", chain[-1], "--expires", str(400 + version))
            shop.pawl("root", "sign", chain[-1], *signing(shop))
            shop.pawl("root", "publish", chain[-1], *signing(shop))
        draft, home = tmp_path / "4.root.json", tmp_path / "home"
        home.mkdir()
        shop.pawl("root", "rotate", "--keys", shop.keys, "--out", draft, "--expires", "500")
        forged = json.loads(chain[2].read_bytes())
        forged["signatures"] = []
        forged["signed"]["roles"]["targets"]["keyids"] = forged["signed"]["roles"]["snapshot"]["keyids"]
        (tmp_path / "forged").write_bytes(file_bytes(forged))
        sign = ("root", "sign", draft, "--root", chain[0], "--key", shop.keys / "root-1.pem", "--passphrase-file", shop.passphrase_file, "--yes")
        for previous in ([tmp_path / "forged"], [chain[1], tmp_path / "forged"], [chain[2]]):
            done = offline(*sign, *(word for path in previous for word in ("--previous", path)), check=False, home=home)
            assert done.returncode == TRUST, (previous, done.stderr)
        assert json.loads(draft.read_bytes())["signatures"] == []
        offline(*sign, *(word for path in chain for word in ("--previous", path)), home=home)
        assert len(json.loads(draft.read_bytes())["signatures"]) == 1


class Administration(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        name = self.path.partition("?")[0]
        file = self.server.files.get(name.removeprefix("/api/v1/metadata/"))
        status, body = 404, b'{"type":"about:blank","title":"no such file","status":404}'
        if name == "/api/v1/releases":
            items = [{"path": path, "withdrawn_at": "2026-01-01T00:00:00Z"} for path in self.server.withdrawn]
            status, body = 200, json.dumps({"items": items, "next": None}).encode()
        elif isinstance(file, bytes):
            status, body = 200, file
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


class Stolen:
    """The administrator's side of a server in an attacker's hands, and a signer who has seen the honest repository."""

    def __init__(self, world, pki, keys, folder):
        self.world, self.folder, self.count = world, folder, 0
        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Administration)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pki.server.cert, pki.server.key)
        self.http.socket = context.wrap_socket(self.http.socket, server_side=True)
        self.http.files, self.http.withdrawn, self.http.daemon_threads = world.files, [], True
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        write_secret(folder / "token", "pawl_signer_" + "A" * 43 + "\n")
        (folder / "image.bin").write_bytes(b"x" * 1000)
        self.common = ("--root", keys.folder / "1.root.json", "--server", f"https://localhost:{self.http.server_address[1]}", "--ca", pki.server_ca,
                       "--token-file", folder / "token", "--yes")

    def prepare(self, product=PRODUCT):
        self.count += 1
        bundle = self.folder / f"bundle-{self.count}"
        done = run_pawl("release", "prepare", self.folder / "image.bin", "--product", product, "--version", f"9.0.{self.count}", "--hardware", HARDWARE,
                        "--out", bundle, *self.common, check=False, env={"PATH": os.environ["PATH"], "HOME": str(self.folder)})
        return done, bundle


@pytest.fixture
def stolen(world, pki, keys, tmp_path):
    made = Stolen(world, pki, keys, tmp_path)
    yield made
    made.http.shutdown()
    made.http.server_close()


def test_the_world_does_not_begin_again(stolen):
    """Root 2 names another timestamp key, so a client drops what it kept; then the server has no timestamp."""
    assert stolen.prepare()[0].returncode == 0
    stolen.world.online["timestamp"] = new_key("ed25519")
    rotate(stolen.world, "timestamp", stolen.world.online["timestamp"])
    stolen.world.files["timestamp.json"] = Reply(status=404)
    for _ in range(3):
        done, bundle = stolen.prepare()
        assert done.returncode != 0 and "no timestamp.json" in done.stderr and not bundle.exists(), done.stderr


@pytest.mark.parametrize("product", ["other", PRODUCT])
def test_withdrawals_are_not_signed_on_the_servers_word(stolen, product):
    stolen.http.withdrawn = ["gateway/1.0.0/image.bin", "gateway/2.0.0/image.bin"]
    done, bundle = stolen.prepare(product)
    assert done.returncode == 0, done.stderr
    draft = json.loads(base64.b64decode(json.loads(bundle.read_bytes())["draft"]))
    assert "withdrawn" not in json.dumps(draft)
    assert done.stderr.count("signed metadata does not") == (2 if product == PRODUCT else 0)
