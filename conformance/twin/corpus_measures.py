"""The corpus: writing and reading measures, one metric and many, line protocol and remote write."""

from typing import Any, Iterator

from twin.steps import Step, delete, get, post, settle

T = "2015-03-06T14:3"


def steps() -> Iterator[Step]:
    """All of it."""
    yield from writes()
    yield from reads()
    yield from batches()
    yield from line_protocol()
    yield from value_searches()


def writes() -> Iterator[Step]:
    """POST of measures: good and bad values and times."""
    yield post("/metric", {"name": "w", "archive_policy_name": "percent"}, save="w")
    path = "/metric/$w/measures"
    for value in (1, 1.5, "12", "1e3", True, False, "NaN", "inf", "-Infinity", None, "x", "", [], {}, " 1 ", "1_0", "0x10", 10**30, -0.0):
        yield post("/metric", {"archive_policy_name": "percent"}, save="v")
        yield post("/metric/$v/measures", [{"timestamp": "2015-03-06T14:33:57", "value": value}])
        yield get("/metric/$v/measures", {"refresh": "true"})
        yield get("/metric/$v/measures", {"refresh": "true", "aggregation": "max"})
    for time in ("2015-03-06T14:33:57", "2015-03-06 14:33:57", "2015-03-06", "2015-03", "2015", 1425652437, 1425652437.123456, "1425652437.5", "2015-03-06T14:33:57Z", "2015-03-06T14:33:57+0200", "2015-03-06T14:33:57.999999999+02:00", "2015-3-6", "nope", "", None, [], {}, -1, "1969-12-31T23:59:59",
                 0, "1970-01-01", 1e18, 1e30, "2262-04-11", "2262-04-12", "2261-01-01", "2500-01-01", "9999-12-31", True, "2015-03-06t14:33:57", "2015-03-06T14:33:57 Z", "2015-03-06T14:33:60", "2015-02-29", "2016-02-29", " 2015-03-06", "2015-W10", "20150306", "2015-065", "14:33", "1M", "2015-03-06T14"):
        yield post("/metric", {"archive_policy_name": "percent"}, save="t")
        yield post("/metric/$t/measures", [{"timestamp": time, "value": 1}])
        yield get("/metric/$t/measures", {"refresh": "true"})
    for first, second in (("2015-03-06T14:33:57", 1425652440), (1425652440, "2015-03-06T14:33:57"), (1425652440, "-5 minutes"), ("2015-03-06T14:33:57", "nope"), ("2015-03-06T14:33:57", "2015-03-06T14:33:57"), (1425652440, "1425652441")):
        yield post("/metric", {"archive_policy_name": "percent"}, save="t")
        yield post("/metric/$t/measures", [{"timestamp": first, "value": 2}, {"timestamp": second, "value": 1}])
        yield get("/metric/$t/measures", {"refresh": "true"})
    for body in (b"1", b"\"x\"", b"null", b"true", b"[1]", b"[[]]", b"[null]", b"[\"x\"]", b"[{}]", b"[{\"timestamp\": 1}]", b"[{\"value\": 1}]", b"{\"timestamp\": 1, \"value\": 1}", b"[{\"timestamp\": 1, \"value\": NaN}]", b"[{\"timestamp\": 1, \"value\": Infinity}]",
                 b"[{\"timestamp\": 1, \"value\": -Infinity}]", b"[{\"timestamp\": 1, \"value\": 1, \"zzz\": []}]", b"[{\"timestamp\": 1, \"value\": 1}, {\"timestamp\": 1}]", b"[{\"timestamp\": 1, \"value\": 1},]", b"", b"[{\"timestamp\": 1, \"value\": 1e999}]",
                 b"[{\"timestamp\": 1, \"value\": 1, \"value\": 2}]", b"[{\"timestamp\": \"2015-03-06T14:33:57\\u0000\", \"value\": 1}]", b"[{\"timestamp\": 1, \"value\": 01}]"):
        yield post(path, body)
    yield post("/metric/nope/measures", [])
    yield post("/metric/00000000-0000-0000-0000-000000000001/measures", b"{")
    yield post(path, b"[]", headers={"Content-Type": "text/plain"})
    yield post(path, [{"timestamp": "2015-03-06T14:33:57", "value": 1}], user="foobar")
    yield post(path, [{"timestamp": "2015-03-06T14:33:57", "value": 1}], user=None)


READS: list[Any] = [
    {}, {"aggregation": "max"}, {"aggregation": "median"}, {"aggregation": "95pct"}, {"aggregation": "1pct"}, {"aggregation": "std"}, {"aggregation": "count"}, {"aggregation": "nope"}, {"aggregation": "rate:mean"}, {"aggregation": ""}, {"aggregation": "last"},
    {"granularity": "60"}, {"granularity": "1 minute"}, {"granularity": "1h"}, {"granularity": 1}, {"granularity": "42"}, {"granularity": "nope"}, {"granularity": "-1"}, {"granularity": "0"}, {"granularity": ""}, {"granularity": "1e400"}, {"granularity": ["60", "1"]},
    {"start": "2015-03-06T14:34:10"}, {"stop": "2015-03-06T14:35:00"}, {"start": "2015-03-06T14:34", "stop": "2015-03-06T14:34"}, {"start": "2016-01-01"}, {"stop": "2014-01-01"}, {"start": "2016-01-01", "stop": "2014-01-01"}, {"start": "1425652440"}, {"start": "nope"}, {"stop": "nope"}, {"start": ""}, {"start": "1960-01-01"},
    {"stop": "-1"}, {"stop": "2500-01-01"}, {"start": "-100 years"}, {"start": "-10 weeks"}, {"stop": "now"}, {"start": ["2015", "2016"]}, {"start": "2015-03-06 14:34:10+01:00"},
    {"resample": "60"}, {"resample": "120", "granularity": "60"}, {"resample": "90", "granularity": "60"}, {"resample": "30", "granularity": "60"}, {"resample": "nope", "granularity": "60"}, {"resample": "-1", "granularity": "60"}, {"resample": "", "granularity": "60"}, {"resample": "W", "granularity": "60"},
    {"resample": "Y", "granularity": "60"}, {"resample": "M", "granularity": "60"}, {"resample": "Q", "granularity": "1"}, {"resample": "H", "granularity": "1"}, {"resample": "y", "granularity": "60"}, {"resample": "D", "granularity": "60"}, {"resample": "1M", "granularity": "1"}, {"resample": "120", "granularity": "60", "start": "2015-03-06T14:35:00"},
    {"resample": "120", "granularity": "60", "aggregation": "max"}, {"resample": "120", "granularity": "1", "aggregation": "count"}, {"resample": "120", "granularity": "60", "aggregation": "nope"}, {"resample": "120", "granularity": "42"}, {"refresh": "x"}, {"refresh": "false"}, {"refresh": ""}, {"fill": "x", "utc_offset": "1"},
    {"resample": "W"}, {"start": "nope", "granularity": "nope", "aggregation": "nope"}, {"aggregation": "nope", "granularity": "42"},
]


def reads() -> Iterator[Step]:
    """GET of measures with every parameter."""
    points = [{"timestamp": f"{T}{m}:{s:02}", "value": v} for m, s, v in
              ((3, 0, 10), (4, 10, 13), (4, 20, 13), (4, 30, 15), (4, 40, 18), (4, 50, 20), (5, 0, 22), (5, 10, 26), (5, 20, 30), (5, 30, 31), (5, 40, 37), (5, 50, 55), (6, 0, 62), (6, 10, 100), (6, 20, 102), (6, 30, 103), (6, 40, 104), (6, 50, 110))]
    for policy in ("percent", "rate", "medium", "halves"):
        yield post("/metric", {"archive_policy_name": policy, "name": "read-" + policy}, save=policy)
        yield post(f"/metric/${policy}/measures", points)
        for params in READS:
            yield get(f"/metric/${policy}/measures", {"refresh": "true", **params})
    for method in ("rate:mean", "rate:sum", "first", "last"):
        yield get("/metric/$rate/measures", {"aggregation": method})
        yield get("/metric/$rate/measures", {"aggregation": method, "resample": 120, "granularity": 60})
    yield post("/metric", {"archive_policy_name": "low"}, save="nodata")
    for params in READS:
        yield get("/metric/$nodata/measures", params)
    for path in ("/metric/nope/measures", "/metric/00000000-0000-0000-0000-000000000001/measures"):
        yield get(path, {"start": "nope"})
    yield get("/metric/$rate/measures", user="foobar")
    yield get("/metric/$rate", user="foobar")


def batches() -> Iterator[Step]:
    """Both batch routes."""
    path = "/batch/metrics/measures"
    point = [{"timestamp": "2015-03-06T14:40:00", "value": 5}]
    for body in ({"$vm1cpu": point, "$vm2cpu": point}, {"$vm1cpu": point, "00000000-0000-0000-0000-00000000000A": point, "00000000-0000-0000-0000-000000000001": point}, {"foo": point}, {"$vm1cpu": 1}, {"$vm1cpu": None}, {"$vm1cpu": {}}, {"$vm1cpu": [1]}, {"$vm1cpu": point, "$vm2cpu": [{"value": 1}]},
                 {"$vm1cpu": [{"timestamp": "nope", "value": 1}]}, {"$vm1cpu": [{"timestamp": 1, "value": None}]}, {"": point}, {"$vm1cpu": "x"}):
        yield post(path, body)
    yield post(path, {"$vm1cpu": point}, user="foobar")
    yield get("/metric/$vm1cpu/measures", {"refresh": "true"})
    path = "/batch/resources/metrics/measures"
    yield post("/resource/generic", {"id": "batch", "started_at": "2014-01-01"})
    for params in ({}, {"create_metrics": "true"}, {"create_metrics": "x"}, {"create_metrics": "0"}):
        for body in ({"batch": {"cpu1": point}}, {"batch": {"disk.q": point}}, {"batch": {"nomatch": point}}, {"batch": {"x": {"measures": point, "archive_policy_name": "low", "unit": "B"}}}, {"batch": {"x2": {"measures": point, "archive_policy_name": "nope"}}}, {"batch": {"x3": {"measures": point, "zzz": 1}}},
                     {"batch": {"x4": {"archive_policy_name": "low"}}}, {"nores": {"cpu1": point, "cpu2": point}}, {"nores": {"cpu1": point}, "aaa": {"cpu1": point}}, {"batch": {}}, {"batch": []}, {"batch": None}, {"batch": {"cpu1": 1}}, {"batch": {"cpu1": [{"timestamp": "x", "value": 1}]}},
                     {"a/b": {"cpu1": point}}, {"x" * 290: {"cpu1": point}}, {"batch": {"a/b": point}}, {"batch": {"a/b": {"measures": point, "archive_policy_name": "low"}}}, {"batch": {"x5": {"measures": point, "archive_policy_name": "low", "unit": "u" * 32}}}, {"batch": {"x6": {"measures": point, "archive_policy_name": 1}}},
                     {"ü" * 289: {"cpu1": point}}, {"11111111-1111-1111-1111-11111111111F": {"cpu1": point}}, {"vm1": {"cpu": point, "disk.read": {"measures": point}}}, {"batch": {"n" * 256: {"measures": point, "archive_policy_name": "low"}}}, {"batch": {"x7": {"measures": [1]}}}):
            yield post(path, body, params)
            yield get("/resource/generic/batch/metric", unordered=True)
    yield get("/resource/generic/batch/metric/disk.q/measures", {"refresh": "true"})


def line_protocol() -> Iterator[Step]:
    """InfluxDB's writes and queries."""
    yield post("/archive_policy_rule", {"name": "lines", "metric_pattern": "line*", "archive_policy_name": "low"})
    text = {"Content-Type": "text/plain", "Accept": "application/json"}
    for query in ({}, {"q": "create database influx"}, {"q": "CREATE DATABASE influx;"}, {"q": "create database \"in flux\""}, {"q": "show databases"}, {"q": ""}, {"q": "create database"}):
        yield post("/influxdb/query", None, query)
        yield post("/influxdb/query", None, query, headers={"Accept": None})
    for line in (b"line,host=foo v=1 1510581804179554816", b"line,host=foo,tag=x v=1i,w=2.5 1510581804179554816", b"line,host=foo v=\"text\" 1510581804179554816", b"line v=1 1510581804179554816", b"line,tag=x v=1", b"garbage", b"", b"\n\n", b"line,host=foo v=1 1510581804179554816\nbad",
                 b"line,host=a\\ b v=1 1510581804179554816", b"line\\,x,host=foo v=1 1510581804179554816", b"line,host=foo,p=/a/b v=1 1510581804179554816", b"# comment", b"line,host=foo v=1e3 1510581804179554816", b"unmatched,host=foo v=1 1510581804179554816", b"line,host=f/oo v=1 1510581804179554816",
                 b"line,host=foo v= 1510581804179554816", b"line,host= v=1", b",host=foo v=1", b"line,host=foo", b"line,host=foo v=1,w=2,v=3 1510581804179554816", "line,host=ünï v=1 1510581804179554816".encode(), b"\xff\xfe"):
        yield post("/influxdb/write", line, {"db": "influx"}, headers=dict(text))
    yield post("/influxdb/write", b"line,host=foo v=1 1510581804179554816", {"db": "nope"}, headers=dict(text))
    yield post("/influxdb/write", b"line,id=foo2 v=1 1510581804179554816", {"db": "influx"}, headers={**text, "X-Gnocchi-InfluxDB-Tag-Resource-ID": "id"})
    yield post("/influxdb/write", b"line,host=vm1 v=1 1510581804179554816", {"db": "influx"}, headers=dict(text))
    yield get("/resource/influx", {"sort": "original_resource_id"})
    yield settle
    for name in ("line.v", "line.w@tag=x", "line.v@p=_a_b"):
        yield get(f"/resource/influx/foo/metric/{name}/measures", {"refresh": "true"})
    yield delete("/archive_policy_rule/lines")


def value_searches() -> Iterator[Step]:
    """POST /v1/search/metric."""
    yield settle
    for query in ({">": 20}, {"≥": 20}, {"=": 13}, {"==": 13}, {"eq": 13}, {"!=": 13}, {"≠": 13}, {"ne": 13}, {"lt": 20}, {"le": 20}, {"gt": 20}, {"ge": 20}, {">=": [{"+": 3}, 25]}, {"=": [{"%": 2}, 0]}, {"=": [{"mod": 2}, 0]}, {">": [{"*": 2}, {"+": 20}]}, {">": [{"×": 2}, {"add": 20}]}, {"<": [{"÷": 2}, 10]}, {"<": [{"div": 0}, 10]},
                  {"<": [{"^": 2}, 200]}, {"<": [{"**": 2}, 200]}, {"<": [{"pow": 2}, 200]}, {"<": [{"sub": 2}, 12]}, {"<": [{"-": 2}, 12]}, {"+": 2}, {"-": 13}, {"and": [{">": 10}, {"<": 20}]}, {"∧": [{">": 10}, {"<": 20}]}, {"or": [{"<": 11}, {">": 100}]}, {"∨": [{"<": 11}, {">": 100}]}, {"not": {">": 1}}, {"not": [{">": 1}]}, {},
                  {"foo": 1}, {">": "x"}, {">": None}, {">": []}, {">": [1]}, {">": [1, 2]}, {">": [1, 2, 3]}, {">": {"+": 1}}, {">": True}, {"and": []}, {"and": [1]}, {"and": {}}, {">": 1, "<": 2}, {">": [{"and": []}, 2]}, {">": 1e400}):
        yield post("/search/metric", query, {"metric_id": "$percent"})
        yield post("/search/metric", query, {"metric_id": "$percent", "granularity": "60"})
    for params in ({}, {"metric_id": "nope"}, {"metric_id": "00000000-0000-0000-0000-000000000001"}, {"metric_id": ["$percent", "$medium"]}, {"metric_id": ["$percent", "$medium"], "granularity": "60"}, {"metric_id": "$percent", "granularity": ["60", "1"]}, {"metric_id": "$percent", "granularity": "42"}, {"metric_id": "$percent", "granularity": "nope"},
                   {"metric_id": "$percent", "aggregation": "max"}, {"metric_id": "$percent", "aggregation": "nope"}, {"metric_id": "$percent", "start": "2015-03-06T14:35"}, {"metric_id": "$percent", "stop": "2015-03-06T14:35"}, {"metric_id": "$percent", "start": "nope"}, {"metric_id": "$percent", "stop": "nope"}, {"metric_id": "$nodata"},
                   {"metric_id": ["$percent", "$percent"]}, {"metric_id": ["$percent", "00000000-0000-0000-0000-000000000001"]}):
        yield post("/search/metric", {">": 20}, params)
        yield post("/search/metric", None, params)
    yield post("/search/metric", {">": 20}, {"metric_id": "$percent"}, user="foobar")
