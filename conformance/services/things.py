"""Things that members of two projects and the administrator have in the services, made through their APIs; and what meters
of them are to say."""

import dataclasses
import urllib.parse
from typing import Any

from cloud.world import Caller, until
from harness.keystone import Keystone
from services import cinder

MEMBERS = {"a": "a-member", "b": "b-member"}
ATTACHMENTS = {"OpenStack-API-Version": "volume 3.71"}
# A pre-shared key.
SECRET = "hush-hush"
# A container whose name is no plain word.
NAMED = "späne & mehr"


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What the newest sample of a meter of a thing says."""

    kind: str
    unit: str
    volume: float
    project: str | None = None
    user: str | None = None


class Things:
    """Makes them, changes them, and knows what is to be read of them."""

    def __init__(self, identity: Keystone, ports: dict[str, int]) -> None:
        self.identity = identity
        self.ports = ports
        self.projects = {name: identity.find("project", name) for name in ("a", "b", "c", "admin")}
        self.users = {name: identity.find("user", name) for name in MEMBERS.values()}
        self.wanted: dict[tuple[str, str], Wanted] = {}
        self.objects: dict[str, dict[str, dict[str, int]]] = {}
        # Of samples, by meter and resource; and of resources in the store, by type and resource.
        self.metadata: dict[tuple[str, str], dict[str, Any]] = {}
        self.attributes: dict[tuple[str, str], dict[str, Any]] = {}
        self.ids: dict[str, str] = {}

    def caller(self, service: str, project: str, extra: dict[str, str] | None = None) -> Caller:
        """A project's member, or the administrator, as a caller of a service."""
        caller = Caller(self.ports[service], {"X-Auth-Token": self.identity.token(MEMBERS.get(project, "admin"), project)})
        caller.api.extra.update(extra or {})
        return caller

    def _want(self, meter: str, resource: str, kind: str, unit: str, volume: float, project: str | None,
              owned: bool = False) -> None:
        user = self.users[MEMBERS[project]] if owned and project else None
        owner = self.projects[project] if project else None
        self.wanted[meter, resource] = Wanted(kind, unit, volume, owner, user)

    def make(self) -> None:
        """All of them."""
        self._images()
        self._volumes()
        self._networks()
        self._balancers()
        self._objects()

    # Images.

    def image(self, name: str, project: str, size: int | None, visibility: str = "private") -> str:
        """An image with so many bytes; None for one that nobody has uploaded yet."""
        glance = self.caller("glance", project)
        body = {"name": name, "disk_format": "raw", "container_format": "bare", "visibility": visibility, "tags": ["proof"]}
        made = glance.post("/v2/images", body)["id"]
        if size is not None:
            status, answer = glance.api.send("PUT", f"/v2/images/{made}/file", b"x" * size, "application/octet-stream")
            if status != 204:
                raise RuntimeError(f"the image's bytes are not taken: {status} {answer!r}")
            self._want("image.size", made, "image", "B", size, project)
            self.attributes["image", made] = {"name": name, "disk_format": "raw", "container_format": "bare"}
        self.ids[name] = made
        return made

    def _images(self) -> None:
        self.image("public", "admin", 1 << 20, "public")
        self.image("private", "a", 123_457)
        self.image("späne", "b", 1)
        self.image("empty", "a", 0)
        self.image("queued", "a", None)

    def delete_image(self, name: str, project: str) -> None:
        """Deletes an image."""
        self.caller("glance", project).delete(f"/v2/images/{self.ids[name]}")
        del self.wanted["image.size", self.ids[name]]

    # Volumes.

    def _cinder(self, project: str, extra: dict[str, str] | None = None) -> tuple[Caller, str]:
        return self.caller("cinder", project, extra), f"/v3/{self.projects[project]}"

    def _until_it_is(self, project: str, kind: str, made: str, status: str = "available") -> None:
        caller, base = self._cinder(project)

        def reached() -> bool:
            found = caller.get(f"{base}/{kind}s/{made}")[kind]
            if found["status"].startswith("error"):
                raise RuntimeError(f"{kind} {made}: {found['status']} {found.get('fail_reason')}")
            return found["status"] == status
        until(f"{kind} {made} is {status}", reached)

    def _of_cinder(self, project: str, kind: str, meter: str, body: dict[str, Any], size: int) -> str:
        caller, base = self._cinder(project)
        made = caller.post(f"{base}/{kind}s", {kind: body})[kind]["id"]
        self._until_it_is(project, kind, made)
        self._want(meter, made, "volume", "GiB", size, project, owned=True)
        self.ids[body["name"]] = made
        return made

    def volume(self, name: str, project: str, size: int) -> str:
        """A volume."""
        return self._of_cinder(project, "volume", "volume.size", {"name": name, "size": size}, size)

    def _volumes(self) -> None:
        admin, base = self._cinder("admin")
        admin.post(f"{base}/types", {"volume_type": {"name": "plain"}})
        until("volumes are taken care of", lambda: self._runs("cinder-volume") and self._runs("cinder-backup"))
        for name, project, size in (("one", "a", 1), ("two", "a", 2), ("three", "b", 3)):
            self.volume(name, project, size)
        for name, project, size in (("one", "a", 1), ("two", "a", 2), ("three", "b", 3)):
            body = {"name": f"snapshot of {name}", "volume_id": self.ids[name], "metadata": {"k": "v"}}
            self._of_cinder(project, "snapshot", "volume.snapshot.size", body, size)
            body = {"name": f"backup of {name}", "volume_id": self.ids[name], "container": "kept"}
            self._of_cinder(project, "backup", "volume.backup.size", body, size)
        self._attach()
        self._made_of_an_image()
        for service in ("cinder-scheduler", "cinder-volume", "cinder-backup"):
            host = f"{cinder.HOST}@{cinder.BACKEND}" if service == "cinder-volume" else cinder.HOST
            self._want("volume.service.health", f"{service}@{host}", "volume_service", "health", 1, None)
            said = {"host": host, "binary": service, "zone": "nova", "status": "enabled"}
            self.attributes["volume_service", f"{service}@{host}"] = said
        self.attributes["volume_provider_pool", cinder.POOL] = {"provider": cinder.POOL.partition("#")[0]}
        self.pool()

    def _runs(self, binary: str) -> bool:
        caller, base = self._cinder("admin")
        services = caller.get(f"{base}/os-services")["services"]
        return any(service["binary"] == binary and service["state"] == "up" for service in services)

    def _attach(self) -> None:
        """Attaches a volume to a server that only Cinder knows of."""
        caller, base = self._cinder("a", ATTACHMENTS)
        server = "11111111-2222-3333-4444-555555555555"
        connector = {"host": "here", "ip": "127.0.0.1", "multipath": False, "platform": "x86_64", "os_type": "linux"}
        body = {"attachment": {"volume_uuid": self.ids["two"], "instance_uuid": server, "connector": connector}}
        made = caller.post(f"{base}/attachments", body)["attachment"]["id"]
        caller.post(f"{base}/attachments/{made}/action", {"os-complete": {}})
        self._until_it_is("a", "volume", self.ids["two"], "in-use")
        self.metadata["volume.size", self.ids["two"]] = {"instance_id": server, "name": "two", "volume_type": "plain"}
        self.attributes["volume", self.ids["two"]] = {"instance_id": server, "display_name": "two", "volume_type": "plain"}

    def _made_of_an_image(self) -> None:
        """Says of a volume that it was made of an image."""
        caller, base = self._cinder("b")
        named = {"metadata": {"image_id": self.ids["public"], "image_name": "public"}}
        caller.post(f"{base}/volumes/{self.ids['three']}/action", {"os-set_image_metadata": named})
        self.metadata["volume.size", self.ids["three"]] = {"image_id": self.ids["public"], "instance_id": None}
        self.attributes["volume", self.ids["three"]] = {"image_id": self.ids["public"], "display_name": "three"}

    def pool(self) -> None:
        """What is promised of the pool, and left of it, by the volumes that there are."""
        promised = sum(wanted.volume for (meter, _), wanted in self.wanted.items() if meter == "volume.size")
        readings = {"total": 100, "free": 100 - promised, "allocated": promised, "provisioned": promised,
                    # Thin volumes may promise twice what is not kept back.
                    "virtual_free": 2 * (100 - 10) - promised}
        for name, volume in readings.items():
            self._want(f"volume.provider.pool.capacity.{name}", cinder.POOL, "volume_provider_pool", "GiB", volume, None)

    def delete_volume(self, name: str, project: str) -> None:
        """Deletes a volume with its snapshots; its backups stay."""
        caller, base = self._cinder(project)
        snapshot = self.ids[f"snapshot of {name}"]
        caller.delete(f"{base}/snapshots/{snapshot}")
        until("the snapshot is gone", lambda: caller.api.call("GET", f"{base}/snapshots/{snapshot}")[0] == 404)
        caller.delete(f"{base}/volumes/{self.ids[name]}")
        until("the volume is gone", lambda: caller.api.call("GET", f"{base}/volumes/{self.ids[name]}")[0] == 404)
        del self.wanted["volume.size", self.ids[name]]
        del self.wanted["volume.snapshot.size", snapshot]
        self.pool()

    # Networks.

    def _neutron(self, project: str, kind: str, body: dict[str, Any], path: str | None = None) -> str:
        made = self.caller("neutron", project).post(f"/v2.0/{path or kind + 's'}", {kind: body})
        return made[kind]["id"]

    def _networks(self) -> None:
        outside = {"name": "outside", "router:external": True, "provider:network_type": "flat",
                   "provider:physical_network": "ext"}
        self.ids["outside"] = self._neutron("admin", "network", outside)
        subnet = {"network_id": self.ids["outside"], "ip_version": 4, "cidr": "203.0.113.0/24", "enable_dhcp": False}
        self._neutron("admin", "subnet", subnet)
        network = self._neutron("a", "network", {"name": "inside"})
        subnet = self._neutron("a", "subnet", {"network_id": network, "ip_version": 4, "cidr": "10.10.0.0/24"})
        gateway = {"network_id": self.ids["outside"]}
        router = self._neutron("a", "router", {"name": "router", "external_gateway_info": gateway})
        self.caller("neutron", "a").put(f"/v2.0/routers/{router}/add_router_interface", {"subnet_id": subnet})
        port = self._neutron("a", "port", {"network_id": network})
        self.address("a", port)
        for project in ("a", "b"):
            self.address(project)
        self._vpn(router, subnet)
        self._firewall()

    def address(self, project: str, port: str | None = None) -> str:
        """A floating address. No agent makes it active: it is down (3)."""
        made = self._neutron(project, "floatingip", {"floating_network_id": self.ids["outside"], "port_id": port})
        self._want("ip.floating", made, "network", "ip", 3, project)
        return made

    def _vpn(self, router: str, subnet: str) -> None:
        """A VPN with a connection, which wait to be created (2)."""
        # What Neutron takes by default, SHA-1, it no longer reads.
        ike = self._neutron("a", "ikepolicy", {"name": "ike", "auth_algorithm": "sha256"}, "vpn/ikepolicies")
        ipsec = self._neutron("a", "ipsecpolicy", {"name": "ipsec", "auth_algorithm": "sha256"}, "vpn/ipsecpolicies")
        body = {"name": "vpn", "router_id": router, "subnet_id": subnet}
        service = self._neutron("a", "vpnservice", body, "vpn/vpnservices")
        self._want("network.services.vpn", service, "network", "vpnservice", 2, "a")
        body = {"name": "connection", "vpnservice_id": service, "ikepolicy_id": ike, "ipsecpolicy_id": ipsec, "psk": SECRET,
                "peer_address": "198.51.100.1", "peer_id": "198.51.100.1", "peer_cidrs": ["10.20.0.0/24"]}
        made = self._neutron("a", "ipsec_site_connection", body, "vpn/ipsec-site-connections")
        self._want("network.services.vpn.connections", made, "network", "ipsec_site_connection", 1, "a")
        self.metadata["network.services.vpn.connections", made] = {"psk": "***", "peer_cidrs": ["10.20.0.0/24"]}

    def _firewall(self) -> None:
        """A policy, and a group by it without ports, which is inactive (0). Neutron makes a default group for each project."""
        rule = self._neutron("a", "firewall_rule", {"protocol": "tcp", "action": "deny"}, "fwaas/firewall_rules")
        body = {"name": "policy", "firewall_rules": [rule]}
        policy = self._neutron("a", "firewall_policy", body, "fwaas/firewall_policies")
        self._want("network.services.firewall.policy", policy, "network", "firewall_policy", 1, "a")
        body = {"name": "group", "ingress_firewall_policy_id": policy}
        group = self._neutron("a", "firewall_group", body, "fwaas/firewall_groups")
        self._want("network.services.firewall", group, "network", "firewall", 0, "a")

    def default_firewalls(self) -> set[str]:
        """Groups and policies that Neutron has made by itself, for each project that has asked for groups."""
        neutron, names = self.caller("neutron", "admin"), {"name": "default"}
        found, page = set(), neutron.get("/v2.0/fwaas/firewall_groups", names)["firewall_groups"]
        while page:
            for group in page:
                found |= {group["id"], group["ingress_firewall_policy_id"], group["egress_firewall_policy_id"]}
            page = neutron.get("/v2.0/fwaas/firewall_groups", {**names, "marker": page[-1]["id"]})["firewall_groups"]
        return found

    def _balancers(self) -> None:
        """Balancers that wait to be created (4), and are not online (3)."""
        octavia = self.caller("octavia", "admin")
        for name, project in (("first", "a"), ("second", "a"), ("third", "b")):
            # Its provider does not look for the subnet.
            body = {"name": name, "project_id": self.projects[project], "vip_subnet_id": "99999999-2222-3333-4444-555555555555"}
            made = octavia.post("/v2/lbaas/loadbalancers", {"loadbalancer": body})["loadbalancer"]["id"]
            self._want("loadbalancer.operating", made, "loadbalancer", "status", 3, project)
            self._want("loadbalancer.provisioning", made, "loadbalancer", "status", 4, project)
            self.metadata["loadbalancer.operating", made] = {"name": name, "provider": "noop_driver", "flavor_id": None}

    # Objects.

    def _objects(self) -> None:
        containers = (("a", "photos", (1000, 2345, 0)), ("a", NAMED, (7,)), ("a", "void", ()), ("b", "photos", (9,)))
        for project, container, sizes in containers:
            self._swift("PUT", project, container)
            for number, size in enumerate(sizes):
                self.object(project, container, f"{number}", size)

    def _swift(self, method: str, project: str, *path: str, body: bytes | None = None) -> None:
        account = f"/v1/AUTH_{self.projects[project]}"
        target = "/".join([account, *(urllib.parse.quote(part) for part in path)])
        status, answer = self.caller("swift", project).api.send(method, target, body, "application/octet-stream")
        if status >= 300:
            raise RuntimeError(f"{method} {target}: {status} {answer!r}")
        if method == "PUT" and len(path) == 1:
            self.objects.setdefault(project, {})[path[0]] = {}
            self._counts(project)

    def object(self, project: str, container: str, name: str, size: int) -> None:
        """An object of so many bytes, in the place of what has that name."""
        self._swift("PUT", project, container, name, body=b"o" * size)
        self.objects[project][container][name] = size
        self._counts(project)

    def _counts(self, project: str) -> None:
        """What accounts and containers come to."""
        account, owner = self.objects[project], self.projects[project]
        sizes = [size for container in account.values() for size in container.values()]
        for meter, unit, volume in (("storage.objects", "object", len(sizes)), ("storage.objects.size", "B", sum(sizes)),
                                    ("storage.objects.containers", "container", len(account))):
            self._want(meter, owner, "swift_account", unit, volume, project)
        for name, objects in account.items():
            resource = f"{owner}/{name}"
            self._want("storage.containers.objects", resource, "swift_account", "object", len(objects), project)
            self._want("storage.containers.objects.size", resource, "swift_account", "B", sum(objects.values()), project)
            self.metadata["storage.containers.objects", resource] = {"storage_policy": "gold"}
