"""Runs gnocchiclient 7.2's own functional tests, unmodified from its PyPI package, against a fresh server.

    run.py [--server CMD | --peer] [--slow-seconds N] [pytest arguments]

They call the programs `gnocchi` and `openstack` of this environment. All of them must run: 17, and the 5 benchmark tests
that upstream's own test run leaves out; for those site/sitecustomize.py mends what their worker processes stumble over. Ends with 'N passed, N failed'.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import outcome, server as live  # noqa: E402

WANTED = 22


def run(url: str, report: str, extra: list[str], seconds: int) -> None:
    """pytest over the package's functional tests, with its report as JUnit XML."""
    repairs = str(pathlib.Path(__file__).resolve().parent / "site")
    environment = {**os.environ, "PYTHONPATH": repairs, "GNOCCHI_CLIENT_EXEC_DIR": os.path.dirname(sys.executable),
                   "PIFPAF_GNOCCHI_HTTP_URL": url}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={seconds}",
               f"--junit-xml={report}", "--pyargs", "gnocchiclient.tests.functional", *extra]
    subprocess.run(command, env=environment, check=False, stdin=subprocess.DEVNULL)


def main() -> int:
    """Starts the server, runs, weighs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--slow-seconds", type=int, default=300, help="limit of one test")
    args, extra = parser.parse_known_args()
    tally = outcome.Outcome()
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true"}
    with live.Server(live.PEER if args.peer else args.server, environment=settings) as server:
        report = os.path.join(server.root, "report.xml")
        run(server.url(), report, extra, args.slow_seconds)
        cases = list(ElementTree.parse(report).iter("testcase"))
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        tally.check(case.get("name", "?"), not bad, bad[0].get("message", "")[:300] if bad else "")
    if not extra:
        tally.check("all of upstream's client tests ran", len(cases) == WANTED, f"{len(cases)} of {WANTED}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
