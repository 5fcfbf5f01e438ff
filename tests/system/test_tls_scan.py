"""sslscan with a client certificate against every listener: nothing but what the design names. (testssl.sh takes minutes: tools/scan.)"""

import subprocess
import xml.etree.ElementTree as xml

import pytest

from lib.est import issuing

SUITES = {
    "TLSv1.3": {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256"},
    "TLSv1.2": {"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-CHACHA20-POLY1305"},
}
GROUPS = {"x25519", "secp256r1 (NIST P-256)", "secp384r1 (NIST P-384)"}


@pytest.fixture(scope="module")
def scanned(servers, pki, tmp_path_factory):
    return servers(issuing(pki, tmp_path_factory.mktemp("issuing"), auto_accept="yes"))


@pytest.mark.parametrize("listener", ["device", "enrol", "admin"])
def test_sslscan(scanned, pki, tmp_path, listener):
    shown = pki.admin("scan") if listener == "admin" else pki.device("scan-1")
    port = getattr(scanned, f"{listener}_port")
    out = tmp_path / "scan.xml"
    subprocess.run(["sslscan", f"--certs={shown.cert}", f"--pk={shown.key}", f"--xml={out}", f"127.0.0.1:{port}"], check=True, capture_output=True, timeout=300)
    found = xml.parse(out).getroot().find("ssltest")
    enabled = {(row.get("type"), row.get("version")) for row in found.iter("protocol") if row.get("enabled") == "1"}
    assert enabled == {("tls", "1.2"), ("tls", "1.3")}
    suites = {}
    for row in found.iter("cipher"):
        suites.setdefault(row.get("sslversion"), set()).add(row.get("cipher"))
        assert row.get("strength") in ("strong", "acceptable") and int(row.get("bits")) >= 128
    assert suites == SUITES
    assert {row.get("name") for row in found.iter("group")} <= GROUPS
    assert all(row.get("vulnerable") == "0" for row in found.iter("heartbleed"))
    assert all(row.get("supported") == "0" for row in found.iter("renegotiation"))
    assert all(row.get("supported") == "0" for row in found.iter("compression"))
    certificate = found.find("certificates/certificate")
    assert certificate.findtext("signature-algorithm") == "ecdsa-with-SHA256" and certificate.findtext("expired") == "false"
