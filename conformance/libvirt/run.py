"""Guests of a real libvirtd, metered: what they do moves their meters, which agree with virsh; guests and daemon come and go.

    python3 conformance/libvirt/run.py --reader target/release/examples/poll_guests

Needs root (namespaces, a tap) and Debian's libvirt and QEMU; `./test libvirt` installs and builds what it needs."""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import threading
import time
from typing import Any

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

from harness.outcome import Outcome
from libvirt import agent, alarm
from libvirt.world import PROJECT, USER, Guest, Hypervisor

# Meters that virsh counts too, and what it calls them.
COUNTERS = {
    "network.incoming.bytes": "net.0.rx.bytes",
    "network.incoming.packets": "net.0.rx.pkts",
    "network.incoming.packets.drop": "net.0.rx.drop",
    "network.incoming.packets.error": "net.0.rx.errs",
    "network.outgoing.bytes": "net.0.tx.bytes",
    "network.outgoing.packets": "net.0.tx.pkts",
    "network.outgoing.packets.drop": "net.0.tx.drop",
    "network.outgoing.packets.error": "net.0.tx.errs",
    "disk.device.read.bytes": "block.0.rd.bytes",
    "disk.device.read.requests": "block.0.rd.reqs",
    "disk.device.read.latency": "block.0.rd.times",
    "disk.device.write.bytes": "block.0.wr.bytes",
    "disk.device.write.requests": "block.0.wr.reqs",
    "disk.device.write.latency": "block.0.wr.times",
}
MOVED_BY_ORDERS = [name for name in COUNTERS if not name.endswith((".drop", ".error"))]
RATES = {
    "network.incoming.bytes.rate": "net.0.rx.bytes",
    "network.incoming.packets.rate": "net.0.rx.pkts",
    "network.outgoing.bytes.rate": "net.0.tx.bytes",
    "network.outgoing.packets.rate": "net.0.tx.pkts",
    "disk.device.read.bytes.rate": "block.0.rd.bytes",
    "disk.device.read.requests.rate": "block.0.rd.reqs",
    "disk.device.write.bytes.rate": "block.0.wr.bytes",
    "disk.device.write.requests.rate": "block.0.wr.reqs",
}
BURN_SECONDS = 20


class Cycle:
    """What one cycle read."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.failures: dict[str, str] = answer["failures"]
        self.samples: list[dict[str, Any]] = answer["samples"]

    def of(self, guest: Guest) -> dict[str, dict[str, Any]]:
        """Samples of one guest, by meter; each of them has one disk and one interface."""
        mine = [sample for sample in self.samples if sample["resource_metadata"]["instance_id"] == guest.uuid]
        return {sample["name"]: sample for sample in mine}


class Reader:
    """Our reader of guests, a process that makes a cycle when it is told to."""

    def __init__(self, program: str, uri: str) -> None:
        self.process = subprocess.Popen([program, uri], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def poll(self) -> Cycle:
        """Makes a cycle."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write("poll\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError("the reader has ended")
        return Cycle(json.loads(line))

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait(20)


def vcpu_time(stats: dict[str, str]) -> int:
    """CPU time of all vCPUs, as `cpu` has it."""
    number = range(int(stats["vcpu.maximum"]))
    return sum(int(stats[f"vcpu.{vcpu}.time"]) + int(stats[f"vcpu.{vcpu}.wait"]) for vcpu in number)


def bracketed(world: Hypervisor, reader: Reader, guest: Guest) -> tuple[dict[str, str], Cycle, dict[str, str], float]:
    """A cycle between two looks of virsh; and when."""
    before = world.stats(guest.name)
    cycle = reader.poll()
    after = world.stats(guest.name)
    return before, cycle, after, time.monotonic()


def resource_of(guest: Guest, meter: str) -> str:
    """What a meter is a meter of."""
    if meter.startswith("disk.device."):
        return f"{guest.uuid}-vda"
    return f"{guest.name}-{guest.uuid}-{guest.tap}" if meter.startswith("network.") else guest.uuid


def running(outcome: Outcome, world: Hypervisor, reader: Reader, guest: Guest) -> None:
    """A guest that works: every meter, owners and ids, agreement with virsh, movement, rates."""
    before, first, after, first_at = bracketed(world, reader, guest)
    outcome.equal("nothing fails", first.failures, {})
    samples = first.of(guest)
    agree(outcome, samples, before, after)
    for name, sample in samples.items():
        owner = (sample["project_id"], sample["user_id"], sample["source"])
        outcome.equal(f"{name}: owner", owner, (PROJECT, USER, "openstack"))
        outcome.equal(f"{name}: resource", sample["resource_id"], resource_of(guest, name))
    sizes(outcome, world, guest, samples)
    for order in ("ping 20", "read 64", "write 32"):
        guest.order(order)
    before, second, after, second_at = bracketed(world, reader, guest)
    moved = second.of(guest)
    agree(outcome, moved, before, after)
    for name in [*MOVED_BY_ORDERS, "cpu"]:
        outcome.check(f"{name} has moved", moved[name]["volume"] > samples[name]["volume"],
                      f"{samples[name]['volume']} → {moved[name]['volume']}")
    for name, counter in RATES.items():
        cumulative = {parameter: meter for meter, parameter in COUNTERS.items()}[counter]
        grown = moved[cumulative]["volume"] - samples[cumulative]["volume"]
        expected = grown / (moved["cpu"]["monotonic_time"] - samples["cpu"]["monotonic_time"])
        near = abs(moved[name]["volume"] - expected) <= 1e-6 * expected
        outcome.check(f"{name} is what its counter grew by", near and grown > 0, f"{moved[name]['volume']}, {expected}")
    passed = moved["cpu"]["monotonic_time"] - samples["cpu"]["monotonic_time"]
    outcome.check("the clock of readings is this machine's", abs(passed - (second_at - first_at)) < 2, f"{passed} s")
    delta = moved["network.incoming.bytes.delta"]["volume"]
    outcome.equal("the difference is what the counter grew by", delta,
                  moved["network.incoming.bytes"]["volume"] - samples["network.incoming.bytes"]["volume"])


def agree(outcome: Outcome, samples: dict[str, dict[str, Any]], before: dict[str, str], after: dict[str, str]) -> None:
    """Samples against what virsh said before and after."""
    for name, counter in COUNTERS.items():
        value = samples[name]["volume"] if name in samples else None
        good = value is not None and int(before[counter]) <= value <= int(after[counter])
        outcome.check(f"{name} agrees with virsh", good, f"{before[counter]} ≤ {value} ≤ {after[counter]}")
    value = samples["cpu"]["volume"] if "cpu" in samples else None
    good = value is not None and vcpu_time(before) <= value <= vcpu_time(after)
    outcome.check("cpu agrees with virsh", good, f"{vcpu_time(before)} ≤ {value} ≤ {vcpu_time(after)}")
    outcome.equal("power.state agrees with virsh", samples["power.state"]["volume"], int(after["state.state"]))
    outcome.equal("vcpus agree with virsh", samples["vcpus"]["volume"], int(after["vcpu.current"]))
    memory = {
        "memory": lambda stats: int(stats["balloon.current"]),
        "memory.available": lambda stats: int(stats["balloon.available"]),
        "memory.usage": lambda stats: int(stats["balloon.available"]) - int(stats["balloon.usable"]),
        "memory.resident": lambda stats: int(stats["balloon.rss"]),
    }
    for name, kib in memory.items():
        ends = sorted((kib(before), kib(after)))
        # What the guest tells of itself changes once a second; a few pages go to and fro.
        good = ends[0] - 256 <= samples[name]["volume"] * 1024 <= ends[1] + 256
        outcome.check(f"{name} agrees with virsh", good, f"{ends} KiB, {samples[name]['volume']} MiB")


def sizes(outcome: Outcome, world: Hypervisor, guest: Guest, samples: dict[str, dict[str, Any]]) -> None:
    """Sizes of the disk against virsh domblkinfo."""
    lines = world.virsh("domblkinfo", guest.name, "vda").stdout.splitlines()
    info = {name.strip(): int(value) for name, value in (line.split(":") for line in lines if ":" in line)}
    for meter, field in {"capacity": "Capacity", "allocation": "Allocation", "usage": "Physical"}.items():
        outcome.equal(f"disk.device.{meter} agrees with virsh", samples[f"disk.device.{meter}"]["volume"], info[field])


def burning(outcome: Outcome, reader: Reader, guest: Guest) -> None:
    """One of two vCPUs burns: half of what the guest has."""
    guest.favour()
    guest.order("burn 1")
    time.sleep(1)
    reader.poll()
    time.sleep(BURN_SECONDS)
    utilisation = reader.poll().of(guest)["cpu_util"]["volume"]
    outcome.check("cpu_util of one burning vCPU of two is 50 % ± 3", 47 <= utilisation <= 53, f"{utilisation:.2f} %")
    print(f"  cpu_util of one burning vCPU of two: {utilisation:.2f} %")
    guest.order("idle")
    time.sleep(1)
    reader.poll()
    time.sleep(5)
    utilisation = reader.poll().of(guest)["cpu_util"]["volume"]
    outcome.check("cpu_util of an idle guest is small", utilisation < 10, f"{utilisation:.2f} %")


def states(outcome: Outcome, world: Hypervisor, reader: Reader, guest: Guest) -> None:
    """Paused, on again, shut off, on again."""
    world.virsh("suspend", guest.name)
    first, second = reader.poll().of(guest), reader.poll().of(guest)
    outcome.equal("a paused guest's power.state", second["power.state"]["volume"], 3)
    outcome.equal("a paused guest's status", second["power.state"]["resource_metadata"]["status"], "paused")
    outcome.equal("a paused guest's cpu stands still", second["cpu"]["volume"], first["cpu"]["volume"])
    outcome.equal("a paused guest's cpu_util", second["cpu_util"]["volume"], 0)
    world.virsh("resume", guest.name)
    guest.close()
    world.virsh("destroy", guest.name)
    off = reader.poll()
    outcome.equal("nothing fails for a guest that is shut off", off.failures, {})
    outcome.equal("a guest that is shut off", sorted(off.of(guest)), ["disk.ephemeral.size", "disk.root.size"])
    guest.buffer = b""
    world.virsh("start", guest.name)
    guest.connect()
    again = reader.poll().of(guest)
    outcome.check("a run's first reading has no rates", "cpu" in again and "cpu_util" not in again, str(sorted(again)))
    outcome.check("the next has", "cpu_util" in reader.poll().of(guest), "")


def deleted(outcome: Outcome, world: Hypervisor, reader: Reader, stays: Guest, goes: Guest) -> None:
    """A guest is deleted while it is polled, again and again."""
    goes.close()

    def come_and_go() -> None:
        for _ in range(6):
            world.virsh("destroy", goes.name, check=False)
            world.virsh("undefine", goes.name, check=False)
            world.virsh("create", f"{world.root}/{goes.name}.xml", check=False)
        world.virsh("destroy", goes.name, check=False)

    other = threading.Thread(target=come_and_go)
    other.start()
    polls, whole = 0, 0
    while other.is_alive():
        cycle = reader.poll()
        polls += 1
        whole += not cycle.failures and "disk.device.usage" in cycle.of(stays)
    other.join()
    outcome.check("polls while a guest comes and goes are whole for the other", polls == whole > 2, f"{whole} of {polls}")
    outcome.equal("a deleted guest has no samples", reader.poll().of(goes), {})


def restarted(outcome: Outcome, world: Hypervisor, reader: Reader, guest: Guest) -> None:
    """The daemon is killed and started again in a poll; it hangs; the guest goes on all the time."""
    reader.poll()
    world.kill()
    world.start(wait=False)
    began = time.monotonic()
    cycle = reader.poll()
    took = time.monotonic() - began
    outcome.check("a daemon that is restarted in a poll is waited for", "cpu" in cycle.of(guest) and not cycle.failures,
                  f"{took:.1f} s, {cycle.failures}")
    outcome.check("rates go on over a restart of the daemon", "cpu_util" in cycle.of(guest), str(sorted(cycle.of(guest))))
    world.stop()
    cycle = reader.poll()
    outcome.check("no daemon is said as it is", "cannot connect to libvirt" in str(cycle.failures), str(cycle.failures))
    world.start()
    outcome.check("a daemon that is back is read", "cpu" in reader.poll().of(guest), "")
    world.pause_daemon(True)
    began = time.monotonic()
    cycle = reader.poll()
    took = time.monotonic() - began
    world.pause_daemon(False)
    outcome.check("a daemon that hangs costs one time limit", took < 8 and "has not answered" in str(cycle.failures),
                  f"{took:.1f} s, {cycle.failures}")
    outcome.check("and is read when it goes on", "cpu" in reader.poll().of(guest), "")


def scale(outcome: Outcome, program: str) -> None:
    """A thousand guests of a daemon that answers from recordings: CPU time and memory of a cycle of all meters."""
    printed = subprocess.run([program, "--measure", "1000"], check=True, capture_output=True, text=True).stdout
    lines = [re.fullmatch(r"cycle \d+: (\d+) samples, (\d+) ms of CPU, ([\d.]+) MiB resident, (\d+) failures", line)
             for line in printed.splitlines()]
    cycles = [(int(line[1]), int(line[2]), float(line[3]), int(line[4])) for line in lines if line]
    samples, failures = cycles[-1][0], sum(cycle[3] for cycle in cycles)
    usual_ms, resident = statistics.median(cycle[1] for cycle in cycles[1:]), max(cycle[2] for cycle in cycles)
    print(f"  a thousand guests: {samples} samples a cycle, {usual_ms} ms of CPU (the first {cycles[0][1]} ms), {resident} MiB")
    outcome.check("a cycle of a thousand guests takes 150 ms of CPU at most", usual_ms <= 150, f"{usual_ms} ms")
    outcome.check("and 40 MB of memory at most", resident * 1.048576 <= 40, f"{resident} MiB")
    outcome.check("it has all samples", samples >= 38_000 and not failures, f"{samples}, {failures} failures")


def main() -> int:
    """Runs the proof."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--reader", required=True, help="the built example poll_guests")
    parser.add_argument("--program", help="the built program: also the agent at scale (agent.py), and from a guest to a "
                        "webhook (alarm.py)")
    arguments = parser.parse_args()
    outcome = Outcome()
    scale(outcome, arguments.reader)
    if arguments.program:
        program = os.path.abspath(arguments.program)
        agent.prove(outcome, program, program, os.path.abspath(arguments.reader))
        with Hypervisor() as world:
            alarm.prove(outcome, program, world, world.guest(1))
    with Hypervisor() as world:
        guest = world.guest(1)
        reader = Reader(arguments.reader, world.uri)
        running(outcome, world, reader, guest)
        burning(outcome, reader, guest)
        states(outcome, world, reader, guest)
        deleted(outcome, world, reader, guest, world.guest(2, vcpus=1))
        restarted(outcome, world, reader, guest)
        reader.close()
    return outcome.finish()


if __name__ == "__main__":
    sys.exit(main())
