"""kill -9 under load, again and again, on the same data."""

import os
import random
import time

from crash import ledger as ledgers
from crash.load import METRICS_OF_A_WRITER, Writers
from harness import outcome, server as live
from harness.api import Api

WRITERS = 4
START_SECONDS = 3.0
# After most kills this many requests of each writer are looked at, after every 20th all of them.
LAST_REQUESTS = 3000
FULL_EVERY = 20
# Short partitions, so that a run's data lies in many parts.
SETTINGS = {"MAX_LIMIT": "1000", "NEPHOMETER__ENGINE__PARTITION_SECONDS": "3600", **live.BUSY_ENGINE}
# The first keeps every second for the whole run; the second soon has only its coarse slots.
POLICIES = {
    "long": [{"granularity": 1, "points": ledgers.FINE_POINTS}, {"granularity": 60, "points": 100_000}],
    "short": [{"granularity": 1, "points": 60}, {"granularity": 60, "points": 100_000}],
}


def make_metrics(api: Api) -> list[list[str]]:
    """The metrics of each writer: of every policy in turn."""
    for name, definition in POLICIES.items():
        methods = ["count", "sum", "min", "max", "last", "mean"]
        api.want(201, "POST", "/v1/archive_policy", body={"name": name, "definition": definition, "aggregation_methods": methods})
    policies = sorted(POLICIES)
    return [[api.want(201, "POST", "/v1/metric", body={"archive_policy_name": policies[n % len(policies)]})["id"]
             for n in range(METRICS_OF_A_WRITER)] for _ in range(WRITERS)]


def is_long(metric: int) -> bool:
    """Whether a metric keeps every second."""
    return sorted(POLICIES)[metric % len(POLICIES)] == "long"


def answered(server: live.Server, busy: bool) -> float:
    """Starts the server, by turns with its own settings and with an engine that flushes and merges all the time; seconds
    until a reading of the API is answered."""
    others = {name: text for name, text in server.environment.items() if name not in live.BUSY_ENGINE}
    server.environment = {**others, **(live.BUSY_ENGINE if busy else {})}
    began = time.monotonic()
    server.start()
    api = Api(server.port)
    api.want(200, "GET", "/v1/status", {"details": "false"})
    api.close()
    return time.monotonic() - began


def verify(server: live.Server, ids: list[list[str]], books: list[ledgers.Ledger], rng: random.Random, everything: bool) -> str | None:
    """Every metric's last coarse slots and all seconds of a few metrics, or everything; the first problem."""
    api = Api(server.port)
    try:
        for writer, book in enumerate(books):
            for metric, metric_id in enumerate(ids[writer]):
                fine = is_long(metric) and rng.random() < (1.0 if everything else 0.1)
                first = 0 if everything else max(0, book.next - LAST_REQUESTS)
                problem = ledgers.metric_problem(api, metric_id, writer, metric, book, fine, first)
                if problem:
                    return problem
            long_one = next(metric for metric in range(METRICS_OF_A_WRITER) if is_long(metric))
            ledgers.remember_seen(api, ids[writer][long_one], book)
    finally:
        api.close()
    return None


def round_of(server: live.Server, ids: list[list[str]], books: list[ledgers.Ledger], rng: random.Random) -> tuple[int, float]:
    """Load, kill at a random moment, start again; requests acknowledged, and seconds until the server answered."""
    writers = Writers(server.port, ids, books)
    time.sleep(rng.uniform(0.05, 1.2))
    server.kill()
    if not writers.join():
        raise RuntimeError("writers did not notice that the server is gone")
    acknowledged = sum(book.update() for book in books)
    return acknowledged, answered(server, busy=rng.random() < 0.7)


def run(command: str, rounds: int, seed: int, tally: outcome.Outcome) -> None:
    """All rounds, and a last check of everything."""
    rng = random.Random(seed)
    with live.Server(command, environment=SETTINGS) as server:
        ids = make_metrics(Api(server.port))
        books = [ledgers.Ledger(os.path.join(server.root, f"ledger-{writer}")) for writer in range(WRITERS)]
        slowest, total = 0.0, 0
        for number in range(rounds):
            acknowledged, seconds = round_of(server, ids, books, rng)
            total, slowest = total + acknowledged, max(slowest, seconds)
            tally.check(f"round {number} starts in time", seconds < START_SECONDS, f"{seconds:.2f} s")
            problem = verify(server, ids, books, rng, everything=number % FULL_EVERY == FULL_EVERY - 1)
            tally.check(f"round {number} keeps what it acknowledged", problem is None, str(problem))
            if number % 10 == 9:
                print(f"  {number + 1} kills, {total} requests acknowledged, {tally.failed} failures", flush=True)
            tally.check(f"round {number} had load", acknowledged > 0 and not any(b.strange for b in books),
                        f"{acknowledged} acknowledged, strange answers {[b.strange[:3] for b in books]}")
        problem = verify(server, ids, books, rng, everything=True)
        tally.check("everything is there in the end", problem is None, str(problem))
        measures = total * METRICS_OF_A_WRITER * ledgers.STRETCH_SECONDS
        print(f"{rounds} kills, {total} requests acknowledged ({measures} measures), slowest start {slowest:.2f} s", flush=True)
