"""A real RabbitMQ under a proof: a node of its own, started and ended with the proof."""

import os
import socket
import subprocess
import time

from harness.postgres import free_port

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROGRAM = "/usr/lib/rabbitmq/bin/rabbitmq-server"


class Rabbitmq:
    """A running node, as a context manager; it takes `guest` with password `guest`."""

    def __init__(self) -> None:
        if not os.path.exists(PROGRAM):
            raise RuntimeError("no RabbitMQ: apt-get install rabbitmq-server")
        self.port = free_port()
        ports = [str(port) for port in (self.port, free_port(), free_port())]
        # It ends when its standard input closes, even where this process is killed.
        self.script = subprocess.Popen(["sh", f"{HERE}/messaging/node.sh", PROGRAM, *ports], stdin=subprocess.PIPE,
                                       stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def transport_url(self) -> str:
        """How oslo.messaging names it."""
        return f"rabbit://guest:guest@127.0.0.1:{self.port}/"

    def _order(self, order: str) -> str:
        assert self.script.stdin and self.script.stdout
        self.script.stdin.write(f"{order}\n")
        self.script.stdin.flush()
        said = []
        for line in self.script.stdout:
            if line.strip() == "done":
                break
            said.append(line)
        return "".join(said)

    def _greets(self) -> bool:
        """Whether it takes connections and understands AMQP: what it does not know it answers with its protocol's name."""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=5) as stream:
                stream.sendall(b"AMQP\x00\x00\x09\x02")
                return len(stream.recv(8)) > 0
        except OSError:
            return False

    def kill(self) -> None:
        """Kills the node as a power failure would."""
        self._order("kill")

    def start(self) -> None:
        """Starts the node with the data that it has; returns when it takes connections."""
        self._order("start")
        began = time.monotonic()
        while not self._greets():
            if time.monotonic() - began > 300:
                said = self._order("log")
                self.__exit__()
                raise RuntimeError(f"RabbitMQ does not start: {said}")
            time.sleep(0.2)

    def __enter__(self) -> "Rabbitmq":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        assert self.script.stdin
        self.script.stdin.close()
        self.script.wait(60)
