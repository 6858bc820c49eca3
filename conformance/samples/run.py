"""Samples from our publishers to real receivers, and beside Ceilometer 27's own publisher.

    run.py [--seed N] [--part beside|bus|crash|packed|otlp ...]

beside   the same samples through Ceilometer's Gnocchi publisher and through ours, each to a server of its own: the same
         types, policies, resources, metrics and measures
bus      `notifier://` and a polling agent's notifications over RabbitMQ, killed and started again under load, to a real
         ceilometer-agent-notification, whose own publisher writes them to our server: every sample arrives, once
crash    `gnocchi://` over HTTP while the server is killed and started again, and so is the publisher: every acknowledged
         sample arrives, once
packed   `udp://` and `tcp://` read by Python's msgpack, signatures verified by Ceilometer's own function
otlp     `otlp+http://` read by OpenTelemetry's own messages

Ends with 'N passed, N failed'.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness import outcome  # noqa: E402
from samples import beside, bus, crash, otlp, packed  # noqa: E402

PARTS = {"beside": beside.run, "bus": bus.run, "crash": crash.run, "packed": packed.run, "otlp": otlp.run}


def main() -> int:
    """Runs the parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=27)
    parser.add_argument("--part", action="append", choices=sorted(PARTS))
    args = parser.parse_args()
    tally = outcome.Outcome()
    for part in args.part or PARTS:
        PARTS[part](tally, args.seed)
        print(f"{part}: so far {tally.passed} passed, {tally.failed} failed", flush=True)
    return tally.finish()


if __name__ == "__main__":
    sys.exit(main())
