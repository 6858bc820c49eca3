"""The twin run: the same requests to real Gnocchi 4.7.1 and to our server, every answer compared.

    twin/run.py [--server CMD] [--seed N] [--cases N] [--part corpus|generated] [--show N] [--verbose]

First a corpus written by hand: every route, good and bad. Then `--cases` requests made from the seed. Both servers start on empty stores. What is meant to differ stands
with its reason in `rules.py`. Ends with 'N passed, N failed'.
"""

import argparse
import pathlib
import random
import sys
from collections import Counter
from typing import Iterator

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import outcome, server as live  # noqa: E402
from twin import corpus, generated, rules  # noqa: E402
from twin.pair import Pair, Request, difference, same  # noqa: E402
from twin.steps import Keep, Step, settle  # noqa: E402


def play(pair: Pair, steps: Iterator[Step], tally: outcome.Outcome, verbose: bool) -> Counter[str]:
    """Sends every request to both and weighs the answers; returns how often each rule was used."""
    used: Counter[str] = Counter()
    for step in steps:
        if step is settle:
            pair.settle()
            continue
        if isinstance(step, Keep):
            pair.keep(step.name, step.path, *step.keys)
            continue
        assert isinstance(step, Request)
        ours, peer = pair.ask(step)
        equal = ours.status == peer.status and ours.headers == peer.headers and same(ours.body, peer.body)
        rule = None if equal else rules.excuse(step, ours, peer)
        if rule:
            used[rule] += 1
        if verbose:
            print(f"{step.shown()}\n    ours {ours.shown()}\n    peer {peer.shown()}", flush=True)
        tally.check(step.shown(), equal or rule is not None, f"\n    ours {ours.shown()}\n    peer {peer.shown()}\n"
                    f"    differs {'' if same(ours.body, peer.body) else difference(ours.body, peer.body)}")
    return used


def run(args: argparse.Namespace, tally: outcome.Outcome, part: str, steps: Iterator[Step], limit: int) -> None:
    """One part on two fresh servers."""
    environment = {"MAX_LIMIT": str(limit)}
    with live.Server(args.server, environment=environment) as ours, live.Server(live.PEER, environment=environment) as peer:
        used = play(Pair(ours.port, peer.port), steps, tally, args.verbose)
    print(f"{part}: wanted differences: " + ("; ".join(f"{n} x {rule}" for rule, n in sorted(used.items())) or "none"), flush=True)


def main() -> int:
    """One run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--cases", type=int, default=400)
    parser.add_argument("--part", choices=("corpus", "generated"))
    parser.add_argument("--show", type=int, default=40)
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    tally = outcome.Outcome(show_at_most=args.show)
    if args.part != "generated":
        run(args, tally, "corpus", corpus.steps(), 7)
    if args.part != "corpus":
        print(f"seed {args.seed}", flush=True)
        run(args, tally, "generated", generated.steps(random.Random(args.seed), args.cases), 1000)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
