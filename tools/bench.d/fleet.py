"""tools/bench fleet: what 100,000 devices cost, over the administrator's API on loopback and in the store itself."""

import http.client
import json
import pathlib
import shutil
import ssl
import statistics
import sys
import tempfile
import time
import urllib.parse

PRODUCT, HARDWARE = "bench-fleet", "bench-board"
PAGE = 100

# name, what is done, the goal in milliseconds (None: for orientation)
ROWS = [
    ("import", "import of all devices (NDJSON)", 20000),
    ("import-again", "the same import again (nothing changes)", None),
    ("import-others", "longest wait of another write meanwhile", None),
    ("page-1", "list page 1", None),
    ("page-1000", "list page 1,000", None),
    ("filter-page", "page by filter over the registry", None),
    ("filter-tag-page", "page by filter over tags", None),
    ("sort-page", "page sorted by -last_seen", None),
    ("lines", "all devices as NDJSON", None),
    ("open", "open the store, load the registry", None),
    ("preview", "preview of a rollout over all", 2000),
    ("preview-tag", "preview with a filter over tags", 2000),
    ("preview-attribute", "preview with a filter over attributes", 2000),
    ("create", "create and start a rollout over all", 2000),
    ("create-and-choose", "the same until its members are chosen", 2000),
    ("create-others-wait", "longest wait of another write meanwhile", 50),
    ("step-idle", "a round with nothing to do", 200),
    ("step-advance", "a round that opens the next phase", 200),
    ("step-deadline", "longest slice of timing out 10,000 devices", 200),
    ("deadline-all", "all of them", None),
    ("deadline-others-wait", "longest wait of another write meanwhile", 50),
    ("step-stop", "longest slice of stopping the rollout", 200),
    ("stop-all", "all of them", None),
    ("stop-others-wait", "longest wait of another write meanwhile", 50),
]


class Api:
    def __init__(self, port, ca, token):
        self.port, self.token = port, token
        self.tls = ssl.create_default_context(cafile=str(ca))
        self.connection = http.client.HTTPSConnection("localhost", port, context=self.tls, timeout=600)

    def call(self, method, path, body=None, **headers):
        headers = {"Authorization": f"Bearer {self.token}", **{name.replace("_", "-"): value for name, value in headers.items()}}
        self.connection.request(method, path, body, headers)
        reply = self.connection.getresponse()
        data = reply.read()
        if reply.status >= 300:
            sys.exit(f"tools/bench: {method} {path}: {reply.status} {data[:500]!r}")
        return data


def timed(function, *arguments, **options):
    start = time.monotonic()
    result = function(*arguments, **options)
    return (time.monotonic() - start) * 1000, result


def middle(function, times=9):
    return statistics.median(timed(function)[0] for _ in range(times))


def rows_of(count):
    return "".join(
        json.dumps({"id": f"dev-{n:06}", "product": PRODUCT, "hardware": HARDWARE, "tags": ["even" if n % 2 == 0 else "odd"], "attributes": {"number": str(n)}})
        + "\n"
        for n in range(count)
    ).encode()


def page(**query):
    return "/api/v1/devices?" + urllib.parse.urlencode({"limit": PAGE, **query}, quote_via=urllib.parse.quote)


def import_and_write(bench, body):
    """The import, and the longest wait of small writes meanwhile."""
    import threading

    waits, done = [0.0], threading.Event()
    other = Api(bench.admin_port, bench.pki / "server-ca.pem", bench.token.read_text().strip())

    def write():
        number = 0
        while not done.is_set():
            number += 1
            waits.append(timed(other.call, "POST", "/api/v1/products", json.dumps({"id": f"other-{number}"}), Content_Type="application/json")[0])
            time.sleep(0.02)

    thread = threading.Thread(target=write)
    thread.start()
    api = Api(bench.admin_port, bench.pki / "server-ca.pem", bench.token.read_text().strip())
    took, _ = timed(api.call, "POST", "/api/v1/devices/import", body, Content_Type="application/x-ndjson")
    done.set()
    thread.join()
    return took, max(waits)


def measure_api(bench, server, count):
    found = {}
    body = rows_of(count)
    found["import"], found["import-others"] = import_and_write(bench, body)
    api = Api(bench.admin_port, bench.pki / "server-ca.pem", bench.token.read_text().strip())
    found["import-again"], _ = timed(api.call, "POST", "/api/v1/devices/import", body, Content_Type="application/x-ndjson")
    cursor, last = None, count // PAGE
    for _ in range(last - 1):
        cursor = json.loads(api.call("GET", page(**({"cursor": cursor} if cursor else {}))))["next"]
    first, far = [], []
    for _ in range(21):  # in turn
        first.append(timed(api.call, "GET", page())[0])
        far.append(timed(api.call, "GET", page(cursor=cursor))[0])
    found["page-1"], found["page-1000"] = statistics.median(first), statistics.median(far)
    found["filter-page"] = middle(lambda: api.call("GET", page(filter=f"product == {PRODUCT} and id ~ dev-09*")))
    found["filter-tag-page"] = middle(lambda: api.call("GET", page(filter="tag == odd and hardware == " + HARDWARE)))
    found["sort-page"] = middle(lambda: api.call("GET", page(sort="-last_seen")))
    before = server.private_kib()
    found["lines"], data = timed(api.call, "GET", "/api/v1/devices", Accept="application/x-ndjson")
    if data.count(b"\n") < count:
        sys.exit(f"tools/bench: {data.count(10)} lines of {count} devices")
    found["lines-kib"] = server.private_kib() - before
    return found


def show(found):
    print(f"{'':44} {'ms':>10}  goal")
    for name, title, goal in ROWS:
        if name in found:
            print(f"{title:44} {found[name]:10.1f}  {'<= ' + str(goal) if goal else ''}")
    print(f"page 1,000 against page 1: {found['page-1000'] / found['page-1']:.2f} (goal <= 1.2); memory of the NDJSON stream: {found['lines-kib']} KiB")


def main(base, arguments):
    """base: the module of tools/bench."""
    import argparse

    parser = argparse.ArgumentParser(prog="tools/bench fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=100000)
    parser.add_argument("--binary", type=pathlib.Path, help="folder of pawld, pawl and tests/bench_fleet; without it a release is built")
    parser.add_argument("--keep-folder", action="store_true")
    options = parser.parse_args(arguments)
    if not options.binary:
        base.run(base.ROOT / "tools/build")
        base.run("cmake", "--build", base.ROOT / "build", "--target", "bench_fleet")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="pawl-bench."))
    server = None
    try:
        bench = base.Bench.bare(folder, (options.binary or base.ROOT / "build").resolve())
        server = bench.start_pawld()
        image = folder / "fleet.img"
        image.write_bytes(b"an image" * 1000)
        bench.publish_image(image, PRODUCT, HARDWARE)
        found = measure_api(bench, server, options.devices)
        server.stop()
        server = None
        for line in base.run(bench.binaries / "tests/bench_fleet", folder / "data", PRODUCT, "1.0.0").splitlines():
            row = json.loads(line)
            found[row["row"]] = row["ms"]
        print(f"{options.devices} devices, everything on this machine and over loopback")
        show(found)
        (base.ROOT / "build").mkdir(exist_ok=True)
        (base.ROOT / "build/bench-fleet.json").write_text(json.dumps({"devices": options.devices, "ms": found}, indent=2) + "\n")
    finally:
        if server:
            server.stop()
        if options.keep_folder:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
