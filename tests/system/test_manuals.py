"""The manual pages: clean mdoc, and every command and option that --help names is in them."""

import re
import subprocess

import pytest

from lib import help as said
from lib.paths import ROOT

PAGES = sorted((ROOT / "man").glob("*.[158]"))


def words(page):
    """The page as people read it, without line breaks inside of sentences."""
    done = subprocess.run(["mandoc", "-T", "utf8", ROOT / "man" / page], capture_output=True, text=True, check=True, timeout=30)
    plain = re.sub(r".\x08", "", done.stdout).replace("‐", "-").replace("−", "-")
    return re.sub(r"\s+", " ", plain)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_clean(page):
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", page], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0 and not done.stdout, done.stdout
    done = subprocess.run(["groff", "-mandoc", "-ww", "-z", "-Tutf8", page], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0 and not done.stderr, done.stderr


def test_cross_references():
    there = {page.name for page in PAGES}
    for page in PAGES:
        for name, section in re.findall(r"^\.Xr (\S+) (\d)", page.read_text(encoding="utf-8"), re.M):
            if name.startswith("pawl"):
                assert f"{name}.{section}" in there, f"{page.name}: {name}({section})"


def test_pawl():
    text = words("pawl.1")
    missing = []
    for group, verb in said.pawl_commands():
        command = f"{group} {verb}".strip()
        if not re.search(rf"(?<![\w-]){re.escape(command)}(?![\w-])", text):
            missing.append(command)
        for name in said.options("pawl", group, *([verb] if verb else [])):
            if not re.search(rf"--{name}(?![\w-])", text):
                missing.append(f"{command} --{name}")
    for name in said.options("pawl"):
        if not re.search(rf"--{name}(?![\w-])", text):
            missing.append(f"--{name}")
    assert not missing, missing


def test_pawld():
    text = words("pawld.8")
    missing = []
    for command in said.pawld_commands():
        if not re.search(rf"(?<![\w-]){command}(?![\w-])", text):
            missing.append(command)
        for name in said.options("pawld", command):
            if not re.search(rf"--{name}(?![\w-])", text):
                missing.append(f"{command} --{name}")
    assert not missing, missing
    assert {"serve", "init", "migrate", "backup", "restore", "scrub"} <= set(said.pawld_commands())


def test_pawl_agent():
    text = words("pawl-agent.1")
    missing = []
    for command in said.agent_commands():
        if not re.search(rf"(?<![\w-]){command}(?![\w-])", text):
            missing.append(command)
        missing += [f"{command} --{name}" for name in said.options("pawl-agent", command) if not re.search(rf"--{name}(?![\w-])", text)]
    assert not missing, missing
    assert {"once", "run", "status"} <= set(said.agent_commands()) and "config" in said.options("pawl-agent", "run")
