"""The corpus: dynamic aggregates and the legacy aggregation routes."""

from typing import Any, Iterator

from twin.steps import Step, get, patch, post, settle

METHODS = ("mean", "median", "std", "min", "max", "sum", "var", "count", "rate:mean", "rate:max", "last", "95pct", "nope", "")
OPERANDS = ("%", "mod", "+", "add", "-", "sub", "*", "×", "mul", "/", "÷", "div", "**", "^", "pow", "=", "==", "eq", "<", "lt", ">", "gt", "<=", "≤", "le", ">=", "≥", "ge", "!=", "≠", "ne", "max")
UNARY = ("abs", "absolute", "neg", "negative", "cos", "sin", "tan", "floor", "ceil", "rateofchange", "rateofchangesec")
A, B = ["metric", "$a", "mean"], ["metric", "$b", "mean"]
BOTH = ["metric", ["$a", "mean"], ["$b", "mean"]]


def steps() -> Iterator[Step]:
    """All of it."""
    yield from measures()
    yield settle
    yield from operations()
    yield from parameters()
    yield from by_resource()
    yield from legacy()


def measures() -> Iterator[Step]:
    """Two metrics that overlap in part, and the machines' own."""
    base = 1_500_000_000
    for name, points in (("a", ((0, 1), (10, 4), (20, 9), (30, -2))), ("b", ((10, 2), (20, 3), (30, 5), (40, 8)))):
        yield post("/metric", {"archive_policy_name": "percent", "name": name}, save=name)
        yield post(f"/metric/${name}/measures", [{"timestamp": base + t, "value": v} for t, v in points])
    yield post("/metric", {"archive_policy_name": "percent"}, save="e")
    for i in range(10):
        for kind in ("cpu", "disk"):
            yield post(f"/metric/$vm{i}{kind}/measures", [{"timestamp": base + 60 * k * (i % 3 + 1), "value": i + k / 4} for k in range(12)])


def ask(operations: Any, params: Any = None, **more: Any) -> Step:
    """A request with these operations."""
    return post("/aggregates", {"operations": operations, **more}, params)


def operations() -> Iterator[Step]:
    """Operations over metrics by id, at one second."""
    one = {"granularity": 1}
    for method in METHODS:
        yield ask(["aggregate", method, BOTH], one)
        yield ask(["aggregate", method, A], one)
        yield ask(["rolling", method, 2, BOTH], one)
        yield ask(["resample", method, 20, BOTH], one)
        yield ask(["metric", "$a", method], one)
        yield ask(f"(aggregate {method} (metric ($a mean) ($b mean)))", one)
        yield ask(f"(resample {method} 20 (metric $a mean))", one)
    for op in OPERANDS:
        for left, right in ((A, B), (A, 3), (3, A), (BOTH, 2), (BOTH, BOTH), (A, "2"), (A, "nan"), (1, 2), (BOTH, A)):
            yield ask([op, left, right], one)
        yield ask(f"({op} (metric $a mean) (metric $b mean))", one)
    for op in UNARY:
        yield ask([op, A], one)
        yield ask([op, BOTH], one)
        yield ask(f"({op} (metric $a mean))", one)
        yield ask([op], one)
        yield ask([op, A, B], one)
    for operation in (["clip", A, 0, 5], ["clip", A, 0], ["clip_min", A, 2], ["clip_max", A, 2], ["clip", BOTH, 0, 5], ["clip", A, B, 5], ["clip_min", A, B], ["clip", A], ["clip", A, 1, 2, 3], ["clip", A, "x", 1]):
        yield ask(operation, one)
    bad: list[Any] = [[], {}, None, 1, "", " ", "x", "(", ")", "()", "(metric)", "(metric $a)", "(metric $a mean", "(metric $a mean))", "(metric $a mean) x", "2", "\"foo\"", "(+ 1 2)", ["metric"], ["metric", "$a"], ["metric", "$a", "mean", "x"], ["metric", []], ["metric", ["$a"]], ["metric", ["$a", "mean"], "x"],
                      ["metric", "nope", "mean"], ["metric", ["nope", "mean"], ["$a", "mean"]], ["metric", "00000000-0000-0000-0000-000000000001", "mean"], ["metric", "$a", 1], ["metric", 1, "mean"], ["metric", None, None], ["foo"], ["foo", A], [1], [[]], [A], ["aggregate"], ["aggregate", "mean"], ["aggregate", "mean", []], ["aggregate", "mean", 1],
                      ["aggregate", "mean", A, B], ["aggregate", 1, A], ["aggregate", A, "mean"], ["rolling", "mean", 0, A], ["rolling", "mean", -1, A], ["rolling", "mean", "x", A], ["rolling", "mean", 1.5, A], ["rolling", "mean", 10, A], ["rolling", "mean", "2", A], ["rolling", "mean", A], ["resample", "mean", "x", A], ["resample", "mean", 0, A],
                      ["resample", "mean", -5, A], ["resample", "mean", "W", A], ["resample", "mean", "1 minute", A], ["resample", "mean", A], ["+", A], ["+"], ["+", A, B, A], ["+", A, "x"], ["+", A, None], ["+", A, []], ["+", 1, ["foo", A]], ["+", A, ["aggregate", "nope", B]], ["abs", 1], ["abs", "x"], ["aggregate", "mean", ["+", BOTH, ["foo"]]],
                      {"metric": 1}, ["metric", {"a": 1}, "mean"], ["neg", ["neg", ["neg", A]]], ["+", ["resample", "mean", 20, A], B], ["rolling", "mean", 1, A], ["aggregate", "mean", ["resample", "mean", 20, BOTH]], ["/", A, 0], ["/", 0, A], ["%", A, 0], ["**", A, 0.5], ["**", A, 1000], ["rateofchange", ["aggregate", "sum", BOTH]],
                      ["*", ["-", A, B], ["+", 1, A]], ["metric", "$E", "mean"], ["aggregate", "mean", ["metric", ["$a", "mean"], ["$a", "max"]]], ["metric", ["$a", "mean"], ["$a", "mean"]], ["metric", "$a", "rate:mean"], ["metric", "$e", "mean"], ["aggregate", "sum", ["metric", ["$a", "mean"], ["$e", "mean"]]],
                      "(metric $a mean)  ", "( metric  $a\tmean )", "(aggregate mean (metric $a mean) (metric $b mean))", "(metric '$a' mean)", "(* (metric $a mean) 1e1)", "(* (metric $a mean) -.5)", "(* (metric $a mean) 1_0)", "(- 5 (metric $a mean))"]
    for operation in bad:
        yield ask(operation, one)
    for body in ({"operations": A, "zzz": 1}, {}, {"search": {}}, {"operations": A, "search": {}}, {"operations": A, "resource_type": "generic"}, {"operations": A, "resource_type": 1, "search": {}}, {"operations": A, "resource_type": "nope", "search": {}}, {"operations": A, "resource_type": "inst", "search": 1}, []):
        yield post("/aggregates", body)


def parameters() -> Iterator[Step]:
    """Query parameters of aggregates."""
    mean = ["aggregate", "mean", BOTH]
    for params in ({}, {"granularity": 60}, {"granularity": "1 minute"}, {"granularity": 42}, {"granularity": "nope"}, {"granularity": ""}, {"start": 1500000010}, {"stop": 1500000030}, {"start": 1500000010, "stop": 1500000030}, {"start": "nope"}, {"stop": "nope"}, {"start": ""}, {"start": 1500000030, "stop": 1500000010},
                   {"fill": "dropna"}, {"fill": "null"}, {"fill": "ffill"}, {"fill": "bfill"}, {"fill": "full_ffill"}, {"fill": "full_bfill"}, {"fill": 0}, {"fill": "1.5"}, {"fill": "nan"}, {"fill": "inf"}, {"fill": "x"}, {"fill": ""}, {"needed_overlap": 0}, {"needed_overlap": 100}, {"needed_overlap": 50}, {"needed_overlap": 60}, {"needed_overlap": 60.1},
                   {"needed_overlap": "x"}, {"needed_overlap": ""}, {"needed_overlap": -1}, {"needed_overlap": 101}, {"needed_overlap": "nan"}, {"needed_overlap": 100, "fill": "null"}, {"details": "true"}, {"details": "x"}, {"use_history": "x"}, {"use_history": "true"}, {"groupby": "host"}, {"refresh": "true"},
                   {"needed_overlap": 80, "start": 1500000000, "stop": 1500000050}, {"needed_overlap": 80, "start": 1500000000}, {"needed_overlap": 50, "stop": 1500000050}):
        for operation in (mean, BOTH, ["+", A, B], ["metric", ["$a", "mean"], ["$e", "mean"]], ["aggregate", "max", ["metric", ["$a", "mean"], ["$vm1cpu", "mean"]]], ["aggregate", "max", ["metric", ["$a", "mean"], ["$vm1disk", "mean"]]], ["metric", "$a", "95pct"]):
            yield ask(operation, {"granularity": 1, **params} if operation in (mean, BOTH) and "granularity" not in params else params)
    yield post("/aggregates", {"operations": A}, user="foobar")
    yield post("/aggregates", {"operations": A}, user=None)


def by_resource() -> Iterator[Step]:
    """Aggregates over a search, grouped and with history."""
    cpu = ["metric", "cpu", "mean"]
    mean = ["aggregate", "mean", cpu]
    base: dict[str, Any] = {"resource_type": "inst", "search": {}}
    for search in ({}, "", "host = host1", {"=": {"host": "host1"}}, {"=": {"id": "vm1"}}, "id = nope", "host ==", {"foo": 1}, {"=": {"nope": 1}}, "nope = 1", {"in": {"id": ["vm1", "vm2"]}}, None, []):
        for operation in (mean, cpu, ["metric", "c*", "mean"], ["metric", ["cpu", "mean"], ["disk.read", "mean"]], ["+", cpu, ["metric", "disk.*", "mean"]], "(aggregate sum (metric cpu mean))"):
            yield ask(operation, {"granularity": 3600 if operation == cpu else 60}, resource_type="inst", search=search)
    for metric in ("nope", "n*", "[cd]*", "*", "cp?", "", "CPU"):
        yield ask(["aggregate", "max", ["metric", metric, "mean"]], **base)
        yield ask(["metric", metric, "nope"], **base)
    for params in ({"groupby": "host"}, {"groupby": ["host", "flavor"]}, {"groupby": ["flavor", "host", "flavor"]}, {"groupby": "user_id"}, {"groupby": "mem"}, {"groupby": "started_at"}, {"groupby": "ended_at"}, {"groupby": "id"}, {"groupby": "type"}, {"groupby": "creator"}, {"groupby": "nope"}, {"groupby": ""}, {"groupby": "metrics"},
                   {"groupby": "original_resource_id"}, {"groupby": "host", "details": "true"}, {"details": "true"}, {"groupby": "host", "start": 1500000100, "stop": 1500000400}, {"groupby": "host", "fill": 0}, {"groupby": "host", "needed_overlap": 10}, {"groupby": "host", "granularity": 42}, {"groupby": "project_id", "granularity": 3600}):
        for operation in (mean, ["aggregate", "count", cpu], ["aggregate", "sum", ["metric", "*", "max"]], ["rolling", "mean", 2, mean], cpu):
            yield ask(operation, {"granularity": 60, **params}, **base)
    yield patch("/resource/inst/vm4", {"flavor": "changed"})
    for params in ({"groupby": "flavor", "use_history": "true"}, {"groupby": "host", "use_history": "true", "start": 1500000000, "stop": 1500001000}, {"use_history": "true"}):
        yield ask(mean, {"granularity": 60, **params}, resource_type="inst", search={"=": {"id": "vm4"}})
    for search in ("id = vm1", "host = host2"):
        yield ask(mean, {"granularity": 60}, resource_type="generic", search=search)
    yield post("/aggregates", {"operations": mean, **base}, user="foobar")


def legacy() -> Iterator[Step]:
    """/v1/aggregation."""
    for params in ({}, {"aggregation": "max"}, {"aggregation": "nope"}, {"reaggregation": "min"}, {"reaggregation": "sum"}, {"reaggregation": "count"}, {"reaggregation": "nope"}, {"reaggregation": "last"}, {"granularity": 60}, {"granularity": 1}, {"granularity": 42}, {"granularity": "nope"}, {"needed_overlap": 0}, {"needed_overlap": 50}, {"needed_overlap": "x"},
                   {"needed_overlap": 0, "granularity": 1}, {"needed_overlap": 60, "granularity": 1}, {"fill": 0}, {"fill": "null"}, {"fill": "ffill"}, {"fill": "dropna"}, {"fill": "x"}, {"start": 1500000010}, {"stop": 1500000030}, {"start": "nope"}, {"stop": "nope"}, {"resample": 120}, {"resample": 120, "granularity": 60}, {"resample": "W", "granularity": 60},
                   {"resample": "x", "granularity": 60}, {"refresh": "true"}, {"refresh": "x"}, {"fill": 0, "granularity": 1}, {"fill": "null", "granularity": 1, "reaggregation": "max"}, {"aggregation": "95pct", "granularity": 1}, {"aggregation": "std"}, {"needed_overlap": 50, "granularity": 1, "start": 1500000000, "stop": 1500000050}):
        for metrics in (["$a", "$b"], ["$a"], ["$a", "$a"], ["$a", "$e"], ["$e"], ["$a", "$vm1cpu"], ["$a", "$vm1disk"]):
            yield get("/aggregation/metric", [("metric", m) for m in metrics] + list(params.items()))
        yield post("/aggregation/metric", ["$a", "$b"], params)
        for name in ("cpu", "nope"):
            yield post(f"/aggregation/resource/inst/metric/{name}", {"=": {"host": "host1"}}, params)
            yield post(f"/aggregation/resource/inst/metric/{name}", {}, {**params, "groupby": "flavor", "filter": "host = host1"})
    for metrics in (["nope"], ["00000000-0000-0000-0000-000000000001"], ["$a", "nope"], ["$a", "00000000-0000-0000-0000-000000000001"]):
        yield get("/aggregation/metric", {"metric": metrics})
        yield post("/aggregation/metric", metrics)
    yield get("/aggregation/metric")
    for groupby in ("host", ["host", "flavor"], "nope", "", "id", "mem", "user_id", "started_at", "metrics"):
        yield post("/aggregation/resource/inst/metric/cpu", {}, {"groupby": groupby, "granularity": 60})
        yield post("/aggregation/resource/inst/metric/cpu", {"=": {"id": "vm1"}}, {"groupby": groupby, "granularity": 60, "needed_overlap": 0})
    for query in ({"foo": 1}, {"=": {"nope": 1}}, {"=": {"id": "nope"}}, {"=": {"id": "vm1"}}):
        yield post("/aggregation/resource/inst/metric/cpu", query)
        yield post("/aggregation/resource/generic/metric/cpu", query)
    yield post("/aggregation/resource/nope/metric/cpu", {})
    yield get("/aggregation/resource/inst/metric/cpu")
    yield get("/aggregation/metric", {"metric": ["$a", "$b"]}, user="foobar")
