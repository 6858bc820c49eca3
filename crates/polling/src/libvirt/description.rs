//! A domain's XML: its devices, and what Nova has written into its metadata.

use std::sync::Arc;

use roxmltree::{Document, Node};
use serde_json::{Map, Value};

use super::LibvirtError;
use crate::pool::Pool;

/// XML that is longer is not read: libvirt's own limit for a text.
const MAX_XML_BYTES: usize = 4 << 20;
/// Newest first.
const NOVA_NAMESPACES: [&str; 2] =
    ["http://openstack.org/xmlns/libvirt/nova/1.1", "http://openstack.org/xmlns/libvirt/nova/1.0"];

/// What XML says, as far as metering asks.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Description {
    /// `hvm`.
    pub os_type: Option<String>,
    /// `x86_64`.
    pub architecture: Option<String>,
    /// Block devices that have something in them.
    pub disks: Box<[Disk]>,
    /// Interfaces that have a device on the host and an address.
    pub nics: Box<[Nic]>,
    /// What Nova says; `None` for domains that are not Nova's.
    pub nova: Option<Result<NovaMetadata, String>>,
}

/// A block device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disk {
    /// The guest's name of it, `vda`.
    pub device: Box<str>,
}

/// An interface.
#[derive(Debug, Clone, PartialEq)]
pub struct Nic {
    /// The device on the host, `tap4370fddf-b8`.
    pub device: Box<str>,
    /// Its hardware address.
    pub mac: Option<String>,
    /// The filter that it is under.
    pub filter: Option<Arc<str>>,
    /// The filter's parameters, and where the interface is plugged in.
    pub parameters: Arc<Value>,
}

/// `<nova:instance>`.
#[derive(Debug, Clone, PartialEq)]
pub struct NovaMetadata {
    /// The server's name.
    pub name: Option<String>,
    /// Whose it is.
    pub project_id: Arc<str>,
    /// Who made it.
    pub user_id: Arc<str>,
    /// What it is of.
    pub flavor: Arc<NovaFlavor>,
    /// The image.
    pub image: Arc<NovaImage>,
}

/// What Nova says of a guest's image.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct NovaImage {
    /// The image that its root device was made of.
    pub root: Option<Value>,
    /// What is known of that image, where this Nova writes it.
    pub meta: Option<Map<String, Value>>,
}

/// `<nova:flavor>`; sizes in Nova's units.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "Nova's own names")]
pub struct NovaFlavor {
    /// Written by Nova 2025.2 and newer.
    pub id: Option<String>,
    pub name: String,
    pub vcpus: i64,
    pub memory_mib: i64,
    pub disk_gib: i64,
    pub ephemeral_gib: i64,
    pub swap_mib: i64,
    /// Written by Nova 2025.2 and newer, perhaps empty.
    pub extra_specs: Option<Map<String, Value>>,
}

impl Description {
    /// Reads a domain's XML.
    pub fn read(xml: &str) -> Result<Self, LibvirtError> {
        if xml.len() > MAX_XML_BYTES {
            return Err(LibvirtError::Protocol(format!("a domain's XML has {} bytes", xml.len())));
        }
        let document = Document::parse(xml)
            .map_err(|error| LibvirtError::Protocol(format!("a domain's XML is none: {error}")))?;
        let root = document.root_element();
        let os_type = child(root, "os").and_then(|os| child(os, "type"));
        let devices = child(root, "devices");
        let each = |name: &'static str| devices.into_iter().flat_map(move |node| children(node, name));
        let metadata = child(root, "metadata");
        let nova = NOVA_NAMESPACES.iter().find_map(|namespace| {
            metadata?.children().find(|node| node.tag_name().namespace() == Some(namespace))
        });
        Ok(Self {
            os_type: os_type.and_then(text),
            architecture: os_type.and_then(|node| attribute(node, "arch")),
            disks: each("disk").filter_map(disk).collect(),
            nics: each("interface").filter_map(nic).collect(),
            nova: nova.map(nova_metadata),
        })
    }
}

/// What descriptions have in common.
#[derive(Default)]
pub(super) struct Common {
    owners: Pool<str>,
    flavors: Pool<NovaFlavor>,
    images: Pool<NovaImage>,
}

impl Common {
    /// The same description, with what others have as well in memory once.
    pub(super) fn share(&self, mut description: Description) -> Description {
        if let Some(Ok(nova)) = &mut description.nova {
            nova.project_id = self.owners.share(&nova.project_id);
            nova.user_id = self.owners.share(&nova.user_id);
            nova.flavor = self.flavors.share(&nova.flavor);
            nova.image = self.images.share(&nova.image);
        }
        description
    }
}

fn children<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> impl Iterator<Item = Node<'a, 'i>> {
    node.children().filter(move |child| child.is_element() && child.tag_name().name() == name)
}

fn child<'a, 'i>(node: Node<'a, 'i>, name: &'static str) -> Option<Node<'a, 'i>> {
    children(node, name).next()
}

fn attribute(node: Node<'_, '_>, name: &str) -> Option<String> {
    node.attribute(name).map(str::to_owned)
}

/// The text before the first child; an empty element has none.
fn text(node: Node<'_, '_>) -> Option<String> {
    node.first_child().filter(Node::is_text).and_then(|first| first.text()).map(str::to_owned)
}

fn value(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::String)
}

fn disk(node: Node<'_, '_>) -> Option<Disk> {
    child(node, "source")?;
    let device = child(node, "target")?.attribute("dev").filter(|device| !device.is_empty())?;
    Some(Disk { device: device.into() })
}

fn nic(node: Node<'_, '_>) -> Option<Nic> {
    let device = child(node, "target")?.attribute("dev")?;
    let mac = attribute(child(node, "mac")?, "address");
    let filter = child(node, "filterref");
    let mut parameters: Map<String, Value> = filter
        .into_iter()
        .flat_map(|filter| children(filter, "parameter"))
        .filter_map(|parameter| {
            Some((parameter.attribute("name")?.to_lowercase(), value(attribute(parameter, "value"))))
        })
        .collect();
    let port = child(node, "virtualport").and_then(|port| child(port, "parameters"));
    let interface_id = port.and_then(|parameters| attribute(parameters, "interfaceid"));
    let bridge = child(node, "source").and_then(|source| attribute(source, "bridge"));
    parameters.insert("interfaceid".to_owned(), value(interface_id));
    parameters.insert("bridge".to_owned(), value(bridge));
    let filter = filter.and_then(|filter| filter.attribute("filter")).map(Arc::from);
    Some(Nic { device: device.into(), mac, filter, parameters: Arc::new(parameters.into()) })
}

fn nova_metadata(node: Node<'_, '_>) -> Result<NovaMetadata, String> {
    let missing = |what: &str| format!("it has no {what}");
    let owner = |name: &'static str| {
        let node = child(node, "owner").and_then(|owner| child(owner, name));
        node.and_then(|node| node.attribute("uuid")).map(Arc::from)
    };
    let flavor = child(node, "flavor").ok_or_else(|| missing("flavor"))?;
    let root = children(node, "root").find(|root| root.attribute("type") == Some("image"));
    let root = root.map(|root| {
        let id = root.attribute("uuid").map_or(Value::Null, Value::from);
        Value::Object(Map::from_iter([("id".to_owned(), id)]))
    });
    Ok(NovaMetadata {
        name: text(child(node, "name").ok_or_else(|| missing("name"))?),
        project_id: owner("project").ok_or_else(|| missing("owner's project"))?,
        user_id: owner("user").ok_or_else(|| missing("owner's user"))?,
        flavor: Arc::new(nova_flavor(flavor)?),
        image: Arc::new(NovaImage { root, meta: child(node, "image").map(image_meta) }),
    })
}

fn nova_flavor(node: Node<'_, '_>) -> Result<NovaFlavor, String> {
    let size = |name: &'static str| {
        let Some(element) = child(node, name) else { return Ok(0) };
        let written = text(element).unwrap_or_default();
        written.trim().parse().map_err(|_| format!("the flavor's {name} is `{written}`"))
    };
    let extra_specs = child(node, "extraSpecs").map(|specs| named_texts(specs, "extraSpec").collect());
    Ok(NovaFlavor {
        id: attribute(node, "id").filter(|id| !id.is_empty()),
        name: attribute(node, "name").ok_or("the flavor has no name")?,
        vcpus: size("vcpus")?,
        memory_mib: size("memory")?,
        disk_gib: size("disk")?,
        ephemeral_gib: size("ephemeral")?,
        swap_mib: size("swap")?,
        extra_specs,
    })
}

/// Texts of the children called `element`, by their attribute `name`.
fn named_texts<'a>(node: Node<'a, 'a>, element: &'static str) -> impl Iterator<Item = (String, Value)> {
    children(node, element).filter_map(|item| Some((attribute(item, "name")?, value(text(item)))))
}

fn image_meta(node: Node<'_, '_>) -> Map<String, Value> {
    let mut meta = Map::new();
    if let Some(uuid) = node.attribute("uuid") {
        meta.insert("base_image_ref".to_owned(), uuid.into());
    }
    let renamed = [
        ("containerFormat", "container_format"),
        ("diskFormat", "disk_format"),
        ("minDisk", "min_disk"),
        ("minRam", "min_ram"),
    ];
    for (element, name) in renamed {
        if let Some(found) = child(node, element) {
            meta.insert(name.to_owned(), value(text(found)));
        }
    }
    if let Some(properties) = child(node, "properties") {
        meta.extend(named_texts(properties, "property"));
    }
    meta
}
