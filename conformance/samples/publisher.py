"""The program `publish` (crates/openstack/examples), which publishes samples as our agents do."""

import json
import os
import subprocess
import tempfile
import threading
from typing import Any


def program() -> str:
    """Where it was built."""
    target = os.environ.get("CARGO_TARGET_DIR") or os.path.expanduser("~/.cache/nephometer/target")
    return os.environ.get("NEPHOMETER_PUBLISH", f"{target}/debug/examples/publish")


class Publisher:
    """One run of the program. `spools` outlives it. `send` returns what it says to a call: `ok`, or why not."""

    def __init__(self, address: str, *options: str, spools: str | None = None) -> None:
        self.spools = spools or tempfile.mkdtemp(prefix="spools-")
        self.command = [program(), self.spools, address, *options]
        self.log = open(f"{self.spools}.log", "ab")
        self.start()

    def start(self) -> None:
        """Starts it, again with what was left in its spools."""
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True)

    def kill(self) -> None:
        """SIGKILL."""
        self.process.kill()
        self.process.wait()

    def send(self, messages: list[dict[str, Any]]) -> str:
        """One call with these meter messages."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(messages) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def finish(self, seconds: float = 120) -> dict[str, Any]:
        """Waits until nothing is left to deliver; returns the counters."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.close()
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        text = self.process.stdout.read()
        self.process.wait()
        timer.cancel()
        lines = text.strip().splitlines()
        if not lines or not lines[-1].startswith("{"):
            raise RuntimeError(f"the publisher did not finish: {text[-300:]}")
        return json.loads(lines[-1])
