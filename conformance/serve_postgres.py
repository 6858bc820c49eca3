"""`serve-metric` with the index in a PostgreSQL of its own, which lives and dies with it.

    serve_postgres.py PORT DIR
"""

import os
import pathlib
import signal
import subprocess
import sys

from harness.postgres import Postgres


def main() -> int:
    """Starts PostgreSQL and the server; SIGTERM stops the server first, then PostgreSQL."""
    postgres = Postgres().start()
    url = postgres.url().replace("postgresql+psycopg2", "postgresql")
    command = [str(pathlib.Path(__file__).with_name("serve-metric")), *sys.argv[1:], "--set", f"index.url={url}"]
    server = subprocess.Popen(command)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.terminate())
    try:
        return server.wait()
    finally:
        postgres.stop()


if __name__ == "__main__":
    os._exit(main())
