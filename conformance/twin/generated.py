"""Requests made from a seed over a small random population: searches in both languages, aggregates of random trees, legacy
aggregation, readings and pages."""

import random
from typing import Any, Callable, Iterator

from twin.steps import Keep, Step, get, post, settle

BASE = 1_500_000_000
METHODS = ("mean", "min", "max", "sum", "std", "count", "median", "95pct", "first", "last")
ACROSS = ("mean", "median", "std", "min", "max", "sum", "rate:mean")
HOSTS, FLAVORS = ("h0", "h1", "h2"), ("small", "big", None)
MACHINES = 14
GRANULARITIES = (60, 300)


def steps(rng: random.Random, cases: int) -> Iterator[Step]:
    """The population, then at least `cases` requests."""
    yield from population(rng)
    yield settle
    kinds: list[Callable[[random.Random], Step]] = [search, search, text_search, by_id, by_id, by_resource, legacy, reading]
    for _ in range(cases):
        yield rng.choice(kinds)(rng)


def population(rng: random.Random) -> Iterator[Step]:
    """A policy, a type, machines with measures."""
    definition = [{"granularity": 60, "points": 10000}, {"granularity": 300, "points": 10000}]
    yield post("/archive_policy", {"name": "p", "definition": definition, "aggregation_methods": list(METHODS), "back_window": 1000})
    attributes = {"host": {"type": "string"}, "flavor": {"type": "string", "required": False}, "mem": {"type": "number", "required": False},
                  "on": {"type": "bool", "required": False}, "at": {"type": "datetime", "required": False}}
    yield post("/resource_type", {"name": "vm", "attributes": attributes})
    for i in range(MACHINES):
        body: dict[str, Any] = {"id": f"vm{i:02}", "started_at": f"2014-01-{rng.randint(1, 28):02}", "host": rng.choice(HOSTS),
                                "user_id": rng.choice(("a", "b", None)), "project_id": rng.choice(("p", "q")),
                                "metrics": {name: {"archive_policy_name": "p"} for name in ("cpu", "mem.used")}}
        flavor = rng.choice(FLAVORS)
        body.update({"flavor": flavor} if flavor else {})
        body.update({"mem": rng.choice((0.5, 1, 2, 4.25))} if rng.random() < 0.7 else {})
        body.update({"on": rng.random() < 0.5} if rng.random() < 0.7 else {})
        body.update({"at": f"2015-0{rng.randint(1, 9)}-01T00:00:00"} if rng.random() < 0.5 else {})
        yield post("/resource/vm", body)
        yield Keep(f"vm{i:02}cpu", f"/v1/resource/vm/vm{i:02}", ("metrics", "cpu"))
        yield Keep(f"vm{i:02}mem", f"/v1/resource/vm/vm{i:02}", ("metrics", "mem.used"))
        for kind in ("cpu", "mem"):
            # Some series lack most of their points, so that timestamps overlap in part.
            kept = rng.choice((1.0, 0.8, 0.3))
            points = [{"timestamp": BASE + 20 * k, "value": rng.choice((k, k / 3, -k, 0.1 * k * k))} for k in range(60) if rng.random() < kept]
            yield post(f"/metric/$vm{i:02}{kind}/measures", points or [{"timestamp": BASE, "value": 1}])


def value_for(rng: random.Random, attribute: str) -> Any:
    """Something to compare an attribute with, at times of the wrong kind."""
    if rng.random() < 0.06:
        return rng.choice((None, "x", 5, 1.5, True))
    return rng.choice({"host": HOSTS, "flavor": ("small", "big", "none", None), "mem": (0.5, 1, 2, 4.25, None), "on": (True, False, "true", None),
                       "at": ("2015-03-01", "2015-06-01T00:00:00Z", 1430438400, None), "user_id": ("a", "b", None), "project_id": ("p", "q"),
                       "started_at": ("2014-01-10", "2014-01-20"), "original_resource_id": ("vm03", "vm1%")}[attribute])


ATTRIBUTES = ("host", "flavor", "mem", "on", "at", "user_id", "project_id", "started_at", "original_resource_id")


def condition(rng: random.Random, depth: int) -> dict[str, Any]:
    """A random query of the JSON language."""
    shape = rng.random()
    if depth and shape < 0.45:
        operator = rng.choice(("and", "or", "∧", "∨"))
        return {operator: [condition(rng, depth - 1) for _ in range(rng.randint(1, 3))]}
    if depth and shape < 0.6:
        return {"not": condition(rng, depth - 1)}
    attribute = rng.choice(ATTRIBUTES)
    operator = rng.choice(("=", "!=", "<", ">", "<=", ">=", "≠", "in", "like"))
    if operator == "in":
        values = [value_for(rng, attribute) for _ in range(rng.randint(1, 3))]
        return {"in": {attribute: [value for value in values if value is not None] or ["x"]}}
    if operator == "like":
        return {"like": {rng.choice(("host", "flavor", "user_id", "original_resource_id")): rng.choice(("h%", "%m%", "_", "a", "vm0_"))}}
    return {operator: {attribute: value_for(rng, attribute)}}


def as_text(query: dict[str, Any]) -> str:
    """The query in the text language."""
    (operator, operand), = query.items()
    if operator in ("and", "or", "∧", "∨"):
        return "(" + f" {operator} ".join(as_text(part) for part in operand) + ")"
    if operator == "not":
        return f"not ({as_text(operand)})"
    (attribute, value), = operand.items()

    def term(one: Any) -> str:
        if isinstance(one, list):
            return "[" + ", ".join(term(each) for each in one) + "]"
        return repr(one) if isinstance(one, (str, int, float)) or one is None else str(one)

    return f"{attribute} {operator} {term(value)}"


def search_params(rng: random.Random) -> dict[str, Any]:
    """Sorting and pages."""
    sort = rng.choice(("host", "mem:desc-nullslast", "at:asc-nullsfirst", "user_id", "flavor:desc", "started_at:desc", "project_id"))
    params: dict[str, Any] = {"sort": [sort, "original_resource_id"]}
    if rng.random() < 0.5:
        params["limit"] = rng.randint(1, 6)
        if rng.random() < 0.5:
            params["marker"] = f"vm{rng.randrange(MACHINES):02}"
    if rng.random() < 0.2:
        params["attrs"] = ["id", "host"]
    return params


def search(rng: random.Random) -> Step:
    """A search in JSON."""
    return post("/search/resource/vm", condition(rng, 3), search_params(rng))


def text_search(rng: random.Random) -> Step:
    """A search in the text language."""
    return post("/search/resource/vm", None, {**search_params(rng), "filter": as_text(condition(rng, 2))})


def node(rng: random.Random, leaf: Callable[[], Any], depth: int) -> Any:
    """A random tree of operations."""
    if not depth:
        return leaf()
    below = node(rng, leaf, depth - 1)
    return rng.choice((
        lambda: ["aggregate", rng.choice(ACROSS), below],
        lambda: ["rolling", rng.choice(ACROSS[:6]), rng.randint(1, 4), below],
        lambda: ["resample", rng.choice(("mean", "min", "max", "sum")), rng.choice((120, 600)), below],
        lambda: [rng.choice(("+", "-", "*", "/", "%", "<", ">=", "max")), below, rng.choice((2, 0.5, 3))],
        lambda: [rng.choice(("+", "-", "*", "max")), ["aggregate", "mean", below], ["aggregate", "max", leaf()]],
        lambda: [rng.choice(("abs", "neg", "floor", "ceil", "rateofchange", "rateofchangesec")), below],
        lambda: ["clip", below, 0, 10],
    ))()


def span(rng: random.Random) -> dict[str, Any]:
    """Times, granularity, and how gaps are filled."""
    params: dict[str, Any] = {"granularity": rng.choice(GRANULARITIES)}
    if rng.random() < 0.4:
        params["start"] = BASE + rng.randrange(0, 900)
    if rng.random() < 0.4:
        params["stop"] = BASE + rng.randrange(300, 1500)
    filling = rng.choice(({}, {"fill": rng.choice(("dropna", "null", "ffill", "bfill", "full_ffill", "full_bfill", 0, 1.5))}, {"needed_overlap": rng.choice((0, 30, 100))}))
    return {**params, **filling}


def machines(rng: random.Random) -> list[str]:
    """Names of some metrics."""
    return [f"$vm{i:02}{rng.choice(('cpu', 'mem'))}" for i in rng.sample(range(MACHINES), rng.randint(1, 4))]


def by_id(rng: random.Random) -> Step:
    """Aggregates over metrics by id."""
    method = rng.choice(METHODS)
    leaf = lambda: ["metric", *[[metric, method] for metric in machines(rng)]]  # noqa: E731
    return post("/aggregates", {"operations": node(rng, leaf, rng.randint(0, 3))}, span(rng))


def by_resource(rng: random.Random) -> Step:
    """Aggregates over a search, at times grouped."""
    leaf = lambda: ["metric", rng.choice(("cpu", "mem.used", "*", "c*")), rng.choice(METHODS[:6])]  # noqa: E731
    tree = ["aggregate", rng.choice(ACROSS), node(rng, leaf, rng.randint(0, 1))]
    groups = {"groupby": rng.sample(("host", "project_id", "user_id", "flavor"), rng.randint(1, 2))} if rng.random() < 0.5 else {}
    query = {"=": {"host": rng.choice(HOSTS)}} if rng.random() < 0.5 else {}
    return post("/aggregates", {"operations": tree, "resource_type": "vm", "search": query}, {**span(rng), **groups})


def legacy(rng: random.Random) -> Step:
    """Legacy aggregation, of metrics or of a search."""
    params = {**span(rng), "aggregation": rng.choice(METHODS[:6]), "reaggregation": rng.choice(ACROSS[:6])}
    if rng.random() < 0.5:
        return get("/aggregation/metric", [("metric", metric) for metric in machines(rng)] + list(params.items()))
    if rng.random() < 0.5:
        params["groupby"] = rng.choice(("host", "user_id"))
    return post("/aggregation/resource/vm/metric/cpu", {"=": {"host": rng.choice(HOSTS)}}, params)


def reading(rng: random.Random) -> Step:
    """Measures of one metric."""
    params = {**span(rng), "aggregation": rng.choice(METHODS)}
    if rng.random() < 0.3:
        params["resample"] = rng.choice((120, 600, "W", 90))
    return get(f"/metric/{machines(rng)[0]}/measures", params)
