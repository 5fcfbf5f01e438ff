"""What `cmake --install` puts where, and whether systemd takes the units that come with it."""

import configparser
import os
import re
import subprocess

import pytest

from lib import paths

UNITS = ["pawld.service", "pawl-agent.service"]
# systemd's own scale, 100 is an unconfined service of root. The agent writes slots, runs hooks and reboots: it stays privileged.
EXPOSURE = {"pawld.service": 20, "pawl-agent.service": 80}


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    root = tmp_path_factory.mktemp("install")
    subprocess.run(["cmake", "--install", paths.BUILD], env={**os.environ, "DESTDIR": str(root)}, check=True, capture_output=True, timeout=300)
    return root / "usr/local"


def unit(prefix, name):
    return prefix / "lib/systemd/system" / name


def test_programs_pages_and_samples(prefix):
    files = {str(path.relative_to(prefix)) for path in prefix.rglob("*") if path.is_file()}
    assert files >= {
        "bin/pawld", "bin/pawl", "bin/pawl-agent",
        "share/man/man1/pawl.1", "share/man/man1/pawl-agent.1", "share/man/man8/pawld.8", "share/man/man5/pawld.conf.5", "share/man/man5/pawl-agent.conf.5",
        "share/doc/pawl/pawld.conf", "share/doc/pawl/pawl-agent.conf", "lib/sysusers.d/pawl.conf",
    }  # fmt: skip
    assert subprocess.run([prefix / "bin/pawld", "--version"], capture_output=True, text=True, check=True).stdout.startswith("pawld ")


@pytest.mark.parametrize("name", UNITS)
def test_systemd_takes_the_unit(prefix, tmp_path, name):
    """Every line is known to systemd, and the program it starts is where it was installed."""
    here = tmp_path / name
    here.write_text(unit(prefix, name).read_text().replace("/usr/local/", f"{prefix}/"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", here], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", UNITS)
def test_the_unit_is_confined(prefix, name):
    limit = EXPOSURE[name]
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", f"--threshold={limit}", "--no-pager", unit(prefix, name)],
                          capture_output=True, text=True, timeout=60)  # fmt: skip
    assert done.returncode == 0, done.stdout


def test_the_unit_lets_through_what_the_server_calls(prefix):
    """The server's own filter is the narrower one: a call that it allows and the unit does not would end in EPERM under systemd only."""
    sets = {}
    for line in subprocess.run(["systemd-analyze", "syscall-filter", "--no-pager"], capture_output=True, text=True, check=True).stdout.splitlines():
        if line.startswith("@"):
            members = sets.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            members.append(line.strip())

    def calls(word):
        return set().union(*map(calls, sets[word])) if word in sets else {word}

    allowed = calls("@default")
    for line in re.findall(r"^SystemCallFilter=(.*)$", unit(prefix, "pawld.service").read_text(), re.M):
        words = set().union(*map(calls, line.lstrip("~").split()))
        allowed = allowed - words if line.startswith("~") else allowed | words
    # Only root's SQLite gives a file away, and nobody asks for pages in core; both live with EPERM.
    harmless = {"fchown", "fchown32", "mincore", "arm_sync_file_range"}
    wanted = set(re.findall(r"SCMP_SYS\((\w+)\)", (paths.ROOT / "server/sandbox.c").read_text()))
    assert len(wanted) > 50 and wanted - allowed <= harmless


def test_the_unit_and_the_documentation_agree(prefix):
    """The user, the folder and the time to drain that the unit gives are the ones that the sample and the user file speak of."""
    text = unit(prefix, "pawld.service").read_text()
    service = configparser.RawConfigParser(strict=False)
    service.optionxform = str
    service.read_string(text)
    assert (prefix / "lib/sysusers.d/pawl.conf").read_text().split("\n")[1].split()[:2] == ["u", service["Service"]["User"]]
    drain = re.search(r"^#drain_timeout = (\d+)s$", (prefix / "share/doc/pawl/pawld.conf").read_text(), re.M)
    assert int(service["Service"]["TimeoutStopSec"]) > int(drain.group(1))
