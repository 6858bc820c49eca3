"""`otlp+http://`, read by OpenTelemetry's own messages (in an environment of its own: `requirements/opentelemetry.txt`)."""

import datetime
import http.server
import json
import os
import subprocess
import threading

from harness import outcome
from samples import load
from samples.publisher import Publisher

COUNT = 30
# OpenTelemetry's JSON form of a request in its binary form.
DECODE = """
import sys
from google.protobuf import json_format
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
request = metrics_service_pb2.ExportMetricsServiceRequest.FromString(sys.stdin.buffer.read())
print(json_format.MessageToJson(request))
"""


class Receiver(http.server.BaseHTTPRequestHandler):
    """Keeps what is posted."""

    bodies: list[tuple[str, str, bytes]] = []

    def do_POST(self) -> None:  # noqa: N802
        """As a collector answers."""
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.bodies.append((self.path, self.headers["Content-Type"], body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Says nothing."""


def run(tally: outcome.Outcome, seed: int) -> None:
    """Publishes a call and reads it."""
    del seed
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    venv = subprocess.run([f"{here}/venv", "opentelemetry"], check=True, capture_output=True, text=True).stdout.strip()
    sent = load.messages(range(COUNT))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Receiver)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    publisher = Publisher(f"otlp+http://127.0.0.1:{server.server_address[1]}")
    tally.equal("otlp: taken", publisher.send(sent), "ok")
    publisher.finish()
    server.shutdown()
    path, kind, body = Receiver.bodies.pop()
    tally.equal("otlp: where and as what", (path, kind), ("/v1/metrics", "application/x-protobuf"))
    decoded = subprocess.run([f"{venv}/bin/python", "-c", DECODE], input=body, check=True, capture_output=True).stdout
    request = json.loads(decoded)
    metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]
    tally.equal("otlp: metrics", [(metric["name"], metric["unit"]) for metric in metrics], [("memory.usage", "MB")])
    points = metrics[0]["gauge"]["dataPoints"]
    got = [(int(point["timeUnixNano"]), int(point["asInt"]), point["attributes"][0]) for point in points]
    base = int(load.EPOCH.replace(tzinfo=datetime.timezone.utc).timestamp())
    wanted = [((base + number) * 1_000_000_000, number,
               {"key": "resource_id", "value": {"stringValue": message["resource_id"]}}) for number, message in enumerate(sent)]
    tally.equal("otlp: data points", got, wanted)
