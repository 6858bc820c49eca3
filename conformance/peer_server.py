"""Real Gnocchi 4.7.1 in one process: its WSGI application behind waitress, its processing in a thread.

    peer_server.py PORT DIR

Configured like the server that upstream's own gabbi tests run in process: empty database and storage, basic
authentication, `max_limit` 7, proxy headers parsed, one CORS origin, mounted both at `/` and at `/gnocchi`. The
environment variables MAX_LIMIT and DEFAULT_POLICIES change what the gabbi files need but other clients do not.
"""

import os
import signal
import sys
import threading
import time
import uuid
from typing import Any, Callable, Iterable

import waitress
from oslo_config import cfg
from oslo_middleware import cors

from gnocchi import archive_policy, chef, incoming, indexer, service, storage
from gnocchi.cli import metricd
from gnocchi.rest import app as rest_app
from gnocchi.tests import utils as test_utils
from harness.postgres import Postgres

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def configuration(url: str, directory: str) -> cfg.ConfigOpts:
    """The configuration object, with what upstream's fixture sets."""
    path = os.path.join(directory, "gnocchi.conf")
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"[indexer]\nurl = {url}\n")
    conf = service.prepare_service([], conf=test_utils.prepare_conf(), default_config_files=[path], skip_log_opts=True)
    cfg.set_defaults(cors.CORS_OPTS, allowed_origin="http://foobar.com")
    rest_dir = os.path.dirname(rest_app.__file__)
    for group, key, value in (
        ("api", "paste_config", os.path.join(rest_dir, "api-paste.ini")),
        ("oslo_policy", "policy_file", os.path.join(rest_dir, "policy.yaml")),
        ("storage", "driver", "file"),
        ("storage", "file_basepath", directory),
        ("api", "max_limit", int(os.environ.get("MAX_LIMIT", "7"))),
        ("api", "enable_proxy_headers_parsing", True),
    ):
        conf.set_override(key, value, group=group)
    conf.set_override("coordination_url", f"file://{directory}/coordination")
    return conf


def process_forever(the_chef: chef.Chef) -> None:
    """What metricd does, without its schedule: every sack, then a short rest."""
    while True:
        for sack in the_chef.incoming.iter_sacks():
            the_chef.process_new_measures_for_sack(sack, blocking=True)
        time.sleep(0.05)


def under_prefix(application: Wsgi, prefix: str) -> Wsgi:
    """The application at `/` and, as if mounted there, at `prefix`."""

    def call(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        path = environ["PATH_INFO"]
        if path == prefix or path.startswith(prefix + "/"):
            environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
            environ["PATH_INFO"] = path[len(prefix) :]
        return application(environ, start_response)

    return call


def main() -> None:
    """Starts everything and serves until SIGTERM."""
    port, directory = int(sys.argv[1]), os.path.abspath(sys.argv[2])
    postgres = Postgres().start()

    def leave(*_: object) -> None:
        postgres.stop()
        os._exit(0)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGINT, leave)
    try:
        serve(postgres.url(), directory, port)
    finally:
        postgres.stop()


def serve(url: str, directory: str, port: int) -> None:
    """Upstream's parts over this index and directory, until the process is told to leave."""
    conf = configuration(url, directory)
    index = indexer.get_driver(conf)
    index.upgrade()
    if os.environ.get("DEFAULT_POLICIES") == "true":
        for policy in archive_policy.DEFAULT_ARCHIVE_POLICIES.values():
            index.create_archive_policy(policy)
        index.create_archive_policy_rule("default", "*", "low")
    store, measures = storage.get_driver(conf), incoming.get_driver(conf)
    store.upgrade()
    measures.upgrade(16)
    coordinator = metricd.get_coordinator_and_start(str(uuid.uuid4()).encode(), conf.coordination_url)
    group = metricd.MetricProcessor.GROUP_ID
    coordinator.join_partitioned_group(group, partitions=200)
    the_chef = chef.Chef(coordinator, measures, index, store)
    threading.Thread(target=process_forever, args=(the_chef,), daemon=True).start()
    application = under_prefix(rest_app.load_app(conf), "/gnocchi")
    waitress.serve(application, host="127.0.0.1", port=port, threads=8, clear_untrusted_proxy_headers=False,
                   ident=None, expose_tracebacks=False)


if __name__ == "__main__":
    main()
