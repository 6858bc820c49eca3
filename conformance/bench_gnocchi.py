"""`nephometer bench` with real Gnocchi 4.7.1 as a peer: its API, its metricd with two workers and its PostgreSQL are started
here, measured with all their processes, and stopped again.

    bench_gnocchi.py [--program PATH] [--metrics N] [--rounds N] [ARGUMENTS OF bench...]

Gnocchi is given fewer metrics and rounds than ours (1,000 and 3 unless told otherwise): it is some thousand times slower, and
cost is compared by the measure. Its metricd looks for new measures every second, not every minute as it does by default.
"""

import argparse
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

from harness.postgres import Postgres, free_port  # noqa: E402
from harness.server import answers  # noqa: E402

SETTINGS = """
[DEFAULT]
coordination_url = file://{directory}/coordination
[indexer]
url = {url}
[storage]
driver = file
file_basepath = {directory}/data
[api]
auth_mode = basic
max_limit = 1000
[metricd]
workers = 2
metric_processing_delay = 1
"""


def serve_api(port: int, path: str) -> None:
    """The API in this process, until it is killed."""
    import waitress
    from gnocchi.cli import api
    from gnocchi.rest import app

    sys.argv = ["gnocchi-api", "--config-file", path]
    waitress.serve(app.load_app(api.prepare_service()), host="127.0.0.1", port=port, threads=8)


class Gnocchi:
    """All processes of one Gnocchi, with its data in a directory."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.port = free_port()
        self.postgres = Postgres().start()
        self.processes: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Returns when the API answers."""
        path = os.path.join(self.directory, "gnocchi.conf")
        os.makedirs(os.path.join(self.directory, "data"))
        with open(path, "w", encoding="utf-8") as file:
            file.write(SETTINGS.format(directory=self.directory, url=self.postgres.url()))
        programs = os.path.dirname(sys.executable)
        subprocess.run([f"{programs}/gnocchi-upgrade", "--config-file", path], check=True, stderr=subprocess.DEVNULL)
        own = os.path.abspath(__file__)
        for command in ([f"{programs}/gnocchi-metricd", "--config-file", path],
                        [sys.executable, own, "--serve-api", str(self.port), path]):
            with open(os.path.join(self.directory, "log"), "ab") as log:
                self.processes.append(subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True))
        ends = time.monotonic() + 60
        while not answers(self.port):
            if time.monotonic() > ends:
                raise RuntimeError("gnocchi-api does not answer")
            time.sleep(0.1)

    def pids(self) -> list[int]:
        """The processes whose trees are all of it."""
        with open(os.path.join(self.postgres.data, "postmaster.pid"), encoding="utf-8") as file:
            return [*(process.pid for process in self.processes), int(file.readline())]

    def stop(self) -> None:
        """Ends everything."""
        for process in self.processes:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.postgres.stop()


def main() -> int:
    """Starts the peer and the bench."""
    if sys.argv[1:2] == ["--serve-api"]:
        serve_api(int(sys.argv[2]), sys.argv[3])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.environ.get("NEPHOMETER_BIN", "nephometer"))
    parser.add_argument("--metrics", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    args, rest = parser.parse_known_args()
    with tempfile.TemporaryDirectory(prefix="gnocchi-bench-") as directory:
        gnocchi = Gnocchi(directory)
        try:
            gnocchi.start()
            peer = [f"gnocchi,url=http://127.0.0.1:{gnocchi.port}", *(f"pid={pid}" for pid in gnocchi.pids()),
                    f"data-dir={directory}/data", f"metrics={args.metrics}", f"rounds={args.rounds}"]
            return subprocess.run([args.program, "bench", *rest, "--against", ",".join(peer)], check=False).returncode
        finally:
            gnocchi.stop()


if __name__ == "__main__":
    sys.exit(main())
