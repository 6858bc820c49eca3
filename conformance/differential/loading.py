"""Makes a run's world on a server: policies, resources, metrics, and their measures over every write route."""

import math
import random
from typing import Any

import numpy

from differential.world import SECOND_NS, Point, Series, policy_body
from harness.api import Api

# Attributes that grouping queries group by.
PROJECTS = ("project-a", "project-b")
USERS = ("user-1", "user-2", "user-3")


def iso(ns: int) -> str:
    """A moment as the API takes it, to the microsecond."""
    return str(numpy.datetime_as_string(numpy.datetime64(ns, "ns"), unit="us"))


def owners(resource: str) -> dict[str, str]:
    """Whose a resource is; by its number, so that groups have several members."""
    number = int(resource.rsplit("-", 1)[1])
    return {"project_id": PROJECTS[number % len(PROJECTS)], "user_id": USERS[number % len(USERS)]}


def spelled(rng: random.Random, value: float) -> Any:
    """A value in one of the forms that the API accepts."""
    if not math.isfinite(value):
        return rng.choice((value, str(value)))
    if value.is_integer() and abs(value) < 2**53 and rng.random() < 0.5:
        return int(value)
    return repr(value) if rng.random() < 0.05 else value


def measures_body(rng: random.Random, points: list[Point]) -> list[dict[str, Any]]:
    """The points of one request, with one form of timestamps."""
    if all(t % SECOND_NS == 0 for t, _ in points) and rng.random() < 0.5:
        return [{"timestamp": t // SECOND_NS, "value": spelled(rng, v)} for t, v in points]
    zone = rng.choice(("", "+00:00", "Z"))
    return [{"timestamp": iso(t) + zone, "value": spelled(rng, v)} for t, v in points]


def create(api: Api, world: list[Series], rng: random.Random) -> None:
    """Policies, resources and metrics; a third of the resources' metrics is left for the batch route to create."""
    for policy in {series.policy.name: series.policy for series in world}.values():
        api.want(201, "POST", "/v1/archive_policy", body=policy_body(policy))
    for resource in sorted({series.resource for series in world if series.resource}):
        api.want(201, "POST", "/v1/resource/generic", body={"id": resource, **owners(resource)})
    for series in world:
        body = {"archive_policy_name": series.policy.name, "name": series.name}
        if series.resource is None:
            series.id = api.want(201, "POST", "/v1/metric", body=body)["id"]
        elif rng.random() < 0.66:
            answer = api.want(200, "POST", f"/v1/resource/generic/{series.resource}/metric",
                              body={series.name: {"archive_policy_name": series.policy.name}})
            series.id = {metric["name"]: metric["id"] for metric in answer}[series.name]


def post_batch(api: Api, rng: random.Random, chosen: list[tuple[Series, list[Point]]]) -> None:
    """One request for several metrics: by id, or by resource and name."""
    if all(series.resource for series, _ in chosen) and rng.random() < 0.5 or not all(series.id for series, _ in chosen):
        by_name: dict[str, dict[str, Any]] = {}
        for series, points in chosen:
            one = {"archive_policy_name": series.policy.name, "measures": measures_body(rng, points)}
            by_name.setdefault(str(series.resource), {})[series.name] = one
        api.want(202, "POST", "/v1/batch/resources/metrics/measures", {"create_metrics": "true"}, by_name)
        return
    api.want(202, "POST", "/v1/batch/metrics/measures", body={series.id: measures_body(rng, points) for series, points in chosen})


def write(api: Api, world: list[Series], rng: random.Random) -> int:
    """Writes every request of every metric, in each metric's order, mixed with the other metrics'; returns their number."""
    waiting = {n: list(series.requests) for n, series in enumerate(world)}
    sent = 0
    while waiting:
        numbers = rng.sample(sorted(waiting), min(len(waiting), rng.choice((1, 1, 4, 20))))
        chosen = [(world[n], waiting[n].pop(0)) for n in numbers]
        waiting = {n: rest for n, rest in waiting.items() if rest}
        # One batch request is either all by id or all by resource: metrics not made yet have no id.
        named = [(s, p) for s, p in chosen if not s.id]
        known = [(s, p) for s, p in chosen if s.id]
        for group in (named, known):
            if len(group) == 1 and group[0][0].id and rng.random() < 0.5:
                api.want(202, "POST", f"/v1/metric/{group[0][0].id}/measures", body=measures_body(rng, group[0][1]))
            elif group:
                post_batch(api, rng, group)
            sent += bool(group)
    learn_ids(api, world)
    return sent


def learn_ids(api: Api, world: list[Series]) -> None:
    """The ids of the metrics that batches created."""
    metrics = {}
    for resource in sorted({series.resource for series in world if series.resource}):
        metrics[resource] = api.want(200, "GET", f"/v1/resource/generic/{resource}")["metrics"]
    for series in world:
        if series.resource:
            series.id = metrics[series.resource][series.name]
