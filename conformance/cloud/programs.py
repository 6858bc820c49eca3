"""Processes of a cloud under a proof: each with its log in one directory, all ended with the proof."""

import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

from harness import server as live
from harness.postgres import free_port

HERE = pathlib.Path(__file__).resolve().parent


class Programs:
    """A directory and the processes that work in it."""

    def __init__(self) -> None:
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="cloud-"))
        self.running: dict[str, subprocess.Popen[bytes]] = {}
        self.ports: dict[str, int] = {}
        # Whether something has failed, so that the logs may be wanted.
        self.is_kept = False

    def write(self, name: str, text: str) -> pathlib.Path:
        """A file in the directory."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path

    def start(self, name: str, *command: object, environment: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts a process in a group of its own, which ends with this process, even where that is killed."""
        words = ["setpriv", "--pdeathsig", "TERM", "--", *map(str, command)]
        with open(self.root / f"{name}.log", "ab") as log:
            self.running[name] = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.root,
                                                  env={**os.environ, **(environment or {})}, start_new_session=True)
        return self.running[name]

    def serve(self, name: str, python: pathlib.Path, application: str, *arguments: object,
              environment: dict[str, str] | None = None) -> str:
        """Serves a WSGI application (`module:attribute`) on a free port, or where it was before; its address once it answers."""
        port = self.ports.get(name) or free_port()
        self.start(name, python, HERE / "wsgi.py", port, *application.split(":"), *arguments, environment=environment)
        return self.wait(name, port)

    def wait(self, name: str, port: int, seconds: float = 300) -> str:
        """Waits until a process answers on its port; its address."""
        self.ports[name] = port
        began = time.monotonic()
        while not live.answers(port):
            if self.running[name].poll() is not None or time.monotonic() - began > seconds:
                raise RuntimeError(f"{name} does not answer: {self.tail(name)}")
            time.sleep(0.05)
        return f"http://127.0.0.1:{port}"

    def run(self, name: str, *command: object, environment: dict[str, str] | None = None) -> None:
        """Runs a command to its end."""
        process = self.start(name, *command, environment=environment)
        if process.wait(600) != 0:
            raise RuntimeError(f"{name} failed: {self.tail(name)}")

    def tail(self, name: str, characters: int = 3000) -> str:
        """The end of what a process said."""
        path = self.root / f"{name}.log"
        return path.read_text(encoding="utf-8", errors="replace")[-characters:] if path.exists() else ""

    def stop(self, name: str) -> None:
        """Ends a process and its children."""
        process = self.running.pop(name)
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def __enter__(self) -> "Programs":
        return self

    def __exit__(self, *_: object) -> None:
        for name in list(self.running):
            self.stop(name)
        if self.is_kept and "CLOUD_KEEP" in os.environ:
            print(f"logs are kept in {self.root}", flush=True)
        else:
            shutil.rmtree(self.root, ignore_errors=True)


def python_of(environment: str) -> pathlib.Path:
    """The interpreter of a virtual environment of `conformance/venv`, made where it is missing."""
    made = subprocess.run([HERE.parent / "venv", environment], check=True, capture_output=True, text=True).stdout.strip()
    return pathlib.Path(made) / "bin/python"
