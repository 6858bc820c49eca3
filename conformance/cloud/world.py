"""Our server in a cloud: Keystone recognises its callers, alarms tell and ask services of the catalogue."""

import datetime
import json
import time
from collections.abc import Callable
from typing import Any

from harness import server as live
from harness.api import Api
from harness.keystone import Keystone
from harness.postgres import free_port

# How long something may take that a service does in the background, on a busy machine.
PATIENCE_SECONDS = 120.0


class World:
    """The server under test and callers of it. `identity` runs already."""

    def __init__(self, identity: Keystone) -> None:
        self.identity = identity
        self.alarm_port = free_port()
        environment = {
            "MAX_LIMIT": "1000",
            "DEFAULT_POLICIES": "false",
            "ALARM_LISTEN": f"127.0.0.1:{self.alarm_port}",
            # Services are on this host.
            "NEPHOMETER__ALARM_NOTIFIER__ALLOWED_NETWORKS": "127.0.0.0/8",
            "NEPHOMETER__ALARM__EVALUATION_INTERVAL_SECONDS": "2",
            # Whose health is asked for is new.
            "NEPHOMETER__ALARM__MEMBER_CREATION_TIME_SECONDS": "0",
        }
        self.server = live.Server(f"{live.OURS} {identity.settings()}", environment=environment)

    def __enter__(self) -> "World":
        self.server.__enter__()
        live.wait_for(self.alarm_port)
        self.identity.add_endpoint("metric", self.server.url())
        self.identity.add_endpoint("alarming", f"http://127.0.0.1:{self.alarm_port}")
        self.prepare()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.__exit__()

    def caller(self, port: int, user: str, project: str) -> "Caller":
        """A user's requests to the service on a port."""
        return Caller(port, {"X-Auth-Token": self.identity.token(user, project)})

    def metrics(self, user: str, project: str) -> "Caller":
        """A user's requests to the metric API."""
        return self.caller(self.server.port, user, project)

    def prepare(self) -> None:
        """What an operator has made before: a policy, and Ceilometer's type of instances."""
        admin = self.metrics("c-admin", "c")
        definition = [{"granularity": "60s", "timespan": "1h"}]
        admin.post("/v1/archive_policy", {"name": "fine", "definition": definition, "aggregation_methods": ["mean", "max", "min"]})
        admin.post("/v1/resource_type", {"name": "instance", "attributes": {"server_group": {"type": "string", "required": False}}})

    @staticmethod
    def measure(metrics: "Caller", path: str, value: float) -> None:
        """The value of this minute and of the last one, both of which an alarm may look at: written at their beginnings, so that
        a later value takes the place of an earlier one."""
        now = datetime.datetime.now(datetime.timezone.utc).replace(second=0, microsecond=0)
        times = [now - datetime.timedelta(minutes=minutes) for minutes in (0, 1)]
        metrics.post(path, [{"timestamp": time.isoformat(), "value": value} for time in times])

    def dead_letters(self) -> str:
        """What the notifier could not deliver."""
        return as_text(self.alarms("c-admin", "c").get("/v2/deliveries"))

    def alarms(self, user: str, project: str) -> "Caller":
        """A user's requests to the alarm API."""
        return self.caller(self.alarm_port, user, project)


class Refused(Exception):
    """A request was refused."""


class Caller:
    """Requests that are to succeed."""

    def __init__(self, port: int, headers: dict[str, str]) -> None:
        self.api = Api(port, extra=headers)

    def _call(self, method: str, path: str, body: Any = None, params: Any = None) -> Any:
        status, answer = self.api.call(method, path, params, body)
        if status >= 400:
            raise Refused(f"{method} {path}: {status} {answer}")
        return answer

    def get(self, path: str, params: Any = None) -> Any:
        """What is there."""
        return self._call("GET", path, params=params)

    def post(self, path: str, body: Any) -> Any:
        """What comes of it."""
        return self._call("POST", path, body)

    def put(self, path: str, body: Any) -> Any:
        """What comes of it."""
        return self._call("PUT", path, body)

    def patch(self, path: str, body: Any) -> Any:
        """What comes of it."""
        return self._call("PATCH", path, body)

    def delete(self, path: str) -> Any:
        """What comes of it."""
        return self._call("DELETE", path)


def until(what: str, holds: Callable[[], Any], seconds: float = PATIENCE_SECONDS) -> Any:
    """Waits until something holds; what it gives."""
    began = time.monotonic()
    while True:
        found = holds()
        if found:
            return found
        if time.monotonic() - began > seconds:
            raise TimeoutError(f"{what}: not within {seconds} s")
        time.sleep(0.1)


def as_text(value: Any) -> str:
    """JSON, for messages."""
    return json.dumps(value, sort_keys=True)[:1500]
