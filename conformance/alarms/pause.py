"""Two evaluators under load, one of them stopped (SIGSTOP) for longer than its lease and resumed, again and again: what it
had begun before it stopped must not be written after the other one has taken its alarms over.

At the end, of every alarm: its history is what was fed, each transition once and in order, and each was told.
"""

import random
import signal
import time

from alarms.kill import LEASE_SECONDS, interrupt, judge, prepared, settle, wait_for_work
from alarms.processes import Apart
from alarms.receiver import Receiver
from alarms.world import World
from harness import outcome

# Beyond the lease, so that the other one has been at work on all alarms when this one wakes.
BEYOND_SECONDS = (0.5, 4.0)


def run(rounds: int, seed: int, tally: outcome.Outcome) -> None:
    """All rounds, and the judgement."""
    rng = random.Random(seed)
    processes, receiver = Apart(), Receiver()
    with World(receiver, processes) as world:
        feeders = prepared(world, seed)
        for feeder in feeders:
            feeder.begin(last=False)
        for number in range(rounds):
            time.sleep(rng.uniform(0.0, 1.0))
            stopped = rng.choice(processes.evaluators)
            stopped.signal(signal.SIGSTOP)
            time.sleep(LEASE_SECONDS + rng.uniform(*BEYOND_SECONDS))
            before = sum(feeder.seen for feeder in feeders)
            tally.check(f"round {number}: the other one works", wait_for_work(feeders, before), processes.log_tail())
            stopped.signal(signal.SIGCONT)
            before = sum(feeder.seen for feeder in feeders)
            tally.check(f"round {number}: both work", wait_for_work(feeders, before), processes.log_tail())
            alive = stopped.process is not None and stopped.process.poll() is None
            tally.check(f"round {number}: the one that was stopped lives", alive, stopped.log_tail())
        interrupt(feeders)
        settle(feeders, tally)
        judge(world, feeders, tally)
    receiver.close()
