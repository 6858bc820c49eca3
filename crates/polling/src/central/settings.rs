//! What operators say of a cloud's services.

use nephometer_model::Secret;
use serde::{Deserialize, Serialize};

/// Under which types the catalogue has services.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ServiceTypes {
    /// Alarms.
    pub aodh: String,
    /// Volumes.
    pub cinder: String,
    /// Zones.
    pub designate: String,
    /// Images.
    pub glance: String,
    /// Shares.
    pub manila: String,
    /// Networks.
    pub neutron: String,
    /// Servers.
    pub nova: String,
    /// Load balancers.
    pub octavia: String,
    /// Objects.
    pub swift: String,
    /// The gateway of a Ceph cluster; empty for none.
    pub radosgw: String,
}

impl Default for ServiceTypes {
    fn default() -> Self {
        let text = str::to_owned;
        Self {
            aodh: text("alarming"),
            cinder: text("volumev3"),
            designate: text("dns"),
            glance: text("image"),
            manila: text("sharev2"),
            neutron: text("network"),
            nova: text("compute"),
            octavia: text("load-balancer"),
            swift: text("object-store"),
            radosgw: String::new(),
        }
    }
}

/// How the gateway of a Ceph cluster is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RadosGatewaySettings {
    /// The access key of a user who may read `usage` and `buckets`.
    pub access_key: String,
    /// Its secret key.
    pub secret_key: Secret,
    /// Whether each project's users are in a tenant of that name.
    pub implicit_tenants: bool,
    /// Whether any certificate is taken, as upstream does unless told otherwise.
    pub insecure: bool,
    /// A file with the certificates (PEM) of the authorities that are trusted; empty for the system's.
    pub cafile: String,
}

impl Default for RadosGatewaySettings {
    fn default() -> Self {
        Self {
            access_key: String::new(),
            secret_key: Secret::default(),
            implicit_tenants: false,
            insecure: true,
            cafile: String::new(),
        }
    }
}

/// What is polled of a cloud, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CentralSettings {
    /// Under which types the catalogue has services.
    pub service_types: ServiceTypes,
    /// What accounts of the object store begin with.
    pub reseller_prefix: String,
    /// Whether projects and domains that are switched off are passed over.
    pub ignore_disabled_projects: bool,
    /// Whether samples carry secrets that services show to administrators (pre-shared keys of VPN connections), as
    /// upstream's do.
    pub publish_secrets: bool,
}

impl Default for CentralSettings {
    fn default() -> Self {
        Self {
            service_types: ServiceTypes::default(),
            reseller_prefix: "AUTH_".to_owned(),
            ignore_disabled_projects: false,
            publish_secrets: false,
        }
    }
}
