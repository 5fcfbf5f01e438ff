"""A DDI client seen from the wire: the resources of one device, links followed as a client would."""

import json
import urllib.parse

from .firmware import UBOOT_ARM, UBOOT_ARM64

HARDWARE = "qemu-arm"


def feedback(execution, finished="none", details=(), progress=None, action=None, **more):
    result = {"finished": finished}
    if progress:
        result["progress"] = {"cnt": progress[0], "of": progress[1]}
    body = {"time": "20261122T060252", "status": {"result": result, "execution": execution, "details": list(details)}, **more}
    if action is not None:
        body["id"] = action
    return body


def compact(body):
    """Without a space, as json-glib, Gson and Zephyr's encoder write."""
    return json.dumps(body, separators=(",", ":")).encode()


class DdiClient:
    """device: a lib.device.Device."""

    def __init__(self, device, name, tenant="DEFAULT"):
        self.device = device
        self.name = name
        self.base = f"/{tenant}/controller/v1/{name}"

    def get(self, path="", **options):
        return self.device.get(self.base + path, **options)

    def poll(self, **options):
        reply = self.get(**options)
        assert reply.status == 200, f"poll: {reply}"
        return reply.json

    def links(self, **options):
        return {name: link["href"] for name, link in self.poll(**options)["_links"].items()}

    def follow(self, href, **options):
        """GET of a link, as it stands."""
        return self.device.get(urllib.parse.urlsplit(href).path, **options)

    def action(self):
        """The id of the action that the poll offers; None: none."""
        link = self.links().get("deploymentBase")
        return link and int(link.rsplit("/", 1)[1])

    def fetch(self):
        """The action that the poll offers, read."""
        reply = self.follow(self.links()["deploymentBase"])
        assert reply.status == 200, reply
        return reply.json

    def config(self, data=None, mode=None, raw=None, **more):
        body = raw if raw is not None else {"data": data or {}, **({"mode": mode} if mode else {}), **more}
        return self.device.put(self.base + "/configData", body)

    def say(self, action, *arguments, **options):
        return self.post(action, feedback(*arguments, action=action, **options))

    def post(self, action, body, kind="deploymentBase"):
        data = body if isinstance(body, bytes) else compact(body)
        return self.device.post(f"{self.base}/{kind}/{action}/feedback", data, headers=[("Content-Type", "application/json")])

    def answer(self, action, *arguments, **options):
        """To a cancel."""
        return self.post(action, feedback(*arguments, action=action, **options), kind="cancelAction")


class Fleet:
    """A product with releases 1.0.0 and 1.1.0, and devices of it. policy: rollout offers nothing by itself."""

    def __init__(self, server, product="gw", releases=(("1.0.0", UBOOT_ARM), ("1.1.0", UBOOT_ARM64)), policy="rollout", tenant="DEFAULT"):
        self.server = server
        self.admin = server.operator()
        self.product = product
        self.tenant = tenant
        self.count = 0
        self.admin.ok("POST", "/api/v1/products", {"id": product, "policy": policy})
        for version, image in releases:
            server.publish(image, product, version, (HARDWARE,))

    def device(self, name):
        """The device listener with a certificate of this name."""
        return self.server.device(name, self.server.pki.strange(name, uris=[f"urn:pawl:device:{name}"]))

    def client(self, name=None, tenant=None):
        """A new device in the registry that has polled nothing yet."""
        self.count += 1
        name = name or f"{self.product}-{self.count}"
        self.admin.ok("POST", "/api/v1/devices", {"id": name, "product": self.product, "hardware": HARDWARE})
        return DdiClient(self.device(name), name, tenant or self.tenant)

    def stranger(self, name):
        """One that nobody has told of."""
        return DdiClient(self.device(name), name, self.tenant)

    def offered(self, version="1.1.0", name=None):
        """A new device with an assigned deployment, fetched: (client, action id)."""
        client = self.client(name)
        reply = self.admin.assign(client.name, version)
        assert reply.status == 201, reply
        return client, int(client.fetch()["id"])

    def deployment(self, action):
        return self.admin.ok("GET", f"/api/v1/deployments/{action}")

    def state(self, action):
        return self.deployment(action)["state"]
