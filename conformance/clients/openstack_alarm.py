"""Every command of 'openstack alarm' (OpenStack's client with aodhclient 3.12, unmodified) once and more, signed in to a real
Keystone by `OS_*` variables: as member of a project, and as the others may and may not.

    openstack_alarm.py [--server CMD]

The endpoints are found in Keystone's catalogue. Ends with 'N passed, N failed'; a command of the client without a case fails.
"""

import argparse
import json
import pathlib
import sys
from typing import Any

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from clients import osc  # noqa: E402
from harness import keystone, outcome, server as live  # noqa: E402
from harness.api import Api  # noqa: E402
from harness.postgres import free_port  # noqa: E402

FORBIDDEN = "HTTP 403"
# Upstream's way to say that something is another's.
UNAUTHORIZED = "HTTP 401"
GONE = "not found"
METHOD = ("--aggregation-method", "mean", "--granularity", "60")


class Client(osc.Client):
    """`openstack …` about alarms."""

    def made(self, user: str, name: str, kind: str, *words: str) -> dict[str, Any]:
        """One check: an alarm is made."""
        return self.shows(user, "alarm", "create", "--name", name, "--type", kind, *words) or {}


def metric_of_member(identity: keystone.Keystone, server: live.Server) -> tuple[str, str]:
    """A resource of the member's with one metric: the ids of both."""
    def call(user: str, project: str, path: str, body: Any) -> Any:
        api = Api(server.port, extra={"X-Auth-Token": identity.token(user, project)})
        status, answer = api.call("POST", path, body=body)
        assert status == 201, (status, answer)
        return answer

    call("c-admin", "c", "/v1/archive_policy", {"name": "fine", "definition": [{"granularity": "60s", "points": 100}]})
    resource = call("a-member", "a", "/v1/resource/generic", {"id": "vm", "metrics": {"cpu": {"archive_policy_name": "fine"}}})
    return resource["id"], resource["metrics"]["cpu"]


def kinds(client: Client, resource: str, metric: str) -> dict[str, str]:
    """An alarm of each kind; their ids."""
    member = "a-member"
    above = ("--threshold", "80", "--comparison-operator", "gt")
    rule = {"or": [
        {"type": "gnocchi_resources_threshold", "metric": "cpu", "resource_id": resource, "resource_type": "generic", "threshold": 1.0,
         "aggregation_method": "mean", "granularity": 60},
        {"and": [{"type": "gnocchi_aggregation_by_metrics_threshold", "metrics": [metric], "threshold": 1.0, "aggregation_method": "max",
                  "granularity": 60}] * 2}]}
    made = {
        "resource": client.made(member, "resource", "gnocchi_resources_threshold", "--metric", "cpu", "--resource-id", resource,
                                "--resource-type", "generic", *METHOD, *above, "--evaluation-periods", "3",
                                "--alarm-action", "http://127.0.0.1:1/x", "--ok-action", "http://127.0.0.1:1/y",
                                "--insufficient-data-action", "trust+http://127.0.0.1:1/z", "--severity", "moderate",
                                "--repeat-actions", "True", "--description", "hot",
                                "--time-constraint", "name=nights;start=0 22 * * *;duration=3600;timezone=Europe/Ljubljana"),
        "metrics": client.made(member, "metrics", "gnocchi_aggregation_by_metrics_threshold", "--metric", metric, "--metric", metric,
                               *METHOD, *above),
        "resources": client.made(member, "resources", "gnocchi_aggregation_by_resources_threshold", "--metric", "cpu", "--query",
                                 '{"=": {"id": "vm"}}', "--resource-type", "generic", *METHOD, *above),
        "composite": client.made(member, "composite", "composite", "--composite-rule", json.dumps(rule)),
        "event": client.made(member, "event", "event", "--event-type", "compute.*", "--query", "traits.flavor=string::small"),
        "prometheus": client.made(member, "prometheus", "prometheus", "--query", "avg(cpu)", *above),
        "old": client.made(member, "old", "threshold", "-m", "cpu_util", "--threshold", "1", "--period", "60", "--statistic", "max",
                           "--query", "resource_id=vm"),
        "pool": client.made(member, "pool", "loadbalancer_member_health", "--stack-id", "s", "--pool-id", "p",
                            "--autoscaling-group-id", "g"),
    }
    first = made["resource"]
    shown = (first.get("threshold"), first.get("evaluation_periods"), first.get("severity"), first.get("description"), first.get("state"))
    client.tally.equal("what was asked for is there", shown, (80.0, 3, "moderate", "hot", "insufficient data"))
    client.tally.check("the trust is not shown", first.get("insufficient_data_actions") == ["trust+http://127.0.0.1:1/z"],
                       f"{first.get('insufficient_data_actions')}")
    client.tally.equal("an event's query is shown", made["event"].get("query"), "traits.flavor = small")
    client.refused(member, UNAUTHORIZED, "alarm", "create", "--name", "no", "--type", "threshold", "-m", "cpu", "--threshold", "1",
                   "--query", "project_id=x")
    client.refused(member, "HTTP 400", "alarm", "create", "--name", "no", "--type", "composite", "--composite-rule", '{"nor": []}')
    return {kind: alarm.get("alarm_id", "?") for kind, alarm in made.items()}


def lists(client: Client, ids: dict[str, str]) -> None:
    """Who sees what, page by page and by queries."""
    def listed(user: str, *words: str) -> list[str]:
        return [row["name"] for row in client.shows(user, "alarm", "list", *words) or []]

    names = sorted(ids)
    client.tally.equal("a member lists its project's", sorted(listed("a-member")), names)
    client.tally.equal("another lists none", listed("b-member"), [])
    client.tally.equal("nor does an administrator of elsewhere", listed("c-admin"), [])
    client.tally.equal("but of all projects", sorted(listed("c-admin", "--filter", "all_projects=true")), names)
    client.refused("a-member", FORBIDDEN, "alarm", "list", "--filter", "all_projects=true")
    client.tally.equal("by a field", listed("a-member", "--filter", "name=event"), ["event"])
    client.tally.equal("by two", listed("a-member", "--filter", "severity=moderate", "--filter", "enabled=true"), ["resource"])
    client.tally.equal("the first page", listed("a-member", "--sort", "name:asc", "--limit", "2"), names[:2])
    client.tally.equal("the next", listed("a-member", "--sort", "name:asc", "--limit", "2", "--marker", ids[names[1]]), names[2:4])
    client.tally.equal("by a query", sorted(listed("a-member", "--query", 'type="event" or severity="moderate"')), ["event", "resource"])
    client.tally.equal("another finds nothing", listed("b-member", "--query", 'type="event"'), [])
    client.refused("b-member", UNAUTHORIZED, "alarm", "list", "--query", 'project_id="c"')


def changes(client: Client, ids: dict[str, str]) -> None:
    """What is changed, by id and by name, by whom it belongs to and by whom it does not."""
    member, alarm = "a-member", ids["resource"]
    for words in ((alarm,), ("resource",), ("--name", "resource")):
        client.tally.equal("it is found", (client.shows(member, "alarm", "show", *words) or {}).get("alarm_id"), alarm)
    changed = client.shows(member, "alarm", "update", alarm, "--threshold", "90", "--enabled", "False", "--ok-action", "") or {}
    client.tally.equal("it is changed", (changed.get("threshold"), changed.get("enabled"), changed.get("evaluation_periods")),
                       (90.0, False, 3))
    client.tally.equal("its trust stays hidden", changed.get("insufficient_data_actions"), ["trust+http://127.0.0.1:1/z"])
    for kind, words in (("metrics", ("--threshold", "1")), ("resources", ("--granularity", "300")), ("event", ("--event-type", "x")),
                        ("prometheus", ("--query", "max(cpu)")), ("old", ("--period", "300")), ("composite", ("--description", "both")),
                        ("pool", ("--stack-id", "s2", "--pool-id", "p", "--autoscaling-group-id", "g"))):
        client.shows(member, "alarm", "update", "--name", kind, *words)
    client.shows(member, "alarm", "state", "set", "--state", "alarm", alarm)
    client.tally.equal("its state is set", client.shows(member, "alarm", "state", "get", "resource"), {"state": "alarm"})
    client.tally.equal("and read by id", client.shows(member, "alarm", "state", "get", alarm), {"state": "alarm"})
    history = client.shows(member, "alarm-history", "show", alarm) or []
    client.tally.equal("its history", sorted(row["type"] for row in history), ["creation", "rule change", "state transition"])
    client.tally.equal("a page of it", len(client.shows(member, "alarm-history", "show", alarm, "--limit", "1", "--sort", "timestamp:asc") or []), 1)
    found = client.shows(member, "alarm-history", "search", "--query", 'type="state transition"') or []
    client.tally.equal("what is found in it", [row["alarm_id"] for row in found], [alarm])
    client.tally.equal("another finds nothing", client.shows("b-member", "alarm-history", "search"), [])
    for words in (("alarm", "show"), ("alarm", "update", "--threshold", "1"), ("alarm", "delete"), ("alarm", "state", "get"),
                  ("alarm", "state", "set", "--state", "ok"), ("alarm-history", "show")):
        client.refused("b-member", GONE, *words, alarm)


def rest(client: Client, ids: dict[str, str]) -> None:
    """Quotas, counters, capabilities, deletion."""
    member = "a-member"
    client.shows(member, "alarming", "capabilities", "list")
    client.shows(member, "alarm", "metrics")
    client.shows(member, "alarm", "quota", "show")
    client.refused(member, FORBIDDEN, "alarm", "quota", "set", "a", "--alarm", "99")
    project = client.shows("c-admin", "alarm", "show", ids["event"])["project_id"]
    client.shows("c-admin", "alarm", "quota", "set", project, "--alarm", str(len(ids)))
    client.refused("b-member", FORBIDDEN, "alarm", "quota", "show", "--project", project)
    client.tally.check("a member reads its quota", str(len(ids)) in json.dumps(client.shows(member, "alarm", "quota", "show")))
    client.refused(member, "quota exceeded", "alarm", "create", "--name", "more", "--type", "event")
    client.does(member, "alarm", "delete", ids["pool"])
    client.does(member, "alarm", "delete", "--name", "prometheus")
    client.refused(member, GONE, "alarm", "show", ids["pool"])
    client.does("c-admin", "alarm", "delete", ids["event"])
    client.made("c-admin", "on behalf", "event", "--project-id", project)
    left = [row["name"] for row in client.shows(member, "alarm", "list", "--sort", "name") or []]
    client.tally.equal("what is left", left, ["composite", "metrics", "old", "on behalf", "resource", "resources"])


def main() -> int:
    """Starts Keystone and the server, says everything, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    args = parser.parse_args()
    tally = outcome.Outcome()
    alarm_port = free_port()
    settings = {"MAX_LIMIT": "1000", "ALARM_LISTEN": f"127.0.0.1:{alarm_port}",
                "NEPHOMETER__ALARM__ENABLE_EVALUATION_RESULTS_METRICS": "true"}
    with keystone.Keystone() as identity, live.Server(f"{args.server} {identity.settings()}", environment=settings) as server:
        live.wait_for(alarm_port)
        identity.add_endpoint("alarming", f"http://127.0.0.1:{alarm_port}")
        client = Client(identity.url, tally, [])
        ids = kinds(client, *metric_of_member(identity, server))
        lists(client, ids)
        changes(client, ids)
        rest(client, ids)
    client.every_command_ran("aodhclient", "openstack.alarming.v2", "")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
