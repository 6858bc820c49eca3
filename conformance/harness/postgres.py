"""A PostgreSQL of our own on a free port, for the real upstream server that expectations are proven against."""

import glob
import os
import shutil
import socket
import subprocess
import tempfile


def free_port() -> int:
    """A TCP port of the loopback interface that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def binaries() -> str:
    """The directory of the newest installed PostgreSQL's programs (Debian's layout)."""
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda p: int(p.split("/")[4]))
    if not found:
        raise RuntimeError("no PostgreSQL under /usr/lib/postgresql: apt-get install postgresql")
    return os.path.dirname(found[-1])


class Postgres:
    """A throw-away cluster: no durability, trust authentication, removed by `stop`. Root runs it as user postgres."""

    def __init__(self) -> None:
        self.port = free_port()
        self.root = tempfile.mkdtemp(prefix="pg-")
        self.data = os.path.join(self.root, "data")
        self.is_running = False
        self.as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        if self.as_user:
            shutil.chown(self.root, "postgres")

    def _run(self, *command: str) -> None:
        subprocess.run([*self.as_user, *command], check=True, cwd=self.root, stdout=subprocess.DEVNULL)

    def start(self) -> "Postgres":
        """Creates and starts the cluster; returns when it accepts connections."""
        bin_dir = binaries()
        self._run(f"{bin_dir}/initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories={self.root} -c fsync=off"
        self._run(f"{bin_dir}/pg_ctl", "-D", self.data, "-w", "-l", f"{self.root}/log", "-o", options, "start")
        self.is_running = True
        self.database("gnocchi")
        return self

    def database(self, name: str) -> str:
        """Makes a further database; its SQLAlchemy URL."""
        self._run(f"{binaries()}/createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", name)
        return self.url(name)

    def execute(self, name: str, statement: str) -> None:
        """Runs a statement in a database."""
        self._run(f"{binaries()}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "postgres", "-v", "ON_ERROR_STOP=1", "-q",
                  "-c", statement, name)

    def url(self, name: str = "gnocchi") -> str:
        """The SQLAlchemy URL of a database; the first one is there as soon as the cluster runs."""
        return f"postgresql+psycopg2://postgres@127.0.0.1:{self.port}/{name}"

    def stop(self) -> None:
        """Stops the cluster at once and removes its files."""
        if self.is_running:
            self._run(f"{binaries()}/pg_ctl", "-D", self.data, "-m", "immediate", "stop")
        self.is_running = False
        shutil.rmtree(self.root, ignore_errors=True)
