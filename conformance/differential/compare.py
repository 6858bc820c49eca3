"""Whether an answer of the server is the expected one: shapes and moments exactly, values by the rule of their method."""

import math
from typing import Any

import numpy

from differential.reference import Row

RELATIVE = 1e-9
# Sums of values that cancel out leave less than this fraction of the largest value that went in.
CANCELLED = 1e-13
SECOND_NS = 1_000_000_000
EXACT_METHODS = {"count", "min", "max", "first", "last"}


def is_exact(method: str, integers: bool) -> bool:
    """Whether a method's values have one right answer, to the bit."""
    base = method.removeprefix("rate:")
    return base in EXACT_METHODS or (base == "sum" and integers)


class Closeness:
    """How near two values must be: equal, or within 1e-9 relative (and what cancellation leaves of `largest`)."""

    def __init__(self, exact: bool, largest: float = 1.0) -> None:
        self.exact = exact
        self.slack = 0.0 if exact else largest * CANCELLED

    def same(self, got: float, wanted: float) -> bool:
        """NaN equals NaN; infinities must be the same."""
        if math.isnan(wanted) or math.isnan(got):
            return math.isnan(wanted) and math.isnan(got)
        if self.exact or math.isinf(wanted) or math.isinf(got):
            return got == wanted
        return abs(got - wanted) <= max(RELATIVE * abs(wanted), self.slack)


def parsed(stamp: str) -> int:
    """A printed moment in ns; it must be in UTC and say so."""
    if not stamp.endswith("+00:00"):
        raise ValueError(f"not in UTC: {stamp}")
    return int(numpy.datetime64(stamp[:-6], "ns").astype("int64"))


def same_moment(got: str, wanted_ns: int) -> bool:
    """Exact; within a second, upstream's cut to whole seconds is right as well."""
    found = parsed(got)
    return found in (wanted_ns, wanted_ns // SECOND_NS * SECOND_NS)


def differing_row(got: list[Any], wanted: list[Row], closeness: Closeness) -> str | None:
    """The first difference of two series, in words; None where there is none."""
    for n, ((stamp, granularity, value), (wanted_ns, wanted_granularity, wanted_value)) in enumerate(zip(got, wanted)):
        if not same_moment(stamp, wanted_ns) or granularity != wanted_granularity:
            return f"row {n} is at {stamp} by {granularity}, wanted {numpy.datetime64(wanted_ns, 'ns')} by {wanted_granularity}"
        if not closeness.same(float(value), wanted_value):
            return f"row {n} at {stamp} by {granularity} is {value!r}, wanted {wanted_value!r}"
    if len(got) != len(wanted):
        return f"{len(got)} rows, wanted {len(wanted)}"
    return None


def difference(got: Any, wanted: Any, closeness: Closeness, path: str = "") -> str | None:
    """The first difference of two trees of series, in words; None where there is none."""
    if isinstance(wanted, dict):
        if not isinstance(got, dict) or set(got) != set(wanted):
            return f"{path or 'answer'} has {sorted(got) if isinstance(got, dict) else str(got)[:200]}, wanted {sorted(wanted)}"
        return next((found for key in wanted if (found := difference(got[key], wanted[key], closeness, f"{path}/{key}"))), None)
    if not isinstance(got, list):
        return f"{path or 'answer'} is {str(got)[:300]}, wanted {len(wanted)} rows"
    found = differing_row(got, wanted, closeness)
    return found and (f"{path}: {found}" if path else found)
