"""Debian's swupdate as a device: signed .swu files, its configuration, and the running program."""

import os
import pathlib
import re
import signal
import subprocess
import time

BOARD = "pawl-board:1.0"


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"openssl {' '.join(map(str, arguments))}: {done.stderr}"


class Signer:
    """Who signs .swu files: a key, and the certificate that swupdate is given."""

    def __init__(self, folder, name="signer"):
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", self.key, "-out", self.cert, "-subj", f"/CN={name}", "-days", "30",
                "-addext", "keyUsage=critical,digitalSignature", "-addext", "extendedKeyUsage=emailProtection")

    def sign(self, path):
        signature = path.with_suffix(".sig")
        openssl("cms", "-sign", "-in", path, "-out", signature, "-signer", self.cert, "-inkey", self.key, "-outform", "DER", "-nosmimecap", "-binary")
        return signature.read_bytes()


def cpio(entries):
    """The archive that swupdate reads: newc with checksums."""
    out = b""
    for number, (name, data) in enumerate([*entries, ("TRAILER!!!", b"")]):
        trailer = name == "TRAILER!!!"
        fields = [number + 1, 0 if trailer else 0o100644, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name) + 1, 0 if trailer else sum(data) & 0xFFFFFFFF]
        head = b"070702" + b"".join(b"%08X" % field for field in fields) + name.encode() + b"\0"
        out += head + b"\0" * (-len(head) % 4) + data + b"\0" * (-len(data) % 4)
    return out + b"\0" * (-len(out) % 512)


def make_swu(folder, name, version, payload, target, signer):
    """A signed update that puts payload at target."""
    import hashlib

    description = folder / f"{name}.sw-description"
    description.write_text(f'''software = {{
    version = "{version}";
    hardware-compatibility: [ "1.0" ];
    files: ( {{ filename = "payload"; path = "{target}"; sha256 = "{hashlib.sha256(payload).hexdigest()}"; }} );
}}
''')
    path = folder / f"{name}.swu"
    path.write_bytes(cpio([("sw-description", description.read_bytes()), ("sw-description.sig", signer.sign(description)), ("payload", payload)]))
    return path


class SwUpdate:
    """One device. The folder holds its configuration, sockets and what it installs."""

    def __init__(self, folder, name, certificate, ca, signer, attributes, port, options=()):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.installed = self.folder / "installed"
        self.log_path = self.folder / "log"
        self.options = list(options)
        self.process = None
        self.name, self.certificate, self.ca, self.signer, self.port = name, certificate, ca, signer, port
        self.configure(attributes)

    def configure(self, attributes):
        identify = ",\n    ".join(f'{{ name = "{key}"; value = "{value}"; }}' for key, value in attributes.items())
        (self.folder / "swupdate.cfg").write_text(f'''globals : {{
    verbose = true;
    loglevel = 5;
    public-key-file = "{self.signer.cert}";
}};
suricatta : {{
    tenant = "default";
    id = "{self.name}";
    url = "https://localhost:{self.port}";
    cafile = "{self.ca}";
    sslcert = "{self.certificate.cert}";
    sslkey = "{self.certificate.key}";
    polldelay = 1;
    retry = 5;
    retrywait = 1;
}};
identify : (
    {identify}
);
''')

    def start(self, confirm=None):
        """confirm: how the restart after an update went, as a boot loader's variable would say: 2 is good, 3 is bad."""
        suricatta = f"-c {confirm}" if confirm else ""
        environment = {**os.environ, "TMPDIR": str(self.folder), "RUNTIME_DIRECTORY": str(self.folder)}
        command = ["swupdate", "-f", str(self.folder / "swupdate.cfg"), "-H", BOARD, *self.options, "-u", suricatta or "-e"]
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(command, stdout=log, stderr=log, env=environment, cwd=self.folder, stdin=subprocess.DEVNULL, start_new_session=True)
        return self

    def stop(self):
        """Its processes are a session of their own."""
        if self.process and self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            try:
                self.process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()

    def restart(self, confirm=None):
        self.stop()
        return self.start(confirm)

    def log(self):
        return re.sub(r"\x1b\[[0-9;]*m", "", self.log_path.read_text(errors="replace")) if self.log_path.exists() else ""

    def wait(self, condition, seconds=60):
        """Until it is so, while swupdate runs."""
        deadline = time.monotonic() + seconds
        while not condition():
            assert self.process.poll() is None, f"swupdate ended with {self.process.returncode}:\n{self.log()[-5000:]}"
            assert time.monotonic() < deadline, f"not within {seconds} s; swupdate says:\n{self.log()[-8000:]}"
            time.sleep(0.05)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()
