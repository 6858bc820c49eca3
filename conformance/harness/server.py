"""A server under test: started in its own process group on a free port, waited for, stopped or killed."""

import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from typing import IO

from harness.postgres import free_port

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OURS = f"{HERE}/serve-metric {{port}} {{dir}}"
OURS_ON_POSTGRES = f"{sys.executable} {HERE}/serve_postgres.py {{port}} {{dir}}"
PEER = f"{HERE}/serve-peer {{port}} {{dir}}"

# An engine that writes parts and merges them all the time, with little data: what takes days otherwise happens in seconds.
BUSY_ENGINE = {
    "NEPHOMETER__ENGINE__FLUSH_HEAD_BYTES": str(256 * 1024),
    "NEPHOMETER__ENGINE__FLUSH_LOG_BYTES": str(512 * 1024),
    "NEPHOMETER__ENGINE__FLUSH_AGE_SECONDS": "1",
    "NEPHOMETER__ENGINE__LOG_SEGMENT_BYTES": str(128 * 1024),
    "NEPHOMETER__ENGINE__MERGE_FAN_IN": "2",
}


def answers(port: int) -> bool:
    """Whether something accepts connections on the loopback port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def wait_for(port: int, seconds: float = 30) -> None:
    """Waits until something accepts connections on the loopback port: a server's second one opens after its first."""
    began = time.monotonic()
    while not answers(port):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"port {port} did not answer within {seconds} s")
        time.sleep(0.02)


class Server:
    """One server process. `command` has the fields {port} and {dir}; `data` is kept across restarts.

    Used as a context manager it starts on entry, and on exit stops and removes its directory.
    """

    def __init__(self, command: str, data: str | None = None, environment: dict[str, str] | None = None) -> None:
        self.command = command
        self.port = free_port()
        self.root = tempfile.mkdtemp(prefix="live-")
        self.data = data or os.path.join(self.root, "data")
        os.makedirs(self.data, exist_ok=True)
        self.environment = {**os.environ, **(environment or {})}
        self.log_path = os.path.join(self.root, "server.log")
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, prefix: str = "") -> str:
        """The base address, without a slash at the end."""
        return f"http://127.0.0.1:{self.port}{prefix}"

    def log_tail(self, characters: int = 600) -> str:
        """The end of what the server wrote."""
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()[-characters:]

    def start(self, seconds: float = 30) -> float:
        """Starts the process and waits until its port answers; returns how many seconds that took."""
        log: IO[bytes]
        with open(self.log_path, "ab") as log:
            arguments = shlex.split(self.command.format(port=self.port, dir=self.data))
            began = time.monotonic()
            self.process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                                            env=self.environment, start_new_session=True)
        while time.monotonic() - began < seconds:
            if self.process.poll() is not None:
                raise RuntimeError(f"server left with {self.process.returncode}: {self.log_tail()}")
            if answers(self.port):
                return time.monotonic() - began
            time.sleep(0.02)
        raise RuntimeError(f"server did not answer within {seconds} s: {self.log_tail()}")

    def signal(self, number: int) -> None:
        """Sends a signal to the whole process group, if it still lives."""
        if self.process and self.process.poll() is None:
            try:
                os.killpg(self.process.pid, number)
            except ProcessLookupError:
                pass

    def stop(self, seconds: float = 20) -> int | None:
        """SIGTERM, and SIGKILL after `seconds`; returns the exit status."""
        self.signal(signal.SIGTERM)
        return self._reap(seconds)

    def kill(self) -> int | None:
        """SIGKILL: nothing is flushed, nothing is said."""
        self.signal(signal.SIGKILL)
        return self._reap(seconds=10)

    def _reap(self, seconds: float) -> int | None:
        if self.process is None:
            return None
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait(10)
        return self.process.returncode

    def remove(self) -> None:
        """Removes the server's directory and log."""
        shutil.rmtree(self.root, ignore_errors=True)

    def __enter__(self) -> "Server":
        try:
            self.start()
        except RuntimeError:
            self.stop()
            self.remove()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.remove()
