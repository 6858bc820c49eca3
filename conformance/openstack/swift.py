"""A real Swift 2.38: proxy, account, container and object server on one device, and what carries counts up to accounts."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import free_port
from openstack.settings import authtoken

# Who may look into everybody's accounts.
RESELLER = "ResellerAdmin"

HASHES = """
[swift-hash]
swift_hash_path_prefix = proof
swift_hash_path_suffix = proof
[storage-policy:0]
name = gold
default = yes
"""
NODE = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {root}
devices = {root}/devices
mount_check = false
workers = 0
fallocate_reserve = 0
[pipeline:main]
pipeline = {name}-server
[app:{name}-server]
use = egg:swift#{name}
[container-updater]
interval = 1
"""
PROXY = """
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
user = {user}
swift_dir = {root}
workers = 0
[pipeline:main]
pipeline = catch_errors authtoken keystoneauth proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:authtoken]
paste.filter_factory = keystonemiddleware.auth_token:filter_factory
delay_auth_decision = true
{authtoken}
[filter:keystoneauth]
use = egg:swift#keystoneauth
operator_roles = member
reseller_admin_role = ResellerAdmin
"""


def _node(programs: Programs, python: pathlib.Path, name: str, user: str) -> pathlib.Path:
    """Starts the server of one kind of things, with a ring of one device; its configuration."""
    root, port = programs.root / "swift", free_port()
    builder = root / f"{name}.builder"
    for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/disk", "1"], ["rebalance"]):
        programs.run(f"swift-ring-{name}", python.parent / "swift-ring-builder", builder, *words)
    conf = programs.write(f"swift/{name}-server.conf", NODE.format(port=port, user=user, root=root, name=name))
    programs.start(f"swift-{name}", python.parent / f"swift-{name}-server", conf)
    programs.wait(f"swift-{name}", port)
    return conf


def start(programs: Programs, python: pathlib.Path, identity: Keystone, user: str) -> None:
    """Starts all of it as a user of this machine and enters it into the catalogue."""
    root = programs.root / "swift"
    (root / "devices/disk").mkdir(parents=True)
    programs.write("swift/swift.conf", HASHES)
    confs = {name: _node(programs, python, name, user) for name in ("account", "container", "object")}
    programs.start("swift-updater", python, HERE.parent / "openstack/updater.py", root, confs["container"])
    identity.administer("POST", "/roles", {"role": {"name": RESELLER}})
    section = authtoken(identity, "swift").partition("\n")[2]
    port = free_port()
    conf = programs.write("swift/proxy-server.conf", PROXY.format(port=port, user=user, root=root, authtoken=section))
    programs.start("swift", python.parent / "swift-proxy-server", conf)
    identity.add_endpoint("object-store", f"{programs.wait('swift', port)}/v1/AUTH_%(tenant_id)s")
