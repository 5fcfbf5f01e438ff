"""A device seen from the wire: a certificate and plain HTTP."""

import secrets
import urllib.parse

from .wire import Client, context


class Device(Client):
    def __init__(self, server, certificate, version=None, source=None, headers=()):
        tls = context(server.pki.server_ca, certificate.cert, certificate.key, version)
        super().__init__(lambda: server.device_port, tls, server.contract, headers, source)
        self.server = server
        self.certificate = certificate

    @staticmethod
    def nonce():
        return secrets.token_hex(16)

    def check(self, product=None, hardware=None, version=None, sequence=None, nonce=True, **options):
        fields = {"product": product, "hardware": hardware, "version": version, "sequence": sequence}
        if nonce:
            fields["nonce"] = self.nonce() if nonce is True else nonce
        query = urllib.parse.urlencode({name: value for name, value in fields.items() if value is not None})
        return self.get("/check" + ("?" + query if query else ""), **options)

    def directive(self, **fields):
        """The signed part of the answer to /check."""
        reply = self.check(**fields)
        assert reply.status == 200, f"/check: {reply}"
        return reply.json["signed"]

    def report(self, deployment, report_seq, state, **fields):
        return self.post("/report", {"deployment": deployment, "report_seq": report_seq, "state": state, **fields})

    def confirm(self, deployment, version, sequence, first_seq=1):
        """What an agent reports of one release from download to confirmation."""
        states = ["downloading", "downloaded", "installing", "rebooting"]
        for number, state in enumerate(states):
            reply = self.report(deployment, first_seq + number, state)
            assert reply.status == 200, f"report {state}: {reply}"
        reply = self.report(deployment, first_seq + len(states), "confirmed", installed={"version": version, "sequence": sequence})
        assert reply.status == 200, f"report confirmed: {reply}"
        return reply
