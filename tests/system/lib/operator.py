"""An operator seen from the wire: a bearer token and plain HTTP."""

import hashlib
import pathlib

from .wire import Client, context


class Operator(Client):
    def __init__(self, server, token, source=None, certificate=None):
        tls = context(server.pki.server_ca, certificate and certificate.cert, certificate and certificate.key)
        headers = [("Authorization", f"Bearer {token}")] if token else []
        super().__init__(lambda: server.admin_port, tls, server.contract, headers, source)
        self.server = server

    def ok(self, method, path, body=None, **options):
        reply = self.request(method, path, body, **options)
        assert 200 <= reply.status < 300, f"{method} {path}: {reply}"
        return reply.json if reply.body else None

    def token_with(self, *scopes, **fields):
        """The secret of a new token."""
        return self.ok("POST", "/api/v1/tokens", {"scopes": list(scopes), **fields})["secret"]

    def upload(self, data, sha256=None, **options):
        if isinstance(data, pathlib.Path):
            data = data.read_bytes()
        sha256 = sha256 or hashlib.sha256(data).hexdigest()
        headers = [("Content-Type", "application/octet-stream")] + options.pop("headers", [])
        return self.put(f"/api/v1/images/{sha256}", data, headers=headers, **options)

    def publish_files(self, files, signatures=(), **options):
        """POST /api/v1/releases with {"targets": bytes, "snapshot": bytes}; signatures: [(sha256, DER bytes)]."""
        from .tuf import b64

        body = {name: b64(data) for name, data in files.items()}
        if signatures:
            body["signatures"] = [{"sha256": digest, "signature": b64(signature)} for digest, signature in signatures]
        return self.post("/api/v1/releases", body, **options)

    def assign(self, device, version, product=None, **options):
        body = {"device": device, "version": version}
        if product:
            body["product"] = product
        return self.post("/api/v1/deployments", body, **options)

    def device(self, device_id):
        return self.ok("GET", f"/api/v1/devices/{device_id}")

    def events(self, **filters):
        import urllib.parse

        return self.ok("GET", "/api/v1/events?" + urllib.parse.urlencode({"limit": 1000, **filters}))["items"]

    def pages(self, path, limit=100):
        """All items of a list, page by page."""
        items, cursor = [], None
        while True:
            joint = "&" if "?" in path else "?"
            page = self.ok("GET", f"{path}{joint}limit={limit}" + (f"&cursor={cursor}" if cursor else ""))
            items += page["items"]
            cursor = page["next"]
            if not cursor:
                return items
