//! Floating addresses, VPN and firewall services of Neutron.

use nephometer_drivers::CloudCall;
use nephometer_model::Volume;
use serde_json::Value;

use super::codes::{NETWORK, code};
use super::object::{Field, ObjectMeter, Reading, Source};
use super::{Area, Listing, ServiceTypes};

/// What Neutron lists, and its meters. `with_secrets` tells pre-shared keys, as upstream does.
pub(super) fn area(services: &ServiceTypes, with_secrets: bool) -> Area {
    let listing = |name, path, key| Listing::new(name, CloudCall::get(&services.neutron, path), key);
    // VPN and firewall are extensions that most clouds do not have.
    let extension = |name, path, key| Listing { is_optional: true, ..listing(name, path, key) };
    let listings = vec![
        listing("fip_services", "/v2.0/floatingips", "floatingips"),
        extension("vpn_services", "/v2.0/vpn/vpnservices", "vpnservices"),
        extension("ipsec_connections", "/v2.0/vpn/ipsec-site-connections", "ipsec_site_connections"),
        extension("fw_services", "/v2.0/fwaas/firewall_groups", "firewall_groups"),
        extension("fw_policy", "/v2.0/fwaas/firewall_policies", "firewall_policies"),
    ];
    Area { listings, meters: if with_secrets { METERS_WITH_SECRETS } else { METERS } }
}

fn status(object: &Value) -> Reading {
    code(object, "status", NETWORK)
}

fn one(_: &Value) -> Reading {
    Ok(Some(Volume::Int(1)))
}

const OWNER: &[&str] = &["project_id", "tenant_id"];

const FLOATING: ObjectMeter = ObjectMeter {
    name: "ip.floating",
    unit: "ip",
    discovery: "fip_services",
    volume: status,
    project: &["tenant_id", "project_id"],
    user: Some("user_id"),
    metadata: &[
        ("router_id", Source::Same),
        ("status", Source::Same),
        ("floating_network_id", Source::Same),
        ("fixed_ip_address", Source::Same),
        ("port_id", Source::Same),
        ("floating_ip_address", Source::Same),
    ],
};

const VPN: ObjectMeter = ObjectMeter {
    name: "network.services.vpn",
    unit: "vpnservice",
    discovery: "vpn_services",
    volume: status,
    project: OWNER,
    user: None,
    metadata: &[
        ("is_admin_state_up", Source::Field("admin_state_up")),
        ("description", Source::Same),
        ("name", Source::Same),
        ("status", Source::Same),
        ("subnet_id", Source::Same),
        ("router_id", Source::Same),
        ("flavor_id", Source::Same),
        ("external_v4_ip", Source::Same),
        ("external_v6_ip", Source::Same),
    ],
};

const FIREWALL: ObjectMeter = ObjectMeter {
    name: "network.services.firewall",
    unit: "firewall",
    discovery: "fw_services",
    volume: status,
    project: OWNER,
    user: None,
    metadata: &[
        ("admin_state_up", Source::Same),
        ("description", Source::Same),
        ("name", Source::Same),
        ("status", Source::Same),
        ("ingress_firewall_policy_id", Source::Same),
        ("egress_firewall_policy_id", Source::Same),
    ],
};

const FIREWALL_POLICY: ObjectMeter = ObjectMeter {
    name: "network.services.firewall.policy",
    unit: "firewall_policy",
    discovery: "fw_policy",
    volume: one,
    project: OWNER,
    user: None,
    metadata: &[
        ("name", Source::Same),
        ("description", Source::Same),
        ("firewall_rules", Source::Same),
        ("shared", Source::Same),
        ("audited", Source::Same),
    ],
};

/// What stands for a pre-shared key.
fn hidden(connection: &Value) -> Value {
    if connection["psk"].is_null() { Value::Null } else { Value::from("***") }
}

const fn connection(psk: Source) -> [Field; 15] {
    [
        ("name", Source::Same),
        ("description", Source::Same),
        ("peer_address", Source::Same),
        ("peer_id", Source::Same),
        ("peer_cidrs", Source::Same),
        ("peer_ep_group_id", Source::Same),
        ("psk", psk),
        ("initiator", Source::Same),
        ("ikepolicy_id", Source::Same),
        ("ipsecpolicy_id", Source::Same),
        ("vpnservice_id", Source::Same),
        ("mtu", Source::Same),
        ("is_admin_state_up", Source::Field("admin_state_up")),
        ("status", Source::Same),
        ("project_id", Source::Same),
    ]
}

const fn connections(metadata: &'static [Field]) -> ObjectMeter {
    ObjectMeter {
        name: "network.services.vpn.connections",
        unit: "ipsec_site_connection",
        discovery: "ipsec_connections",
        volume: one,
        project: OWNER,
        user: None,
        metadata,
    }
}

const CONNECTION: &[Field] = &connection(Source::Made(hidden));
const CONNECTION_WITH_SECRETS: &[Field] = &connection(Source::Same);

const METERS: &[ObjectMeter] = &[FLOATING, VPN, connections(CONNECTION), FIREWALL, FIREWALL_POLICY];
const METERS_WITH_SECRETS: &[ObjectMeter] =
    &[FLOATING, VPN, connections(CONNECTION_WITH_SECRETS), FIREWALL, FIREWALL_POLICY];
