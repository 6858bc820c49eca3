"""From the beginning of a request with measures to its webhook: 1,000 measures a second over as many alarms, of which
some change their state each second."""

import random
import time

from alarms.processes import Apart, Together
from alarms.receiver import Receiver
from alarms.world import Alarm, World, post, state_of, states, told
from harness import outcome

ALARMS = 1000
REQUESTS_A_SECOND = 10
CHANGES = 0.05
START_SECONDS = 60.0
DRAIN_SECONDS = 30.0
# Whether it works at all; the figure itself is for machines that do nothing else meanwhile.
SANE_SECONDS = 20.0


def calm(world: World, alarms: list[Alarm]) -> bool:
    """Whether all alarms are known to be ok after a first measure."""
    metrics, alarming = world.metrics(), world.alarming("load")
    post(metrics, {alarm.metric_id: -1 for alarm in alarms})
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        if set(states(alarming, "load").values()) == {"ok"}:
            return True
        time.sleep(0.2)
    return False


def feed(world: World, alarms: list[Alarm], seconds: int, seed: int) -> tuple[dict[tuple[str, float], float], float]:
    """Feeds for so long; when which changes began, by alarm and value, and how late the latest request began."""
    rng, api = random.Random(seed), world.metrics()
    value = {alarm.name: -1 for alarm in alarms}
    begun: dict[tuple[str, float], float] = {}
    start, late = time.monotonic(), 0.0
    for tick in range(seconds * REQUESTS_A_SECOND):
        due = start + tick / REQUESTS_A_SECOND
        time.sleep(max(0.0, due - time.monotonic()))
        at = time.monotonic()
        late = max(late, at - due)
        some = alarms[tick % REQUESTS_A_SECOND::REQUESTS_A_SECOND]
        for alarm in some:
            if rng.random() < CHANGES:
                value[alarm.name] = (tick + 2) * (-1 if value[alarm.name] > 0 else 1)
                begun[alarm.name, float(value[alarm.name])] = at
        if not post(api, {alarm.metric_id: value[alarm.name] for alarm in some}):
            raise RuntimeError("measures were refused")
    api.close()
    return begun, late


def run(seconds: int, seed: int, processes: Together | Apart, tally: outcome.Outcome) -> None:
    """Feeds, waits for what is missing, and prints the figures."""
    receiver = Receiver()
    with World(receiver, processes) as world:
        world.policy()
        alarms = world.make("load", ALARMS)
        if not tally.check("1,000 alarms are decided", calm(world, alarms), processes.log_tail()):
            return
        begun, late = feed(world, alarms, seconds, seed)
        end = time.monotonic() + DRAIN_SECONDS
        came: dict[tuple[str, float], float] = {}
        while len(came) < len(begun) and time.monotonic() < end:
            time.sleep(0.5)
            came = arrived(receiver, begun)
    receiver.close()
    missing = sorted(set(begun) - set(came))
    tally.check("every change is told", not missing, f"{len(missing)} of {len(begun)}: {missing[:5]}")
    took = sorted(came[change] - begun[change] for change in came)
    if not tally.check("something changed", bool(took), "nothing was told"):
        return
    at = {share: took[min(len(took) - 1, int(len(took) * share))] for share in (0.5, 0.9, 0.99)}
    print(f"measure to webhook, {ALARMS} measures/s, {len(took) / seconds:.0f} changes/s: p50 {at[0.5] * 1000:.0f} ms, p90"
          f" {at[0.9] * 1000:.0f} ms, p99 {at[0.99] * 1000:.0f} ms, longest {took[-1] * 1000:.0f} ms"
          f" (requests began up to {late * 1000:.0f} ms late)", flush=True)
    tally.check("webhooks come in time", at[0.99] < SANE_SECONDS, f"p99 {at[0.99]:.1f} s")


def arrived(receiver: Receiver, begun: dict[tuple[str, float], float]) -> dict[tuple[str, float], float]:
    """When the changes' first messages came."""
    came: dict[tuple[str, float], float] = {}
    for path, arrivals in receiver.by_path().items():
        for arrival in arrivals:
            state, value = told(arrival.message())
            if value is not None and (path, value) in begun and state == state_of(int(value)):
                came.setdefault((path, value), arrival.at)
    return came
