"""`pawl` as operators use it: in scripts, on a terminal, against the real server and against one that lies."""

import http.server
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import threading

import pexpect
import pytest

from lib import firmware
from lib.paths import heed_interrupts, program
from lib.server import PASSPHRASE, run_pawl, write_secret

HARDWARE = "qemu-arm"
USAGE, REFUSED, UNREACHABLE, TRUST, LOCAL, KEY = 2, 3, 4, 5, 6, 7


@pytest.fixture(scope="module")
def published(servers):
    """One product with two releases, published by the command line; what it said is kept."""
    server = servers({"enrolment": {"auto_accept": "yes"}})
    server.first = server.publish(firmware.ATH_9271, "gateway", "1.0.0", (HARDWARE,), "--file", "fw.bin", "--notes", "the first")
    server.second = server.publish(firmware.ATH_7010, "gateway", "1.1.0", (HARDWARE, "rev-b"), "--file", "fw.bin", "--security-version", "1")
    return server


class Liar(http.server.BaseHTTPRequestHandler):
    """A server with a good certificate that answers by a script: {(method, path): [(status, headers, body), …]}; the last one again and again."""

    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.seen.append((self.command, self.path, dict(self.headers), body))
        answers = self.server.script.get((self.command, self.path), [(404, {}, b"")])
        status, headers, text = answers.pop(0) if len(answers) > 1 else answers[0]
        if status is None:  # no answer at all
            self.close_connection = True
            return
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


@pytest.fixture
def liar(pki, tmp_path):
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Liar)
    made.daemon_threads = True
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pki.server.cert, pki.server.key)
    made.socket = context.wrap_socket(made.socket, server_side=True)
    made.script, made.seen = {}, []
    write_secret(tmp_path / "token", "pawl_liar_" + "x" * 43 + "\n")

    def pawl(*arguments, ca=pki.server_ca, host="localhost", state=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_STATE_HOME": str(state or tmp_path / "state")}
        return run_pawl(*arguments, "--server", f"https://{host}:{made.server_port}", "--ca", ca, "--token-file", tmp_path / "token", check=False,
                        env=environment)

    made.pawl = pawl
    thread = threading.Thread(target=made.serve_forever, daemon=True)
    thread.start()
    yield made
    made.shutdown()
    made.server_close()


def problem(status, detail):
    return status, {"Content-Type": "application/problem+json"}, json.dumps(
        {"type": "urn:pawl:problem:busy", "title": "t", "status": status, "detail": detail}).encode()


def one_line(done):
    assert re.fullmatch(r"pawl: [^\n]+\n", done.stderr), done.stderr
    return done.stderr


WHOAMI = {"actor": "token:a", "token": "a", "name": "n", "scopes": ["device:read"], "expires_at": "2027-01-01T00:00:00Z"}


class TestPublish:
    def test_the_difference_is_shown(self, published):
        assert "The first release of product gateway (targets version 1):" in published.first.stderr
        assert re.search(r"^  notes +the first$", published.first.stderr, re.M)
        for line in (r"^Product gateway: 1\.0\.0 -> 1\.1\.0 \(targets version 2\):$", r"^  sequence +1 -> 2$", r"^  security version +0 -> 1$",
                     r"^  runs on +qemu-arm -> qemu-arm, rev-b$", r"^! a device that confirms this release never again takes"):
            assert re.search(line, published.second.stderr, re.M), line

    def test_tables_for_scripts(self, published):
        rows = [line.split("\t") for line in published.pawl("release", "list").stdout.splitlines()]
        assert [row[:4] for row in rows] == [["gateway", "1.1.0", "2", "1"], ["gateway", "1.0.0", "1", "0"]]
        shown = dict(line.split("\t") for line in published.pawl("release", "show", "gateway", "1.0.0").stdout.splitlines())
        assert shown["path"] == "gateway/1.0.0/fw.bin" and shown["notes"] == "the first" and shown["detached signature"] == "yes"

    def test_json_is_one_document(self, published):
        listed = json.loads(published.pawl("release", "list", "--json").stdout)
        assert [item["version"] for item in listed["items"]] == ["1.1.0", "1.0.0"] and listed["next"] is None
        cut = json.loads(published.pawl("release", "list", "--json", "--limit", "1").stdout)
        assert len(cut["items"]) == 1 and cut["next"]
        assert json.loads(published.pawl("whoami", "--json").stdout)["token"] in published.token

    @pytest.mark.parametrize("arguments, code, said", [
        (("1.1.0",), REFUSED, "published already"),
        (("1.2.0", "--sequence", "2"), TRUST, "sequence 2 is not higher"),
        (("1.2.0", "--security-version", "0"), TRUST, "security version 0 is lower"),
        (("1.2",), USAGE, "semver"),
        (("1.2.0", "--file", "fw.sig"), USAGE, ".sig"),
        (("1.2.0", "--notes", "naïve"), USAGE, "notes"),
        (("1.2.0", "--requires-sequence", "9"), USAGE, "requires_sequence"),
    ])
    def test_refused_before_anything_is_signed(self, published, arguments, code, said):
        version, *extra = arguments
        before = published.image_files()
        done = published.publish(firmware.UBOOT_MALTA, "gateway", version, (HARDWARE,), "--quiet", *extra, check=False)
        assert done.returncode == code and said in one_line(done)
        assert published.image_files() == before

    def test_local_faults(self, published, tmp_path):
        assert published.publish(tmp_path / "nothing", "gateway", "1.2.0", check=False).returncode == LOCAL
        write_secret(tmp_path / "wrong", "not the passphrase\n")
        arguments = ["release", "publish", firmware.UBOOT_MALTA, "--product", "gateway", "--version", "1.2.0", "--hardware", HARDWARE, "--quiet"]
        wrong = published.pawl(*arguments, "--keys", published.keys, "--passphrase-file", tmp_path / "wrong", check=False)
        assert wrong.returncode == KEY and "passphrase does not open" in one_line(wrong)
        os.chmod(tmp_path / "wrong", 0o644)
        loose = published.pawl(*arguments, "--keys", published.keys, "--passphrase-file", tmp_path / "wrong", check=False)
        assert loose.returncode == KEY and "0644" in one_line(loose)
        assert published.pawl(*arguments, "--keys", tmp_path, "--passphrase-file", published.passphrase_file, check=False).returncode == KEY

    def test_keys_of_another_repository(self, published, tmp_path):
        other = tmp_path / "keys"
        run_pawl("keys", "init", other, "--passphrase-file", published.passphrase_file)
        done = published.pawl("release", "publish", firmware.UBOOT_MALTA, "--product", "gateway", "--version", "1.2.0", "--hardware", HARDWARE, "--keys",
                              other, "--passphrase-file", published.passphrase_file, "--quiet", check=False)
        assert done.returncode == TRUST and "valid signatures" in one_line(done)


class TestTheServerIsNotBelieved:
    def test_a_restored_backup(self, new_server):
        """A server that went back is noticed before anything is signed on top of it."""
        server = new_server()
        server.publish(firmware.ATH_9271, "gateway", "1.0.0")
        server.stop()
        shutil.copytree(server.data, server.folder / "backup")
        server.start()
        server.publish(firmware.ATH_7010, "gateway", "1.1.0")
        server.stop()
        shutil.rmtree(server.data)
        shutil.copytree(server.folder / "backup", server.data)
        server.start()
        done = server.publish(firmware.UBOOT_MALTA, "gateway", "1.2.0", ("board-a",), "--quiet", check=False)
        assert done.returncode == TRUST and "version" in one_line(done)
        assert server.pawl("keys", "status", server.keys, check=False).returncode == TRUST

    def test_a_hidden_timestamp_is_no_first_release(self, published, liar, tmp_path):
        """Once metadata was seen, a server that says it has none is not believed."""
        state = tmp_path / "seen"
        shutil.copytree(published.folder / "state", state)
        arguments = ["release", "publish", firmware.UBOOT_MALTA, "--product", "gateway", "--version", "1.2.0", "--hardware", HARDWARE, "--keys",
                     published.keys, "--passphrase-file", published.passphrase_file, "--yes"]
        done = liar.pawl(*arguments, state=state)
        assert done.returncode == REFUSED and "no timestamp.json" in one_line(done)
        assert all(method == "GET" for method, *_ in liar.seen)
        fresh = liar.pawl(*arguments)  # nothing was ever seen here: the plan says so, and the upload fails
        assert fresh.returncode == REFUSED and "! the first release of a new repository" in fresh.stderr

    def test_wrong_authority_and_wrong_name(self, liar, pki):
        liar.script[("GET", "/api/v1/whoami")] = [(200, {}, json.dumps(WHOAMI).encode())]
        assert liar.pawl("whoami").returncode == 0
        liar.seen.clear()
        for done in (liar.pawl("whoami", ca=pki.device_ca), liar.pawl("whoami", host="127.0.0.2")):
            assert done.returncode == UNREACHABLE
            one_line(done)
        assert liar.seen == []  # no token was sent

    def test_redirects_are_not_followed(self, liar):
        liar.script[("GET", "/api/v1/whoami")] = [(302, {"Location": "/api/v1/elsewhere"}, b"")]
        done = liar.pawl("whoami")
        assert done.returncode != 0 and "302" in one_line(done)
        assert [path for _, path, *_ in liar.seen] == ["/api/v1/whoami"]

    def test_replies_have_a_ceiling(self, liar):
        liar.script[("GET", "/api/v1/products/big")] = [(200, {}, b" " * (65 << 20))]
        done = liar.pawl("products", "show", "big")
        assert done.returncode != 0 and "larger than" in one_line(done)

    def test_nothing_drives_the_terminal(self, liar):
        liar.script[("GET", "/api/v1/products/x")] = [problem(403, "red \x1b[31m alert")]
        done = liar.pawl("products", "show", "x")
        assert done.returncode == REFUSED and "\x1b" not in one_line(done)

    def test_a_list_that_never_ends_is_noticed(self, liar):
        page = json.dumps({"items": [], "next": "again"}).encode()
        for path in ("/api/v1/products?limit=1000", "/api/v1/products?limit=1000&cursor=again"):
            liar.script[("GET", path)] = [(200, {}, page)]
        done = liar.pawl("products", "list")
        assert done.returncode != 0 and "this page again" in one_line(done)


class TestRetries:
    def test_a_post_is_one_post(self, liar):
        """A lost reply and a busy server: the same Idempotency-Key each time, another one for the next command."""
        made = json.dumps({"id": "p", "policy": "latest", "description": "", "created_at": "2027-01-01T00:00:00Z"}).encode()
        liar.script[("POST", "/api/v1/products")] = [(None, {}, b""), problem(503, "busy"), (201, {}, made)]
        done = liar.pawl("products", "create", "p")
        assert done.returncode == 0 and done.stderr == ""
        assert liar.pawl("products", "create", "p").returncode == 0
        used = [headers["Idempotency-Key"] for _, _, headers, _ in liar.seen]
        assert len(used) == 4 and used[0] == used[1] == used[2] != used[3]
        assert {body for *_, body in liar.seen} == {b'{"id":"p"}'}

    def test_it_gives_up(self, liar):
        liar.script[("GET", "/api/v1/whoami")] = [problem(503, "busy")]
        done = liar.pawl("whoami")
        assert done.returncode == 1 and "busy (urn:pawl:problem:busy)" in one_line(done)
        assert len(liar.seen) == 4

    def test_a_long_wait_is_not_sat_out(self, liar):
        """Nor is it knocked at again before it is over."""
        status, headers, body = problem(429, "too many")
        liar.script[("GET", "/api/v1/whoami")] = [(status, {**headers, "Retry-After": "120"}, body)]
        done = liar.pawl("whoami")
        assert done.returncode == REFUSED and "again in 120 s" in one_line(done) and len(liar.seen) == 1

    def test_a_stream_outlives_a_busy_server(self, liar):
        """A proxy's 503 while the server is started anew, longer than one request is tried."""
        event = json.dumps({"id": "7", "time": "2027-01-01T00:00:00Z", "kind": "registered", "device": "d", "product": None, "detail": {}})
        good = (200, {"Content-Type": "text/event-stream"}, f"id: 7\ndata: {event}\n\n".encode())
        liar.script[("GET", "/api/v1/events/stream")] = [problem(503, "busy")] * 5 + [good]
        done = liar.pawl("events", "follow", "--limit", "1", "--json")
        assert done.returncode == 0 and json.loads(done.stdout)["device"] == "d" and "connecting again" in one_line(done)

    def test_a_refusal_is_final(self, liar):
        liar.script[("GET", "/api/v1/whoami")] = [problem(401, "who?")]
        assert liar.pawl("whoami").returncode == REFUSED and len(liar.seen) == 1

    def test_a_guarded_change_is_sent_once(self, liar):
        device = {"id": "d", "state": "active", "tags": ["a"]}
        liar.script[("GET", "/api/v1/devices/d")] = [(200, {"ETag": '"7"'}, json.dumps(device).encode())]
        liar.script[("PUT", "/api/v1/devices/d/tags")] = [problem(503, "busy")]
        assert liar.pawl("devices", "tag", "d", "--add", "b").returncode == 1
        puts = [(headers["If-Match"], body) for method, _, headers, body in liar.seen if method == "PUT"]
        assert puts == [('"7"', b'{"tags":["a","b"]}')]


class TestWrongUse:
    @pytest.mark.parametrize("arguments,said", [
        ((), "no command given"), (("--bogus",), "unknown option '--bogus'"), (("-x",), "unknown option '-x'"), (("devices", "--bogus"), "needs a verb"),
        (("devices", "bogus"), "no verb 'bogus'"), (("bogus",), "no group 'bogus'"), (("devices", "show"), "usage: pawl devices show DEVICE"),
        (("devices", "show", "a", "b"), "usage: pawl devices show DEVICE"), (("devices", "show", ""), "operand 1 is empty"),
        (("devices", "list", "--limit"), "--limit needs a value"), (("devices", "list", "--limit", "x"), "whole number"),
        (("devices", "list", "--limit", "-1"), "at least 1"), (("keys", "list", ".", "--server", "http://x"), "https://"),
        (("completion", "tcsh"), "bash, zsh or fish"), (("--quiet=yes", "whoami"), "takes no value"), (("-p",), "needs a value")])
    def test_is_one_line_that_says_what(self, tmp_path, arguments, said):
        done = run_pawl(*arguments, check=False, env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
        assert done.returncode == USAGE and said in one_line(done) and done.stdout == ""

    @pytest.mark.parametrize("arguments", [("--help",), ("devices", "--help"), ("devices", "list", "--help"), ("--version",)])
    def test_a_full_disk_is_noticed(self, arguments):
        with open("/dev/full", "wb") as full:
            done = subprocess.run([program("pawl"), *arguments], stdout=full, stderr=subprocess.PIPE, text=True, check=False)
        assert done.returncode == LOCAL and "cannot write the output" in one_line(done)


class TestFleet:
    def test_devices(self, published):
        published.pawl("devices", "add", "cli-1", "--product", "gateway", "--hardware", HARDWARE, "--tag", "north", "--tag", "lab")
        published.pawl("devices", "tag", "cli-1", "--add", "south", "--remove", "lab")
        assert published.pawl("devices", "list", "--tag", "south").stdout.split("\t")[0] == "cli-1"
        assert published.pawl("devices", "list", "--tag", "lab").stdout == ""
        published.pawl("devices", "set", "cli-1", "--hardware", "board-9", "--attribute", "site=Kiel=2", "--attribute", "rack=")
        set_twice = published.pawl("devices", "set", "cli-1", "--hardware", HARDWARE, "--no-attribute", "rack", "--json").stdout
        assert json.loads(set_twice)["attributes"] == {"site": "Kiel=2"} and json.loads(set_twice)["hardware"] == HARDWARE
        assert published.pawl("devices", "set", "cli-1", check=False).returncode == USAGE
        for wrong in ("site", "=x"):
            assert published.pawl("devices", "set", "cli-1", "--attribute", wrong, check=False).returncode == USAGE
        assert published.pawl("devices", "set", "cli-1", "--product", "no-such-product", check=False).returncode == REFUSED
        shown = json.loads(published.pawl("devices", "show", "cli-1", "--json").stdout)
        assert shown["tags"] == ["north", "south"] and shown["state"] == "active"
        assert published.pawl("devices", "add", "cli-1", check=False).returncode == REFUSED
        assert published.pawl("devices", "show", "../whoami", check=False).returncode == REFUSED
        assigned = json.loads(published.pawl("deployments", "assign", "cli-1", "1.1.0", "--json").stdout)
        assert (assigned["device"], assigned["version"], assigned["state"]) == ("cli-1", "1.1.0", "assigned")
        cancelled = published.pawl("deployments", "cancel", assigned["id"], "--reason", "not yet").stdout
        assert "state\tcancelled\n" in cancelled and "reason\tnot yet\n" in cancelled
        again = json.loads(published.pawl("deployments", "assign", "cli-1", "gateway/1.0.0", "--json").stdout)
        listed = [line.split("\t") for line in published.pawl("deployments", "list", "--device", "cli-1").stdout.splitlines()]
        assert [(row[0], row[4]) for row in listed] == [(again["id"], "assigned"), (assigned["id"], "cancelled")]
        assert "state\tretired" in published.pawl("devices", "retire", "cli-1", "--reason", "sold").stdout
        assert "sold" in published.pawl("audit", "list").stdout
        assert "cli-1" in published.pawl("events", "list", "--device", "cli-1").stdout

    def test_products(self, published):
        published.pawl("products", "create", "router", "--policy", "rollout")
        assert "policy\trollout" in published.pawl("products", "show", "router").stdout
        assert "policy\tlatest" in published.pawl("products", "set-policy", "router", "latest").stdout
        assert published.pawl("products", "set-policy", "router", "sometimes", check=False).returncode == REFUSED

    def test_tokens(self, published, tmp_path):
        out = tmp_path / "reader"
        done = published.pawl("tokens", "create", "--scope", "device:read", "--name", "reader", "--expires", "2d", "--out", out)
        secret = out.read_text()
        assert secret not in done.stdout + done.stderr and out.stat().st_mode & 0o777 == 0o600
        assert published.pawl("tokens", "create", "--scope", "device:read", "--out", out, check=False).returncode == LOCAL
        shown = published.pawl("tokens", "create", "--scope", "device:read").stdout
        assert re.fullmatch(r"pawl_[A-Za-z0-9]+_[A-Za-z0-9_-]{43}\n", shown)
        url, ca = f"https://localhost:{published.admin_port}", published.pki.server_ca
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PAWL_TOKEN_FILE": str(out)}
        assert run_pawl("devices", "list", "--server", url, "--ca", ca, env=environment).returncode == 0
        denied = run_pawl("release", "list", "--server", url, "--ca", ca, env=environment, check=False)
        assert denied.returncode == REFUSED and "release:read" in one_line(denied)
        (tmp_path / ".config" / "pawl").mkdir(parents=True)
        (tmp_path / ".config" / "pawl" / "config").write_text(f"[default]\nserver = {url}\nca = {ca}\ntoken_file = ~/reader\n")
        del environment["PAWL_TOKEN_FILE"]
        assert "device:read" in run_pawl("whoami", env=environment).stdout
        assert run_pawl("whoami", "--profile", "lab", env=environment, check=False).returncode == USAGE
        token = secret.split("_")[1]
        published.pawl("tokens", "revoke", token)
        assert run_pawl("whoami", env=environment, check=False).returncode == REFUSED
        os.chmod(out, 0o640)
        assert run_pawl("whoami", env=environment, check=False).returncode == KEY


class Terminal:
    """The command line on a terminal of 100 columns."""

    def __init__(self, server, tmp_path):
        self.server, self.folder = server, tmp_path
        config = tmp_path / ".config" / "pawl"
        config.mkdir(parents=True)
        (config / "config").write_text(f"[default]\nserver = https://localhost:{server.admin_port}\nca = {server.pki.server_ca}\n"
                                       f"token_file = {server.token_file}\nstate_dir = {tmp_path / 'state'}\n")

    def __call__(self, *arguments, environment=None):
        environment = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TERM": "xterm", **(environment or {})}
        return pexpect.spawn(program("pawl"), [str(argument) for argument in arguments], env=environment, dimensions=(30, 100), timeout=60,
                             encoding="utf-8")

    @staticmethod
    def end(child):
        child.expect(pexpect.EOF)
        child.close()
        return child.exitstatus, child.before


@pytest.fixture
def terminal(published, tmp_path):
    return Terminal(published, tmp_path)


class TestTerminal:
    def test_a_sealed_copy_leaves_nothing_behind(self, terminal, published, tmp_path):
        """Interrupted while it asks: the sealed image has no name that could stay."""
        recipient = published.pawl("keys", "identity", tmp_path / "identity").stdout.strip()
        temporary = tmp_path / "tmp"
        temporary.mkdir()
        child = terminal("release", "publish", firmware.ATH_9271, "--product", "gateway", "--version", "9.0.0", "--hardware", HARDWARE, "--keys",
                         published.keys, "--seal-to", recipient, environment={"TMPDIR": str(temporary)})
        child.expect(r"sealed +age.*\[y/N\] ")
        assert list(temporary.iterdir()) == []
        child.kill(signal.SIGKILL)
        child.close()
        kept = tmp_path / "kept.age"
        done = published.publish(firmware.ATH_9271, "sealed", "1.0.0", (HARDWARE,), "--seal-to", recipient, "--sealed-out", kept)
        assert "published sealed/1.0.0" in done.stdout and kept.read_bytes().startswith(b"age-encryption.org/v1\n")

    def test_a_dumb_terminal_gets_no_escape_sequences(self, terminal, published):
        code, text = Terminal.end(terminal("top", "--once", environment={"TERM": "dumb"}))
        assert code == 0 and "devices" in text and "\x1b" not in text
        assert "\x1b" not in Terminal.end(terminal("top", environment={"TERM": "dumb"}))[1]

    def test_publish_asks_and_shows_progress(self, terminal, published, tmp_path):
        image = tmp_path / "large.bin"
        image.write_bytes(os.urandom(24 << 20))
        arguments = ["release", "publish", image, "--product", "terminal", "--version", "1.0.0", "--hardware", HARDWARE, "--keys", published.keys]
        child = terminal(*arguments)
        child.expect(r"\[y/N\] ")
        child.sendline("n")
        assert Terminal.end(child)[0] == USAGE
        child = terminal(*arguments)
        child.expect(r"sha256 .*\[y/N\] ")
        child.sendline("y")
        child.expect("Passphrase for the signing keys: ")
        child.sendline(PASSPHRASE)
        code, text = Terminal.end(child)
        assert code == 0 and PASSPHRASE not in text
        assert re.search(r"uploading +\d+ %  \[[#.]{30}\]  [\d.]+ MiB of 24\.0 MiB", text)
        assert "uploading 100 %  [##############################]  24.0 MiB of 24.0 MiB" in text
        assert "published terminal/1.0.0/large.bin: sequence 1" in text

    def test_lists_are_aligned(self, terminal):
        code, text = Terminal.end(terminal("release", "list", "--product", "gateway"))
        lines = text.splitlines()
        assert code == 0 and lines[0].startswith("PRODUCT  VERSION  SEQUENCE  SECURITY  HARDWARE")
        assert lines[1].startswith("gateway  1.1.0           2         1  qemu-arm, rev-b")

    def test_what_cannot_be_taken_back_asks(self, terminal, published):
        published.pawl("devices", "add", "cli-tty")
        child = terminal("devices", "revoke", "cli-tty")
        child.expect(r"revoke cli-tty: refuse it from now on, .*\[y/N\] ")
        child.sendline("")
        assert Terminal.end(child)[0] == USAGE
        assert "state\tactive" in published.pawl("devices", "show", "cli-tty").stdout
        no_terminal = run_pawl("devices", "revoke", "cli-tty", "--server", f"https://localhost:{published.admin_port}", "--ca", published.pki.server_ca,
                               "--token-file", published.token_file, check=False)
        assert no_terminal.returncode == USAGE and "--yes" in one_line(no_terminal)
        assert "state\tactive" in published.pawl("devices", "show", "cli-tty").stdout

    def test_passphrases_are_asked_twice_and_not_shown(self, terminal, tmp_path):
        child = terminal("keys", "init", tmp_path / "keys")
        for prompt, words in (("Passphrase for the offline keys: ", "off the line"), ("Once more, for the offline keys: ", "off the line"),
                              ("Passphrase for the online keys: ", "on the line"), ("Once more, for the online keys: ", "on the line")):
            child.expect(prompt)
            assert child.waitnoecho(5)
            child.sendline(words)
        code, text = Terminal.end(child)
        assert code == 0 and "line keys" not in text.replace("online keys", "").replace("offline keys", "")
        assert (tmp_path / "keys" / "1.root.json").exists()
        child = terminal("keys", "init", tmp_path / "more")
        child.expect("Passphrase for the offline keys: ")
        child.sendline("off the line")
        child.expect("Once more, for the offline keys: ")
        child.sendline("of the line")
        assert Terminal.end(child)[0] == KEY
        assert not (tmp_path / "more").exists()

    def test_an_interrupted_prompt_gives_the_echo_back(self, tmp_path):
        shell = pexpect.spawn("/bin/sh", ["-i"], env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PS1": "ready> "}, timeout=20, encoding="utf-8",
                              preexec_fn=heed_interrupts)
        shell.expect("ready> ")
        shell.sendline(f"{program('pawl')} keys init {tmp_path / 'keys'}")
        shell.expect("Passphrase for the offline keys: ")
        assert shell.waitnoecho(5)
        shell.sendintr()
        shell.expect("ready> ")
        shell.sendline("stty -a | tr ' ;' '\\n\\n' | grep -x -e echo -e -echo")
        shell.expect(r"\n(-?echo)\r\n")
        assert shell.match.group(1) == "echo"
        shell.sendline("exit")
        shell.close()
        assert not (tmp_path / "keys").exists()
