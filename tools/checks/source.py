"""What the checks share: the files of the tree and C text without its comments and strings."""

import os
import re
import subprocess
import sys

ROOMS = ("common", "trust", "fleet", "certs", "db", "api", "server", "agent", "cli")


def all_files():
    """Every file that belongs to the project, relative to its root."""
    listing = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True, text=True)
    if listing.returncode == 0:
        names = listing.stdout.split("\0")
    else:
        names = [os.path.relpath(os.path.join(folder, name)) for folder, _, files in os.walk(".") for name in files]
        names = [name for name in names if not name.startswith((".git/", "build"))]
    return sorted(name for name in set(names) if name and os.path.isfile(name) and not os.path.islink(name))


def c_files(folders=ROOMS, suffixes=(".c", ".h")):
    return [name for name in all_files() if name.split("/")[0] in folders and name.endswith(suffixes)]


def read(name):
    with open(name, encoding="utf-8") as file:
        return file.read()


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)


def blank(text, strings=True):
    """The text with comments (and, when asked, strings) replaced by blanks; lines stay where they are."""

    def replace(match):
        found = match.group()
        if found[0] in "\"'" and not strings:
            return found
        return re.sub(r"[^\n]", " ", found)

    return TOKEN.sub(replace, text)


def finish(faults):
    """Prints the faults and ends the check."""
    for fault in faults:
        print(fault)
    sys.exit(1 if faults else 0)
