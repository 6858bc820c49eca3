"""A real Zaqar 23 on Redis."""

import pathlib

from cloud.programs import Programs
from harness.keystone import Keystone
from harness.postgres import free_port

CONF = """
[DEFAULT]
auth_strategy = keystone
pooling = false
[drivers]
transport = wsgi
message_store = redis
management_store = redis
[drivers:transport:wsgi]
bind = 127.0.0.1
port = {port}
[drivers:message_store:redis]
uri = redis://127.0.0.1:{redis}
[drivers:management_store:redis]
uri = redis://127.0.0.1:{redis}
[signed_url]
secret_key = pw-of-signatures
[storage]
queue_pipeline = zaqar.notification.notifier
message_pipeline = zaqar.notification.notifier
[keystone_authtoken]
www_authenticate_uri = {keystone}
interface = public
auth_type = password
auth_url = {keystone}
username = zaqar
password = pw-zaqar
user_domain_id = default
project_name = service
project_domain_id = default
"""


def start(programs: Programs, python: pathlib.Path, identity: Keystone) -> None:
    """Starts Redis and Zaqar and enters it into the catalogue."""
    identity.add_service_user("zaqar")
    redis, port = free_port(), free_port()
    programs.start("redis", "redis-server", "--bind", "127.0.0.1", "--port", redis, "--dir", programs.root, "--save", "", "--appendonly", "no")
    programs.wait("redis", redis)
    options = ["--config-file", programs.write("zaqar.conf", CONF.format(port=port, redis=redis, keystone=identity.url))]
    programs.start("zaqar", python.parent / "zaqar-server", *options)
    identity.add_endpoint("messaging", programs.wait("zaqar", port))
