//! One cloud of `clouds.yaml`, or what the variables say of one, and its translation into settings.

use std::collections::BTreeMap;
use std::fmt;

use nephometer_model::Secret;
use reqwest::Url;
use serde::Deserialize;
use serde::de::{Deserializer, Error, Visitor};

use super::address;
use crate::keystone::error::Problem;
use crate::keystone::settings::KeystoneSettings;

/// A value as text, kept like a secret because it may be one; anything but plain values counts as nothing.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Scalar(Secret);

impl Scalar {
    pub(super) fn text(text: &str) -> Self {
        Self(Secret::new(text))
    }

    fn as_str(&self) -> &str {
        self.0.expose()
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Plain;
        impl<'de> Visitor<'de> for Plain {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a plain value")
            }
            fn visit_str<E: Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar::text(text))
            }
            fn visit_bool<E: Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar::text(if value { "true" } else { "false" }))
            }
            fn visit_i64<E: Error>(self, value: i64) -> Result<Scalar, E> {
                Ok(Scalar::text(&value.to_string()))
            }
            fn visit_u64<E: Error>(self, value: u64) -> Result<Scalar, E> {
                Ok(Scalar::text(&value.to_string()))
            }
            fn visit_f64<E: Error>(self, value: f64) -> Result<Scalar, E> {
                Ok(Scalar::text(&value.to_string()))
            }
            fn visit_unit<E: Error>(self) -> Result<Scalar, E> {
                Ok(Scalar::default())
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
                while seq.next_element::<serde::de::IgnoredAny>()?.is_some() {}
                Ok(Scalar::default())
            }
            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
                while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
                Ok(Scalar::default())
            }
        }
        deserializer.deserialize_any(Plain)
    }
}

/// A region of a cloud: its name alone, or with values that count in it.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
enum Region {
    Name(String),
    Detailed {
        name: String,
        #[serde(default)]
        values: BTreeMap<String, Scalar>,
    },
}

impl Region {
    fn name(&self) -> &str {
        let (Self::Name(name) | Self::Detailed { name, .. }) = self;
        name
    }
}

/// One cloud as it is written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Entry {
    auth: Option<BTreeMap<String, Scalar>>,
    regions: Option<Vec<Region>>,
    #[serde(flatten)]
    rest: BTreeMap<String, Scalar>,
}

impl Entry {
    /// Sets a value beside `auth`.
    pub(super) fn set(&mut self, name: &str, value: Scalar) {
        self.rest.insert(name.replace('-', "_"), value);
    }

    /// What `other` says counts more.
    pub(super) fn merge(&mut self, other: Self) {
        self.rest.extend(other.rest);
        self.auth.get_or_insert_default().extend(other.auth.unwrap_or_default());
        self.regions = other.regions.or_else(|| self.regions.take());
    }

    /// The settings that the entry amounts to, with the addresses that it gives to services. `region` counts more than
    /// the entry's own.
    pub(super) fn settings(
        mut self,
        region: Option<&str>,
        problems: &mut Vec<Problem>,
    ) -> (KeystoneSettings, BTreeMap<String, Url>) {
        let region_name = self.choose_region(region, problems);
        if !self.beside_auth(&["profile"]).is_empty() {
            let reason = "profiles of vendors are not known here: write their values into the cloud";
            problems.push(Problem::new("profile", reason));
        }
        let (trusted, insecure) = self.certificates();
        let timeout = self.beside_auth(&["api_timeout", "timeout"]);
        let defaults = KeystoneSettings::default();
        let settings = KeystoneSettings {
            auth_type: self.auth_type(),
            auth_url: self.auth(&["auth_url"]),
            username: self.auth(&["username", "user_name"]),
            user_id: self.auth(&["user_id"]),
            password: Secret::new(self.auth(&["password"])),
            token: Secret::new(self.auth(&["token", "auth_token"])),
            user_domain_id: self.auth(&["user_domain_id"]),
            user_domain_name: self.auth(&["user_domain_name", "user_domain"]),
            project_id: self.auth(&["project_id", "tenant_id"]),
            project_name: self.auth(&["project_name", "project", "tenant_name", "tenant"]),
            project_domain_id: self.auth(&["project_domain_id"]),
            project_domain_name: self.auth(&["project_domain_name", "project_domain"]),
            domain_id: self.auth(&["domain_id"]),
            domain_name: self.auth(&["domain_name"]),
            default_domain_id: self.auth(&["default_domain_id", "default_domain"]),
            default_domain_name: self.auth(&["default_domain_name"]),
            system_scope: self.auth(&["system_scope"]),
            trust_id: self.auth(&["trust_id"]),
            application_credential_id: self.auth(&["application_credential_id"]),
            application_credential_name: self.auth(&["application_credential_name"]),
            application_credential_secret: Secret::new(self.auth(&["application_credential_secret"])),
            cafile: trusted,
            certfile: self.beside_auth(&["cert"]),
            keyfile: self.beside_auth(&["key"]),
            insecure,
            region_name,
            interface: self.interface(),
            timeout: timeout.parse().unwrap_or(defaults.timeout),
            ..defaults
        };
        if !timeout.is_empty() && timeout.parse::<f64>().is_err() {
            problems.push(Problem::new("api_timeout", "expected a number of seconds"));
        }
        (settings, self.overrides(problems))
    }

    /// The first of `names` under `auth`, else beside it, where the variables and some files put it.
    fn auth(&self, names: &[&str]) -> String {
        let inside = |name: &&str| self.auth.as_ref()?.get(&**name);
        let found = names.iter().filter_map(inside).find(|value| !value.as_str().is_empty());
        found.map_or_else(|| self.beside_auth(names), |value| value.as_str().to_owned())
    }

    fn beside_auth(&self, names: &[&str]) -> String {
        let mut found = names.iter().filter_map(|name| self.rest.get(*name)).map(Scalar::as_str);
        found.find(|value| !value.is_empty()).unwrap_or_default().to_owned()
    }

    /// As it is given, or as the given secrets suggest.
    fn auth_type(&self) -> String {
        let given = self.beside_auth(&["auth_type", "auth_plugin"]);
        if !given.is_empty() {
            return given;
        }
        let has = |names: &[&str]| !self.auth(names).is_empty();
        let guess = if has(&["application_credential_secret"]) {
            "v3applicationcredential"
        } else if has(&["token", "auth_token"]) && !has(&["password"]) {
            "token"
        } else {
            "password"
        };
        guess.to_owned()
    }

    /// Services are called from outside unless the entry says otherwise.
    fn interface(&self) -> String {
        let given = self.beside_auth(&["interface", "endpoint_type"]);
        if given.is_empty() { "public".to_owned() } else { given }
    }

    /// Trusted authorities, and whether any certificate is taken.
    fn certificates(&self) -> (String, bool) {
        let said = |name: &str, what: &str| self.beside_auth(&[name]).eq_ignore_ascii_case(what);
        let insecure = said("insecure", "true") || said("insecure", "1") || said("verify", "false");
        let cacert = self.beside_auth(&["cacert"]);
        (if insecure { String::new() } else { cacert }, insecure)
    }

    /// The region to use, whose values are taken over.
    fn choose_region(&mut self, wanted: Option<&str>, problems: &mut Vec<Problem>) -> String {
        let own = self.beside_auth(&["region_name"]);
        let Some(regions) = self.regions.take().filter(|regions| !regions.is_empty()) else {
            return wanted.map_or(own, str::to_owned);
        };
        let chosen = match wanted {
            Some(wanted) => regions.iter().find(|region| region.name() == wanted),
            None => regions.first(),
        };
        let Some(chosen) = chosen else {
            let names: Vec<_> = regions.iter().map(Region::name).collect();
            let reason = format!(
                "the cloud has no region `{}`; it has {}",
                wanted.unwrap_or_default(),
                names.join(", ")
            );
            problems.push(Problem::new("region_name", reason));
            return String::new();
        };
        if let Region::Detailed { values, .. } = chosen {
            self.rest.extend(values.clone());
        }
        chosen.name().to_owned()
    }

    /// `metric_endpoint_override: …` and the like; types are written with underscores there.
    fn overrides(&self, problems: &mut Vec<Problem>) -> BTreeMap<String, Url> {
        let mut overrides = BTreeMap::new();
        for (name, value) in &self.rest {
            let Some(service) = name.strip_suffix("_endpoint_override") else { continue };
            if let Some(url) = address(name, value.as_str(), problems) {
                overrides.insert(service.replace('_', "-"), url);
            }
        }
        overrides
    }
}
