"""Every command of 'openstack metric' (OpenStack's client with gnocchiclient 7.2, unmodified) once and more, signed in to a
real Keystone by `OS_*` variables: as member of a project where members may, else as they are refused and as who may.

    openstack_metric.py [--server CMD]

The endpoint is found in Keystone's catalogue. Commands run in children of this process, so that Python starts once. Ends with
'N passed, N failed'; a command of the client without a case fails.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile
import traceback
from importlib import metadata
from typing import Any, NoReturn

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "site"))

import sitecustomize  # noqa: E402
from harness import keystone, outcome, server as live  # noqa: E402
from openstackclient import shell  # noqa: E402

PROJECTS = {"a-member": "a", "b-member": "b", "c-admin": "c", "nova": "service"}
MINUTE = "2026-11-20T12:00:00"
FORBIDDEN = "HTTP 403"


def leave(words: list[str]) -> NoReturn:
    """Runs the client's main function and ends this process as it would."""
    status = 1
    try:
        status = shell.OpenStackShell().run(words)
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


class Client:
    """`openstack metric …` as any user."""

    def __init__(self, url: str, tally: outcome.Outcome) -> None:
        self.url = url
        self.tally = tally
        self.ran: list[str] = []

    def say(self, user: str, *words: str) -> tuple[int, str, str]:
        """Exit status, what is shown and what is complained of. A child says it, because the client reads its variables once."""
        self.ran.append(" ".join(words))
        with tempfile.TemporaryFile() as shown, tempfile.TemporaryFile() as complained:
            child = os.fork()
            if child == 0:
                os.dup2(shown.fileno(), 1)
                os.dup2(complained.fileno(), 2)
                os.environ.update(OS_AUTH_URL=self.url, OS_IDENTITY_API_VERSION="3", OS_USERNAME=user, OS_PASSWORD=f"pw-{user}",
                                  OS_USER_DOMAIN_NAME="Default", OS_PROJECT_NAME=PROJECTS[user], OS_PROJECT_DOMAIN_NAME="Default")
                leave(["metric", *words])
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            texts = []
            for file in (shown, complained):
                file.seek(0)
                texts.append(file.read().decode(errors="replace"))
        return status, texts[0], texts[1]

    def does(self, user: str, *words: str) -> None:
        """One check: the command succeeds."""
        status, _, complained = self.say(user, *words)
        self.tally.check(f"{user}: {' '.join(words)}", status == 0, complained[-400:])

    def shows(self, user: str, *words: str) -> Any:
        """One check: the command succeeds; what it shows."""
        status, shown, complained = self.say(user, *words, "-f", "json")
        good = self.tally.check(f"{user}: {' '.join(words)}", status == 0, complained[-400:])
        return json.loads(shown) if good else None

    def refused(self, user: str, why: str, *words: str) -> None:
        """One check: the command fails, and says why."""
        status, shown, complained = self.say(user, *words)
        good = status != 0 and why in complained
        self.tally.check(f"{user} may not: {' '.join(words)}", good, f"{status}: {shown[-400:]}{complained[-400:]}")

    def only(self, who: str, *words: str) -> None:
        """Two checks: a member is refused, and `who` succeeds."""
        self.refused("a-member", FORBIDDEN, *words)
        self.does(who, *words)


def commands() -> set[str]:
    """The client's commands, from what its package declares."""
    declared = metadata.distribution("gnocchiclient").entry_points
    return {entry.name.replace("_", " ").removeprefix("metric ") for entry in declared if entry.group == "openstack.metric.v1"}


def administration(client: Client) -> None:
    """What the operator decides, and what everybody may know of it."""
    client.shows("a-member", "server", "version")
    client.shows("a-member", "capabilities", "list")
    client.only("c-admin", "status")
    client.only("c-admin", "archive-policy", "create", "-d", "granularity:60s,points:100", "-m", "mean", "-m", "sum", "fine")
    client.only("c-admin", "archive-policy", "update", "-d", "granularity:60s,points:200", "fine")
    policies = client.shows("a-member", "archive-policy", "list")
    client.tally.check("the policies are listed", {"fine", "low"} <= {row["name"] for row in policies or []}, f"{policies}")
    client.shows("a-member", "archive-policy", "show", "fine")
    client.only("c-admin", "archive-policy-rule", "create", "-a", "fine", "-m", "fine.*", "rule")
    client.shows("a-member", "archive-policy-rule", "list")
    client.shows("a-member", "archive-policy-rule", "show", "rule")
    client.only("c-admin", "archive-policy-rule", "delete", "rule")
    client.only("nova", "resource-type", "create", "-a", "flavor:string:false:max_length=255", "vm")
    client.only("nova", "resource-type", "update", "-a", "host:string:false:max_length=255", "vm")
    client.shows("a-member", "resource-type", "list")
    client.shows("a-member", "resource-type", "show", "vm")
    client.does("c-admin", "resource-type", "create", "gone")
    client.only("c-admin", "resource-type", "delete", "gone")


def resources(client: Client) -> str:
    """A member's resource; its id."""
    made = client.shows("a-member", "resource", "create", "-t", "vm", "-a", "flavor:small", "-n", "cpu:fine", "vm-1")
    vm = made["id"]
    client.shows("a-member", "resource", "update", "-t", "vm", "-a", "flavor:large", vm)
    client.shows("a-member", "resource", "show", "-t", "vm", vm)
    past = client.shows("a-member", "resource", "history", "-t", "vm", "--details", vm)
    client.tally.equal("both revisions are listed", len(past or []), 2)
    for user, rows in (("a-member", 1), ("b-member", 0), ("c-admin", 1)):
        listed = client.shows(user, "resource", "list", "-t", "vm", "--details")
        client.tally.equal(f"{user} lists resources", len(listed or []), rows)
        found = client.shows(user, "resource", "search", "-t", "vm", "flavor = 'large'")
        client.tally.equal(f"{user} finds resources", len(found or []), rows)
    client.refused("b-member", "HTTP 404", "resource", "show", vm)
    client.refused("b-member", FORBIDDEN, "resource", "update", "-t", "vm", "-a", "flavor:huge", vm)
    client.refused("b-member", FORBIDDEN, "resource", "delete", vm)
    client.shows("a-member", "resource", "create", "-t", "vm", "vm-2")
    client.shows("b-member", "resource", "batch", "delete", "-t", "vm", "original_resource_id = 'vm-2'")
    client.tally.equal("nothing of others' is deleted", len(client.shows("a-member", "resource", "list", "-t", "vm") or []), 2)
    client.shows("a-member", "resource", "batch", "delete", "-t", "vm", "original_resource_id = 'vm-2'")
    client.does("a-member", "resource", "create", "vm-3")
    client.does("a-member", "resource", "delete", "vm-3")
    client.tally.equal("one is left", len(client.shows("a-member", "resource", "list") or []), 1)
    return vm


def measures(client: Client, vm: str, directory: str) -> None:
    """A member's metrics and measures."""
    cpu = client.shows("a-member", "show", "-r", vm, "cpu")["id"]
    alone = client.shows("a-member", "create", "-a", "fine", "-u", "B", "alone")["id"]
    client.does("a-member", "measures", "add", "-m", f"{MINUTE}@42", cpu)
    client.refused("b-member", FORBIDDEN, "measures", "add", "-m", f"{MINUTE}@1", cpu)
    by_id, by_name = (os.path.join(directory, name) for name in ("by_id.json", "by_name.json"))
    point = [{"timestamp": MINUTE, "value": 8}]
    pathlib.Path(by_id).write_text(json.dumps({alone: point}), encoding="utf-8")
    pathlib.Path(by_name).write_text(json.dumps({vm: {"made": {"archive_policy_name": "fine", "measures": point}}}), encoding="utf-8")
    client.does("a-member", "measures", "batch-metrics", by_id)
    client.refused("b-member", FORBIDDEN, "measures", "batch-metrics", by_id)
    client.refused("b-member", FORBIDDEN, "measures", "batch-resources-metrics", "--create-metrics", by_name)
    client.does("a-member", "measures", "batch-resources-metrics", "--create-metrics", by_name)
    shown = client.shows("a-member", "measures", "show", "--aggregation", "mean", "--utc", cpu)
    client.tally.equal("the measure is shown", [row["value"] for row in shown or []], [42.0])
    client.refused("b-member", FORBIDDEN, "measures", "show", cpu)
    summed = client.shows("a-member", "aggregates", f"(aggregate sum (metric ({cpu} mean) ({alone} mean)))")
    client.tally.equal("both are summed", [row["value"] for row in summed or []], [50.0])
    client.refused("b-member", FORBIDDEN, "aggregates", f"(metric {cpu} mean)")
    grouped = client.shows("a-member", "aggregates", "--resource-type", "vm", "--groupby", "flavor", "(aggregate sum (metric cpu mean))", "flavor = 'large'")
    client.tally.equal("groups are aggregated", [row["value"] for row in grouped or []], [42.0])
    older = client.shows("a-member", "measures", "aggregation", "-m", cpu, alone, "--aggregation", "mean", "--reaggregation", "sum")
    client.tally.equal("as older clients ask", [row["value"] for row in older or []], [50.0])
    client.refused("b-member", FORBIDDEN, "measures", "aggregation", "-m", cpu)
    for user, rows in (("a-member", 3), ("b-member", 0), ("c-admin", 3)):
        client.tally.equal(f"{user} lists metrics", len(client.shows(user, "list") or []), rows)
    client.refused("b-member", FORBIDDEN, "show", alone)
    client.refused("b-member", FORBIDDEN, "delete", alone)
    client.does("a-member", "delete", alone)
    client.refused("a-member", "HTTP 404", "show", alone)


def benchmarks(client: Client, vm: str) -> None:
    """The client's own load generator."""
    client.shows("a-member", "benchmark", "metric", "create", "-w", "2", "-n", "4", "-a", "fine")
    cpu = client.shows("a-member", "show", "-r", vm, "cpu")["id"]
    client.shows("a-member", "benchmark", "metric", "show", "-w", "2", "-n", "4", cpu)
    client.shows("a-member", "benchmark", "measures", "add", "-w", "2", "-n", "20", "-b", "10", cpu)
    client.shows("a-member", "benchmark", "measures", "show", "-w", "2", "-n", "4", cpu)


def main() -> int:
    """Starts Keystone and the server, says everything, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    args = parser.parse_args()
    sitecustomize.repair()
    tally = outcome.Outcome()
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true"}
    with keystone.Keystone() as identity, tempfile.TemporaryDirectory() as directory:
        with live.Server(f"{args.server} {identity.settings()}", environment=settings) as server:
            identity.add_endpoint("metric", server.url())
            client = Client(identity.url, tally)
            administration(client)
            vm = resources(client)
            measures(client, vm, directory)
            benchmarks(client, vm)
            client.only("c-admin", "archive-policy", "create", "-d", "granularity:1h,points:1", "gone")
            client.only("c-admin", "archive-policy", "delete", "gone")
    missing = [command for command in sorted(commands()) if not any(ran.startswith(command) for ran in client.ran)]
    tally.check("every command ran", not missing, ", ".join(missing))
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
