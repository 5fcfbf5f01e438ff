"""Releases after their first day and people who never share a machine: prepare, sign, attach, renew, reissue, withdraw."""

import base64
import hashlib
import json
import re

import pytest

from lib import firmware
from lib.server import run_pawl
from lib.tuf import load_key, sign_bytes, signed_bytes

HARDWARE = "qemu-arm"
USAGE, REFUSED, UNREACHABLE, TRUST, LOCAL, KEY = 2, 3, 4, 5, 6, 7


@pytest.fixture
def shop(new_server):
    """A server with two releases of a product."""
    server = new_server({"enrolment": {"auto_accept": "yes"}})
    server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin")
    server.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE,), "--file", "fw.bin")
    return server


def signing(server):
    return "--keys", server.keys, "--passphrase-file", server.passphrase_file


def tuf(server, name):
    reply = server.operator().get(f"/api/v1/metadata/{name}")
    return json.loads(reply.body) if reply.status == 200 else None


def hash_of(text):
    return re.search(r"hash to confirm +([0-9a-f-]+)$", text, re.M).group(1)


def offline(*arguments, check=True, home):
    """A machine that knows no server."""
    return run_pawl(*arguments, check=check, env={"PATH": "/usr/bin", "HOME": str(home)})


class TestRenew:
    def test_expiry_and_versions_rise_and_nothing_else(self, shop):
        before = tuf(shop, "2.targets.json")["signed"]
        done = shop.pawl("release", "renew", *signing(shop))
        assert "No new release (targets version 3)" in done.stderr and "published targets 3" in done.stdout
        after = tuf(shop, "3.targets.json")["signed"]
        assert after["targets"] == before["targets"] and after["expires"] >= before["expires"]
        assert tuf(shop, "3.snapshot.json")["signed"]["meta"]["targets.json"]["version"] == 3

    def test_confirm_names_the_draft(self, shop):
        done = shop.pawl("release", "renew", *signing(shop), "--confirm", "-".join(["0000"] * 8), check=False)
        assert done.returncode == REFUSED and "this is another draft" in done.stderr
        assert tuf(shop, "3.targets.json") is None


class TestReissue:
    def test_old_bits_come_back_with_a_higher_sequence(self, shop):
        done = shop.pawl("release", "reissue", "gateway", "1.0.0", "--as", "1.2.0", *signing(shop))
        assert "sequence          2 -> 3" in done.stderr
        release = shop.operator().ok("GET", "/api/v1/releases/gateway/1.2.0")
        assert (release["sequence"], release["sha256"]) == (3, hashlib.sha256(firmware.ATH_9271.read_bytes()).hexdigest())
        assert release["signature"] and release["notes"] == "reissue of 1.0.0"
        entry = tuf(shop, "3.targets.json")["signed"]["targets"]["gateway/1.2.0/fw.bin"]["custom"]["pawl"]
        assert entry["sequence"] == 3 and entry["security_version"] == 0

    def test_a_raised_security_version_forbids_it(self, shop):
        shop.publish(firmware.ATH_9271, "gateway", "2.0.0", (HARDWARE,), "--security-version", "4")
        done = shop.pawl("release", "reissue", "gateway", "1.0.0", "--as", "2.1.0", *signing(shop), check=False)
        assert done.returncode == TRUST and "security version 0 is lower" in done.stderr

    @pytest.mark.parametrize("arguments, code, said", [
        (("gateway", "9.9.9", "--as", "2.0.0"), REFUSED, "no verified metadata lists"),
        (("gateway", "1.0.0"), USAGE, "--as VERSION"),
        (("gateway", "1.0.0", "--as", "1.1.0"), REFUSED, "published already"),
        (("gateway", "1.0.0", "--as", "two"), USAGE, "semver"),
    ])
    def test_refused(self, shop, arguments, code, said):
        done = shop.pawl("release", "reissue", *arguments, *signing(shop), check=False)
        assert done.returncode == code and said.lower() in done.stderr.splitlines()[-1].lower(), done.stderr


class TestWithdraw:
    def test_at_once_and_told_at_the_next_publish(self, shop):
        device = shop.device("wd-1")
        done = shop.pawl("release", "withdraw", "gateway", "1.1.0", "--reason", "bricks")
        assert "the same again with --keys" in done.stderr
        release = shop.operator().ok("GET", "/api/v1/releases/gateway/1.1.0")
        assert release["withdrawn_at"]
        reply = device.get(f"/firmware/{release['path']}")
        assert reply.status in (403, 410), reply
        assert "withdrawn" not in json.dumps(tuf(shop, "2.targets.json"))
        published = shop.publish(firmware.UBOOT_ARM, "gateway", "1.2.0", (HARDWARE,), "--file", "fw.bin")
        assert "the server says that gateway 1.1.0 is withdrawn, signed metadata does not" in published.stderr
        assert "withdrawn" not in json.dumps(tuf(shop, "3.targets.json"))
        signed = shop.pawl("release", "withdraw", "gateway", "1.1.0", *signing(shop))
        assert "! withdrawn for ever: gateway/1.1.0/fw.bin" in signed.stderr
        entries = tuf(shop, "4.targets.json")["signed"]["targets"]
        assert entries["gateway/1.1.0/fw.bin"]["custom"]["pawl"]["withdrawn"] is True
        assert "withdrawn" not in entries["gateway/1.0.0/fw.bin"]["custom"]["pawl"]
        assert "already" in shop.pawl("release", "withdraw", "gateway", "1.1.0", *signing(shop)).stderr
        assert tuf(shop, "5.targets.json") is None
        audit = shop.operator().ok("GET", "/api/v1/audit?limit=1000")["items"]
        assert [row for row in audit if row["action"] == "release.withdraw" and "bricks" in json.dumps(row)]

    def test_with_keys_it_is_signed_now(self, shop):
        shop.pawl("release", "withdraw", "gateway", "1.0.0", *signing(shop))
        assert tuf(shop, "3.targets.json")["signed"]["targets"]["gateway/1.0.0/fw.bin"]["custom"]["pawl"]["withdrawn"] is True
        again = shop.pawl("release", "withdraw", "gateway", "1.0.0")
        assert again.returncode == 0
        assert shop.pawl("release", "withdraw", "gateway", "7.0.0", check=False).returncode == REFUSED

    def test_a_token_for_reading_may_not(self, shop):
        reader = shop.operator(shop.operator().token_with("release:read"))
        assert reader.post("/api/v1/releases/gateway/1.0.0/withdraw").status == 403
        other = shop.operator(shop.operator().token_with("release:publish@sensor"))
        assert other.post("/api/v1/releases/gateway/1.0.0/withdraw").status == 403


class TestManySigners:
    """Prepare, sign and attach; thresholds above one are in test_trust_root.py."""

    def test_bundle_by_hand_and_by_openssl(self, shop, tmp_path):
        bundle, image = tmp_path / "bundle", firmware.UBOOT_ARM
        prepared = shop.pawl("release", "prepare", image, "--product", "gateway", "--version", "1.3.0", "--hardware", HARDWARE, "--file", "fw.bin",
                             "--keys", shop.keys, "--out", bundle)
        told = hash_of(prepared.stderr)
        assert "1 signature needed" in prepared.stderr
        refused = shop.pawl("release", "publish", image, "--bundle", bundle, *signing(shop), check=False)
        assert refused.returncode == TRUST and "0 valid signatures" in refused.stderr

        # a signer elsewhere
        shop.pawl("release", "attach", bundle, "--to-sign", tmp_path / "to-sign")
        key = load_key(shop.keys / "targets-1.pem", "correct horse battery staple")
        data = (tmp_path / "to-sign").read_bytes()
        draft = json.loads(base64.b64decode(json.loads(bundle.read_text())["draft"]))
        assert data == signed_bytes(draft["signed"]) and hashlib.sha256(data).hexdigest().startswith(told.replace("-", ""))
        (tmp_path / "sig").write_bytes(sign_bytes(key, data))
        (tmp_path / "image.sig").write_bytes(sign_bytes(key, image.read_bytes()))
        shop.pawl("keys", "export", shop.keys, "targets-1", "--out", tmp_path / "targets.pub")
        shop.pawl("keys", "export", shop.keys, "snapshot-1", "--out", tmp_path / "snapshot.pub")
        wrong = shop.pawl("release", "attach", bundle, "--signature", tmp_path / "sig", "--public-key", tmp_path / "snapshot.pub", check=False)
        assert wrong.returncode == TRUST and "not one of key" in wrong.stderr
        shop.pawl("release", "attach", bundle, "--signature", tmp_path / "sig", "--public-key", tmp_path / "targets.pub", "--image-signature",
                  tmp_path / "image.sig")
        other = shop.pawl("release", "publish", firmware.ATH_9271, "--bundle", bundle, *signing(shop), check=False)
        assert other.returncode == TRUST and "not the image" in other.stderr
        shop.pawl("release", "publish", image, "--bundle", bundle, *signing(shop), "--confirm", told)
        assert shop.operator().ok("GET", "/api/v1/releases/gateway/1.3.0")["signature"]

    def test_a_signer_without_network(self, shop, tmp_path):
        bundle, home = tmp_path / "bundle", tmp_path / "home"
        home.mkdir()
        told = hash_of(shop.pawl("release", "prepare", firmware.UBOOT_ARM, "--product", "gateway", "--version", "1.3.0", "--hardware", HARDWARE,
                                 "--keys", shop.keys, "--out", bundle).stderr)
        before = bundle.read_bytes()
        pair = ("--key", shop.keys / "targets-1.pem", "--root", shop.keys / "1.root.json", "--passphrase-file", shop.passphrase_file)
        other = told[:-1] + ("0" if told[-1] != "0" else "1")
        done = offline("release", "sign", bundle, *pair, "--confirm", other, check=False, home=home)
        assert done.returncode == REFUSED and "another draft" in done.stderr
        strange = offline("release", "sign", bundle, "--key", shop.keys / "root-1.pem", *pair[2:], "--confirm", told, check=False, home=home)
        assert strange.returncode == KEY and "0 of the keys given here may sign it" in strange.stderr
        assert bundle.read_bytes() == before
        done = offline("release", "sign", bundle, *pair, "--confirm", told, home=home)
        assert "1.1.0 -> 1.3.0" in done.stderr and "1 of 1 signatures" in done.stderr
        shop.pawl("release", "publish", firmware.UBOOT_ARM, "--bundle", bundle, *signing(shop))

    def test_a_forged_base_is_not_extended(self, shop, tmp_path):
        """Somebody between the two changes what the bundle brought along."""
        bundle, home = tmp_path / "bundle", tmp_path / "home"
        home.mkdir()
        shop.pawl("release", "renew", "--keys", shop.keys, "--out", bundle)
        content = json.loads(bundle.read_text())
        for file in content["published"]:
            if file["name"].endswith("targets.json"):
                forged = json.loads(base64.b64decode(file["data"]))
                next(iter(forged["signed"]["targets"].values()))["length"] += 1
                file["data"] = base64.b64encode(json.dumps(forged, sort_keys=True, separators=(",", ":")).encode()).decode()
        bundle.write_text(json.dumps(content))
        done = offline("release", "sign", bundle, "--key", shop.keys / "targets-1.pem", "--root", shop.keys / "1.root.json", "--passphrase-file",
                       shop.passphrase_file, "--yes", check=False, home=home)
        assert done.returncode == TRUST, done.stderr

    def test_a_draft_that_changes_what_is_published_is_not_signed(self, shop, tmp_path):
        bundle = tmp_path / "bundle"
        for change, said in ((lambda entries: entries.pop("gateway/1.0.0/fw.bin"), "leaves out"),
                             (lambda entries: entries["gateway/1.0.0/fw.bin"]["custom"]["pawl"].update(security_version=0, sequence=9), "changes")):
            bundle.unlink(missing_ok=True)
            shop.pawl("release", "renew", "--keys", shop.keys, "--out", bundle)
            content = json.loads(bundle.read_text())
            draft = json.loads(base64.b64decode(content["draft"]))
            change(draft["signed"]["targets"])
            content["draft"] = base64.b64encode(json.dumps(draft, sort_keys=True, separators=(",", ":")).encode()).decode()
            bundle.write_text(json.dumps(content))
            done = shop.pawl("release", "sign", bundle, *signing(shop), check=False)
            assert done.returncode == REFUSED and said in done.stderr

    def test_a_bundle_that_the_world_left_behind(self, shop, tmp_path):
        bundle = tmp_path / "bundle"
        shop.pawl("release", "renew", "--keys", shop.keys, "--out", bundle)
        shop.pawl("release", "renew", *signing(shop))
        done = shop.pawl("release", "sign", bundle, *signing(shop), check=False)
        assert done.returncode == TRUST and "make it anew" in done.stderr

    @pytest.mark.parametrize("content", [b"", b"{}", b"[]", b'{"format":"other"}', b"\x00" * 10])
    def test_no_bundle(self, shop, tmp_path, content):
        bundle = tmp_path / "bundle"
        bundle.write_bytes(content)
        for verb in ("sign", "publish"):
            arguments = ("release", "sign", bundle) if verb == "sign" else ("release", "publish", "--bundle", bundle)
            done = shop.pawl(*arguments, *signing(shop), check=False)
            assert done.returncode == TRUST and re.fullmatch(r"pawl: [^\n]+no bundle[^\n]*\n", done.stderr), done.stderr
