"""Configuration and start: one table, no silent mistakes, nothing unprotected."""

import os
import signal
import subprocess
import time

import pytest

from lib.paths import ROOT, program
from lib.wait import wait_for

USAGE = 2


def pawld(*arguments, env=None, **options):
    return subprocess.run([program("pawld"), *map(str, arguments)], capture_output=True, text=True, check=False, timeout=30, stdin=subprocess.DEVNULL,
                          env={**{k: v for k, v in os.environ.items() if not k.startswith("PAWL_")}, **(env or {})}, **options)


@pytest.fixture
def idle(new_server):
    """A server that was made and not started."""
    return new_server({"enrolment": {"auto_accept": "yes"}}, start=False)


def test_sample_equals_the_table():
    """config/pawld.conf and config/pawl-agent.conf are what the programs print."""
    for name, arguments, sample in (("pawld", ["print-config", "--sample"], "pawld.conf"), ("pawl-agent", ["--sample-config"], "pawl-agent.conf")):
        done = subprocess.run([program(name), *arguments], capture_output=True, text=True, check=False, timeout=30)
        assert done.returncode == 0, done.stderr
        assert done.stdout == (ROOT / "config" / sample).read_text(encoding="utf-8")


def test_check_config(idle):
    assert idle.run("check-config").returncode == 0


def test_print_config_hides_secrets_and_shows_values(idle):
    text = idle.run("print-config").stdout
    assert f"data = {idle.data}" in text
    assert "[limits]" in text and "only the server knows" not in text


@pytest.mark.parametrize("section, key, value", [
    ("limits", "conections", "5"), ("limmits", "connections", "5"), ("limits", "connections", "many"), ("limits", "connections", "-1"), ("limits", "connections", ""),
    ("limits", "head_timeout", "30"), ("limits", "head_timeout", "8 parsecs"), ("limits", "image_bytes", "1X"), ("limits", "image_bytes", "99999999999999999999"),
    ("enrolment", "auto_accept", "maybe"), ("listen", "device", "127.0.0.1"), ("listen", "device", "127.0.0.1:99999"), ("listen", "device", "localhost:http"),
    ("log", "level", "loud"), ("tls", "verify", "no"), ("tls", "insecure", "yes"), ("device", "allow_anonymous", "yes"),
])
def test_mistakes_name_the_line(idle, section, key, value):
    idle.write_config({section: {key: value}})
    for command in ("check-config", "serve"):
        done = idle.run(command, check=False)
        assert done.returncode == USAGE, done.stdout + done.stderr
        assert (key in done.stderr or section in done.stderr) and "pawld.conf" in done.stderr


def test_line_number(idle):
    text = idle.config_path.read_text(encoding="utf-8")
    line = text.count("\n") + 2
    idle.config_path.write_text(text + "[limits]\nnonsense = 1\n", encoding="utf-8")
    done = idle.run("check-config", check=False)
    assert done.returncode == USAGE and f":{line}" in done.stderr.replace(" line ", ":") and "nonsense" in done.stderr


def test_key_given_twice(idle):
    with open(idle.config_path, "a", encoding="utf-8") as file:
        file.write("\n[log]\nlevel = info\nlevel = debug\n")
    assert idle.run("check-config", check=False).returncode == USAGE


def test_missing_file():
    done = pawld("check-config", "--config", "/nonexistent/pawld.conf")
    assert done.returncode != 0 and "/nonexistent/pawld.conf" in done.stderr


def test_environment_overrides(new_server):
    server = new_server({"log": {"level": "error"}}, environment={"PAWL_LOG_LEVEL": "debug", "PAWL_LIMITS_IMAGE_BYTES": "2000"})
    assert "level = debug" in server.run("print-config").stdout
    assert server.operator().upload(b"x" * 2001).status == 413
    assert server.operator().upload(b"x" * 2000).status == 201


@pytest.mark.parametrize("name", ["PAWL_LOG_LOUDNESS", "PAWL_NOTHING", "PAWL_LIMITS_CONECTIONS"])
def test_unknown_variable(idle, name):
    idle.environment[name] = "1"
    done = idle.run("check-config", check=False)
    assert done.returncode == USAGE and name in done.stderr


# ---- keys at rest


def online_key(idle):
    return next(path for path in idle.folder.rglob("timestamp.pem") if "keys" not in path.parts[-3:])


@pytest.mark.parametrize("mode", [0o440, 0o404, 0o644, 0o660])
def test_online_key_open_to_others(idle, mode):
    online_key(idle).chmod(mode)
    with pytest.raises(AssertionError, match="timestamp.pem"):
        idle.start()


def test_online_key_without_passphrase(idle):
    """Decrypted on disk: refused at start."""
    path = online_key(idle)
    plain = subprocess.run(["openssl", "pkey", "-in", str(path), "-passin", f"file:{idle.online_passphrase_file}"], capture_output=True, check=True).stdout
    path.chmod(0o600)
    path.write_bytes(plain)
    path.chmod(0o400)
    with pytest.raises(AssertionError, match="(?s)timestamp.pem.*encrypted|encrypted.*timestamp.pem"):
        idle.start()


def test_wrong_passphrase(idle, tmp_path):
    path = tmp_path / "wrong"
    path.write_text("not this one\n", encoding="ascii")
    path.chmod(0o600)
    idle.write_config({"trust": {"passphrase_file": path}})
    with pytest.raises(AssertionError, match="passphrase"):
        idle.start()


def test_passphrase_file_open_to_others(idle, tmp_path):
    path = tmp_path / "open"
    path.write_text(idle.online_passphrase_file.read_text(encoding="ascii"), encoding="ascii")
    path.chmod(0o644)
    idle.write_config({"trust": {"passphrase_file": path}})
    with pytest.raises(AssertionError, match=str(path)):
        idle.start()


def test_tls_key_open_to_others(idle, tmp_path):
    path = tmp_path / "server.key"
    path.write_bytes(idle.pki.server.key.read_bytes())
    path.chmod(0o644)
    idle.write_config({"tls": {"key": path}})
    with pytest.raises(AssertionError, match="server.key"):
        idle.start()


def test_key_that_root_does_not_name(idle, keys, tmp_path):
    """Another repository's timestamp key: the server could sign nothing that a device believes."""
    from lib.server import ReleaseKeys

    other = ReleaseKeys(tmp_path / "other" / "keys")
    path = online_key(idle)
    path.chmod(0o600)
    path.write_bytes((other.folder / "online" / "timestamp.pem").read_bytes())
    path.chmod(0o400)
    with pytest.raises(AssertionError):
        idle.start()


def test_init_twice(idle):
    """The first root stays; no second first token."""
    done = idle.run("init", "--root", str(idle.keys / "1.root.json"), "--online-keys", str(idle.keys / "online"), check=False)
    assert done.returncode != 0 or "pawl_" not in done.stdout
    idle.start()
    assert idle.operator().get("/api/v1/whoami").status == 200


def test_init_with_another_root(idle, tmp_path):
    from lib.server import ReleaseKeys

    other = ReleaseKeys(tmp_path / "other" / "keys")
    done = idle.run("init", "--root", str(other.folder / "1.root.json"), check=False)
    assert done.returncode != 0
    assert idle.start().device("d-1").get("/tuf/1.root.json").body == (idle.keys / "1.root.json").read_bytes()


def test_serve_without_init(idle, tmp_path):
    idle.write_config({"store": {"data": tmp_path / "nothing"}})
    with pytest.raises(AssertionError, match="init"):
        idle.start()


def test_data_folder_is_private(idle):
    assert os.stat(idle.data).st_mode & 0o077 == 0


def test_port_in_use(new_server):
    server = new_server()
    other = new_server({"listen": {"device": f"127.0.0.1:{server.device_port}"}}, start=False)
    with pytest.raises(AssertionError, match=str(server.device_port)):
        other.start()


# ---- the program


def test_version_and_help():
    assert pawld("--version").stdout.strip().endswith("0.1.0")
    for command in ("serve", "init", "check-config", "print-config", "migrate", "health"):
        done = pawld(command, "--help")
        assert done.returncode == 0 and "--config" in done.stdout
        assert command in pawld("--help").stdout
    assert pawld().returncode == USAGE
    assert pawld("conquer").returncode == USAGE
    assert pawld("serve", "--insecure").returncode == USAGE
    for name in ("pawl", "pawl-agent"):
        assert subprocess.run([program(name), "--version"], capture_output=True, text=True, check=True, timeout=20).stdout.strip().endswith("0.1.0")


def test_migrate(idle):
    """Brings the database up to date and says so; again there is nothing to do."""
    assert idle.run("migrate").returncode == 0
    assert idle.run("migrate").returncode == 0
    idle.start()


def test_pawl_help_for_each_group():
    for group in ("keys", "release", "devices", "deployments", "tokens", "whoami"):
        done = subprocess.run([program("pawl"), group, "--help"], capture_output=True, text=True, check=False, timeout=20)
        assert done.returncode == 0 and group in done.stdout
    assert subprocess.run([program("pawl"), "nothing"], capture_output=True, text=True, check=False, timeout=20).returncode == USAGE


def test_sighup_reloads_certificates(new_server, tmp_path):
    """A new server certificate is shown on new connections; those that are open stay open."""
    import shutil

    from lib.pki import Pki

    mine = Pki(tmp_path / "pki")
    server = new_server({"enrolment": {"auto_accept": "yes"}, "tls": {"certificate": mine.server.cert, "key": mine.server.key, "device_ca": mine.device_ca,
                                                                       "admin_ca": mine.admin_ca}}, start=False)
    server.pki = mine
    server.start()
    device = server.device("reload-1", certificate=mine.device("reload-1"))
    with device.connect() as connection:
        first = connection.socket.getpeercert(True)
        assert device.get("/whoami", connection=connection).status == 200
        shutil.move(mine.folder / "server.pem", tmp_path / "old.pem")
        mine.script()
        os.kill(server.pid, signal.SIGHUP)
        end = time.monotonic() + 10
        while True:
            with device.connect() as second:
                if second.socket.getpeercert(True) != first:
                    break
            assert time.monotonic() < end, "the old certificate is still shown"
            time.sleep(0.1)
        assert device.get("/whoami", connection=connection).status == 200
    assert device.get("/whoami").status == 200


def test_bad_certificate_at_reload_keeps_the_old(new_server, tmp_path):
    from lib.pki import Pki

    mine = Pki(tmp_path / "pki")
    server = new_server({"enrolment": {"auto_accept": "yes"}, "tls": {"certificate": mine.server.cert, "key": mine.server.key, "device_ca": mine.device_ca}}, start=False)
    server.pki = mine
    server.start()
    (mine.folder / "server.pem").write_text("nonsense", encoding="ascii")
    os.kill(server.pid, signal.SIGHUP)
    wait_for(lambda: "server.pem" in server.log())
    assert server.alive()
    assert server.device("reload-2", certificate=mine.device("reload-2")).get("/whoami").status == 200
