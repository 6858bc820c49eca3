"""A receiver of webhooks that remembers everything, and that refuses or hangs when it is told to.

It listens on one port at several addresses of the loopback network, which are several targets to a notifier.
"""

import dataclasses
import http.server
import json
import sys
import threading
import time
from typing import Any

HOSTS = [f"127.0.0.{n}" for n in range(1, 9)]
TAKE, REFUSE, HANG = "take", "refuse", "hang"
# Longer than the notifier waits in this proof.
HANG_SECONDS = 3.0


@dataclasses.dataclass(frozen=True)
class Arrival:
    """One request, in whatever way it was answered."""

    at: float
    path: str
    key: str
    request_id: str
    body: bytes
    taken: bool

    def message(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


class Listener(http.server.ThreadingHTTPServer):
    """One address; a client that goes away in the middle is nothing to speak of."""

    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Anything but a lost connection is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Receiver:
    """All listeners and what came in, in its order."""

    def __init__(self) -> None:
        self.arrivals: list[Arrival] = []
        self.mode = TAKE
        self.lock = threading.Lock()
        handler = self._handler()
        first = Listener((HOSTS[0], 0), handler)
        self.port = first.server_port
        self.listeners = [first] + [Listener((host, self.port), handler) for host in HOSTS[1:]]
        for listener in self.listeners:
            threading.Thread(target=listener.serve_forever, daemon=True).start()

    def url(self, name: str, number: int) -> str:
        """Where the alarm `name` is to be told; alarms are spread over the addresses by their number."""
        return f"http://{HOSTS[number % len(HOSTS)]}:{self.port}/{name}"

    def by_path(self) -> dict[str, list[Arrival]]:
        """What came in, by alarm."""
        with self.lock:
            arrivals = list(self.arrivals)
        found: dict[str, list[Arrival]] = {}
        for arrival in arrivals:
            found.setdefault(arrival.path, []).append(arrival)
        return found

    def close(self) -> None:
        """Stops listening."""
        for listener in self.listeners:
            listener.shutdown()
            listener.server_close()

    def _take(self, path: str, headers: Any, body: bytes) -> str:
        at = time.monotonic()
        with self.lock:
            mode = self.mode
            key, request_id = headers.get("Idempotency-Key", ""), headers.get("X-Openstack-Request-Id", "")
            self.arrivals.append(Arrival(at, path.lstrip("/"), key, request_id, body, mode == TAKE))
        return mode

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Remembers first, answers then."""

            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                """One message."""
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                mode = receiver._take(self.path, self.headers, body)
                if mode == HANG:
                    time.sleep(HANG_SECONDS)
                    self.close_connection = True
                    return
                self.send_response(204 if mode == TAKE else 503)
                if mode != TAKE:
                    self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        return Handler
