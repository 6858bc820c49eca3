"""What runs: everything in one process, or the APIs, evaluators and notifiers in processes of their own over PostgreSQL."""

import random
import signal

from harness import server as live
from harness.postgres import Postgres, free_port

COMMON = {
    "MAX_LIMIT": "1000",
    "DEFAULT_POLICIES": "false",
    "NEPHOMETER__ALARM_NOTIFIER__TIMEOUT_SECONDS": "2",
    "NEPHOMETER__ALARM_NOTIFIER__CONNECT_TIMEOUT_SECONDS": "2",
    "NEPHOMETER__ALARM_NOTIFIER__LONGEST_PAUSE_SECONDS": "5",
}


class Together:
    """One process with SQLite inside."""

    def __init__(self) -> None:
        self.alarm_port = free_port()
        environment = {**COMMON, "ALARM_LISTEN": f"127.0.0.1:{self.alarm_port}"}
        self.api = live.Server(live.OURS, environment=environment)

    def start(self) -> None:
        """Starts what does not run."""
        self.api.start()

    def stop(self) -> None:
        """Ends everything and removes it."""
        self.api.stop()
        self.api.remove()

    def crash(self, _: random.Random) -> str:
        """SIGKILL; what it hit."""
        self.api.kill()
        return "serve"

    def log_tail(self) -> str:
        """The ends of the logs."""
        return self.api.log_tail()


class Apart:
    """Processes that share an index in PostgreSQL and the measures of one of them."""

    def __init__(self, evaluators: int = 2, notifiers: int = 2) -> None:
        self.alarm_port = free_port()
        self.postgres = Postgres()
        self.environment = {
            **COMMON,
            "ALARM_LISTEN": f"127.0.0.1:{self.alarm_port}",
            "NEPHOMETER__INDEX__URL": self.postgres.url().replace("postgresql+psycopg2", "postgresql"),
            "NEPHOMETER__MEASURE_LINK__LISTEN": f"127.0.0.1:{free_port()}",
            "NEPHOMETER__MEASURE_LINK__TOKEN": "known to both ends",
        }
        self.api = live.Server(live.OURS, environment={**self.environment, "SERVICE": "api"})
        self.evaluators = [self._beside("evaluator") for _ in range(evaluators)]
        self.notifiers = [self._beside("notifier") for _ in range(notifiers)]

    def _beside(self, service: str) -> live.Server:
        """A process of its own, whose port is that of its status."""
        process = live.Server(live.OURS, data=self.api.data, environment={**self.environment, "SERVICE": service})
        process.environment["ADMIN_LISTEN"] = f"127.0.0.1:{process.port}"
        return process

    def _all(self) -> list[tuple[str, live.Server]]:
        return ([("api", self.api)] + [("evaluator", process) for process in self.evaluators]
                + [("notifier", process) for process in self.notifiers])

    def start(self) -> None:
        """Starts what does not run."""
        if not self.postgres.is_running:
            self.postgres.start()
        for _, process in self._all():
            if process.process is None or process.process.poll() is not None:
                process.start()

    def stop(self) -> None:
        """Ends everything and removes it."""
        for _, process in reversed(self._all()):
            process.signal(signal.SIGCONT)
            process.stop()
            process.remove()
        self.postgres.stop()

    def crash(self, rng: random.Random) -> str:
        """SIGKILL for some of them; whom it hit."""
        everyone = self._all()
        hit = [one for one in everyone if rng.random() < 0.4] or [rng.choice(everyone)]
        for _, process in hit:
            process.kill()
        return ", ".join(name for name, _ in hit)

    def log_tail(self) -> str:
        """The ends of the logs."""
        return "\n".join(f"{name}: {process.log_tail()}" for name, process in self._all())
