"""Alarms that tell queues of a real Zaqar: as the service, with a trust, and by a URL that somebody has signed."""

import http.server
import json
import threading
import urllib.parse
from typing import Any

from alarms.receiver import Listener
from cloud.world import Caller, World, until
from harness.outcome import Outcome

USER, PROJECT = "a-member", "a"
CLIENT = "9ad3c9a4-3a2a-4a3f-8c0e-5d1f4b0a2c11"


class Subscriber:
    """Whom Zaqar tells of messages."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        subscriber = self

        class Handler(http.server.BaseHTTPRequestHandler):
            """Keeps what comes."""

            def do_POST(self) -> None:
                """A message."""
                subscriber.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is logged."""

        self.server = Listener(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def url(self) -> str:
        """Where it is told."""
        return f"http://127.0.0.1:{self.server.server_port}/told"


def messages(queues: Caller, queue: str) -> list[Any]:
    """The messages in a queue, as nobody has taken them."""
    found = queues.get(f"/v2/queues/{queue}/messages", {"echo": "true"}) or {}
    return [message["body"] for message in found.get("messages", [])]


def signed(queues: Caller, queue: str, project: str) -> str:
    """An action that posts to a queue with its owner's signature."""
    share = queues.post(f"/v2/queues/{queue}/share", {"paths": ["messages", "subscriptions"], "methods": ["GET", "POST"]})
    query = {"queue_name": queue, "project_id": project, "paths": ",".join(share["paths"]), "methods": ",".join(share["methods"]),
             "expires": share["expires"], "signature": share["signature"]}
    return "zaqar://?" + urllib.parse.urlencode(query)


def prove(world: World, port: int, tally: Outcome) -> None:
    """All of it."""
    alarms, metrics = world.alarms(USER, PROJECT), world.metrics(USER, PROJECT)
    callers = {name: world.caller(port, user, project) for name, user, project in
               (("member", USER, PROJECT), ("service", "nephometer", "service"))}
    for caller in callers.values():
        caller.api.extra["Client-ID"] = CLIENT
    metric = metrics.post("/v1/metric", {"archive_policy_name": "fine"})["id"]
    subscriber = Subscriber()
    actions = [
        "zaqar://?" + urllib.parse.urlencode({"topic": "hot", "subscriber": subscriber.url(), "ttl": 3600}),
        "trust+zaqar://?queue_name=by-trust",
        signed(callers["member"], "by-signature", world.identity.find("project", PROJECT)),
    ]
    rule = {"metrics": [metric], "aggregation_method": "mean", "granularity": 60, "threshold": 10, "comparison_operator": "gt",
            "evaluation_periods": 1}
    made = alarms.post("/v2/alarms", {"name": "told", "type": "gnocchi_aggregation_by_metrics_threshold", "alarm_actions": actions,
                                      "gnocchi_aggregation_by_metrics_threshold_rule": rule})
    world.measure(metrics, f"/v1/metric/{metric}/measures", 95)
    queues = {"topic": (callers["service"], f"{made['alarm_id']}-hot"), "trust": (callers["member"], "by-trust"),
              "signature": (callers["member"], "by-signature")}
    for name, (caller, queue) in queues.items():
        def has_message(caller: Caller = caller, queue: str = queue) -> list[Any]:
            return messages(caller, queue)
        try:
            found = until(f"a message by {name}", has_message)
        except TimeoutError as error:
            tally.check(f"a message by {name}", False, f"{error}; {world.dead_letters()}")
            continue
        body = found[0]
        tally.equal(f"one message by {name}", len(found), 1)
        tally.equal(f"what it says by {name}", (body["alarm_name"], body["alarm_id"], body["current"], body["reason_data"]["type"]),
                    ("told", made["alarm_id"], "alarm", "threshold"))
    until("the topic's subscriber is told by Zaqar", lambda: subscriber.bodies)
    told = subscriber.bodies[0]
    tally.equal("and told of the alarm", told.get("body", told).get("alarm_id"), made["alarm_id"])
    alarms.delete(f"/v2/alarms/{made['alarm_id']}")
