"""A real Swift 2.38: proxy, account, container and object server on one device, and what carries counts up to accounts."""

import getpass
import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import free_port
from services.settings import PAGE, authtoken

# Who may look into everybody's accounts.
RESELLER = "ResellerAdmin"

HASHES = """
[swift-hash]
swift_hash_path_prefix = proof
swift_hash_path_suffix = proof
[swift-constraints]
account_listing_limit = {page}
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


class _Swift:
    """What its programs share: a directory, and the user of this machine that they run as."""

    def __init__(self, programs: Programs, python: pathlib.Path) -> None:
        self.programs = programs
        self.python = python
        self.root = programs.root / "swift"
        self.user = getpass.getuser()

    def start(self, name: str, program: str, conf: pathlib.Path) -> None:
        """Starts a program."""
        wrapper = HERE.parent / "services/swift_program.py"
        self.programs.start(name, self.python, wrapper, self.root, self.python.parent / program, conf)

    def node(self, name: str) -> pathlib.Path:
        """Starts the server of one kind of things, with a ring of one device; its configuration."""
        port, builder = free_port(), self.root / f"{name}.builder"
        for words in (["create", "4", "1", "1"], ["add", f"r1z1-127.0.0.1:{port}/disk", "1"], ["rebalance"]):
            self.programs.run(f"swift-ring-{name}", self.python.parent / "swift-ring-builder", builder, *words)
        text = NODE.format(port=port, user=self.user, root=self.root, name=name)
        conf = self.programs.write(f"swift/{name}-server.conf", text)
        self.start(f"swift-{name}", f"swift-{name}-server", conf)
        self.programs.wait(f"swift-{name}", port)
        return conf


def start(programs: Programs, python: pathlib.Path, identity: Keystone) -> None:
    """Starts all of Swift and enters it into the catalogue."""
    swift = _Swift(programs, python)
    (swift.root / "devices/disk").mkdir(parents=True)
    programs.write("swift/swift.conf", HASHES.format(page=PAGE))
    confs = {name: swift.node(name) for name in ("account", "container", "object")}
    swift.start("swift-updater", "swift-container-updater", confs["container"])
    identity.administer("POST", "/roles", {"role": {"name": RESELLER}})
    section = authtoken(identity, "swift").partition("\n")[2]
    port = free_port()
    text = PROXY.format(port=port, user=swift.user, root=swift.root, authtoken=section)
    swift.start("swift", "swift-proxy-server", programs.write("swift/proxy-server.conf", text))
    identity.add_endpoint("object-store", f"{programs.wait('swift', port)}/v1/AUTH_%(tenant_id)s")
