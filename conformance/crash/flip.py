"""Flipped bits in stored parts: what they hit is reported and set aside, everything else is served."""

import glob
import json
import os
import random
import subprocess

from crash import ledger as ledgers
from crash.load import METRICS_OF_A_WRITER, body
from harness import outcome, server as live
from harness.api import Api
from harness.postgres import free_port

REQUESTS = 300
FLIPS = 3


def program() -> str:
    """The built program, chosen as serve-metric does."""
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "nephometer", "target")
    found = [os.environ.get("NEPHOMETER_BIN", ""), f"{target}/release/nephometer", f"{target}/debug/nephometer"]
    return next(path for path in found if path and os.path.exists(path))


def part_files(data: str) -> list[str]:
    """The files of immutable parts under a data directory."""
    return sorted(path for path in glob.glob(f"{data}/**/parts/*.raw", recursive=True) if os.path.getsize(path) > 0)


def flip_bits(path: str, rng: random.Random) -> None:
    """Changes a few bytes in the first half of a file, where the blocks are."""
    with open(path, "r+b") as file:
        size = os.path.getsize(path)
        for _ in range(FLIPS):
            at = rng.randrange(size // 8, max(size // 8 + 1, size // 2))
            file.seek(at)
            byte = file.read(1)[0]
            file.seek(at)
            file.write(bytes([byte ^ (1 << rng.randrange(8))]))


def run(command: str, seed: int, tally: outcome.Outcome) -> None:
    """Writes, stops, flips, starts, reads."""
    rng = random.Random(seed)
    admin = f"127.0.0.1:{free_port()}"
    with live.Server(command, environment={**live.BUSY_ENGINE, "MAX_LIMIT": "1000", "ADMIN_LISTEN": admin}) as server:
        api = Api(server.port)
        api.want(201, "POST", "/v1/archive_policy", body={
            "name": "long", "aggregation_methods": ["count", "sum"],
            "definition": [{"granularity": 1, "points": ledgers.FINE_POINTS}, {"granularity": 60, "points": 100_000}]})
        ids = [api.want(201, "POST", "/v1/metric", body={"archive_policy_name": "long"})["id"] for _ in range(METRICS_OF_A_WRITER)]
        book = ledgers.Ledger(os.path.join(server.root, "ledger-flip"))
        for request in range(REQUESTS):
            status, _ = api.send("POST", "/v1/batch/metrics/measures", body(0, ids, request))
            if status == 202:
                book.acknowledged.add(request)
        api.close()
        server.stop()
        parts = part_files(server.data)
        if not tally.check("a stopped server leaves parts", bool(parts), str(os.listdir(server.data))):
            return
        flip_bits(rng.choice(parts), rng)
        server.start()
        judge(server, ids, book, tally)


def judge(server: live.Server, ids: list[str], book: ledgers.Ledger, tally: outcome.Outcome) -> None:
    """What a server must do that finds a damaged part."""
    api = Api(server.port)
    whole, hurt, refused = 0, 0, []
    for n, metric_id in enumerate(ids):
        status, answer = api.call("GET", f"/v1/metric/{metric_id}/measures", {"aggregation": "count", "granularity": 60})
        if status != 200:
            refused.append((metric_id, status, str(answer)[:200]))
        elif ledgers.metric_problem(api, metric_id, 0, n, book, fine=True) is None:
            whole += 1
        else:
            hurt += 1
    tally.check("every metric is answered", not refused, str(refused[:3]))
    tally.check("damage costs blocks, not everything", whole > 0, f"{whole} metrics whole, {hurt} hurt")
    arguments = [program(), "status", "--json", "--set", f"storage.data_dir={server.data}"]
    status = subprocess.run(arguments, capture_output=True, text=True, check=False, timeout=30)
    tally.check("status reports quarantine", quarantined(status.stdout) > 0, (status.stdout + status.stderr)[:600])
    status_code, _ = api.send("POST", "/v1/batch/metrics/measures", body(0, ids, REQUESTS))
    tally.equal("a damaged store takes writes", status_code, 202)
    api.close()
    print(f"flipped: {whole} metrics whole, {hurt} hurt", flush=True)


def quarantined(text: str) -> float:
    """The sum of all numbers under keys that speak of quarantine, anywhere in the status."""

    def walk(node: object, inside: bool) -> float:
        if isinstance(node, dict):
            return sum(walk(child, inside or "quarantine" in key) for key, child in node.items())
        if isinstance(node, list):
            return float(len(node)) if inside and node else sum(walk(child, inside) for child in node)
        return float(node) if inside and isinstance(node, (int, float)) and not isinstance(node, bool) else 0.0

    try:
        return walk(json.loads(text), False)
    except ValueError:
        return 0.0
