//! The alarm API behind its router, without a socket: a real index, the metric service over a real engine, and a keeper of
//! trusts that remembers what it was asked for. Callers say who they are in headers.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Result;
use async_trait::async_trait;
use axum::Router;
use http::header::HeaderName;
use http::{Method, StatusCode};
use nephometer_alarm::service::{
    AlarmError, AlarmParts, AlarmService, AlarmSettings, Caller, CollectorProject, TrustKeeper,
};
use nephometer_api::aodh::{self, AodhState};
use nephometer_api::http::dialect::FrontSettings;
use nephometer_api::limits::{LimitSettings, Limits};
use nephometer_drivers::{
    AlarmStore, Authenticator, ClaimedIdentityAuthenticator, DataPoints, DeliveryEnd, LeaseStore, MetricRead,
    MetricReadError, MetricReader, NOTIFIERS, PolicyEnforcer,
};
use nephometer_index_sql::SqlIndex;
use nephometer_metric::MetricService;
use nephometer_model::{ManualClock, SeriesKey};
use nephometer_openstack::policy::{ALARM_RULES, PolicyOptions, PolicyText, RuleSet};
use parking_lot::Mutex;
use serde_json::Value;
use tempfile::TempDir;
use uuid::Uuid;

use crate::app::{Ground, TestAnswer, TestRequest, is_asked};

/// Who asks, as headers say it; empty texts are not said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Who<'a> {
    /// The user's id.
    pub user: &'a str,
    /// The project's id.
    pub project: &'a str,
    /// Roles with commas between.
    pub roles: &'a str,
}

/// Alarm rules as deployed clouds have them: the checks of earlier releases admit beside those of today.
const LENIENT: PolicyOptions = PolicyOptions { enforce_scope: false, enforce_new_defaults: false };

/// What a test may want otherwise than usual.
pub struct AlarmAppBuilder {
    settings: AlarmSettings,
    authenticator: Arc<dyn Authenticator>,
    enforcer: Arc<dyn PolicyEnforcer>,
    collector: Option<String>,
}

impl AlarmAppBuilder {
    /// Other settings of alarms.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut AlarmSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Another way of knowing callers than to believe them.
    #[must_use]
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// Upstream's rules, taken as strictly as `options` say, with those of a policy file instead.
    pub fn rules(mut self, options: PolicyOptions, file: &str) -> Result<Self> {
        self.enforcer = rules(options, file)?;
        Ok(self)
    }

    /// Collectors store what they measure under this project.
    #[must_use]
    pub fn collector(mut self, project: &str) -> Self {
        self.collector = Some(project.to_owned());
        self
    }

    /// Builds it on an empty directory.
    pub async fn start(self) -> Result<AlarmApp> {
        let Ground { index, service, clock, directory } = Ground::lay().await?;
        let reader = Arc::new(WatchedReader::over(&service));
        let app = AlarmApp {
            router: Router::new(),
            index,
            metrics: service,
            reader,
            trusts: Arc::default(),
            clock,
            collector: self.collector.map(Collector),
            authenticator: self.authenticator,
            _directory: Arc::new(directory),
        };
        Ok(app.with(self.settings, self.enforcer))
    }
}

fn rules(options: PolicyOptions, file: &str) -> Result<Arc<dyn PolicyEnforcer>> {
    let file = PolicyText { name: "policy.yaml", text: file };
    let (rules, _) =
        RuleSet::load(&ALARM_RULES, options, &[file]).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
    Ok(Arc::new(rules))
}

/// A running application.
pub struct AlarmApp {
    /// What answers requests.
    pub router: Router,
    /// Where alarms are.
    pub index: Arc<SqlIndex>,
    /// Where measures are.
    pub metrics: Arc<MetricService>,
    /// What the alarm service reads measures by.
    pub reader: Arc<WatchedReader>,
    /// What makes trusts.
    pub trusts: Arc<Trusts>,
    /// Its time.
    pub clock: Arc<ManualClock>,
    collector: Option<Collector>,
    authenticator: Arc<dyn Authenticator>,
    _directory: Arc<TempDir>,
}

impl AlarmApp {
    /// Upstream's rules as deployed clouds have them, callers who are believed, usual settings.
    pub fn builder() -> AlarmAppBuilder {
        AlarmAppBuilder {
            settings: AlarmSettings::default(),
            authenticator: Arc::new(ClaimedIdentityAuthenticator),
            enforcer: rules(LENIENT, "").expect("the default rules are tested"),
            collector: None,
        }
    }

    /// The usual application.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// The same alarms and measures under other settings, and upstream's rules with those of a policy file instead.
    pub fn again(&self, settings: AlarmSettings, policy: &str) -> Result<Self> {
        Ok(self.with(settings, rules(LENIENT, policy)?))
    }

    fn with(&self, settings: AlarmSettings, enforcer: Arc<dyn PolicyEnforcer>) -> Self {
        let service = AlarmService::new(AlarmParts {
            store: Arc::clone(&self.index) as _,
            reader: Arc::clone(&self.reader) as _,
            enforcer,
            trusts: Some(Arc::clone(&self.trusts) as _),
            collector: self.collector.clone().map(|collector| Arc::new(collector) as _),
            clock: Arc::clone(&self.clock) as _,
            ids: Arc::clone(&self.clock) as _,
            settings,
        });
        let router = aodh::router(AodhState {
            service: Arc::new(service),
            authenticator: Arc::clone(&self.authenticator),
            limits: Arc::new(Limits::new(LimitSettings::default(), self.clock.clone())),
            ids: Arc::clone(&self.clock) as _,
            settings: FrontSettings::default(),
        });
        Self {
            router,
            index: Arc::clone(&self.index),
            metrics: Arc::clone(&self.metrics),
            reader: Arc::clone(&self.reader),
            trusts: Arc::clone(&self.trusts),
            clock: Arc::clone(&self.clock),
            collector: self.collector.clone(),
            authenticator: Arc::clone(&self.authenticator),
            _directory: Arc::clone(&self._directory),
        }
    }

    /// Where alarms are, as the service sees it.
    pub fn store(&self) -> &dyn AlarmStore {
        &*self.index
    }

    /// A notifier takes messages that are due and gives them up for this reason; how many.
    ///
    /// # Errors
    /// The store's.
    pub async fn give_up_due(&self, reason: &str) -> Result<usize> {
        const MEMBER: Uuid = Uuid::from_u128(1);
        let minute = Duration::from_secs(60);
        self.index.renew(NOTIFIERS, MEMBER, 0, minute).await?;
        let taken = self.store().take_deliveries(MEMBER, minute, 10).await?;
        let dead = || DeliveryEnd::Dead { error: reason.to_owned() };
        let ends = taken.iter().map(|delivery| (delivery.message.id, dead())).collect();
        self.store().end_deliveries(MEMBER, ends).await?;
        Ok(taken.len())
    }

    /// A request of somebody that takes JSON.
    pub fn request(&self, who: Who<'_>, method: Method, path: &str) -> TestRequest<'_> {
        let headers = [("x-user-id", who.user), ("x-project-id", who.project), ("x-roles", who.roles)];
        let said = headers.into_iter().filter(|(_, value)| !value.is_empty());
        said.fold(TestRequest::new(&self.router, promised, method, path), |request, (name, value)| {
            request.header(HeaderName::from_static(name), value)
        })
    }

    /// Reads `path`.
    pub async fn get(&self, who: Who<'_>, path: &str) -> TestAnswer {
        self.request(who, Method::GET, path).send().await
    }

    /// Posts JSON to `path`.
    pub async fn post(&self, who: Who<'_>, path: &str, body: &Value) -> TestAnswer {
        self.request(who, Method::POST, path).json(body).send().await
    }

    /// Puts JSON to `path`.
    pub async fn put(&self, who: Who<'_>, path: &str, body: &Value) -> TestAnswer {
        self.request(who, Method::PUT, path).json(body).send().await
    }

    /// Deletes `path`.
    pub async fn delete(&self, who: Who<'_>, path: &str) -> TestAnswer {
        self.request(who, Method::DELETE, path).send().await
    }
}

fn promised(method: &Method, path: &str) -> Option<Vec<u16>> {
    let route = aodh::routes().into_iter().find(|route| is_asked(&route.method, route.path, method, path));
    route.as_ref().map(aodh::statuses)
}

/// Knows the collectors' project.
#[derive(Debug, Clone)]
struct Collector(String);

#[async_trait]
impl CollectorProject for Collector {
    async fn id(&self) -> Result<Option<String>, MetricReadError> {
        Ok(Some(self.0.clone()))
    }
}

/// The metric service, watched; or in its place one that answers as a test says.
pub struct WatchedReader {
    metrics: Arc<MetricService>,
    /// What it refuses with from now on, whatever it is asked.
    pub refusal: Mutex<Option<MetricReadError>>,
    /// Readings that it was to judge.
    pub judged: Mutex<Vec<MetricRead>>,
}

impl WatchedReader {
    fn over(metrics: &Arc<MetricService>) -> Self {
        Self { metrics: Arc::clone(metrics), refusal: Mutex::default(), judged: Mutex::default() }
    }

    fn refused(&self) -> Result<(), MetricReadError> {
        self.refusal.lock().clone().map_or(Ok(()), Err)
    }
}

#[async_trait]
impl MetricReader for WatchedReader {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        self.metrics.read(reads).await
    }

    async fn check(&self, read: &MetricRead) -> Result<(), MetricReadError> {
        self.judged.lock().push(read.clone());
        self.refused()?;
        self.metrics.check(read).await
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        self.refused()?;
        self.metrics.aggregation_methods().await
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        self.metrics.series(reads).await
    }
}

/// Trusts without a Keystone, numbered: `trust1` and so on.
#[derive(Default)]
pub struct Trusts {
    made: AtomicUsize,
    /// Who made one, in order: user, project, roles.
    pub made_for: Mutex<Vec<(String, String, Vec<String>)>>,
    /// Those that were deleted.
    pub deleted: Mutex<Vec<String>>,
    /// Whether it refuses from now on.
    pub refuses: Mutex<bool>,
}

impl Trusts {
    fn refused(&self) -> Result<(), AlarmError> {
        let status = StatusCode::FORBIDDEN.as_u16();
        let refusal = AlarmError::Refused { status, text: "no trusts here".to_owned() };
        if *self.refuses.lock() { Err(refusal) } else { Ok(()) }
    }
}

#[async_trait]
impl TrustKeeper for Trusts {
    async fn create(&self, caller: &Caller) -> Result<String, AlarmError> {
        self.refused()?;
        let identity = &caller.identity;
        let [user, project] =
            [&identity.user_id, &identity.project_id].map(|id| id.clone().unwrap_or_default());
        self.made_for.lock().push((user, project, identity.roles.clone()));
        Ok(format!("trust{}", self.made.fetch_add(1, Ordering::SeqCst) + 1))
    }

    async fn delete(&self, _: &Caller, id: &str) -> Result<(), AlarmError> {
        self.refused()?;
        self.deleted.lock().push(id.to_owned());
        Ok(())
    }
}
