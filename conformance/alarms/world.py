"""A deployment with alarms, each on its own metric, and what their history and their messages say.

An alarm's state follows from the newest value of its metric alone: the window is two hours wide, so that nothing changes
by time. Values are numbers of steps, positive ones mean `alarm`, negative ones `ok`; both history and messages carry the
value that a decision was made by, so that each is known by its number and not only by its state.
"""

import concurrent.futures
import dataclasses
import json
import time
from typing import Any

from alarms.processes import Apart, Together
from alarms.receiver import Receiver
from harness import server as live
from harness.api import Api

GRANULARITY_SECONDS = 3600
MAKERS = 4
START_SECONDS = 30.0


@dataclasses.dataclass(frozen=True)
class Alarm:
    """One alarm and its metric."""

    name: str
    alarm_id: str
    metric_id: str


def state_of(value: int) -> str:
    """What an alarm must be in whose metric has this value."""
    return "alarm" if value > 0 else "ok"


class World:
    """What runs, and clients of its APIs."""

    def __init__(self, receiver: Receiver, processes: Together | Apart) -> None:
        self.receiver = receiver
        self.processes = processes

    def __enter__(self) -> "World":
        try:
            self.restart()
        except RuntimeError:
            self.processes.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.processes.stop()

    def wait(self) -> None:
        """Until the alarm API answers, too."""
        end = time.monotonic() + START_SECONDS
        while not live.answers(self.processes.alarm_port):
            if time.monotonic() > end:
                raise RuntimeError(f"the alarm API does not answer: {self.processes.log_tail()}")
            time.sleep(0.02)

    def restart(self) -> None:
        """Starts what was killed."""
        self.processes.start()
        self.wait()

    def metrics(self) -> Api:
        """A client of the metric API."""
        return Api(self.processes.api.port, seconds=20)

    def alarming(self, project: str) -> Api:
        """A client of the alarm API, as an administrator in a project."""
        return Api(self.processes.alarm_port, seconds=20, extra={"X-User-Id": "u", "X-Project-Id": project, "X-Roles": "admin"})

    def make(self, project: str, count: int) -> list[Alarm]:
        """Alarms of a project, told at the receiver whatever state they go into."""
        with concurrent.futures.ThreadPoolExecutor(MAKERS) as makers:
            shares = [range(first, count, MAKERS) for first in range(MAKERS)]
            return [alarm for made in makers.map(lambda share: self._make(project, share), shares) for alarm in made]

    def policy(self) -> None:
        """The archive policy of all metrics."""
        self.metrics().want(201, "POST", "/v1/archive_policy", body={
            "name": "steps", "aggregation_methods": ["last"],
            "definition": [{"granularity": GRANULARITY_SECONDS, "points": 100}]})

    def _make(self, project: str, numbers: range) -> list[Alarm]:
        metrics, alarming, made = self.metrics(), self.alarming(project), []
        for number in numbers:
            name = f"{project}-{number}"
            resource = metrics.want(201, "POST", "/v1/resource/generic", body={
                "id": name, "metrics": {"value": {"archive_policy_name": "steps"}}})
            url = [self.receiver.url(name, number)]
            alarm = alarming.want(201, "POST", "/v2/alarms", body={
                "name": name, "type": "gnocchi_resources_threshold",
                "gnocchi_resources_threshold_rule": {
                    "resource_id": resource["id"], "resource_type": "generic", "metric": "value",
                    "aggregation_method": "last", "granularity": GRANULARITY_SECONDS,
                    "evaluation_periods": 1, "comparison_operator": "gt", "threshold": 0},
                "alarm_actions": url, "ok_actions": url, "insufficient_data_actions": url})
            made.append(Alarm(name, alarm["alarm_id"], resource["metrics"]["value"]))
        metrics.close()
        alarming.close()
        return made


def post(api: Api, values: dict[str, int]) -> bool:
    """One request with one measure of now for each metric; whether it was acknowledged."""
    now = time.time()
    body = {metric_id: [{"timestamp": now, "value": value}] for metric_id, value in values.items()}
    status, answer = api.send("POST", "/v1/batch/metrics/measures", json.dumps(body).encode())
    if status not in (202, 503):
        raise RuntimeError(f"measures are answered with {status}: {answer[:300]!r}")
    return status == 202


def states(api: Api, project: str) -> dict[str, str]:
    """The states of a project's alarms, by id."""
    params = {"q.field": "project_id", "q.op": "eq", "q.value": project, "limit": 2000}
    return {alarm["alarm_id"]: alarm["state"] for alarm in api.want(200, "GET", "/v2/alarms", params)}


def history(api: Api, alarm: Alarm) -> list[tuple[str, float | None]]:
    """The state transitions of an alarm, oldest first: the state and the value that it was decided by."""
    records = api.want(200, "GET", f"/v2/alarms/{alarm.alarm_id}/history", {"limit": 100_000})
    details = [json.loads(record["detail"]) for record in reversed(records) if record["type"] == "state transition"]
    return [(detail["state"], deciding(detail["transition_reason"])) for detail in details]


def deciding(reason: str) -> float | None:
    """The value at the end of a reason."""
    try:
        return float(reason.rsplit("most recent: ", 1)[1])
    except (IndexError, ValueError):
        return None


def told(message: Any) -> tuple[str, float | None]:
    """The same of a message."""
    return message["current"], message["reason_data"].get("most_recent")
