"""Our agent: `nephometer serve`, which polls the cloud, and what its store then has."""

import dataclasses
import json
import os
import shlex
import subprocess
import tempfile
from typing import Any

from cloud.world import Caller
from harness.keystone import Keystone
from harness.server import Server
from services.settings import POLLER
from services.things import Wanted

INTERVAL_SECONDS = 5
POLLING = f"sources:\n- {{name: cloud, interval: {INTERVAL_SECONDS}, meters: ['*']}}\n"
# In the place of the policy that meters get by themselves: every measure of the last hour can be read as it was.
POLICY = {"name": "ceilometer-low", "definition": [{"granularity": "1s", "timespan": "1h"}], "aggregation_methods": ["last"]}


@dataclasses.dataclass(frozen=True)
class Reading:
    """The newest measure of a metric in the store, and whose it is."""

    wanted: Wanted
    at: str


class Agent:
    """The program with the cloud's credentials."""

    def __init__(self, program: str, identity: Keystone) -> None:
        self.program = program
        self.directory = tempfile.TemporaryDirectory(prefix="agent-")
        polling = os.path.join(self.directory.name, "polling.yaml")
        with open(polling, "w", encoding="ascii") as out:
            out.write(POLLING)
        self.settings = {
            "storage.data_dir": os.path.join(self.directory.name, "data"), "polling.cfg_file": polling,
            "polling.namespaces": '["central"]', "polling.jitter_seconds": "0",
            "metric_api.auth_mode": "basic", "metric_api.max_limit": "10000", "alarm_api.listen": "", "admin.listen": "",
            # A service that hangs is not waited for longer.
            "service_credentials.timeout": "10",
            "self_monitoring.enabled": "false", "statsd.enabled": "false", "service_credentials.auth_url": identity.url,
            "service_credentials.username": POLLER, "service_credentials.password": f"pw-{POLLER}",
            "service_credentials.project_name": "service", "service_credentials.default_domain_name": "Default",
        }

    def _arguments(self, **more: str) -> list[str]:
        return [f"--set={name}={value}" for name, value in {**self.settings, **more}.items()]

    def server(self, polls: bool) -> Server:
        """The program as a server."""
        more = {"metric_api.listen": "127.0.0.1:{port}", "polling.enabled": str(polls).lower()}
        return Server(shlex.join([self.program, "serve", *self._arguments(**more)]), data=self.settings["storage.data_dir"])

    def prepare(self) -> None:
        """Makes the archive policy, which must be there before anything is polled."""
        with self.server(polls=False) as server:
            Caller(server.port, {}).post("/v1/archive_policy", POLICY)

    def _run(self, *words: str) -> Any:
        done = subprocess.run([self.program, *words, "--json", "--namespace", "central"], capture_output=True, text=True,
                              check=False, timeout=300)
        if done.returncode:
            raise RuntimeError(f"{' '.join(words[:1])}: {done.stderr[-2000:]}")
        return json.loads(done.stdout)

    def meters(self) -> dict[str, tuple[str, str]]:
        """Type and unit of each meter that is there to be polled."""
        return {meter["meter"]: (meter["type"], meter["unit"]) for meter in self._run("meters")}

    def cycle(self) -> Any:
        """What a cycle reads, without a store."""
        return self._run("polling", "--once", "--dry-run", *self._arguments())

    def __enter__(self) -> "Agent":
        return self

    def __exit__(self, *_: object) -> None:
        self.directory.cleanup()


class Store:
    """What a server has."""

    def __init__(self, server: Server) -> None:
        self.api = Caller(server.port, {})
        self.units: dict[str, str] = {}

    def _unit(self, metric: str) -> str:
        if metric not in self.units:
            self.units[metric] = self.api.get(f"/v1/metric/{metric}")["unit"]
        return self.units[metric]

    def resource(self, kind: str, resource: str) -> dict[str, Any]:
        """What is told of a resource."""
        found = self.api.post(f"/v1/search/resource/{kind}", {"=": {"original_resource_id": resource}})
        return found[0] if found else {}

    def readings(self) -> dict[tuple[str, str], Reading]:
        """The newest measure of everything, by meter and resource."""
        found = {}
        for resource in self.api.get("/v1/resource/generic", {"limit": 10000}):
            for meter, metric in resource["metrics"].items():
                measures = self.api.get(f"/v1/metric/{metric}/measures", {"aggregation": "last"})
                if measures:
                    at, _, volume = measures[-1]
                    wanted = Wanted(resource["type"], self._unit(metric), volume, resource["project_id"], resource["user_id"])
                    found[meter, resource["original_resource_id"]] = Reading(wanted, at)
        return found


def as_stored(resource: str) -> str:
    """A resource's id as the store has it: slashes are no part of one."""
    return resource.replace("/", "_")
