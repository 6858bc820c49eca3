"""The same samples through Ceilometer's own Gnocchi publisher and through ours."""

import os
import random
import subprocess
import sys
from typing import Any
from urllib import parse

import ceilometer_publisher as theirs
from ceilometer import service
from ceilometer.publisher import gnocchi, utils
from gnocchiclient import auth
from gnocchiclient.v1 import client as gnocchi_v1

from harness import outcome, server as live
from samples.publisher import Publisher

CYCLES = 10
# What our types and definitions have beside Ceilometer's.
ADDED_TYPES = {"trove_instance"}


def everything(server: live.Server) -> dict[str, Any]:
    """All that a server has, without what differs by nature: ids of metrics, and when things were made."""
    client = gnocchi_v1.Client(session_options={"auth": auth.GnocchiBasicPlugin("admin", server.url())})
    found: dict[str, Any] = {
        "types": {kind["name"]: kind["attributes"] for kind in client.resource_type.list() if kind["name"] not in ADDED_TYPES},
        "policies": {policy["name"]: policy for policy in client.archive_policy.list() if policy["name"].startswith("ceilometer-")},
    }
    names = {resource["id"]: resource["type"] for resource in client.resource.list()}
    for resource_id, kind in names.items():
        resource = client.resource.get(kind, resource_id)
        metrics = resource.pop("metrics")
        for key in ("revision_start", "started_at"):
            resource.pop(key)
        found[f"resource {resource_id}"] = resource
        found[f"revisions {resource_id}"] = [
            {key: revision.get(key) for key in ("host", "display_name", "project_id")} for revision in client.resource.history(kind, resource_id)]
        for name, metric_id in metrics.items():
            metric = client.metric.get(metric_id)
            found[f"metric {resource_id} {name}"] = (metric["unit"], metric["archive_policy"]["name"], metric["creator"])
            for method in metric["archive_policy"]["aggregation_methods"]:
                found[f"measures {resource_id} {name} {method}"] = client.metric.get_measures(metric_id, aggregation=method)
    return found


def run(tally: outcome.Outcome, seed: int) -> None:
    """Publishes to both and compares all that they have."""
    rng = random.Random(seed)
    resources, cycles = theirs.resources(rng), []
    for cycle in range(CYCLES):
        cycles.append(theirs.cycle_samples(rng, cycle, {}, resources))
    settings = {"MAX_LIMIT": "1000", "DEFAULT_POLICIES": "false"}
    with live.Server(live.OURS, environment=settings) as upstream, live.Server(live.OURS, environment=settings) as own:
        config = theirs.configure(upstream)
        program = os.path.join(os.path.dirname(sys.executable), "ceilometer-upgrade")
        subprocess.run([program, "--config-file", config, "--retry", "1"], check=True, capture_output=True, timeout=120)
        conf = service.prepare_service([], config_files=[config])
        publisher = gnocchi.GnocchiPublisher(conf, parse.urlparse("gnocchi://?enable_filter_project=false"))
        ours = Publisher("gnocchi://", f"gnocchi={own.url()}")
        for samples in cycles:
            publisher.publish_samples(samples)
            said = ours.send([utils.meter_message_from_counter(sample, "") for sample in samples])
            tally.equal("our publisher takes a cycle", said, "ok")
        counts = ours.finish()
        tally.equal("ours refused nothing", counts["refused"], 0)
        first, second = everything(upstream), everything(own)
        tally.equal("the same things exist", sorted(second), sorted(first))
        for name, thing in first.items():
            tally.equal(name, second.get(name), thing)
