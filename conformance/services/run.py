"""The central agent over a cloud of OpenStack's own services: Keystone, Glance, Cinder, Neutron, Octavia, Swift.

    python3 conformance/services/run.py --program target/release/nephometer

Members of two projects make images, volumes, snapshots, backups, networks, VPNs, firewalls and objects through the APIs;
`nephometer serve` polls them every five seconds, and the store is asked what has arrived: each meter with its resource, type,
unit, value and owner. Then things change, and a service hangs and goes away. Ceilometer's own agent polls the same cloud,
and its samples are compared with ours, field by field. Lists are given in pages of two.

Needs root or a user who may start RabbitMQ and PostgreSQL; takes four to seven minutes, the first time a few more.
CLOUD_KEEP=1 keeps the services' logs after a failure. Ends with 'N passed, N failed'.
"""

import argparse
import contextlib
import os
import pathlib
import sys
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from cloud.programs import Programs, python_of  # noqa: E402
from harness.keystone import Keystone  # noqa: E402
from harness.outcome import Outcome  # noqa: E402
from harness.postgres import Postgres  # noqa: E402
from harness.progress import say  # noqa: E402
from harness.rabbitmq import Rabbitmq  # noqa: E402
from services import compare, glance, meters, neutron, octavia, proof, swift  # noqa: E402
from services.agent import Agent, Store  # noqa: E402
from services.cinder import Cinder  # noqa: E402
from services.settings import POLLER  # noqa: E402
from services.things import Things  # noqa: E402


class Cloud:
    """The services, all of them started and in the catalogue, and who polls them."""

    def __init__(self, stack: contextlib.ExitStack) -> None:
        python = python_of("openstack")
        self.programs = stack.enter_context(Programs())
        self.identity = stack.enter_context(Keystone())
        postgres = Postgres().start()
        stack.callback(postgres.stop)
        bus = stack.enter_context(Rabbitmq())
        say("Keystone, PostgreSQL and RabbitMQ run")
        self.cinder = Cinder(self.programs, python)
        self.cinder.start(self.identity, postgres, bus)
        say("Cinder runs")
        neutron.start(self.programs, python, self.identity, postgres, bus)
        say("Neutron runs")
        octavia.start(self.programs, python_of("cloud"), self.identity, postgres, bus)
        say("Octavia runs")
        glance.start(self.programs, python, self.identity, postgres)
        say("Glance runs")
        swift.start(self.programs, python, self.identity)
        say("Swift runs")
        self.identity.add_service_user(POLLER)
        self.identity.grant(POLLER, swift.RESELLER, "service")


def prove(cloud: Cloud, program: str, tally: Outcome) -> None:
    """All of the proof."""
    with Agent(program, cloud.identity) as agent:
        # Machines over SNMP are no part of the cloud.
        listed = {name: about for name, about in agent.meters().items() if not name.startswith("hardware.")}
        tally.equal("meters, types and units", listed, meters.CENTRAL)
        things = Things(cloud.identity, cloud.programs.ports)
        things.make()
        say("images, volumes, networks and objects are made")
        proof.dry(tally, agent, things)
        say("a cycle without a store is read")
        compare.compare(tally, compare.theirs(cloud.programs, cloud.identity), compare.ours(agent.cycle()))
        say("Ceilometer's own samples are compared")
        agent.prepare()
        with agent.server(polls=True) as server:
            store = Store(server)
            try:
                proof.arrives(tally, store, things)
                say("all of it is in the store")
                proof.changes(tally, store, things)
                say("what changes is seen")
                proof.outages(tally, store, cloud.cinder)
                say("a service hung, was away, and is back")
            finally:
                (cloud.programs.root / "nephometer.log").write_text(server.log_tail(1 << 20), encoding="utf-8")


def main() -> int:
    """Starts, proves, counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    program = os.path.abspath(parser.parse_args().program)
    tally = Outcome()
    with contextlib.ExitStack() as stack:
        cloud = Cloud(stack)
        try:
            prove(cloud, program, tally)
        except Exception as error:
            traceback.print_exc()
            tally.check("the proof goes through to its end", False, f"{error}\n{cloud.programs.tail('nephometer')}")
        cloud.programs.is_kept = tally.failed > 0
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
