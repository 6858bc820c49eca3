"""What is known to be stored: per writer the acknowledged requests, those of unknown fate, and the check of a metric's
aggregates against them."""

import functools
import itertools
from typing import Any

import numpy

from crash.load import BASE_SECONDS, STRETCH_SECONDS, value
from harness.api import Api

COARSE_SECONDS = 60
REQUESTS_OF_A_SLOT = COARSE_SECONDS // STRETCH_SECONDS
MOST_UNKNOWN_IN_A_SLOT = REQUESTS_OF_A_SLOT
# Points that the fine definition keeps; older seconds are only in coarse slots.
FINE_POINTS = 20_000


class Ledger:
    """One writer's requests: acknowledged ones must be there, unknown ones may be, refused and unsent ones must not."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.acknowledged: set[int] = set()
        self.unknown: set[int] = set()
        self.next = 0
        self.read = 0
        # Of unknown fate since the last round.
        self.fresh: list[int] = []
        # Answers that are neither 202 nor 503.
        self.strange: list[tuple[int, int]] = []
        open(path, "a", encoding="utf-8").close()

    def update(self) -> int:
        """Takes in the lines of the last round; returns how many requests they acknowledge."""
        with open(self.path, encoding="utf-8") as file:
            file.seek(self.read)
            lines = file.read().splitlines()
            self.read = file.tell()
        count, before = 0, set(self.unknown)
        for line in lines:
            word, number, *rest = line.split()
            request = int(number)
            self.next = max(self.next, request + 1)
            if word == "try":
                self.unknown.add(request)
            elif word == "ack":
                self.unknown.discard(request)
                self.acknowledged.add(request)
                count += 1
            elif rest[0] != "503":
                self.strange.append((request, int(rest[0])))
        self.fresh = sorted(self.unknown - before)
        return count


@functools.lru_cache(maxsize=None)
def stretch_sum(writer: int, metric: int, request: int) -> int:
    """The sum of one metric's measures in one request."""
    start = BASE_SECONDS + request * STRETCH_SECONDS
    return sum(value(writer, metric, second) for second in range(start, start + STRETCH_SECONDS))


def slot_of(request: int) -> int:
    """The coarse slot that a request's stretch lies in."""
    return (BASE_SECONDS + request * STRETCH_SECONDS) // COARSE_SECONDS * COARSE_SECONDS


def series(api: Api, metric_id: str, aggregation: str, granularity: int, first: int = 0) -> dict[int, float]:
    """One aggregate of one granularity from request `first` on: second -> value."""
    bounds = {"aggregation": aggregation, "granularity": granularity, "start": slot_of(first)}
    rows = api.want(200, "GET", f"/v1/metric/{metric_id}/measures", bounds)
    return {int(numpy.datetime64(stamp[:-6], "s").astype("int64")): number for stamp, _, number in rows}


def coarse_problem(writer: int, metric: int, ledger: Ledger, counts: dict[int, float], sums: dict[int, float],
                   first: int) -> str | None:
    """Holds the coarse slots from that of request `first` on to the ledger. Requests of unknown fate that turn out to be there, or not, are known from
    then on only through what was read: a slot must fit some choice of them, in count and in sum."""
    sure: dict[int, list[int]] = {}
    perhaps: dict[int, list[int]] = {}
    for requests, slots in ((ledger.acknowledged, sure), (ledger.unknown, perhaps)):
        for request in requests:
            if slot_of(request) >= slot_of(first):
                slots.setdefault(slot_of(request), []).append(request)
    for slot in sorted(set(counts) | set(sums) | set(sure)):
        certain = sure.get(slot, [])
        base_sum = sum(stretch_sum(writer, metric, request) for request in certain)
        got = (counts.get(slot, 0.0), sums.get(slot, 0.0))
        maybe = perhaps.get(slot, [])[:MOST_UNKNOWN_IN_A_SLOT]
        allowed = {
            (float(STRETCH_SECONDS * (len(certain) + len(extra))), float(base_sum + sum(stretch_sum(writer, metric, r) for r in extra)))
            for size in range(len(maybe) + 1) for extra in itertools.combinations(maybe, size)}
        if got not in allowed:
            return f"writer {writer} metric {metric} slot {slot}: count and sum are {got}, allowed {sorted(allowed)}"
    return None


def fine_problem(writer: int, metric: int, ledger: Ledger, counts: dict[int, float], sums: dict[int, float]) -> str | None:
    """Holds the seconds to the ledger: an acknowledged measure exactly once with its value, nothing that was never sent."""
    known = ledger.acknowledged | ledger.unknown
    for second in sorted(set(counts) | set(sums)):
        if (second - BASE_SECONDS) // STRETCH_SECONDS not in known:
            return f"writer {writer} metric {metric}: second {second} was never sent"
        if (counts.get(second), sums.get(second)) != (1.0, float(value(writer, metric, second))):
            return f"writer {writer} metric {metric} second {second}: {counts.get(second)} measures, sum {sums.get(second)}"
    kept_from = max(counts, default=0) - FINE_POINTS + STRETCH_SECONDS
    for request in ledger.acknowledged:
        start = BASE_SECONDS + request * STRETCH_SECONDS
        if start <= kept_from:
            continue
        missing = [second for second in range(start, start + STRETCH_SECONDS) if second not in counts]
        if missing:
            return f"writer {writer} metric {metric}: acknowledged seconds {missing} of request {request} are missing"
    return None


def metric_problem(api: Api, metric_id: str, writer: int, metric: int, ledger: Ledger, fine: bool, first: int = 0) -> str | None:
    """Reads one metric and holds it to the ledger: coarse slots from request `first` on, and all seconds where `fine`."""
    counts = series(api, metric_id, "count", COARSE_SECONDS, first)
    sums = series(api, metric_id, "sum", COARSE_SECONDS, first)
    problem = coarse_problem(writer, metric, ledger, counts, sums, first)
    if problem or not fine:
        return problem
    return fine_problem(writer, metric, ledger, series(api, metric_id, "count", 1), series(api, metric_id, "sum", 1))


def remember_seen(api: Api, metric_id: str, ledger: Ledger) -> None:
    """Requests whose fate has just become unknown and whose seconds are there are acknowledged from here on: what was seen
    must stay."""
    for request in ledger.fresh:
        start = BASE_SECONDS + request * STRETCH_SECONDS
        bounds = {"aggregation": "count", "granularity": 1, "start": start, "stop": start + STRETCH_SECONDS}
        if len(api.want(200, "GET", f"/v1/metric/{metric_id}/measures", bounds)) == STRETCH_SECONDS:
            ledger.unknown.discard(request)
            ledger.acknowledged.add(request)
    ledger.fresh = [request for request in ledger.fresh if request in ledger.unknown]
