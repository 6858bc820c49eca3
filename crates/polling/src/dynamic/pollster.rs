//! A definition as a pollster.

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt as _;
use futures::future::BoxFuture;
use nephometer_model::Secret;
use serde_json::Value as Json;

use super::asker::{Asker, Place, Trouble};
use super::barbican;
use super::definition::{Definition, Source};
use super::extra::{Captured, Extra};
use super::extract::{self, Draft};
use super::pages::Pages;
use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// Credentials where nothing says any, as upstream has it.
const NO_CREDENTIALS: &str = "None";

/// A pollster that a file defines.
pub(super) struct DynamicPollster {
    pub(super) definition: Definition,
    /// Where it comes from, for people.
    pub(super) origin: String,
    /// How what it reads is found.
    pub(super) discovery: String,
    pub(super) asker: Asker,
}

/// What a poll could not read.
#[derive(Default)]
struct Losses {
    entries: u64,
    lost_entries: u64,
    first: Option<String>,
    places: Vec<String>,
    unmapped: Option<String>,
}

impl Losses {
    fn entry(&mut self, reason: String) {
        self.lost_entries += 1;
        self.first.get_or_insert(reason);
    }

    /// What a poll comes to.
    fn outcome(self) -> Result<(), PollError> {
        let mut texts = self.places;
        if let Some(first) = self.first {
            let Self { entries, lost_entries, .. } = self;
            texts.push(format!(
                "of {entries} entries {lost_entries} samples are missing, the first for this: {first}"
            ));
        }
        if texts.is_empty() { Ok(()) } else { Err(PollError::Failed(texts.join("; "))) }
    }
}

impl DynamicPollster {
    /// What is asked about a resource.
    fn place(&self, resource: &Resource) -> Place {
        match &self.definition.source {
            Source::OpenStack { .. } => Place::Endpoint(resource.id.to_string()),
            Source::Command(_) => Place::Host,
            Source::Other { .. } => match resource.of::<Secret>() {
                Some(secret) => Place::Credentials((*secret).clone()),
                None => Place::Credentials(Secret::new(&*resource.id)),
            },
        }
    }

    /// Reads one place to its end. Samples go out page by page.
    async fn read(
        &self,
        cycle: &Cycle,
        resource: &Resource,
        out: &mut SampleOut<'_>,
        losses: &mut Losses,
    ) -> Result<(), PollError> {
        let place = self.place(resource);
        let given = &self.definition.variables;
        let variables: Vec<_> = given.iter().map(|(name, value)| (name.as_str(), value)).collect();
        let lost = |trouble: Trouble| match &place {
            // The resource may be the credentials themselves; the text has the address.
            Place::Credentials(_) => trouble.into_text(),
            Place::Endpoint(_) | Place::Host => format!("{}: {}", resource.id, trouble.into_text()),
        };
        let mut pages = match Pages::begin(&self.asker, &self.definition, &place, &variables, false) {
            Ok(pages) => pages,
            Err(trouble) => {
                losses.places.push(lost(trouble));
                return Ok(());
            }
        };
        loop {
            let entries = match pages.next().await {
                Ok(Some(entries)) => entries,
                Ok(None) => return Ok(()),
                Err(trouble) => {
                    losses.places.push(lost(trouble));
                    return Ok(());
                }
            };
            for mut entry in entries {
                losses.entries += 1;
                for draft in self.drafts(&self.definition, &mut entry, &mut losses.unmapped).await {
                    match draft {
                        Ok(draft) => {
                            let id = cycle.ids().uuid().to_string();
                            out.push(extract::sample(&self.definition, draft, &entry, id)).await?;
                        }
                        Err(reason) => losses.entry(reason),
                    }
                }
            }
        }
    }

    /// The samples of an entry, with their extra metadata.
    async fn drafts(
        &self,
        definition: &Definition,
        entry: &mut Json,
        unmapped: &mut Option<String>,
    ) -> Vec<Result<Draft, String>> {
        if let Err(reason) = extract::prepare(definition, entry) {
            return vec![Err(reason)];
        }
        let mut drafts = extract::drafts(definition, entry, unmapped);
        if definition.extras.is_empty() {
            return drafts;
        }
        for draft in &mut drafts {
            let Ok(made) = draft else { continue };
            if let Err(reason) = self.enrich(definition, entry, made).await {
                *draft = Err(reason);
            }
        }
        drafts
    }

    /// Adds what further questions about a sample are answered with.
    fn enrich<'a>(
        &'a self,
        definition: &'a Definition,
        entry: &'a mut Json,
        draft: &'a mut Draft,
    ) -> BoxFuture<'a, Result<(), String>> {
        async move {
            if let Json::Object(fields) = &mut *entry {
                fields.insert("value".to_owned(), draft.volume.to_json());
                fields.insert("metadata".to_owned(), Json::Object(draft.metadata.clone()));
            }
            let mut captured = Captured::new();
            for extra in definition.extras.iter().filter(|extra| !extra.is_skipped(entry)) {
                let failed =
                    |reason| format!("extra_metadata_fields [{}]: {reason}", extra.definition.meter.name);
                for place in self.places(extra).await.map_err(failed)? {
                    self.capture(extra, entry, &place, &mut captured).await.map_err(failed)?;
                }
            }
            for (key, value) in captured.into_fields() {
                if draft.metadata.contains_key(&key) {
                    tracing::debug!(
                        pollster = self.name(),
                        key,
                        "extra metadata is there already; it stays as it was"
                    );
                } else {
                    draft.metadata.insert(key, value);
                }
            }
            Ok(())
        }
        .boxed()
    }

    /// Where extra metadata is read.
    async fn places(&self, extra: &Extra) -> Result<Vec<Place>, String> {
        let cloud = self.asker.cloud.as_ref();
        match &extra.definition.source {
            Source::Command(_) => Ok(vec![Place::Host]),
            Source::OpenStack { endpoint_type, .. } => {
                let endpoints = cloud.endpoints(endpoint_type).await.map_err(|error| error.to_string())?;
                Ok(endpoints.into_iter().map(Place::Endpoint).collect())
            }
            Source::Other { .. } if !extra.is_discovered => {
                Ok(vec![Place::Credentials(Secret::new(NO_CREDENTIALS))])
            }
            Source::Other { secret_id, .. } => {
                let found = barbican::secret(cloud, secret_id).await.map_err(|error| error.to_string())?;
                Ok(vec![Place::Credentials(found.unwrap_or_else(|| Secret::new(barbican::NOTHING)))])
            }
        }
    }

    /// Asks one further question about an entry.
    async fn capture(
        &self,
        extra: &Extra,
        entry: &Json,
        place: &Place,
        captured: &mut Captured,
    ) -> Result<(), String> {
        let definition = &extra.definition;
        let variables = [
            ("sample", entry),
            ("extra_metadata_captured", &captured.fields),
            ("extra_metadata_by_name", &captured.by_name),
        ];
        let mut pages =
            Pages::begin(&self.asker, definition, place, &variables, true).map_err(Trouble::into_text)?;
        loop {
            let entries = match pages.next().await {
                Ok(Some(entries)) => entries,
                Ok(None) => return Ok(()),
                // Upstream goes on without what it cannot reach.
                Err(Trouble::Unreachable(reason)) => {
                    tracing::warn!(
                        pollster = self.name(),
                        extra = &*definition.meter.name,
                        reason,
                        "not read"
                    );
                    return Ok(());
                }
                Err(Trouble::Failed(reason)) => return Err(reason),
            };
            for mut entry in entries {
                for draft in self.drafts(definition, &mut entry, &mut None).await {
                    let Draft { name, volume, metadata } = draft?;
                    captured.add(&name, volume.to_json(), metadata);
                }
            }
        }
    }
}

#[async_trait]
impl Pollster for DynamicPollster {
    of_one_meter! {
        self,
        name: &self.definition.meter.name,
        meter: self.definition.meter,
        origin: &self.origin,
        discovery: Some(&self.discovery),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let mut losses = Losses::default();
        for resource in resources {
            self.read(cycle, resource, out, &mut losses).await?;
        }
        if let Some(value) = &losses.unmapped {
            let default = &self.definition.default_value;
            tracing::warn!(
                pollster = self.name(), value, %default,
                "value_mapping does not have this value, and perhaps others; they count as default_value"
            );
        }
        losses.outcome()
    }
}

/// The pollster of a definition.
pub(super) fn pollster(definition: Definition, file: &std::path::Path, asker: Asker) -> Arc<dyn Pollster> {
    let (origin, discovery) = (format!("dynamic, {}", file.display()), definition.discovery());
    Arc::new(DynamicPollster { definition, origin, discovery, asker })
}
