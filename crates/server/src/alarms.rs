//! Builds the alarm service, its evaluator and its notifier over what this process has, and what they need of Keystone: trusts
//! of alarms' owners, and the project of the cloud's collectors.

mod cloud;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use http::{Method, StatusCode};
use nephometer_alarm::evaluate::{Evaluator, EvaluatorParts, Recorder, Sources};
use nephometer_alarm::notify::{Dispatcher, DispatcherParts};
use nephometer_alarm::service::{
    AlarmError, AlarmParts, AlarmService, Caller, CollectorProject, TrustKeeper,
};
use nephometer_drivers::{
    LeaseStore, MetricReadError, MetricReader, PolicyEnforcer, WriteFeed as _, WriteObserver,
};
use nephometer_model::{Clock, IdSource};
use nephometer_openstack::keystone::{KeystoneError, NewTrust, Request, Session};
use nephometer_openstack::services::GnocchiReader;
use serde_json::Value;
use tokio::sync::Mutex;

use crate::alarm_bus;
use crate::config::AlarmSection;
use crate::stage::Stage;

/// The alarm service; an evaluator in this process hears of its changes at once.
pub(crate) fn service(stage: &Stage<'_>) -> Result<Arc<AlarmService>> {
    let settings = &stage.config.alarm;
    let session = stage.recognition.session.as_ref();
    let collector = session.map(|session| NamedProject::new(Arc::clone(session), settings, stage.clock()));
    let service = AlarmService::new(AlarmParts {
        store: stage.alarm_store()?,
        reader: measures(stage)?,
        enforcer: Arc::clone(&stage.alarm_policy) as Arc<dyn PolicyEnforcer>,
        trusts: session.map(|session| Arc::new(KeystoneTrusts(Arc::clone(session))) as _),
        collector: collector.map(|collector| Arc::new(collector) as _),
        clock: stage.clock(),
        ids: Arc::clone(&stage.parts.clock) as _,
        settings: settings.service(stage.config.alarm_bus.announces()),
    });
    if let Some(evaluator) = stage.at_alarms.evaluator.get() {
        service.wake(evaluator.news());
    }
    Ok(Arc::new(service))
}

/// How measures are read: by plain calls where this process has the store, else over the link to the one that has it, else as
/// any Gnocchi's.
fn measures(stage: &Stage<'_>) -> Result<Arc<dyn MetricReader>> {
    if let Some(store) = &stage.parts.store {
        return Ok(Arc::clone(&store.service) as Arc<dyn MetricReader>);
    }
    if let Some(link) = &stage.link {
        return Ok(Arc::clone(link) as Arc<dyn MetricReader>);
    }
    let session = stage.recognition.session.as_ref().context("measures are read as Keystone's user")?;
    Ok(Arc::new(GnocchiReader::new(Arc::clone(session), stage.clock())))
}

/// What carries messages to their targets.
pub(crate) fn dispatcher(stage: &Stage<'_>) -> Result<Dispatcher> {
    let (config, clock) = (stage.config, stage.clock());
    let settings = &config.alarm_notifier;
    let webhooks = settings.webhooks(config.alarms_are_local())?;
    let own = cloud::notifiers(webhooks, stage.recognition.session.as_ref(), &clock)?;
    let parts = DispatcherParts {
        store: stage.alarm_store()?,
        leases: Arc::clone(stage.parts.index()?) as Arc<dyn LeaseStore>,
        notifiers: alarm_bus::notifiers(config, own, &clock)?,
        clock,
        deliveries: Arc::clone(&stage.deliveries),
        member: stage.parts.clock.uuid(),
    };
    // By processes apart, too.
    parts.store.hear_of_deliveries(&parts.deliveries);
    let dispatcher = Dispatcher::new(parts, settings.dispatcher());
    stage.at_alarms.notifier.get_or_init(|| dispatcher.handle());
    Ok(dispatcher)
}

/// What decides alarms; it hears of measures that are written in this process.
pub(crate) fn evaluator(stage: &Stage<'_>) -> Result<Evaluator> {
    let settings = &stage.config.alarm;
    let session = stage.recognition.session.as_ref();
    let sources = Sources {
        reader: measures(stage)?,
        prometheus: cloud::prometheus(session, &settings.prometheus_project_label_name, &stage.clock())?,
        members: cloud::pools(session),
        store: stage.alarm_store()?,
    };
    let ids = Arc::clone(&stage.parts.clock) as Arc<dyn IdSource>;
    let parts = EvaluatorParts {
        sources,
        leases: Arc::clone(stage.parts.index()?) as Arc<dyn LeaseStore>,
        clock: stage.clock(),
        recorder: Recorder::new(Arc::clone(&ids), settings.recording(stage.config.alarm_bus.announces())),
        deliveries: Arc::clone(&stage.deliveries),
        member: ids.uuid(),
    };
    let evaluator = Evaluator::new(parts, settings.evaluator());
    let handle = stage.at_alarms.evaluator.get_or_init(|| evaluator.handle());
    if let Some(store) = &stage.parts.store {
        let watch: Arc<dyn WriteObserver> = handle.watch();
        store.service.observe(Arc::downgrade(&watch));
    }
    Ok(evaluator)
}

/// So long it is remembered which project the collectors' is.
const REMEMBERED: Duration = Duration::from_secs(3600);

/// Trusts of owners to this service's own user.
struct KeystoneTrusts(Arc<Session>);

fn unavailable(error: &KeystoneError) -> AlarmError {
    match error.status() {
        Some(status) if status.is_client_error() => {
            AlarmError::Refused { status: 400, text: format!("the trust cannot be made: {error}") }
        }
        _ => AlarmError::Unavailable(error.to_string()),
    }
}

#[async_trait]
impl TrustKeeper for KeystoneTrusts {
    async fn create(&self, caller: &Caller) -> Result<String, AlarmError> {
        let missing = |what: &str| {
            let text = format!("trust actions need {what} of the caller");
            AlarmError::Refused { status: 400, text }
        };
        let token = caller.token.as_ref().ok_or_else(|| missing("a token"))?;
        let new = NewTrust {
            trustor_user_id: caller.identity.user_id.clone().ok_or_else(|| missing("the user"))?,
            project_id: caller.identity.project_id.clone().ok_or_else(|| missing("the project"))?,
            roles: caller.identity.roles.clone(),
            impersonation: true,
        };
        Ok(self.0.create_trust(token, &new).await.map_err(|error| unavailable(&error))?.id)
    }

    /// By the trust itself, which acts for its owner: who deletes the alarm may be somebody else.
    async fn delete(&self, _caller: &Caller, id: &str) -> Result<(), AlarmError> {
        let delete = async {
            let signed = self.0.by_trust(id).signed_in().await?;
            self.0.delete_trust(&signed.token, id).await
        };
        delete.await.map_err(|error| unavailable(&error))
    }
}

/// The project under which collectors store what they measure of all projects, by its name.
struct NamedProject {
    session: Arc<Session>,
    domain: String,
    project: String,
    clock: Arc<dyn Clock>,
    /// The id and until when it is good, by the monotonic clock.
    known: Mutex<Option<(Option<String>, u64)>>,
}

impl NamedProject {
    /// The project that the configuration names; nothing is asked yet.
    fn new(session: Arc<Session>, settings: &AlarmSection, clock: Arc<dyn Clock>) -> Self {
        Self {
            session,
            domain: settings.gnocchi_external_domain_name.clone(),
            project: settings.gnocchi_external_project_owner.clone(),
            clock,
            known: Mutex::new(None),
        }
    }

    /// This service's own project, where it has the name: it may see no other.
    async fn own(&self) -> Result<Option<String>, KeystoneError> {
        let signed = self.session.signed_in().await?;
        let own = signed.info.project.as_ref().filter(|own| own.name == self.project);
        Ok(own.filter(|own| own.domain.name == self.domain).map(|own| own.id.clone()))
    }

    async fn look_up(&self) -> Result<Option<String>, KeystoneError> {
        if let Some(own) = self.own().await? {
            return Ok(Some(own));
        }
        let domains = Request::new(Method::GET, "identity", "/domains").query("name", &self.domain);
        let Some(domain) = self.first_id(&domains, "domains").await? else { return Ok(None) };
        let projects = Request::new(Method::GET, "identity", "/projects")
            .query("name", &self.project)
            .query("domain_id", &domain);
        self.first_id(&projects, "projects").await
    }

    async fn first_id(&self, request: &Request, list: &str) -> Result<Option<String>, KeystoneError> {
        let answer = self.session.request(request).await?;
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        Ok(body[list][0]["id"].as_str().map(str::to_owned))
    }
}

#[async_trait]
impl CollectorProject for NamedProject {
    async fn id(&self) -> Result<Option<String>, MetricReadError> {
        let mut known = self.known.lock().await;
        if let Some((id, good_until_ns)) = &*known
            && self.clock.monotonic_ns() < *good_until_ns
        {
            return Ok(id.clone());
        }
        let found = match self.look_up().await {
            Ok(found) => found,
            Err(error) if error.status() == Some(StatusCode::FORBIDDEN) => {
                tracing::warn!(%error, "projects cannot be looked up");
                None
            }
            Err(error) => return Err(MetricReadError::Unavailable(error.to_string())),
        };
        if found.is_none() {
            tracing::warn!(
                "there is no project {} in the domain {}: alarms over resources see only what their own project has made",
                self.project,
                self.domain
            );
        }
        let remembered_ns = u64::try_from(REMEMBERED.as_nanos()).unwrap_or(u64::MAX);
        *known = Some((found.clone(), self.clock.monotonic_ns().saturating_add(remembered_ns)));
        Ok(found)
    }
}
