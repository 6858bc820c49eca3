"""Runs aodhclient 3.12's own functional tests, unmodified from its PyPI package, against a fresh server.

    alarming.py [--slow-seconds N] [pytest arguments]

They call the program `aodh` of this environment, signed in as the client's `aodh-noauth` does it. The resource that one of
them makes is made by our own metric API; where they ask whether a Prometheus is there, a stub says so. Ends with
'N passed, N failed'.
"""

import argparse
import http.server
import os
import pathlib
import subprocess
import sys
import threading
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import outcome, server as live  # noqa: E402
from harness.postgres import free_port  # noqa: E402

WANTED = 17


class Prometheus(http.server.BaseHTTPRequestHandler):
    """Says that it runs."""

    def do_GET(self) -> None:
        """Any reading."""
        body = b'{"status": "success", "data": {}}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def run(environment: dict[str, str], report: str, extra: list[str], seconds: int) -> None:
    """pytest over the package's functional tests, with its report as JUnit XML."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--timeout={seconds}",
               f"--junit-xml={report}", "--pyargs", "aodhclient.tests.functional", *extra]
    subprocess.run(command, env={**os.environ, **environment}, check=False, stdin=subprocess.DEVNULL)


def main() -> int:
    """Starts the server, runs, weighs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--slow-seconds", type=int, default=300, help="limit of one test")
    args, extra = parser.parse_known_args()
    tally = outcome.Outcome()
    alarm_port = free_port()
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true", "ALARM_LISTEN": f"127.0.0.1:{alarm_port}",
                "NEPHOMETER__ALARM__ENABLE_EVALUATION_RESULTS_METRICS": "true"}
    prometheus = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Prometheus)
    threading.Thread(target=prometheus.serve_forever, daemon=True).start()
    with live.Server(live.OURS, environment=settings) as server:
        report = os.path.join(server.root, "report.xml")
        environment = {
            "AODH_CLIENT_EXEC_DIR": os.path.dirname(sys.executable),
            "AODH_ENDPOINT": f"http://127.0.0.1:{alarm_port}",
            "GNOCCHI_ENDPOINT": f"http://admin:any@127.0.0.1:{server.port}",
            "PROMETHEUS_ENDPOINT": f"http://127.0.0.1:{prometheus.server_port}",
            "OS_ADMIN_CLOUD": "",
            "OS_AUTH_TYPE": "aodh-noauth",
            "AODH_USER_ID": "u1",
            "AODH_PROJECT_ID": "p1",
            "AODH_ROLES": "admin",
        }
        run(environment, report, extra, args.slow_seconds)
        cases = list(ElementTree.parse(report).iter("testcase"))
    prometheus.shutdown()
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error", "skipped")]
        tally.check(case.get("name", "?"), not bad, bad[0].get("message", "")[:300] if bad else "")
    if not extra:
        tally.check("all of upstream's client tests ran", len(cases) == WANTED, f"{len(cases)} of {WANTED}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
