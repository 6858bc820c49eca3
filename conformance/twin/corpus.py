"""The corpus written by hand: every route and method, good and bad, in an order in which both servers can follow."""

from typing import Iterator

from twin import corpus_aggregates, corpus_measures, corpus_policies, corpus_resources
from twin.pair import Request
from twin.steps import Step, delete, get, patch, post


def steps() -> Iterator[Step]:
    """All of it."""
    yield from front()
    yield from corpus_policies.steps()
    yield from corpus_resources.steps()
    yield from corpus_measures.steps()
    yield from corpus_aggregates.steps()


ROUTES = (
    "", "/", "/capabilities", "/status", "/archive_policy", "/archive_policy/nope", "/archive_policy_rule",
    "/archive_policy_rule/nope", "/resource_type", "/resource_type/nope", "/resource", "/resource/generic",
    "/resource/nope", "/resource/generic/nope", "/resource/generic/nope/history", "/resource/generic/nope/metric",
    "/resource/generic/nope/metric/m", "/resource/generic/nope/metric/m/measures", "/metric",
    "/metric/00000000-0000-0000-0000-000000000001", "/metric/00000000-0000-0000-0000-000000000001/measures", "/metric/nope",
    "/batch", "/batch/metrics", "/batch/metrics/measures", "/batch/resources", "/batch/resources/metrics",
    "/batch/resources/metrics/measures", "/search", "/search/resource", "/search/resource/generic", "/search/metric",
    "/aggregates", "/aggregation", "/aggregation/metric", "/aggregation/resource", "/aggregation/resource/generic",
    "/aggregation/resource/generic/metric", "/aggregation/resource/generic/metric/cpu", "/influxdb", "/influxdb/ping",
    "/influxdb/query", "/influxdb/write", "/prometheus", "/nope", "/metric/a/b/c", "/archive_policy/a/b",
)
ACCEPTS = (
    None, "*/*", "application/json", "application/*", "text/plain", "text/html", "application/xml", "text/plain, application/json; q=0.8",
    "application/json, text/html", "application/json;q=0", "text/html, application/json;q=0.9", "garbage", "",
    "application/json; charset=utf-8", "text/*, application/json",
)
TYPES = (
    None, "application/json", "application/json; charset=utf-8", "application/json;charset=latin-1", "APPLICATION/JSON", "text/plain",
    "application/x-www-form-urlencoded", "application/json-patch+json", "application/jsonx", "", "multipart/form-data",
)


def front() -> Iterator[Step]:
    """What does not depend on what is stored: routes by methods, negotiation, proxies, origins, identities."""
    yield Request("GET", "/")
    yield Request("GET", "/", headers={"Accept": None})
    yield Request("POST", "/", body={})
    yield Request("GET", "/nope")
    yield Request("GET", "/healthcheck", headers={"Accept": None})
    yield Request("GET", "/healthcheck")
    for route in ROUTES:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
            yield Request(method, "/v1" + route, body={} if method in ("POST", "PUT", "PATCH") else None)
    for route in ("/archive_policy/nope", "/archive_policy", "/nope", "/influxdb/ping"):
        for accept in ACCEPTS:
            yield get(route, headers={"Accept": accept})
    for accept in ACCEPTS:
        yield post("/archive_policy", {"name": 1}, headers={"Accept": accept})
        yield post("/search/resource/generic", {"foo": 1}, headers={"Accept": accept})
    for kind in TYPES:
        yield post("/archive_policy", {"name": 1}, headers={"Content-Type": kind})
        yield post("/metric", {"name": 1}, headers={"Content-Type": kind})
        yield post("/batch/metrics/measures", {}, headers={"Content-Type": kind})
        yield post("/search/resource/generic", {}, headers={"Content-Type": kind})
        yield patch("/resource_type/nope", [], headers={"Content-Type": kind})
        yield delete("/resource/generic", body={}, headers={"Content-Type": kind})
    yield from bad_bodies()
    yield from identities()
    for path in ("/v1//archive_policy", "/v1/archive_policy/", "/v1/archive_policy//", "/v1/resource//generic/", "/gnocchi/v1/", "/gnocchi/v1",
                 "/v1/archive_policy/%2F", "/v1/archive_policy/%E2%9C%94", "/v1/archive_policy/%ff", "/v1/archive_policy/a%20b", "/v1/archive_policy?x=1&x=2",
                 "/v1/archive_policy/nope.json", "/v1/archive_policy.json", "/v2", "//v1"):
        yield Request("GET", path)
    for headers in ({"X-Forwarded-Proto": "https"}, {"X-Forwarded-Host": "a.example:99", "X-Forwarded-Prefix": "/metrics"},
                    {"Forwarded": 'proto=https;host="b.example";for=1.2.3.4'}, {"Forwarded": "proto=https;host=b.example, proto=http;host=c"},
                    {"Host": "other.example"}):
        yield Request("GET", "/", headers=dict(headers))
        yield get("/", headers=dict(headers))
        yield get("/resource", headers=dict(headers))
    for origin in ("http://foobar.com", "http://evil.example"):
        yield get("/archive_policy", headers={"Origin": origin})
        yield Request("OPTIONS", "/v1/archive_policy", headers={"Origin": origin, "Access-Control-Request-Method": "GET"})
        yield Request("OPTIONS", "/v1/archive_policy", headers={"Origin": origin, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "X-Auth-Token"})
    yield get("/status", {"details": "false"})
    for word in ("True", "no", "2", "", "maybe", "ON"):
        yield get("/status", {"details": word})


def bad_bodies() -> Iterator[Step]:
    """Bodies that are no JSON, or not the JSON that is wanted, wherever JSON is taken."""
    bodies = (None, b"", b" ", b"{", b"[", b"nul", b"{\"a\":}", b"\xff\xfe", b"{} x", b"1", b"\"a\"", b"null", b"true", b"[]", b"{}", b"[1]", b"NaN", b"{'a': 1}", b"[1,]", b"{\"a\":1,}")
    for path in ("/archive_policy", "/archive_policy_rule", "/resource_type", "/resource/generic", "/metric", "/batch/metrics/measures",
                 "/batch/resources/metrics/measures", "/aggregates", "/search/resource/generic", "/search/metric", "/aggregation/metric",
                 "/aggregation/resource/generic/metric/m"):
        for body in bodies:
            if (path, body) in (("/metric", b"{}"), ("/aggregation/metric", b"[]")):
                continue
            yield post(path, body)
    for body in bodies:
        yield delete("/resource/generic", body=body, headers={} if body else {"Content-Type": "application/json"})


def identities() -> Iterator[Step]:
    """Who may do what with basic authentication."""
    for user in (None, "admin", "foobar", "ünï"):
        if user == "ünï":
            continue
        for path in ("/archive_policy", "/metric", "/resource/generic", "/status", "/capabilities", "/resource", "/resource_type"):
            yield get(path, user=user)
        yield post("/archive_policy", {"name": 1}, user=user)
        yield post("/metric", {"nope": 1}, user=user)
        yield post("/resource/generic", {"nope": 1}, user=user)
        yield post("/resource_type", {"nope": 1}, user=user)
        yield post("/search/resource/generic", {}, user=user)
        yield post("/aggregates", {"operations": []}, user=user)
        yield delete("/archive_policy/nope", user=user)
        yield delete("/metric/00000000-0000-0000-0000-000000000001", user=user)
        yield delete("/resource/generic/nope", user=user)
    for word in ("basic", "basic !!!", "basic YWRtaW4=", "Basic YWRtaW46", "bearer x", "BASIC YWRtaW46c2VjcmV0", "basic Og=="):
        yield get("/archive_policy", user=None, headers={"Authorization": word})
        yield get("/metric", user=None, headers={"Authorization": word})
