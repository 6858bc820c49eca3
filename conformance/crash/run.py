"""The crash proof.

    crash/run.py [--server CMD] [--rounds N] [--seed N] [--part kill --part disk --part flip]

kill: writers post batches; the server is killed with SIGKILL at a random moment and started again, N times (10 by
default, 100 in the long run); every acknowledged measure must be there exactly once, and the server must answer within
3 s. disk: a small disk fills up. flip: bits of a stored part are flipped. Ends with 'N passed, N failed'.
"""

import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from crash import disk_full, flip, kill  # noqa: E402
from harness import outcome, server as live  # noqa: E402

PARTS = ("kill", "disk", "flip")


def main() -> int:
    """Runs the chosen parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--part", action="append", choices=PARTS, default=[])
    args = parser.parse_args()
    parts = args.part or PARTS
    tally = outcome.Outcome()
    for part in parts:
        print(f"crash: {part}", flush=True)
        try:
            if part == "kill":
                kill.run(args.server, args.rounds, args.seed, tally)
            elif part == "disk":
                disk_full.run(args.server, tally)
            else:
                flip.run(args.server, args.seed, tally)
        except (RuntimeError, OSError) as error:
            tally.check(part, False, repr(error))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
