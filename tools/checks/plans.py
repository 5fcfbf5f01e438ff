#!/usr/bin/python3
"""Every statement is used, by C and with an index: none walks a whole table or sorts, but for those named here with their reason. No index is idle."""

import pathlib
import re
import sqlite3

from source import finish, read

LAST = "the one row at an end of the key"
COUNT = "counts all there is, along an index"
FEW = "a table of few rows"
WALKS = {
    "audit_checkpoint_last": LAST,
    "audit_last": LAST,
    "delivery_counts": COUNT,
    "delivery_fan_out": FEW,
    "delivery_overflow": "sorts what waits for one webhook",
    "deployment_count": COUNT,
    "deployment_insert": "the one row of a subquery",
    "image_forget": "of a backup's copy",
    "image_signature_forget": "of a backup's copy",
    "image_total": "at the beginning of a backup or a scrub",
    "metadata_delegated": FEW,
    "quarantine_hot": "sorts the few rows of each device",
    "release_all": "the catalog holds them all",
    "restore_rollout_list": FEW,
    "rollout_active": FEW,
    "rollout_insert": FEW,
    "rollout_number": FEW,
    "webhook_count": FEW,
}
NAME = re.compile(r"^-- name: (\w+)\n(.*?)(?=^-- name:|\Z)", re.M | re.S)


def statements():
    for path in sorted(pathlib.Path("db/queries").glob("*.sql")):
        for name, text in NAME.findall(path.read_text()):
            yield path, name, re.sub(r"^--.*$", "", text, flags=re.M).replace("$", "?")


def plan(database, text):
    count = max((int(number) for number in re.findall(r"\?(\d+)", text)), default=0)
    return [row[3] for row in database.execute("EXPLAIN QUERY PLAN " + text, [None] * count)]


def faults():
    database = sqlite3.connect(":memory:")
    for path in sorted(pathlib.Path("db/migrations").glob("*.sql")):
        database.executescript(path.read_text())
    idle = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL AND sql NOT LIKE '%UNIQUE%'")}
    sources = "".join(read(str(path)) for path in pathlib.Path("db").glob("*.c"))
    walks = set()
    for path, name, text in statements():
        steps = plan(database, text)
        idle -= {index for index in idle if any(re.search(rf"\b{index}\b", step) for step in steps)}
        if any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in steps):
            walks.add(name)
            if name not in WALKS:
                yield f"{path}: {name} walks or sorts: {'; '.join(steps)}"
        if not re.search(rf"\bDB_QUERY_{name.upper()}\b", sources):
            yield f"{path}: {name} is not used"
        if re.search(r"CROSS JOIN \w+ \w+ ON", text) or re.search(r"(?<!AS )\?\d+ IS (NOT )?NULL", text):
            yield f"{path}: {name}: PostgreSQL knows no CROSS JOIN with ON, and no type for a bare $1 IS NULL"
    for name in sorted(WALKS.keys() - walks):
        yield f"tools/checks/plans.py: {name} is excused and need not be"
    for name in sorted(idle):
        yield f"db/migrations: no statement uses the index {name}"


finish(list(faults()))
