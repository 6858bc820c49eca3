"""The proof of alarms under crashes.

    alarms/run.py [--rounds N] [--seed N] [--seconds N] [--part kill --part latency]

kill: 250 alarms are fed, and 20 new ones in each round; the server that evaluates and notifies is killed with SIGKILL at a
random moment and started again, N times (5 by default, 50 in the long run), while receivers refuse and hang. latency: from a
measure to its webhook at 1,000 measures a second. Needs only Python. Ends with 'N passed, N failed'.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from alarms import kill, latency  # noqa: E402
from harness import outcome  # noqa: E402

PARTS = ("kill", "latency")


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
            if part == "kill":
                kill.run(args.rounds, args.seed, tally)
            else:
                latency.run(args.seconds, args.seed, tally)
        except (RuntimeError, OSError) as error:
            tally.check(part, False, repr(error))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
