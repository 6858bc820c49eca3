"""The corpus: resources, their history, their metrics, lists, searches, deletion of many."""

from typing import Any, Iterator

from twin.pair import Request
from twin.steps import Keep, Step, delete, get, patch, post

U1 = "11111111-1111-1111-1111-111111111111"
LONG = "ü" * 289
SORTS = ("id", "id:desc", "user_id", "user_id:desc", "user_id:asc-nullsfirst", "user_id:desc-nullslast", "user_id:asc-nullslast", "user_id:desc-nullsfirst", "original_resource_id:desc",
         "started_at:desc", "ended_at:asc-nullsfirst", "type", "project_id:asc")
BAD_SORTS = ("nope", "id:up", "id:asc:x", ":", "id:ASC", "metrics", "revision", "host", "id,user_id")


def steps() -> Iterator[Step]:
    """All of it. Leaves the resources of `population`."""
    yield from creation()
    yield from attributes()
    yield from changes()
    yield from conditions()
    yield from metrics()
    yield from population()
    yield from lists()
    yield from searches()
    yield from history()
    yield from deletions()


def creation() -> Iterator[Step]:
    """POST, in every form."""
    path = "/resource/generic"
    for identifier in (U1, "22222222222222222222222222222222", "{33333333-3333-3333-3333-333333333333}", "urn:uuid:44444444-4444-4444-4444-444444444444",
                       "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE", "plain", "1.2.3.4", "a b", "ünï✔", LONG, "x" * 290, "a/b", "", " ", "a%2Fb", "a?b#c", 1, None, [], {}, True, "-", "a\tb"):
        yield post(path, {"id": identifier})
    for url in (U1, "22222222222222222222222222222222", "AAAAAAAA-BBBB-CCCC-DDDD-EEEEEEEEEEEE", "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "plain", "1.2.3.4", "a%20b", "%C3%BCn%C3%AF%E2%9C%94", "%C3%BC" * 289,
                "x" * 290, "a%2Fb", "a%3Fb%23c", "nope"):
        yield get(f"{path}/{url}")
        yield get(f"{path}/{url}", user="foobar")
        yield delete(f"{path}/{url}")
        yield get(f"{path}/{url}/history")
    for key in ("started_at", "ended_at"):
        for value in ("2014-01-01", "2014-01-01 10:11", "2014-01-01T10:11:12.123456789Z", "2014-01-01T10:11:12+02:00", "2014-01-01T10:11:12.5-0330", 1388534400, 1388534400.25, "1388534400", "2015", "2014-1-1", None, [], {}, "nope",
                      "2014-13-01", "1969-12-31", -1, "2262-01-01T00:00:00", "3000-01-01", True, "2014-01-01t00:00:00", "2014-01-01T24:00:00"):
            yield post(path, {"id": "timed", "started_at": "2013-01-01", key: value})
            yield delete(path + "/timed")
    yield post(path, {"id": "timed", "started_at": "2015-01-01", "ended_at": "2014-01-01"})
    for key in ("user_id", "project_id"):
        for value in ("", "u", "ü" * 255, "u" * 256, None, 1, [], {}, True):
            yield post(path, {"id": "who", key: value})
            yield delete(path + "/who")
    for body in ({"id": "x", "zzz": 1}, {"user_id": "u"}, {"id": "x", "type": "generic"}, {"id": "x", "creator": "me"}, {"zzz": 1, "yyy": 2, "id": "x"}, {"id": "x", "metrics": []}, {"id": "x", "metrics": None},
                 {"id": "x", "metrics": {"a": 1}}, {"id": "x", "metrics": {"a": None}}, {"id": "x", "metrics": {"a": "nope"}}, {"id": "x", "metrics": {"a": U1}}, {"id": "x", "metrics": {"a": []}},
                 {"id": "x", "metrics": {"a": {"archive_policy_name": "nope"}}}, {"id": "x", "metrics": {"a": {"zzz": 1}}}, {"id": "x", "metrics": {"nomatch": {}}}, {"id": "x", "metrics": {"a/b": {"archive_policy_name": "low"}}},
                 {"id": "x", "metrics": {"a": {"archive_policy_name": 1}}}, {"id": "x", "metrics": {"a": {"archive_policy_name": "low", "unit": "u" * 32}}}, {"id": "x", "metrics": {"a": {"archive_policy_name": "low", "unit": 1}}}):
        yield post(path, body)
        yield get(path + "/x")
    yield post("/resource/nope", {"id": "x"})
    yield post("/resource/nope", b"{")


def attributes() -> Iterator[Step]:
    """Attributes of every kind."""
    path = "/resource/kinds"
    for key, values in (("s", ("x", "", "x" * 256, "x" * 257, None, 1)), ("so", ("xx", "x", "xxxxxx", "üüüüü")), ("n", (0, 5.5, 5.6, -1, -1.5, "1", [], True, 1e400, 2)),
                        ("u", (U1, U1.replace("-", ""), "nope", "", 1, "{" + U1 + "}")), ("b", (True, False, "true", 1)), ("d", ("2014-01-01", 1388534400, "nope", "2014-01-01T01:02:03.456789+01:00"))):
        for value in values:
            yield post(path, {"id": "k", "started_at": "2013-01-01", "s": "s", key: value})
            yield get(path + "/k")
            yield delete(path + "/k")
    yield post(path, {"id": "k"})
    yield post(path, {"id": "k", "s": "s", "zzz": 1})
    yield post(path, {"s": 1, "zzz": 1})
    yield post("/resource/generic", {"id": "k", "s": "s"})
    yield post(path, {"id": "k", "s": "s", "n": 1, "b": True, "d": "2014-01-01", "u": U1, "so": "ab"})
    for change in ({"s": "t"}, {"s": "t"}, {"n": 1}, {"n": 1.0}, {"b": False}, {"d": "2014-01-01T00:00:00Z"}, {"d": 0}, {"u": U1.upper()}, {"n": "x"}, {"s": None}, {"so": "x"}, {"zzz": 1}):
        yield patch(path + "/k", change)
        yield get(path + "/k")
    yield get(path + "/k/history")
    yield get("/resource/generic/k")
    yield get("/resource/inst/k")
    yield get("/resource/inst/k/history")
    yield patch("/resource/inst/k", {"host": "x"})
    yield delete("/resource/inst/k")
    yield delete("/resource/generic/k")
    yield get(path + "/k")


def changes() -> Iterator[Step]:
    """PATCH."""
    path = "/resource/generic/changing"
    yield post("/resource/generic", {"id": "changing", "started_at": "2014-01-01", "metrics": {"cpu": {"archive_policy_name": "low", "unit": "%"}, "disk.a": {}}})
    yield Keep("cpu", "/v1" + path, ("metrics", "cpu"))
    for body in ({}, b"", b"[]", {"user_id": "u"}, {"user_id": "u"}, {"user_id": None}, {"project_id": "p"}, {"ended_at": "2013-01-01"}, {"ended_at": "2015-01-01"}, {"ended_at": "2015-01-01T00:00:00Z"}, {"started_at": "2016-01-01"},
                 {"started_at": "2014-06-01"}, {"ended_at": "nope"}, {"id": "x"}, {"type": "x"}, {"creator": "x"}, {"revision_start": "2014-01-01"}, {"zzz": 1}, {"user_id": 1}, {"metrics": {"disk.b": {}}}, {"metrics": {"cpu": "$cpu", "mem": {"archive_policy_name": "medium"}}},
                 {"metrics": {"cpu": U1}}, {"metrics": {"nomatch": {}}}, {"metrics": {"x": {"archive_policy_name": "nope"}}}, {"metrics": {"a/b": {"archive_policy_name": "low"}}}, {"metrics": {}}, {"user_id": "v", "metrics": {"cpu": "$cpu"}}, {"metrics": None},
                 {"metrics": {"renamed": "$cpu"}}):
        yield patch(path, body)
        yield get(path)
    yield get(path + "/history", unordered=True)
    yield get("/metric/$cpu")
    yield patch(path, {"user_id": "w"}, headers={"Content-Type": "text/plain"})
    yield patch("/resource/nope/changing", {})
    yield patch("/resource/generic/nope", {})
    yield patch("/resource/generic/nope", b"{")
    yield patch(path, {"user_id": "w"}, user="foobar")
    yield delete(path)
    yield get("/metric/$cpu")


def conditions() -> Iterator[Step]:
    """ETags and dates."""
    path = "/resource/generic/etag"
    yield post("/resource/generic", {"id": "etag", "started_at": "2014-01-01"})
    past, future = "Wed, 01 Jan 2014 00:00:00 GMT", "Sat, 01 Jan 2124 00:00:00 GMT"
    for headers in ({"If-Match": "*"}, {"If-Match": '"nope"'}, {"If-Match": "nope"}, {"If-Match": ""}, {"If-Match": '"a", "b"'}, {"If-None-Match": "*"}, {"If-None-Match": '"nope"'}, {"If-Modified-Since": past}, {"If-Modified-Since": future},
                    {"If-Unmodified-Since": past}, {"If-Unmodified-Since": future}, {"If-Modified-Since": "garbage"}, {"If-Unmodified-Since": "garbage"}, {"If-Match": "*", "If-None-Match": "*"}, {"If-Match": "*", "If-Unmodified-Since": past},
                    {"If-None-Match": '"x"', "If-Modified-Since": future}, {"If-Match": 'W/"x"'}):
        yield get(path, headers=dict(headers))
        yield get(path, headers={**headers, "Accept": None})
        yield patch(path, {"user_id": "u"}, headers=dict(headers))
        yield get("/resource/generic/nope", headers=dict(headers))
        yield get("/resource/generic", headers=dict(headers))
    yield delete(path, headers={"If-Match": '"nope"'})
    yield delete(path, headers={"If-None-Match": "*"})
    yield delete(path, headers={"If-Unmodified-Since": past})
    yield delete(path, headers={"If-Match": "*"})


def metrics() -> Iterator[Step]:
    """Metrics of a resource, and metrics alone."""
    path = "/resource/generic/owner"
    yield post("/resource/generic", {"id": "owner", "started_at": "2014-01-01"})
    for body in ({"cpu": {"archive_policy_name": "low"}}, {"cpu": {"archive_policy_name": "low"}}, {"disk.x": {}, "nomatch": {}}, {"disk.x": {}}, {}, {"a/b": {"archive_policy_name": "low"}}, {"x": U1}, {"x": 1}, {"x": {"zzz": 1}}, {"x": {"archive_policy_name": "nope"}},
                 {"x": {"archive_policy_name": "low", "unit": "ms", "name": "other"}}, b"", b"[]", {"ü✔": {"archive_policy_name": "low"}}, {"n" * 255: {"archive_policy_name": "low"}}, {"n" * 256: {"archive_policy_name": "low"}}):
        yield post(path + "/metric", body, unordered=True)
        yield get(path + "/metric", unordered=True)
    for name in ("cpu", "nope", "%C3%BC%E2%9C%94", "disk.x"):
        yield get(f"{path}/metric/{name}")
        yield get(f"{path}/metric/{name}/measures")
        yield get(f"/resource/inst/owner/metric/{name}")
        yield get(f"/resource/nope/owner/metric/{name}")
        yield get(f"/resource/generic/nope/metric/{name}")
        yield post(f"{path}/metric/{name}/measures", [{"timestamp": "2015-01-01", "value": 1}])
    yield post("/resource/inst/owner/metric", {"y": {"archive_policy_name": "low"}})
    yield get("/resource/inst/owner/metric")
    yield post("/resource/generic/nope/metric", {"y": {"archive_policy_name": "low"}})
    yield delete(path + "/metric/cpu")
    yield delete(path + "/metric/cpu")
    yield get(path)
    for body in ({}, {"archive_policy_name": "low"}, {"archive_policy_name": "nope"}, {"archive_policy_name": 1}, {"archive_policy_name": None}, {"name": "disk.z"}, {"name": "zzzz"}, {"name": "a/b", "archive_policy_name": "low"}, {"name": None, "archive_policy_name": "low"},
                 {"name": "ü" * 255, "archive_policy_name": "low"}, {"name": "u" * 256, "archive_policy_name": "low"}, {"unit": "u" * 31, "archive_policy_name": "low"}, {"unit": "u" * 32, "archive_policy_name": "low"}, {"unit": None, "archive_policy_name": "low"},
                 {"resource_id": "owner", "archive_policy_name": "low"}, {"resource_id": "owner", "name": "free", "archive_policy_name": "low"}, {"resource_id": "owner", "name": "free", "archive_policy_name": "low"}, {"resource_id": "nope", "name": "free", "archive_policy_name": "low"},
                 {"resource_id": U1, "name": "free", "archive_policy_name": "low"}, {"resource_id": "a/b", "name": "f", "archive_policy_name": "low"}, {"resource_id": 1, "name": "f", "archive_policy_name": "low"}, {"resource_id": None, "archive_policy_name": "low"},
                 {"zzz": 1}, {"id": U1, "archive_policy_name": "low"}, {"creator": "x", "archive_policy_name": "low"}, {"resource_id": "x" * 290, "name": "f", "archive_policy_name": "low"}, {"name": "", "archive_policy_name": "low"}):
        yield post("/metric", body, save="last")
        yield get("/metric/$last")
        yield delete("/metric/$last")
        yield get("/metric/$last")
    yield delete(path)


def population() -> Iterator[Step]:
    """Resources and metrics that the rest looks at."""
    for i in range(12):
        body: dict[str, Any] = {"id": f"vm{i}", "started_at": f"2014-01-{i // 2 + 1:02}T00:00:0{i}", "user_id": f"user{i % 3}" if i % 4 else None, "project_id": f"p{i % 2}",
                                "host": f"host{i % 3}", "flavor": f"f{i % 4}", "metrics": {"cpu": {"archive_policy_name": "medium"}, "disk.read": {"archive_policy_name": "low", "unit": "B"}}}
        if i % 3:
            body["mem"] = i * 1.5
        if i >= 10:
            # Measures would restore them upstream.
            body.update(ended_at=f"2015-0{i - 9}-01", metrics={})
        yield post("/resource/inst", body)
        if i >= 10:
            continue
        yield Keep(f"vm{i}cpu", f"/v1/resource/inst/vm{i}", ("metrics", "cpu"))
        yield Keep(f"vm{i}disk", f"/v1/resource/inst/vm{i}", ("metrics", "disk.read"))
    for i in range(6):
        yield post("/resource/generic", {"id": f"g{i}", "started_at": "2014-02-01", "user_id": "Ünï_%x" if i == 3 else f"u{i}"})
    yield post("/resource/kinds", {"id": "kind", "s": "text", "n": 5, "b": True, "d": "2014-05-05", "u": U1, "started_at": "2014-03-01"})
    for i in range(9):
        yield post("/metric", {"name": f"lone{i}", "archive_policy_name": ("low", "percent", "rate")[i % 3], "unit": ("B", "%", None)[i % 3]}, save=f"lone{i}", user="lister")


def lists() -> Iterator[Step]:
    """GET of lists: parameters, pages."""
    for path in ("/resource/generic", "/resource/inst", "/resource/kinds"):
        for details in (None, "true", "false", "x", ""):
            yield get(path, {"sort": "original_resource_id", **({} if details is None else {"details": details})}, unordered=True)
        for flag in ("true", "nope"):
            yield get(path, {"history": flag, "sort": "original_resource_id"}, unordered=True)
        for attrs in (["id"], ["id", "user_id"], ["nope"], ["metrics", "host"], [""]):
            yield get(path, [("attrs", a) for a in attrs] + [("sort", "original_resource_id")])
        for sort in SORTS:
            yield get(path, {"sort": [sort, "original_resource_id"]})
        for sort in BAD_SORTS:
            yield get(path, {"sort": sort})
    for limit in ("0", "-1", "x", "", "1.5", "3", "7", "8", "1000000000000000000000", " 3", "+3", "3 "):
        yield get("/resource/inst", {"limit": limit, "sort": "original_resource_id"})
        yield get("/metric", {"limit": limit, "sort": "name", "archive_policy_name": "percent"})
        yield post("/search/resource/inst", {}, {"limit": limit, "sort": "original_resource_id"})
        yield get("/resource/inst/vm1/history", {"limit": limit})
    for marker in ("vm3", "nope", "", U1, "vm3@-1", "x" * 300, "a/b"):
        yield get("/resource/inst", {"marker": marker, "sort": "original_resource_id"})
        yield get("/resource/inst", {"marker": marker, "history": "true", "sort": "original_resource_id"})
        yield get("/metric", {"marker": marker, "sort": "name", "creator": "lister"})
    yield get("/metric", {"marker": "$lone3", "sort": "name", "limit": 2, "creator": "lister"})
    yield get("/metric", {"marker": "$lone3", "sort": "name:desc", "limit": 2, "creator": "lister"})
    for marker in ("fe3c7bd2-65c5-5f4f-b58f-8a8b2f9b0c11",):
        yield get("/resource/inst", {"marker": marker})
    for sort in SORTS:
        yield get("/resource/inst", {"sort": [sort, "original_resource_id:desc"], "limit": 3})
        yield get("/resource/inst", {"sort": [sort, "original_resource_id:desc"], "limit": 3, "marker": "vm4"})
    for params in ({"limit": [1, 2]}, {"sort": "id", "limit": 2, "unknown": "x y:z@&"}, {"details": ["true", "false"]}, {"filter": "id = 1"}):
        yield get("/resource/inst", params)
    for params in ({"name": "lone1"}, {"name": "nope"}, {"unit": "B"}, {"creator": "foobar"}, {"archive_policy_name": "rate"}, {"archive_policy_name": "nope"}, {"id": "$lone1"}, {"id": "nope"}, {"id": U1}, {"status": "active"}, {"status": "delete"},
                   {"status": "x"}, {"user_id": "admin"}, {"project_id": "p"}, {"user_id": "admin", "project_id": ""}, {"name": ["lone1", "lone2"]}, {"resource_id": "vm1"}, {"sort": "nope"}, {"sort": "name:up"}, {"sort": "archive_policy_name"}, {"sort": "unit:desc"},
                   {"zzz": "x"}, {"name": ""}, {"creator": ["a", "b"]}):
        sort = {"sort": [params["sort"], "name"]} if "sort" in params else {"sort": "name"}
        yield get("/metric", {"creator": "lister", **params, **sort}, user="lister")
        yield get("/metric", {"creator": "lister", **params, "sort": "name"}, user="foobar")
    yield get("/resource/generic", {"sort": "original_resource_id"}, user="foobar")
    yield get("/resource/inst/vm1/metric", unordered=True)


def searches() -> Iterator[Step]:
    """POST /v1/search/resource in both languages."""
    good: list[Any] = [
        {}, {"=": {"host": "host1"}}, {"==": {"host": "host1"}}, {"eq": {"host": "host1"}}, {"!=": {"user_id": "user1"}}, {"ne": {"user_id": None}}, {"=": {"user_id": None}}, {"not": {"=": {"user_id": "user1"}}}, {"<": {"mem": 7}}, {"≥": {"mem": 7.5}}, {"≤": {"mem": "7.5"}}, {"le": {"mem": True}},
        {">": {"started_at": "2014-01-03"}}, {"<": {"ended_at": "2015-01-15"}}, {"=": {"ended_at": None}}, {"in": {"host": ["host1", "host2"]}}, {"in": {"id": ["vm1", "vm2", "nope"]}}, {"in": {"mem": [1.5, 3]}}, {"like": {"host": "host%"}}, {"like": {"host": "HOST_"}}, {"like": {"original_resource_id": "vm_"}},
        {"like": {"user_id": "%_\\%%"}}, {"=": {"id": "vm1"}}, {"!=": {"id": "vm1"}}, {"=": {"creator": "admin"}}, {"=": {"type": "inst"}}, {"=": {"created_by_user_id": "admin"}}, {"like": {"created_by_project_id": "%"}}, {"!=": {"created_by_user_id": "admin"}},
        {">": {"lifespan": "30 days"}}, {"<": {"lifespan": 86400}}, {"and": [{"=": {"host": "host1"}}, {">": {"mem": 2}}]}, {"∧": [{"=": {"host": "host1"}}]}, {"or": [{"=": {"host": "host1"}}, {"not": {"≠": {"flavor": "f2"}}}]}, {"∨": [{"=": {"user_id": None}}, {"and": [{}, {"=": {"flavor": "f1"}}]}]},
        {"not": {"or": [{"=": {"user_id": None}}, {"=": {"host": "host0"}}]}}, {"not": {"not": {"=": {"user_id": "user1"}}}}, {"not": {"in": {"user_id": ["user1"]}}}, {"not": {"like": {"user_id": "user1"}}}, {"=": {"flavor": 1}}, {"=": {"flavor": 1.0}}, {"=": {"flavor": True}}, {"in": {"user_id": [None, "user1"]}},
        {"<": {"user_id": None}}, {"like": {"user_id": None}}, {"not": {}}, {"and": [{}, {}]}, {">": {"id": "vm1"}}, {"=": {"revision_end": None}}, {">": {"revision_start": "2014-01-01"}}, {">": {"started_at": "-100 years"}}, {"=": {"started_at": 1388534400}}, {"=": {"started_at": 1388534401.0}},
    ]
    bad: list[Any] = [
        {"foo": 1}, {"=": 1}, {"=": {}}, {"=": {"host": "a", "mem": 1}}, {"=": {"nope": 1}}, {"=": {"host": []}}, {"=": {"host": {}}}, {"=": {"mem": "abc"}}, {"=": {"mem": None}}, {"in": {"host": []}}, {"in": {"host": "x"}}, {"in": {"host": [[]]}}, {"in": {}}, {"like": {"id": "x"}}, {"like": {"mem": "1%"}}, {"like": {"host": []}},
        {"and": []}, {"and": {}}, {"or": [1]}, {"and": [{"foo": 1}]}, {"and": [{"=": {"host": 1}}, {"nope": 1}]}, {"not": []}, {"not": {"foo": 1}}, {"not": 1}, {"=": {"host": "a"}, "<": {"mem": 1}}, {"=": {"started_at": "nope"}}, {"=": {"started_at": None}}, {"<": {"created_by_user_id": "x"}}, {">": {"lifespan": "nope"}},
        {"=": {"id": "a/b"}}, {"=": {"id": "x" * 290}}, {"=": {"id": 1}}, {"in": {"id": [1]}}, {"=": {"metrics": "x"}}, {"=": {"revision": 1}}, {"=": {"creator": None}}, {"like": {"started_at": "2014%"}}, {"<": {"type": "z"}}, {"in": {"started_at": ["2014-01-01T00:00:00"]}}, {"in": {"started_at": ["nope"]}}, {"in": {"lifespan": ["1d"]}},
        {"=": {"": 1}}, {"": {}}, {"∩": {}}, {"and": [{"and": [{"or": [{"=": {"nope": 1}}]}]}]},
    ]
    by = {"sort": "original_resource_id"}
    for query in good + bad:
        yield post("/search/resource/inst", query, by)
        yield post("/search/resource/inst", query, {**by, "history": "true"}, unordered=True)
        yield post("/search/resource/generic", query, by)
    for query in ({"=": {"n": 5}}, {"=": {"b": True}}, {"=": {"b": "true"}}, {"=": {"b": "True"}}, {"=": {"b": 1}}, {"!=": {"b": False}}, {"=": {"u": U1}}, {"=": {"u": U1.upper()}}, {"=": {"u": "nope"}}, {"=": {"d": "2014-05-05"}}, {"<": {"d": "now"}}, {"=": {"d": "nope"}},
                  {"=": {"so": None}}, {"like": {"u": "1%"}}, {"like": {"b": "t%"}}, {"in": {"b": [True, False]}}, {"in": {"n": [5, 6]}}, {">": {"b": False}}):
        yield post("/search/resource/kinds", query, by)
    yield from text_searches()


def text_searches() -> Iterator[Step]:
    """Filters in the text language."""
    by = {"sort": "original_resource_id"}
    for text in ("host = host1", "host='host1'", 'host = "host1"', "host eq host1 and mem > 2", "not host = host1", "not (host = host1 or host = host2)", "host in [host1, 'host2']", "host in []", "user_id = null", "user_id != None", "user_id = none", "mem >= 3 and mem <= 9", "mem ≥ 3 ∧ mem ≤ 9",
                 "host = host1 or host = host2 and mem > 5", "host = host1 ∨ host = host2 ∧ mem > 5", "(host = host1 or host = host2) and mem > 5", "host like 'host%'", "host like host1", "id = vm1", "id = 'vm1'", "id in [vm1, vm2]", f"id = {U1}", "started_at > '2014-01-03'", "lifespan > '30 days'",
                 "flavor = 1", "mem = 1.5", "mem = 1e0", "mem = -1", "mem=+1", "nope = 1", "host == host1", "host", "host =", "= host", "(host = host1", "host = host1)", "", " ", "and", "host = host1 and", "host = host1 host = host2", "not", "not not host = host1", "host = 'a", "HOST = host1", "host AND mem",
                 "host = host1 AND mem = 1", "host=host1and mem=1", "notes = 1", "nullable = 1", "host = true", "host = True1", "host ne host1", "mem lt 5", "mem gt 5", "mem le 5", "mem ge 5", "host ≠ host1", "user_id = 'Ünï_%x'", "host = ''", "host = \"a'b\"", "host = 'a\\'b'", "a-b = 1", "host = host-1",
                 "mem > 1 and mem > 2 and mem > 3", "mem > 1 or mem > 2 or mem > 3", "((((host = host1))))", "[host] = 1", "1 = 1", "host = 1.2.3", "host = a.b", "mem = 0x10", "mem = .5", "mem = 5."):
        yield post("/search/resource/inst", None, {**by, "filter": text})
    for text in ("user_id = 'Ünï_%x'", "host = host1", "id = g1"):
        yield post("/search/resource/generic", None, {**by, "filter": text})
    yield post("/search/resource/inst", {"=": {"host": "host1"}}, {**by, "filter": "host = host2"})
    yield post("/search/resource/nope", {}, {"filter": "x"})
    yield post("/search/resource/inst", {}, {**by, "limit": 3, "attrs": ["id", "host"]})
    yield post("/search/resource/inst", {"=": {"host": "host1"}}, {"limit": 2, "sort": ["host", "id:desc"]})


def history() -> Iterator[Step]:
    """Revisions in lists, searches and of one resource."""
    for i in (1, 2, 3):
        yield patch(f"/resource/inst/vm{i}", {"host": "moved", "mem": 99})
        yield patch(f"/resource/inst/vm{i}", {"user_id": "last"})
    for path in ("/resource/inst/vm1/history", "/resource/generic/vm1/history", "/resource/inst/vm9/history", "/resource/inst/nope/history", "/resource/nope/vm1/history"):
        for params in ({}, {"details": "true"}, {"details": "x"}, {"sort": "revision_end:asc-nullslast"}, {"sort": "host:desc"}, {"sort": "nope"}, {"limit": 1}, {"limit": 2, "sort": "revision_start:desc"}, {"attrs": "id"}, {"marker": "nope"}, {"marker": "vm1@-1"}, {"marker": "vm1@99999"}):
            yield get(path, params)
    for query in ({"=": {"host": "moved"}}, {"=": {"host": "host1"}}, {"and": [{"=": {"id": "vm1"}}, {"=": {"revision_end": None}}]}, {"and": [{"=": {"id": "vm1"}}, {"!=": {"revision_end": None}}]}, {"=": {"id": "vm2"}}):
        for params in ({"history": "true"}, {"history": "true", "limit": 2}, {"history": "true", "sort": "host"}):
            yield post("/search/resource/inst", query, {**params, "sort": [*([params["sort"]] if "sort" in params else []), "original_resource_id", "revision_start"]})
    yield get("/resource/inst", {"history": "true", "limit": 3, "sort": ["original_resource_id", "revision_start"]})


def deletions() -> Iterator[Step]:
    """DELETE of many."""
    for i in range(4):
        yield post("/resource/generic", {"id": f"del{i}", "user_id": "del", "started_at": "2014-01-01"})
    path = "/resource/generic"
    for body in ({}, b"", b"[]", {"foo": 1}, {"=": {"nope": 1}}, {"=": {"user_id": []}}, {"in": {"id": []}}, {"in": {"id": ["nope", "nope2"]}}, {"in": {"id": ["del0", "nope"]}}, {"=": {"id": "a/b"}}):
        yield delete(path, body=body)
    for text in ("", "user_id = nope", "user_id == del and", "nope = 1", "id = del1", "user_id = del"):
        yield Request("DELETE", "/v1" + path, {"filter": text})
        yield Request("DELETE", "/v1/resource/nope", {"filter": text})
    yield get(path + "/del2")
    yield Request("DELETE", "/v1/resource/generic", None, {"=": {"user_id": "u1"}}, user="foobar")
    yield delete("/resource_type/inst")
    yield delete("/resource_type/kinds")
    yield delete("/archive_policy/medium")
