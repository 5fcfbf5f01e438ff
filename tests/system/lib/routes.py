"""`pawld --dump-routes` read back."""

import subprocess

from .paths import program


class Row:
    def __init__(self, listeners, method, pattern, role, scope):
        self.listeners, self.method, self.pattern, self.role, self.scope = listeners, method, pattern, role, scope

    def __repr__(self):
        return f"{self.method} {self.pattern}"


def dump():
    done = subprocess.run([program("pawld"), "--dump-routes"], capture_output=True, text=True, check=True, timeout=30)
    rows = []
    for line in done.stdout.splitlines():
        listeners, method, pattern, role, scope = line.split("\t")[:5]
        rows.append(Row(set(listeners.split("|")), method, pattern, role, "" if scope == "-" else scope))
    assert rows
    return rows
