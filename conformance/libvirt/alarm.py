"""From a guest to a webhook: `nephometer serve` meters a real guest every ten seconds; the guest burns CPU, an alarm on its
`cpu_util` goes off and somebody is told, within 25 seconds.

    python3 conformance/libvirt/alarm.py --program target/release/nephometer

Needs what `run.py` needs."""

import argparse
import http.server
import os
import sys
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness.api import Api
from harness.outcome import Outcome
from harness.postgres import free_port
from harness.server import Server, wait_for
from libvirt.world import PROJECT, Guest, Hypervisor

INTERVAL_SECONDS = 10
# Five minutes, as policies have it unless told otherwise, would be decided every five minutes.
POLICY = f"""
  - name: as-polled
    aggregation_methods: [mean]
    back_window: 0
    definition: [{{granularity: {INTERVAL_SECONDS} seconds, timespan: 1 day}}]
"""
DEFAULTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../crates/pipeline/src/resources/gnocchi_resources.yaml")
POLLING = f"sources:\n- {{name: guests, interval: {INTERVAL_SECONDS}, meters: ['*']}}\n"
WITHIN_SECONDS = 25
FIRST_SAMPLES_SECONDS = 90


class Webhook(http.server.ThreadingHTTPServer):
    """Says when it was called."""

    def __init__(self) -> None:
        told = self.told = threading.Event()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length") or 0))
                told.set()
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing."""

        super().__init__(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.serve_forever, daemon=True).start()


def eventually(seconds: float, look: Any) -> Any:
    """The first result that counts; None where none comes in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.3)
    return None


def command(program: str, world: Hypervisor, alarm_port: int) -> str:
    """How the program is started; {port} and {dir} are the harness's."""
    with open(f"{world.root}/polling.yaml", "w", encoding="ascii") as out:
        out.write(POLLING)
    with open(DEFAULTS, encoding="utf-8") as read, open(f"{world.root}/resources.yaml", "w", encoding="utf-8") as out:
        default = read.read().replace("archive_policy_default: ceilometer-low", "archive_policy_default: as-polled")
        out.write(default.replace("archive_policies:\n", "archive_policies:" + POLICY, 1))
    settings = {
        "storage.data_dir": "{dir}", "metric_api.listen": "127.0.0.1:{port}", "metric_api.auth_mode": "basic",
        "alarm_api.listen": f"127.0.0.1:{alarm_port}",
        "self_monitoring.enabled": "false", "statsd.enabled": "false", "admin.listen": "", "polling.enabled": "true",
        "polling.namespaces": '["compute"]', "polling.cfg_file": f"{world.root}/polling.yaml", "polling.jitter_seconds": "0",
        "compute.libvirt_uri": world.uri, "publisher.resources_definition_file": f"{world.root}/resources.yaml",
        "alarm_notifier.allowed_networks": '["127.0.0.0/8"]',
    }
    return " ".join([program, "serve", *(f"--set '{name}={value}'" for name, value in settings.items())])


def arrived(api: Api, guest: Guest) -> dict[str, Any] | None:
    """The guest's resource, once it has the metric that the alarm is about."""
    status, resource = api.call("GET", f"/v1/resource/instance/{guest.uuid}")
    return resource if status == 200 and "cpu_util" in resource["metrics"] else None


def prove(outcome: Outcome, program: str, world: Hypervisor, guest: Guest) -> None:
    """The whole way."""
    alarm_port, webhook = free_port(), Webhook()
    with Server(command(program, world, alarm_port)) as server:
        wait_for(alarm_port)
        api = Api(server.port)
        alarming = Api(alarm_port, extra={"X-User-Id": "u", "X-Project-Id": PROJECT, "X-Roles": "admin"})
        resource = eventually(FIRST_SAMPLES_SECONDS, lambda: arrived(api, guest))
        if not outcome.check("the guest is a resource with cpu_util", resource is not None, server.log_tail(2000)):
            return
        outcome.equal("the resource's project", resource["project_id"], PROJECT)
        metric = api.want(200, "GET", f"/v1/metric/{resource['metrics']['cpu_util']}")
        granularity = min(seconds(row["granularity"]) for row in metric["archive_policy"]["definition"])
        url = f"http://127.0.0.1:{webhook.server_port}/"
        alarm = alarming.want(201, "POST", "/v2/alarms", body={
            "name": "it burns", "type": "gnocchi_resources_threshold",
            "gnocchi_resources_threshold_rule": {
                "resource_id": guest.uuid, "resource_type": "instance", "metric": "cpu_util", "aggregation_method": "mean",
                "granularity": granularity, "evaluation_periods": 1, "comparison_operator": "gt", "threshold": 10},
            "alarm_actions": [url]})
        state = f"/v2/alarms/{alarm['alarm_id']}/state"
        quiet = eventually(60, lambda: alarming.call("GET", state)[1] == "ok")
        outcome.check("the alarm is quiet while the guest is idle", bool(quiet), str(alarming.call("GET", state)))
        guest.order("burn 2")
        began = time.monotonic()
        told = webhook.told.wait(120)
        took = time.monotonic() - began
        print(f"  from the guest's first loop to the webhook: {took:.1f} s at an interval of {INTERVAL_SECONDS} s")
        outcome.check(f"the webhook is told within {WITHIN_SECONDS} s", told and took <= WITHIN_SECONDS, f"{took:.1f} s")
        guest.order("idle")


def seconds(text: str) -> float:
    """A span as Gnocchi writes it, `0:05:00`."""
    days, _, clock = text.rpartition(", ")
    hours, minutes, rest = clock.split(":")
    return int(days.split()[0] if days else 0) * 86400 + int(hours) * 3600 + int(minutes) * 60 + float(rest)


def main() -> int:
    """Runs the proof."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    arguments = parser.parse_args()
    outcome = Outcome()
    with Hypervisor() as world:
        prove(outcome, os.path.abspath(arguments.program), world, world.guest(1))
    return outcome.finish()


if __name__ == "__main__":
    sys.exit(main())
