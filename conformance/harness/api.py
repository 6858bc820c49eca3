"""A small HTTP client with one kept connection: requests in, status and decoded body out."""

import base64
import http.client
import json
import urllib.parse
from typing import Any


class Api:
    """Speaks to a server on the loopback interface as one basic-auth user, or as what the `extra` headers say."""

    def __init__(self, port: int, user: str = "admin", prefix: str = "", seconds: float = 60,
                 extra: dict[str, str] | None = None) -> None:
        self.port = port
        self.prefix = prefix
        self.seconds = seconds
        self.extra = extra or {}
        self.authorization = "basic " + base64.b64encode(f"{user}:".encode()).decode()
        self.connection: http.client.HTTPConnection | None = None
        self.headers: dict[str, str] = {}

    def close(self) -> None:
        """Drops the connection."""
        if self.connection:
            self.connection.close()
        self.connection = None

    def send(self, method: str, path: str, body: bytes | None, content_type: str = "application/json") -> tuple[int, bytes]:
        """One request on the kept connection; returns status and raw body, and keeps the headers of the answer."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=self.seconds)
        headers = {"Authorization": self.authorization, "Accept": "application/json", **self.extra}
        if body is not None:
            headers["Content-Type"] = content_type
        try:
            self.connection.request(method, self.prefix + path, body, headers)
            answer = self.connection.getresponse()
            data = answer.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        self.headers = {name.lower(): value for name, value in answer.getheaders()}
        if answer.will_close:
            self.close()
        return answer.status, data

    def call(self, method: str, path: str, params: Any = None, body: Any = None) -> tuple[int, Any]:
        """A request with query parameters and a JSON body; a body that is no JSON comes back as text. A connection that
        the server closed while it was idle is opened again once, for requests that may be repeated."""
        target = path + ("?" + urllib.parse.urlencode(params, doseq=True) if params else "")
        data = None if body is None else json.dumps(body).encode()
        try:
            status, raw = self.send(method, target, data)
        except (ConnectionError, http.client.HTTPException):
            if method != "GET":
                raise
            status, raw = self.send(method, target, data)
        if not raw:
            return status, None
        try:
            return status, json.loads(raw)
        except ValueError:
            return status, raw.decode(errors="replace")

    def want(self, wanted: int, method: str, path: str, params: Any = None, body: Any = None) -> Any:
        """Like `call`, but any other status is an error of the harness's set-up."""
        status, answer = self.call(method, path, params, body)
        if status != wanted:
            raise RuntimeError(f"{method} {path}: {status} instead of {wanted}: {str(answer)[:500]}")
        return answer
