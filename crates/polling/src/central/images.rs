//! Images.

use nephometer_drivers::CloudCall;

use super::object::{ObjectMeter, Source, field};
use super::{Area, Listing, ServiceTypes};

/// What Glance lists, and its meter. The names of fields are those of upstream's client library.
pub(super) fn area(services: &ServiceTypes) -> Area {
    let call = CloudCall::get(&services.glance, "/v2/images");
    Area { listings: vec![Listing::new("images", call, "images")], meters: METERS }
}

const METERS: &[ObjectMeter] = &[ObjectMeter {
    name: "image.size",
    unit: "B",
    discovery: "images",
    // An image without data has no size.
    volume: |image| field(image, "size"),
    project: &["owner"],
    user: None,
    metadata: &[
        ("status", Source::Same),
        ("visibility", Source::Same),
        ("name", Source::Same),
        ("container_format", Source::Same),
        ("created_at", Source::Same),
        ("disk_format", Source::Same),
        ("updated_at", Source::Same),
        ("min_disk", Source::Same),
        ("is_protected", Source::Field("protected")),
        ("checksum", Source::Same),
        ("min_ram", Source::Same),
        ("tags", Source::Same),
        ("virtual_size", Source::Same),
    ],
}];
