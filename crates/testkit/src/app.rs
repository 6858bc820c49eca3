//! The whole application behind its router, without a socket: a real index, a real engine, a temporary directory, and a
//! clock that moves when told.

use std::sync::Arc;

use anyhow::Result;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::limits::{LimitSettings, Limits};
use nephometer_drivers::{Authenticator, BasicAuthenticator, Indexer as _, PolicyEnforcer};
use nephometer_engine::io::FileStorage;
use nephometer_engine::{Engine, Settings};
use nephometer_index_sql::{SqlIndex, SqliteSettings};
use nephometer_metric::{MetricService, MetricSettings};
use nephometer_model::{ManualClock, Timestamp};
use nephometer_openstack::policy::RuleSet;
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt as _;

/// Where tests begin: 2026-01-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_ns(1_767_225_600_000_000_000);

/// What a test may want otherwise than usual.
pub struct TestAppBuilder {
    settings: GnocchiSettings,
    limits: LimitSettings,
    authenticator: Arc<dyn Authenticator>,
    enforcer: Arc<dyn PolicyEnforcer>,
}

impl TestAppBuilder {
    /// Other settings of the API.
    #[must_use]
    pub fn settings(mut self, change: impl FnOnce(&mut GnocchiSettings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Limits of what callers may take.
    #[must_use]
    pub fn limits(mut self, limits: LimitSettings) -> Self {
        self.limits = limits;
        self
    }

    /// Another way of signing in than basic.
    #[must_use]
    pub fn authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = authenticator;
        self
    }

    /// Other rules than upstream's defaults.
    #[must_use]
    pub fn enforcer(mut self, enforcer: Arc<dyn PolicyEnforcer>) -> Self {
        self.enforcer = enforcer;
        self
    }

    /// Upstream's rules with those of a policy file instead.
    pub fn rules(self, file: &str) -> Result<Self> {
        let (rules, _) = RuleSet::with_file(file).map_err(|errors| anyhow::anyhow!("{errors:?}"))?;
        Ok(self.enforcer(Arc::new(rules)))
    }

    /// Builds it on an empty directory.
    pub async fn start(self) -> Result<TestApp> {
        let Ground { service, clock, directory, .. } = Ground::lay().await?;
        let limits = Arc::new(Limits::new(self.limits, clock.clone()));
        let router = gnocchi::router(GnocchiState {
            service: Arc::clone(&service),
            authenticator: self.authenticator,
            enforcer: self.enforcer,
            limits: Arc::clone(&limits),
            settings: self.settings,
        });
        Ok(TestApp { router, service, limits, clock, _directory: directory })
    }
}

/// What APIs stand on.
pub(crate) struct Ground {
    pub(crate) index: Arc<SqlIndex>,
    pub(crate) service: Arc<MetricService>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: TempDir,
}

impl Ground {
    /// An index, an engine and the service over them, empty.
    pub(crate) async fn lay() -> Result<Self> {
        let directory = TempDir::new()?;
        let clock = Arc::new(ManualClock::at(START));
        let database = SqliteSettings::at(directory.path().join("index.sqlite"));
        let index = Arc::new(SqlIndex::open_sqlite(&database, clock.clone())?);
        let storage = Arc::new(FileStorage::new(&directory.path().join("engine"))?);
        let policies = index.archive_policies().await?;
        let engine = Settings { min_free_disk_bytes: 0, ..Settings::default() };
        let engine = Engine::open(engine, storage, index.clone(), clock.clone(), clock.clone(), &policies)?;
        let service = MetricService::new(
            index.clone(),
            Arc::new(engine),
            clock.clone(),
            clock.clone(),
            MetricSettings::default(),
        );
        service.load_policies().await?;
        Ok(Self { index, service: Arc::new(service), clock, directory })
    }
}

/// A running application.
pub struct TestApp {
    /// What answers requests.
    pub router: Router,
    /// The service behind it.
    pub service: Arc<MetricService>,
    /// What has been taken of its limits.
    pub limits: Arc<Limits>,
    /// Its time.
    pub clock: Arc<ManualClock>,
    _directory: TempDir,
}

impl TestApp {
    /// Upstream's rules, basic authentication, usual settings.
    pub fn builder() -> TestAppBuilder {
        TestAppBuilder {
            settings: GnocchiSettings::default(),
            limits: LimitSettings::default(),
            authenticator: Arc::new(BasicAuthenticator),
            enforcer: Arc::new(RuleSet::defaults()),
        }
    }

    /// The usual application.
    pub async fn start() -> Result<Self> {
        Self::builder().start().await
    }

    /// A request as the user `admin` that takes JSON.
    pub fn request(&self, method: Method, path: &str) -> TestRequest<'_> {
        TestRequest::new(&self.router, promised, method, path).user("admin")
    }

    /// Reads `path` as `admin`.
    pub async fn get(&self, path: &str) -> TestAnswer {
        self.request(Method::GET, path).send().await
    }

    /// Posts JSON to `path` as `admin`.
    pub async fn post(&self, path: &str, body: &Value) -> TestAnswer {
        self.request(Method::POST, path).json(body).send().await
    }

    /// Deletes `path` as `admin`.
    pub async fn delete(&self, path: &str) -> TestAnswer {
        self.request(Method::DELETE, path).send().await
    }
}

/// A request in the making.
pub struct TestRequest<'a> {
    router: &'a Router,
    /// What the OpenAPI document promises for a method and a path, if they are a route's.
    promised: fn(&Method, &str) -> Option<Vec<u16>>,
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Body,
}

impl<'a> TestRequest<'a> {
    /// A request of nobody that takes JSON.
    pub(crate) fn new(
        router: &'a Router,
        promised: fn(&Method, &str) -> Option<Vec<u16>>,
        method: Method,
        path: &str,
    ) -> Self {
        let (headers, body) = (HeaderMap::new(), Body::empty());
        let request = Self { router, promised, method, path: path.to_owned(), headers, body };
        request.header(header::ACCEPT, "application/json")
    }

    /// Comes from this user.
    #[must_use]
    pub fn user(self, name: &str) -> Self {
        use base64::Engine as _;
        let token = base64::engine::general_purpose::STANDARD.encode(format!("{name}:"));
        self.header(header::AUTHORIZATION, &format!("basic {token}"))
    }

    /// Has this header instead of the usual one.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: &str) -> Self {
        self.headers.insert(name, HeaderValue::from_str(value).expect("a header's value"));
        self
    }

    /// Lacks this header.
    #[must_use]
    pub fn without(mut self, name: &HeaderName) -> Self {
        self.headers.remove(name);
        self
    }

    /// Carries JSON.
    #[must_use]
    pub fn json(self, body: &Value) -> Self {
        let text = body.to_string();
        self.header(header::CONTENT_TYPE, "application/json").body(text)
    }

    /// Carries these bytes.
    #[must_use]
    pub fn body(mut self, bytes: impl Into<Body>) -> Self {
        self.body = bytes.into();
        self
    }

    /// Sends it and reads the whole answer, whose status must be one that the OpenAPI document promises for the route.
    pub async fn send(self) -> TestAnswer {
        let (method, path) = (self.method.clone(), self.path.clone());
        let mut request =
            Request::builder().method(self.method).uri(self.path).body(self.body).expect("a request");
        self.headers.into_iter().for_each(|(name, value)| {
            if let Some(name) = name {
                request.headers_mut().insert(name, value);
            }
        });
        request.headers_mut().entry(header::HOST).or_insert(HeaderValue::from_static("localhost"));
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let (parts, body) = response.into_parts();
        if let Some(promised) = (self.promised)(&method, &path) {
            assert!(promised.contains(&parts.status.as_u16()), "{method} {path} gave {}", parts.status);
        }
        let body = body.collect().await.expect("a body that can be read").to_bytes();
        TestAnswer { status: parts.status, headers: parts.headers, body }
    }
}

fn promised(method: &Method, path: &str) -> Option<Vec<u16>> {
    let route = gnocchi::routes().into_iter().find(|route| is_asked(&route.method, route.path, method, path));
    route.as_ref().map(gnocchi::statuses)
}

/// Whether a request asks for a route, if it has no odd slashes and no prefix.
pub(crate) fn is_asked(verb: &Method, pattern: &str, method: &Method, path: &str) -> bool {
    let pattern: Vec<&str> = pattern.split('/').collect();
    let given: Vec<&str> = path.split('?').next().unwrap_or_default().split('/').collect();
    let fits = |(pattern, given): (&&str, &&str)| pattern.starts_with('{') || pattern == given;
    verb == method && pattern.len() == given.len() && pattern.iter().zip(&given).all(fits)
}

/// An answer, read whole.
#[derive(Debug, Clone)]
pub struct TestAnswer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl TestAnswer {
    /// The body as JSON; fails the test where it is none, showing it.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    /// The body as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// A header as text; empty where it is absent.
    pub fn header(&self, name: &HeaderName) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// Fails the test, showing the answer, unless it has this status.
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", self.text());
        self
    }
}
