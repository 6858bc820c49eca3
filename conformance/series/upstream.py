"""Gnocchi's own functions, asked the questions that the oracle is asked."""

import types
from typing import Any

import numpy
from gnocchi import carbonara
from gnocchi.rest import api
from gnocchi.rest.aggregates import exceptions, processor

from questions import Question, from_bits

Points = tuple[list[int], list[float]]


class Unasked(Exception):
    """Upstream has no answer to this question: it crashes where we refuse or go on."""


def columns(points: list[Any]) -> tuple[Any, Any]:
    times = numpy.array(points[0], dtype="int64").astype("datetime64[ns]")
    return times, numpy.array([from_bits(value) for value in points[1]], dtype="float64")


def span(width: int) -> numpy.timedelta64:
    return numpy.timedelta64(width, "ns")


def plain(array: Any) -> Points:
    return (array["timestamps"].astype("int64").tolist(), array["values"].tolist())


def answer(question: Question) -> list[Points]:
    """The series that upstream computes; raises ValueError with upstream's words where it refuses."""
    return globals()[question["kind"]](question)


def aggregate(question: Question) -> list[Points]:
    results = []
    for method in question["methods"]:
        series = carbonara.TimeSerie.from_data(*columns(question["points"]))
        width = span(question["granularity"])
        grouped = series.group_serie(width)
        aggregation = carbonara.Aggregation(method, width, None)
        results.append(plain(carbonara.AggregatedTimeSerie.from_grouped_serie(grouped, aggregation).ts))
    return results


def resample(question: Question) -> list[Points]:
    aggregation = carbonara.Aggregation(question["method"], span(1), None)
    series = carbonara.AggregatedTimeSerie.from_data(aggregation, *columns(question["points"]))
    grouping = question["grouping"]
    return [plain(series.resample(grouping if isinstance(grouping, str) else span(grouping)).ts)]


def deduplicate(question: Question) -> list[Points]:
    series = carbonara.TimeSerie()
    for batch in question["batches"]:
        series.set_values(numpy.sort(carbonara.make_timeseries(*columns(batch))))
    return [plain(series.ts)]


def predicate(question: Question) -> list[Points]:
    condition = api.SearchMetricController.MeasureQuery(question["tree"])
    values = [numpy.float64(from_bits(value)) for value in question["values"]]
    return [([], [float(bool(condition(value))) for value in values])]


def operations(question: Question) -> list[Points]:
    width = span(question["granularity"])
    pairs = []
    for i, points in enumerate(question["series"]):
        reference = types.SimpleNamespace(resource=None, name=f"m{i}", aggregation="mean", lookup_key=[f"m{i}", "mean"])
        aggregation = carbonara.Aggregation("mean", width, None)
        pairs.append((reference, carbonara.AggregatedTimeSerie.from_data(aggregation, *columns(points))))
    fill = question["fill"]
    needed, start_given, stop_given = question["overlap"] or [None, False, False]
    # Bounds outside the data: only whether they are given matters here.
    start = numpy.datetime64(1_000_000_000, "s") if start_given else None
    stop = numpy.datetime64(2_000_000_000, "s") if stop_given else None
    try:
        result = processor.aggregated(
            pairs, parsed(question["tree"]), start, stop, needed, from_bits(fill) if isinstance(fill, int) else fill)
    except exceptions.UnAggregableTimeseries as error:
        raise ValueError(error.reason) from error
    except (RuntimeError, TypeError, IndexError, AttributeError) as error:
        raise Unasked(str(error)) from error
    except ValueError as error:
        if "broadcast" in str(error):
            raise ValueError("shapes") from error
        raise Unasked(str(error)) from error
    if "aggregated" in result:
        return [rows(result["aggregated"])]
    return [rows(result[f"m{i}"]["mean"]) if f"m{i}" in result else ([], []) for i in range(len(pairs))]


def parsed(tree: Any) -> Any:
    """The tree as upstream's own schema leaves it: spans are timedeltas."""
    if not isinstance(tree, list):
        return tree
    if tree[0] == "resample":
        return [*tree[:2], span(tree[2]), parsed(tree[3])]
    return [parsed(part) for part in tree]


def rows(measures: Any) -> Points:
    times, values = [], []
    for time, _, value in measures:
        times.append(int(time.astype("datetime64[ns]").astype("int64")))
        values.append(float(value))
    return times, values
