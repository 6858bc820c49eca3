"""Makes the tables of Octavia from its models in an empty database, with the words that balancers use.

    octavia_tables.py DATABASE

`octavia-db-manage` speaks MySQL's dialect alone in some of its steps.
"""

import sys

# This folder has a module that is called like the service.
del sys.path[0]

import sqlalchemy  # noqa: E402
from octavia.common import constants  # noqa: E402
from octavia.db import base_models, models  # noqa: E402
from sqlalchemy.orm import Session  # noqa: E402

WORDS = {
    models.ProvisioningStatus: constants.SUPPORTED_PROVISIONING_STATUSES,
    models.OperatingStatus: constants.SUPPORTED_OPERATING_STATUSES,
    models.LBTopology: constants.SUPPORTED_LB_TOPOLOGIES,
}

if __name__ == "__main__":
    engine = sqlalchemy.create_engine(sys.argv[1])
    base_models.BASE.metadata.create_all(engine)
    with Session(engine) as session:
        session.add_all(table(name=word) for table, words in WORDS.items() for word in words)
        session.commit()
