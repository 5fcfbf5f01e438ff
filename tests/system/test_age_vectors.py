"""`pawl unseal` and the age format's own test vectors (npm: cctv-age, as published): what must open opens, what must fail fails, and no plain text
leaves it that the vector does not allow."""

import collections
import hashlib
import subprocess
import zlib

import pytest

from lib.npm import NPM, packages
from lib.paths import program


def read_vector(data):
    """The textual head, as {key: [values]}, and the age file."""
    head, body = data.split(b"\n\n", 1)
    keys = collections.defaultdict(list)
    for line in head.decode().splitlines():
        key, value = line.split(": ", 1)
        keys[key].append(value)
    return keys, zlib.decompress(body) if keys.get("compressed") == ["zlib"] else body


def is_ours(keys):
    """Passphrases, ASCII armour and hybrid keys are parts of age that sealed images do not use."""
    return "passphrase" not in keys and "armored" not in keys and not any(i.startswith("AGE-SECRET-KEY-PQ-") for i in keys["identity"])


def is_allowed(keys, identity, sealed, opened, plain):
    """The vector's payload; of a broken file less of it will do: pawl holds a chunk back until it knows whether it is the last one."""
    allowed = keys["payload"][0] if "payload" in keys else hashlib.sha256(b"").hexdigest()
    if hashlib.sha256(plain).hexdigest() == allowed:
        return True
    whole = subprocess.run(["age", "-d", "-i", identity], input=sealed, capture_output=True, timeout=60, check=False).stdout
    return not opened and hashlib.sha256(whole).hexdigest() == allowed and whole.startswith(plain)


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    folder = tmp_path_factory.mktemp("vectors")
    packages()
    subprocess.run(["node", NPM / "age_vectors.mjs", folder], check=True, timeout=60)
    return {file.name: read_vector(file.read_bytes()) for file in sorted(folder.iterdir())}


def test_vectors(vectors, tmp_path):
    seen, wrong = collections.Counter(), []
    for name, (keys, sealed) in vectors.items():
        if not is_ours(keys):
            seen["left out"] += 1
            continue
        identity = tmp_path / "identity"
        identity.unlink(missing_ok=True)
        identity.touch(0o400)
        identity.write_text("".join(f"{line}\n" for line in keys["identity"]), encoding="ascii")
        done = subprocess.run([program("pawl"), "unseal", "-i", identity], input=sealed, capture_output=True, timeout=60, check=False)
        expected = keys["expect"][0]
        seen[expected] += 1
        opened = done.returncode == 0
        one_line = opened or len(done.stderr.splitlines()) == 1
        if opened != (expected == "success") or not one_line or not is_allowed(keys, identity, sealed, opened, done.stdout):
            wrong.append(f"{name}: expected {expected}, exit {done.returncode}, {len(done.stdout)} bytes out, {done.stderr.decode()!r}")
    print(f"age vectors: {dict(seen)}")
    assert not wrong, "\n".join(wrong)
    assert seen["success"] >= 10 and seen["header failure"] >= 20 and seen["payload failure"] >= 10 and seen["HMAC failure"] >= 1 and seen["no match"] >= 1
