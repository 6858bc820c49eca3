"""The proof of alarms under crashes.

    alarms/run.py [--rounds N] [--seed N] [--seconds N] [--part NAME...]

kill: 250 alarms are fed, and 20 new ones in each round; the server that evaluates and notifies is killed with SIGKILL at a
random moment and started again, N times (5 by default, 50 in the long run), while receivers refuse and hang. kill-apart: the
same with the APIs, two evaluators and two notifiers as processes over PostgreSQL, some of which are killed each time. pause:
one of two evaluators is stopped for longer than its lease and resumed. latency and latency-apart: from a measure to its
webhook at 1,000 measures a second, in one process and in three. Needs Python and PostgreSQL. Ends with 'N passed, N failed'.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from alarms import kill, latency, pause  # noqa: E402
from alarms.processes import Apart, Together  # noqa: E402
from harness import outcome  # noqa: E402

PARTS = ("kill", "kill-apart", "pause", "latency", "latency-apart")


def run(part: str, args: argparse.Namespace, tally: outcome.Outcome) -> None:
    """One part."""
    if part == "kill":
        kill.run(args.rounds, args.seed, Together(), tally)
    elif part == "kill-apart":
        kill.run(args.rounds, args.seed, Apart(), tally)
    elif part == "pause":
        pause.run(args.rounds, args.seed, tally)
    elif part == "latency":
        latency.run(args.seconds, args.seed, Together(), tally)
    else:
        latency.run(args.seconds, args.seed, Apart(evaluators=1, notifiers=1), tally)


def main() -> int:
    """Runs the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=20, help="how long the latency is measured")
    parser.add_argument("--part", action="append", choices=PARTS, default=[])
    args = parser.parse_args()
    tally = outcome.Outcome()
    for part in args.part or PARTS:
        print(f"alarms: {part}", flush=True)
        try:
            run(part, args, tally)
        except (RuntimeError, OSError) as error:
            tally.check(part, False, repr(error))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
