"""Schemathesis over the OpenAPI document that the server serves of itself.

    openapi/run.py [--server CMD] [--examples N] [--seed N] [--seconds N]

Generated requests, valid and invalid, must never be answered with a 5xx, nor with a status that the document does not list
for the operation. Ends with 'N passed, N failed', counted in operations.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import urllib.request
import xml.etree.ElementTree as ElementTree

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from harness import outcome, server as live  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# `basic YWRtaW46`: user admin, empty password.
AUTHORIZATION = "Authorization: basic YWRtaW46"


def operations(url: str) -> int:
    """How many operations the served document has, but for the one that serves it: that is read, not tried."""
    with urllib.request.urlopen(f"{url}/v1/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    methods = {"get", "put", "post", "delete", "patch", "head", "options"}
    return sum(len(methods & set(item)) for path, item in document["paths"].items() if not path.endswith("openapi.json"))


def fuzz(url: str, report: str, examples: int, seed: int, seconds: int) -> int:
    """Runs the program; its exit status."""
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", f"{HERE}/schemathesis.toml", "run", f"{url}/v1/openapi.json", "--header", AUTHORIZATION,
        "--checks", "not_a_server_error,status_code_conformance", "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(examples), "--seed", str(seed), "--request-timeout", "20",
        "--continue-on-failure", "--generation-database", "none", "--report", "junit", "--report-junit-path", report, "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE}
    # It leaves its working files where it is started: in the server's directory, which goes away.
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=seconds, cwd=os.path.dirname(report),
                          env=environment).returncode


def main() -> int:
    """Starts the server, fuzzes, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--examples", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=600)
    args = parser.parse_args()
    tally = outcome.Outcome()
    with live.Server(args.server, environment={"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true"}) as server:
        wanted = operations(server.url())
        report = os.path.join(server.root, "report.xml")
        status = fuzz(server.url(), report, args.examples, args.seed, args.seconds)
        cases = list(ElementTree.parse(report).iter("testcase"))
        alive = live.answers(server.port)
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error")]
        tally.check(case.get("name", "?"), not bad, (bad[0].text or bad[0].get("message", ""))[:400] if bad else "")
    tally.check("every operation of the document was tried", len(cases) >= wanted, f"{len(cases)} of {wanted}")
    tally.check("the server lives", alive and (status == 0 or tally.failed > 0), f"schemathesis left with {status}")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
