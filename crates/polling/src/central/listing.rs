//! A collection of a REST API as a discovery.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudCall, CloudReader};
use serde_json::Value;

use super::pages;
use crate::{Cycle, Discovery, DiscoveryError, Resource};

/// How a collection's pages follow each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// Each says where the next one is.
    Linked,
    /// They are counted, so many objects each.
    Counted(usize),
    /// There is one.
    Only,
}

/// A collection.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    /// The discovery's name.
    pub(super) name: &'static str,
    /// What is asked for.
    pub(super) call: CloudCall,
    /// The collection's key in an answer.
    pub(super) key: &'static str,
    /// How its pages follow each other.
    pub(super) page: Page,
    /// By what an object is known.
    pub(super) id: fn(&Value) -> Option<String>,
    /// Whether a service that refuses to list it (an extension that it does not have) has none.
    pub(super) is_optional: bool,
}

impl Listing {
    /// A collection whose objects have an `id` and whose pages are linked.
    pub(super) fn new(name: &'static str, call: CloudCall, key: &'static str) -> Self {
        Self { name, call, key, page: Page::Linked, id: |object| text(object, "id"), is_optional: false }
    }

    /// As `cloud` shows it.
    pub(super) fn over(self, cloud: &Arc<dyn CloudReader>) -> CloudListing {
        CloudListing { listing: self, cloud: Arc::clone(cloud) }
    }
}

/// The text of an object's field.
pub(super) fn text(object: &Value, field: &str) -> Option<String> {
    object[field].as_str().map(str::to_owned)
}

/// A collection as a cloud shows it.
pub(super) struct CloudListing {
    listing: Listing,
    cloud: Arc<dyn CloudReader>,
}

#[async_trait]
impl Discovery for CloudListing {
    fn name(&self) -> &str {
        self.listing.name
    }

    async fn discover(&self, _: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let Listing { call, key, page, id, is_optional, .. } = &self.listing;
        let by_offset = match page {
            Page::Counted(limit) => Some(*limit),
            Page::Linked | Page::Only => None,
        };
        let objects = match pages::read_all(self.cloud.as_ref(), call.clone(), key, by_offset).await {
            Err(DiscoveryError::Failed(reason)) if *is_optional => {
                tracing::warn!(discovery = self.listing.name, reason, "taken for empty");
                Vec::new()
            }
            read => read?,
        };
        let resources = objects.into_iter().filter_map(|object| {
            let Some(id) = id(&object) else {
                tracing::warn!(discovery = self.listing.name, %object, "an object without an id is passed over");
                return None;
            };
            Some(Resource::from_json(id, object))
        });
        Ok(resources.collect())
    }
}
