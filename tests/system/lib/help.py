"""What the programs say of themselves in --help: groups, verbs, options."""

import functools
import re
import subprocess

from .paths import program

OPTION = re.compile(r"^\s+(?:-(\w), )?--([a-z][a-z0-9-]*)(?:[ =](\S+))?")
SORT = re.compile(r"--sort KEY +by (.+); -KEY: descending \[(.+)\]$", re.M)
COMMAND = re.compile(r"^  pawl (\S+)(?: (.*?))?  +\S")


@functools.lru_cache(maxsize=None)
def text(name, *words):
    done = subprocess.run([program(name), *words, "--help"], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, f"{name} {' '.join(words)} --help: {done.stderr}"
    return done.stdout


def options(name, *words):
    """{long name: letter or ''}"""
    found = {}
    for line in text(name, *words).splitlines():
        match = OPTION.match(line)
        if match:
            found[match.group(2)] = match.group(1) or ""
    return found


def pawl_groups():
    lines = text("pawl").splitlines()
    begin = lines.index("Groups:") + 1
    return [line.split()[0] for line in lines[begin:] if line.startswith("  ")][: lines[begin:].index("")]


def pawl_commands():
    """(group, verb or '') of every command."""
    for group in pawl_groups():
        said = text("pawl", group)
        if said.startswith(f"{group}: "):
            for line in said.splitlines():
                match = COMMAND.match(line)
                if match:
                    yield group, match.group(2).split()[0]
        else:
            yield group, ""


def pawl_sorts():
    """{command: (keys, the order without --sort)} of every list that is sorted."""
    found = {}
    for words in pawl_commands():
        match = SORT.search(text("pawl", *filter(None, words)))
        if match:
            found[" ".join(words)] = (re.split(", | or ", match.group(1)), match.group(2))
    return found


def pawld_commands():
    return [line.split()[0] for line in text("pawld").split("\n\n")[1].splitlines()]


def agent_commands():
    return [line.split()[0] for line in text("pawl-agent").split("Commands:\n")[1].split("\n\n")[0].splitlines()]
