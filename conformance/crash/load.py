"""The load of the crash proof. Every measure follows from (writer, metric, second), so that a ledger of request numbers
is enough to know what must be stored.

Request k of a writer carries, for each of its metrics, one measure a second of the stretch [10k, 10k + 10) of the data's
own time. Each stretch is written by one request only; a request whose fate is unknown may be sent again, with the same
content.
"""

import http.client
import itertools
import json
import multiprocessing
import random
import time
from typing import Any

from harness.api import Api

BASE_SECONDS = 1_700_006_400
STRETCH_SECONDS = 10
METRICS_OF_A_WRITER = 12


def value(writer: int, metric: int, second: int) -> int:
    """The measure of this moment: a small integer, so that sums are exact."""
    return (second * 31 + metric * 17 + writer * 7) % 1009


def body(writer: int, ids: list[str], request: int) -> bytes:
    """The content of one request."""
    start = BASE_SECONDS + request * STRETCH_SECONDS
    return json.dumps({
        metric_id: [{"timestamp": second, "value": value(writer, n, second)} for second in range(start, start + STRETCH_SECONDS)]
        for n, metric_id in enumerate(ids)}).encode()


def write_until_gone(port: int, writer: int, ids: list[str], first: int, unknown: list[int], ledger: str) -> None:
    """Sends requests one after the other until the server is gone, writing `try k`, `ack k` or `status k N` lines to the
    ledger around each. A request of unknown fate is sent again first, or left as it is, half and half: later would be too
    late for a policy that keeps little. A 503 is sent again."""
    rng = random.Random(writer * 1_000_003 + first)
    waiting = [k for k in unknown if rng.random() < 0.5]
    api = Api(port, seconds=20)
    with open(ledger, "a", encoding="utf-8") as lines:
        for request in itertools.chain(waiting, itertools.count(first)):
            status = 503
            while status == 503:
                print(f"try {request}", file=lines, flush=True)
                try:
                    status, _ = api.send("POST", "/v1/batch/metrics/measures", body(writer, ids, request))
                except (OSError, http.client.HTTPException):
                    return
                print(f"ack {request}" if status == 202 else f"status {request} {status}", file=lines, flush=True)
                time.sleep(0.05 if status == 503 else 0)
            if status != 202:
                return


class Writers:
    """The writer processes of one round."""

    def __init__(self, port: int, ids: list[list[str]], ledgers: list[Any]) -> None:
        self.processes = []
        context = multiprocessing.get_context("fork")
        for writer, ledger in enumerate(ledgers):
            arguments = (port, writer, ids[writer], ledger.next, ledger.fresh, ledger.path)
            self.processes.append(context.Process(target=write_until_gone, args=arguments, daemon=True))
        for process in self.processes:
            process.start()

    def join(self, seconds: float = 60) -> bool:
        """Waits until all have stopped; tells whether they did in time."""
        end = time.monotonic() + seconds
        for process in self.processes:
            process.join(max(0.0, end - time.monotonic()))
        late = [process for process in self.processes if process.is_alive()]
        for process in late:
            process.terminate()
        return not late
