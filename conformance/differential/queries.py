"""Random queries with their expected answers, for every read route that gives measures."""

import dataclasses
import random
from typing import Any

from differential import operations, reference
from differential.compare import Closeness, difference, is_exact
from differential.loading import PROJECTS, iso, owners
from differential.reference import Metric, Refused, Storage, Undefined
from differential.world import SECOND_NS, granularities_ns
from gnocchi import archive_policy
from gnocchi.rest.aggregates import processor

CALENDAR = ("Y", "H", "Q", "M", "W")
FILLS: tuple[Any, ...] = ("dropna", "null", "ffill", "bfill", "full_ffill", "full_bfill", 0.0, 5.5)
REAGGREGATIONS = ("mean", "sum", "min", "max", "median", "std", "count", "rate:mean")
EXACT = ("count", "min", "max", "first", "last")


@dataclasses.dataclass
class Query:
    """One request and what it must give: a tree of series, or a refusal (400) with a reason."""

    kind: str
    method: str
    path: str
    params: dict[str, Any]
    body: Any
    wanted: Any
    closeness: Closeness
    refusal: str | None = None

    def verdict(self, status: int, answer: Any) -> str | None:
        """None where the answer is right, else what is wrong."""
        if self.refusal is not None:
            if status != 400:
                return f"status {status}, wanted 400: {self.refusal}"
            said = answer.get("description") if isinstance(answer, dict) else answer
            reason = said.get("reason") if isinstance(said, dict) else said
            # The reason may print operands, whose spelling differs from program to program.
            return None if str(reason)[:24] == self.refusal[:24] else f"refused with {reason!r}, wanted {self.refusal!r}"
        if status != 200:
            return f"status {status}: {str(answer)[:300]}"
        return difference(answer, self.wanted, self.closeness)


class Resource:
    """What upstream's code wants of a resource."""

    def __init__(self, original_id: str, found: dict[str, Any], metrics: list[Metric]) -> None:
        self.id = found["id"]
        self.original_id = original_id
        self.metrics = metrics
        self.attributes = owners(original_id)


class Asker:
    """Makes queries over one world."""

    def __init__(self, metrics: list[Metric], resources: list[Resource], splits: bool) -> None:
        self.metrics = metrics
        self.resources = resources
        self.storage = Storage(splits)
        self.by_id = {metric.id: metric for metric in metrics}
        self.families: dict[str, list[Metric]] = {}
        for metric in metrics:
            self.families.setdefault(metric.archive_policy.name, []).append(metric)

    def every_method(self) -> list[Query]:
        """The plain reading of every metric by every method of its policy."""
        return [self.measures_query(metric, method, {}) for metric in self.metrics
                for method in sorted(metric.archive_policy.aggregation_methods)]

    def bounds(self, rng: random.Random, metric: Metric, likely: float = 0.5) -> dict[str, int]:
        """Random start and stop about the metric's data, in ns; each present with the given likelihood."""
        stamps = sorted(metric.series.truth)
        margin = max(SECOND_NS, (stamps[-1] - stamps[0]) // 8)
        low, high = max(0, stamps[0] - margin), stamps[-1] + margin
        pair = sorted(rng.choice((rng.choice(stamps), rng.randint(low, high) // 1000 * 1000)) for _ in range(2))
        return {name: ns for name, ns in zip(("start", "stop"), pair) if rng.random() < likely}

    def measures_query(self, metric: Metric, method: str, options: dict[str, Any]) -> Query:
        """GET /v1/metric/{id}/measures."""
        wanted = reference.measures(self.storage, metric, method, **options)
        params = {"aggregation": method, **self.printed(options)}
        closeness = Closeness(is_exact(method, metric.series.integers), metric.series.largest)
        if "resample" in options and not is_exact(method, metric.series.integers):
            closeness = Closeness(False, metric.series.largest * 10)
        return Query("measures", "GET", f"/v1/metric/{metric.id}/measures", params, None, wanted, closeness)

    @staticmethod
    def printed(options: dict[str, Any]) -> dict[str, Any]:
        """Options in ns as query parameters."""
        shown: dict[str, Any] = {}
        for name, value in options.items():
            if value is None:
                continue
            if name in ("start", "stop"):
                shown[name] = iso(value)
            elif name in ("granularity", "resample") and isinstance(value, int):
                shown[name] = value / SECOND_NS
            else:
                shown[name] = value
        return shown

    def random_measures(self, rng: random.Random) -> Query:
        """A reading with bounds, a granularity, a resampling."""
        metric = rng.choice(self.metrics)
        method = rng.choice(sorted(metric.archive_policy.aggregation_methods))
        options: dict[str, Any] = self.bounds(rng, metric)
        steps = granularities_ns(metric.archive_policy)
        if rng.random() < 0.6:
            options["granularity"] = rng.choice(steps)
            if rng.random() < 0.5:
                options["resample"] = options["granularity"] * rng.choice((2, 3, 5, 60))
            elif rng.random() < 0.4 and not method.startswith("rate:"):
                options["resample"] = rng.choice(CALENDAR)
                options.pop("start", None)
        return self.measures_query(metric, method, options)

    def random_read(self, rng: random.Random) -> Query:
        """POST /v1/batch/metrics/measures/read of metrics of one policy."""
        family = rng.choice(sorted(self.families.values(), key=lambda f: f[0].archive_policy.name))
        metrics = rng.sample(family, rng.randint(1, len(family)))
        method = rng.choice(sorted(family[0].archive_policy.aggregation_methods))
        options: dict[str, Any] = self.bounds(rng, metrics[0])
        if rng.random() < 0.6:
            options["granularity"] = rng.choice(granularities_ns(family[0].archive_policy))
        wanted = {metric.id: reference.measures(self.storage, metric, method, **options) for metric in metrics}
        exact = all(is_exact(method, metric.series.integers) for metric in metrics)
        body = {"metrics": [metric.id for metric in metrics], "aggregation": method, **self.printed(options)}
        closeness = Closeness(exact, max(metric.series.largest for metric in metrics))
        return Query("reads", "POST", "/v1/batch/metrics/measures/read", {}, body, wanted, closeness)

    def leaf(self, metrics: list[Metric], exact: bool) -> operations.Leaf:
        """Makes `metric` nodes over these metrics; `exact` ones name methods whose values are the same to the bit."""

        def make(rng: random.Random, count: int) -> Any:
            pairs = []
            for metric in rng.sample(metrics, min(count, len(metrics))):
                methods = sorted(metric.archive_policy.aggregation_methods)
                exact_methods = [m for m in methods if m in EXACT]
                pairs.append([metric.id, rng.choice(exact_methods if exact and exact_methods else methods)])
            return ["metric", *pairs[0]] if len(pairs) == 1 and rng.random() < 0.5 else ["metric", *pairs]

        return make

    def random_aggregates(self, rng: random.Random) -> Query:
        """POST /v1/aggregates by metric ids."""
        family = rng.choice(sorted(self.families.values(), key=lambda f: f[0].archive_policy.name))
        metrics = family if rng.random() < 0.85 else rng.sample(self.metrics, 3)
        # Policies without an exact method have no place for operations that jump.
        exact_metrics = [m for m in metrics if set(EXACT) & set(m.archive_policy.aggregation_methods)]
        body = operations.tree(rng, self.leaf(metrics, False), self.leaf(exact_metrics or metrics, True), rng.choice((0, 1, 1, 2, 3)))
        if not exact_metrics and not operations.smooth(body):
            raise Undefined("no exact operand")
        options = self.cross_options(rng, metrics)
        checked = reference.checked_operations(body)
        references = reference.by_id(self.by_id, checked)
        shown: Any = operations.text(body) if rng.random() < 0.3 else body
        largest = max(r.metric.series.largest for r in references) * 1e3
        return self.settled("aggregates", "/v1/aggregates", options, {"operations": shown}, checked, references, largest)

    def cross_options(self, rng: random.Random, metrics: list[Metric]) -> dict[str, Any]:
        """Bounds, granularity, fill and overlap of a cross-metric request."""
        options: dict[str, Any] = self.bounds(rng, rng.choice(metrics), 0.35)
        if rng.random() < 0.6:
            options["granularity"] = rng.choice(granularities_ns(rng.choice(metrics).archive_policy))
        if rng.random() < 0.6:
            options["fill"] = rng.choice(FILLS)
        elif rng.random() < 0.6:
            options["needed_overlap"] = rng.choice((0.0, 10.0, 50.0, 100.0))
        return options

    def expect(self, checked: Any, references: list[processor.MetricReference], options: dict[str, Any]) -> tuple[Any, str | None]:
        """The tree that upstream would give, or the reason of its refusal. Crashes are `Undefined`."""
        try:
            return reference.cross(self.storage, references, checked, options.get("start"), options.get("stop"),
                                   options.get("granularity"), options.get("needed_overlap"), options.get("fill")), None
        except Refused as refused:
            return None, str(refused)

    def settled(self, kind: str, path: str, options: dict[str, Any], body: Any, checked: Any,
                references: list[processor.MetricReference], largest: float) -> Query:
        """A query of the aggregates route."""
        wanted, refusal = self.expect(checked, references, options)
        return Query(kind, "POST", path, self.printed(options), body, {"measures": wanted}, Closeness(False, largest), refusal)

    def random_legacy(self, rng: random.Random) -> Query:
        """GET or POST /v1/aggregation/metric of several metrics of one policy."""
        family = rng.choice(sorted(self.families.values(), key=lambda f: f[0].archive_policy.name))
        metrics = rng.sample(family, rng.randint(2, len(family)))
        options, checked, references = self.legacy_parts(rng, metrics)
        ids = [metric.id for metric in metrics]
        wanted, refusal = self.expect(checked, references, options)
        params = {**self.printed(options), "aggregation": references[0].aggregation, "reaggregation": checked[1]}
        largest = max(m.series.largest for m in metrics) * 1e3
        rows = wanted["aggregated"] if wanted else None
        if rng.random() < 0.5:
            return Query("legacy", "GET", "/v1/aggregation/metric", {**params, "metric": ids}, None, rows, Closeness(False, largest), refusal)
        return Query("legacy", "POST", "/v1/aggregation/metric", params, ids, rows, Closeness(False, largest), refusal)

    def legacy_parts(self, rng: random.Random, metrics: list[Metric]) -> tuple[dict[str, Any], Any, list[processor.MetricReference]]:
        """Options, the operations that the legacy route stands for, and their references."""
        method = rng.choice(sorted(metrics[0].archive_policy.aggregation_methods))
        options = self.cross_options(rng, metrics)
        options.setdefault("needed_overlap", 100.0)
        node: Any = ["metric", *[[metric.id, method] for metric in metrics]]
        if "granularity" in options and rng.random() < 0.3:
            options["resample"] = options["granularity"] * rng.choice((2, 5))
            node = ["resample", method, reference.span(options["resample"]), node]
        checked = ["aggregate", rng.choice(REAGGREGATIONS), node]
        return options, checked, [processor.MetricReference(metric, method) for metric in metrics]

    def random_resources(self, rng: random.Random) -> Query:
        """POST /v1/aggregates over resources, by metric name or wildcard, plain or grouped."""
        name = rng.choice(sorted({m.name for r in self.resources for m in r.metrics}))
        policy: archive_policy.ArchivePolicy = next(m for r in self.resources for m in r.metrics if m.name == name).archive_policy
        method = rng.choice(sorted(policy.aggregation_methods))
        wildcard = name if rng.random() < 0.6 else name[:3] + "*"
        node: Any = ["metric", wildcard, method]
        for _ in range(rng.choice((0, 1, 1, 2))):
            node = rng.choice((["aggregate", rng.choice(operations.AGGREGATIONS), node], ["abs", node], ["*", node, 2.0], ["-", 1.0, node]))
        checked = reference.checked_operations(node)
        options = self.cross_options(rng, [m for r in self.resources for m in r.metrics if m.name == name])
        largest = max(m.series.largest for m in self.metrics) * 1e3
        grouping = rng.choice((None, "project_id", "user_id", "both"))
        body = {"operations": node, "resource_type": "generic", "search": {"in": {"project_id": list(PROJECTS)}}}
        if grouping is None:
            return self.settled("resources", "/v1/aggregates", options, body, checked, self.matching(self.resources, wildcard, method), largest)
        attributes = ["project_id", "user_id"] if grouping == "both" else [grouping]
        return self.grouped(attributes, options, body, checked, wildcard, method, largest)

    @staticmethod
    def matching(resources: list[Resource], wildcard: str, method: str) -> list[processor.MetricReference]:
        """The references of a wildcard over resources, in upstream's order."""
        stem = wildcard.removesuffix("*")
        return [processor.MetricReference(metric, method, resource, wildcard) for resource in resources for metric in resource.metrics
                if (metric.name.startswith(stem) if wildcard != stem else metric.name == wildcard)]

    def grouped(self, attributes: list[str], options: dict[str, Any], body: Any, checked: Any, wildcard: str, method: str,
                largest: float) -> Query:
        """The grouped form: the answer's list as a tree by group."""
        groups: dict[tuple[str, ...], list[Resource]] = {}
        for resource in self.resources:
            groups.setdefault(tuple(resource.attributes[a] for a in attributes), []).append(resource)
        wanted = {}
        for key in sorted(groups):
            references = self.matching(groups[key], wildcard, method)
            if not references:
                continue
            found, refusal = self.expect(checked, references, options)
            if refusal is not None:
                return GroupedQuery("groups", "POST", "/v1/aggregates", {**self.printed(options), "groupby": attributes}, body, None,
                                    Closeness(False, largest), refusal, attributes)
            wanted["/".join(key)] = {"measures": found}
        return GroupedQuery("groups", "POST", "/v1/aggregates", {**self.printed(options), "groupby": attributes}, body, wanted,
                            Closeness(False, largest), None, attributes)


@dataclasses.dataclass
class GroupedQuery(Query):
    """A query whose answer is a list of groups."""

    attributes: list[str] = dataclasses.field(default_factory=list)

    def verdict(self, status: int, answer: Any) -> str | None:
        if self.refusal is None and status == 200 and isinstance(answer, list):
            if any(sorted(one["group"]) != self.attributes for one in answer):
                return f"groups by {[one['group'] for one in answer]}"
            answer = {"/".join(one["group"][a] for a in self.attributes): one["measures"] for one in answer}
        return super().verdict(status, answer)


