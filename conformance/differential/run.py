"""The differential proof: random worlds on a fresh server, every answer compared with upstream's own code.

    differential/run.py [--server CMD | --peer] [--seed N] [--cases N] [--families N] [--members N]

At least `--cases` queries are asked (5,000 by default) of one world, half as many of another one on a server whose engine
flushes and merges all the time, and of a third one whose engine lets rollups take the place of raw measures early; the same
for the same seed. In the middle of the first two, policies change and spans are deleted. A part of the queries is asked
again after the server was stopped and started on the same data. With `--peer` real Gnocchi is asked instead, every metric written in
one request, which proves the reference itself (a few readings at the edges of upstream's splits of 3600 points differ:
it drops splits by the newest aggregate of whichever method it looked at last). Ends with 'N passed, N failed'.
"""

import argparse
import dataclasses
import pathlib
import random
import sys
import time
from collections import Counter
from typing import Any, Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from differential import beyond, loading, world  # noqa: E402
from differential.queries import Asker, Query, Resource  # noqa: E402
from differential.reference import Metric, Undefined, truth_as_numbers  # noqa: E402
from harness import outcome, server as live  # noqa: E402
from harness.api import Api  # noqa: E402

ASKED_AGAIN = 1000
# Time for a busy engine to flush and merge what it was started on.
BUSY_SECONDS = 4.0
KEEP_RAW = {"NEPHOMETER__ENGINE__MIN_RAW_SECONDS": str(1 << 32)}
ROLL_UP_EARLY = {"NEPHOMETER__ENGINE__MIN_RAW_SECONDS": "0"}


def prepare(api: Api, rng: random.Random, args: argparse.Namespace, all_ordered: bool = False) -> Asker:
    """Makes and writes a world; returns what asks about it."""
    made = world.random_world(rng, args.families, args.members, args.peer, all_ordered)
    loading.create(api, made, rng)
    began = time.monotonic()
    sent = loading.write(api, made, rng)
    points = sum(len(request) for series in made for request in series.requests)
    print(f"{len(made)} metrics, {points} measures in {sent} requests, {time.monotonic() - began:.1f} s", flush=True)
    metrics = [Metric(series) for series in made]
    resources = []
    for original in sorted({series.resource for series in made if series.resource}):
        found = api.want(200, "GET", f"/v1/resource/generic/{original}")
        resources.append(Resource(original, found, [m for m in metrics if m.series.resource == original]))
    return Asker(metrics, resources, splits=args.peer)


def drawn(asker: Asker, rng: random.Random, cases: int, peer: bool) -> list[Query]:
    """At least `cases` queries: every metric by every method, then random ones of every kind."""
    queries = asker.every_method()
    kinds: list[Callable[[random.Random], Query]] = [asker.random_measures] * 5 + [asker.random_aggregates] * 4 + [
        asker.random_legacy] * 2 + [asker.random_resources] * 2 + [asker.random_read] * (0 if peer else 1)
    wanted = max(cases, len(queries) + cases // 4)
    while len(queries) < wanted:
        try:
            queries.append(rng.choice(kinds)(rng))
        except Undefined:
            continue
    return queries


def ask(api: Api, queries: list[Query], tally: outcome.Outcome, when: str, peer: bool) -> None:
    """Asks and weighs. Upstream cannot print the integers that counting, or summing truth
    values, gives: on it those queries are left out."""
    wrong: Counter[str] = Counter()
    crashed = 0
    for query in queries:
        status, answer = api.call(query.method, query.path, query.params, query.body)
        if peer and status == 500 and any(word in str((query.params, query.body)) for word in ("count", "sum")):
            crashed += 1
            continue
        verdict = query.verdict(status, answer)
        name = f"{query.kind} {when}"
        if not tally.check(name, verdict is None, f"{verdict}\n      {query.method} {query.path} {query.params} {shorter(query.body)}"):
            wrong[query.kind] += 1
    print(f"{when}: {len(queries)} queries {dict(Counter(q.kind for q in queries))}, wrong {dict(wrong)}"
          + (f", {crashed} that upstream cannot print" if peer else ""), flush=True)


def shorter(body: Any) -> str:
    """A request body, cut to what a line bears."""
    return "" if body is None else str(body)[:700]


def settle_peer(api: Api) -> None:
    """Waits until upstream has processed everything that was written."""
    while api.want(200, "GET", "/v1/status")["storage"]["summary"]["measures"]:
        time.sleep(0.2)


def peer_run(args: argparse.Namespace, tally: outcome.Outcome) -> None:
    """One world on real Gnocchi."""
    rng = random.Random(args.seed)
    with live.Server(live.PEER, environment={"MAX_LIMIT": "1000"}) as server:
        api = Api(server.port)
        asker = prepare(api, rng, args)
        queries = drawn(asker, rng, args.cases, True)
        settle_peer(api)
        ask(api, queries, tally, "at once", True)
        api.close()


@dataclasses.dataclass
class Plan:
    """One world on a fresh server: settings of the engine, settings after the restart, how many queries."""

    name: str
    cases: int
    first: dict[str, str]
    then: dict[str, str]
    # Every metric's measures come in order, and nothing is changed or deleted afterwards: raw measures may go early.
    all_ordered: bool = False


def our_run(args: argparse.Namespace, tally: outcome.Outcome, seed: int, plan: Plan) -> None:
    """Writes, asks, changes, asks, restarts, asks a part again."""
    rng = random.Random(seed)
    with live.Server(args.server, environment={"MAX_LIMIT": "1000", **plan.first}) as server:
        api = Api(server.port)
        asker = prepare(api, rng, args, plan.all_ordered)
        queries = drawn(asker, rng, plan.cases, False)
        ask(api, queries, tally, f"at once, {plan.name}", False)
        if not plan.all_ordered:
            queries = drawn(beyond.change(api, rng, asker), rng, plan.cases // 2, False)
            ask(api, queries, tally, f"after changes of policies and deletions, {plan.name}", False)
        api.close()
        server.stop()
        server.environment = {name: text for name, text in server.environment.items() if name not in plan.first} | plan.then
        print(f"started again in {server.start():.2f} s", flush=True)
        time.sleep(BUSY_SECONDS)
        ask(api, rng.sample(queries, min(ASKED_AGAIN, len(queries))), tally, f"after a restart, {plan.name}", False)
        api.close()


def plans(cases: int) -> list[Plan]:
    """The worlds of a run. Late measures, deletions and new methods reach as far as raw measures do: where they occur, the
    engine is told to keep raw measures."""
    return [
        Plan("plain engine", cases, KEEP_RAW, live.BUSY_ENGINE | KEEP_RAW),
        Plan("busy engine", cases // 2, live.BUSY_ENGINE | KEEP_RAW, KEEP_RAW),
        Plan("early rollups", cases // 2, live.BUSY_ENGINE | ROLL_UP_EARLY, live.BUSY_ENGINE | ROLL_UP_EARLY, all_ordered=True),
    ]


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=5000)
    parser.add_argument("--families", type=int, default=16)
    parser.add_argument("--members", type=int, default=5)
    args = parser.parse_args()
    tally = outcome.Outcome()
    print(f"seed {args.seed}", flush=True)
    if args.peer:
        peer_run(args, tally)
    else:
        truth_as_numbers()
        for number, plan in enumerate(plans(args.cases)):
            our_run(args, tally, args.seed + 1_000_000 * number, plan)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
