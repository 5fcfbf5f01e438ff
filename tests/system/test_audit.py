"""The audit: signed checkpoints in the store, the log and the API; an export that `pawl audit verify` holds against them, offline; tampering is seen."""

import json
import os
import re
import sqlite3
import subprocess
import urllib.parse

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from lib.server import ONLINE_PASSPHRASE, run_pawl, write_secret
from lib.wait import wait_for

TRUST = 5


@pytest.fixture(scope="module")
def server(servers):
    return servers({"trust": {"audit_interval": "1s"}})


@pytest.fixture(scope="module")
def changes(server):
    """250 rows: two hundreds and a rest."""
    admin = server.operator()
    for number in range(240):
        admin.ok("POST", "/api/v1/products", {"id": f"line-{number}", "policy": "rollout"})
    return admin


def checkpoint_of(admin, least):
    def covered():
        reply = admin.get("/api/v1/audit/checkpoint")
        return reply.json if reply.status == 200 and reply.json["seq"] >= least else None

    return wait_for(covered)


@pytest.fixture(scope="module")
def exported(server, changes, tmp_path_factory):
    """A checkpoint and an export that it covers, and the public key by itself."""
    folder = tmp_path_factory.mktemp("audit")
    rows = len(changes.pages("/api/v1/audit", 1000))
    checkpoint_of(changes, rows)
    server.pawl("audit", "checkpoint", "--out", folder / "checkpoint")
    server.pawl("audit", "export", folder / "export")
    run_pawl("keys", "export", server.keys, "audit", "--out", folder / "audit.pub")
    return folder


def verify(folder, export="export", checkpoint="checkpoint", key="audit.pub"):
    return run_pawl("audit", "verify", folder / export, "--checkpoint", folder / checkpoint, "--key", folder / key, check=False)


def test_checkpoints(server, changes, exported):
    """One for each hundred rows and one for the rest, each in the store and in the log, signed by the audit key over the documented text."""
    stored = server.query("SELECT seq, hex(hash), time, key_id, hex(signature) FROM audit_checkpoint ORDER BY seq")
    seqs = [row[0] for row in stored]
    assert {100, 200} <= set(seqs) and seqs[-1] == server.query("SELECT max(seq) FROM audit")[0][0]
    public = load_pem_public_key((exported / "audit.pub").read_bytes())
    for seq, digest, _, key_id, signature in stored:
        assert server.query("SELECT hex(hash) FROM audit WHERE seq = ?", seq)[0][0] == digest
        line = re.search(rf'^.*msg="audit checkpoint" seq={seq} .*$', server.log(), re.M).group(0)
        assert f"hash={digest.lower()}" in line and f"key={key_id}" in line and f"signature={signature.lower()}" in line
        signed = re.search(r"signed=(\S+)", line).group(1)
        public.verify(bytes.fromhex(signature), f"pawl-audit-checkpoint-v1\n{seq}\n{digest.lower()}\n{signed}\n".encode())
    names = {key["name"]: key for key in json.loads(run_pawl("keys", "list", server.keys, "--json").stdout)["keys"]}
    assert stored[-1][3] == names["audit"]["keyid"]


def test_openssl_verifies(exported, tmp_path):
    """What docs/audit.md says, with nothing of ours."""
    checkpoint = json.loads((exported / "checkpoint").read_text(encoding="ascii"))
    (tmp_path / "text").write_text("pawl-audit-checkpoint-v1\n{seq}\n{hash}\n{time}\n".format(**checkpoint), encoding="ascii")
    (tmp_path / "signature").write_bytes(bytes.fromhex(checkpoint["signature"]))
    subprocess.run(["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", exported / "audit.pub", "-rawin", "-in", tmp_path / "text", "-sigfile",
                    tmp_path / "signature"], check=True, capture_output=True, timeout=30)


def test_verify(server, exported):
    done = verify(exported)
    rows = len((exported / "export").read_text(encoding="utf-8").splitlines())
    assert done.returncode == 0 and f"genuine: {rows} rows" in done.stdout
    by_folder = run_pawl("--json", "audit", "verify", exported / "export", "--checkpoint", exported / "checkpoint", "--keys", server.keys)
    assert json.loads(by_folder.stdout)["rows"] == rows


def test_export_is_the_list(server, changes, exported):
    lines = [json.loads(line) for line in (exported / "export").read_text(encoding="utf-8").splitlines()]
    assert lines == changes.pages("/api/v1/audit", 1000)[: len(lines)]
    again = server.pawl("audit", "export", exported / "export", check=False)
    assert again.returncode == 6 and "exists already" in again.stderr


def test_filters(server, changes):
    """Each alone and all together, up and down, page by page; a text that nothing has is an empty page."""
    rows = changes.pages("/api/v1/audit", 1000)
    change = next(row for row in rows if row["object"] == "product:line-7")
    assert change["action"] == "product.create" and change["actor"].startswith("token:")
    middle = rows[len(rows) // 2]["time"]
    cases = [{name: change[name]} for name in ("action", "actor", "object")]
    cases += [{"since": middle}, {"action": "product.create", "actor": "system"}, {"actor": change["actor"], "since": middle}, {"object": "product:line"}]
    cases += [{name: change[name] for name in ("action", "actor", "object")}, {"actor": "system"}, {"actor": "system", "object": change["object"]}]
    for case in cases:
        def fits(row, case=case):
            return all(row["time"] >= text if name == "since" else row[name] == text for name, text in case.items())

        query = urllib.parse.urlencode(case)
        expected = [row for row in rows if fits(row)]
        assert changes.pages(f"/api/v1/audit?{query}", 60) == expected
        assert changes.pages(f"/api/v1/audit?{query}&sort=-time", 60) == expected[::-1]
        options = [f"--{name}={text}" for name, text in case.items()]
        assert json.loads(server.pawl("audit", "list", "--json", *options).stdout)["items"] == expected
    assert changes.ok("GET", "/api/v1/audit?since=2099-01-01T00:00:00Z")["items"] == []
    assert changes.pages("/api/v1/audit?actor=&object=&action=", 1000) == rows
    refused = changes.get("/api/v1/audit?since=yesterday")
    assert refused.status == 400 and refused.json["errors"][0]["field"] == "since"


def tampered(name, lines):
    middle = len(lines) // 2
    row = json.loads(lines[middle])
    return {
        "actor": lines[:middle] + [json.dumps({**row, "actor": "token:other"}, separators=(",", ":"))] + lines[middle + 1:],
        "deleted": lines[:middle] + lines[middle + 1:],
        "twice": lines[:middle] + [lines[middle]] + lines[middle:],
        "swapped": lines[:middle] + [lines[middle + 1], lines[middle]] + lines[middle + 2:],
        "first gone": lines[1:],
        "cut": lines[:middle],
        "last gone": lines[:-1],
        "empty": [],
        "no row": lines[:middle] + ["{}"] + lines[middle:],
        "more": lines[:middle] + [lines[middle][:-1] + ',"note":"x"}'] + lines[middle + 1:],
    }[name]


@pytest.mark.parametrize("name", ["actor", "deleted", "twice", "swapped", "first gone", "cut", "last gone", "empty", "no row", "more"])
def test_tampered_export(exported, tmp_path, name):
    lines = (exported / "export").read_text(encoding="utf-8").splitlines()
    (exported / "bad").write_text("".join(line + "\n" for line in tampered(name, lines)), encoding="utf-8")
    done = verify(exported, export="bad")
    assert done.returncode == TRUST and done.stderr.count("\n") == 1, done.stderr


def test_bad_checkpoint(server, exported, tmp_path):
    checkpoint = json.loads((exported / "checkpoint").read_text(encoding="ascii"))
    for change in ({"seq": checkpoint["seq"] - 1}, {"hash": "0" * 64}, {"time": "2020-01-01T00:00:00Z"}, {"signature": "00" * 64}):
        (exported / "bad-checkpoint").write_text(json.dumps({**checkpoint, **change}), encoding="ascii")
        assert verify(exported, checkpoint="bad-checkpoint").returncode == TRUST
    run_pawl("keys", "new", "audit", tmp_path / "other", "--passphrase-file", server.online_passphrase_file)
    (exported / "other.pub").write_bytes((tmp_path / "other.pub").read_bytes())
    done = verify(exported, key="other.pub")
    assert done.returncode == TRUST and "not signed" in done.stderr
    assert run_pawl("audit", "verify", exported / "export", "--checkpoint", exported / "checkpoint", check=False).returncode == 2
    assert run_pawl("audit", "verify", exported / "export", "--key", exported / "audit.pub", check=False).returncode == 2


def test_a_store_that_was_rewritten(server, exported, tmp_path):
    """Whoever has the store and drops the triggers makes a chain that fits in itself; the checkpoint that was taken out before shows it."""
    server.stop()
    connection = sqlite3.connect(server.database_path)
    connection.executescript("DROP TRIGGER audit_is_not_deleted; DROP TRIGGER audit_checkpoint_is_not_deleted;"
                             "DELETE FROM audit_checkpoint WHERE seq > 100; DELETE FROM audit WHERE seq > 120;")
    connection.close()
    server.start()
    server.pawl("audit", "export", exported / "rewritten")
    assert (exported / "rewritten").stat().st_size > 0
    done = verify(exported, export="rewritten")
    assert done.returncode == TRUST and "rows are missing" in done.stderr


def test_last_rows_at_the_end(new_server):
    """What is not covered yet is when the server ends; at a start without new rows nothing is signed again."""
    server = new_server()
    server.operator().ok("POST", "/api/v1/products", {"id": "one", "policy": "rollout"})
    assert server.operator().get("/api/v1/audit/checkpoint").status in (200, 404)
    server.stop()
    last = server.query("SELECT max(seq) FROM audit")[0][0]
    assert server.query("SELECT max(seq) FROM audit_checkpoint")[0][0] == last
    before = server.query("SELECT count(*) FROM audit_checkpoint")[0][0]
    server.start()
    server.stop()
    assert server.query("SELECT count(*) FROM audit_checkpoint")[0][0] == before


@pytest.mark.parametrize("case", ["missing", "open to others", "unprotected", "other passphrase"])
def test_key_that_is_refused(new_server, case):
    server = new_server(start=False)
    path = server.folder / "online" / "audit.pem"
    os.chmod(path, 0o600)
    if case == "missing":
        path.unlink()
    elif case == "open to others":
        os.chmod(path, 0o644)
    elif case == "unprotected":
        plain = subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519"], check=True, capture_output=True, text=True, timeout=30).stdout
        write_secret(path, plain)
    else:
        path.unlink()
        other = server.folder / "other"
        write_secret(other, ONLINE_PASSPHRASE + " not\n")
        run_pawl("keys", "new", "audit", path.with_suffix(""), "--passphrase-file", other)
    with pytest.raises(AssertionError, match="audit_key"):
        server.start()
