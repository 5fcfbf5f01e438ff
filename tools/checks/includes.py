#!/usr/bin/python3
"""Rooms include downwards only, and each library stays behind its fence (ARCHITECTURE.md)."""

import os
import re

from source import blank, c_files, finish, read

MAY_INCLUDE = {
    "common": set(),
    "trust": {"common"},
    "fleet": {"common"},
    "certs": {"common"},
    "db": {"common", "fleet"},
    "api": {"common", "trust", "fleet", "certs", "db"},
    "server": {"common", "trust", "fleet", "certs", "db", "api"},
    "agent": {"common", "trust", "certs"},
    "cli": {"common", "trust", "certs"},
}

# header, and the only files that may include it
FENCES = (
    (r"microhttpd\.h", r"server/http\.c"),
    (r"sqlite3\.h", r"db/sqlite.*"),
    (r"openssl/.*", r"common/hash\.c|trust/.*|certs/.*|server/(front|tls|session)\.[ch]"),
    (r"jansson\.h", r"common/json\.c|trust/.*"),
    (r"curl/.*", r"agent/.*|cli/.*|server/webhook\.c"),
    (r"ini\.h", r"common/config\.c"),
    (r"gnutls/.*", r"(?!)"),
)

GENERATED = {"db/sql.h"}

INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)', re.M)


def faults():
    for name in c_files():
        room = name.split("/")[0]
        for match in INCLUDE.finditer(blank(read(name), strings=False)):
            form, header = match.groups()
            target = header.split("/")[0]
            if form == '"' and not (os.path.exists(header) or header in GENERATED):
                yield f'{name}: "{header}" is no path from the root'
            elif form == '"' and target != room and target not in MAY_INCLUDE[room]:
                yield f"{name}: {room} must not include {header}"
            for fenced, allowed in FENCES:
                if form == "<" and re.fullmatch(fenced, header) and not re.fullmatch(allowed, name):
                    yield f"{name}: <{header}> belongs to {allowed}"


finish(list(faults()))
