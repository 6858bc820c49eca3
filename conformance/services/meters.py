"""The meters of Ceilometer 27's central namespace, all of them gauges, with their units."""

_UNITS = {
    "evaluation_result_count": ["alarm.evaluation_result"],
    "ip": ["ip.floating"],
    "B": ["image.size", "storage.objects.size", "storage.containers.objects.size", "radosgw.objects.size",
          "radosgw.containers.objects.size"],
    "object": ["storage.objects", "storage.containers.objects", "radosgw.objects", "radosgw.objects.containers",
               "radosgw.containers.objects"],
    "container": ["storage.objects.containers"],
    "request": ["radosgw.api.request"],
    "vpnservice": ["network.services.vpn"],
    "ipsec_site_connection": ["network.services.vpn.connections"],
    "firewall": ["network.services.firewall"],
    "firewall_policy": ["network.services.firewall.policy"],
    "status": ["loadbalancer.operating", "loadbalancer.provisioning", "dns.zone.status", "manila.share.status"],
    "recordset": ["dns.zone.recordsets"],
    "second": ["dns.zone.ttl"],
    "serial": ["dns.zone.serial"],
    "GiB": ["volume.size", "volume.snapshot.size", "volume.backup.size", "manila.share.size",
            *(f"volume.provider.pool.capacity.{what}" for what in ("total", "free", "allocated", "provisioned", "virtual_free"))],
    "health": ["volume.service.health"],
}
CENTRAL = {name: ("gauge", unit) for unit, names in _UNITS.items() for name in names}

# What the services of this proof have: all but Aodh, Designate, Manila and Ceph.
HERE = {name for name in CENTRAL if not name.startswith(("alarm.", "dns.", "manila.", "radosgw."))}
