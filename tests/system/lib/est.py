"""A device that enrols (EST, RFC 7030), seen from the wire; requests of any shape, and what openssl says of the answers."""

import base64
import datetime
import os
import subprocess

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.x509.oid import NameOID

from .pki import Certificate, new_key
from .server import ONLINE_PASSPHRASE
from .wire import Client, context

EST = "/.well-known/est"


def issuing(pki, folder, **enrolment):
    """What a server's configuration needs to issue: the development PKI's device CA, its key encrypted."""
    key = folder / "issuing-ca.key"
    if not key.exists():
        folder.mkdir(parents=True, exist_ok=True)
        plain = serialization.load_pem_private_key((pki.folder / "device-ca.key").read_bytes(), None)
        write_key(key, plain, ONLINE_PASSPHRASE)
    return {"listen": {"enrol": "127.0.0.1:0"},
            "enrolment": {"ca_certificate": pki.device_ca, "ca_key": key, **enrolment}}


def write_key(path, key, passphrase=None):
    encryption = serialization.BestAvailableEncryption(passphrase.encode()) if passphrase else serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(pem)
    return path


def make_ca(pki, name, days=4000):
    """folder/name.pem and .key: a CA beside those of the development PKI; ends in so many days."""
    cert = pki.folder / f"{name}.pem"
    if not cert.exists():
        key = new_key("p256")
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = datetime.datetime.utcnow()
        made = (
            x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
            .serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(days=4000))
            .not_valid_after(now + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .add_extension(x509.KeyUsage(False, False, False, False, False, True, True, False, False), critical=True)
            .sign(key, hashes.SHA256())
        )
        write_key(pki.folder / f"{name}.key", key)
        cert.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return cert


def csr(key, name="", extensions=(), algorithm=None, der=False):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    made = builder.sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else algorithm or hashes.SHA256())
    data = made.public_bytes(serialization.Encoding.DER)
    return data if der else base64.encodebytes(data)


def basic(user, password):
    return ("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())


def certificates(body):
    """The certificates of a reply, as openssl takes them out of it."""
    der = subprocess.run(["openssl", "base64", "-d"], input=body, capture_output=True, check=True).stdout
    assert der, "openssl base64 reads nothing out of the reply"
    done = subprocess.run(["openssl", "pkcs7", "-inform", "DER", "-print_certs"], input=der, capture_output=True, check=True)
    marker = b"-----BEGIN CERTIFICATE-----"
    return [x509.load_pem_x509_certificate(marker + part) for part in done.stdout.split(marker)[1:]]


def certificate(reply):
    assert reply.status == 200, reply
    assert reply.header("Content-Type").startswith("application/pkcs7-mime")
    (found,) = certificates(reply.body)
    return found


class Applicant(Client):
    """Whoever stands at the enrolment listener, with a certificate (of a factory, or an expired one) or without."""

    def __init__(self, server, shown=None, source=None, version=None):
        tls = context(server.pki.server_ca, shown and shown.cert, shown and shown.key, version)
        super().__init__(lambda: server.enrol_port, tls, server.contract, source=source)
        self.server = server

    def enrol(self, key, name="", claim=None, **options):
        return self.send(f"{EST}/simpleenroll", csr(key, name, **options), claim)

    def renew(self, key, name="", **options):
        return self.send(f"{EST}/simplereenroll", csr(key, name, **options))

    def send(self, path, body, claim=None, content_type="application/pkcs10"):
        headers = [("Content-Type", content_type)] + ([basic(*claim)] if claim else [])
        return self.post(path, body, headers=headers)


def keep(folder, name, found, key):
    """A certificate and its key as files, for a device client."""
    folder.mkdir(parents=True, exist_ok=True)
    cert = folder / f"{name}.pem"
    cert.write_bytes(found.public_bytes(serialization.Encoding.PEM))
    return Certificate(cert, write_key(folder / f"{name}.key", key))
