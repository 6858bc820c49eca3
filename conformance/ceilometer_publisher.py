"""Ceilometer 27's own Gnocchi publisher, from PyPI and unmodified, writes to a fresh server; what it wrote is read back.

    ceilometer_publisher.py [--server CMD | --peer] [--seed N] [--cycles N] [--keep]

`ceilometer-upgrade` creates Ceilometer's resource types; the publisher creates its archive policies, posts batches with
create_metrics=true, creates the resources that the server says it does not know, patches attributes that change, and
ends resources on events. Then resource types, resources, revisions, metrics, policies, units and every aggregate are read
with gnocchiclient and compared with what was published. Ends with 'N passed, N failed'.
"""

import argparse
import datetime
import logging
import math
import os
import random
import subprocess
import sys
import uuid
from typing import Any
from urllib import parse

from ceilometer import sample as ceilometer_sample
from ceilometer import service
from ceilometer.event import models
from ceilometer.publisher import gnocchi as publisher
from gnocchiclient import auth
from gnocchiclient.v1 import client as gnocchi_v1

from harness import outcome, server as live

EPOCH = datetime.datetime(2026, 3, 1, tzinfo=datetime.timezone.utc)
PERIOD_SECONDS = 60
LOW_SECONDS = 300
# meter -> (resource type, unit, sample type, archive policy that Ceilometer's definitions name)
METERS = {
    "cpu": ("instance", "ns", "cumulative", "ceilometer-low-rate"),
    "memory.usage": ("instance", "MB", "gauge", "ceilometer-low"),
    "vcpus": ("instance", "vcpu", "gauge", "ceilometer-low"),
    "image.size": ("image", "B", "gauge", "ceilometer-low"),
    "volume.size": ("volume", "GB", "gauge", "ceilometer-low"),
    "network.incoming.bytes": ("instance_network_interface", "B", "cumulative", "ceilometer-low-rate"),
    "storage.objects": ("swift_account", "object", "gauge", "ceilometer-low"),
}
Published = dict[tuple[str, str], list[tuple[datetime.datetime, float]]]


class Errors(logging.Handler):
    """The publisher logs its failures and goes on: they are counted here."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage()[:400])


def resources(rng: random.Random) -> list[tuple[str, str]]:
    """Pairs of resource type and id, in the forms that Ceilometer sends: UUIDs and free text with slashes."""
    made = [("instance", str(uuid.UUID(int=rng.getrandbits(128), version=4))) for _ in range(12)]
    made += [(kind, str(uuid.UUID(int=rng.getrandbits(128), version=4))) for kind in ("image", "volume", "swift_account") for _ in range(3)]
    made += [("instance_network_interface", f"instance-0000/{made[n][1]}-tap{n:08x}") for n in range(6)]
    return made


def metadata(kind: str, resource_id: str, cycle: int, instance: str) -> dict[str, Any]:
    """What the resource's definitions take attributes from. The host of every instance changes once."""
    if kind == "instance":
        return {"host": "compute-1" if cycle < 4 else "compute-2", "display_name": f"vm-{resource_id[:8]}", "flavor_id": "1",
                "instance_type": "m1.small", "image_ref": "none", "flavor": {"id": "1", "name": "m1.small"}}
    if kind == "image":
        return {"name": f"image-{resource_id[:8]}", "container_format": "bare", "disk_format": "raw"}
    if kind == "volume":
        return {"display_name": f"vol é {resource_id[:8]}", "volume_type": "lvm", "size": 10}
    if kind == "instance_network_interface":
        return {"instance_id": instance, "vnic_name": "tap0", "name": "tap0", "mac": "fa:16:3e:00:00:01"}
    return {}


def cycle_samples(rng: random.Random, cycle: int, published: Published, all_resources: list[tuple[str, str]]) -> list[ceilometer_sample.Sample]:
    """One polling cycle: a sample of every meter of every resource, at its own moment of the period."""
    samples = []
    instance = all_resources[0][1]
    for kind, resource_id in all_resources:
        for meter, (meter_kind, unit, sample_type, _) in METERS.items():
            if meter_kind != kind:
                continue
            when = EPOCH + datetime.timedelta(seconds=cycle * PERIOD_SECONDS, microseconds=rng.randrange(50_000_000))
            value = cycle * 1e9 + rng.random() * 1e9 if sample_type == "cumulative" else rng.choice([0, 1, rng.random() * 4096])
            published.setdefault((resource_id, meter), []).append((when, float(value)))
            samples.append(ceilometer_sample.Sample(
                meter, sample_type, unit, value, "a-user", "a-project", resource_id, when.replace(tzinfo=None).isoformat(),
                metadata(kind, resource_id, cycle, instance)))
    rng.shuffle(samples)
    return samples


def event(event_type: str, resource_id: str, host: str) -> models.Event:
    """An event of an instance as the notification agent makes it."""
    traits = [models.Trait(name, models.Trait.TEXT_TYPE, value) for name, value in (
        ("instance_id", resource_id), ("display_name", f"vm-{resource_id[:8]}"), ("host", host),
        ("instance_flavor_id", "1"), ("instance_type", "m1.small"), ("user_id", "a-user"), ("project_id", "a-project"))]
    return models.Event(str(uuid.uuid4()), event_type, datetime.datetime.now(datetime.timezone.utc), traits, {})


def configure(server: live.Server) -> str:
    """Writes Ceilometer's configuration file: its Gnocchi session signs in with gnocchi-basic."""
    path = os.path.join(server.root, "ceilometer.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[service_credentials]\nauth_type = gnocchi-basic\nuser = admin\nendpoint = {server.url()}\n")
    return path


def publish(server: live.Server, rng: random.Random, cycles: int, tally: outcome.Outcome) -> tuple[Published, list[tuple[str, str]], str]:
    """Runs the upgrade and the publisher; returns what was published, the resources, and an instance made by event only."""
    config = configure(server)
    upgrade = subprocess.run([os.path.join(os.path.dirname(sys.executable), "ceilometer-upgrade"), "--config-file", config, "--retry", "1"],
                             capture_output=True, text=True, check=False, timeout=120)
    tally.check("ceilometer-upgrade", upgrade.returncode == 0, (upgrade.stdout + upgrade.stderr)[-800:])
    errors = Errors()
    logging.getLogger("ceilometer").addHandler(errors)
    conf = service.prepare_service([], config_files=[config])
    target = publisher.GnocchiPublisher(conf, parse.urlparse("gnocchi://?enable_filter_project=false"))
    published: Published = {}
    all_resources = resources(rng)
    by_event = str(uuid.UUID(int=rng.getrandbits(128), version=4))
    target.publish_events([event("compute.instance.create.end", by_event, "compute-9")])
    for cycle in range(cycles):
        target.publish_samples(cycle_samples(rng, cycle, published, all_resources))
    target.publish_events([event("compute.instance.delete.start", by_event, "compute-9")])
    tally.check("publisher logged no error", not errors.messages, "; ".join(errors.messages[:3]))
    return published, all_resources, by_event


def buckets(points: list[tuple[datetime.datetime, float]], rate: bool) -> list[tuple[datetime.datetime, float]]:
    """Means of 300-second buckets, of the values or of their consecutive differences, in exact arithmetic of the definition."""
    ordered = sorted(points)
    if rate:
        ordered = [(b[0], b[1] - a[1]) for a, b in zip(ordered, ordered[1:])]
    grouped: dict[int, list[float]] = {}
    for when, value in ordered:
        grouped.setdefault(math.floor((when - EPOCH).total_seconds() / LOW_SECONDS), []).append(value)
    return [(EPOCH + datetime.timedelta(seconds=n * LOW_SECONDS), math.fsum(v) / len(v)) for n, v in sorted(grouped.items())]


def same_series(got: list[Any], wanted: list[tuple[datetime.datetime, float]]) -> bool:
    """Equal moments, granularity of 300 s, values within 1e-9 relative."""
    return len(got) == len(wanted) and all(
        g[0] == w[0] and g[1] == LOW_SECONDS and math.isclose(g[2], w[1], rel_tol=1e-9, abs_tol=1e-9) for g, w in zip(got, wanted))


def check_measures(client: Any, published: Published, found: dict[str, Any], tally: outcome.Outcome) -> None:
    """Every metric: its policy, unit and aggregates."""
    for (resource_id, meter), points in sorted(published.items()):
        _, unit, _, policy = METERS[meter]
        name = f"{resource_id} {meter}"
        metric_id = found[resource_id.replace("/", "_")]["metrics"].get(meter)
        if not tally.check(f"{name} exists", metric_id is not None):
            continue
        metric = client.metric.get(metric_id)
        tally.equal(f"{name} policy and unit", (metric["archive_policy"]["name"], metric["unit"]), (policy, unit))
        got = client.metric.get_measures(metric_id, refresh=True)
        tally.check(f"{name} mean", same_series(got, buckets(points, False)), f"{got} for {buckets(points, False)}")
        if policy.endswith("-rate"):
            rates = client.metric.get_measures(metric_id, aggregation="rate:mean", refresh=True)
            tally.check(f"{name} rate:mean", same_series(rates, buckets(points, True)), f"{rates} for {buckets(points, True)}")


def check_resources(client: Any, all_resources: list[tuple[str, str]], cycles: int, tally: outcome.Outcome) -> dict[str, Any]:
    """Every resource: type, owner, attributes, revisions. Returns them by original id."""
    found = {}
    for kind, resource_id in all_resources:
        original = resource_id.replace("/", "_")
        resource = client.resource.get(kind, original)
        found[original] = resource
        tally.equal(f"{original} identity", (resource["type"], resource["original_resource_id"], resource["user_id"], resource["project_id"]),
                    (kind, original, "a-user", "a-project"))
        wanted = {m for m, (meter_kind, *_) in METERS.items() if meter_kind == kind}
        tally.equal(f"{original} metrics", set(resource["metrics"]), wanted)
        if kind == "instance":
            tally.equal(f"{original} host", resource["host"], "compute-2" if cycles > 4 else "compute-1")
            hosts = [revision["host"] for revision in client.resource.history(kind, original)]
            first_last = (hosts[0], hosts[-1]) if hosts else None
            tally.equal(f"{original} history", first_last, ("compute-1", resource["host"]))
    return found


def main() -> int:
    """Starts the server, publishes, reads back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", default=live.OURS)
    parser.add_argument("--peer", action="store_true")
    parser.add_argument("--seed", type=int, default=27)
    parser.add_argument("--cycles", type=int, default=12)
    args = parser.parse_args()
    tally = outcome.Outcome()
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "true"}
    with live.Server(live.PEER if args.peer else args.server, environment=settings) as server:
        published, all_resources, by_event = publish(server, random.Random(args.seed), args.cycles, tally)
        client = gnocchi_v1.Client(session_options={"auth": auth.GnocchiBasicPlugin("admin", server.url())})
        types = {kind["name"] for kind in client.resource_type.list()}
        tally.check("resource types", {kind for kind, *_ in METERS.values()} <= types, str(types))
        ended = client.resource.get("instance", by_event)
        tally.check("a resource is made and ended by events", ended["host"] == "compute-9" and ended["ended_at"] is not None, str(ended))
        found = check_resources(client, all_resources, args.cycles, tally)
        check_measures(client, published, found, tally)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
