#!/usr/bin/python3
"""The route table and the contract name the same methods and paths on the same listeners."""

import subprocess
import sys

import yaml

from source import finish

SERVER = "build/pawld"
LISTENER_OF_TAG = {"device": "device", "enrol": "enrol", "token": "token", "admin": "admin", "health": "admin"}
METHODS = {"get", "put", "post", "delete", "patch"}


def contract():
    with open("api/openapi.yaml", encoding="utf-8") as file:
        paths = yaml.safe_load(file)["paths"]
    for path, item in paths.items():
        for method, operation in item.items():
            if method in METHODS:
                for tag in operation["tags"]:
                    yield LISTENER_OF_TAG[tag], method.upper(), path


def table():
    """`--dump-routes` prints a row a line: listeners, method, pattern, and what does not matter here, separated by tabs."""
    dump = subprocess.run([SERVER, "--dump-routes"], capture_output=True, text=True, check=True).stdout
    for line in dump.splitlines():
        listeners, method, pattern = line.split("\t")[:3]
        if line.startswith("#") or method == "METHOD":
            continue
        for listener in listeners.replace("+", ",").replace("|", ",").split(","):
            yield listener.strip(), method, pattern


def main():
    try:
        have, want = set(table()), set(contract())
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"{SERVER} --dump-routes: {error} (tools/build makes it)")
        sys.exit(1)
    faults = [f"only in api/openapi.yaml: {' '.join(row)}" for row in sorted(want - have)]
    faults += [f"only in the route table: {' '.join(row)}" for row in sorted(have - want)]
    finish(faults)


main()
