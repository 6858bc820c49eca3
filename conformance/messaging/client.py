"""Upstream's own client of the message bus, for tests of ours: oslo.messaging, and Ceilometer's publisher on top of it.

    client.py notify URL EXCHANGE TOPIC COUNT     sends COUNT notifications of priority sample with the payload {"n": number}
    client.py publish URL TOPIC COUNT             has Ceilometer's publisher send COUNT events to the topic
    client.py hear URL EXCHANGE TOPIC PRIORITY COUNT   receives COUNT notifications, each as a line of JSON

The first two print the number of each notification that the server has confirmed. Options of oslo.messaging may follow the
URL as a query.
"""

import datetime
import json
import logging
import sys
import tempfile
import threading
import time
from urllib import parse

import oslo_messaging
from oslo_config import cfg


def configuration(url):
    conf = cfg.ConfigOpts()
    conf([], project="test", default_config_files=[])
    return conf, oslo_messaging.get_notification_transport(conf, url=url)


class Failures(logging.Handler):
    """Notices what a notifier gives up: it tells nobody but its log, even with endless retries where the very first
    connection fails."""

    seen = False

    def emit(self, record):
        self.seen = True


def notify(url, exchange, topic, count):
    oslo_messaging.set_transport_defaults(exchange)
    _, transport = configuration(url)
    failures = Failures()
    logging.getLogger("oslo_messaging.notify.messaging").addHandler(failures)
    notifier = oslo_messaging.Notifier(
        transport, driver="messagingv2", publisher_id="tester", topics=[topic], retry=-1
    )
    for number in range(int(count)):
        while True:
            failures.seen = False
            notifier.sample({"project_id": "p"}, "test.happened", {"n": number})
            if not failures.seen:
                break
            time.sleep(0.2)
        print(number, flush=True)


def publish(url, topic, count):
    from ceilometer import messaging, service
    from ceilometer.event import models
    from ceilometer.publisher import messaging as publishers

    with tempfile.NamedTemporaryFile("w", suffix=".conf") as file:
        file.write(f"[DEFAULT]\ntransport_url = {url}\n")
        file.flush()
        conf = service.prepare_service([], [file.name])
    messaging.setup()
    publisher = publishers.EventNotifierPublisher(conf, parse.urlparse(f"notifier://?topic={topic}"))
    for number in range(int(count)):
        traits = [models.Trait("project_id", models.Trait.TEXT_TYPE, "p"),
                  models.Trait("number", models.Trait.INT_TYPE, number)]
        at = datetime.datetime(2026, 1, 2, 3, 4, 5, 678901)
        publisher.publish_events([models.Event(f"m{number}", "compute.instance.update", at, traits, {})])
        print(number, flush=True)


class Endpoint:
    """Prints what it is told."""

    def __init__(self, count):
        self.left = count
        self.done = threading.Event()

    def hear(self, ctxt, publisher_id, event_type, payload, metadata):
        line = {"publisher_id": publisher_id, "event_type": event_type, "payload": payload, "metadata": metadata}
        print(json.dumps(line), flush=True)
        self.left -= 1
        if self.left <= 0:
            self.done.set()

    sample = info = hear


def hear(url, exchange, topic, priority, count):
    oslo_messaging.set_transport_defaults(exchange)
    _, transport = configuration(url)
    endpoint = Endpoint(int(count))
    # Endpoints are asked for methods called like priorities; only the queues of those are listened to.
    setattr(type(endpoint), "info" if priority == "sample" else "sample", None)
    listener = oslo_messaging.get_notification_listener(
        transport, [oslo_messaging.Target(topic=topic)], [endpoint], executor="threading"
    )
    # Several threads would mix their lines, and the order of what they hear.
    transport.conf.set_override("executor_thread_pool_size", 1)
    listener.start()
    endpoint.done.wait(120)
    listener.stop()
    listener.wait()


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    {"notify": notify, "publish": publish, "hear": hear}[sys.argv[1]](*sys.argv[2:])
