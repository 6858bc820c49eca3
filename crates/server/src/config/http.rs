//! How an API's listener takes requests: the same keys in the section of each.

use std::time::Duration;

use nephometer_api::HttpSettings;
use nephometer_api::http::body::BodyLimits;
use nephometer_api::http::cors::Cors;
use nephometer_api::http::dialect::FrontSettings;
use serde::{Deserialize, Serialize};

use super::Problem;
use super::check::seconds_problem;

/// The keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HttpSection {
    /// Whether `Forwarded` and `X-Forwarded-*` are believed.
    pub(crate) enable_proxy_headers_parsing: bool,
    /// Origins that browsers may call from.
    pub(crate) cors_allowed_origins: Vec<String>,
    /// A path in front of all routes that is accepted too.
    pub(crate) path_prefix: String,
    /// Longest request body after decompression, in bytes.
    pub(crate) max_body_bytes: usize,
    /// Connections served at once; more wait.
    pub(crate) max_connections: usize,
    /// A request that takes longer once its body is there is given up.
    pub(crate) request_timeout_seconds: f64,
    /// Request headers must be complete within this; also how long an idle connection is kept.
    pub(crate) header_read_timeout_seconds: f64,
    /// A request body must be complete within this.
    pub(crate) body_read_timeout_seconds: f64,
    /// Requests that run when the server is told to stop may take so long to finish.
    pub(crate) stop_timeout_seconds: f64,
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            enable_proxy_headers_parsing: false,
            cors_allowed_origins: Vec::new(),
            path_prefix: String::new(),
            max_body_bytes: 32 << 20,
            max_connections: 4096,
            request_timeout_seconds: 120.0,
            header_read_timeout_seconds: 75.0,
            body_read_timeout_seconds: 60.0,
            stop_timeout_seconds: 30.0,
        }
    }
}

impl HttpSection {
    /// What is wrong with the keys of `section`.
    pub(super) fn problems(&self, section: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (key, value) in
            [("max_body_bytes", self.max_body_bytes), ("max_connections", self.max_connections)]
        {
            if value == 0 {
                problems.push(Problem::new(format!("{section}.{key}: must be at least 1")));
            }
        }
        for (key, seconds) in [
            ("request_timeout_seconds", self.request_timeout_seconds),
            ("header_read_timeout_seconds", self.header_read_timeout_seconds),
            ("body_read_timeout_seconds", self.body_read_timeout_seconds),
            ("stop_timeout_seconds", self.stop_timeout_seconds),
        ] {
            problems.extend(seconds_problem(&format!("{section}.{key}"), seconds));
        }
        let prefix = &self.path_prefix;
        if !prefix.is_empty() && (!prefix.starts_with('/') || prefix.ends_with('/')) {
            let text = format!("{section}.path_prefix: must begin and must not end with a slash");
            problems.push(Problem::new(text));
        }
        problems
    }

    /// What the dialect's front is told.
    pub(crate) fn front(&self) -> FrontSettings {
        FrontSettings {
            body: BodyLimits {
                max_bytes: self.max_body_bytes,
                timeout: Duration::from_secs_f64(self.body_read_timeout_seconds),
            },
            request_timeout: Duration::from_secs_f64(self.request_timeout_seconds),
            path_prefix: self.path_prefix.clone(),
            trust_proxy_headers: self.enable_proxy_headers_parsing,
            cors: Cors::new(self.cors_allowed_origins.clone()),
        }
    }

    /// What the listener is told.
    pub(crate) fn listener(&self) -> HttpSettings {
        HttpSettings {
            max_connections: self.max_connections,
            header_timeout: Duration::from_secs_f64(self.header_read_timeout_seconds),
            stop_timeout: Duration::from_secs_f64(self.stop_timeout_seconds),
        }
    }
}
