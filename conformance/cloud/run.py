"""Alarms in a cloud of real services: what they ask, whom they tell, and what that sets in motion.

    cloud/run.py [--part prometheus] [--part zaqar] [--part heat] [--part healing] [--part octavia]

Beside a real Keystone and our server runs what the parts need: Prometheus; Zaqar on Redis; Heat on PostgreSQL and RabbitMQ;
Octavia on PostgreSQL.
CLOUD_KEEP=1 keeps the services' logs after a failure. Ends with 'N passed, N failed'.
"""

import argparse
import contextlib
import functools
import pathlib
import sys
import traceback
from collections.abc import Callable

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from cloud import balancing, heat, octavia, prometheus, queues, series, stacks, zaqar  # noqa: E402
from cloud.programs import Programs, python_of  # noqa: E402
from cloud.world import World  # noqa: E402
from harness.keystone import Keystone  # noqa: E402
from harness.outcome import Outcome  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.progress import say  # noqa: E402
from harness.rabbitmq import Rabbitmq  # noqa: E402


class Cloud:
    """What the parts share. The server is started last, so that the first catalogue that it sees has every service."""

    def __init__(self, stack: contextlib.ExitStack, tally: Outcome) -> None:
        self.stack = stack
        self.tally = tally
        self.python = python_of("cloud")
        self.programs = stack.enter_context(Programs())
        self.identity = stack.enter_context(Keystone())
        self.world = World(self.identity)

    @functools.cached_property
    def postgres(self) -> Postgres:
        """The databases of all services."""
        postgres = Postgres().start()
        self.stack.callback(postgres.stop)
        return postgres

    @functools.cached_property
    def heat(self) -> int:
        """The port of Heat."""
        bus = self.stack.enter_context(Rabbitmq())
        heat.start(self.programs, self.python, self.identity, self.postgres, bus)
        return self.programs.ports["heat-api"]

    @functools.cached_property
    def octavia(self) -> octavia.Octavia:
        """Octavia and the way to its database."""
        return octavia.start(self.programs, self.python, self.identity, self.postgres)


def with_prometheus(cloud: Cloud) -> Callable[[], None]:
    """Alarms over Prometheus."""
    exposition = prometheus.start(cloud.programs, cloud.identity)
    cloud.stack.callback(exposition.close)
    return lambda: series.prove(cloud.world, cloud.programs, exposition, cloud.tally)


def with_zaqar(cloud: Cloud) -> Callable[[], None]:
    """Messages to queues."""
    zaqar.start(cloud.programs, cloud.python, cloud.identity)
    return lambda: queues.prove(cloud.world, cloud.programs.ports["zaqar"], cloud.tally)


def with_heat(cloud: Cloud) -> Callable[[], None]:
    """Stacks with alarms."""
    port = cloud.heat
    return lambda: stacks.prove(cloud.world, port, cloud.tally)


def with_healing(cloud: Cloud) -> Callable[[], None]:
    """A stack behind a load balancer."""
    port, balancers = cloud.heat, cloud.octavia
    return lambda: balancing.healing(cloud.world, port, balancers, cloud.tally)


def with_octavia(cloud: Cloud) -> Callable[[], None]:
    """Alarms over load balancers."""
    balancers = cloud.octavia
    return lambda: balancing.health(cloud.world, cloud.programs, balancers, cloud.tally)


# What starts a part's services and gives what proves it, and the program whose log tells why it failed.
PARTS: dict[str, tuple[Callable[[Cloud], Callable[[], None]], str]] = {
    "prometheus": (with_prometheus, "prometheus"),
    "zaqar": (with_zaqar, "zaqar"),
    "heat": (with_heat, "heat-engine"),
    "healing": (with_healing, "heat-engine"),
    # The last one, as it ends with Octavia's end.
    "octavia": (with_octavia, "octavia"),
}


def main() -> int:
    """Starts, proves, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--part", action="append", choices=PARTS)
    asked = parser.parse_args().part
    chosen = [name for name in PARTS if not asked or name in asked]
    tally = Outcome()
    with contextlib.ExitStack() as stack:
        cloud = Cloud(stack, tally)
        proofs = {}
        for name in chosen:
            proofs[name] = PARTS[name][0](cloud)
            say(f"{name} runs")
        stack.enter_context(cloud.world)
        say("our server runs")
        for name, prove in proofs.items():
            try:
                prove()
            except Exception as error:
                traceback.print_exc()
                cloud.programs.is_kept = True
                said = cloud.programs.tail(PARTS[name][1]) + cloud.world.server.log_tail(3000)
                tally.check(f"{name} goes through to its end", False, f"{error}\n{said}")
            say(f"{name} is through")
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
