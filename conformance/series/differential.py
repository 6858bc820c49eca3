#!/usr/bin/env python3
"""Random series through our arithmetic and through Gnocchi's own functions: `conformance/series/differential.py`.

Both answer the same seeded questions; ours through `crates/series/examples/oracle.rs`, one JSON object a line.
Everything must be equal to the last bit, but for what has no one right last bit: percentiles (upstream's rank depends
on neighbouring buckets) and functions of the mathematics library. Those agree within 1e-9 of the values that went in.

Options: `--cases N` (3000), `--seed N`, `--python FILE` (an interpreter that has Gnocchi; without it the script makes
its own environment with `conformance/venv gnocchi`). Ends with `N passed, N failed`.
"""

import argparse
import os
import pathlib
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--python", help="an interpreter that has Gnocchi")
    return parser.parse_args()


def interpreter(named: str | None) -> str:
    if named:
        return named
    made = subprocess.run([ROOT / "conformance" / "venv", "gnocchi"], check=True, stdout=subprocess.PIPE, text=True)
    return f"{made.stdout.strip()}/bin/python"


def main() -> int:
    chosen = options()
    try:
        import gnocchi  # noqa: F401
    except ImportError:
        python = interpreter(chosen.python)
        if python == sys.executable:
            raise
        os.execv(python, [python, __file__, *sys.argv[1:]])
    sys.path[:0] = [str(HERE), str(ROOT / "conformance")]
    import comparison

    return comparison.run(ROOT, chosen.cases, chosen.seed)


if __name__ == "__main__":
    sys.exit(main())
