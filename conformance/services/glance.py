"""A real Glance 33: its API, with images in a directory."""

import pathlib

from cloud.programs import Programs
from harness.keystone import Keystone
from harness.postgres import Postgres
from services.settings import PAGE, authtoken

CONF = """
[DEFAULT]
enabled_backends = files:file
transport_url = fake://
limit_param_default = {page}
[glance_store]
default_backend = files
[files]
filesystem_store_datadir = {root}/images
[os_glance_staging_store]
filesystem_store_datadir = {root}/staging
[os_glance_tasks_store]
filesystem_store_datadir = {root}/tasks
[database]
connection = {database}
[paste_deploy]
flavor = keystone
config_file = {etc}/glance-api-paste.ini
{authtoken}
"""


def start(programs: Programs, python: pathlib.Path, identity: Keystone, postgres: Postgres) -> None:
    """Starts it and enters it into the catalogue."""
    text = CONF.format(page=PAGE, root=programs.root / "glance", etc=python.parent.parent / "etc/glance",
                       database=postgres.database("glance"), authtoken=authtoken(identity, "glance"))
    conf = programs.write("glance/glance-api.conf", text)
    programs.run("glance-manage", python.parent / "glance-manage", "--config-file", conf, "db_sync")
    identity.add_endpoint("image", programs.serve("glance", python, "glance.wsgi.api:application",
                                                  environment={"OS_GLANCE_CONFIG_DIR": str(conf.parent)}))
