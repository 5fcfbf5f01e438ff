"""docs/pki.md, run as it stands there, and its chains shown to servers."""

import re
import shutil
import ssl
import subprocess

import pytest

from lib.paths import ROOT
from lib.pki import Certificate
from lib.wire import Closed, Connection, context, head_bytes

BLOCKS = dict(re.findall(r"<!-- test: (\S+) -->\n```sh\n(.*?)\n```", (ROOT / "docs" / "pki.md").read_text(encoding="utf-8"), re.DOTALL))


def run(name, folder):
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", BLOCKS[name]], cwd=folder, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{name}:\n{done.stdout}{done.stderr}"


@pytest.fixture(scope="module")
def desk(tmp_path_factory):
    folder = tmp_path_factory.mktemp("desk")
    run("intermediate", folder)
    run("common-name", folder)
    return folder


def who(server, folder, cert, key, version):
    """The device's id by its own word, or None: no byte of HTTP."""
    tls = context(server.pki.server_ca, folder / cert, folder / key, version)
    try:
        with Connection(server.device_port, tls) as connection:
            connection.send(head_bytes("GET", "/whoami", []))
            reply = connection.read_reply()
            assert reply.status == 200, reply
            return reply.json["id"]
    except (Closed, ssl.SSLError, ConnectionError) as error:
        assert getattr(error, "received", b"") == b""
        return None


def start(servers, authority, **tls):
    return servers({"enrolment": {"auto_accept": "yes"}, "tls": {"device_ca": authority, **tls}})


def test_every_block_is_run():
    assert set(BLOCKS) == {"intermediate", "crl", "common-name", "roll-over"}


@pytest.fixture(scope="module")
def under_root(servers, desk):
    return start(servers, desk / "root.pem")


@pytest.fixture(scope="module")
def under_intermediate(servers, desk):
    return start(servers, desk / "issuing.pem")


@pytest.fixture(scope="module")
def by_common_name(servers, desk):
    return start(servers, desk / "factory.pem", identity="cn")


@pytest.mark.parametrize("version", ["1.2", "1.3"])
class TestChains:
    def test_under_the_root(self, under_root, desk, version):
        assert who(under_root, desk, "sensor-7-chain.pem", "sensor-7.key", version) == "sensor-7"
        assert who(under_root, desk, "sensor-7.pem", "sensor-7.key", version) is None  # as the table says: it must send its intermediate

    def test_under_the_intermediate_alone(self, under_intermediate, desk, version):
        assert who(under_intermediate, desk, "sensor-7.pem", "sensor-7.key", version) == "sensor-7"
        assert who(under_intermediate, desk, "sensor-7-chain.pem", "sensor-7.key", version) == "sensor-7"

    def test_common_name(self, by_common_name, desk, version):
        assert who(by_common_name, desk, "module.pem", "module.key", version) == "00124B0001"

    def test_common_name_is_nothing_elsewhere(self, under_root, by_common_name, desk, version):
        assert who(under_root, desk, "module.pem", "module.key", version) is None
        assert who(by_common_name, desk, "sensor-7-chain.pem", "sensor-7.key", version) is None


def test_chain_of_four(new_server, desk, tmp_path):
    """One intermediate more than there may be."""
    shutil.copytree(desk, tmp_path / "long")
    folder = tmp_path / "long"
    script = BLOCKS["intermediate"].replace("pathlen:1", "pathlen:2").replace("pathlen:0", "pathlen:1")
    assert subprocess.run(["bash", "-euc", script], cwd=folder, capture_output=True, check=False).returncode == 0
    subprocess.run(["bash", "-euc", """
openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out third.key
openssl req -new -key third.key -subj "/CN=third" -out third.csr
printf '%s\\n' basicConstraints=critical,CA:TRUE,pathlen:0 keyUsage=critical,keyCertSign >third.ext
openssl x509 -req -in third.csr -CA issuing.pem -CAkey issuing.key -set_serial 77 -days 30 -extfile third.ext -out third.pem
openssl x509 -req -in sensor-7.csr -CA third.pem -CAkey third.key -set_serial 78 -days 30 -extfile sensor-7.ext -out sensor-7.pem
cat sensor-7.pem third.pem issuing.pem >sensor-7-chain.pem
openssl verify -purpose sslclient -CAfile root.pem -untrusted issuing.pem -untrusted third.pem sensor-7.pem
"""], cwd=folder, capture_output=True, check=True)
    server = start(new_server, folder / "root.pem")
    for version in ("1.2", "1.3"):
        assert who(server, folder, "sensor-7-chain.pem", "sensor-7.key", version) is None
    believes_more = start(new_server, folder / "issuing.pem")
    assert who(believes_more, folder, "sensor-7-chain.pem", "sensor-7.key", None) == "sensor-7"


def test_revoked_intermediate(new_server, desk, tmp_path):
    folder = tmp_path / "desk"
    shutil.copytree(desk, folder)
    crl = tmp_path / "device.crl"
    (folder / "index").touch()
    config = BLOCKS["crl"].splitlines()
    subprocess.run(["bash", "-euc", "\n".join(line for line in config if "-revoke" not in line)], cwd=folder, capture_output=True, check=True)
    shutil.copy(folder / "root.crl", crl)
    server = start(new_server, folder / "root.pem", device_crl=crl)
    device = server.device(certificate=Certificate(folder / "sensor-7-chain.pem", folder / "sensor-7.key"))
    with device.connect() as connection:
        assert device.get("/whoami", connection=connection).status == 200
        run("crl", folder)
        shutil.copy(folder / "root.crl", crl)
        server.reload()
        connection.seconds_until_closed(20)
    for version in ("1.2", "1.3"):
        assert who(server, folder, "sensor-7-chain.pem", "sensor-7.key", version) is None


def test_roll_over(new_server, desk, tmp_path):
    folder = tmp_path / "desk"
    shutil.copytree(desk, folder)
    shutil.copy(folder / "issuing.pem", folder / "old-ca.pem")
    shutil.copy(folder / "root.pem", folder / "new-ca.pem")
    shutil.copy(folder / "old-ca.pem", folder / "device-cas.pem")
    server = start(new_server, folder / "device-cas.pem")
    assert who(server, folder, "sensor-7.pem", "sensor-7.key", None) == "sensor-7"
    run("roll-over", folder)
    server.reload()
    assert who(server, folder, "sensor-7.pem", "sensor-7.key", None) == "sensor-7"
    shutil.copy(folder / "new-ca.pem", folder / "device-cas.pem")
    server.reload()
    assert who(server, folder, "sensor-7.pem", "sensor-7.key", None) is None
    assert who(server, folder, "sensor-7-chain.pem", "sensor-7.key", None) == "sensor-7"
