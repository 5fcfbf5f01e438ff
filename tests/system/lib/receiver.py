"""A receiver of webhooks on loopback: TLS with a certificate of its own making, what came, and what it answers."""

import base64
import datetime
import hashlib
import hmac
import http.server
import ipaddress
import json
import ssl
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec


def make_certificate(folder, names=("localhost",), addresses=("127.0.0.1",)):
    """Self-signed, so that it is its own authority: the paths of certificate and key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver")])
    now = datetime.datetime.now(datetime.timezone.utc)
    alternatives = [x509.DNSName(each) for each in names] + [x509.IPAddress(ipaddress.ip_address(each)) for each in addresses]
    certificate = (x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=1)).not_valid_after(now + datetime.timedelta(days=30))
                   .add_extension(x509.SubjectAlternativeName(alternatives), False).add_extension(x509.BasicConstraints(True, 0), True)
                   .sign(key, hashes.SHA256()))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "receiver.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "receiver.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return folder / "receiver.pem", folder / "receiver.key"


class Message:
    def __init__(self, path, headers, body):
        self.path, self.headers, self.body = path, headers, body
        self.id = headers["webhook-id"]
        self.json = json.loads(body)
        self.event = self.json["data"]

    def verify(self, secret):
        """Standard Webhooks, from the specification: is one of the signatures by this secret?"""
        assert secret.startswith("whsec_")
        text = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        expected = "v1," + base64.b64encode(hmac.new(base64.b64decode(secret[6:]), text, hashlib.sha256).digest()).decode()
        return any(hmac.compare_digest(expected, each) for each in self.headers["webhook-signature"].split(" "))


class Receiver:
    """answer: a status for every message, or a function of the message that gives (status, headers, body)."""

    def __init__(self, folder=None, answer=204, port=0, certificate=None):
        self.messages, self.answer = [], answer
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                message = Message(self.path, self.headers, self.rfile.read(int(self.headers["Content-Length"])))
                receiver.messages.append(message)
                given = receiver.answer(message) if callable(receiver.answer) else (receiver.answer, {}, b"")
                if given is None:  # hangs up without a word
                    self.close_connection = True
                    return
                status, headers, body = given
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                try:
                    self.wfile.write(body)
                except OSError:
                    pass

            do_GET = do_POST

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            allow_reuse_address = True

            def handle_error(self, *_):
                pass

        self.server = Server(("127.0.0.1", port), Handler)
        self.certificate = certificate
        if folder is not None:
            self.certificate = certificate or make_certificate(folder)
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(*self.certificate)
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def url(self, path="/hook", host="localhost", scheme="https"):
        return f"{scheme}://{host}:{self.port}{path}"

    def of(self, kind):
        return [message for message in list(self.messages) if message.json["type"] == kind]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
