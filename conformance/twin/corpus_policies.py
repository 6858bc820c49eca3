"""The corpus: archive policies, their rules, resource types."""

from typing import Any, Iterator

from twin.steps import Step, delete, get, json_patch, patch, post

LONG = "x" * 255
DEFINITION = [{"granularity": "1s", "points": 20}]


def steps() -> Iterator[Step]:
    """All of it. Leaves the policies low, medium, rate, percent, single and the rules that name them."""
    yield from policies()
    yield from policy_changes()
    yield from rules()
    yield from types()
    yield from type_changes()


def policies() -> Iterator[Step]:
    """Making, reading and refusing archive policies."""
    path = "/archive_policy"
    good: list[dict[str, Any]] = [
        {"name": "low", "definition": [{"granularity": "5 minutes", "points": 8640}]},
        {"name": "medium", "definition": [{"granularity": "60s", "points": 1440}, {"granularity": "1h", "timespan": "365 days"}]},
        {"name": "rate", "aggregation_methods": ["mean", "rate:mean", "rate:sum", "max", "last", "first", "count"], "back_window": 100, "definition": [{"granularity": 60, "points": 5000}]},
        {"name": "percent", "aggregation_methods": ["mean", "std", "min", "max", "median", "95pct", "1pct", "sum", "count"], "back_window": "2", "definition": [{"granularity": 1, "timespan": "1:00:00"}, {"granularity": 60.0, "points": 10.7}, {"granularity": "3600", "points": "10"}]},
        {"name": "single", "aggregation_methods": ["last"], "definition": [{"granularity": "1d"}]},
        {"name": "spantopoints", "definition": [{"timespan": "1h", "granularity": 7}]},
        {"name": "pointsspan", "definition": [{"timespan": "1h", "points": 60}]},
        {"name": "halves", "definition": [{"granularity": 0.5, "points": 4}]},
        {"name": "all", "aggregation_methods": ["*"], "definition": DEFINITION},
        {"name": "minus", "aggregation_methods": ["-mean"], "definition": DEFINITION},
        {"name": "plus", "aggregation_methods": ["+95pct", "-std"], "definition": DEFINITION},
        {"name": "empty", "aggregation_methods": [], "definition": DEFINITION},
        {"name": "✔ünicode", "definition": DEFINITION},
        {"name": "sp ace", "definition": DEFINITION},
        {"name": LONG, "definition": DEFINITION},
        {"name": "unsorted", "definition": [{"granularity": "1h", "points": 3}, {"granularity": 1, "points": 3}, {"granularity": "1m", "points": 3}]},
        {"name": "true", "back_window": True, "definition": [{"granularity": True, "points": True}]},
        {"name": "weeks", "definition": [{"granularity": "1 week", "points": 3}, {"granularity": "1 day, 1:02:03", "points": 2}]},
    ]
    for body in good:
        yield post(path, body)
        yield get(path + "/" + body["name"].replace("✔ünicode", "%E2%9C%94%C3%BCnicode").replace(" ", "%20"))
        yield post(path, body)
    yield get(path, unordered=True)
    yield get(path + "/low", {"nope": 1})
    for name in ("unsorted", "true", "weeks", "all", LONG, "sp%20ace"):
        yield delete(path + "/" + name)
        yield delete(path + "/" + name)
    base = {"name": "bad", "definition": DEFINITION}
    for definition in ([], {}, None, 1, "x", [1], [{}], [None], [[]], [{"granularity": 1}, 1], [{"granularity": 0, "points": 1}], [{"granularity": -1, "points": 1}],
                       [{"granularity": "x", "points": 1}], [{"granularity": None, "points": 1}], [{"points": 1}], [{"timespan": "1h"}],
                       [{"granularity": 1, "points": 0}], [{"granularity": 1, "points": -1}], [{"granularity": 1, "points": None}], [{"granularity": 1, "points": "x"}],
                       [{"granularity": 1, "points": []}], [{"granularity": 1, "points": 2, "timespan": 3}], [{"granularity": 10, "timespan": 5}], [{"granularity": 1, "points": 1, "x": 1}],
                       [{"granularity": 1, "points": 1}, {"granularity": "1s", "points": 2}], [{"granularity": [], "points": 1}], [{"granularity": {}, "points": 1}],
                       [{"granularity": "1M", "points": 1.5, "timespan": "1 m"}], [{"timespan": 0, "points": 1}], [{"timespan": None, "points": 1}], [{"timespan": "1 month", "points": 1}],
                       [{"granularity": "1e400", "points": 1}], [{"granularity": "", "points": 1}], [{"granularity": "nan", "points": 1}]):
        yield post(path, {**base, "definition": definition})
        yield delete(path + "/bad")
    for methods in (None, 1, "mean", {}, [1], [None], ["nope"], ["mean", "nope"], ["100pct"], ["0pct"], ["rate:nope"], ["+nope"], ["-"], ["+"], [""], ["rate:95pct", "99pct"], ["mean", "mean"], ["var"], ["MEAN"], ["**"]):
        yield post(path, {**base, "aggregation_methods": methods})
        yield delete(path + "/bad")
    for window in (None, -1, "x", [], 1.5, "1.5", {}, "-1", 2147483648):
        yield post(path, {**base, "back_window": window})
        yield delete(path + "/bad")
    for name in (None, 1, [], {}, True, 1.5):
        yield post(path, {**base, "name": name})
    yield post(path, {"definition": DEFINITION})
    yield post(path, {"name": "bad"})
    yield post(path, {**base, "zzz": 1})
    yield post(path, {"zzz": 1})
    yield post(path, {"name": 1, "zzz": 1, "definition": 1})


def policy_changes() -> Iterator[Step]:
    """PATCH and DELETE of policies."""
    path = "/archive_policy/medium"
    for definition in ([{"granularity": "60s", "points": 2880}, {"granularity": "1h", "timespan": "365 days"}], [{"granularity": "1h", "timespan": "365 days"}, {"granularity": "60s", "points": 1440}],
                       [{"granularity": "1h", "timespan": "365 days"}], [{"granularity": "61s", "points": 2880}, {"granularity": "1h", "points": 1}],
                       [{"granularity": "60s", "points": 1}, {"granularity": "2h", "points": 1}],
                       [{"granularity": "60s", "points": 2880}] * 3, [], {}, None, [{"granularity": 60}], [{"points": 0, "granularity": 1}], [{"granularity": "60s", "points": 2880}] * 2):
        yield patch(path, {"definition": definition})
        yield get(path)
    good = [{"granularity": "60s", "points": 1440}, {"granularity": "1h", "timespan": "365 days"}]
    for extra in ({"back_window": 5}, {"back_window": 0}, {"back_window": -1}, {"back_window": "x"}, {"back_window": None}, {"name": "x"}, {"zzz": 1}):
        yield patch(path, {"definition": good, **extra})
        yield get(path)
    for body in (None, b"", b"{}", b"[]", b"1", {"back_window": 1}):
        yield patch(path, body)
    yield patch("/archive_policy/nope", {"definition": good})
    yield patch("/archive_policy/nope", b"")
    yield patch("/archive_policy/nope", {}, user="foobar")
    yield patch(path, {"definition": good}, user="foobar")
    yield delete(path, user="foobar")
    yield get("/archive_policy/", user="foobar", unordered=True)
    yield patch(path, {"definition": good}, headers={"Content-Type": "text/plain"})


def rules() -> Iterator[Step]:
    """Archive policy rules."""
    path = "/archive_policy_rule"
    for name, pattern, policy in (("r1", "disk.*", "low"), ("r2", "disk.foo.*", "medium"), ("r3", "cpu?", "percent"), ("r4", "[ab]*", "rate"), ("r5", "[!z]zz", "single"),
                                  ("✔rule", "ü*", "low"), ("sp ace", "disk.*", "low")):
        body = {"name": name, "metric_pattern": pattern, "archive_policy_name": policy}
        yield post(path, body)
        yield post(path, body)
        yield get(path + "/" + name.replace("✔", "%E2%9C%94").replace(" ", "%20"))
    yield get(path)
    base = {"name": "bad", "metric_pattern": "bad", "archive_policy_name": "low"}
    for key in base:
        for value in (None, 1, [], {}, *([""] if key != "name" else [])):
            yield post(path, {**base, key: value})
            yield delete(path + "/bad")
        yield post(path, {k: v for k, v in base.items() if k != key})
    yield post(path, {**base, "archive_policy_name": "nope"})
    yield post(path, {**base, "zzz": 1})
    yield post(path, base, user="foobar")
    yield delete("/archive_policy/low")
    for body in ({"name": "r1b"}, {"name": "r2"}, {"name": 1}, {"name": None}, {}, {"metric_pattern": "x"}, {"name": "x", "zzz": 1}, b"", b"[]"):
        yield patch(path + "/r1", body)
        yield get(path)
    yield patch(path + "/r1b", {"name": "r1"})
    yield patch(path + "/nope", {"name": "x"})
    yield patch(path + "/nope", b"")
    yield patch(path + "/r1", {"name": "x"}, user="foobar")
    yield delete(path + "/r1", user="foobar")
    for name in ("%E2%9C%94rule", "sp%20ace", "nope", "r4"):
        yield delete(path + "/" + name)
    yield get(path, user="foobar")


ALL_KINDS: dict[str, Any] = {
    "s": {"type": "string"}, "so": {"type": "string", "required": False, "min_length": 2, "max_length": 5}, "n": {"type": "number", "required": False, "min": -1, "max": 5.5},
    "u": {"type": "uuid", "required": False}, "b": {"type": "bool", "required": False}, "d": {"type": "datetime", "required": False},
}


def types() -> Iterator[Step]:
    """Resource types: making, reading, refusing."""
    path = "/resource_type"
    for name, attributes in (("inst", {"host": {"type": "string"}, "mem": {"type": "number", "required": False}, "flavor": {"type": "string", "required": False}}),
                             ("kinds", ALL_KINDS), ("bare", {}), ("ünï", {"a-b": {"type": "string"}}), ("z" * 255, {})):
        yield post(path, {"name": name, "attributes": attributes})
        yield post(path, {"name": name, "attributes": attributes})
        yield get(path + "/" + name.replace("ünï", "%C3%BCn%C3%AF"))
    yield post(path, {"name": "noattributes"})
    yield get(path)
    for attribute in (None, 1, [], "string", {}, {"type": None}, {"type": 1}, {"type": "nope"}, {"required": True}, {"type": "string", "min_length": -1}, {"type": "string", "max_length": 257},
                      {"type": "string", "max_length": 0}, {"type": "string", "min_length": 5, "max_length": 2}, {"type": "string", "required": "x"}, {"type": "string", "min": 1},
                      {"type": "string", "min_length": "x"}, {"type": "string", "min_length": 1.5}, {"type": "string", "required": None}, {"type": "number", "min": "x"},
                      {"type": "number", "min": 5, "max": 2}, {"type": "number", "min_length": 1}, {"type": "uuid", "min": 1}, {"type": "bool", "zzz": 1},
                      {"type": "datetime", "required": 1}, {"type": "string", "options": {}}):
        yield post(path, {"name": "bad", "attributes": {"a": attribute}})
        yield delete(path + "/bad")
    for key in ("id", "type", "metrics", "revision", "revision_start", "revision_end", "started_at", "ended_at", "user_id", "project_id", "created_by_user_id", "created_by_project_id",
                "get_metric", "creator", "", "-a", "_a", "a" * 63, "a" * 64, "é", "a b", "9"):
        yield post(path, {"name": "bad", "attributes": {key: {"type": "string"}}})
        yield delete(path + "/bad")
    for body in ({"name": None}, {"name": 1}, {"name": []}, {"attributes": {}}, {"name": "bad", "attributes": None}, {"name": "bad", "attributes": []}, {"name": "bad", "attributes": 1},
                 {"name": "bad", "zzz": 1}, {"name": "generic"}, {"name": "bad", "state": "active"}):
        yield post(path, body)
        yield delete(path + "/bad")
    yield post(path, {"name": "bad"}, user="foobar")
    yield get(path, user="foobar")
    yield get("/resource")
    yield delete(path + "/generic")
    yield delete(path + "/nope")
    yield delete(path + "/noattributes", user="foobar")
    for name in ("noattributes", "z" * 255, "%C3%BCn%C3%AF"):
        yield delete(path + "/" + name)
        yield get(path + "/" + name)


def type_changes() -> Iterator[Step]:
    """PATCH of resource types."""
    path = "/resource_type/bare"
    add = lambda name, value: {"op": "add", "path": f"/attributes/{name}", "value": value}  # noqa: E731
    for body in ([], {}, [1], [{}], [{"op": "add"}], [{"op": "add", "path": "/attributes/x"}], [{"op": "nope", "path": "/attributes/x", "value": {"type": "string"}}],
                 [{"op": "replace", "path": "/attributes/x", "value": {"type": "string"}}], [{"op": "add", "path": "/name", "value": {"type": "string"}}],
                 [{"op": "remove", "path": "/attributes/what"}], [{"op": "test", "path": "/attributes"}], [add("x", {"type": "string"})],
                 [add("x", {"type": "string", "required": False})], [add("x", {"type": "string", "required": False, "max_length": 10})],
                 [add("x", {"type": "number", "required": False})], [add("x", {"type": "string", "required": True})], [add("y", {"type": "number", "required": True, "options": {"fill": "x"}})],
                 [add("y", {"type": "number", "required": True, "options": {"fill": 5}})], [add("y", {"type": "number", "max": 3, "min": 4, "options": {"fill": 5}})],
                 [add("w", {"type": "string", "options": {"fill": None}})], [add("w", {"type": "string", "options": {}})], [add("w", {"type": "string", "options": {"nope": 1}})],
                 [add("w", {"type": "uuid", "options": {"fill": "nope"}})], [add("w", {"type": "bool", "options": {"fill": True}})], [add("id", {"type": "string", "required": False})],
                 [add("t", {"type": "string", "required": False}), {"op": "remove", "path": "/attributes/t"}], [{"op": "remove", "path": "/attributes/w"}],
                 [{"op": "remove", "path": "/attributes/x", "value": {}}], [{"op": "remove", "path": "/attributes/x"}], [{"op": "remove", "path": "/attributes/x"}],
                 [{"op": "remove", "path": "/attributes/y"}, {"op": "remove", "path": "/attributes/y"}], [add("v", {"type": "nope"})], [add("v", {"required": False})], [add("v", None)],
                 [{"op": "add", "path": "/attributes", "value": {}}], [add("v/w", {"type": "string", "required": False})], [{"op": "add", "path": "attributes/v", "value": {"type": "string"}}]):
        yield json_patch(path, body)
        yield get(path)
    yield json_patch("/resource_type/nope", [])
    yield json_patch("/resource_type/nope", b"")
    yield json_patch(path, b"")
    yield json_patch(path, b"{")
    yield patch(path, [])
