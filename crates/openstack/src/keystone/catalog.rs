//! The catalogue of services that comes with a token, and the choice of an endpoint from it: by type with the names that
//! a service has had over the years, by interface, by region.

use serde::{Deserialize, Serialize};

use super::error::KeystoneError;

/// Which of a service's addresses is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// For everybody.
    Public,
    /// For services of the cloud.
    #[default]
    Internal,
    /// For administrators, where a deployment still has such a one.
    Admin,
}

impl Interface {
    /// Reads `public`, `internal`, `admin`, and the older `publicURL` and so on.
    pub fn parse(text: &str) -> Option<Self> {
        match text.strip_suffix("URL").unwrap_or(text) {
            "public" => Some(Self::Public),
            "internal" => Some(Self::Internal),
            "admin" => Some(Self::Admin),
            _ => None,
        }
    }

    /// Its name in catalogues.
    pub fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

/// One address of a service.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Endpoint {
    /// `public`, `internal`, `admin`.
    pub interface: String,
    /// The region's id; absent in catalogues without regions.
    #[serde(default)]
    pub region_id: Option<String>,
    /// The region as older catalogues name it.
    #[serde(default)]
    pub region: Option<String>,
    /// Where it is.
    #[serde(default)]
    pub url: String,
}

impl Endpoint {
    /// The region, where there are regions.
    pub fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }
}

/// One service and its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct CatalogService {
    /// Its type: `metric`, `compute`, …
    #[serde(rename = "type")]
    pub service_type: String,
    /// Its name: `gnocchi`, `nova`, …
    #[serde(default)]
    pub name: Option<String>,
    /// Its addresses.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
}

/// Everything that Keystone lists for a token's scope; empty for unscoped tokens.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
#[serde(transparent)]
pub struct Catalog {
    services: Vec<CatalogService>,
}

/// Official service types with the other names that catalogues have for them, the preferred first. From the
/// service-types authority; the versioned names are of older releases.
const ALIASES: &[(&str, &[&str])] = &[
    ("alarm", &["alarming"]),
    ("application-container", &["container"]),
    ("baremetal", &["bare-metal"]),
    ("block-storage", &["volumev3", "volumev2", "volume", "block-store"]),
    ("clustering", &["resource-cluster", "cluster"]),
    ("container-infrastructure-management", &["container-infrastructure", "container-infra"]),
    ("event", &["events"]),
    ("instance-ha", &["ha"]),
    ("message", &["messaging"]),
    ("meter", &["metering", "telemetry"]),
    ("monitoring-logging", &["monitoring-log-api"]),
    ("operator-policy", &["policy"]),
    ("resource-optimization", &["infra-optim"]),
    ("root-cause-analysis", &["rca"]),
    ("shared-file-system", &["sharev2", "share"]),
    ("workflow", &["workflowv2"]),
];

/// The types that satisfy a wish for `wanted`, the best first. One alias does not stand for another: `volumev2` is not
/// `volumev3`.
fn acceptable(wanted: &str) -> Vec<&str> {
    let mut types = vec![wanted];
    for (official, aliases) in ALIASES {
        if *official == wanted {
            types.extend(*aliases);
        } else if aliases.contains(&wanted) {
            types.push(official);
        }
    }
    types
}

impl Catalog {
    /// Its services.
    pub fn services(&self) -> &[CatalogService] {
        &self.services
    }

    /// The address of the service of `service_type` for `interface`, in `region` or else in the first that is listed.
    /// The type itself is preferred over its other names.
    pub fn endpoint(
        &self,
        service_type: &str,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<&str, KeystoneError> {
        for wanted in acceptable(service_type) {
            let endpoints = self.of_type(wanted);
            let mut fitting = endpoints.filter(|endpoint| {
                Interface::parse(&endpoint.interface) == Some(interface)
                    && region.is_none_or(|region| endpoint.region() == Some(region))
                    && !endpoint.url.is_empty()
            });
            if let Some(endpoint) = fitting.next() {
                return Ok(&endpoint.url);
            }
        }
        Err(KeystoneError::NoEndpoint {
            service_type: service_type.to_owned(),
            interface: interface.name().to_owned(),
            region: region.map(str::to_owned),
            has: self.what_there_is(service_type),
        })
    }

    fn of_type<'a>(&'a self, service_type: &str) -> impl Iterator<Item = &'a Endpoint> {
        let services = self.services.iter().filter(move |service| service.service_type == service_type);
        services.flat_map(|service| &service.endpoints)
    }

    /// For the operator: the addresses of this type, or the types that there are.
    fn what_there_is(&self, service_type: &str) -> String {
        let types = acceptable(service_type);
        let endpoints = types.iter().flat_map(|wanted| self.of_type(wanted));
        let mut listed: Vec<String> = endpoints
            .map(|endpoint| match endpoint.region() {
                Some(region) => format!("{} in {region}", endpoint.interface),
                None => endpoint.interface.clone(),
            })
            .collect();
        if listed.is_empty() {
            listed = self.services.iter().map(|service| service.service_type.clone()).collect();
        }
        listed.sort();
        listed.dedup();
        if listed.is_empty() { "nothing".to_owned() } else { listed.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(entries: &[(&str, &str, &str, &str)]) -> Catalog {
        let service = |(service_type, interface, region, url): &(&str, &str, &str, &str)| CatalogService {
            service_type: (*service_type).to_owned(),
            name: None,
            endpoints: vec![Endpoint {
                interface: (*interface).to_owned(),
                region_id: Some((*region).to_owned()),
                region: None,
                url: (*url).to_owned(),
            }],
        };
        Catalog { services: entries.iter().map(service).collect() }
    }

    #[test]
    fn types_interfaces_and_regions() {
        let catalog = catalog(&[
            ("volumev3", "public", "one", "http://v3"),
            ("volumev2", "public", "one", "http://v2"),
            ("alarming", "publicURL", "one", "http://alarm"),
            ("metric", "public", "one", "http://m1"),
            ("metric", "public", "two", "http://m2"),
            ("metric", "internal", "two", "http://m2i"),
            ("compute", "public", "one", ""),
        ]);
        let find = |wanted, interface, region| catalog.endpoint(wanted, interface, region).ok();
        assert_eq!(find("block-storage", Interface::Public, None), Some("http://v3"));
        assert_eq!(find("volumev2", Interface::Public, None), Some("http://v2"));
        assert_eq!(find("volume", Interface::Public, None), None, "one alias is not another");
        assert_eq!(find("alarm", Interface::Public, None), Some("http://alarm"));
        assert_eq!(find("alarming", Interface::Public, Some("one")), Some("http://alarm"));
        assert_eq!(find("metric", Interface::Public, None), Some("http://m1"));
        assert_eq!(find("metric", Interface::Public, Some("two")), Some("http://m2"));
        assert_eq!(find("metric", Interface::Internal, None), Some("http://m2i"));
        assert_eq!(find("compute", Interface::Public, None), None, "an empty address is none");
    }

    #[test]
    fn refusals_tell_what_there_is() {
        let catalog =
            catalog(&[("metric", "public", "one", "http://m"), ("image", "public", "one", "http://i")]);
        let text =
            |wanted| catalog.endpoint(wanted, Interface::Internal, Some("two")).unwrap_err().to_string();
        assert_eq!(
            text("metric"),
            "the catalogue has no internal endpoint of service type metric in region two; it has public in one"
        );
        assert!(text("compute").ends_with("it has image, metric"));
        let empty = Catalog::default().endpoint("metric", Interface::Public, None).unwrap_err().to_string();
        assert!(empty.ends_with("it has nothing"), "{empty}");
    }
}
