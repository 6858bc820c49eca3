"""Who feeds the metrics of a project's alarms, until it is stopped, the server is gone, or all is said."""

import http.client
import random
import threading
import time

from alarms.world import Alarm, World, post, state_of, states
from harness.api import Api

PAUSE_SECONDS = 0.03
GONE = (OSError, http.client.HTTPException)


class Feeder:
    """Feeds one project's alarms. What it knows outlives the server; each round has its own thread and connections."""

    def __init__(self, world: World, project: str, alarms: list[Alarm]) -> None:
        self.world, self.project, self.alarms = world, project, alarms
        self.error: Exception | None = None
        self.thread: threading.Thread | None = None
        self.ending = threading.Event()
        # How many states were seen to have come.
        self.seen = 0

    def begin(self, last: bool) -> None:
        """Feeds in a thread; with `last` only what was begun, and ends by itself when all of it has come."""
        self.ending.clear()
        self.thread = threading.Thread(target=self._run, args=(last,), daemon=True)
        self.thread.start()

    def stop(self) -> None:
        """Feeds no more once the turn that it is at is over."""
        self.ending.set()

    def end(self, seconds: float) -> bool:
        """Whether the thread has ended within this time."""
        assert self.thread
        self.thread.join(seconds)
        return not self.thread.is_alive()

    def _run(self, last: bool) -> None:
        metrics, alarming = self.world.metrics(), self.world.alarming(self.project)
        try:
            while not self.ending.is_set() and not self.turn(metrics, alarming, last):
                time.sleep(PAUSE_SECONDS)
        except GONE:
            pass
        except Exception as error:  # shown by the thread that waits
            self.error = error
        finally:
            metrics.close()
            alarming.close()

    def turn(self, metrics: Api, alarming: Api, last: bool) -> bool:
        """Posts and looks once; whether everything has come that was to come."""
        raise NotImplementedError


class Steps(Feeder):
    """Waits for each state before it feeds the next value: every step is one transition, and none may be missing."""

    def __init__(self, world: World, project: str, alarms: list[Alarm]) -> None:
        super().__init__(world, project, alarms)
        self.step = {alarm.alarm_id: 1 for alarm in alarms}
        self.acknowledged: set[str] = set()
        self.done: set[str] = set()

    def value(self, alarm: Alarm) -> int:
        """The value of the alarm's present step: odd ones are alarms."""
        step = self.step[alarm.alarm_id]
        return step if step % 2 else -step

    def turn(self, metrics: Api, alarming: Api, last: bool) -> bool:
        """A value whose fate is not known is posted again, and changes nothing if it was there."""
        if not last:
            for alarm_id in self.done:
                self.step[alarm_id] += 1
            self.acknowledged -= self.done
            self.done = set()
        waiting = [alarm for alarm in self.alarms if alarm.alarm_id not in self.acknowledged]
        if waiting and post(metrics, {alarm.metric_id: self.value(alarm) for alarm in waiting}):
            self.acknowledged |= {alarm.alarm_id for alarm in waiting}
        now = states(alarming, self.project)
        come = {alarm.alarm_id for alarm in self.alarms if now[alarm.alarm_id] == state_of(self.value(alarm))}
        fresh = (come & self.acknowledged) - self.done
        self.seen += len(fresh)
        self.done |= fresh
        return last and len(self.done) == len(self.alarms)

    def wanted(self, alarm: Alarm) -> list[tuple[str, float]]:
        """The whole history that the alarm must have."""
        steps = range(1, self.step[alarm.alarm_id] + 1)
        values = [step if step % 2 else -step for step in steps]
        return [(state_of(value), float(value)) for value in values]


class Rush(Feeder):
    """Feeds without waiting: which values are decided by is open, but they come in their order and the last one counts."""

    def __init__(self, world: World, project: str, alarms: list[Alarm], seed: int) -> None:
        super().__init__(world, project, alarms)
        self.rng = random.Random(seed)
        self.step = 0
        self.last: dict[str, int] = {}

    def turn(self, metrics: Api, alarming: Api, last: bool) -> bool:
        """New values for some alarms; at the end, a last one for all of them."""
        if not last or not self.last:
            self.step += 1
            chosen = self.alarms if last else [alarm for alarm in self.alarms if self.rng.random() < 0.5]
            values = {alarm.metric_id: self.step * self.rng.choice((1, -1)) for alarm in chosen}
            if post(metrics, values) and last:
                self.last = values
        if not self.last:
            return False
        now = states(alarming, self.project)
        return all(now[alarm.alarm_id] == state_of(self.last[alarm.metric_id]) for alarm in self.alarms)
