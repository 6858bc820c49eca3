"""One cycle of Ceilometer's own polling agent over the cloud: prints its samples, a line of JSON each.

    reference.py CONFIGURATION
"""

import json
import sys
from typing import Any

# This folder has modules that are called like services.
del sys.path[0]

from ceilometer import cinder_client, service  # noqa: E402
from ceilometer.polling import manager  # noqa: E402
from openstack import connection  # noqa: E402


class Connection(connection.Connection):
    """As Ceilometer makes it for Cinder, without what its SDK makes of two of the arguments: Cinder's address would have to
    be in the configuration, and the type of service is taken for none that was asked for, so that all meters of Cinder fail."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{name: value for name, value in options.items() if name not in ("oslo_conf", "service_types")})


class Told(manager.PollingTask):
    """A cycle whose samples are printed instead of sent to the notification agent."""

    def _send_notification(self, samples: list[dict[str, Any]]) -> None:
        for sample in samples:
            print(json.dumps(sample), flush=True)


def main() -> None:
    """Runs the cycle."""
    cinder_client.connection = type("module", (), {"Connection": Connection})
    manager.PollingTask = Told
    conf = service.prepare_service(["ceilometer-polling", "--config-file", sys.argv[1]])
    agent = manager.AgentManager(0, conf, ["central"])
    # What `run` begins with, before it starts its timers.
    agent.polling_manager = manager.PollingManager(conf)
    for task in agent.setup_polling_tasks().values():
        task.poll_and_notify()


if __name__ == "__main__":
    main()
