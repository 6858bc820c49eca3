"""A real Octavia 19: its API over a provider that does nothing, so that balancers wait to be created."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from harness.rabbitmq import Rabbitmq
from services.settings import PAGE, authtoken, user

CONF = """
[DEFAULT]
transport_url = {bus}
[api_settings]
auth_strategy = keystone
enabled_provider_drivers = noop_driver:does nothing
default_provider_driver = noop_driver
pagination_max_limit = {page}
allow_pagination = true
[oslo_messaging]
topic = octavia_prov
[database]
connection = {database}
[service_auth]
{user}
[controller_worker]
amphora_driver = amphora_noop_driver
compute_driver = compute_noop_driver
network_driver = network_noop_driver
[certificates]
server_certs_key_passphrase = insecure-key-do-not-use-this-key
[driver_agent]
status_socket_path = {root}/status.sock
stats_socket_path = {root}/stats.sock
get_socket_path = {root}/get.sock
{authtoken}
"""


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres, bus: Rabbitmq) -> None:
    """Starts it and enters it into the catalogue."""
    database = postgres.database("octavia")
    text = CONF.format(page=PAGE, bus=bus.transport_url(), database=database, root=programs.root / "octavia",
                       authtoken=authtoken(identity, "octavia"), user=user(identity, "octavia"))
    conf = programs.write("octavia/octavia.conf", text)
    programs.run("octavia-schema", python, HERE / "schema.py", database)
    address = programs.serve("octavia", python, "octavia.wsgi.api:application", "--config-file", conf)
    identity.add_endpoint("load-balancer", address)
