"""A real Cinder 29: API, scheduler, volumes and backups."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from harness.rabbitmq import Rabbitmq
from openstack.settings import authtoken

BACKEND = "sparse"
# As Cinder calls a host that keeps volumes, and the pool of its only back end.
HOST = "cloud-host"
POOL = f"{HOST}@{BACKEND}#{BACKEND}"

CONF = """
[DEFAULT]
transport_url = {bus}
control_exchange = cinder
auth_strategy = keystone
state_path = {root}
api_paste_config = {etc}/api-paste.ini
resource_query_filters_file = {etc}/resource_filters.json
rootwrap_config = {etc}/rootwrap.conf
enabled_backends = {backend}
default_volume_type = plain
my_ip = 127.0.0.1
host = {host}
backup_driver = cinder.backup.drivers.posix.PosixBackupDriver
backup_posix_path = {root}/backups
# Volumes are sparse files: small pieces, so that a backup of one reads little at a time.
backup_file_size = 33554432
backup_sha_block_size_bytes = 32768
# Capacities and states of services are told soon.
report_interval = 2
periodic_interval = 5
periodic_fuzzy_delay = 0
backend_stats_polling_interval = 5
[{backend}]
volume_driver = sparse_volumes.SparseVolumes
volume_backend_name = {backend}
[oslo_concurrency]
lock_path = {root}/locks
[database]
connection = {database}
[privsep_osbrick]
helper_command = {helper}
[cinder_sys_admin]
helper_command = {helper}
{authtoken}
"""
# Cinder asks `sudo` for what only root may do; whoever runs this proof without being root has to let it.
SUDO = "#!/bin/sh\nexec \"$@\"\n"


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres, bus: Rabbitmq) -> None:
    """Starts all of it and enters it into the catalogue."""
    root = programs.root / "cinder"
    path = root / "cinder.conf"
    text = CONF.format(bus=bus.transport_url(), root=root, etc=python.parent.parent / "etc/cinder", backend=BACKEND, host=HOST,
                       database=postgres.database("cinder"), helper=f"{python.parent}/privsep-helper --config-file {path}",
                       authtoken=authtoken(identity, "cinder"))
    programs.write("cinder/cinder.conf", text)
    programs.write("bin/sudo", SUDO).chmod(0o755)
    drivers = HERE.parent / "openstack/drivers"
    environment = {"PATH": f"{programs.root}/bin:{python.parent}:/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": str(drivers),
                   "SPARSE_VOLUMES": str(root / "volumes"), "PYTHONWARNINGS": "ignore"}
    options = ["--config-file", path]
    programs.run("cinder-manage", python.parent / "cinder-manage", *options, "db", "sync", environment=environment)
    for name in ("cinder-scheduler", "cinder-volume", "cinder-backup"):
        programs.start(name, python.parent / name, *options, environment=environment)
    address = programs.serve("cinder", python, "cinder.wsgi.api:application", *options, environment=environment)
    identity.add_endpoint("volumev3", f"{address}/v3/%(tenant_id)s")
