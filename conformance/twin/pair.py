"""Two servers that are asked the same: one request goes to both, and the two answers are made comparable.

What each server makes up by itself (ids of metrics, the present time, its own address) is replaced by a name before
answers are compared. A text `$name` in a request stands for an id that an earlier answer gave, each server's own.
"""

import base64
import dataclasses
import datetime
import http.client
import json
import re
import time
import urllib.parse
from typing import Any

# Of version 4, as both make them at random, or 7, as we make those of metrics.
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[47][0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
TIME = re.compile(r"(\d{4}-\d\d-\d\d)T\d\d:\d\d:\d\d(\.\d+)?(\+00:00)")
PYTHON_TIME = re.compile(r"(\d{4}-\d\d-\d\d) \d\d:\d\d:\d\d(\.\d+)?(\+00:00)")
# Compared as they are; those of PRESENT only for being there.
HEADERS = ("location", "link", "allow", "content-type", "www-authenticate", "access-control-allow-origin",
           "access-control-allow-methods", "access-control-allow-headers", "access-control-max-age", "x-influxdb-version")
PRESENT = ("etag", "last-modified")
# Lists whose order upstream's own Python sets decide.
UNORDERED_KEYS = ("aggregation_methods", "references")


@dataclasses.dataclass
class Request:
    """One request, the same for both servers. `body` is sent as it is when it is bytes, else as JSON."""

    method: str
    path: str
    params: Any = None
    body: Any = None
    headers: dict[str, str | None] = dataclasses.field(default_factory=dict)
    user: str | None = "admin"
    # The answer's list has no defined order.
    unordered: bool = False
    # Keeps the answer's `id` under this name.
    save: str | None = None

    def shown(self) -> str:
        """One line for a person."""
        query = "?" + urllib.parse.urlencode(self.params, doseq=True) if self.params else ""
        body = "" if self.body is None else f" {self.body if isinstance(self.body, bytes) else json.dumps(self.body)}"
        headers = f" {self.headers}" if self.headers else ""
        return f"{self.method} {self.path}{query}{headers}{body}"[:600]


@dataclasses.dataclass
class Answer:
    """What came back, made comparable."""

    status: int
    headers: dict[str, str]
    body: Any

    def shown(self) -> str:
        """One line for a person."""
        return f"{self.status} {self.headers} {json.dumps(self.body, ensure_ascii=False)}"[:900]


class Side:
    """One of the two servers."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.names: dict[str, str] = {}
        self.connection: http.client.HTTPConnection | None = None

    def fill(self, text: str) -> str:
        """Names replaced by this server's own ids."""
        for name, value in sorted(self.names.items(), key=lambda item: -len(item[0])):
            text = text.replace(name, value)
        return text

    def send(self, request: Request) -> tuple[int, dict[str, str], bytes]:
        """The answer as it came: status, headers in lower case, body."""
        path = self.fill(request.path)
        if request.params:
            path += "?" + self.fill(urllib.parse.urlencode(request.params, doseq=True, safe="$"))
        headers: dict[str, str | None] = {"Accept": "application/json"}
        if request.user is not None:
            headers["Authorization"] = "basic " + base64.b64encode(f"{request.user}:".encode()).decode()
        data = request.body
        if data is not None:
            headers["Content-Type"] = "application/json"
            data = data if isinstance(data, bytes) else self.fill(json.dumps(data)).encode()
        headers.update(request.headers)
        return self.exchange(request.method, path, data, {k: self.fill(v) for k, v in headers.items() if v is not None})

    def exchange(self, method: str, path: str, data: bytes | None, headers: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
        """One exchange on the kept connection, which is opened again where the server closed it."""
        for attempt in (1, 2):
            connection = self.connection or http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
            self.connection = connection
            try:
                connection.request(method, path, data, headers)
                answer = connection.getresponse()
                raw = answer.read()
            except (ConnectionError, http.client.HTTPException):
                connection.close()
                self.connection = None
                if attempt == 2:
                    raise
                continue
            if answer.will_close:
                connection.close()
                self.connection = None
            return answer.status, {k.lower(): v for k, v in answer.getheaders()}, raw
        raise AssertionError("unreachable")

    def mask(self, text: str) -> str:
        """What this server made up, replaced."""
        for name, value in self.names.items():
            text = text.replace(value, name)
        text = text.replace(f"127.0.0.1:{self.port}", "HOST")
        text = UUID.sub("<uuid>", text)
        today = {str(datetime.datetime.now(datetime.timezone.utc).date() + datetime.timedelta(days=d)) for d in (-1, 0, 1)}
        for pattern in (TIME, PYTHON_TIME):
            text = pattern.sub(lambda m: "<now>" if m[1] in today else m[0], text)
        return text

    def comparable(self, request: Request, status: int, headers: dict[str, str], raw: bytes) -> Answer:
        """The answer with everything replaced that may differ."""
        kept = {k: self.mask(headers[k]) for k in HEADERS if k in headers}
        kept.update({k: "present" for k in PRESENT if k in headers})
        if "allow" in kept:
            kept["allow"] = ", ".join(sorted(kept["allow"].replace(" ", "").split(",")))
        text = self.mask(raw.decode(errors="replace"))
        body: Any = " ".join(text.split())
        if headers.get("content-type", "").startswith("application/json") and raw:
            try:
                body = ordered(json.loads(text, parse_constant=lambda word: f"<{word}>"), request.unordered)
            except ValueError:
                pass
        if isinstance(body, dict) and "message" in body:
            body["message"] = " ".join(str(body["message"]).split())
        return Answer(status, kept, body)


def ordered(value: Any, unordered: bool) -> Any:
    """The JSON value with lists of no defined order sorted."""
    if isinstance(value, dict):
        return {k: sorted_list(v) if k in UNORDERED_KEYS and isinstance(v, list) else ordered(v, unordered)
                for k, v in value.items()}
    if isinstance(value, list):
        return sorted_list(value) if unordered else [ordered(item, False) for item in value]
    return value


def sorted_list(value: list[Any]) -> list[Any]:
    """Sorted by its items' JSON text."""
    return sorted((ordered(item, False) for item in value), key=lambda item: json.dumps(item, sort_keys=True))


def same(left: Any, right: Any) -> bool:
    """Equality of JSON values; numbers may differ by 1e-9, relative."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return type(left) is type(right) and abs(left - right) <= 1e-9 * max(1.0, abs(left), abs(right))
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[k], right[k]) for k in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(same(a, b) for a, b in zip(left, right))
    return left == right


def difference(left: Any, right: Any, place: str = "body") -> str:
    """Where two JSON values begin to differ, and how."""
    if isinstance(left, dict) and isinstance(right, dict) and left.keys() == right.keys():
        children: list[tuple[str, Any, Any]] = [(f".{key}", left[key], right[key]) for key in left]
    elif isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        children = [(f"[{i}]", a, b) for i, (a, b) in enumerate(zip(left, right))]
    else:
        if isinstance(left, list) and isinstance(right, list):
            only = [[item for item in one if not any(same(item, other) for other in two)] for one, two in ((left, right), (right, left))]
            return f"{place}: lengths {len(left)} / {len(right)}, only {json.dumps(only, ensure_ascii=False)[:600]}"
        return f"{place}: {json.dumps(left, ensure_ascii=False)[:300]} / {json.dumps(right, ensure_ascii=False)[:300]}"
    return next((difference(a, b, place + name) for name, a, b in children if not same(a, b)), "")


class Pair:
    """Ours and upstream's, side by side."""

    def __init__(self, ours: int, peer: int) -> None:
        self.ours, self.peer = Side(ours), Side(peer)

    def ask(self, request: Request) -> tuple[Answer, Answer]:
        """Both answers, ours first. What upstream has not processed yet is waited for before measures are read."""
        answers = []
        for side in (self.ours, self.peer):
            status, headers, raw = side.send(request)
            if request.save and status < 300:
                side.names["$" + request.save] = json.loads(raw)["id"]
            answers.append(side.comparable(request, status, headers, raw))
        return answers[0], answers[1]

    def keep(self, name: str, path: str, *keys: Any) -> None:
        """Keeps under this name what both servers give at `keys` of the answer to a GET."""
        for side in (self.ours, self.peer):
            found = json.loads(side.send(Request("GET", path))[2])
            for key in keys:
                found = found[key]
            side.names["$" + name] = found

    def settle(self) -> None:
        """Waits until upstream has processed what it accepted."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            status = json.loads(self.peer.send(Request("GET", "/v1/status"))[2])
            if not status["storage"]["summary"]["measures"]:
                return
            time.sleep(0.05)
        raise RuntimeError("upstream does not process what it accepted")
