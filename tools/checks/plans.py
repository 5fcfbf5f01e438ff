#!/usr/bin/python3
"""Every statement is used, by C and with an index: none walks a whole table or sorts, but for those named here with their reason. No index is idle."""

import ast
import pathlib
import re
import sqlite3
import subprocess
import tempfile

from source import finish, read

LAST = "the one row at an end of the key"
COUNT = "counts all there is, along an index"
FEW = "a table of few rows"
ONE_DEVICE = "sorts the few rows of one device"
# An order of a list that goes down is excused with the one that goes up.
WALKS = {
    "audit_checkpoint_last": LAST,
    "audit_last": LAST,
    "certificate_list_device_by_expires_at": ONE_DEVICE,
    "claim_list_device_by_created_at": ONE_DEVICE,
    "claim_list_device_by_expires_at": ONE_DEVICE,
    "delivery_counts": COUNT,
    "delivery_fan_out": FEW,
    "delivery_overflow": "sorts what waits for one webhook",
    "deployment_count": COUNT,
    "deployment_insert": "the one row of a subquery",
    "image_forget": "of a backup's copy",
    "image_signature_forget": "of a backup's copy",
    "image_total": "at the beginning of a backup or a scrub",
    "metadata_delegated": FEW,
    "product_list_by_created_at": FEW,
    "quarantine_hot": "sorts the few rows of each device",
    "release_all": "the catalog holds them all",
    "restore_rollout_list": FEW,
    "rollout_active": FEW,
    "rollout_insert": FEW,
    "rollout_number": FEW,
    "token_list_by_created_at": FEW,
    "token_list_by_expires_at": FEW,
    "token_list_by_last_used_at": FEW,
    "token_list_by_name": FEW,
    "webhook_count": FEW,
    "webhook_list_by_created_at": FEW,
}
TEXT = re.compile(r'^    \[DB_QUERY_(\w+)\] =\n(.*?)^    ,$', re.M | re.S)
SORT = re.compile(r'^    \{DB_QUERY_(\w+), .* DB_QUERY_(\w+), DB_QUERY_(\w+), \w+\},$', re.M)


def generated():
    with tempfile.TemporaryDirectory() as folder:
        source = pathlib.Path(folder) / "sql.c"
        subprocess.run(["sh", "tools/gensql", "db", f"{folder}/sql.h", source], check=True)
        return source.read_text()


def statements(source):
    """As the program prepares them, each with the name that C knows it by: an order of a list goes by the list's."""
    lists = {order: base for base, up, down in SORT.findall(source) for order in (up, down)}
    for name, text in TEXT.findall(source):
        sql = "\n".join(ast.literal_eval(line) for line in text.split("\n") if line.strip())
        yield name.lower(), lists.get(name, name), sql.replace("$", "?")


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
    for name, used, text in statements(generated()):
        steps = plan(database, text)
        idle -= {index for index in idle if any(re.search(rf"\b{index}\b", step) for step in steps)}
        if any(step.startswith("SCAN") or "TEMP B-TREE" in step for step in steps):
            walks.add(name.removesuffix("_down"))
            if name.removesuffix("_down") not in WALKS:
                yield f"db/queries: {name} walks or sorts: {'; '.join(steps)}"
        if not re.search(rf"\bDB_QUERY_{used}\b", sources):
            yield f"db/queries: {name} is not used"
        if re.search(r"CROSS JOIN \w+ \w+ ON", text) or re.search(r"(?<!AS )\?\d+ IS (NOT )?NULL", text):
            yield f"db/queries: {name}: PostgreSQL knows no CROSS JOIN with ON, and no type for a bare $1 IS NULL"
    for name in sorted(WALKS.keys() - walks):
        yield f"tools/checks/plans.py: {name} is excused and need not be"
    for name in sorted(idle):
        yield f"db/migrations: no statement uses the index {name}"


finish(list(faults()))
