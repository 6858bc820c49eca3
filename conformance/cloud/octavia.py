"""A real Octavia 19: its API with the provider that does nothing, on PostgreSQL, and who stands in for what is behind it."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import Postgres

# Members of a pool in one answer: few, so that ours has to ask for the pages that follow.
PAGE = 2
CONF = """
[api_settings]
auth_strategy = keystone
enabled_provider_drivers = noop_driver:nothing
default_provider_driver = noop_driver
pagination_max_limit = {page}
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
[oslo_concurrency]
lock_path = {root}/locks
[database]
connection = {database}
[keystone_authtoken]
www_authenticate_uri = {keystone}
interface = public
auth_type = password
auth_url = {keystone}
username = octavia
password = pw-octavia
user_domain_id = default
project_name = service
project_domain_id = default
"""


class Octavia:
    """What proofs need to know of it."""

    def __init__(self, postgres: Postgres, port: int) -> None:
        self.postgres = postgres
        self.port = port

    def member_is(self, member: str, status: str) -> None:
        """Has a health monitor find a member in this operating status."""
        self.postgres.execute("octavia", f"UPDATE member SET operating_status = '{status}' WHERE id = '{member}'")


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres) -> Octavia:
    """Starts it and enters it into the catalogue."""
    identity.add_service_user("octavia")
    database = postgres.database("octavia")
    text = CONF.format(page=PAGE, root=programs.root, database=database, keystone=identity.url)
    options = ["--config-file", programs.write("octavia.conf", text)]
    programs.run("octavia-schema", python, HERE / "schema.py", database)
    programs.start("octavia-provider", python, HERE / "provider.py", database)
    address = programs.serve("octavia", python, "octavia.wsgi.api:application", *options)
    identity.add_endpoint("load-balancer", address)
    return Octavia(postgres, programs.ports["octavia"])
