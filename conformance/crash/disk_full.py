"""A disk that fills up: writes are refused with 503 and Retry-After, readings go on, nothing acknowledged is lost, and
writes go on when there is space again, without a restart."""

import os
import subprocess
import tempfile
import time

from crash import ledger as ledgers
from crash.load import METRICS_OF_A_WRITER, body
from harness import outcome, server as live
from harness.api import Api

SIZE_MIB = 96
RECOVERY_SECONDS = 30.0
RESERVE_BYTES = 8 * 1024 * 1024


class SmallDisk:
    """A file system of a few MiB: a tmpfs, or, where that is refused, an ext4 image on a loop device. Needs root."""

    def __init__(self) -> None:
        self.directory = tempfile.mkdtemp(prefix="small-disk-")
        self.image: str | None = None

    def __enter__(self) -> str:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", self.directory]
        if subprocess.run(mount, check=False, capture_output=True).returncode != 0:
            self.image = self.directory + ".img"
            with open(self.image, "wb") as file:
                file.truncate(SIZE_MIB * 1024 * 1024)
            subprocess.run(["mkfs.ext4", "-q", self.image], check=True)
            subprocess.run(["mount", "-o", "loop", self.image, self.directory], check=True)
        return self.directory

    def __exit__(self, *_: object) -> None:
        subprocess.run(["umount", "-l", self.directory], check=True)
        os.rmdir(self.directory)
        if self.image:
            os.unlink(self.image)


class Sender:
    """One writer in this process, with its ledger kept in memory and on disk outside the small one."""

    def __init__(self, server: live.Server, ids: list[str]) -> None:
        self.api = Api(server.port)
        self.ids = ids
        self.book = ledgers.Ledger(os.path.join(server.root, "ledger-disk"))

    def send(self) -> int:
        """The next request; its status."""
        request = self.book.next
        self.book.next += 1
        status, _ = self.api.send("POST", "/v1/batch/metrics/measures", body(0, self.ids, request))
        if status == 202:
            self.book.acknowledged.add(request)
        elif status != 503:
            self.book.unknown.add(request)
        return status

    def problem(self) -> str | None:
        """Whether every metric holds what was acknowledged, and nothing that was refused."""
        found = (ledgers.metric_problem(self.api, metric_id, 0, n, self.book, fine=n == 0) for n, metric_id in enumerate(self.ids))
        return next((problem for problem in found if problem), None)


def fill(directory: str) -> str:
    """Takes all remaining space with one file; returns its path."""
    path = os.path.join(directory, "ballast")
    with open(path, "wb", buffering=0) as file:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while True:
                    file.write(b"\xa5" * size)
            except OSError:
                continue
    return path


def until(sender: Sender, wanted: int, seconds: float, pause: float = 0.0) -> bool:
    """Sends until the wanted status comes, at most for so long."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if sender.send() == wanted:
            return True
        time.sleep(pause)
    return False


def run(command: str, tally: outcome.Outcome) -> None:
    """Twice: where the reserve of free space stops writes, and where there is none and the disk itself does."""
    for reserve in (RESERVE_BYTES, 0):
        print(f"reserve of {reserve} bytes", flush=True)
        story(command, reserve, tally)


def story(command: str, reserve: int, tally: outcome.Outcome) -> None:
    """The whole story, on a small disk of its own."""
    settings = {**live.BUSY_ENGINE, "MAX_LIMIT": "1000", "NEPHOMETER__ENGINE__MIN_FREE_DISK_BYTES": str(reserve)}
    with SmallDisk() as disk, live.Server(command, data=os.path.join(disk, "data"), environment=settings) as server:
        api = Api(server.port)
        api.want(201, "POST", "/v1/archive_policy", body={
            "name": "long", "aggregation_methods": ["count", "sum"],
            "definition": [{"granularity": 1, "points": ledgers.FINE_POINTS}, {"granularity": 60, "points": 100_000}]})
        ids = [api.want(201, "POST", "/v1/metric", body={"archive_policy_name": "long"})["id"] for _ in range(METRICS_OF_A_WRITER)]
        sender = Sender(server, ids)
        for _ in range(50):
            sender.send()
        ballast = fill(disk)
        tally.check("a full disk refuses writes with 503", until(sender, 503, 60), f"acknowledged {len(sender.book.acknowledged)}")
        tally.check("the refusal says when to come back", "retry-after" in sender.api.headers, str(sender.api.headers))
        tally.check("no other status was given", not sender.book.unknown, str(sorted(sender.book.unknown)))
        problem = sender.problem()
        tally.check("a full disk serves what was acknowledged", problem is None, str(problem))
        os.unlink(ballast)
        tally.check("writes go on when there is space", until(sender, 202, RECOVERY_SECONDS, 0.2), "still refused")
        for _ in range(50):
            sender.send()
        problem = sender.problem()
        tally.check("nothing is lost after the disk was full", problem is None, str(problem))
        server.kill()
        sender.api.close()
        server.start()
        problem = sender.problem()
        tally.check("nothing is lost after kill -9 on top", problem is None, str(problem))
        sender.api.close()
        api.close()
        server.stop()
