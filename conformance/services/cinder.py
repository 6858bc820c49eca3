"""A real Cinder 29: API, scheduler, volumes and backups."""

import pathlib

from cloud.programs import HERE, Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from harness.rabbitmq import Rabbitmq
from services.settings import PAGE, authtoken

BACKEND = "sparse"
# As Cinder calls a host that keeps volumes, and the pool of its only back end.
HOST = "cloud-host"
POOL = f"{HOST}@{BACKEND}#{BACKEND}"

CONF = """
[DEFAULT]
transport_url = {bus}
control_exchange = cinder
auth_strategy = keystone
osapi_max_limit = {page}
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


class Cinder:
    """All of it."""

    def __init__(self, programs: Programs, python: pathlib.Path) -> None:
        self.programs = programs
        self.python = python
        self.root = programs.root / "cinder"
        self.options = ["--config-file", self.root / "cinder.conf"]
        path = f"{programs.root}/bin:{python.parent}:/usr/sbin:/usr/bin:/sbin:/bin"
        self.environment = {"PATH": path, "PYTHONPATH": str(HERE.parent / "services/drivers"), "PYTHONWARNINGS": "ignore",
                            "SPARSE_VOLUMES": str(self.root / "volumes")}

    def start(self, identity: Keystone, postgres: Postgres, bus: Rabbitmq) -> None:
        """Starts it and enters it into the catalogue."""
        bin_dir = self.python.parent
        helper = f"{bin_dir}/privsep-helper --config-file {self.root}/cinder.conf"
        text = CONF.format(page=PAGE, bus=bus.transport_url(), root=self.root, etc=bin_dir.parent / "etc/cinder", backend=BACKEND,
                           host=HOST, database=postgres.database("cinder"), helper=helper,
                           authtoken=authtoken(identity, "cinder"))
        self.programs.write("cinder/cinder.conf", text)
        self.programs.write("bin/sudo", SUDO).chmod(0o755)
        manage = [bin_dir / "cinder-manage", *self.options, "db", "sync"]
        self.programs.run("cinder-manage", *manage, environment=self.environment)
        for name in ("cinder-scheduler", "cinder-volume", "cinder-backup"):
            self.programs.start(name, bin_dir / name, *self.options, environment=self.environment)
        identity.add_endpoint("volumev3", f"{self.serve()}/v3/%(tenant_id)s")

    def serve(self) -> str:
        """Starts the API, where it was before; its address."""
        application = "cinder.wsgi.api:application"
        return self.programs.serve("cinder", self.python, application, *self.options, environment=self.environment)
