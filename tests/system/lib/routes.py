"""`pawld --dump-routes` read back."""

import subprocess

from .paths import program


class Row:
    def __init__(self, listeners, method, pattern, role, scope, body, policy, query):
        self.listeners, self.method, self.pattern, self.role, self.scope = listeners, method, pattern, role, scope
        self.body, self.policy, self.query = body, policy, query

    def __repr__(self):
        return f"{self.method} {self.pattern}"


def dump():
    done = subprocess.run([program("pawld"), "--dump-routes"], capture_output=True, text=True, check=True, timeout=30)
    rows = []
    for line in done.stdout.splitlines():
        listeners, method, pattern, role, scope, body, _, _, policy, query = line.split("\t")
        rows.append(Row(set(listeners.split("|")), method, pattern, role, "" if scope == "-" else scope, body, set(policy.split(",")), None if query == "*" else set(query.split())))
    assert rows
    return rows
