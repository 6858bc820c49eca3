#!/usr/bin/env python3
"""What files of Ceilometer's formats mean, here and upstream: `conformance/pipeline/differential.py`.

Random messages are signed by Ceilometer's own code and by ours, and each side's signature must verify at the other. Random
expressions are evaluated by Python itself and by our engine, random paths followed by `jsonpath-rw-ext` and by ours. Definitions
of dynamic pollsters, listed ones and random ones, are polled by Ceilometer's own code and by ours over the same answers.

Options: `--cases N` of each (3000), `--seed N`. Ends with `N passed, N failed`. Needs a Python that has Ceilometer:
`$(conformance/venv ceilometer)/bin/python`.
"""

import argparse
import pathlib
import random
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import dynamic  # noqa: E402
import expressions  # noqa: E402
import paths  # noqa: E402
import signatures  # noqa: E402
from harness.outcome import Outcome  # noqa: E402


def main() -> int:
    options = argparse.ArgumentParser()
    options.add_argument("--cases", type=int, default=3000)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("parts", nargs="*", default=["signatures", "expressions", "paths", "dynamic"])
    given = options.parse_args()
    outcome = Outcome()
    for part in given.parts:
        made = random.Random(f"{part} {given.seed}")
        {"signatures": signatures, "expressions": expressions, "paths": paths, "dynamic": dynamic}[part].compare(made, given.cases, outcome)
    return outcome.finish()


if __name__ == "__main__":
    sys.exit(main())
