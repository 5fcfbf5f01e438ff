"""Certificates: good ones and some faults by certs/dev-pki.sh, the stranger ones made here."""

import datetime
import hashlib
import os
import pathlib
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .paths import ROOT


class Certificate:
    def __init__(self, cert, key):
        self.cert = pathlib.Path(cert)
        self.key = pathlib.Path(key)

    @property
    def x509(self):
        return x509.load_pem_x509_certificate(self.cert.read_bytes())

    @property
    def spki_sha256(self):
        spki = self.x509.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return hashlib.sha256(spki).hexdigest()


class Pki:
    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.script()

    def script(self, *arguments):
        done = subprocess.run([str(ROOT / "certs" / "dev-pki.sh"), str(self.folder), *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"dev-pki.sh {arguments}: {done.stderr}"

    server_ca = property(lambda self: self.folder / "server-ca.pem")
    device_ca = property(lambda self: self.folder / "device-ca.pem")
    admin_ca = property(lambda self: self.folder / "admin-ca.pem")
    server = property(lambda self: Certificate(self.folder / "server.pem", self.folder / "server.key"))

    def device(self, device_id, *fault):
        """fault: "--expired", "--foreign", ("--eku", "server") … as dev-pki.sh --help names them."""
        name = device_id + "".join("." + part.lstrip("-") for part in fault).replace(".eku.server", ".eku-server")
        cert = self.folder / "devices" / f"{name}.pem"
        if not cert.exists():
            self.script("--device", device_id, *fault)
        key = self.folder / "devices" / (f"{device_id}.new-key.key" if "--new-key" in fault else f"{device_id}.key")
        return Certificate(cert, key)

    def admin(self, name):
        cert = self.folder / "admins" / f"{name}.pem"
        if not cert.exists():
            self.script("--admin", name)
        return Certificate(cert, cert.with_suffix(".key"))

    def crl(self, path, revoked=(), issuer="device-ca", days=1.0):
        """Writes a revocation list of that CA over these certificates; replaced in one step, as a careful administrator does. days < 0: past its next update."""
        authority = x509.load_pem_x509_certificate((self.folder / f"{issuer}.pem").read_bytes())
        key = serialization.load_pem_private_key((self.folder / f"{issuer}.key").read_bytes(), None)
        now = datetime.datetime.utcnow()
        builder = x509.CertificateRevocationListBuilder().issuer_name(authority.subject)
        builder = builder.last_update(now - datetime.timedelta(days=2)).next_update(now + datetime.timedelta(days=days))
        for certificate in revoked:
            row = x509.RevokedCertificateBuilder().serial_number(certificate.x509.serial_number).revocation_date(now).build()
            builder = builder.add_revoked_certificate(row)
        fresh = pathlib.Path(path).with_suffix(".new")
        fresh.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        fresh.rename(path)

    def strange(self, name, key=None, begins=None, ends=None, uris=None, dns=(), eku=(ExtendedKeyUsageOID.CLIENT_AUTH,), issuer="device-ca",
                algorithm=None, common_name="strange", usage=True, basic=False):
        """A device certificate of any shape: what dev-pki.sh does not make. Names are files under devices/."""
        folder = self.folder / "devices"
        key = key or ec.generate_private_key(ec.SECP256R1())
        issuer_cert = x509.load_pem_x509_certificate((self.folder / f"{issuer}.pem").read_bytes())
        issuer_key = serialization.load_pem_private_key((self.folder / f"{issuer}.key").read_bytes(), None)
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)]))
            .issuer_name(issuer_cert.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins or now - datetime.timedelta(minutes=5))
            .not_valid_after(ends or now + datetime.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=basic, path_length=None), critical=True)
        )
        if usage:
            builder = builder.add_extension(
                x509.KeyUsage(True, False, False, False, False, False, False, False, False), critical=True)
        names = [x509.UniformResourceIdentifier(uri) for uri in (uris or [])] + [x509.DNSName(text) for text in dns]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        if eku:
            builder = builder.add_extension(x509.ExtendedKeyUsage(list(eku)), critical=False)
        cert = builder.sign(issuer_key, algorithm or hashes.SHA256())
        (folder / f"{name}.pem").write_bytes(cert.public_bytes(serialization.Encoding.PEM))
        pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        path = folder / f"{name}.key"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
        return Certificate(folder / f"{name}.pem", path)


def new_key(kind):
    return {
        "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
        "p384": lambda: ec.generate_private_key(ec.SECP384R1()),
        "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
        "rsa1024": lambda: rsa.generate_private_key(65537, 1024),
        "rsa2048": lambda: rsa.generate_private_key(65537, 2048),
    }[kind]()
