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


def commands_of(item, known):
    """The commands that a line ".It Ic group verb … , Ic group verb …" is about."""
    for part in re.split(r" , Ic ", item.splitlines()[0]):
        words = part.split()
        yield " ".join(words[:2]) if " ".join(words[:2]) in known else words[0]


def pawl_items():
    """{command: what the page says of it}, and what it says of all that sign under None."""
    known = {f"{group} {verb}".strip() for group, verb in said.pawl_commands()}
    page = (ROOT / "man" / "pawl.1").read_text(encoding="utf-8").split(".Sh COMMANDS\n")[1].split(".Sh COMPLETION\n")[0]
    items = {None: re.search(r"^\.Ss Verifying and signing\n(.*?)^\.Ss", page, re.M | re.S).group(1)}
    for item in re.split(r"^\.It Ic ", re.sub(r"^\.Ss .*", ".It Ic none", page, flags=re.M), flags=re.M)[1:]:
        for command in commands_of(item, known):
            items[command] = items.get(command, "") + item
    return known, items


def flags(text):
    return set(re.findall(r"Fl -([a-z][a-z0-9-]*)", text))


def test_pawl():
    """Each command has its item, with the options that its --help has: its own, those of all that sign, or those of another verb that it refers to."""
    known, items = pawl_items()
    general, signing = set(said.options("pawl")), flags(items[None])
    wrong = sorted(f"no item: {command}" for command in known - set(items))
    for command in known & set(items):
        has = set(said.options("pawl", *command.split()))
        told = flags(items[command]) | general
        for other in re.findall(r"^\.Ic (\S+ \S+)", items[command], re.M):
            told |= flags(items.get(other, ""))
        wrong += sorted(f"{command} --{name} is not in the page" for name in has - told - signing)
    assert not wrong, wrong
    assert general <= flags((ROOT / "man" / "pawl.1").read_text(encoding="utf-8"))


def test_pawl_has_what_its_page_says():
    known, items = pawl_items()
    general, wrong = set(said.options("pawl")), []
    page = (ROOT / "man" / "pawl.1").read_text(encoding="utf-8")
    for item in re.findall(r"^\.It Ic (.*(?:\n(?!\.It Ic |\.Ss |\.Sh ).*)*)", page, re.M):
        commands = list(commands_of(item, known))
        wrong += [f"no command: {command}" for command in commands if command not in known]
        has = general.union(*(said.options("pawl", *command.split()) for command in commands if command in known))
        wrong += sorted(f"{', '.join(commands)}: no option --{name}" for name in flags(item) - has)
    signs = set().union(*(said.options("pawl", *command.split()) for command in known if command.split()[0] in ("root", "targets", "release")))
    wrong += sorted(f"no verb that signs has --{name}" for name in flags(items[None]) - signs - general)
    assert not wrong, wrong


def test_pawl_names_the_keys_of_each_list():
    _, items = pawl_items()
    sorts = said.pawl_sorts()
    for command, (keys, _) in sorts.items():
        assert f"{command.split()[1]} " in items[command] and f"Oo Fl -sort Ar {'|'.join(keys)} Oc" in items[command].splitlines()[0], command
    assert sum(item.splitlines()[0].count("Fl -sort") for item in set(items.values())) == len(sorts) > 10


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
    has = set(said.options("pawl-agent")).union(*(said.options("pawl-agent", command) for command in said.agent_commands()))
    assert flags((ROOT / "man" / "pawl-agent.1").read_text(encoding="utf-8")) <= has | {"sample-config", "version"}
