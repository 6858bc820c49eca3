"""What a run works on: random archive policies, metrics with their raw measures, and the requests that write them."""

import dataclasses
import math
import random
from typing import Any

import numpy

from gnocchi import archive_policy, carbonara

SECOND_NS = 1_000_000_000
PLAIN_METHODS = ("mean", "sum", "last", "max", "min", "std", "median", "first", "count")
GRANULARITIES_SECONDS = (0.25, 0.5, 1, 5, 7, 10, 30, 60, 90, 300, 900, 3600, 21600, 86400)
# Timestamps to the microsecond and granularities of whole milliseconds are outside upstream's float bucketing.
RESOLUTION_NS = 1000
# The last moment that data may lie at: before any plausible clock of the machine that runs this.
LATEST_SECONDS = 1_760_000_000
Point = tuple[int, float]


@dataclasses.dataclass
class Series:
    """One metric: where it is, what is written, request by request, and what is then true of it."""

    name: str
    policy: archive_policy.ArchivePolicy
    resource: str | None
    integers: bool
    requests: list[list[Point]]
    ordered: bool
    id: str = ""

    def __post_init__(self) -> None:
        self.truth = merged(self.requests)
        self.largest = max((abs(v) for v in self.truth.values() if math.isfinite(v)), default=1.0)

    def array(self) -> Any:
        """The true raw series as upstream's array: sorted, unique timestamps."""
        stamps = sorted(self.truth)
        return carbonara.make_timeseries(numpy.array(stamps, dtype="datetime64[ns]"), [self.truth[t] for t in stamps])


def merged(requests: list[list[Point]]) -> dict[int, float]:
    """The documented rule for equal timestamps: within a request the smallest value, across requests the newest."""
    truth: dict[int, float] = {}
    for request in requests:
        smallest: dict[int, float] = {}
        for stamp, value in request:
            known = smallest.get(stamp)
            if known is None or math.isnan(known) or value < known:
                smallest[stamp] = value
        truth.update(smallest)
    return truth


def random_methods(rng: random.Random) -> list[str]:
    """A choice of aggregation methods, each with or without its rate form."""
    methods = {rng.choice(PLAIN_METHODS) for _ in range(rng.randint(2, 7))} | {f"{rng.randint(1, 99)}pct" for _ in range(rng.randint(0, 3))}
    methods |= {f"rate:{m}" for m in rng.sample(PLAIN_METHODS, rng.randint(0, 4))}
    methods |= {f"rate:{rng.randint(1, 99)}pct" for _ in range(rng.randint(0, 1))}
    return sorted(methods)


def random_policy(rng: random.Random, number: int) -> archive_policy.ArchivePolicy:
    """A policy of one to four definitions; policy 0 has every method that there is, policy 1 all plain ones in one definition."""
    methods = random_methods(rng)
    if number == 0:
        methods = sorted(archive_policy.ArchivePolicy.VALID_AGGREGATION_METHODS)
    if number == 1:
        methods = sorted(PLAIN_METHODS)
    chosen = rng.sample(GRANULARITIES_SECONDS, 1 if number == 1 else rng.randint(1, 4))
    items = []
    for granularity in chosen:
        points = None if rng.random() < 0.15 else rng.choice((3, 10, 60, 300, 1000, 3600))
        items.append(archive_policy.ArchivePolicyItem(granularity=granularity, points=points, timespan=None))
    return archive_policy.ArchivePolicy(f"policy-{number}", rng.randint(0, 3), items, methods)


def policy_body(policy: archive_policy.ArchivePolicy) -> dict[str, Any]:
    """The policy as a request body."""
    items = []
    for item in policy.definition:
        one: dict[str, Any] = {"granularity": item.granularity / numpy.timedelta64(1, "s")}
        if item.points:
            one["points"] = item.points
        items.append(one)
    return {"name": policy.name, "back_window": policy.back_window, "definition": items,
            "aggregation_methods": sorted(policy.aggregation_methods)}


def finest(policy: archive_policy.ArchivePolicy) -> Any:
    """The definition of the finest granularity."""
    return min(policy.definition, key=lambda item: item.granularity)


def granularities_ns(policy: archive_policy.ArchivePolicy) -> list[int]:
    """The policy's granularities, finest first."""
    return sorted(int(item.granularity.astype("timedelta64[ns]").astype(int)) for item in policy.definition)


def buckets_agree(stamps: list[int], policy: archive_policy.ArchivePolicy) -> bool:
    """Whether upstream's floating-point bucketing of these timestamps is the exact one."""
    array = numpy.array(stamps, dtype="datetime64[ns]")
    for granularity in granularities_ns(policy):
        exact = array.astype("int64") // granularity * granularity
        if not numpy.array_equal(carbonara.round_timestamp(array, numpy.timedelta64(granularity, "ns")).astype("int64"), exact):
            return False
    return True


def random_stamps(rng: random.Random, policy: archive_policy.ArchivePolicy, ordered: bool) -> list[int]:
    """Sorted, distinct timestamps. Unordered metrics stay inside the finest definition's span, so that no measure is ever
    late; ordered ones reach far beyond it, so that retention has something to cut."""
    item, steps = finest(policy), granularities_ns(policy)
    span = steps[-1] * rng.choice((2, 10, 40)) if ordered else (item.points or 5000) * steps[0] - steps[0]
    count = rng.choice((1, 2, 3, 20, 100, 300, 600))
    if rng.random() < 0.2:
        span = min(span, steps[0] * rng.randint(2, 20))
    span = max(RESOLUTION_NS, min(span, 20 * 365 * 86400 * SECOND_NS))
    while True:
        latest = rng.choice((86400 * 400, LATEST_SECONDS)) if steps[0] >= SECOND_NS else 86400 * 4000
        start = rng.randint(0, max(0, latest * SECOND_NS - span)) // RESOLUTION_NS * RESOLUTION_NS
        if rng.random() < 0.5:
            start = start // steps[-1] * steps[-1]
        if rng.random() < 0.3:
            step = max(RESOLUTION_NS, span // count // RESOLUTION_NS * RESOLUTION_NS)
            stamps = {start + n * step for n in range(count)}
        else:
            stamps = {start + rng.randrange(span) // RESOLUTION_NS * RESOLUTION_NS for _ in range(count)}
        result = sorted(stamps)
        if buckets_agree(result, policy):
            return result


def random_values(rng: random.Random, count: int) -> tuple[list[float], bool]:
    """Values of one of several characters, and whether all are integers small enough for exact sums."""
    kind = rng.choice(("integers", "gauge", "counter", "constant", "wide", "special", "negative"))
    if kind == "integers":
        return [float(rng.randint(-1000, 1000)) for _ in range(count)], True
    if kind == "counter":
        total, values = 0.0, []
        for _ in range(count):
            total = 0.0 if rng.random() < 0.01 else total + rng.randint(0, 10_000)
            values.append(total)
        return values, True
    if kind == "constant":
        return [rng.choice((0.0, 1.0, 42.5))] * count, False
    if kind == "wide":
        return [rng.uniform(-1, 1) * 10.0 ** rng.randint(-6, 12) for _ in range(count)], False
    if kind == "negative":
        return [-rng.expovariate(0.01) for _ in range(count)], False
    values = [rng.uniform(0, 100) for _ in range(count)]
    if kind == "special":
        for n in range(count):
            if rng.random() < 0.05:
                values[n] = rng.choice((math.nan, math.inf, -math.inf))
    return values, False


def random_requests(rng: random.Random, points: list[Point], ordered: bool, single: bool) -> list[list[Point]]:
    """Splits the points over requests: shuffled, or ascending by request; with some timestamps written again."""
    if not ordered:
        points = rng.sample(points, len(points))
    again = [] if single else [(t, v + rng.choice((-1.0, 1.0, 7.0))) for t, v in points if rng.random() < 0.05]
    if not ordered:
        points = points + again
        rng.shuffle(again)
    cuts = sorted(rng.randrange(len(points) + 1) for _ in range(0 if single else rng.choice((0, 1, 3, 8))))
    requests = [points[a:b] for a, b in zip([0, *cuts], [*cuts, len(points)]) if b > a]
    for request in requests:
        # A second value of a timestamp in the same request: the smallest counts.
        request += [(t, v + rng.choice((-1.0, 1.0))) for t, v in request if rng.random() < 0.02]
        rng.shuffle(request)
    return requests


def member_stamps(rng: random.Random, pool: list[int], policy: archive_policy.ArchivePolicy) -> list[int]:
    """Most of a family's timestamps, some of them moved a little, so that members overlap but are not alike."""
    kept = rng.choice((0.5, 0.9, 1.0))
    jitter = granularities_ns(policy)[0] // 2 if rng.random() < 0.5 else 0
    while True:
        chosen = [t for t in pool if rng.random() < kept] or pool[:1]
        moved = sorted({t + (rng.randrange(jitter + 1) // RESOLUTION_NS * RESOLUTION_NS if rng.random() < 0.3 else 0) for t in chosen})
        if buckets_agree(moved, policy):
            return moved


def random_family(rng: random.Random, number: int, members: int, single: bool, all_ordered: bool) -> list[Series]:
    """Metrics of one policy and one stretch of time. The first has no resource, the others lie on one resource each under
    the same name."""
    policy = random_policy(rng, number)
    ordered = all_ordered or rng.random() < 0.4
    pool = random_stamps(rng, policy, ordered)
    family = []
    for member in range(members):
        stamps = member_stamps(rng, pool, policy)
        values, integers = random_values(rng, len(stamps))
        requests = random_requests(rng, list(zip(stamps, values)), ordered, single)
        resource = f"resource-{member}" if member else None
        family.append(Series(f"m{number:02}.value", policy, resource, integers, requests, ordered))
    return family


def random_world(rng: random.Random, families: int, members: int, single: bool, all_ordered: bool) -> list[Series]:
    """All metrics of a run."""
    return [series for number in range(families) for series in random_family(rng, number, members, single, all_ordered)]
