"""Differences that are wanted, each with its reason. A rule says for which request and which two answers it speaks."""

from typing import Any, Callable

from twin.pair import Answer, Request

Rule = Callable[[Request, Answer, Answer], bool]


def description(answer: Answer) -> Any:
    """What an error says."""
    return answer.body.get("description") if isinstance(answer.body, dict) else answer.body


def reason(answer: Answer) -> str:
    """The reason of a structured error, else nothing."""
    found = description(answer)
    return str(found.get("reason", "")) if isinstance(found, dict) else ""


def upstream_breaks(_: Request, ours: Answer, peer: Answer) -> bool:
    """Upstream answers 500 to what it did not foresee."""
    return peer.status == 500 and ours.status < 500


def missing_key(_: Request, ours: Answer, peer: Answer) -> bool:
    """Both miss a required key, but name another one of several."""
    text = "required key not provided"
    return ours.status == peer.status == 400 and reason(ours).startswith(text) and reason(peer).startswith(text)


def other_verbs(request: Request, ours: Answer, peer: Answer) -> bool:
    """A verb that the path does not have."""
    if "allow" in ours.headers and ours.status == 405:
        known = request.method in ours.headers["allow"].split(", ")
        return not known and (peer.status in (302, 400, 404) or peer.headers.get("allow") == "" or request.path.strip("/") in ("", "v1", "gnocchi/v1"))
    return ours.status == 404 and peer.status == 405 and peer.headers.get("allow") == ""


def empty_body(_: Request, ours: Answer, peer: Answer) -> bool:
    """The same answer without a body, and without its type."""
    return ours.status == peer.status and ours.body == peer.body == "" and ours.headers == {
        k: v for k, v in peer.headers.items() if k != "content-type"}


def status_of_workers(request: Request, ours: Answer, peer: Answer) -> bool:
    """The same status but for the workers that upstream has."""
    if not request.path.startswith("/v1/status") or ours.status != 200 or peer.status != 200:
        return False
    return ours.body["storage"] == peer.body["storage"] and ours.body.keys() == peer.body.keys()


def options(request: Request, ours: Answer, peer: Answer) -> bool:
    """OPTIONS without an origin."""
    return request.method == "OPTIONS" and ours.status == peer.status == 200 and ours.body == ""


def nowhere(_: Request, ours: Answer, peer: Answer) -> bool:
    """Both 404, ours because the path is no route."""
    return ours.status == 404 and peer.status in (404, 405) and description(ours) in (None, "")


def refused_by_weight(request: Request, ours: Answer, peer: Answer) -> bool:
    """q=0 says that JSON is not wanted."""
    return "json;q=0" in str(request.headers.get("Accept")).replace("q=0.", "") and ours.status == 406


def accept_parameters(request: Request, ours: Answer, peer: Answer) -> bool:
    """JSON with a charset is JSON."""
    return "application/json; charset" in str(request.headers.get("Accept")) and ours.status == peer.status


def case_of_types(request: Request, ours: Answer, peer: Answer) -> bool:
    """A content type in capitals."""
    return str(request.headers.get("Content-Type")).isupper() and peer.status == 415


def decoder_text(request: Request, ours: Answer, peer: Answer) -> bool:
    """Both could not read the JSON, in the words of their decoder."""
    found = description(ours)
    return isinstance(found, dict) and found.get("cause") == "Unable to decode body" and ours.status == peer.status == 400


def mentions(*words: str) -> Rule:
    """Requests that contain one of these texts, answered as either server likes, but never with 500 by ours."""
    return lambda request, ours, peer: ours.status < 500 and any(word in request.shown() for word in words)


def both(status: int, *words: str) -> Rule:
    """Both refuse with this status; upstream's answer contains one of these texts."""
    return lambda request, ours, peer: ours.status == peer.status == status and any(word in str(peer.body) for word in words)


def strict_identity(_: Request, ours: Answer, peer: Answer) -> bool:
    """Nobody is refused."""
    return ours.status == 401 and peer.status in (200, 400, 404)


def not_a_time(request: Request, ours: Answer, peer: Answer) -> bool:
    """What numpy turns into NaT."""
    shown = request.shown()
    odd = ("timestamp\": \"\"", "1e+30", "1e+18", "start= ", "stop= ", "start=&", "stop=&", "ended_at\": \"\"")
    return ours.status == 400 and any(word in shown + " " for word in odd)


def mixed_times(request: Request, ours: Answer, peer: Answer) -> bool:
    """A list of texts and numbers: what it stored shows, too."""
    stored = request.path == "/v1/metric/$t/measures" and ours.status == peer.status == 200
    return stored and (ours.body == [] or len(ours.body) == len(peer.body) + 1) or (
        ours.status == 400 and "timestamp\": 1425652440" in request.shown())


def repeated(_: Request, ours: Answer, peer: Answer) -> bool:
    """A parameter that was given twice."""
    return ours.status == peer.status == 400 and reason(ours) == "Must be given once"


def same_but_numbers(left: Any, right: Any) -> bool:
    """Equality of JSON values in which 1 equals 1.0."""
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same_but_numbers(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same_but_numbers(a, b) for a, b in zip(left, right))
    return left == right and isinstance(left, bool) == isinstance(right, bool)


def echo(request: Request, ours: Answer, peer: Answer) -> bool:
    """The same numbers, one of them without a fraction."""
    return ours.status == peer.status and ours.headers == peer.headers and same_but_numbers(ours.body, peer.body) and (
        request.path.startswith("/v1/resource/") or peer.status == 400)


def other_order(_: Request, ours: Answer, peer: Answer) -> bool:
    """The same refusal, its offenders in another order, or another one of several."""
    if ours.status == peer.status == 400 and all(reason(answer).startswith("Can't compute timeseries") for answer in (ours, peer)):
        return True
    texts = ("No granularity match", "Granularities are missing", "No overlap", "of datapoints overlap")
    if ours.status == peer.status == 400 and reason(ours) == reason(peer) and any(text in reason(ours) for text in texts):
        details = [sorted(map(str, description(answer)["detail"])) for answer in (ours, peer)]
        return details[0] == details[1]
    return ours.status == peer.status == 404 and any(
        text in str(description(ours)) and text in str(description(peer)) for text in ("Aggregation method '", "Metrics with unknown aggregation"))


def link_of_body(request: Request, ours: Answer, peer: Answer) -> bool:
    """The same page; upstream's link repeats the keys of the body as parameters."""
    without = [{k: v for k, v in answer.headers.items() if k != "link"} for answer in (ours, peer)]
    if not isinstance(request.body, dict) or "link" not in ours.headers or "link" not in peer.headers or without[0] != without[1]:
        return False
    links = [set(answer.headers["link"].removesuffix('>; rel="next"').replace("?", "&").split("&")) for answer in (ours, peer)]
    return same_but_numbers(ours.body, peer.body) and links[0] <= links[1]


def filter_text(_: Request, ours: Answer, peer: Answer) -> bool:
    """Both refuse a filter's syntax."""
    return ours.status == peer.status == 400 and all(str(description(a)).startswith("Invalid filter: ") for a in (ours, peer))


def legacy_page(request: Request, ours: Answer, peer: Answer) -> bool:
    """Legacy aggregation over more resources than a page has, and its link."""
    cut = reason(ours) == reason(peer) and "datapoints overlap" in reason(peer) and len(description(peer)["detail"]) == 7
    linked = "link" in peer.headers and "link" not in ours.headers
    return request.path.startswith("/v1/aggregation/resource/") and (linked or cut)


def checked_always(request: Request, ours: Answer, peer: Answer) -> bool:
    """A bad parameter that upstream does not look at, because nothing is found or something else is refused first."""
    unseen = peer.status in (200, 202, 404) or (peer.status == 400 and reason(peer) in ("No overlap", "No granularity match"))
    text = str(description(ours))
    return ours.status == 400 and unseen and any(word in text for word in (
        "Unable to parse", "A granularity must be specified", "is not a reaggregation method"))


def not_modified(_: Request, ours: Answer, peer: Answer) -> bool:
    """304 with its validators."""
    return ours.status == peer.status == 304


def history_prefilter(_: Request, ours: Answer, peer: Answer) -> bool:
    """A search in history that upstream applies to the wrong table first."""
    return ours.status == 200 and peer.status == 400 and "sqlalchemy_base.ResourceHistory" in str(peer.body)


def no_data(request: Request, ours: Answer, peer: Answer) -> bool:
    """A search of values in a metric without data, or by a method that it lacks."""
    return request.path == "/v1/search/metric" and description(peer) != "" and isinstance(description(peer), dict) and description(
        peer).get("cause") == "Metric does not exist"


def words_of_predicates(request: Request, ours: Answer, peer: Answer) -> bool:
    """Both refuse a condition on values."""
    return request.path == "/v1/search/metric" and ours.status == peer.status == 400


def half_made(request: Request, ours: Answer, peer: Answer) -> bool:
    """Metrics that a refused batch has left behind upstream."""
    if request.path != "/v1/resource/generic/batch/metric" or ours.status != 200 or peer.status != 200:
        return False
    names = [{item["name"] for item in answer.body} for answer in (ours, peer)]
    return names[0] < names[1]


def made_by_us(request: Request, ours: Answer, peer: Answer) -> bool:
    """The corpus deletes what it may have made, and upstream broke when it should have made it."""
    return request.method == "DELETE" and ours.status == 204 and peer.status == 404


def listed_types(request: Request, ours: Answer, peer: Answer) -> bool:
    """The same list of types."""
    return request.path == "/v1/resource" and request.method == "GET" and ours.status == peer.status == 200 and ours.body.keys() == peer.body.keys()


RULES: list[tuple[str, Rule]] = [
    ("upstream breaks (500), ours gives a 4xx or the sensible answer", upstream_breaks),
    ("of several missing keys upstream names one by the order of a Python set, ours the first of the schema", missing_key),
    ("a verb that a path lacks gets 405 with the right Allow and a path that is nothing 404; upstream runs another handler, looks "
     "things up first, redirects, or sends an empty Allow", other_verbs),
    ("OPTIONS lists no links", options),
    ("a path that is no route is not looked into", nowhere),
    ("q=0 refuses; upstream hears consent", refused_by_weight),
    ("parameters of a range in Accept do not matter; upstream finds no match for `application/json; charset=utf-8` and says errors as text",
     accept_parameters),
    ("media types know no case (RFC 9110); upstream wants small letters", case_of_types),
    ("what is no JSON is said in the decoder's own words; ours tells the place", decoder_text),
    ("whoever nobody vouches for is refused everywhere; upstream forgets to ask on some reads", strict_identity),
    ("a quoted host in Forwarded loses its quotes (RFC 7239)", mentions("host=\"b.example\"", "host=\\\"b.example")),
    ("%2F is a slash in a name, bytes that are no UTF-8 name nothing, // before v1 is /", mentions("/%2F", "/%ff", "/a%2Fb", "GET //v1")),
    ("texts and numbers that are no time are refused; upstream stores or compares NaT", not_a_time),
    ("a number among times written as text is refused; upstream takes it for nanoseconds", mixed_times),
    ("repeated parameters are told so", repeated),
    ("numbers have a fraction always, and are shown as sent where a refusal quotes the request; upstream's differ by when it reads them back", echo),
    ("offenders in the order of the request or of ids; upstream's order is that of a set or of what its threads finish first", other_order),
    ("links to the next page of a search repeat no keys of its body", link_of_body),
    ("filters that cannot be read are refused in the parser's own words", filter_text),
    ("legacy aggregation works on all resources, upstream on one page of them, with a link that leads nowhere", legacy_page),
    ("bad parameters are refused whatever is found", checked_always),
    ("304 carries the validators, as RFC 9110 wants", not_modified),
    ("a metric without data has no points that match; upstream takes it for missing", no_data),
    ("conditions on values that cannot be read are refused in other words", words_of_predicates),
    ("each metric is searched at its own granularities, upstream at those of the first", mentions("metric_id=%24percent&metric_id=%24medium", "metric_id=$percent&metric_id=$medium")),
    ("a truth value is no number, and Infinity is no JSON but for measures", mentions('{">": true}', '{">": Infinity}')),
    ("measures are JSON: no number beyond the range of floats, no zero in front", mentions('"value": 1e999}', '"value": 01}')),
    ("a batch that is refused changes nothing; upstream keeps the metrics that it made before it refused", half_made),
    ("quotes around an id in operations are quotes", mentions("(metric '$a' mean)")),
    ("of several faults of one metric ours names the method", mentions("aggregation=95pct&granularity=1&groupby=flavor")),
    ("a metric of a batch without its measures is refused before it is looked up", mentions('"x4": {"archive_policy_name"')),
    ("comments are allowed in the line protocol", mentions("# comment")),
    ("resampling takes every method that policies have", mentions('["resample", "last"', '["resample", "95pct"', "(resample last", "(resample 95pct")),
    ("aggregate takes several operands, as upstream's documentation and Aodh write it",
     mentions('["aggregate", "mean", ["metric", "$a", "mean"], ["metric", "$b", "mean"]]', "(metric $a mean) (metric $b mean))")),
    ("an empty query is everything wherever it stands", mentions('{"not": {}}', '{"and": [{}, {}]}', '[{}, {"="')),
    ("an empty filter is everything in aggregates too", mentions('"search": ""')),
    ("== is = in filters", mentions("filter=host+%3D%3D+host1", 'filter=user_id+%3D%3D+del')),
    ("an attribute may begin with a keyword", mentions("filter=notes", "filter=nullable", "filter=host+%3D+True1")),
    ("the left side of a filter names the attribute, whatever it looks like", mentions("filter=%5Bhost%5D", "filter=1+%3D+1")),
    ("predicates on attributes of the type work in history too", history_prefilter),
    ("links to resource types are percent-encoded", listed_types),
    ("what upstream broke on is there with us to be deleted", made_by_us),
    ("upstream's refusals that print Python's insides", both(400, "object at 0x", "has no attribute 'replace'", "cannot convert float NaN", "np.timedelta64", "Fail to parse the operations string")),
    ("a policy's definitions are looked at before they are compared with the old ones", both(400, "does not support change")),
    ("JSON patches are checked as other bodies are, and limits of numbers after the fill", both(400, "Operation does not contain", "must have a 'path' member", "must be less  than or equal")),
    ("operations that lack a metric are refused for what is wrong in them first, and quoted as they were sent", both(400, "At least one 'metric' is required")),
    ("an unknown type in a path is found after parameters are read", mentions("/v1/resource/nope/vm1/history")),
    ("a body without content has no type", empty_body),
    ("there is no metricd, so its workers are called otherwise", status_of_workers),
]


def excuse(request: Request, ours: Answer, peer: Answer) -> str | None:
    """The reason for which these answers may differ, if there is one."""
    return next((reason for reason, speaks in RULES if speaks(request, ours, peer)), None)
