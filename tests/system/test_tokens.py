"""Tokens: rotation with and without a grace, expiry, who may rotate whom, throttling by address."""

import concurrent.futures
import sqlite3

import pytest

from lib.wait import wait_for


def make(operator, *scopes, **fields):
    made = operator.ok("POST", "/api/v1/tokens", {"scopes": list(scopes), **fields})
    return made["token"]["id"], made["secret"]


def works(server, secret):
    return server.operator(secret).get("/api/v1/whoami").status == 200


def expire(server, token_id):
    """The clock of this one token is past its end."""
    with sqlite3.connect(server.database_path, timeout=10) as connection:
        assert connection.execute("UPDATE token SET expires_at = created_at WHERE id = ?", (token_id,)).rowcount == 1


class TestRotation:
    def test_at_once(self, server, operator):
        token, old = make(operator, "device:read", name="ci")
        before = operator.ok("GET", f"/api/v1/tokens/{token}")
        new = operator.ok("POST", f"/api/v1/tokens/{token}/rotate", {})
        assert new["secret"].startswith(f"pawl_{token}_") and new["secret"] != old
        assert works(server, new["secret"]) and not works(server, old)
        after = new["token"]
        assert {k: after[k] for k in ("id", "name", "scopes", "created_at", "expires_at")} == {k: before[k] for k in ("id", "name", "scopes", "created_at", "expires_at")}
        assert "token.rotate" in [row["action"] for row in operator.pages("/api/v1/audit") if row["object"] == f"token:{token}"]

    def test_with_a_grace(self, server, operator):
        """Both are good until the grace is over; a second rotation ends it."""
        token, first = make(operator, "device:read")
        second = operator.ok("POST", f"/api/v1/tokens/{token}/rotate", {"grace_s": 3600, "expires_in_s": 7200})
        assert second["token"]["previous_until"] is not None
        assert works(server, first) and works(server, second["secret"])
        third = operator.ok("POST", f"/api/v1/tokens/{token}/rotate", {"grace_s": 3600})["secret"]
        assert not works(server, first) and works(server, second["secret"]) and works(server, third)
        with sqlite3.connect(server.database_path, timeout=10) as connection:
            connection.execute("UPDATE token SET previous_until = created_at WHERE id = ?", (token,))
        assert not works(server, second["secret"]) and works(server, third)

    def test_refusals(self, server, operator):
        token, secret = make(operator, "device:read")
        for body, field in (({"grace_s": -1}, "grace_s"), ({"grace_s": 604801}, "grace_s"), ({"expires_in_s": 59}, "expires_in_s"),
                            ({"expires_in_s": 31536001}, "expires_in_s"), ({"expires": 1}, "expires")):
            reply = operator.post(f"/api/v1/tokens/{token}/rotate", body)
            assert reply.status == 400 and reply.json["errors"][0]["field"] == field
        assert operator.post("/api/v1/tokens/nothing/rotate", {}).status == 404
        # Whoever has token:admin alone does not get at more by it.
        _, clerk = make(operator, "token:admin")
        reply = server.operator(clerk).post(f"/api/v1/tokens/{token}/rotate", {})
        assert reply.status == 403 and reply.problem == "scope" and works(server, secret)
        expire(server, token)
        assert operator.post(f"/api/v1/tokens/{token}/rotate", {}).status == 409
        gone, _ = make(operator, "device:read")
        assert operator.delete(f"/api/v1/tokens/{gone}", headers=[("If-Match", "*")]).status == 204
        assert operator.post(f"/api/v1/tokens/{gone}/rotate", {}).status == 409

    def test_the_same_key_again(self, server, operator):
        """A retry rotates nothing and shows no secret."""
        token, _ = make(operator, "device:read")
        headers = [("Idempotency-Key", "rotate-once")]
        first = operator.post(f"/api/v1/tokens/{token}/rotate", {}, headers=headers).json
        second = operator.post(f"/api/v1/tokens/{token}/rotate", {}, headers=headers).json
        assert second["secret"] is None and second["token"] == first["token"] and works(server, first["secret"])

    def test_by_pawl(self, server, operator, tmp_path):
        token, old = make(operator, "device:read")
        out = tmp_path / "token"
        server.pawl("tokens", "rotate", token, "--grace", "1h", "--expires", "30d", "--out", out)
        assert out.stat().st_mode & 0o777 == 0o600 and works(server, out.read_text().strip()) and works(server, old)
        done = server.pawl("tokens", "rotate", token, "--grace", "8d", check=False)
        assert done.returncode == 2 and "7d" in done.stderr
        assert server.pawl("tokens", "rotate", token, "--out", out, check=False).returncode == 6
        assert server.pawl("tokens", "rotate", token).stdout.startswith(f"pawl_{token}_")
        assert not works(server, old)


def test_expiry(server, operator):
    """At most 365 days; past its end a token is nobody's."""
    assert operator.post("/api/v1/tokens", {"scopes": ["device:read"], "expires_in_s": 31536001}).status == 400
    token, secret = make(operator, "device:read", expires_in_s=31536000)
    assert works(server, secret)
    expire(server, token)
    assert not works(server, secret)


def test_last_use_is_seen(server, operator):
    token, secret = make(operator, "device:read")
    assert operator.ok("GET", f"/api/v1/tokens/{token}")["last_used_at"] is None
    assert works(server, secret)
    wait_for(lambda: operator.ok("GET", f"/api/v1/tokens/{token}")["last_used_at"])


class TestThrottle:
    def test_ten_a_minute(self, server):
        """The eleventh failed attempt within a minute is 429 with Retry-After; others' addresses, and good tokens from this one, are not hurt."""
        bad = server.operator(token="pawl_x_" + "A" * 43, source="127.7.0.1")
        replies = [bad.get("/api/v1/whoami") for _ in range(15)]
        assert [reply.status for reply in replies] == [401] * 10 + [429] * 5
        for reply in replies[10:]:
            assert reply.problem == "rate" or "rate" in reply.json["type"]
            assert 0 < int(reply.header("Retry-After")) <= 60
        assert server.operator(token="pawl_x_" + "A" * 43, source="127.7.0.2").get("/api/v1/whoami").status == 401
        assert server.operator(server.token, source="127.7.0.1").get("/api/v1/whoami").status == 200

    def test_in_parallel(self, server):
        """No race lets more than ten through to the comparison."""
        clients = [server.operator(token="pawl_x_" + "B" * 43, source="127.7.0.3", fresh=True) for _ in range(8)]
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            statuses = list(pool.map(lambda i: clients[i].get("/api/v1/whoami").status, list(range(8)))) + [
                status for _ in range(3) for status in pool.map(lambda i: clients[i].get("/api/v1/whoami").status, list(range(8)))]
        assert statuses.count(401) <= 17 and statuses.count(429) >= 15  # at most the seven that were under way at the tenth
        assert clients[0].get("/api/v1/whoami").status == 429


@pytest.mark.parametrize("scope", ["device:rede", "device", "", "device:read@", "device:read@a@b", "*"])
def test_no_such_scope(operator, scope):
    reply = operator.post("/api/v1/tokens", {"scopes": [scope]})
    assert reply.status == 400 and reply.json["errors"][0]["field"].startswith("scopes")
