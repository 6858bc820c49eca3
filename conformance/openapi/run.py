"""Schemathesis over the OpenAPI documents that the server serves of its metric API and of its alarm API.

    openapi/run.py [--server CMD] [--examples N] [--seed N] [--seconds N] [--only open|keystone] [--api metric|alarm]

Generated requests, valid and invalid, must never be answered with a 5xx, nor with a status that the document does not list
for the operation: as administrator who is believed (by basic authentication, and for alarms by what the headers say), and
with tokens of a real Keystone as administrator and as member of a project. With Keystone, what the document guards must
also refuse callers without a token or with one that is none.
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
from harness.postgres import free_port  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
# Where each API's document is.
DOCUMENTS = {"metric": "/v1/openapi.json", "alarm": "/v2/openapi.json"}
# How an administrator is believed: `basic YWRtaW46` is the user admin with an empty password.
BELIEVED = {
    "metric": ["Authorization: basic YWRtaW46"],
    "alarm": ["X-User-Id: u1", "X-Project-Id: p1", "X-Roles: admin"],
}
CHECKS = "not_a_server_error,status_code_conformance"


def operations(document_url: str) -> int:
    """How many operations a served document has, but for the one that serves it: that is read, not tried."""
    with urllib.request.urlopen(document_url, timeout=10) as answer:
        document = json.load(answer)
    methods = {"get", "put", "post", "delete", "patch", "head", "options"}
    return sum(len(methods & set(item)) for path, item in document["paths"].items() if not path.endswith("openapi.json"))


def fuzz(document_url: str, headers: list[str], checks: str, report: str, args: argparse.Namespace) -> int:
    """Runs the program; its exit status."""
    command = [
        os.path.join(os.path.dirname(sys.executable), "schemathesis"), "--config-file", f"{HERE}/schemathesis.toml", "run", document_url,
        "--checks", checks, "--phases", "examples,coverage,fuzzing",
        "--max-examples", str(args.examples), "--seed", str(args.seed), "--request-timeout", "20",
        "--continue-on-failure", "--generation-database", "none", "--report", "junit", "--report-junit-path", report, "--no-color"]
    for header in headers:
        command += ["--header", header]
    environment = {**os.environ, "SCHEMATHESIS_HOOKS": "hooks", "PYTHONPATH": HERE}
    # It leaves its working files where it is started: in the server's directory, which goes away.
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False, timeout=args.seconds, cwd=os.path.dirname(report),
                          env=environment).returncode


def prove(tally: outcome.Outcome, api: str, who: str, command: str, headers: list[str], checks: str, args: argparse.Namespace) -> None:
    """Starts a server of its own, fuzzes one of its APIs as one caller, counts."""
    caller = f"{api}, {who}"
    print(f"-- {caller}", flush=True)
    alarm_port = free_port()
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true", "ALARM_LISTEN": f"127.0.0.1:{alarm_port}",
                "NEPHOMETER__ALARM__ENABLE_EVALUATION_RESULTS_METRICS": "true"}
    with live.Server(command, environment=settings) as server:
        port = alarm_port if api == "alarm" else server.port
        live.wait_for(port)
        document_url = f"http://127.0.0.1:{port}{DOCUMENTS[api]}"
        wanted = operations(document_url)
        report = os.path.join(server.root, "report.xml")
        status = fuzz(document_url, headers, checks, report, args)
        cases = list(ElementTree.parse(report).iter("testcase"))
        alive = live.answers(port)
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
    parser.add_argument("--only", choices=("open", "keystone"))
    parser.add_argument("--api", choices=tuple(DOCUMENTS), help="one API only")
    args = parser.parse_args()
    tally = outcome.Outcome()
    apis = [args.api] if args.api else list(DOCUMENTS)
    if args.only != "keystone":
        for api in apis:
            prove(tally, api, "believed", args.server, BELIEVED[api], CHECKS, args)
    if args.only != "open":
        with keystone.Keystone() as identity:
            command = f"{args.server} {identity.settings()}"
            for api in apis:
                for user, project in (("c-admin", "c"), ("a-member", "a")):
                    token = f"X-Auth-Token: {identity.token(user, project)}"
                    prove(tally, api, user, command, [token], f"{CHECKS},ignored_auth", args)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
