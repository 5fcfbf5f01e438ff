"""A simulated device that runs the real pawl-agent: two slot files, a boot pointer, hooks, and a reboot that is a script."""

import configparser
import json
import os
import pathlib
import random
import signal
import subprocess
import time

from .paths import program
from .wait import PATIENCE_S

REBOOT = """#!/bin/sh
# The boot loader: what the pointer names runs, and the boot id is another one.
set -eu
cd {folder}
case $(readlink boot) in
*slot-a) echo a >running.new ;;
*slot-b) echo b >running.new ;;
esac
mv running.new running
cat /proc/sys/kernel/random/uuid >boot-id
echo reboot >>events
"""

SELF_TEST = """#!/bin/sh
echo "self-test $(cat {folder}/running)" >>{folder}/events
exit $(cat {folder}/self-test-result)
"""


class Agent:
    def __init__(self, folder, server, device_id, product="router", hardware="qemu-arm", config=None, port=None, running=b"factory image"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.server = server
        self.device_id = device_id
        self.certificate = server.pki.device(device_id)
        self.slots = {"a": self.folder / "slot-a", "b": self.folder / "slot-b"}
        self.slots["a"].write_bytes(running)
        self.slots["b"].write_bytes(b"")
        (self.folder / "running").write_text("a\n", encoding="ascii")
        (self.folder / "boot-id").write_text("first-boot\n", encoding="ascii")
        (self.folder / "self-test-result").write_text("0\n", encoding="ascii")
        os.symlink("slot-a", self.folder / "boot")
        for name, text in (("reboot", REBOOT), ("self-test", SELF_TEST)):
            script = self.folder / name
            script.write_text(text.format(folder=self.folder), encoding="ascii")
            script.chmod(0o755)
        self.config_path = self.folder / "agent.conf"
        self.config = {
            "server": {"url": f"https://localhost:{port or server.device_port}", "ca": server.pki.server_ca},
            "device": {"certificate": self.certificate.cert, "key": self.certificate.key, "product": product, "hardware": hardware,
                       "trust_root": server.keys / "1.root.json", "state": self.folder / "state"},
            "log": {"level": "debug"},
            "poll": {"interval": "1s", "max": "1s", "splay": "0", "retry_min": "1s", "retry_max": "1s"},
            "install": {"slot_a": self.slots["a"], "slot_b": self.slots["b"], "running_file": self.folder / "running",
                        "boot_pointer": self.folder / "boot", "boot_id_file": self.folder / "boot-id"},
            "hooks": {"reboot": self.folder / "reboot", "self_test": self.folder / "self-test"},
        }
        for section, keys in (config or {}).items():
            self.config.setdefault(section, {}).update(keys)
        self.write_config()
        self.log = ""

    def write_config(self, **changes):
        """changes: section={key: value}; a value of None takes the key out."""
        for section, keys in changes.items():
            self.config.setdefault(section, {}).update(keys)
        parser = configparser.RawConfigParser()
        parser.optionxform = str
        for section, keys in self.config.items():
            parser[section] = {name: str(value) for name, value in keys.items() if value is not None}
        with open(self.config_path, "w", encoding="utf-8") as file:
            parser.write(file)

    def through(self, proxy):
        self.write_config(server={"url": f"https://localhost:{proxy.port if proxy else self.server.device_port}"})

    def env(self):
        return {name: value for name, value in os.environ.items() if not name.startswith("PAWL_")}

    def command(self, *arguments, timeout=3 * PATIENCE_S, env=None):
        done = subprocess.run([program("pawl-agent"), *arguments, "--config", str(self.config_path)], capture_output=True, text=True, check=False,
                              timeout=timeout, env=env or self.env(), stdin=subprocess.DEVNULL)
        self.log += done.stderr
        assert "AddressSanitizer" not in done.stderr and "runtime error:" not in done.stderr, done.stderr
        return done

    def once(self, **options):
        """One poll and all that follows from it until the next reboot or the end."""
        return self.command("once", **options)

    def settle(self, tries=6):
        """Runs until there is nothing more to do: what a supervisor does with `once`."""
        for _ in range(tries):
            before = self.events()
            done = self.once()
            if self.events() == before and self.trial() is None:
                return done
        raise AssertionError(f"the agent does not come to rest:\n{self.log[-4000:]}")

    def spawn(self, *arguments):
        with open(self.folder / "agent.log", "ab") as log:
            return subprocess.Popen([program("pawl-agent"), *arguments, "--config", str(self.config_path)], stdout=log, stderr=log, env=self.env(),
                                    stdin=subprocess.DEVNULL)

    def once_killed_after(self, seconds):
        """Starts one run and kills it; returns whether it was still running."""
        process = self.spawn("once")
        try:
            process.wait(timeout=seconds)
            return False
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            return True

    def random_kill(self, longest):
        return self.once_killed_after(random.uniform(0.005, longest))

    def state(self):
        """What the agent remembers; empty before its first run."""
        done = self.command("status", "--json")
        if done.returncode != 0:
            assert "no agent has run" in done.stderr, done.stderr
            return {}
        return json.loads(done.stdout)["state"]

    def trial(self):
        return self.state().get("trial")

    @property
    def running(self):
        return (self.folder / "running").read_text(encoding="ascii").strip()

    @property
    def pointed(self):
        """The slot that boots next."""
        return os.path.basename(os.readlink(self.folder / "boot"))[-1]

    def running_image(self):
        return self.slots[self.running].read_bytes()

    def events(self):
        path = self.folder / "events"
        return path.read_text(encoding="ascii").splitlines() if path.exists() else []

    def self_test_says(self, status):
        (self.folder / "self-test-result").write_text(f"{status}\n", encoding="ascii")

    def installed(self):
        return self.server.operator().device(self.device_id)["installed"]

    def downloads(self):
        """Files of the download folder; empty when nothing is under way."""
        return list((self.folder / "state" / "download").glob("*"))


def wait_until(condition, timeout=PATIENCE_S, step=0.05):
    end = time.monotonic() + timeout
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(step)
    return True
