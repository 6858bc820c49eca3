"""kill -9 of what evaluates and notifies under load, again and again, with receivers that refuse and hang.

At the end, of every alarm: its history is what was fed, each transition once and in order; each transition was told at
least once, in the same order, and what was told twice has the same id and body.
"""

import random
import time

from alarms.feed import Feeder, Rush, Steps
from alarms.processes import Apart, Together
from alarms.receiver import HANG, REFUSE, TAKE, Arrival, Receiver
from alarms.world import Alarm, World, history, state_of, told
from harness import outcome

PROJECTS = 4
ALARMS_OF_A_PROJECT = 50
# Alarms that are new in a round: their targets are not held by a notifier that was killed before.
FRESH_ALARMS = 20
# A new server evaluates, and delivers what was being delivered, when the one that was killed counts as dead.
LEASE_SECONDS = 6.0
WORK_SECONDS = 30.0
SETTLE_SECONDS = 90.0
# A receiver that refused or hung is tried again after pauses.
QUIET_SECONDS = 60.0
PATIENCE_SECONDS = 900.0


def wait_for_work(feeders: list[Feeder], before: int) -> bool:
    """Until a transition is seen that this server must have made: each alarm's step of the last round is seen once more."""
    end = time.monotonic() + WORK_SECONDS
    while time.monotonic() < end:
        if sum(feeder.seen for feeder in feeders) > before + PROJECTS * ALARMS_OF_A_PROJECT:
            return True
        time.sleep(0.02)
    return False


def round_of(world: World, old: list[Feeder], rng: random.Random, tally: outcome.Outcome, number: int) -> Feeder:
    """Load on the alarms that all rounds feed and on new ones, kill at a random moment, start again: before a server can have
    taken over, around that time, or at work. Returns the new alarms, which are fed again only at the end."""
    fresh = Steps(world, f"fresh{number}", world.make(f"fresh{number}", FRESH_ALARMS))
    feeders = [*old, fresh]
    before = sum(feeder.seen for feeder in feeders)
    for feeder in feeders:
        feeder.begin(last=False)
    when = rng.random()
    if when < 0.6:
        tally.check(f"round {number} works", wait_for_work(feeders, before), world.processes.log_tail())
    elif when < 0.8:
        time.sleep(LEASE_SECONDS * rng.uniform(0.6, 1.0))
    world.receiver.mode = rng.choice((TAKE, TAKE, REFUSE, HANG))
    time.sleep(rng.uniform(0.0, 0.8))
    world.receiver.mode = rng.choice((TAKE, TAKE, world.receiver.mode))
    time.sleep(rng.uniform(0.0, 0.8))
    world.processes.crash(rng)
    interrupt(feeders)
    world.receiver.mode = TAKE
    world.restart()
    return fresh


def interrupt(feeders: list[Feeder]) -> None:
    """No more load, whether or not the APIs are gone."""
    for feeder in feeders:
        feeder.stop()
    for feeder in feeders:
        if not feeder.end(60):
            raise RuntimeError("a feeder does not come to its end")
        if feeder.error:
            raise feeder.error


def settle(feeders: list[Feeder], tally: outcome.Outcome) -> None:
    """Everything that was fed is decided."""
    for feeder in feeders:
        feeder.begin(last=True)
    for feeder in feeders:
        good = feeder.end(SETTLE_SECONDS) and feeder.error is None
        tally.check(f"{feeder.project} comes to rest", good, f"{feeder.error}")


def history_problem(found: list[tuple[str, float | None]], feeder: Feeder, alarm: Alarm) -> str | None:
    """What is wrong with an alarm's history."""
    if isinstance(feeder, Steps):
        wanted = feeder.wanted(alarm)
        at = next((n for n, (one, other) in enumerate(zip(found, wanted)) if one != other), min(len(found), len(wanted)))
        problem = f"{len(found)} of {len(wanted)} records, from {at}: {found[at:at + 3]} {wanted[at:at + 3]}"
        return None if found == wanted else problem
    assert isinstance(feeder, Rush)
    before = ("insufficient data", 0.0)
    for state, value in found:
        if state == before[0] or value is None or abs(value) <= abs(before[1]) or state != state_of(int(value)):
            return f"{(state, value)} after {before}"
        before = (state, value)
    last = feeder.last.get(alarm.metric_id, 0)
    return None if before[0] == state_of(last) else f"{before} at the end, fed {last}"


def message_problem(arrivals: list[Arrival], found: list[tuple[str, float | None]]) -> str | None:
    """What is wrong with what was told of an alarm that has this history."""
    first: dict[str, Arrival] = {}
    order: list[str] = []
    for arrival in arrivals:
        known = first.setdefault(arrival.key, arrival)
        if not arrival.key or arrival.request_id != f"req-{arrival.key}":
            return f"ids {arrival.key!r} and {arrival.request_id!r}"
        if known.body != arrival.body:
            return f"{arrival.key} says {known.body!r} and {arrival.body!r}"
        if not order or order[-1] != arrival.key:
            order.append(arrival.key)
    if len(order) != len(first):
        return f"an older message after a newer one: {len(order) - len(first)} times"
    taken = {arrival.key for arrival in arrivals if arrival.taken}
    messages = [first[key].message() for key in order if key in taken]
    said = [told(message) for message in messages]
    if said != found:
        missing = [entry for entry in found if entry not in said]
        return f"{len(said)} told of {len(found)}; missing {missing[:5]}, said {said[-3:]}"
    chain = ["insufficient data"] + [state for state, _ in found]
    broken = [message for message, state in zip(messages, chain) if message["previous"] != state]
    return f"previous states do not fit: {broken[0]}" if broken else None


def drain(receiver: Receiver, wanted: int) -> float:
    """Waits until as many different messages have been taken, while some still come; seconds that took."""
    began = quiet = time.monotonic()
    count = 0
    while time.monotonic() - quiet < QUIET_SECONDS and time.monotonic() - began < PATIENCE_SECONDS:
        with receiver.lock:
            now = len({arrival.key for arrival in receiver.arrivals if arrival.taken})
        if now >= wanted:
            break
        if now > count:
            count, quiet = now, time.monotonic()
        time.sleep(0.5)
    return time.monotonic() - began


def judge(world: World, feeders: list[Feeder], tally: outcome.Outcome) -> None:
    """Every alarm's history and messages."""
    api = world.alarming("judge")
    found = {alarm.name: history(api, alarm) for feeder in feeders for alarm in feeder.alarms}
    total = sum(len(records) for records in found.values())
    seconds = drain(world.receiver, total)
    later = {alarm.name: history(api, alarm) for feeder in feeders for alarm in feeder.alarms}
    tally.check("history stays as it is when nothing is fed", later == found, "it has changed")
    arrivals = world.receiver.by_path()
    for feeder in feeders:
        for alarm in feeder.alarms:
            problem = history_problem(found[alarm.name], feeder, alarm)
            tally.check(f"history of {alarm.name}", problem is None, str(problem))
            problem = message_problem(arrivals.get(alarm.name, []), found[alarm.name])
            tally.check(f"messages of {alarm.name}", problem is None, str(problem))
    everything = [arrival for some in arrivals.values() for arrival in some]
    taken = [arrival.key for arrival in everything if arrival.taken]
    print(f"{total} transitions; {len(everything)} requests at the receiver, {len(everything) - len(taken)} of them refused or"
          f" left hanging, {len(taken) - len(set(taken))} taken again; all was told {seconds:.0f} s after the end", flush=True)
    api.close()


def prepared(world: World, seed: int) -> list[Feeder]:
    """Alarms for all rounds, and who feeds them."""
    world.policy()
    projects = [f"steps{number}" for number in range(PROJECTS)]
    feeders: list[Feeder] = [Steps(world, project, world.make(project, ALARMS_OF_A_PROJECT)) for project in projects]
    return feeders + [Rush(world, "rush", world.make("rush", ALARMS_OF_A_PROJECT), seed)]


def run(rounds: int, seed: int, processes: Together | Apart, tally: outcome.Outcome) -> None:
    """All rounds, and the judgement."""
    rng = random.Random(seed)
    receiver = Receiver()
    with World(receiver, processes) as world:
        feeders = prepared(world, seed)
        fresh: list[Feeder] = []
        for number in range(rounds):
            fresh.append(round_of(world, feeders, rng, tally, number))
            if number % 10 == 9:
                print(f"round {number + 1}: {sum(feeder.seen for feeder in feeders + fresh)} steps", flush=True)
        feeders += fresh
        settle(feeders, tally)
        judge(world, feeders, tally)
    receiver.close()
