#!/usr/bin/python3
"""SQL lives in db/queries and db/migrations, not in C; the engine's own folder may open and close transactions."""

import re

from source import blank, c_files, finish, read

STATEMENT = re.compile(
    r'"\s*(SELECT\s|INSERT\s+(OR\s+\w+\s+)?INTO\s|UPDATE\s+\w+\s+SET\s|DELETE\s+FROM\s|REPLACE\s+INTO\s'
    r"|(CREATE|DROP|ALTER)\s+(TABLE|INDEX|UNIQUE|VIEW|TRIGGER)\s|WITH\s+\w+\s+AS\s)"
)
CONTROL = re.compile(r'"\s*(PRAGMA\s|(BEGIN|COMMIT|ROLLBACK)[ ";]|SAVEPOINT\s|RELEASE\s+(SAVEPOINT|[a-z]\w*")|VACUUM)')
ENGINE = re.compile(r"db/sqlite.*")


def faults():
    for name in c_files():
        text = blank(read(name), strings=False)
        patterns = (STATEMENT,) if ENGINE.match(name) else (STATEMENT, CONTROL)
        for pattern in patterns:
            for match in pattern.finditer(text):
                yield f"{name}:{text.count(chr(10), 0, match.start()) + 1}: {match.group().strip()} in a C string"


finish(list(faults()))
