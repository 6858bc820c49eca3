"""Schemathesis over the OpenAPI document that the server serves of itself.

    openapi/run.py [--server CMD] [--examples N] [--seed N] [--seconds N] [--only basic|keystone]

Generated requests, valid and invalid, must never be answered with a 5xx, nor with a status that the document does not list
for the operation: with basic authentication as administrator, and with tokens of a real Keystone as administrator and as
member of a project. With Keystone, what the document guards must also refuse callers without a token or with one that
is none.
Ends with 'N passed, N failed', counted in operations.
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

from harness import keystone, outcome, server as live  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# `basic YWRtaW46`: user admin, empty password.
AUTHORIZATION = "Authorization: basic YWRtaW46"
CHECKS = "not_a_server_error,status_code_conformance"


def operations(url: str) -> int:
    """How many operations the served document has, but for the one that serves it: that is read, not tried."""
    with urllib.request.urlopen(f"{url}/v1/openapi.json", timeout=10) as answer:
        document = json.load(answer)
    methods = {"get", "put", "post", "delete", "patch", "head", "options"}
    return sum(len(methods & set(item)) for path, item in document["paths"].items() if not path.endswith("openapi.json"))


def fuzz(url: str, header: str, checks: str, report: str, args: argparse.Namespace) -> int:
    """Runs the program; its exit status."""
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", f"{HERE}/schemathesis.toml", "run", f"{url}/v1/openapi.json", "--header", header,
        "--checks", checks, "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(args.examples), "--seed", str(args.seed), "--request-timeout", "20",
        "--continue-on-failure", "--generation-database", "none", "--report", "junit", "--report-junit-path", report, "--no-color"]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE}
    # It leaves its working files where it is started: in the server's directory, which goes away.
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=args.seconds, cwd=os.path.dirname(report),
                          env=environment).returncode


def prove(tally: outcome.Outcome, caller: str, command: str, header: str, checks: str, args: argparse.Namespace) -> None:
    """Starts a server of its own, fuzzes it as one caller, counts."""
    print(f"-- {caller}", flush=True)
    with live.Server(command, environment={"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true"}) as server:
        wanted = operations(server.url())
        report = os.path.join(server.root, "report.xml")
        status = fuzz(server.url(), header, checks, report, args)
        cases = list(ElementTree.parse(report).iter("testcase"))
        alive = live.answers(server.port)
    failed = tally.failed
    for case in cases:
        bad = [child for child in case if child.tag in ("failure", "error")]
        tally.check(f"{caller}: {case.get('name', '?')}", not bad, (bad[0].text or bad[0].get("message", ""))[:400] if bad else "")
    tally.check(f"{caller}: every operation of the document was tried", len(cases) >= wanted, f"{len(cases)} of {wanted}")
    tally.check(f"{caller}: the server lives", alive and (status == 0 or tally.failed > failed), f"schemathesis left with {status}")


def main() -> int:
    """One caller after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--examples", type=int, default=15)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--only", choices=("basic", "keystone"))
    args = parser.parse_args()
    tally = outcome.Outcome()
    if args.only != "keystone":
        prove(tally, "basic", args.server, AUTHORIZATION, CHECKS, args)
    if args.only != "basic":
        with keystone.Keystone() as identity:
            command = f"{args.server} {identity.settings()}"
            for user, project in (("c-admin", "c"), ("a-member", "a")):
                token = f"X-Auth-Token: {identity.token(user, project)}"
                prove(tally, f"keystone, {user}", command, token, f"{CHECKS},ignored_auth", args)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
