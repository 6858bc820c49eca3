"""The expected answers, computed by Gnocchi 4.7.1's own code from the true raw measures of each metric.

A metric's aggregates come from `carbonara` as if all its measures had arrived in one batch, which is what upstream means
and what only the accident of batching keeps it from giving; cross-metric requests go through `rest.aggregates` as is,
over a storage driver that hands out those aggregates.
"""

import warnings
from typing import Any, Callable

import numpy

from differential.world import Series
from gnocchi import archive_policy, carbonara
from gnocchi.rest.aggregates import api as aggregates_api
from gnocchi.rest.aggregates import exceptions, operations, processor
from gnocchi.utils import parallel_map

# (timestamp in ns, granularity in seconds or a calendar letter, value)
Row = tuple[int, float | str, float]
parallel_map.MAX_WORKERS = 1
# NaN and infinities go in on purpose.
numpy.seterr(all="ignore")


class Undefined(Exception):
    """Upstream answers this request with a crash (500): nothing to compare with."""


class Refused(Exception):
    """Upstream answers 400 with this reason."""


class Metric:
    """What upstream's code wants of a metric; compared and hashed by identity."""

    def __init__(self, series: Series) -> None:
        self.id = series.id
        self.name = series.name
        self.series = series
        self.archive_policy: archive_policy.ArchivePolicy = series.policy


def truth_as_numbers() -> None:
    """Makes comparisons give 1.0 and 0.0 right away, as we define them. Upstream leaves numpy's booleans, of which a
    difference is "not equal" and a sum is "or"; only the printed answer has numbers."""

    def numbers(compare: Callable[..., Any]) -> Callable[..., Any]:
        return lambda a, b: numpy.asarray(compare(a, b), dtype=float)

    for name, function in operations.binary_operators.items():
        if function in (numpy.equal, numpy.not_equal, numpy.less, numpy.less_equal, numpy.greater, numpy.greater_equal):
            operations.binary_operators[name] = numbers(function)


class Storage:
    """Upstream's storage interface over exact aggregates, with our rule of retention: it counts from the slot of the
    metric's newest measure, the same for every method. With `splits` it is upstream's: counted from the newest aggregate of
    the method at hand (a `std` has none for a slot of one measure), among the splits of 3600 points that a request's bounds
    make it load."""

    def __init__(self, splits: bool) -> None:
        self.splits = splits
        self.cache: dict[tuple[int, Any], Any] = {}

    def aggregates(self, metric: Metric, aggregation: carbonara.Aggregation) -> Any:
        """All aggregates that the raw measures make, retention not applied."""
        key = (id(metric.series), aggregation)
        if key not in self.cache:
            raw = carbonara.TimeSerie(metric.series.array())
            self.cache[key] = carbonara.AggregatedTimeSerie.from_grouped_serie(raw.group_serie(aggregation.granularity), aggregation).ts
        return self.cache[key]

    def loaded(self, metric: Metric, aggregation: carbonara.Aggregation, start: Any, stop: Any) -> Any:
        """The aggregates that upstream would load from its splits for these bounds."""
        rows = self.aggregates(metric, aggregation)
        if not self.splits:
            return rows
        width = aggregation.granularity * carbonara.SplitKey.POINTS_PER_SPLIT
        keys = carbonara.round_timestamp(rows["timestamps"], width)
        keep = numpy.ones(len(rows), dtype=bool)
        if aggregation.timespan is not None and len(rows):
            # Splits that lie wholly beyond retention were never stored.
            keep &= keys >= carbonara.round_timestamp(rows["timestamps"][-1] - aggregation.timespan, width)
        if start is not None:
            keep &= keys >= carbonara.round_timestamp(start, width)
        if stop is not None:
            keep &= keys <= carbonara.round_timestamp(stop, width)
        return rows[keep]

    @staticmethod
    def horizon(metric: Metric, aggregation: carbonara.Aggregation) -> Any:
        """What a definition shows begins after this."""
        newest = metric.series.array()["timestamps"][-1]
        return carbonara.round_timestamp(newest, aggregation.granularity) - aggregation.timespan

    def get_aggregated_measures(self, wanted: dict[Metric, list[Any]], from_timestamp: Any = None, to_timestamp: Any = None,
                                resample: Any = None) -> dict[Metric, dict[Any, Any]]:
        """Upstream's read: aggregates, retention, resampling, bounds, in this order."""
        result: dict[Metric, dict[Any, Any]] = {}
        for metric, aggregations in wanted.items():
            for aggregation in aggregations:
                rows = self.loaded(metric, aggregation, from_timestamp, to_timestamp)
                series = carbonara.AggregatedTimeSerie(aggregation, rows.copy())
                if aggregation.timespan is not None:
                    series.truncate(aggregation.timespan if self.splits else self.horizon(metric, aggregation))
                series = series.resample(resample) if resample else series
                result.setdefault(metric, {})[aggregation] = series.fetch(from_timestamp, to_timestamp)
        return result


def stamp_ns(moment: Any) -> int:
    """A numpy moment as nanoseconds since the epoch."""
    return int(moment.astype("datetime64[ns]").astype("int64"))


def width(granularity: Any) -> float | str:
    """A granularity as the API prints it."""
    return granularity if isinstance(granularity, str) else float(granularity / numpy.timedelta64(1, "s"))


def rows_of(triples: Any) -> list[Row]:
    """Upstream's triples as plain numbers."""
    return [(stamp_ns(t), width(g), float(v)) for t, g, v in triples]


def moment(ns: int | None) -> Any:
    """Nanoseconds as upstream's moment."""
    return None if ns is None else numpy.datetime64(ns, "ns")


def span(ns: int | str | None) -> Any:
    """Nanoseconds as upstream's timespan; calendar letters stay."""
    return numpy.timedelta64(ns, "ns") if isinstance(ns, int) else ns


def measures(storage: Storage, metric: Metric, method: str, start: int | None = None, stop: int | None = None,
             granularity: int | None = None, resample: int | str | None = None) -> list[Row]:
    """GET .../measures: coarsest granularity first."""
    found = []
    for item in sorted(metric.archive_policy.definition, key=lambda i: i.granularity, reverse=True):
        if granularity is None or item.granularity == span(granularity):
            found.append(metric.archive_policy.get_aggregation(method, item.granularity))
    try:
        series = storage.get_aggregated_measures({metric: found}, moment(start), moment(stop), span(resample))[metric]
    except (TypeError, ValueError, carbonara.UnknownAggregationMethod) as error:
        raise Undefined(str(error)) from error
    triples = [(t, series[a].aggregation.granularity, v) for a in found for t, v in series[a]]
    return rows_of(triples)


def cross(storage: Storage, references: list[processor.MetricReference], operations: Any, start: int | None, stop: int | None,
          granularity: int | None, needed_overlap: float | None, fill: float | str | None) -> Any:
    """The `measures` of POST /v1/aggregates: nested dictionaries whose leaves are rows."""
    if fill is None and needed_overlap is None:
        fill = "dropna"
    chosen = None if granularity is None else [span(granularity)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = processor.get_measures(storage, references, operations, moment(start), moment(stop), chosen, needed_overlap, fill)
        except exceptions.UnAggregableTimeseries as error:
            raise Refused(error.reason) from error
        except Exception as error:
            raise Undefined(repr(error)) from error
    return leaves(found)


def leaves(found: Any) -> Any:
    """The same tree with rows for triples."""
    return {str(key): leaves(value) if hasattr(value, "items") else rows_of(value) for key, value in found.items()}


def checked_operations(operations: Any) -> Any:
    """Upstream's validation of the grammar, which also converts numbers and timespans."""
    return aggregates_api.OperationsSchema(operations)


def by_id(metrics: dict[str, Metric], operations: Any) -> list[processor.MetricReference]:
    """The references of an operations tree over metric ids, in upstream's order."""
    return [processor.MetricReference(metrics[m], method) for m, method in aggregates_api.extract_references(operations)]
