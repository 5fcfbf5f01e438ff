"""Enrolment over EST: the three ways in, renewal, what is refused, and that nobody else is hurt."""

import base64
import datetime
import itertools
import json
import sqlite3
import ssl
import subprocess
import threading
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lib.est import EST, Applicant, basic, certificate, certificates, csr, issuing, keep, make_ca
from lib.pki import new_key
from lib.wait import wait_for
from lib.wire import Closed

numbers = itertools.count(1)


@pytest.fixture(scope="module")
def factory_ca(pki):
    return make_ca(pki, "factory-ca")


@pytest.fixture(scope="module")
def est(servers, pki, factory_ca, tmp_path_factory):
    config = issuing(pki, tmp_path_factory.mktemp("issuing"), factory_ca=factory_ca, requests=100000)
    config["limits"] = {"auth_failures": 1000}
    return servers(config)


@pytest.fixture
def applicant(est):
    made = Applicant(est)
    yield made
    made.close()


def a_name():
    return f"est-{next(numbers)}"


def a_claim(server, **fields):
    return server.operator().ok("POST", "/api/v1/claims", fields)["secret"]


def pin(key):
    from lib.pki import hashlib

    spki = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def enrolled(server, folder, name=None, key=None):
    """A device that has its certificate."""
    name, key = name or a_name(), key or new_key("p256")
    applicant = Applicant(server)
    found = certificate(applicant.enrol(key, claim=(name, a_claim(server, device=name))))
    applicant.close()
    return name, key, keep(folder, name, found, key)


def whoami(server, kept):
    client = server.device(certificate=kept)
    reply = client.get("/whoami")
    return reply


class TestCacerts:
    def test_the_device_cas(self, est, applicant, pki):
        reply = applicant.get(f"{EST}/cacerts")
        assert reply.status == 200
        assert max(map(len, reply.body.splitlines())) == 64
        assert certificates(reply.body) == [x509.load_pem_x509_certificate(pki.device_ca.read_bytes())]

    def test_nothing_else_on_this_listener(self, applicant):
        for path in ("/check", "/whoami", "/api/v1/devices", "/healthz", "/firmware/x"):
            assert applicant.get(path).status == 404


class TestClaim:
    def test_a_device_gets_its_certificate_and_uses_it(self, est, applicant, tmp_path, pki):
        name, key = a_name(), new_key("p256")
        found = certificate(applicant.enrol(key, "whatever", claim=(name, a_claim(est, device=name))))
        assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name
        uris = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.UniformResourceIdentifier)
        assert uris == [f"urn:pawl:device:{name}"]
        assert found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
        assert list(found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == [ExtendedKeyUsageOID.CLIENT_AUTH]
        life = found.not_valid_after - datetime.datetime.utcnow()
        assert datetime.timedelta(days=89) < life <= datetime.timedelta(days=90)
        assert found.serial_number.bit_length() > 100
        kept = keep(tmp_path, name, found, key)
        verify = subprocess.run(["openssl", "verify", "-x509_strict", "-purpose", "sslclient", "-CAfile", pki.device_ca, kept.cert], capture_output=True, text=True,
                                check=False)
        assert verify.returncode == 0, verify.stdout + verify.stderr
        reply = whoami(est, kept)
        assert reply.status == 200 and reply.json["state"] == "active", reply
        assert est.operator().device(name)["state"] == "active"

    def test_durable_with_audit_and_event(self, est, applicant):
        name = a_name()
        found = certificate(applicant.enrol(new_key("p256"), claim=(name, a_claim(est, device=name))))
        serial = f"{found.serial_number:032x}"
        operator = est.operator()
        row = operator.ok("GET", f"/api/v1/certificates/{serial}")
        assert row["device"] == name and row["way"] == "claim"
        assert [item["serial"] for item in operator.ok("GET", f"/api/v1/certificates?device={name}&in_use=true")["items"]] == [serial]
        assert [event["detail"]["serial"] for event in operator.events(device=name, kind="certificate-issued")] == [serial]
        audit = operator.pages("/api/v1/audit", 1000)
        issued = [row for row in audit if row["action"] == "certificate.issue" and row["object"] == f"certificate:{serial}"]
        assert len(issued) == 1 and issued[0]["actor"].startswith("claim:") and json.loads(issued[0]["detail"])["device"] == name
        assert any(row["action"] == "device.enrol" and row["object"] == f"device:{name}" for row in audit)
        # A repeated expiry filter and the end of the list.
        assert operator.ok("GET", "/api/v1/certificates?expires_before=2001-01-01T00:00:00Z")["items"] == []
        assert operator.get(f"/api/v1/certificates/{'0' * 32}").status == 404

    def test_the_same_key_gets_the_same_for_an_hour(self, est, applicant):
        name, key = a_name(), new_key("p256")
        claim = a_claim(est, device=name)
        first = applicant.enrol(key, claim=(name, claim))
        again = applicant.enrol(key, claim=(name, claim))
        assert certificate(first) == certificate(again)
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(1,)]

    def test_used_by_another_key(self, est, applicant):
        name, claim = a_name(), None
        claim = a_claim(est, device=name)
        certificate(applicant.enrol(new_key("p256"), claim=(name, claim)))
        reply = applicant.enrol(new_key("p256"), claim=(name, claim))
        assert reply.status == 410 and reply.problem == "gone"
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(1,)]

    def test_two_at_once(self, est):
        """Of two keys that show one claim at the same moment one gets a certificate."""
        name = a_name()
        claim = a_claim(est, device=name)
        replies = []

        def one(key):
            client = Applicant(est)
            replies.append(client.enrol(key, claim=(name, claim)).status)
            client.close()

        threads = [threading.Thread(target=one, args=(new_key("p256"),)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(replies) == [200] + [410] * 7
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(1,)]

    def test_for_another_id(self, est, applicant):
        name = a_name()
        claim = a_claim(est, device=name)
        reply = applicant.enrol(new_key("p256"), claim=(name + "-other", claim))
        assert reply.status == 403 and reply.problem == "forbidden"
        assert est.query("SELECT count(*) FROM device WHERE id LIKE ?", name + "%") == [(0,)]
        certificate(applicant.enrol(new_key("p256"), claim=(name, claim)))  # it is not spent

    def test_revoked_and_expired(self, est, applicant):
        name, operator = a_name(), est.operator()
        made = operator.ok("POST", "/api/v1/claims", {"device": name})
        path = f"/api/v1/claims/{made['claim']['id']}"
        assert operator.delete(path).status == 428
        assert operator.delete(path, headers=[("If-Match", '"9"')]).status == 412
        assert operator.delete(path, headers=[("If-Match", '"1"')]).status == 204
        assert applicant.enrol(new_key("p256"), claim=(name, made["secret"])).status == 410
        made = operator.ok("POST", "/api/v1/claims", {"device": name, "expires_in_s": 60})
        import sqlite3

        with est.write_lock():
            pass
        connection = sqlite3.connect(est.database_path, timeout=20)
        connection.execute("UPDATE claim SET expires_at = created_at - 1 WHERE id = ?", (made["claim"]["id"],))
        connection.commit()
        connection.close()
        assert applicant.enrol(new_key("p256"), claim=(name, made["secret"])).status == 410
        assert operator.ok("GET", f"/api/v1/claims/{made['claim']['id']}")["state"] == "expired"

    @pytest.mark.parametrize("password", ["", "x", "pawlclaim_0123456789ab_" + "A" * 43, "pawl_0123456789ab_" + "A" * 43])
    def test_unknown(self, est, applicant, password):
        reply = applicant.enrol(new_key("p256"), claim=(a_name(), password))
        assert reply.status == 401 and reply.problem == "unauthenticated"
        assert reply.header("WWW-Authenticate").startswith("Basic")

    def test_wrong_secret_of_a_claim_that_exists(self, est, applicant):
        name = a_name()
        claim = a_claim(est, device=name)
        reply = applicant.enrol(new_key("p256"), claim=(name, claim[:-1] + ("A" if claim[-1] != "A" else "B")))
        assert reply.status == 401
        certificate(applicant.enrol(new_key("p256"), claim=(name, claim)))

    @pytest.mark.parametrize("header", ["Basic", "Basic !", "Bearer x", "Basic " + base64.b64encode(b"no colon").decode(), "Basic " + base64.b64encode(b"a b:c").decode(),
                                        "Basic " + base64.b64encode(b"a\0b:c").decode(), "Basic " + "QUFB" * 2000])
    def test_authorization_that_cannot_be_read(self, applicant, header):
        reply = applicant.post(f"{EST}/simpleenroll", csr(new_key("p256"), "x"), headers=[("Content-Type", "application/pkcs10"), ("Authorization", header)])
        assert reply.status == 401, reply

    def test_of_a_product(self, est, applicant, tmp_path):
        product = f"product-{next(numbers)}"
        est.operator().ok("POST", "/api/v1/products", {"id": product})
        claim, name, key = a_claim(est, product=product), a_name(), new_key("p256")
        certificate(applicant.enrol(key, claim=(name, claim)))
        assert est.operator().device(name)["product"] == product
        assert applicant.enrol(new_key("p256"), claim=(a_name(), claim)).status == 410  # one device
        # It never takes over a device that is there.
        reply = applicant.enrol(new_key("p256"), claim=(name, a_claim(est, product=product)))
        assert reply.status == 403 and reply.problem == "identity"
        assert est.operator().ok("GET", f"/api/v1/claims?product={product}&limit=1")["items"][0]["product"] == product

    def test_a_key_whose_certificate_was_revoked(self, est, applicant, tmp_path):
        """It never comes back, whatever is shown with it."""
        name, old, _ = enrolled(est, tmp_path)
        key = new_key("p256")
        fresh = keep(tmp_path / "new", name, certificate(applicant.enrol(key, claim=(name, a_claim(est, device=name)))), key)
        assert whoami(est, fresh).status == 200
        serial = est.operator().ok("GET", f"/api/v1/certificates?device={name}")["items"][0]["serial"]
        est.operator().ok("POST", f"/api/v1/certificates/{serial}/revoke")
        claim = a_claim(est, device=name)
        reply = applicant.enrol(old, claim=(name, claim))
        assert reply.status == 403 and reply.problem == "identity" and "revoked" in reply.json["detail"]
        assert whoami(est, fresh).status == 200
        certificate(applicant.enrol(new_key("p256"), claim=(name, claim)))  # it is not spent by that

    def test_an_older_certificate_of_the_key_was_revoked(self, est, applicant, tmp_path):
        """Of several for one key: with the revoked one goes the key, and nothing that is shown brings it back."""
        name, key, old = enrolled(est, tmp_path)
        with sqlite3.connect(est.database_path, timeout=10) as store:  # within an hour it would get the same again
            store.execute("UPDATE certificate SET issued_at = issued_at - 7200 WHERE device = ?", (name,))
        store.close()
        renewed = keep(tmp_path / "renewed", name, certificate(Applicant(est, old).renew(key)), key)
        fresh = new_key("p256")
        moved = keep(tmp_path / "moved", name, certificate(applicant.enrol(fresh, claim=(name, a_claim(est, device=name)))), fresh)
        oldest, newer, _ = est.operator().ok("GET", f"/api/v1/certificates?device={name}")["items"]
        est.operator().ok("POST", f"/api/v1/certificates/{oldest['serial']}/revoke")
        assert newer["spki_sha256"] == oldest["spki_sha256"] and newer["revoked_at"] is None
        reply = applicant.enrol(key, claim=(name, a_claim(est, device=name)))
        assert reply.status == 403 and reply.problem == "identity" and "revoked" in reply.json["detail"]
        reply = Applicant(est, moved).renew(key)
        assert reply.status == 403 and reply.problem == "identity"
        assert est.operator().post("/api/v1/devices", {"id": a_name(), "spki_sha256": pin(key)}).status == 409
        for shown in (old, renewed):
            assert whoami(est, shown).problem == "identity"
        assert whoami(est, moved).status == 200

    def test_a_lost_key(self, est, applicant, tmp_path):
        """A claim for the id of a device that is there brings it a new key; the old one is good until the new one is used."""
        name, _, old = enrolled(est, tmp_path)
        assert whoami(est, old).status == 200
        key = new_key("p256")
        fresh = keep(tmp_path / "new", name, certificate(applicant.enrol(key, claim=(name, a_claim(est, device=name)))), key)
        assert whoami(est, old).status == 200
        assert whoami(est, fresh).status == 200
        assert whoami(est, old).problem == "identity"
        assert [event["detail"]["spki_sha256"] for event in est.operator().events(device=name, kind="key-changed")] == [pin(key)]

    def test_revoked_device(self, est, applicant, tmp_path):
        name, key, _ = enrolled(est, tmp_path)
        est.operator().ok("POST", f"/api/v1/devices/{name}/revoke")
        reply = applicant.enrol(key, claim=(name, a_claim(est, device=name)))
        assert reply.status == 403 and reply.problem == "device-revoked"
        assert applicant.enrol(key, name).problem == "device-revoked"


class TestClaimsApi:
    def test_the_secret_is_shown_once(self, est):
        operator, name = est.operator(), a_name()
        headers = [("Idempotency-Key", name)]
        first = operator.post("/api/v1/claims", {"device": name, "note": "bench 3"}, headers=headers)
        again = operator.post("/api/v1/claims", {"device": name, "note": "bench 3"}, headers=headers)
        assert first.status == again.status == 201
        assert first.json["secret"].startswith("pawlclaim_") and again.json["secret"] is None
        assert first.json["claim"] == again.json["claim"]
        row = operator.ok("GET", first.header("Location"))
        assert row["state"] == "open" and row["note"] == "bench 3" and row["device"] == name and row["product"] is None
        secret = first.json["secret"].split("_", 2)[2]
        assert secret.encode() not in b"".join(path.read_bytes() for path in est.data.glob("pawl.db*"))
        assert secret not in est.log()
        left = datetime.datetime.strptime(row["expires_at"], "%Y-%m-%dT%H:%M:%SZ") - datetime.datetime.strptime(row["created_at"], "%Y-%m-%dT%H:%M:%SZ")
        assert left == datetime.timedelta(hours=24)

    @pytest.mark.parametrize("body", [{}, {"device": "a", "product": "b"}, {"device": "no id"}, {"product": "no id"}, {"device": "a", "expires_in_s": 1},
                                      {"device": "a", "expires_in_s": 2592001}, {"device": "a", "extra": 1}])
    def test_bad_bodies(self, est, body):
        assert est.operator().post("/api/v1/claims", body).status == 400

    def test_unknown_product(self, est):
        assert est.operator().post("/api/v1/claims", {"product": "nowhere"}).status == 404

    def test_scopes(self, est, applicant):
        operator, product, name = est.operator(), f"product-{next(numbers)}", a_name()
        operator.ok("POST", "/api/v1/products", {"id": product})
        limited = est.operator(operator.token_with(f"device:write@{product}", f"device:read@{product}"))
        made = limited.ok("POST", "/api/v1/claims", {"product": product})
        assert limited.get(f"/api/v1/claims/{made['claim']['id']}").status == 200
        assert limited.post("/api/v1/claims", {"device": name}).status == 403  # a device of no product is everybody's
        assert limited.get("/api/v1/claims").status == 403
        assert limited.get(f"/api/v1/claims?product={product}").status == 200
        certificate(applicant.enrol(new_key("p256"), claim=(name, made["secret"])))
        assert limited.post("/api/v1/claims", {"device": name}).status == 201
        assert limited.get("/api/v1/certificates").status == 403
        (row,) = limited.ok("GET", f"/api/v1/certificates?product={product}")["items"]
        assert row["device"] == name and limited.get(f"/api/v1/certificates/{row['serial']}").status == 200
        other = est.operator(operator.token_with("device:read@elsewhere"))
        absent = other.get(f"/api/v1/certificates/{row['serial'][::-1]}")
        refused = other.get(f"/api/v1/certificates/{row['serial']}")
        assert absent.status == refused.status == 404 and refused.json["detail"] == absent.json["detail"].replace(row["serial"][::-1], row["serial"])

    def test_command_line(self, est, tmp_path):
        name = a_name()
        done = est.pawl("claims", "create", "--device", name, "--out", tmp_path / "claim", "--note", "by hand")
        assert (tmp_path / "claim").stat().st_mode & 0o777 == 0o400
        secret = (tmp_path / "claim").read_text(encoding="ascii").strip()
        assert secret not in done.stdout + done.stderr
        listed = est.pawl("claims", "list", "--device", name).stdout
        assert name in listed and "open" in listed
        number = listed.split("\t")[0]
        assert est.pawl("claims", "show", number).stdout
        est.pawl("claims", "revoke", number)
        assert "revoked" in est.pawl("claims", "list", "--device", name).stdout
        assert Applicant(est).enrol(new_key("p256"), claim=(name, secret)).status == 410
        assert est.pawl("claims", "create", "--device", name, "--product", "x", check=False).returncode == 2
        assert est.pawl("claims", "create", "--device", name, "--expires", "31d", check=False).returncode == 2
        shown = est.pawl("claims", "create", "--device", name, "--expires", "2h").stdout
        assert shown.startswith("pawlclaim_")


class TestFactory:
    def factory(self, pki, name, **options):
        return pki.strange(f"factory-{name}", issuer="factory-ca", uris=[f"urn:pawl:device:{name}"], **options)

    def test_a_factory_certificate_is_the_ticket(self, est, pki, tmp_path):
        name, key = a_name(), new_key("p256")
        shown = self.factory(pki, name)
        client = Applicant(est, shown)
        found = certificate(client.enrol(key, "another"))
        kept = keep(tmp_path, name, found, key)
        assert whoami(est, kept).json["id"] == name
        assert est.operator().ok("GET", f"/api/v1/certificates?device={name}")["items"][0]["way"] == "factory"
        assert certificate(client.enrol(key)) == found  # a lost reply
        assert client.renew(key).status == 403  # a factory's certificate is no device's
        with pytest.raises((Closed, ssl.SSLError, OSError)):  # the device listener does not believe it
            est.device(certificate=shown).get("/whoami")

    def test_a_factory_certificate_renews_nothing(self, est, pki, tmp_path):
        """Nor does it when the device goes on with its factory's key, by which it is known."""
        name, key = a_name(), new_key("p256")
        client = Applicant(est, self.factory(pki, name, key=key))
        kept = keep(tmp_path, name, certificate(client.enrol(key)), key)
        assert whoami(est, kept).status == 200
        refused = client.renew(new_key("p256"))
        assert refused.status == 403 and refused.problem == "identity" and "first enrolment" in refused.json["detail"]
        assert whoami(est, kept).status == 200

    def test_an_active_device_is_not_taken_over(self, est, applicant, pki, tmp_path):
        name, key, other = a_name(), new_key("p256"), new_key("p256")
        client = Applicant(est, self.factory(pki, name))
        kept = keep(tmp_path, name, certificate(client.enrol(key)), key)
        reply = client.enrol(other)
        assert reply.status == 403 and reply.problem == "identity" and "needs a claim for this device" in reply.json["detail"]
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(1,)]
        assert whoami(est, kept).json["id"] == name
        replaced = keep(tmp_path, f"{name}-2", certificate(applicant.enrol(other, claim=(name, a_claim(est, device=name)))), other)
        assert whoami(est, replaced).json["id"] == name

    def test_expired(self, est, pki):
        now = datetime.datetime.utcnow()
        name = a_name()
        shown = self.factory(pki, name, begins=now - datetime.timedelta(days=9), ends=now - datetime.timedelta(days=1))
        reply = Applicant(est, shown).enrol(new_key("p256"))
        assert reply.status == 403 and reply.problem == "identity"
        assert est.query("SELECT count(*) FROM device WHERE id = ?", name) == [(0,)]

    @pytest.mark.parametrize("fault", ["stranger", "not-yet", "server-only", "a-ca", "two-uris", "no-uri"])
    def test_other_faults_end_the_handshake(self, est, pki, fault):
        now = datetime.datetime.utcnow()
        name = a_name()
        options = {
            "stranger": {"issuer": "stranger-ca"},
            "not-yet": {"issuer": "factory-ca", "begins": now + datetime.timedelta(days=1), "ends": now + datetime.timedelta(days=2)},
            "server-only": {"issuer": "factory-ca", "eku": (ExtendedKeyUsageOID.SERVER_AUTH,)},
            "a-ca": {"issuer": "factory-ca", "basic": True},
            "two-uris": {"issuer": "factory-ca", "uris": [f"urn:pawl:device:{name}", "urn:pawl:device:other"]},
            "no-uri": {"issuer": "factory-ca", "uris": None},
        }[fault]
        make_ca(pki, "stranger-ca")
        shown = pki.strange(f"factory-{fault}", **{"uris": [f"urn:pawl:device:{name}"], **options})
        with pytest.raises((Closed, ssl.SSLError, OSError)):
            Applicant(est, shown).get(f"{EST}/cacerts")

    def test_revoked(self, new_server, pki, factory_ca, tmp_path):
        """By a list of the factory's own, read again on SIGHUP; one past its next update is told of, and counts."""
        crl = tmp_path / "factory.crl"
        gone, stays = self.factory(pki, a_name()), self.factory(pki, a_name())
        pki.crl(crl, issuer="factory-ca")
        server = new_server(issuing(pki, tmp_path, factory_ca=factory_ca, factory_crl=crl))
        assert Applicant(server, gone).get(f"{EST}/cacerts").status == 200
        pki.crl(crl, [gone], issuer="factory-ca", days=-1)
        server.reload()
        with pytest.raises((Closed, ssl.SSLError, OSError)):
            Applicant(server, gone).enrol(new_key("p256"))
        certificate(Applicant(server, stays).enrol(new_key("p256")))
        assert server.query("SELECT count(*) FROM device WHERE id = ?", gone.cert.stem.removeprefix("factory-")) == [(0,)]
        wait_for(lambda: [event["detail"]["issuer"] for event in server.operator().events(kind="crl-expired")] == ["CN=factory-ca"])
        assert 'pawl_crl_revoked{listener="enrolment",issuer="CN=factory-ca"} 1' in server.operator().get("/metrics").body.decode()

    def test_a_list_of_another_ca_is_refused(self, new_server, pki, factory_ca, tmp_path):
        crl = tmp_path / "device.crl"
        pki.crl(crl)
        server = new_server(issuing(pki, tmp_path, factory_ca=factory_ca, factory_crl=crl), start=False)
        with pytest.raises(AssertionError, match="is not signed by a configured CA"):
            server.start()

    def test_a_device_certificate_is_for_renewal(self, est, tmp_path):
        _, key, kept = enrolled(est, tmp_path)
        reply = Applicant(est, kept).enrol(key)
        assert reply.status == 403 and reply.problem == "forbidden"


class TestSquatting:
    """Somebody asks for the id of a device before the device does, and shows nothing."""

    def squat(self, server, key=None):
        name, key = a_name(), key or new_key("p256")
        assert Applicant(server).enrol(key, name).status == 202
        row = server.operator().device(name)
        assert (row["state"], row["pins"], row["pin_origin"]) == ("pending", [pin(key)], "requested")
        return name, key

    def replaced(self, server, name, key, before, origin):
        row = server.operator().device(name)
        assert (row["pins"], row["pin_origin"]) == ([pin(key)], origin)
        detail = {"spki_sha256": pin(key), "origin": origin, "before": pin(before), "before_origin": "requested"}
        assert [event["detail"] for event in server.operator().events(device=name, kind="key-replaced")] == [detail]
        (row,) = [row for row in server.operator().pages("/api/v1/audit", limit=1000) if row["action"] == "device.key" and row["object"] == f"device:{name}"]
        assert json.loads(row["detail"]) == detail
        assert Applicant(server).enrol(before, name).problem == "identity"

    @pytest.mark.parametrize("way", ["device", "product"])
    def test_a_claim(self, est, applicant, way, tmp_path):
        name, before = self.squat(est)
        product = f"line-{name}"
        est.operator().ok("POST", "/api/v1/products", {"id": product})
        claim = a_claim(est, **{way: name if way == "device" else product})
        key = new_key("p256")
        kept = keep(tmp_path, name, certificate(applicant.enrol(key, claim=(name, claim))), key)
        self.replaced(est, name, key, before, "claim")
        assert whoami(est, kept).json["state"] == "active"

    def test_a_factory_certificate(self, est, pki, tmp_path):
        name, before = self.squat(est)
        key = new_key("p256")
        kept = keep(tmp_path, name, certificate(Applicant(est, TestFactory().factory(pki, name)).enrol(key)), key)
        self.replaced(est, name, key, before, "factory")
        assert whoami(est, kept).json["state"] == "active"

    def test_a_certificate(self, est, pki, tmp_path):
        """Of the device CA, made elsewhere."""
        name, before = self.squat(est)
        key = new_key("p256")
        shown = pki.strange(name, key=key, uris=[f"urn:pawl:device:{name}"])
        assert whoami(est, shown).json["state"] == "pending"
        self.replaced(est, name, key, before, "certificate")
        other = pki.strange(f"{name}-2", uris=[f"urn:pawl:device:{name}"])
        assert whoami(est, other).problem == "identity"  # now somebody vouches for the key
        factory = Applicant(est, TestFactory().factory(pki, name)).enrol(new_key("p256"))
        assert factory.status == 403 and factory.problem == "identity"
        assert [event["detail"]["reason"] for event in est.operator().events(device=name, kind="clone-suspected")] == ["another-key"]

    def test_a_certificate_where_all_are_accepted(self, new_server, pki, tmp_path):
        server = new_server(issuing(pki, tmp_path, auto_accept="yes"))
        name, before = self.squat(server)
        key = new_key("p256")
        shown = pki.strange(name, key=key, uris=[f"urn:pawl:device:{name}"])
        reply = server.device(certificate=shown).check()
        assert reply.status in (200, 204)
        self.replaced(server, name, key, before, "certificate")
        assert server.operator().device(name)["state"] == "active"

    def test_an_expired_certificate_replaces_nothing(self, est, pki):
        now = datetime.datetime.utcnow()
        name, before = self.squat(est)
        shown = pki.strange(name, uris=[f"urn:pawl:device:{name}"], begins=now - datetime.timedelta(days=9), ends=now - datetime.timedelta(days=1))
        key = serialization.load_pem_private_key(shown.key.read_bytes(), None)
        assert Applicant(est, shown).renew(key).problem == "identity"
        assert est.operator().device(name)["pins"] == [pin(before)]

    def test_an_operator(self, est, applicant, tmp_path):
        """Accepts by fingerprint: no other key than the one that was looked at, or the device's own instead of it."""
        name, before = self.squat(est)
        key = new_key("p256")
        est.pawl("devices", "accept", name, "--pin", pin(key))
        self.replaced(est, name, key, before, "operator")
        assert est.operator().device(name)["state"] == "active"
        assert whoami(est, keep(tmp_path, name, certificate(applicant.enrol(key, name)), key)).status == 200

    def test_an_operator_and_a_key_that_is_vouched_for(self, est, pki):
        name, _ = self.squat(est)
        key = new_key("p256")
        assert whoami(est, pki.strange(name, key=key, uris=[f"urn:pawl:device:{name}"])).status == 200
        reply = est.operator().post(f"/api/v1/devices/{name}/accept", {"spki_sha256": pin(new_key("p256"))})
        assert reply.status == 409 and reply.problem == "conflict"
        assert est.operator().device(name)["state"] == "pending"
        est.operator().ok("POST", f"/api/v1/devices/{name}/accept", {"spki_sha256": pin(key)})
        assert est.operator().device(name)["pin_origin"] == "certificate"

    def test_an_accepted_device_is_not_replaced(self, est, applicant, pki):
        """Whoever was accepted stays, also when the key was only asked for."""
        name, key = self.squat(est)
        est.operator().ok("POST", f"/api/v1/devices/{name}/accept")
        assert est.operator().device(name)["pin_origin"] == "operator"
        assert Applicant(est, TestFactory().factory(pki, name)).enrol(new_key("p256")).problem == "identity"
        assert whoami(est, pki.strange(name, uris=[f"urn:pawl:device:{name}"])).problem == "identity"
        assert est.operator().device(name)["pins"] == [pin(key)]

    def test_export_vouches_for_nobody(self, est, tmp_path):
        name, _ = self.squat(est)
        est.pawl("devices", "export", tmp_path / "devices.ndjson")
        (row,) = [row for row in map(json.loads, (tmp_path / "devices.ndjson").read_text().splitlines()) if row["id"] == name]
        assert "spki_sha256" not in row


class TestOpen:
    def test_pending_until_accepted(self, est, applicant, tmp_path):
        name, key = a_name(), new_key("p256")
        for _ in range(2):
            reply = applicant.enrol(key, name)
            assert reply.status == 202 and int(reply.header("Retry-After")) > 0 and reply.body == b""
        assert est.operator().device(name)["state"] == "pending"
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(0,)]
        other = applicant.enrol(new_key("p256"), name)
        assert other.status == 403 and other.problem == "identity"
        est.operator().ok("POST", f"/api/v1/devices/{name}/accept")
        found = certificate(applicant.enrol(key, name))
        assert certificate(applicant.enrol(key, name)) == found  # what it has, again
        assert applicant.enrol(new_key("p256"), name).problem == "identity"
        assert whoami(est, keep(tmp_path, name, found, key)).json["state"] == "active"
        assert est.operator().ok("GET", f"/api/v1/certificates?device={name}")["items"][0]["way"] == "accepted"

    def test_auto_accept_is_for_certificates(self, new_server, pki, tmp_path):
        """Whoever shows nothing is never accepted by itself."""
        server = new_server(issuing(pki, tmp_path, auto_accept="yes"))
        assert Applicant(server).enrol(new_key("p256"), "nobody").status == 202

    def test_ceiling(self, new_server, pki, tmp_path):
        server = new_server(issuing(pki, tmp_path, pending_max=2))
        client = Applicant(server)
        assert [client.enrol(new_key("p256"), f"crowd-{i}").status for i in range(3)] == [202, 202, 503]
        certificate(client.enrol(new_key("p256"), claim=("invited", a_claim(server, device="invited"))))

    def test_a_device_that_was_registered_without_a_key(self, est, applicant):
        """An operator's row is no invitation to whoever comes first."""
        name = a_name()
        est.operator().ok("POST", "/api/v1/devices", {"id": name})
        assert applicant.enrol(new_key("p256"), name).problem == "identity"

    def test_a_device_that_was_registered_with_its_key(self, est, applicant):
        name, key = a_name(), new_key("p256")
        est.operator().ok("POST", "/api/v1/devices", {"id": name, "spki_sha256": pin(key)})
        certificate(applicant.enrol(key, name))

    def test_no_way_around_a_revocation_list(self, new_server, pki, tmp_path):
        """The key of a certificate from elsewhere that is revoked brings no certificate from here."""
        pki.crl(tmp_path / "device.crl")
        server = new_server({**issuing(pki, tmp_path, auto_accept="yes"), "tls": {"device_crl": tmp_path / "device.crl"}})
        shown, key = pki.device("listed"), serialization.load_pem_private_key(pki.device("listed").key.read_bytes(), None)
        assert server.device("listed").check().status in (200, 204)
        pki.crl(tmp_path / "device.crl", [shown])
        server.reload()
        with pytest.raises((Closed, ssl.SSLError, OSError)):
            server.device("listed").check()
        reply = Applicant(server).enrol(key, "listed")
        assert reply.status == 403 and reply.problem == "identity"
        assert server.query("SELECT count(*) FROM certificate") == [(0,)]

    def test_without_a_name(self, applicant):
        assert applicant.enrol(new_key("p256")).status == 400


class TestKnownKey:
    """A public key belongs to one device."""

    def test_by_every_way(self, est, applicant, pki, tmp_path):
        owner, key, _ = enrolled(est, tmp_path)
        name = a_name()
        factory = Applicant(est, TestFactory().factory(pki, name))
        for reply in (applicant.enrol(key, name), applicant.enrol(key, claim=(name, a_claim(est, device=name))), factory.enrol(key)):
            assert reply.status == 403 and reply.problem == "identity", reply
        assert est.query("SELECT count(*) FROM device WHERE id = ?", name) == [(0,)]

    def test_at_renewal(self, est, tmp_path):
        _, taken, _ = enrolled(est, tmp_path)
        name, _, kept = enrolled(est, tmp_path)
        reply = est.device(certificate=kept).post(f"{EST}/simplereenroll", csr(taken), headers=[("Content-Type", "application/pkcs10")])
        assert reply.status == 403 and reply.problem == "identity"
        assert est.query("SELECT pin_next FROM device WHERE id = ?", name) == [(None,)]


class TestRequests:
    """What a request may be, and what is not taken from it."""

    @pytest.mark.parametrize("kind", ["p256", "p384", "ed25519", "rsa2048"])
    def test_good_keys(self, est, applicant, tmp_path, kind):
        name, _, kept = enrolled(est, tmp_path, key=new_key(kind))
        assert whoami(est, kept).json["id"] == name

    @pytest.mark.parametrize("shape", ["pem", "one-line", "crlf", "64", "old-armour"])
    def test_base64_as_clients_send_it(self, est, applicant, shape):
        der = csr(new_key("p256"), "x", der=True)
        text = base64.b64encode(der).decode()
        lines = [text[i : i + 64] for i in range(0, len(text), 64)]
        body = {
            "pem": "-----BEGIN CERTIFICATE REQUEST-----\n" + "\n".join(lines) + "\n-----END CERTIFICATE REQUEST-----\n",
            "old-armour": "-----BEGIN NEW CERTIFICATE REQUEST-----\n" + "\n".join(lines) + "\n-----END NEW CERTIFICATE REQUEST-----\n",
            "one-line": text,
            "crlf": "\r\n".join(lines) + "\r\n",
            "64": "\n".join(lines),
        }[shape]
        name = a_name()
        certificate(applicant.send(f"{EST}/simpleenroll", body.encode(), (name, a_claim(est, device=name))))

    def bad(self, kind):
        key = new_key("p256")
        good = csr(key, "x", der=True)
        if kind == "rsa1024":
            return csr(new_key("rsa1024"), "x", der=True)
        if kind == "p192":
            return csr(ec.generate_private_key(ec.SECP192R1()), "x", der=True)
        if kind == "p521":
            return csr(new_key("p521"), "x", der=True)
        if kind == "dsa-like-exponent":
            return csr(rsa.generate_private_key(3, 2048), "x", der=True)
        if kind == "signature":
            return good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]
        if kind == "another-key":
            other = new_key("p256").public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            mine = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
            return good.replace(mine, other)
        if kind == "sha1":
            done = subprocess.run(["openssl", "req", "-new", "-sha1", "-newkey", "rsa:2048", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x", "-outform", "DER"],
                                  capture_output=True, check=True)
            return done.stdout
        return {"tail": good + b"\0", "cut": good[:-1], "empty": b"", "zeros": bytes(200)}[kind]

    @pytest.mark.parametrize("kind", ["rsa1024", "p192", "p521", "dsa-like-exponent", "signature", "another-key", "sha1", "tail", "cut", "empty", "zeros"])
    def test_bad_requests(self, est, applicant, kind):
        name = a_name()
        claim = a_claim(est, device=name)
        reply = applicant.send(f"{EST}/simpleenroll", base64.encodebytes(self.bad(kind)), (name, claim))
        assert reply.status == 400 and reply.problem == "invalid", reply
        assert est.query("SELECT count(*) FROM device WHERE id = ?", name) == [(0,)]
        certificate(applicant.enrol(new_key("p256"), claim=(name, claim)))  # the claim is not spent by it

    @pytest.mark.parametrize("body", [b"", b"not base64 at all!", b"QUJD=QUJD"])
    def test_no_base64(self, applicant, body):
        assert applicant.send(f"{EST}/simpleenroll", body).status == 400

    def test_wrong_content_type(self, applicant):
        for kind in ("application/json", "text/plain", "application/pkcs10x"):
            assert applicant.send(f"{EST}/simpleenroll", csr(new_key("p256"), "x"), content_type=kind).status == 415
        assert applicant.post(f"{EST}/simpleenroll", csr(new_key("p256"), "x")).status == 415

    def test_too_large(self, applicant):
        assert applicant.send(f"{EST}/simpleenroll", b"A" * 16385).status == 413

    def test_wrong_method(self, applicant):
        reply = applicant.get(f"{EST}/simpleenroll")
        assert reply.status == 405 and reply.header("Allow") == "POST"

    def test_what_it_asks_for_is_not_taken(self, est, applicant, tmp_path):
        name, key = a_name(), new_key("p256")
        wishes = [
            x509.BasicConstraints(ca=True, path_length=None),
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier("urn:pawl:device:somebody-else"), x509.UniformResourceIdentifier("urn:pawl:admin:root"),
                                         x509.DNSName("localhost")]),
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE]),
            x509.KeyUsage(True, True, True, True, True, True, True, True, True),
        ]
        found = certificate(applicant.enrol(key, "somebody-else", claim=(name, a_claim(est, device=name)), extensions=wishes))
        kept = keep(tmp_path, name, found, key)
        text = subprocess.run(["openssl", "x509", "-in", kept.cert, "-noout", "-text"], capture_output=True, text=True, check=True).stdout
        assert "CA:FALSE" in text and "CA:TRUE" not in text
        assert "somebody-else" not in text and "urn:pawl:admin" not in text and "localhost" not in text
        assert f"URI:urn:pawl:device:{name}" in text
        usage = text.split("X509v3 Key Usage: critical\n")[1].split("\n")[0].strip()
        extended = text.split("X509v3 Extended Key Usage: \n")[1].split("\n")[0].strip()
        assert usage == "Digital Signature" and extended == "TLS Web Client Authentication"
        assert "ecdsa-with-SHA256" in text and "Version: 3" in text


class TestRenewal:
    def post(self, client, key, name=""):
        return client.post(f"{EST}/simplereenroll", csr(key, name), headers=[("Content-Type", "application/pkcs10")])

    def test_a_new_key_beside_the_old_one(self, est, tmp_path):
        name, _, old = enrolled(est, tmp_path)
        client, key = est.device(certificate=old), new_key("p256")
        found = certificate(self.post(client, key, "ignored"))
        assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == name
        assert certificate(self.post(client, key)) == found  # a lost reply
        assert client.get("/whoami").status == 200  # the old one is still good
        fresh = keep(tmp_path / "new", name, found, key)
        assert whoami(est, fresh).json["spki_sha256"] == pin(key)
        reply = client.get("/whoami")
        assert reply.status == 403 and reply.problem == "identity"
        assert est.operator().ok("GET", f"/api/v1/certificates?device={name}")["items"][1]["way"] == "renewal"

    def test_first_use_of_the_new_key_renews_again(self, est, tmp_path):
        """The very first request with a new key may be the next renewal."""
        name, _, old = enrolled(est, tmp_path)
        second, third = new_key("p256"), new_key("p256")
        fresh = keep(tmp_path / "2", name, certificate(self.post(est.device(certificate=old), second)), second)
        newest = keep(tmp_path / "3", name, certificate(self.post(est.device(certificate=fresh), third)), third)
        assert whoami(est, old).problem == "identity"
        assert whoami(est, fresh).status == 200 and whoami(est, newest).status == 200
        assert whoami(est, fresh).problem == "identity"

    def test_sixteen_a_day(self, est, tmp_path):
        """A device that goes mad does not fill the disk."""
        name, _, kept = enrolled(est, tmp_path)
        client = est.device(certificate=kept)
        statuses = [self.post(client, new_key("p256")).status for _ in range(16)]
        assert statuses == [200] * 15 + [429]
        assert est.query("SELECT count(*) FROM certificate WHERE device = ?", name) == [(16,)]

    def test_on_the_enrolment_listener(self, est, tmp_path):
        name, key, kept = enrolled(est, tmp_path)
        found = certificate(Applicant(est, kept).renew(key))
        assert keep(tmp_path / "again", name, found, key).spki_sha256 == pin(key)

    def test_without_a_certificate(self, applicant):
        reply = applicant.renew(new_key("p256"), "x")
        assert reply.status == 401

    def test_pending_and_unknown(self, est, pki, tmp_path):
        """A good certificate that was not issued here: unknown at the enrolment listener, pending at the device's."""
        name = a_name()
        kept = pki.device(name)
        reply = Applicant(est, kept).renew(new_key("p256"))
        assert reply.status == 403 and reply.problem == "identity"
        assert est.query("SELECT count(*) FROM device WHERE id = ?", name) == [(0,)]
        reply = self.post(est.device(certificate=kept), new_key("p256"))
        assert reply.status == 403 and reply.problem == "device-pending"

    def test_revoked(self, est, tmp_path):
        name, key, kept = enrolled(est, tmp_path)
        client = Applicant(est, kept)
        certificate(client.renew(key))
        est.operator().ok("POST", f"/api/v1/devices/{name}/revoke")
        with pytest.raises((Closed, ssl.SSLError, OSError)):
            assert client.renew(key).status == 403
            Applicant(est, kept).renew(key)


class TestExpired:
    """A device that was switched off for long: its certificate is made by hand, signed by the same CA."""

    def aged(self, est, pki, name, key, days):
        now = datetime.datetime.utcnow()
        return pki.strange(f"aged-{name}-{days}", key=key, uris=[f"urn:pawl:device:{name}"], begins=now - datetime.timedelta(days=days + 90),
                           ends=now - datetime.timedelta(days=days))

    def test_within_a_year(self, est, pki, tmp_path):
        name, key, _ = enrolled(est, tmp_path)
        old = self.aged(est, pki, name, key, 300)
        with pytest.raises((Closed, ssl.SSLError, OSError)):  # not on the device listener
            est.device(certificate=old).get("/whoami")
        client = Applicant(est, old)
        another = client.renew(new_key("p256"))
        assert another.status == 403 and another.problem == "identity"
        found = certificate(client.renew(key))
        assert found.not_valid_after > datetime.datetime.utcnow()
        assert whoami(est, keep(tmp_path / "new", name, found, key)).status == 200

    def test_too_long_ago(self, est, pki, tmp_path):
        name, key, _ = enrolled(est, tmp_path)
        reply = Applicant(est, self.aged(est, pki, name, key, 366)).renew(key)
        assert reply.status == 403 and reply.problem == "identity" and "too long ago" in reply.json["detail"]

    def test_another_key_than_the_devices(self, est, pki, tmp_path):
        name, _, _ = enrolled(est, tmp_path)
        stolen = new_key("p256")
        reply = Applicant(est, self.aged(est, pki, name, stolen, 10)).renew(stolen)
        assert reply.status == 403 and reply.problem == "identity"

    def test_unknown_device(self, est, pki):
        name, key = a_name(), new_key("p256")
        reply = Applicant(est, self.aged(est, pki, name, key, 10)).renew(key)
        assert reply.status == 403 and reply.problem == "identity"
        assert est.query("SELECT count(*) FROM device WHERE id = ?", name) == [(0,)]

    def test_only_the_time_is_ignored(self, est, pki):
        now = datetime.datetime.utcnow()
        name = a_name()
        make_ca(pki, "stranger-ca")
        for fault, options in {"issuer": {"issuer": "stranger-ca"}, "eku": {"eku": (ExtendedKeyUsageOID.SERVER_AUTH,)}, "ca": {"basic": True}}.items():
            shown = pki.strange(f"aged-{fault}", uris=[f"urn:pawl:device:{name}"], begins=now - datetime.timedelta(days=99), ends=now - datetime.timedelta(days=9),
                                **options)
            with pytest.raises((Closed, ssl.SSLError, OSError)):
                Applicant(est, shown).get(f"{EST}/cacerts")

    def test_expired_open_enrolment(self, new_server, pki, tmp_path):
        """Who has nothing but the key gets the certificate that is valid, never the next one."""
        server = new_server(issuing(pki, tmp_path / "ca"))
        name, key = "short", new_key("p256")
        client = Applicant(server)
        assert client.enrol(key, name).status == 202
        server.operator().ok("POST", f"/api/v1/devices/{name}/accept")
        certificate(client.enrol(key, name))
        connection = sqlite3.connect(server.database_path, timeout=20)
        connection.execute("UPDATE certificate SET not_after = issued_at - 1, issued_at = issued_at - 7200")
        connection.commit()
        connection.close()
        reply = client.enrol(key, name)
        assert reply.status == 403 and "simplereenroll" in reply.json["detail"]


class TestIssuing:
    def test_without_a_ca_key(self, new_server, tmp_path):
        server = new_server({"listen": {"enrol": "127.0.0.1:0"}})
        client = Applicant(server)
        assert client.get(f"{EST}/cacerts").status == 200
        for reply in (client.enrol(new_key("p256"), "x"), client.enrol(new_key("p256"), claim=("x", a_claim(server, device="x")))):
            assert reply.status == 501 and reply.problem == "not-implemented" and "ca_key" in reply.json["detail"]
        assert server.query("SELECT count(*) FROM device") == [(0,)]
        server.device("dev-x").get("/whoami")  # it verifies
        server.operator().ok("POST", "/api/v1/devices/dev-x/accept")
        assert server.device("dev-x").post(f"{EST}/simplereenroll", csr(new_key("p256")), headers=[("Content-Type", "application/pkcs10")]).status == 501

    def test_off_by_default(self, server):
        assert server.enrol_port is None

    @pytest.mark.parametrize("fault,words", [("not-encrypted", "not an encrypted private key"), ("readable", "open to others"), ("passphrase", "passphrase"),
                                             ("other-ca", "none of those"), ("half", "belong together"), ("factory-is-device", "share a CA")])
    def test_refused_at_start(self, new_server, pki, tmp_path, fault, words):
        from lib.est import write_key

        config = issuing(pki, tmp_path)
        enrolment = config["enrolment"]
        if fault == "not-encrypted":
            enrolment["ca_key"] = pki.folder / "device-ca.key"
        elif fault == "readable":
            enrolment["ca_key"].chmod(0o640)
        elif fault == "passphrase":
            key = serialization.load_pem_private_key((pki.folder / "device-ca.key").read_bytes(), None)
            enrolment["ca_key"] = write_key(tmp_path / "other.key", key, "another passphrase")
        elif fault == "other-ca":
            enrolment["ca_certificate"] = make_ca(pki, "stranger-ca")
        elif fault == "half":
            del enrolment["ca_certificate"]
        else:
            enrolment["factory_ca"] = pki.device_ca
        server = new_server(start=False)
        server.write_config(config)
        done = server.run("check-config", check=False)
        assert done.returncode != 0 and words in done.stderr, done.stderr
        done = server.run("serve", check=False)
        assert done.returncode != 0 and words in done.stderr, done.stderr

    def test_killed_after_the_reply(self, new_server, pki, tmp_path):
        """What was answered is there after kill -9."""
        server = new_server(issuing(pki, tmp_path))
        client, serials = Applicant(server), []
        for i in range(5):
            found = certificate(client.enrol(new_key("p256"), claim=(f"k-{i}", a_claim(server, device=f"k-{i}"))))
            serials.append(f"{found.serial_number:032x}")
        server.kill()
        server.start()
        assert sorted(serials) == sorted(item["serial"] for item in server.operator().pages("/api/v1/certificates"))

    def test_a_new_ca_on_sighup(self, new_server, pki, tmp_path):
        """Roll-over: old and new side by side, the new one issues."""
        import shutil
        import signal

        from lib.agent import wait_until
        from lib.est import write_key

        config = issuing(pki, tmp_path)
        both = tmp_path / "device-cas.pem"
        issuer = tmp_path / "issuer.pem"
        shutil.copy(pki.device_ca, both)
        shutil.copy(pki.device_ca, issuer)
        config["tls"] = {"device_ca": both}
        config["enrolment"]["ca_certificate"] = issuer
        server = new_server(config)
        name, key, kept = enrolled(server, tmp_path)
        fresh = make_ca(pki, "next-device-ca")
        both.write_bytes(pki.device_ca.read_bytes() + fresh.read_bytes())
        shutil.copy(fresh, issuer)
        write_key(config["enrolment"]["ca_key"], serialization.load_pem_private_key((pki.folder / "next-device-ca.key").read_bytes(), None),
                  "only the server knows this one")
        server.process.send_signal(signal.SIGHUP)
        assert wait_until(lambda: "certificates reloaded" in server.log())
        assert len(certificates(Applicant(server).get(f"{EST}/cacerts").body)) == 2
        second = new_key("p256")
        found = certificate(server.device(certificate=kept).post(f"{EST}/simplereenroll", csr(second), headers=[("Content-Type", "application/pkcs10")]))
        assert found.issuer.rfc4514_string() == "CN=next-device-ca"
        assert whoami(server, keep(tmp_path / "new", name, found, second)).status == 200


class TestThrottle:
    def test_guessing_at_claims(self, new_server, pki, tmp_path):
        server = new_server({**issuing(pki, tmp_path), "limits": {"auth_failures": 5}})
        client, body = Applicant(server), csr(new_key("p256"))
        statuses = [client.send(f"{EST}/simpleenroll", body, ("x", "pawlclaim_0123456789ab_" + "A" * 43)).status for _ in range(8)]
        assert statuses == [401] * 5 + [429] * 3
        # A right claim is still taken, and another address is not concerned.
        certificate(client.enrol(new_key("p256"), claim=("y", a_claim(server, device="y"))))
        assert Applicant(server, source="127.0.0.2").send(f"{EST}/simpleenroll", body, ("x", "no")).status == 401

    def test_ten_thousand_requests_in_a_row(self, new_server, pki, tmp_path):
        """From one address: all but the first few are refused before anything is looked at; devices and applicants from elsewhere do not notice."""
        server = new_server({**issuing(pki, tmp_path, requests=100), "limits": {"connections_per_address": 100}})
        name, _, kept = enrolled(server, tmp_path)
        device = server.device(certificate=kept, source="127.0.0.3")
        assert device.get("/whoami").status == 200
        one = csr(new_key("p256"), "flood")
        request = (f"POST {EST}/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\nContent-Length: {len(one)}\r\n\r\n").encode() + one
        seen, errors = {}, []
        lock = threading.Lock()

        def flood(count):
            try:
                client = Applicant(server, source="127.0.0.2")
                counts = {}
                with client.connect() as connection:
                    for _ in range(count):
                        connection.send(request)
                        reply = connection.read_reply("POST")
                        counts[reply.status] = counts.get(reply.status, 0) + 1
                with lock:
                    for status, number in counts.items():
                        seen[status] = seen.get(status, 0) + number
            except Exception as error:  # noqa: BLE001 - shown below
                errors.append(error)

        begin = time.monotonic()
        threads = [threading.Thread(target=flood, args=(2500,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        slowest = 0.0
        while any(thread.is_alive() for thread in threads):
            before = time.monotonic()
            assert device.get("/whoami").status == 200
            slowest = max(slowest, time.monotonic() - before)
            time.sleep(0.05)
        assert not errors, errors[0]
        took = time.monotonic() - begin
        assert sum(seen.values()) == 10000 and set(seen) == {202, 429}, seen
        # A hundred a minute; on a slow machine one window may end and another begin.
        assert seen[202] <= 100 * (int(took) // 60 + 2), seen
        assert slowest < 5, slowest
        elsewhere = Applicant(server, source="127.0.0.4")
        certificate(elsewhere.enrol(new_key("p256"), claim=("calm", a_claim(server, device="calm"))))
        flooded = Applicant(server, source="127.0.0.2").get(f"{EST}/cacerts")
        assert flooded.status == 429 and flooded.header("Retry-After") == "60"


class TestRevoke:
    """One certificate is taken away: its key is its device's no more (pawl certificates)."""

    def test_the_only_key(self, est, applicant, tmp_path):
        name, key = a_name(), new_key("p256")
        found = certificate(applicant.enrol(key, claim=(name, a_claim(est, device=name))))
        device = est.device(certificate=keep(tmp_path, name, found, key))
        listed = est.pawl("certificates", "list", "--device", name)
        serial = next(row.split()[0] for row in listed.stdout.splitlines() if name in row)
        assert name in est.pawl("certificates", "show", serial).stdout
        with device.connect() as connection:
            assert device.get("/whoami", connection=connection).status == 200
            assert serial in est.pawl("certificates", "revoke", serial, "--reason", "lost").stdout
            connection.seconds_until_closed(20)
        assert est.operator().device(name)["state"] == "revoked"
        assert est.operator().post(f"/api/v1/certificates/{serial}/revoke").status == 409
        assert est.operator().post("/api/v1/certificates/00/revoke").status == 404
        assert any(row["action"] == "certificate.revoke" for row in est.operator().pages("/api/v1/audit", limit=1000))
        assert serial not in est.pawl("certificates", "list", "--device", name, "--in-use").stdout

    def test_one_of_two_keys(self, est, applicant, tmp_path):
        """A renewal has brought a second key: whichever is taken away, the device goes on with the other."""
        for takes_new in (False, True):
            name, old = a_name(), new_key("p256")
            first = certificate(applicant.enrol(old, claim=(name, a_claim(est, device=name))))
            shown = keep(tmp_path, name, first, old)
            fresh = new_key("p256")
            second = certificate(Applicant(est, shown).renew(fresh))
            renewed = keep(tmp_path / "renewed", name, second, fresh)
            gone, stays = (renewed, shown) if takes_new else (shown, renewed)
            rows = est.operator().pages(f"/api/v1/certificates?device={name}")
            serial = next(row["serial"] for row in rows if row["spki_sha256"] == gone.spki_sha256)
            est.operator().ok("POST", f"/api/v1/certificates/{serial}/revoke", {"reason": "leaked"})
            assert est.operator().device(name)["state"] == "active"
            assert est.operator().device(name)["pins"] == [stays.spki_sha256]
            assert est.device(certificate=stays).get("/whoami").status == 200
            assert est.device(certificate=gone).get("/whoami").problem == "identity"
