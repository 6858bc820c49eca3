"""Every command of 'openstack metric' (OpenStack's client with gnocchiclient 7.2, unmodified) once and more, signed in to a
real Keystone by `OS_*` variables: as member of a project where members may, else as they are refused and as who may.

    openstack_metric.py [--server CMD]

The endpoint is found in Keystone's catalogue. Ends with 'N passed, N failed'; a command of the client without a case fails.
"""

import argparse
import json
import os
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "site"))

import sitecustomize  # noqa: E402
from clients import osc  # noqa: E402
from harness import keystone, outcome, server as live  # noqa: E402

MINUTE = "2026-11-20T12:00:00"
FORBIDDEN = "HTTP 403"


class Client(osc.Client):
    """`openstack metric …` as any user."""

    def only(self, who: str, *words: str) -> None:
        """Two checks: a member is refused, and `who` succeeds."""
        self.refused("a-member", FORBIDDEN, *words)
        self.does(who, *words)


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
            client = Client(identity.url, tally, ["metric"])
            administration(client)
            vm = resources(client)
            measures(client, vm, directory)
            benchmarks(client, vm)
            client.only("c-admin", "archive-policy", "create", "-d", "granularity:1h,points:1", "gone")
            client.only("c-admin", "archive-policy", "delete", "gone")
    client.every_command_ran("gnocchiclient", "openstack.metric.v1", "metric ")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
