"""Makes Octavia's tables in a database that is no MySQL.

    schema.py SQLALCHEMY_URL

Octavia's migrations speak MySQL's SQL; its models do not. Names of states and the like are rows that others refer to.
"""

import sys

import sqlalchemy

# This folder has modules that are called like the services.
del sys.path[0]
from octavia.common import constants  # noqa: E402
from octavia.db import base_models, models  # noqa: E402

NAMES = {
    models.ProvisioningStatus: constants.SUPPORTED_PROVISIONING_STATUSES,
    models.OperatingStatus: constants.SUPPORTED_OPERATING_STATUSES,
    models.Protocol: constants.SUPPORTED_PROTOCOLS,
    models.Algorithm: constants.SUPPORTED_LB_ALGORITHMS,
    models.LBTopology: constants.SUPPORTED_LB_TOPOLOGIES,
    models.HealthMonitorType: constants.SUPPORTED_HEALTH_MONITOR_TYPES,
}


def main() -> None:
    """Tables and names."""
    engine = sqlalchemy.create_engine(sys.argv[1])
    base_models.BASE.metadata.create_all(engine)
    with engine.begin() as connection:
        for model, names in NAMES.items():
            connection.execute(sqlalchemy.insert(model.__table__), [{"name": name} for name in names])


if __name__ == "__main__":
    main()
