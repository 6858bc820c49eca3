"""Heat against our alarms: stacks of today's autoscaling and of the old form are made, grow and shrink by alarms, are updated,
suspended, resumed, checked and deleted."""

import pathlib
from collections.abc import Sequence
from typing import Any

from cloud.world import Caller, World, until
from harness.outcome import Outcome

TEMPLATES = pathlib.Path(__file__).resolve().parent / "templates"
USER, PROJECT = "a-member", "a"


def read(template: str) -> str:
    """The text of a template."""
    return (TEMPLATES / template).read_text(encoding="utf-8")


class Stack:
    """A stack of a member."""

    def __init__(self, heat: Caller, name: str, template: str, parameters: dict[str, Any], nested: Sequence[str] = ()) -> None:
        self.heat = heat
        self.name = name
        self.body: dict[str, Any] = {"template": read(template), "parameters": parameters, "files": {file: read(file) for file in nested}}
        self.id = heat.post("/stacks", {"stack_name": name, **self.body})["stack"]["id"]
        self.path = f"/stacks/{name}/{self.id}"
        self.reaches("CREATE_COMPLETE")

    def shown(self) -> Any:
        """As Heat shows it."""
        return self.heat.get(self.path)["stack"]

    def reaches(self, status: str) -> None:
        """Waits for a status; breaks off where the stack has failed."""
        def is_there() -> bool:
            stack = self.shown()
            if stack["stack_status"].endswith("FAILED"):
                raise RuntimeError(f"{self.name}: {stack['stack_status']}: {stack['stack_status_reason']}")
            return stack["stack_status"] == status
        until(f"{self.name} is {status}", is_there)

    def update(self, **parameters: Any) -> None:
        """Updates its parameters."""
        self.body["parameters"].update(parameters)
        self.heat.put(self.path, self.body)
        self.reaches("UPDATE_COMPLETE")

    def act(self, action: str) -> None:
        """Suspends, resumes or checks it."""
        self.heat.post(f"{self.path}/actions", {action: None})
        self.reaches(f"{action.upper()}_COMPLETE")

    def delete(self) -> None:
        """Deletes it and waits for that."""
        self.heat.delete(self.path)
        until(f"{self.name} is gone", lambda: self.id not in [stack["id"] for stack in self.heat.get("/stacks")["stacks"]])

    def alarm_id(self, resource: str) -> str:
        """The alarm that is a resource of the stack."""
        return self.heat.get(f"{self.path}/resources/{resource}")["resource"]["physical_resource_id"]

    def size(self) -> int:
        """How many members its group has."""
        outputs = {output["output_key"]: output.get("output_value") for output in self.shown()["outputs"]}
        return int(outputs["size"])


class Measured:
    """An instance of the member's, and its CPU."""

    def __init__(self, metrics: Caller, server_group: str) -> None:
        self.metrics = metrics
        self.id = metrics.post("/v1/resource/instance", {"id": f"vm-of-{server_group}", "server_group": server_group, "project_id": None,
                                                         "metrics": {"cpu": {"archive_policy_name": "fine"}}})["id"]

    def is_at(self, value: float) -> None:
        """Its CPU now."""
        World.measure(self.metrics, f"/v1/resource/instance/{self.id}/metric/cpu/measures", value)


def trusts(world: World) -> int:
    """How many trusts the member has given to our service user."""
    identity = world.identity
    user, service = identity.find("user", USER), identity.find("user", "nephometer")
    answer = identity.administer("GET", f"/OS-TRUST/trusts?trustee_user_id={service}")
    return sum(trust["trustor_user_id"] == user for trust in answer["trusts"])


def autoscaling(world: World, heat: Caller, tally: Outcome) -> None:
    """The form of today: the alarm tells Heat with a token of a trust."""
    alarms, metrics = world.alarms(USER, PROJECT), world.metrics(USER, PROJECT)
    before = trusts(world)
    stack = Stack(heat, "today", "autoscaling.yaml", {"threshold": 80})
    high, low = stack.alarm_id("cpu_high"), stack.alarm_id("cpu_low")
    made = alarms.get(f"/v2/alarms/{high}")
    rule = made["gnocchi_aggregation_by_resources_threshold_rule"]
    tally.equal("the alarm is the stack's", (made["name"].startswith("today-cpu_high-"), made["description"]), (True, "Scale up if CPU > 80%"))
    tally.equal("its rule is the template's", (rule["metric"], rule["threshold"], rule["granularity"], rule["comparison_operator"]),
                ("cpu", 80.0, 60, "gt"))
    [action] = made["alarm_actions"]
    tally.check("its action is the policy's signal, without the trust", action.startswith("trust+http://127.0.0.1:") and
                action.endswith(f"/stacks/today/{stack.id}/resources/up/signal") and "@" not in action, action)
    tally.equal("each alarm is trusted", trusts(world) - before, 2)
    tally.equal("the group begins small", stack.size(), 1)
    instance = Measured(metrics, stack.id)
    instance.is_at(95)
    until("the group grows", lambda: stack.size() == 2)
    tally.equal("the alarm is up", alarms.get(f"/v2/alarms/{high}/state"), "alarm")
    tally.equal("the group grew by an alarm", stack.size(), 2)
    instance.is_at(5)
    until("the group shrinks", lambda: stack.size() == 1)
    tally.equal("the group shrank by an alarm", alarms.get(f"/v2/alarms/{low}/state"), "alarm")
    stack.update(threshold=60)
    changed = alarms.get(f"/v2/alarms/{high}")
    tally.equal("an update changes the alarm in place", changed["gnocchi_aggregation_by_resources_threshold_rule"]["threshold"], 60.0)
    tally.equal("and keeps its trust", trusts(world) - before, 2)
    history = alarms.get(f"/v2/alarms/{high}/history")
    tally.equal("and is one change in its history", [entry["type"] for entry in history if entry["type"] == "rule change"], ["rule change"])
    instance.is_at(70)
    until("the group grows at the new threshold", lambda: stack.size() == 2)
    tally.check("after an update the trust still serves", True)
    stack.delete()
    left = [alarm["alarm_id"] for alarm in alarms.get("/v2/alarms")]
    tally.check("the stack takes its alarms with it", high not in left and low not in left, f"{left}")
    tally.equal("and their trusts", trusts(world) - before, 0)


def signed(world: World, heat: Caller, tally: Outcome) -> None:
    """The old form: the alarm calls a URL that Heat has signed."""
    alarms, metrics = world.alarms(USER, PROJECT), world.metrics(USER, PROJECT)
    instance = Measured(metrics, "old")
    stack = Stack(heat, "old", "signed.yaml", {"resource_id": instance.id})
    alarm = stack.alarm_id("cpu_high")
    [action] = alarms.get(f"/v2/alarms/{alarm}")["alarm_actions"]
    tally.check("the action is a signed URL", action.startswith("http://127.0.0.1:") and "Signature=" in action, action)
    instance.is_at(95)
    until("the group grows", lambda: stack.size() == 2)
    tally.equal("the old form grows, too", alarms.get(f"/v2/alarms/{alarm}/state"), "alarm")
    stack.delete()


def kinds(world: World, heat: Caller, tally: Outcome) -> None:
    """Every kind of alarm, through everything that Heat does to it."""
    alarms, metrics = world.alarms(USER, PROJECT), world.metrics(USER, PROJECT)
    metric = metrics.post("/v1/metric", {"archive_policy_name": "fine"})["id"]
    stack = Stack(heat, "kinds", "kinds.yaml", {"metric_id": metric, "description": "first"})
    types = {"by_metrics": "gnocchi_aggregation_by_metrics_threshold", "composite": "composite", "event": "event", "prometheus": "prometheus"}
    ids = {name: stack.alarm_id(name) for name in types}
    made = {name: alarms.get(f"/v2/alarms/{id_}") for name, id_ in ids.items()}
    for name, kind in types.items():
        tally.equal(f"{name} is made", (made[name]["type"], made[name]["description"], made[name]["enabled"]), (kind, "first", True))
    [constraint] = made["by_metrics"]["time_constraints"]
    tally.equal("with its time constraint", (constraint["start"], constraint["duration"], constraint["timezone"]),
                ("0 22 * * *", 28800, "Europe/Ljubljana"))
    tally.equal("and its severity", made["by_metrics"]["severity"], "critical")
    rule = made["composite"]["composite_rule"]
    tally.equal("with rules within rules", [len(rule["or"]), len(rule["or"][1]["and"])], [2, 2])
    for action, enabled in (("check", True), ("suspend", False), ("resume", True)):
        stack.act(action)
        states = {name: alarms.get(f"/v2/alarms/{id_}")["enabled"] for name, id_ in ids.items()}
        tally.equal(f"{action}", states, dict.fromkeys(types, enabled))
    stack.update(description="second")
    for name, id_ in ids.items():
        tally.equal(f"{name} is updated", alarms.get(f"/v2/alarms/{id_}")["description"], "second")
    stack.delete()
    tally.equal("all are gone", alarms.get("/v2/alarms"), [])


def prove(world: World, heat_port: int, tally: Outcome) -> None:
    """All of it."""
    heat = world.caller(heat_port, USER, PROJECT)
    heat.api.prefix = f"/v1/{world.identity.find('project', PROJECT)}"
    autoscaling(world, heat, tally)
    signed(world, heat, tally)
    kinds(world, heat, tally)
