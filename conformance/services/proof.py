"""What is proven of the agent."""

import json
import signal
import time
from collections.abc import Callable, Iterable

from cloud.world import until
from harness.outcome import Outcome
from services import compare, meters
from services.agent import INTERVAL_SECONDS, Agent, Reading, Store, as_stored
from services.cinder import Cinder
from services.things import SECRET, Things

# Swift carries counts up to accounts by and by, Cinder tells of its pools every few seconds.
PATIENCE_SECONDS = 90.0
Key = tuple[str, str]


def eventually(holds: Callable[[], bool], seconds: float = PATIENCE_SECONDS) -> None:
    """Waits until something holds, or long enough: what does not is found by the checks that follow."""
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(1)


def dry(tally: Outcome, agent: Agent, things: Things) -> None:
    """A cycle that hands nothing on: nothing fails that is there, every meter is read, metadata are told."""
    cycle = agent.cycle()

    def settled() -> bool:
        nonlocal cycle
        cycle = agent.cycle()
        said = compare.ours(cycle)
        return all(key in said and said[key]["volume"] == wanted.volume for key, wanted in things.wanted.items())
    eventually(settled)
    failures = {row["pollster"]: row["failure"] for row in cycle["pollsters"] if row["failure"]}
    tally.equal("nothing fails that is there", {name: why for name, why in failures.items() if name in meters.HERE}, {})
    tally.equal("meters that are read", {sample["name"] for sample in cycle["samples"]}, meters.HERE)
    tally.check("keys of VPNs are told nobody", SECRET not in json.dumps(cycle))
    said = compare.ours(cycle)
    for key, fields in things.metadata.items():
        got = {field: said.get(key, {}).get(f"metadata.{field}") for field in fields}
        tally.equal(f"{key[0]} of {key[1]}: metadata", got, fields)


def _as_wanted(store: Store, things: Things) -> dict[Key, bool]:
    readings = store.readings()
    found = {(meter, as_stored(resource)): wanted for (meter, resource), wanted in things.wanted.items()}
    return {key: key in readings and readings[key].wanted == wanted for key, wanted in found.items()}


def _check(tally: Outcome, store: Store, things: Things, when: str) -> dict[Key, Reading]:
    """Waits until the store has what is wanted, and checks each of it; what the store has."""
    eventually(lambda: all(_as_wanted(store, things).values()))
    readings = store.readings()
    for (meter, resource), wanted in things.wanted.items():
        reading = readings.get((meter, as_stored(resource)))
        tally.equal(f"{when}, {meter} of {resource}", reading and reading.wanted, wanted)
    return readings


def arrives(tally: Outcome, store: Store, things: Things) -> None:
    """All that there is arrives, and nothing that there is not."""
    readings = _check(tally, store, things, "at first")
    for (kind, resource), attributes in things.attributes.items():
        found = store.resource(kind, as_stored(resource))
        tally.equal(f"{kind} {resource}: attributes", {name: found.get(name) for name in attributes}, attributes)
    wanted = {(meter, as_stored(resource)) for meter, resource in things.wanted}
    default = things.default_firewalls()
    # Swift takes accounts that nobody has made for empty ones.
    empty = {meter for meter in meters.HERE if meter.startswith("storage.objects")}
    more = {key: reading.wanted for key, reading in readings.items() if key not in wanted and key[1] not in default
            and not (key[0] in empty and reading.wanted.volume == 0)}
    tally.equal("there is nothing else", more, {})


def changes(tally: Outcome, store: Store, things: Things) -> None:
    """What is added, replaced and deleted is seen by a later cycle."""
    before = dict(things.wanted)
    things.object("a", "photos", "3", 500)
    things.object("a", "photos", "0", 1)
    things.address("b")
    things.image("late", "b", 4096)
    things.delete_image("private", "a")
    things.delete_volume("one", "a")
    _check(tally, store, things, "after changes")
    gone = [(meter, as_stored(resource)) for meter, resource in before if (meter, resource) not in things.wanted]
    stays = [(meter, as_stored(resource)) for meter, resource in things.wanted]
    tally.equal("an image, a volume and its snapshot are gone", len(gone), 3)
    first = _after_a_cycle(store, stays[0])
    second = _after_a_cycle(store, stays[0])
    for key in gone:
        tally.equal(f"{key[0]} of {key[1]} is measured no more", second[key].at, first[key].at)
    for key in stays:
        tally.check(f"{key[0]} of {key[1]} goes on", second[key].at > first[key].at, f"{first[key].at} → {second[key].at}")


def _after_a_cycle(store: Store, key: Key) -> dict[Key, Reading]:
    """What the store has once a whole further cycle has been through."""
    for _ in range(2):
        at = store.readings()[key].at
        until("a further cycle", lambda: store.readings()[key].at > at)
    time.sleep(INTERVAL_SECONDS / 2)
    return store.readings()


def outages(tally: Outcome, store: Store, cinder: Cinder) -> None:
    """A service that is away or hangs costs its own meters, until it is back."""
    readings = store.readings()
    image = next(key for key in readings if key[0] == "image.size" and _lives(readings, key))
    volume = next(key for key in readings if key[0] == "volume.size" and _lives(readings, key))
    process = cinder.programs.running["cinder"]
    for how, begin, end in (("hangs", lambda: process.send_signal(signal.SIGSTOP), lambda: process.send_signal(signal.SIGCONT)),
                            ("is away", lambda: cinder.programs.stop("cinder"), cinder.serve)):
        begin()
        first = _after_a_cycle(store, image)
        second = _after_a_cycle(store, image)
        tally.check(f"images are measured while Cinder {how}", second[image].at > first[image].at)
        tally.equal(f"volumes are not while Cinder {how}", second[volume].at, first[volume].at)
        end()
        eventually(lambda at=second[volume].at: store.readings()[volume].at > at)
        third = store.readings()
        tally.check(f"volumes are measured again after Cinder {how}", third[volume].at > second[volume].at, second[volume].at)


def _lives(readings: dict[Key, Reading], key: Key) -> bool:
    """Whether something is still measured: it has the newest measure of its meter."""
    of_meter: Iterable[Reading] = (reading for other, reading in readings.items() if other[0] == key[0])
    return readings[key].at == max(reading.at for reading in of_meter)
