"""Stands in for what a provider of Octavia's would do, where the provider is the one that does nothing.

    provider.py SQLALCHEMY_URL

Octavia's API writes down what is wanted (`PENDING_…`) and hands it to a provider, which makes it and then says so in Octavia's
database. The provider `noop_driver` never does; this does nothing, too, but says so. New members are online.
"""

import sys
import time

import sqlalchemy

WANTED = "provisioning_status IN ('PENDING_CREATE', 'PENDING_UPDATE')"
ORDERS = [
    *(f"DELETE FROM {table} WHERE provisioning_status = 'PENDING_DELETE'" for table in ("member", "health_monitor")),
    # One statement, as each sees what has been written since the one before.
    "UPDATE member SET provisioning_status = 'ACTIVE', operating_status = "
    f"CASE provisioning_status WHEN 'PENDING_CREATE' THEN 'ONLINE' ELSE operating_status END WHERE {WANTED}",
    # The load balancer last: while it is pending, Octavia takes no further orders for what it has.
    *(f"UPDATE {table} SET provisioning_status = 'ACTIVE' WHERE {WANTED}" for table in ("health_monitor", "pool", "load_balancer")),
]
PAUSE_SECONDS = 0.2


def main() -> None:
    """Until it is ended."""
    engine = sqlalchemy.create_engine(sys.argv[1])
    while True:
        with engine.begin() as connection:
            for order in ORDERS:
                connection.execute(sqlalchemy.text(order))
        time.sleep(PAUSE_SECONDS)


if __name__ == "__main__":
    main()
