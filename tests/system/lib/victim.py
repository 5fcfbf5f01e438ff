"""A device under attack: the real pawl-agent, confirmed on release 2.0.0, and the judgement whether an attack has got anywhere."""

import datetime
import os
import re
import shutil

from .agent import Agent
from .evil import HARDWARE, PRODUCT, image
from .paths import program

CONFIRMED = image("gateway 2.0.0")
FLOOR = {"product": PRODUCT, "sequence": 2, "security_version": 1}
CODE = re.compile(r"\bcode=(E_[A-Z_]+)")


class Victim(Agent):
    """allowed: images that it may come to run besides the one that is confirmed."""

    def __init__(self, folder, world, device_id="victim", config=None, **options):
        config = {"download": {"min_rate": "1k", "min_rate_time": "1s"}, **(config or {})}
        config["server"] = {"request_timeout": "3s", **config.get("server", {})}
        super().__init__(folder, world, device_id, PRODUCT, options.pop("hardware", HARDWARE), config, **options)
        self.env_more = {}

    def env(self):
        return {**super().env(), **getattr(self, "env_more", {})}

    def grow_up(self):
        """An honest life until 2.0.0 is confirmed."""
        self.server.offer(f"{PRODUCT}/2.0.0/image.bin")
        self.settle()
        assert self.running_image() == CONFIRMED and self.state()["floors"] == [FLOOR], self.log[-3000:]
        self.server.offered = None
        self.server.reports.clear()
        self.server.requests.clear()
        return self

    def clock_says(self, moment):
        """The wall clock of the device from now on: a datetime in UTC."""
        self.env_more = {"LD_PRELOAD": program("tests/shift_clock.so"),
                         "PAWL_TEST_CLOCK_OFFSET_S": str(int((moment - datetime.datetime.utcnow()).total_seconds())),
                         "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"}

    def be_like(self, other):
        """The same past as another one of the same name."""
        shutil.copytree(other.folder / "state", self.folder / "state")
        for name in ("slot-a", "slot-b", "running", "boot-id", "events"):
            shutil.copy(other.folder / name, self.folder / name)
        (self.folder / "boot").unlink()
        (self.folder / "boot").symlink_to(self.slots[other.pointed])
        return self

    def codes(self, passes=2):
        """What the log says of some passes: the codes of all that was refused or failed."""
        found = []
        for _ in range(passes):
            done = self.once()
            found += CODE.findall(done.stderr)
        return found

    def hurt(self, *allowed):
        """What the attack achieved; empty when nothing."""
        good = (CONFIRMED, *allowed)
        harm = []
        if self.running_image() not in good:
            harm.append("bytes run that nobody signed for this device")
        if self.slots[self.pointed].read_bytes() not in good:
            harm.append("bytes will boot that nobody signed for this device")
        floor = self.state()["floors"][0]
        if floor["sequence"] < 2 or floor["security_version"] < 1:
            harm.append(f"the floor fell to {floor}")
        return harm

    def assert_refused(self, *codes, passes=2):
        """Each pass ends with one of these codes, nothing has changed, and no reboot was asked for."""
        before = self.events()
        for _ in range(passes):
            done = self.once()
            said = CODE.findall(done.stderr)
            assert done.returncode != 0 and said and said[-1] in codes, f"{said} instead of {codes}:\n{done.stderr[-3000:]}"
        assert self.hurt() == [] and self.events() == before
