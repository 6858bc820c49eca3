"""A real Neutron 29: its API with routers, VPN and firewalls as plug-ins; no agents, so that nothing becomes active."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from harness.rabbitmq import Rabbitmq
from services.settings import PAGE, authtoken

CONF = """
[DEFAULT]
transport_url = {bus}
core_plugin = ml2
service_plugins = router,vpnaas,firewall_v2
state_path = {root}
api_paste_config = {etc}/neutron/api-paste.ini
auth_strategy = keystone
pagination_max_limit = {page}
notify_nova_on_port_status_changes = false
notify_nova_on_port_data_changes = false
# Nobody is there to answer.
rpc_response_timeout = 5
[oslo_concurrency]
lock_path = {root}/locks
[database]
connection = {database}
[ml2]
type_drivers = flat,vxlan
tenant_network_types = vxlan
mechanism_drivers =
extension_drivers = port_security
[ml2_type_flat]
flat_networks = *
[ml2_type_vxlan]
vni_ranges = 1:1000
[service_providers]
service_provider = VPN:plain:neutron_vpnaas.services.vpn.service_drivers.ipsec.IPsecVPNDriver:default
service_provider = FIREWALL_V2:plain:neutron_fwaas.services.firewall.service_drivers.agents.agents.FirewallAgentDriver:default
{authtoken}
"""


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres, bus: Rabbitmq) -> None:
    """Starts it and enters it into the catalogue."""
    database = postgres.database("neutron")
    text = CONF.format(page=PAGE, bus=bus.transport_url(), root=programs.root / "neutron", etc=python.parent.parent / "etc",
                       database=database, authtoken=authtoken(identity, "neutron"))
    conf = programs.write("neutron/neutron.conf", text)
    programs.run("neutron-tables", python, HERE.parent / "services/tables.py", database)
    environment = {"OS_NEUTRON_CONFIG_DIR": str(conf.parent), "OS_NEUTRON_CONFIG_FILES": "neutron.conf"}
    identity.add_endpoint("network", programs.serve("neutron", python, "neutron.wsgi.api:application", environment=environment))
