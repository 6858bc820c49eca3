"""Makes the tables of a Neutron with VPN and firewalls, from their own models, in an empty database.

    tables.py DATABASE

`neutron-db-manage` speaks MySQL's dialect alone in some of its steps; the tables that it ends with are these.
"""

import sys

# This folder has a module that is called like the service.
del sys.path[0]

import sqlalchemy  # noqa: E402
from neutron.db.migration.models import head  # noqa: E402
from neutron_fwaas.db.firewall.v2 import firewall_db_v2 as _firewalls  # noqa: E402, F401
from neutron_vpnaas.db.models import head as _vpn  # noqa: E402, F401

if __name__ == "__main__":
    head.get_metadata().create_all(sqlalchemy.create_engine(sys.argv[1]))
