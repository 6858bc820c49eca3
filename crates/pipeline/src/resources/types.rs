//! The types of resources that publishers need, made and changed step by step as upstream's upgrade does it, so that both find
//! each other's work done.

use std::collections::{BTreeMap, HashMap};

use nephometer_drivers::{AttributeChange, Made, MetricWriteError, MetricWriter, TypeAttributes};
use nephometer_model::{Attribute, AttributeKind, AttributeValue};

/// Longest text of an attribute, in characters.
const MAX_TEXT: u32 = 255;

const TEXT: Attribute =
    Attribute { kind: AttributeKind::String { min_length: 0, max_length: MAX_TEXT }, required: false };
const NEEDED_TEXT: Attribute = Attribute { required: true, ..TEXT };
const ID: Attribute = Attribute { kind: AttributeKind::Uuid, required: false };
const NEEDED_ID: Attribute = Attribute { required: true, ..ID };
const TIME: Attribute = Attribute { kind: AttributeKind::Datetime, required: false };

/// A type as it was first; what it has come to since are [`STEPS`].
type NewType = (&'static str, &'static [(&'static str, Attribute)]);

const FIRST: &[NewType] = &[
    ("image", &[("name", NEEDED_TEXT), ("container_format", NEEDED_TEXT), ("disk_format", NEEDED_TEXT)]),
    (
        "instance",
        &[
            ("flavor_id", NEEDED_TEXT),
            ("image_ref", TEXT),
            ("host", NEEDED_TEXT),
            ("display_name", NEEDED_TEXT),
            ("server_group", TEXT),
        ],
    ),
    ("instance_disk", &[("name", NEEDED_TEXT), ("instance_id", NEEDED_ID)]),
    ("instance_network_interface", &[("name", NEEDED_TEXT), ("instance_id", NEEDED_ID)]),
    ("volume", &[("display_name", TEXT)]),
    ("swift_account", &[]),
    ("ceph_account", &[]),
    ("network", &[]),
    ("identity", &[]),
    ("ipmi", &[]),
    ("stack", &[]),
    ("host", &[("host_name", NEEDED_TEXT)]),
    ("host_network_interface", &[("host_name", NEEDED_TEXT), ("device_name", TEXT)]),
    ("host_disk", &[("host_name", NEEDED_TEXT), ("device_name", TEXT)]),
];

enum Step {
    Make(NewType),
    /// Gives a type an attribute, or changes it; the text fills it where it is needed and was not there.
    Set(&'static str, &'static str, Attribute, Option<&'static str>),
}

use Step::{Make, Set};

const STEPS: &[Step] = &[
    Set("volume", "volume_type", TEXT, None),
    Set("instance", "flavor_name", NEEDED_TEXT, Some("")),
    Make(("nova_compute", &[("host_name", NEEDED_TEXT)])),
    Make((
        "manila_share",
        &[
            ("name", TEXT),
            ("host", NEEDED_TEXT),
            ("protocol", TEXT),
            ("availability_zone", TEXT),
            ("status", NEEDED_TEXT),
        ],
    )),
    Make(("volume_provider", &[])),
    Make(("volume_provider_pool", &[("provider", NEEDED_TEXT)])),
    Make(("ipmi_sensor", &[("node", NEEDED_TEXT)])),
    Set("instance", "launched_at", TIME, None),
    Set("instance", "created_at", TIME, None),
    Set("instance", "deleted_at", TIME, None),
    Set("volume", "image_id", ID, None),
    Set("volume", "instance_id", ID, None),
    Set("instance", "availability_zone", TEXT, None),
    Set("volume", "volume_type_id", TEXT, None),
    Set("swift_account", "storage_policy", TEXT, None),
    Set("instance", "host", TEXT, None),
    Set("image", "container_format", TEXT, None),
    Set("image", "disk_format", TEXT, None),
    Make((
        "loadbalancer",
        &[("name", TEXT), ("availability_zone", TEXT), ("vip_address", TEXT), ("provider", TEXT)],
    )),
    Make(("dns_zone", &[("zone_name", TEXT), ("email", TEXT), ("zone_type", TEXT), ("pool_id", TEXT)])),
    Make(("volume_service", &[("host", TEXT), ("binary", TEXT), ("zone", TEXT), ("status", TEXT)])),
    // Not upstream's.
    Make(("trove_instance", &[("state", TEXT), ("instance_type", TEXT)])),
];

/// What was made or changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Upgraded {
    /// Archive policies.
    pub archive_policies: Vec<String>,
    /// Types of resources.
    pub resource_types: Vec<String>,
    /// Attributes, as `type.attribute`.
    pub attributes: Vec<String>,
}

impl Upgraded {
    /// Whether all was there.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What is known of the types while the steps are gone through.
struct Upgrade<'a> {
    writer: &'a dyn MetricWriter,
    types: HashMap<&'static str, TypeAttributes>,
    done: Upgraded,
}

/// Makes the types that are missing and gives them the attributes that they lack. May be repeated.
pub(super) async fn upgrade(writer: &dyn MetricWriter, done: Upgraded) -> Result<Upgraded, MetricWriteError> {
    let mut upgrade = Upgrade { writer, types: HashMap::new(), done };
    for (name, attributes) in FIRST {
        upgrade.make(name, attributes).await?;
    }
    for step in STEPS {
        match step {
            Make((name, attributes)) => upgrade.make(name, attributes).await?,
            Set(name, attribute, wanted, fill) => upgrade.set(name, attribute, *wanted, *fill).await?,
        }
    }
    Ok(upgrade.done)
}

impl Upgrade<'_> {
    async fn make(
        &mut self,
        name: &'static str,
        attributes: &[(&str, Attribute)],
    ) -> Result<(), MetricWriteError> {
        let known = match self.writer.resource_type(name).await? {
            Some(known) => known,
            None => {
                let new: BTreeMap<_, _> =
                    attributes.iter().map(|(name, attribute)| ((*name).to_owned(), *attribute)).collect();
                if self.writer.create_resource_type(name, &new).await? == Made::New {
                    self.done.resource_types.push(name.to_owned());
                }
                new
            }
        };
        self.types.insert(name, known);
        Ok(())
    }

    async fn set(
        &mut self,
        name: &'static str,
        attribute: &str,
        wanted: Attribute,
        fill: Option<&str>,
    ) -> Result<(), MetricWriteError> {
        let known = self.types.entry(name).or_default();
        if known.get(attribute) == Some(&wanted) {
            return Ok(());
        }
        let fill = fill.map(|text| AttributeValue::String(text.to_owned()));
        let change = AttributeChange::Set { attribute: wanted, fill };
        self.writer.change_resource_type(name, attribute, &change).await?;
        known.insert(attribute.to_owned(), wanted);
        self.done.attributes.push(format!("{name}.{attribute}"));
        Ok(())
    }
}
