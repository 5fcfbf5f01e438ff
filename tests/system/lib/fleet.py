"""Many simulated devices of one product, each with a certificate of its own."""

from .wait import wait_for

HARDWARE = "qemu-arm"


class Fleet:
    def __init__(self, server, product, count):
        self.server, self.product = server, product
        self.installed = {}  # {id: (version, sequence)}
        self.ids = []
        self.add(count)

    def add(self, count):
        """So many more, seen for the first time now."""
        made = [f"{self.product}-{number:03}" for number in range(len(self.ids), len(self.ids) + count)]
        for name in made:
            assert self.device(name).check(**self.query(name)).status in (200, 204)
        self.ids += made
        return made

    def query(self, name):
        version, sequence = self.installed.get(name, ("0.0.1", 0))
        return {"product": self.product, "hardware": HARDWARE, "version": version, "sequence": sequence}

    def device(self, name):
        path = self.server.pki.folder / "devices" / f"{name}.pem"
        certificate = (type(self.server.pki.server)(path, path.with_suffix(".key")) if path.exists()
                       else self.server.pki.strange(name, uris=[f"urn:pawl:device:{name}"], common_name=name))
        return self.server.device(name, certificate)

    def poll(self, ids=None):
        """{id: deployment} of those that are told to install something."""
        told = {}
        for name in self.ids if ids is None else ids:
            signed = self.device(name).directive(**self.query(name))
            if signed["action"] == "install":
                told[name] = signed["deployment"]
        return told

    def told(self, count, ids=None):
        """The same, once they are so many: a phase that opens in the middle of a poll is seen by those that come later only."""

        def all_of_them():
            told = self.poll(ids)
            assert len(told) <= count
            return len(told) == count and told

        return wait_for(all_of_them)

    def confirm(self, told, version, sequence):
        for name, deployment in told.items():
            self.device(name).confirm(deployment, version, sequence)
            self.installed[name] = (version, sequence)

    def fail(self, told):
        for name, deployment in told.items():
            assert self.device(name).report(deployment, 1, "failed", error={"code": "E_SELFTEST"}).status == 200
