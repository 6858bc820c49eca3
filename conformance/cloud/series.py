"""Alarms of the type `prometheus` over a real Prometheus: decided, and narrowed to the series of their owner's project in
whatever form the query names them."""

from typing import Any

from cloud.prometheus import Exposition
from cloud.programs import Programs
from cloud.world import Caller, World, until
from harness.outcome import Outcome

OWN, FOREIGN = 17, 42
# Queries of which each, as a whole cloud's operator asks them, reads series of every project; `P` is a foreign project.
QUERIES = [
    'cpu_load',
    'cpu_load{}',
    'cpu_load{project=~".*"}',
    'cpu_load{project!=""}',
    '{__name__="cpu_load"}',
    '{__name__=~"cpu_.*", host=~"h.*"}',
    'max(cpu_load)',
    'min by (project) (cpu_load)',
    'sum without (host) (cpu_load) / count without (host) (cpu_load)',
    'avg_over_time(cpu_load[30s])',
    'max_over_time(cpu_load[30s:1s])',
    'cpu_load offset 2s',
    'cpu_load @ end()',
    'cpu_load * on (project, host) group_left () (cpu_load / cpu_load)',
    'label_replace(cpu_load, "project", "x", "host", ".*")',
    'cpu_load or cpu_load{host="h"}',
    'topk(5, cpu_load) # cpu_load{',
    'sort_desc(last_over_time(cpu_load[30s]))',
]
# What is no query to us or to Prometheus: narrowed by one reading only, the second would show every project's series.
REFUSED = ['cpu_load{', 'cpu_load{project="none"} # \r or cpu_load', 'info(cpu_load)']
# What names the foreign project itself finds nothing, and what is no query is refused by Prometheus.
OUTSIDE = ['cpu_load{project="P"}', 'cpu_load{project="P"} or vector(1) == 2', 'sum(cpu_load{project=~"P|x"})']


def alarm(caller: Caller, query: str, value: float) -> str:
    """An alarm that is up where every series of the query has exactly this value; its id."""
    rule = {"query": query, "threshold": value, "comparison_operator": "eq"}
    return caller.post("/v2/alarms", {"name": query, "type": "prometheus", "prometheus_rule": rule})["alarm_id"]


def states(caller: Caller) -> dict[str, str]:
    """All of its alarms' states."""
    return {alarm["alarm_id"]: alarm["state"] for alarm in caller.get("/v2/alarms")}


def prove(world: World, programs: Programs, exposition: Exposition, tally: Outcome) -> None:
    """All of it."""
    project, foreign = (world.identity.find("project", name) for name in ("a", "b"))
    exposition.lines = [f'cpu_load{{project="{project}",host="h"}} {OWN}', f'cpu_load{{project="{foreign}",host="h"}} {FOREIGN}']
    member, other, admin = world.alarms("a-member", "a"), world.alarms("b-member", "b"), world.alarms("c-admin", "c")
    wanted: dict[str, tuple[Caller, str, str]] = {}

    def expect(caller: Caller, name: str, query: str, value: float, state: str) -> None:
        wanted[alarm(caller, query, value)] = (caller, f"{name}: {query} == {value}", state)

    for query in QUERIES:
        expect(member, "one's own series are read", query, OWN, "alarm")
        expect(member, "another's are not", query, FOREIGN, "ok")
    expect(other, "the other reads its own", "cpu_load", FOREIGN, "alarm")
    expect(admin, "an administrator's alarm reads all", "count(cpu_load)", 2, "alarm")
    outside = [alarm(member, query.replace("P", foreign), FOREIGN) for query in OUTSIDE]
    refused = [alarm(member, query, value) for query in REFUSED for value in (OWN, FOREIGN)]
    callers: list[Any] = [member, other, admin]

    def current() -> dict[str, str]:
        return {id_: state for caller in callers for id_, state in states(caller).items()}

    def all_are() -> bool:
        now = current()
        return all(now[id_] == state for id_, (_, _, state) in wanted.items())

    try:
        until("alarms over Prometheus are decided", all_are)
    except TimeoutError:
        pass  # Each is told below.
    now = current()
    for id_, (_, name, state) in wanted.items():
        tally.equal(name, now[id_], state)
    for id_, query in zip([*outside, *refused], [*OUTSIDE, *(query for query in REFUSED for _ in range(2))], strict=True):
        tally.equal(f"nothing is known of {query}", now[id_], "insufficient data")
    exposition.lines[0] = f'cpu_load{{project="{project}",host="h"}} {OWN + 1}'
    first = next(iter(wanted))
    until("a changed value is seen", lambda: states(member)[first] == "ok")
    programs.stop("prometheus")
    until("nothing is known without Prometheus", lambda: states(member)[first] == "insufficient data")
    reason = member.get(f"/v2/alarms/{first}")["state_reason"]
    tally.check("and the reason says so", "connect" in reason or "unreachable" in reason or "retrieval failed" in reason, reason)
    for caller in callers:
        for id_ in states(caller):
            caller.delete(f"/v2/alarms/{id_}")
