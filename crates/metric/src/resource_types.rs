//! Resource types: schemas of attributes that resources must keep to.

use std::collections::BTreeMap;

use nephometer_drivers::ResourceTypeChange;
use nephometer_model::{
    Attribute, AttributeKind, AttributeValue, PolicyTarget, ResourceType, ResourceTypeState,
};

use crate::access::resource_type_target;
use crate::{Access, MetricError, MetricService};

/// Names that attributes cannot have because every resource has them already.
const RESERVED: [&str; 15] = [
    "id",
    "type",
    "metrics",
    "revision",
    "revision_start",
    "revision_end",
    "started_at",
    "ended_at",
    "user_id",
    "project_id",
    "created_by_user_id",
    "created_by_project_id",
    "get_metric",
    "creator",
    "original_resource_id",
];
/// Longest name of an attribute, in characters.
const MAX_NAME_CHARS: usize = 63;

/// An attribute as a change of a type wants it.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeSpec {
    /// Type, limits, need.
    pub attribute: Attribute,
    /// Value for resources and revisions that have none.
    pub fill: Option<AttributeValue>,
}

/// A number as Python shows it where it came from JSON: whole numbers without a fraction.
fn shown(number: f64) -> String {
    if number.fract() == 0.0 && number.abs() < 1e15 { format!("{number:.0}") } else { format!("{number:?}") }
}

fn check_attribute(name: &str, attribute: &Attribute) -> Result<(), MetricError> {
    let limits = match attribute.kind {
        AttributeKind::String { min_length, max_length } if min_length > max_length => {
            Some((min_length.to_string(), max_length.to_string()))
        }
        AttributeKind::Number { min: Some(min), max: Some(max) } if min > max => {
            Some((shown(min), shown(max)))
        }
        _ => None,
    };
    if let Some((min, max)) = limits {
        return Err(MetricError::ResourceType(format!(
            "Resource attribute value min (or min_length) {min} must be less  than or equal to max (or max_length) \
             {max}!"
        )));
    }
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if !starts_well || name.chars().count() > MAX_NAME_CHARS || RESERVED.contains(&name) {
        return Err(MetricError::ResourceType(format!("Resource attribute name {name} is invalid")));
    }
    Ok(())
}

/// What has to happen for `current` to become `next`.
fn difference(
    current: &ResourceType,
    next: BTreeMap<String, AttributeSpec>,
) -> Result<ResourceTypeChange, MetricError> {
    let remove = current.attributes.keys().filter(|name| !next.contains_key(*name)).cloned().collect();
    let mut set = BTreeMap::new();
    for (name, AttributeSpec { attribute, fill }) in next {
        let known = current.attributes.get(&name);
        if known == Some(&attribute) {
            continue;
        }
        if let Some(known) = known.filter(|known| kind_name(known.kind) != kind_name(attribute.kind)) {
            return Err(MetricError::ResourceTypeChange(format!(
                "Type update is not available yet. Changing {} to {} for attribute {name} of resource {}",
                kind_name(known.kind),
                kind_name(attribute.kind),
                current.name
            )));
        }
        check_attribute(&name, &attribute)?;
        let may_lack_value = known.is_none_or(|known| !known.required);
        if attribute.required && may_lack_value && fill.is_none() {
            return Err(MetricError::ResourceType(format!(
                "Option 'fill' of resource attribute {name} is invalid: must not be empty if required=True"
            )));
        }
        set.insert(name, (attribute, fill));
    }
    Ok(ResourceTypeChange { remove, set })
}

/// The name of an attribute's type on the wire.
pub fn kind_name(kind: AttributeKind) -> &'static str {
    match kind {
        AttributeKind::String { .. } => "string",
        AttributeKind::Number { .. } => "number",
        AttributeKind::Uuid => "uuid",
        AttributeKind::Bool => "bool",
        AttributeKind::Datetime => "datetime",
    }
}

impl MetricService {
    /// Makes a resource type.
    pub async fn create_resource_type(
        &self,
        access: &Access<'_>,
        name: &str,
        attributes: BTreeMap<String, Attribute>,
    ) -> Result<ResourceType, MetricError> {
        attributes.iter().try_for_each(|(name, attribute)| check_attribute(name, attribute))?;
        let resource_type =
            ResourceType { name: name.to_owned(), attributes, state: ResourceTypeState::Active };
        access.require("create resource type", &resource_type_target(&resource_type))?;
        Ok(self.indexer.create_resource_type(resource_type).await?)
    }

    /// One type.
    pub async fn resource_type(&self, access: &Access<'_>, name: &str) -> Result<ResourceType, MetricError> {
        let resource_type = self.indexer.resource_type(name).await?;
        access.require("get resource type", &resource_type_target(&resource_type))?;
        Ok(resource_type)
    }

    /// All types, by name.
    pub async fn resource_types(&self, access: &Access<'_>) -> Result<Vec<ResourceType>, MetricError> {
        access.require("list resource type", &PolicyTarget::new())?;
        Ok(self.indexer.resource_types().await?)
    }

    /// The type for those who work with its resources, whatever they may do with types.
    pub async fn schema_of(&self, name: &str) -> Result<ResourceType, MetricError> {
        Ok(self.indexer.resource_type(name).await?)
    }

    /// The type, for a caller who may change it.
    pub async fn resource_type_for_update(
        &self,
        access: &Access<'_>,
        name: &str,
    ) -> Result<ResourceType, MetricError> {
        let resource_type = self.indexer.resource_type(name).await?;
        access.require("update resource type", &resource_type_target(&resource_type))?;
        Ok(resource_type)
    }

    /// Makes the attributes of `current` what `next` says.
    pub async fn change_resource_type(
        &self,
        access: &Access<'_>,
        current: &ResourceType,
        next: BTreeMap<String, AttributeSpec>,
    ) -> Result<ResourceType, MetricError> {
        access.require("update resource type", &resource_type_target(current))?;
        let change = difference(current, next)?;
        if change.remove.is_empty() && change.set.is_empty() {
            return Ok(current.clone());
        }
        if current.name == "generic" {
            return Err(MetricError::ResourceTypeChange(
                "Resource type generic cannot have attributes".to_owned(),
            ));
        }
        Ok(self.indexer.update_resource_type(&current.name, change).await?)
    }

    /// Deletes a type that nothing uses.
    pub async fn delete_resource_type(&self, access: &Access<'_>, name: &str) -> Result<(), MetricError> {
        let resource_type = self.indexer.resource_type(name).await?;
        access.require("delete resource type", &resource_type_target(&resource_type))?;
        Ok(self.indexer.delete_resource_type(name).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn string(required: bool) -> Attribute {
        Attribute { kind: AttributeKind::String { min_length: 0, max_length: 256 }, required }
    }

    fn next(name: &str, attribute: Attribute, fill: Option<&str>) -> BTreeMap<String, AttributeSpec> {
        let fill = fill.map(|text| AttributeValue::String(text.to_owned()));
        BTreeMap::from([(name.to_owned(), AttributeSpec { attribute, fill })])
    }

    fn type_with(name: &str, attribute: Attribute) -> ResourceType {
        ResourceType {
            name: "inst".to_owned(),
            attributes: BTreeMap::from([(name.to_owned(), attribute)]),
            state: ResourceTypeState::Active,
        }
    }

    #[test]
    fn names_and_limits_are_checked() {
        for name in ["", "_a", "id", "original_resource_id", &"x".repeat(64)] {
            assert!(check_attribute(name, &string(true)).is_err(), "{name}");
        }
        assert!(check_attribute("new-optional.bool", &string(true)).is_ok());
        let kind = AttributeKind::Number { min: Some(8.0), max: Some(2.5) };
        let error = check_attribute("n", &Attribute { kind, required: true }).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Invalid input: Resource attribute value min (or min_length) 8 must be less  than or equal to max (or \
             max_length) 2.5!"
        );
    }

    #[test]
    fn required_attributes_need_a_fill_where_values_may_be_missing() {
        let current = type_with("a", string(false));
        assert!(difference(&current, next("a", string(true), None)).is_err());
        assert!(difference(&current, next("a", string(true), Some("x"))).is_ok());
        let kept = difference(&current, next("a", string(false), None)).unwrap();
        assert!(kept.set.is_empty() && kept.remove.is_empty());
        let swapped = difference(&current, next("b", string(false), None)).unwrap();
        assert_eq!((swapped.remove, swapped.set.len()), (vec!["a".to_owned()], 1));
        let other = Attribute { kind: AttributeKind::Bool, required: false };
        let error = difference(&current, next("a", other, None)).unwrap_err();
        assert_eq!(
            error.to_string(),
            "Type update is not available yet. Changing string to bool for attribute a of resource inst"
        );
    }
}
