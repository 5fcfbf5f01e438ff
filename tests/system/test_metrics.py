"""/metrics: text that a strict reader takes, figures that follow what happens, and the dashboard and the alerts that stand on them."""

import json
import re
import subprocess

import pytest

from lib.paths import ROOT
from lib.wait import wait_for

RULES = ROOT / "config" / "prometheus" / "pawl.rules.yml"
DASHBOARD = ROOT / "config" / "grafana" / "pawl.json"
NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?|\+Inf|NaN)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')
ENDINGS = {"histogram": ("_bucket", "_sum", "_count")}
OTHERS = {"up"}  # what Prometheus itself makes


def parse(text):
    """{family: (type, help, {(name, labels): value})}; anything that the format does not allow is an error."""
    assert text.endswith("\n")
    families, family, helped = {}, None, {}
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            name, words = line[7:].split(" ", 1)
            assert name not in families and words and NAME.fullmatch(name), line
            helped[name] = words
        elif line.startswith("# TYPE "):
            name, kind = line[7:].split(" ")
            assert name in helped and name not in families, line
            assert kind in ("counter", "gauge", "histogram"), line
            assert (kind == "counter") == name.endswith("_total"), line
            family = families[name] = (kind, helped[name], {})
        else:
            match = SAMPLE.match(line)
            assert match and family is not None, line
            labels, rest = {}, match.group(2) or ""
            while rest:
                label = LABEL.match(rest)
                assert label and label.group(1) not in labels, line
                labels[label.group(1)] = label.group(2)
                rest = rest[label.end():]
            name = list(families)[-1]
            assert match.group(1) in {name + ending for ending in ENDINGS.get(family[0], ("",))}, f"{line} stands under {name}"
            key = (match.group(1), tuple(sorted(labels.items())))
            assert key not in family[2], f"twice: {line}"
            family[2][key] = float(match.group(3))
    assert set(helped) == set(families)
    for name, (kind, _, samples) in families.items():
        if kind == "histogram":
            check_histogram(name, samples)
        if kind == "counter":
            assert all(value >= 0 for value in samples.values()), name
    return families


def check_histogram(name, samples):
    series = {}
    for (sample, labels), value in samples.items():
        if sample == name + "_bucket":
            labels = dict(labels)
            bound = float(labels.pop("le").replace("+Inf", "inf"))
            series.setdefault(tuple(sorted(labels.items())), []).append((bound, value))
    assert series
    for labels, buckets in series.items():
        assert buckets == sorted(buckets) and buckets[-1][0] == float("inf"), name
        assert [value for _, value in buckets] == sorted(value for _, value in buckets), name
        assert samples[(name + "_count", labels)] == buckets[-1][1]
        assert (name + "_sum", labels) in samples


def scrape(server, token=None):
    reply = server.operator(token).get("/metrics")
    assert reply.status == 200 and reply.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8"
    return reply.body.decode()


def value(server, name, **labels):
    for family in parse(scrape(server)).values():
        for (sample, found), number in family[2].items():
            if sample == name and dict(found) == labels:
                return number
    return 0


@pytest.fixture(scope="module")
def used(router):
    """A server where something of everything has happened."""
    device = router.device("metric-1")
    device.directive(product="router", hardware="qemu-arm", version='1.0 "odd" \\', sequence=1)
    deployment = router.operator().device("metric-1")["deployment"]
    device.report(deployment, 1, "downloading")
    device.get("/firmware/router/1.1.0/u-boot.bin")
    device.get("/nothing")
    router.operator(token="pawl_x_" + "A" * 43, source="127.8.8.8").get("/api/v1/whoami")
    rollout = router.operator().ok("POST", "/api/v1/rollouts", {"product": "router", "version": "1.1.0", "name": "metrics", "continuous": True})
    router.operator().ok("POST", f"/api/v1/rollouts/{rollout['id']}/start", {})
    wait_for(lambda: "pawl_rollout_members{" in scrape(router))
    router.run("scrub")
    wait_for(lambda: "pawl_scrub_timestamp_seconds" in scrape(router))
    return router


def test_text_is_good(used):
    families = parse(scrape(used))
    assert len(families) > 40
    done = subprocess.run(["promtool", "check", "metrics"], input=scrape(used), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr


def test_parser_is_strict():
    """What the parser above is worth: each of these is refused."""
    good = "# HELP a_total b\n# TYPE a_total counter\na_total 1\n"
    parse(good)
    for bad in ("a_total 1\n", "# TYPE a_total counter\na_total 1\n", good[:-1], good + "a_total 2\n", good.replace("counter", "gauge"), good + "b 1\n",
                good.replace("a_total 1", 'a_total{x="1} 1'), good.replace("a_total 1", "a_total one"), good + "\n", good + good,
                good.replace("a_total 1", "a_total -1")):
        with pytest.raises(AssertionError):
            parse(bad)


def test_figures_follow(used):
    """Everything that fleet.md asks for is there and moves."""
    device, admin = used.device("metric-2"), used.operator()
    offered = value(used, "pawl_polls_total", outcome="offer", reason="offered")
    idle = value(used, "pawl_polls_total", outcome="nothing", reason="up-to-date")
    sent = value(used, "pawl_bytes_sent_total")
    full = value(used, "pawl_handshakes_total", result="full")
    commits = value(used, "pawl_db_commit_seconds_count")
    device.directive(product="router", hardware="qemu-arm", version="0.1", sequence=0)
    used.device("metric-3").check(product="router", hardware="qemu-arm", version="1.1.0", sequence=2)
    assert used.device("metric-2").get("/firmware/router/1.1.0/u-boot.bin").status == 200
    assert value(used, "pawl_polls_total", outcome="offer", reason="offered") == offered + 1
    assert value(used, "pawl_polls_total", outcome="nothing", reason="up-to-date") == idle + 1
    wait_for(lambda: value(used, "pawl_bytes_sent_total") > sent + 100000)
    assert value(used, "pawl_handshakes_total", result="full") >= full + 2
    assert value(used, "pawl_db_commit_seconds_count") > commits
    assert value(used, "pawl_devices_running", product="router", version="1.1.0", state="active") == 1
    assert value(used, "pawl_devices", state="active") == len([d for d in admin.pages("/api/v1/devices") if d["state"] == "active"])
    assert value(used, "pawl_deployments", state="offered") >= 1
    assert value(used, "pawl_requests_total", method="GET", route="/firmware/{path...}", status="200") >= 2
    assert value(used, "pawl_db_queue_depth") == 0
    assert value(used, "pawl_rollouts", state="running") == 1
    members = {dict(labels)["state"]: number for (_, labels), number in parse(scrape(used))["pawl_rollout_members"][2].items()}
    assert sum(members.values()) >= 1
    assert value(used, "process_resident_memory_bytes") > 1e6 and value(used, "process_open_fds") > 5
    for role in ("root", "targets", "snapshot", "timestamp"):
        assert value(used, "pawl_metadata_expires_seconds", role=role) > 1.7e9
    assert value(used, "pawl_certificate_expires_seconds", file="server") > 1.7e9
    assert value(used, "pawl_scrub_images") >= 2


def test_scope(used):
    """metrics:read and nothing else opens it."""
    admin = used.operator()
    assert used.operator(admin.token_with("metrics:read")).get("/metrics").status == 200
    assert used.operator(admin.token_with("device:read")).get("/metrics").status == 403
    assert used.operator(token="").get("/metrics").status == 401


def expressions():
    import yaml

    for group in yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]:
        for rule in group["rules"]:
            yield rule["alert"], rule["expr"]
    for panel in json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def names_in(expression):
    """Every metric of ours that an expression names: words in front of a selector, a range or an operator, outside of strings and label lists."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', expression)
    return set(re.findall(r"\b(?:pawl|process)_[a-z0-9_]+|\bup\b", bare))


def test_alerts_and_dashboard_stand_on_what_is_there(used):
    """A metric that is renamed in the server fails here."""
    present = set()
    for name, (kind, _, _) in parse(scrape(used)).items():
        present |= {name + ending for ending in ENDINGS.get(kind, ("",))}
    checked = 0
    for where, expression in expressions():
        names = names_in(expression)
        assert names, where
        assert names <= present | OTHERS, f"{where}: {sorted(names - present - OTHERS)}"
        checked += 1
    assert checked > 40


def test_expressions_parse(tmp_path):
    """promtool reads the rules; and the dashboard's expressions, as rules with their variables filled in."""
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    rules = [{"record": f"panel:{number}", "expr": expression.replace("$instance", "a")} for number, (_, expression) in enumerate(expressions())]
    file = tmp_path / "panels.yml"
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}), encoding="utf-8")
    done = subprocess.run(["promtool", "check", "rules", file], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    file.write_text(file.read_text(encoding="utf-8").replace("sum by", "sum bye", 1), encoding="utf-8")
    assert subprocess.run(["promtool", "check", "rules", file], capture_output=True, check=False, timeout=60).returncode != 0


def test_dashboard_is_one(used):
    """The shape that Grafana imports: ids differ, panels do not overlap, every query uses the variables."""
    board = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    panels = board["panels"]
    assert board["uid"] == "pawl" and len({panel["id"] for panel in panels}) == len(panels)
    cells = set()
    for panel in panels:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        mine = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & mine, panel["title"]
        cells |= mine
        for target in panel.get("targets", ()):
            assert 'instance=~"$instance"' in target["expr"] and target["datasource"]["uid"] == "${datasource}"
