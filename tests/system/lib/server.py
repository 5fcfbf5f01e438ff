"""The real pawld on loopback: its own folder, certificates, database and ports; stopped by its own process id alone."""

import configparser
import contextlib
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import time

from .device import Device
from .operator import Operator
from .paths import program
from .tuf import load_key
from .wait import PATIENCE_S

READY_WITHIN_S = PATIENCE_S
TOKEN = re.compile(r"pawl_[A-Za-z0-9]+_[A-Za-z0-9_-]{43}")
PASSPHRASE = "correct horse battery staple"
ONLINE_PASSPHRASE = "only the server knows this one"


class ReleaseKeys:
    """`pawl keys init` once; each server gets its own copy, so that what was published for one is not remembered for another."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.parent.mkdir(parents=True, exist_ok=True)
        self.passphrase_file = self.folder.parent / "passphrase"
        self.online_passphrase_file = self.folder.parent / "online-passphrase"
        write_secret(self.passphrase_file, PASSPHRASE + "\n")
        write_secret(self.online_passphrase_file, ONLINE_PASSPHRASE + "\n")
        run_pawl("keys", "init", self.folder, "--passphrase-file", self.passphrase_file, "--online-passphrase-file", self.online_passphrase_file)

    def copy(self, folder):
        shutil.copytree(self.folder, folder)
        return folder


def write_secret(path, text):
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)


def run_pawl(*arguments, check=True, **options):
    options.setdefault("timeout", 120)
    done = subprocess.run([program("pawl"), *map(str, arguments)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **options)
    if check:
        assert done.returncode == 0, f"pawl {' '.join(map(str, arguments))}: exit {done.returncode}\n{done.stdout}{done.stderr}"
    return done


class Server:
    def __init__(self, folder, pki, keys, contract, config=None, environment=None, root=None):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pki = pki
        self.contract = contract
        self.keys = keys.copy(self.folder / "keys")
        self.passphrase_file = keys.passphrase_file
        self.online_passphrase_file = keys.online_passphrase_file
        self.data = self.folder / "data"
        self.log_path = self.folder / "pawld.log"
        self.config_path = self.folder / "pawld.conf"
        self.environment = dict(environment or {})
        self.process = None
        self.device_port = self.enrol_port = self.token_port = self.admin_port = None
        self.clients = {}
        self.write_config(config or {})
        if root:  # a root of the test's own making, from the online keys
            online = {name: load_key(self.keys / "online" / f"{name}.pem", ONLINE_PASSPHRASE) for name in ("timestamp", "directive")}
            (self.keys / "1.root.json").write_bytes(root(online))
        done = self.run("init", "--root", str(self.keys / "1.root.json"), "--online-keys", str(self.keys / "online"))
        found = TOKEN.search(done.stdout)
        assert found, f"pawld init printed no token: {done.stdout}{done.stderr}"
        self.token = found.group(0)
        self.token_file = self.folder / "token"
        write_secret(self.token_file, self.token + "\n")

    def settings(self):
        """The smallest configuration that serves; tests lay their own over it."""
        return {
            "listen": {"device": "127.0.0.1:0", "admin": "127.0.0.1:0"},
            "tls": {"certificate": self.pki.server.cert, "key": self.pki.server.key, "device_ca": self.pki.device_ca, "admin_ca": self.pki.admin_ca},
            "store": {"data": self.data},
            "trust": {
                "timestamp_key": self.folder / "online" / "timestamp.pem",
                "directive_key": self.folder / "online" / "directive.pem",
                "audit_key": self.folder / "online" / "audit.pem",
                "passphrase_file": self.online_passphrase_file,
            },
        }

    def write_config(self, changes):
        settings = {section: dict(keys) for section, keys in self.settings().items()}
        for section, keys in changes.items():
            settings.setdefault(section, {}).update(keys)
        parser = configparser.RawConfigParser()
        parser.optionxform = str
        for section, keys in settings.items():
            parser[section] = {name: str(value) for name, value in keys.items() if value is not None}
        with open(self.config_path, "w", encoding="utf-8") as file:
            parser.write(file)

    def env(self):
        return {**{k: v for k, v in os.environ.items() if not k.startswith("PAWL_")}, **self.environment}

    def run(self, command, *arguments, check=True):
        done = subprocess.run([program("pawld"), command, "--config", str(self.config_path), *arguments], capture_output=True, text=True, env=self.env(),
                              timeout=2 * PATIENCE_S, check=False, stdin=subprocess.DEVNULL)
        if check:
            assert done.returncode == 0, f"pawld {command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def start(self):
        begin = self.log_path.stat().st_size if self.log_path.exists() else 0
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([program("pawld"), "serve", "--config", str(self.config_path)], stdout=log, stderr=log, env=self.env(),
                                            stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            text = self.log_path.read_bytes()[begin:].decode(errors="replace")
            ready = next((line for line in text.splitlines() if "ready" in line and "device=" in line), None)
            if ready:
                break
            if self.process.poll() is not None:
                text = self.log_path.read_bytes()[begin:].decode(errors="replace")  # what it said last
                raise AssertionError(f"pawld ended with {self.process.returncode} before it was ready:\n{text}")
            if time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"pawld was not ready within {READY_WITHIN_S} s:\n{text}")
            time.sleep(0.01)
        self.device_port = int(re.search(r"\bdevice=\S+:(\d+)", ready).group(1))
        self.admin_port = int(re.search(r"\badmin=\S+:(\d+)", ready).group(1))
        enrol = re.search(r"\benrol=\S+:(\d+)", ready)
        self.enrol_port = int(enrol.group(1)) if enrol else None
        token = re.search(r"\btoken=\S+:(\d+)", ready)
        self.token_port = int(token.group(1)) if token else None
        return self

    @property
    def pid(self):
        return self.process.pid

    def alive(self):
        return self.process is not None and self.process.poll() is None

    def stop(self):
        """SIGTERM and a clean end: a sanitizer's report or a leak shows in the exit code."""
        for client in self.clients.values():
            client.close()
        if not self.alive():
            return
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(timeout=PATIENCE_S)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)
            self.process.wait(timeout=10)
            raise AssertionError(f"pawld did not end within {PATIENCE_S} s of SIGTERM") from None
        assert code == 0, f"pawld ended with {code}:\n{self.log()[-4000:]}"

    def reload(self, expect="certificates reloaded"):
        """SIGHUP, and what the log says about it."""
        begin = self.log_path.stat().st_size
        self.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + READY_WITHIN_S
        while True:
            text = self.log_path.read_bytes()[begin:].decode(errors="replace")
            line = next((line for line in text.splitlines() if "reloaded" in line), None)
            if line:
                assert expect in line, line
                return line
            assert time.monotonic() < deadline, f"nothing said after SIGHUP: {text}"
            time.sleep(0.005)

    def kill(self):
        """kill -9; no drain, no flush."""
        if self.alive():
            self.process.kill()
            self.process.wait()
        for client in self.clients.values():
            client.close()

    def restart(self):
        self.stop()
        return self.start()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def open_files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def device(self, device_id="dev-1", certificate=None, **options):
        """One client an identity: a device may have a few connections only."""
        certificate = certificate or self.pki.device(device_id)
        return self._client((certificate.cert, *sorted(map(str, options.items()))), lambda: Device(self, certificate, **options))

    def operator(self, token=None, fresh=False, **options):
        """fresh: a client of its own, for use in another thread."""
        token = self.token if token is None else token
        key = (token, len(self.clients) if fresh else "", *sorted(f"{name}={value!r}" for name, value in options.items()))
        return self._client(key, lambda: Operator(self, token, **options))

    def _client(self, key, make):
        if key not in self.clients:
            self.clients[key] = make()
        return self.clients[key]

    def pawl(self, *arguments, **options):
        """The operator's command line against this server."""
        options.setdefault("env", {"PATH": os.environ["PATH"], "HOME": str(self.folder), "XDG_STATE_HOME": str(self.folder / "state")})
        return run_pawl(*arguments, "--yes", "--server", f"https://localhost:{self.admin_port}", "--ca", self.pki.server_ca, "--token-file", self.token_file,
                        **options)

    def publish(self, image, product, version, hardware=("board-a",), *extra, **options):
        arguments = ["release", "publish", image, "--product", product, "--version", version]
        for name in hardware:
            arguments += ["--hardware", name]
        return self.pawl(*arguments, "--keys", self.keys, "--passphrase-file", self.passphrase_file, *extra, **options)

    def url(self, path=""):
        return f"https://localhost:{self.device_port}{path}"

    def image_files(self):
        """Every file below the image store, so that a test sees what a refused upload leaves behind."""
        return sorted(str(path.relative_to(self.data)) for path in self.data.rglob("*") if path.is_file() and not path.name.startswith("pawl.db"))

    @property
    def database_path(self):
        return self.data / "pawl.db"

    def query(self, sql, *values):
        """Rows of a read-only look at the database, while the server runs or after."""
        connection = sqlite3.connect(f"file:{self.database_path}?mode=ro", uri=True)
        try:
            return connection.execute(sql, values).fetchall()
        finally:
            connection.close()

    @contextlib.contextmanager
    def write_lock(self):
        """Keeps every other process from writing to the database."""
        connection = sqlite3.connect(self.database_path, isolation_level=None, timeout=10)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield
        finally:
            connection.close()
