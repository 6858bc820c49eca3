"""Upstream's own receiver of `notifier://`: oslo.messaging's listener, and Ceilometer's check of signatures."""

import datetime
import threading
import time
from typing import Any

import oslo_messaging
from ceilometer.publisher import utils
from oslo_config import cfg

from samples import load

SECRET = "change this for valid signing"


class Listener:
    """Listens to one topic, and remembers which samples it was told of and how often."""

    def __init__(self, url: str, exchange: str, topic: str) -> None:
        self.seen: dict[int, int] = {}
        self.unsigned = 0
        self.event_types: set[str] = set()
        self.lock = threading.Lock()
        conf = cfg.ConfigOpts()
        conf([], project="test", default_config_files=[])
        transport = oslo_messaging.get_notification_transport(conf, url=url)
        conf.set_override("amqp_durable_queues", True, group="oslo_messaging_rabbit")
        target = oslo_messaging.Target(exchange=exchange, topic=topic)
        self.server = oslo_messaging.get_notification_listener(transport, [target], [self], executor="threading")
        self.server.start()

    def sample(self, _context: Any, publisher_id: str, event_type: str, payload: Any, _metadata: Any) -> None:
        """What oslo.messaging calls for messages of priority sample."""
        with self.lock:
            self.event_types.add(event_type)
            for message in payload:
                if not utils.verify_signature(message, SECRET) or publisher_id != "telemetry.publisher.this-host":
                    self.unsigned += 1
                if event_type != "metering":
                    continue
                when = datetime.datetime.fromisoformat(message["timestamp"])
                number = round((when - load.EPOCH).total_seconds())
                self.seen[number] = self.seen.get(number, 0) + 1

    def samples(self, wanted: set[int], seconds: float) -> dict[int, int]:
        """Waits until all that is wanted was heard."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            with self.lock:
                if wanted <= self.seen.keys():
                    break
            time.sleep(0.2)
        return self.seen

    def stop(self) -> None:
        """Ends it."""
        self.server.stop()
