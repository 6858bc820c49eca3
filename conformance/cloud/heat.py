"""A real Heat 27: its API, the one that takes signed URLs, and its engine, on PostgreSQL and RabbitMQ."""

import pathlib

from cloud.programs import Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from harness.rabbitmq import Rabbitmq

CONF = """
[DEFAULT]
transport_url = {bus}
auth_encryption_key = 0123456789abcdef0123456789abcdef
num_engine_workers = 1
environment_dir = {etc}/environment.d
template_dir = {etc}/templates
region_name_for_services = RegionOne
stack_user_domain_id = {domain}
stack_domain_admin = heat-domain-admin
stack_domain_admin_password = pw-heat-domain-admin
default_notification_level = INFO
[clients]
endpoint_type = publicURL
[database]
connection = {database}
[paste_deploy]
api_paste_config = {etc}/api-paste.ini
[clients_keystone]
auth_uri = {keystone_root}
[trustee]
{user}
[ec2authtoken]
endpoint_override = {keystone_root}
{user}
project_name = service
project_domain_id = default
[keystone_authtoken]
www_authenticate_uri = {keystone}
interface = public
{user}
project_name = service
project_domain_id = default
"""
USER = """auth_type = password
auth_url = {keystone}
username = heat
password = pw-heat
user_domain_id = default"""


def _domain(identity: Keystone) -> str:
    """The domain of the users that Heat makes for stacks, and its administrator."""
    domain = identity.administer("POST", "/domains", {"domain": {"name": "heat"}})["domain"]["id"]
    name = "heat-domain-admin"
    user = {"name": name, "domain_id": domain, "password": f"pw-{name}"}
    made = identity.administer("POST", "/users", {"user": user})["user"]["id"]
    identity.administer("PUT", f"/domains/{domain}/users/{made}/roles/{identity.find('role', 'admin')}")
    return domain


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres, bus: Rabbitmq) -> None:
    """Starts all of Heat and enters it into the catalogue."""
    etc = python.parent.parent / "etc/heat"
    identity.add_service_user("heat")
    identity.administer("POST", "/roles", {"role": {"name": "heat_stack_user"}})
    text = CONF.format(bus=bus.transport_url(), etc=etc, domain=_domain(identity), database=postgres.database("heat"),
                       keystone=identity.url, keystone_root=identity.url.removesuffix("/v3"), user=USER.format(keystone=identity.url))
    options = ["--config-file", programs.write("heat.conf", text)]
    programs.run("heat-manage", python.parent / "heat-manage", *options, "db_sync")
    programs.start("heat-engine", python.parent / "heat-engine", *options)
    stacks = programs.serve("heat-api", python, "heat.wsgi.api:application", *options)
    identity.add_endpoint("orchestration", f"{stacks}/v1/%(tenant_id)s")
    signed = programs.serve("heat-api-cfn", python, "heat.wsgi.cfn:application", *options)
    identity.add_endpoint("cloudformation", f"{signed}/v1")
