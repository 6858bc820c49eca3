"""What the configuration files of all services have in common."""

from harness.keystone import Keystone

# Who polls, which is not who makes things.
POLLER = "poller"
# So many objects services give at a time, so that their lists have several pages.
PAGE = 2

_USER = """auth_type = password
auth_url = {keystone}
username = {name}
password = pw-{name}
user_domain_id = default
project_name = service
project_domain_id = default
"""


def user(identity: Keystone, name: str) -> str:
    """How a service's user signs in."""
    return _USER.format(keystone=identity.url, name=name)


def authtoken(identity: Keystone, name: str) -> str:
    """The section by which a service asks who its callers are; its user is made."""
    identity.add_service_user(name)
    return f"[keystone_authtoken]\nwww_authenticate_uri = {identity.url}\ninterface = public\n{user(identity, name)}"
