"""What upstream cannot do, in the middle of a run: policies whose methods and definitions change after the fact, and spans
of measures that are deleted and partly written again. Only metrics whose raw measures are all kept take part, so that
upstream's arithmetic over what is left is what must be answered."""

import math
import random
from typing import Any

import numpy

from differential.loading import iso, measures_body
from differential.queries import Asker
from differential.reference import Metric
from differential.world import PLAIN_METHODS, Point, buckets_agree, policy_body, random_methods
from gnocchi import archive_policy
from harness.api import Api

NEW_GRANULARITIES_SECONDS = (3, 20, 45, 120, 600, 7200)


def change_policy(api: Api, rng: random.Random, family: list[Metric]) -> None:
    """More methods, and with them perhaps one more definition, for all metrics of the policy."""
    old = family[0].archive_policy
    methods = sorted(set(old.aggregation_methods) | set(random_methods(rng)) | {rng.choice(PLAIN_METHODS)})
    definition = list(old.definition)
    known = {item.granularity for item in definition}
    finest = min(known)
    added = [g for g in NEW_GRANULARITIES_SECONDS if numpy.timedelta64(g, "s") > finest and numpy.timedelta64(g, "s") not in known]
    redefine = bool(added) and rng.random() < 0.6
    if redefine:
        definition.append(archive_policy.ArchivePolicyItem(granularity=rng.choice(added), points=None, timespan=None))
    new = archive_policy.ArchivePolicy(old.name, old.back_window, definition, methods)
    if not all(buckets_agree(list(metric.series.truth), new) for metric in family):
        return
    body: dict[str, Any] = {name: part for name, part in policy_body(new).items() if name in ("definition", "aggregation_methods")}
    api.want(200, "PATCH", f"/v1/archive_policy/{old.name}", {"redefine": "true"} if redefine else None, body)
    for metric in family:
        metric.archive_policy = metric.series.policy = new


def delete_span(api: Api, rng: random.Random, metric: Metric) -> None:
    """Deletes a span that does not hold the newest measure, and writes some of it again with other values."""
    truth = metric.series.truth
    stamps = sorted(truth)
    start, stop = sorted(rng.choice(stamps) for _ in range(2))
    deleted = [stamp for stamp in stamps if start <= stamp < stop]
    if not deleted:
        return
    api.want(204, "DELETE", f"/v1/metric/{metric.id}/measures", {"start": iso(start), "stop": iso(stop)})
    for stamp in deleted:
        del truth[stamp]
    again: list[Point] = [(stamp, float(rng.randint(-50, 50))) for stamp in deleted if rng.random() < 0.3]
    if again and rng.random() < 0.6:
        api.want(202, "POST", f"/v1/metric/{metric.id}/measures", body=measures_body(rng, again))
        truth.update(again)
    metric.series.largest = max((abs(v) for v in truth.values() if math.isfinite(v)), default=1.0)


def change(api: Api, rng: random.Random, asker: Asker) -> Asker:
    """Changes about half of the metrics that may be changed; returns what asks about the result."""
    for name in sorted(asker.families):
        family = [metric for metric in asker.families[name] if not metric.series.ordered]
        if len(family) < len(asker.families[name]):
            continue
        if rng.random() < 0.5:
            change_policy(api, rng, family)
        for metric in family:
            if rng.random() < 0.5:
                delete_span(api, rng, metric)
    return Asker(asker.metrics, asker.resources, splits=False)
