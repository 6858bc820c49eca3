//! Load balancers of Octavia.

use nephometer_drivers::CloudCall;

use super::codes::{OPERATING, PROVISIONING, code};
use super::object::{Field, ObjectMeter, Source};
use super::{Area, Listing, ServiceTypes};

/// What Octavia lists, and its meters.
pub(super) fn area(services: &ServiceTypes) -> Area {
    let call = CloudCall::get(&services.octavia, "/v2/lbaas/loadbalancers");
    Area { listings: vec![Listing::new("lb_services", call, "loadbalancers")], meters: METERS }
}

const BALANCER: &[Field] = &[
    ("name", Source::Same),
    ("availability_zone", Source::Same),
    ("vip_address", Source::Same),
    ("vip_port_id", Source::Same),
    ("provisioning_status", Source::Same),
    ("operating_status", Source::Same),
    ("provider", Source::Same),
    ("flavor_id", Source::Same),
];

const METERS: &[ObjectMeter] = &[
    ObjectMeter {
        name: "loadbalancer.operating",
        unit: "status",
        discovery: "lb_services",
        volume: |balancer| code(balancer, "operating_status", OPERATING),
        project: &["project_id"],
        user: None,
        metadata: BALANCER,
    },
    ObjectMeter {
        name: "loadbalancer.provisioning",
        unit: "status",
        discovery: "lb_services",
        volume: |balancer| code(balancer, "provisioning_status", PROVISIONING),
        project: &["project_id"],
        user: None,
        metadata: BALANCER,
    },
];
