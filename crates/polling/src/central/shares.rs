//! Shared file systems of Manila.

use nephometer_drivers::CloudCall;

use super::codes::{SHARE, code};
use super::object::{Field, ObjectMeter, Source, field_or_zero};
use super::{Area, Listing, Page, ServiceTypes};

/// The version of the API whose fields the meters know: the first whose lists show networks and types of all projects'
/// shares to administrators under these names, kept by every release since 2017.
const MICROVERSION: &str = "2.42";
/// Shares are counted rather than linked, so many a page.
const PAGE: usize = 1000;

/// What Manila lists, and its meters.
pub(super) fn area(services: &ServiceTypes) -> Area {
    let call = CloudCall::get(&services.manila, "/shares/detail")
        .query("all_tenants", "True")
        .header("X-OpenStack-Manila-API-Version", MICROVERSION);
    let listing = Listing { page: Page::Counted(PAGE), ..Listing::new("manila_shares", call, "shares") };
    Area { listings: vec![listing], meters: METERS }
}

const SHARED: &[Field] = &[
    ("name", Source::Same),
    ("availability_zone", Source::Same),
    ("share_type", Source::Same),
    ("share_network_id", Source::Same),
    ("status", Source::Same),
    ("host", Source::Same),
    ("is_public", Source::Same),
    ("protocol", Source::Field("share_proto")),
];

const METERS: &[ObjectMeter] = &[
    ObjectMeter {
        name: "manila.share.status",
        unit: "status",
        discovery: "manila_shares",
        volume: |share| code(share, "status", SHARE),
        project: &["project_id"],
        user: Some("user_id"),
        metadata: SHARED,
    },
    ObjectMeter {
        name: "manila.share.size",
        unit: "GiB",
        discovery: "manila_shares",
        volume: |share| field_or_zero(share, "size"),
        project: &["project_id"],
        user: Some("user_id"),
        metadata: SHARED,
    },
];
