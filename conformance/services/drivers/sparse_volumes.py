"""A driver of Cinder's for volumes that are sparse files: Cinder's own driver for tests, which only logs what it is told,
with files that can be read, so that backups are real. Cinder's processes load it."""

import os
import pathlib
from typing import Any

from cinder.tests import fake_driver

# So much of a file stands for a GiB: backups read it to its end.
GIB = 1 << 20


class SparseVolumes(fake_driver.FakeLoggingVolumeDriver):
    """Volumes of one host, in the directory that SPARSE_VOLUMES names."""

    def _file(self, volume: Any) -> pathlib.Path:
        path = pathlib.Path(os.environ["SPARSE_VOLUMES"]) / volume["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            path.touch()
            os.truncate(path, volume["size"] * GIB)
        return path

    def create_volume(self, volume: Any) -> None:
        """Makes the file."""
        self._file(volume)

    def delete_volume(self, volume: Any) -> None:
        """Removes the file."""
        self._file(volume).unlink()

    def initialize_connection(self, volume: Any, connector: Any, **_: Any) -> dict[str, Any]:
        """Where the volume is: on this host."""
        return {"driver_volume_type": "local", "data": {"device_path": str(self._file(volume))}}

    def terminate_connection(self, volume: Any, connector: Any, **_: Any) -> None:
        """Nothing was connected."""

    def validate_connector(self, connector: Any) -> bool:
        """Every host is this one."""
        return True

    def _update_volume_stats(self) -> None:
        """Capacities that can be computed with: of 100 GiB a tenth is kept back, thin volumes may promise twice as much."""
        files = pathlib.Path(os.environ["SPARSE_VOLUMES"]).glob("volume-*")
        promised = sum(path.stat().st_size for path in files) // GIB
        self._stats = {
            "volume_backend_name": self.configuration.volume_backend_name, "vendor_name": "proof", "driver_version": "1",
            "storage_protocol": "local", "pools": [{
                "pool_name": self.configuration.volume_backend_name, "total_capacity_gb": 100, "free_capacity_gb": 100 - promised,
                "provisioned_capacity_gb": promised, "reserved_percentage": 10, "thin_provisioning_support": True,
                "max_over_subscription_ratio": "2.0", "QoS_support": False, "multiattach": False}]}
