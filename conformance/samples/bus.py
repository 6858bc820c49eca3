"""Samples over RabbitMQ to a real ceilometer-agent-notification, which writes them to our server."""

import os
import random
import signal
import subprocess
import sys
import threading
import time

from harness import outcome, rabbitmq, server as live
from samples import hear, load
from samples.publisher import Publisher

CALLS = 100
OF_CALL = 20
PIPELINE = f"""
sources: [{{name: all, meters: ["*"], sinks: [store]}}]
sinks: [{{name: store, publishers: ["gnocchi://?enable_filter_project=false&archive_policy={load.POLICY}"]}}]
"""


class NotificationAgent:
    """Ceilometer's own, unmodified. It hears polling agents' topic, and that of `notifier://` by its own name."""

    def __init__(self, root: str, bus: rabbitmq.Rabbitmq, server: live.Server) -> None:
        self.path = os.path.join(root, "agent.conf")
        with open(os.path.join(root, "pipeline.yaml"), "w", encoding="utf-8") as file:
            file.write(PIPELINE)
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(f"""[DEFAULT]
transport_url = {bus.transport_url()}
pipeline_cfg_file = {root}/pipeline.yaml
[oslo_messaging_rabbit]
amqp_durable_queues = true
[notification]
pipelines = meter
notification_control_exchanges = ceilometer
[service_credentials]
auth_type = gnocchi-basic
user = admin
endpoint = {server.url()}
""")
        self.log = os.path.join(root, "agent.log")
        program = os.path.join(os.path.dirname(sys.executable), "ceilometer-agent-notification")
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([program, "--config-file", self.path], stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """SIGTERM, and SIGKILL."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(10)
            except (ProcessLookupError, subprocess.TimeoutExpired):
                continue


def under_load(publisher: Publisher, first: int, bus: rabbitmq.Rabbitmq, rng: random.Random) -> tuple[set[int], int]:
    """Sends calls while RabbitMQ is killed and started again; what was acknowledged, and how often it was killed."""
    done = threading.Event()
    kills = [0]

    def kill_bus() -> None:
        while not done.wait(rng.uniform(1, 3)):
            bus.kill()
            kills[0] += 1
            time.sleep(rng.uniform(0.1, 1))
            bus.start()

    killer = threading.Thread(target=kill_bus)
    killer.start()
    acknowledged: set[int] = set()
    call = 0
    while call < CALLS or kills[0] < 2:
        numbers = range(first + call * OF_CALL, first + (call + 1) * OF_CALL)
        if publisher.send(load.messages(numbers)) == "ok":
            acknowledged.update(numbers)
        call += 1
        time.sleep(0.05)
    done.set()
    killer.join()
    return acknowledged, kills[0]


def run(tally: outcome.Outcome, seed: int) -> None:
    """Both forms, one after the other."""
    rng = random.Random(seed)
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "false"}
    with live.Server(live.OURS, environment=settings) as server, rabbitmq.Rabbitmq() as bus:
        load.prepare(server)
        config = os.path.join(server.root, "ceilometer.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write(f"[service_credentials]\nauth_type = gnocchi-basic\nuser = admin\nendpoint = {server.url()}\n")
        upgrade = os.path.join(os.path.dirname(sys.executable), "ceilometer-upgrade")
        subprocess.run([upgrade, "--config-file", config, "--retry", "1"], check=True, capture_output=True, timeout=120)
        agent = NotificationAgent(server.root, bus, server)
        try:
            polling = Publisher("notifier://", f"bus={bus.transport_url()}", "polling=notifications")
            acknowledged, kills = under_load(polling, 0, bus, rng)
            counts = polling.finish(180)
            tally.check("bus: RabbitMQ was killed", kills >= 2, f"{kills} times")
            tally.check("bus: some samples waited", counts["failures"] > 0, str(counts))
            print(f"bus: RabbitMQ killed {kills} times, {len(acknowledged)} samples acknowledged")
            load.check(tally, "telemetry.polling", server, acknowledged, 120)
            heard(tally, bus, rng)
        finally:
            agent.stop()


def heard(tally: outcome.Outcome, bus: rabbitmq.Rabbitmq, rng: random.Random) -> None:
    """`notifier://`, received by oslo.messaging: nothing of Ceilometer's listens to its topic by default."""
    publisher = Publisher("notifier://?topic=metering&per_meter_topic=1", f"bus={bus.transport_url()}")
    listener = hear.Listener(bus.transport_url(), "ceilometer", "metering")
    acknowledged, _ = under_load(publisher, 1_000_000, bus, rng)
    publisher.finish(180)
    seen = listener.samples(acknowledged, 120)
    tally.check("notifier: every sample is received", acknowledged <= seen.keys(), f"{len(acknowledged - seen.keys())} missing")
    tally.equal("notifier: signatures verify", listener.unsigned, 0)
    tally.equal("notifier: event types", sorted(listener.event_types), ["metering", "metering.memory.usage"])
    listener.stop()
