//! Instant queries of a Prometheus API: the one that the catalogue lists, or the one that Prometheus's OpenStack client
//! would use where the catalogue lists none.

mod address;

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderMap, HeaderValue, Method, header};
use nephometer_drivers::{MetricReadError, PrometheusReader};
use nephometer_model::Clock;
use serde_json::Value;

use super::failure::unread;
use super::promql;
use crate::keystone::{Answer, Call, HttpOptions, KeystoneError, Request, Session, Transport};

pub use address::{PrometheusAddress, PrometheusAddressError};

/// How the catalogue calls a Prometheus API.
const SERVICE: &str = "metric-storage";
const PATH: &str = "/api/v1/query";

/// Asks Prometheus.
pub struct PrometheusHttp {
    session: Option<Arc<Session>>,
    fixed: Option<(PrometheusAddress, Transport)>,
    label: String,
}

impl PrometheusHttp {
    /// Asks the service `metric-storage` of the session's catalogue; where there is none, `fixed`. Queries for a project
    /// ask for its id in `label`.
    ///
    /// # Errors
    /// The certificate of `fixed` cannot be read.
    pub fn new(
        session: Option<Arc<Session>>,
        fixed: Option<PrometheusAddress>,
        label: &str,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, KeystoneError> {
        let with_transport = |address: PrometheusAddress| {
            let options = HttpOptions { ca_file: address.ca_file.clone(), ..HttpOptions::default() };
            Ok((address, Transport::new(&options, Arc::clone(clock))?))
        };
        Ok(Self { session, fixed: fixed.map(with_transport).transpose()?, label: label.to_owned() })
    }

    async fn ask(&self, query: &str) -> Result<Answer, MetricReadError> {
        if let Some(session) = &self.session {
            let request = Request::new(Method::GET, SERVICE, PATH).query("query", query);
            match session.answer(&request).await {
                Err(KeystoneError::NoEndpoint { .. }) if self.fixed.is_some() => {}
                outcome => return outcome.map_err(|error| unread(&error)),
            }
        }
        let Some((address, transport)) = &self.fixed else {
            return Err(MetricReadError::Unavailable("no Prometheus is configured".to_owned()));
        };
        let mut url = address.url.clone();
        url.set_path(&format!("{}{PATH}", url.path().trim_end_matches('/')));
        url.query_pairs_mut().append_pair("query", query);
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let call = Call { method: Method::GET, url, headers, body: None, repeatable: true };
        transport.send(&call).await.map_err(|error| unread(&error))
    }
}

/// The values of an answer: one for each series of a vector, one for a scalar.
fn values(answer: &Answer) -> Result<Vec<f64>, MetricReadError> {
    let status = answer.status.as_u16();
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    if !answer.status.is_success() || body["status"] != "success" {
        let text = body["error"].as_str().map(str::to_owned);
        let text = text.unwrap_or_else(|| "Prometheus's answer is not understood".to_owned());
        return Err(MetricReadError::Refused { status, text });
    }
    let odd = || MetricReadError::Refused { status, text: "the query gives no numbers".to_owned() };
    // Prometheus writes `+Inf`, `-Inf` and `NaN`, which Rust reads as it does.
    let number = |pair: &Value| pair[1].as_str().and_then(|text| text.parse::<f64>().ok()).ok_or_else(odd);
    let result = &body["data"]["result"];
    match body["data"]["resultType"].as_str() {
        Some("vector") => {
            let series = result.as_array().ok_or_else(odd)?;
            series.iter().map(|series| number(&series["value"])).collect()
        }
        Some("scalar") => Ok(vec![number(result)?]),
        _ => Err(odd()),
    }
}

#[async_trait]
impl PrometheusReader for PrometheusHttp {
    async fn query(&self, query: &str, scope_to_project: Option<&str>) -> Result<Vec<f64>, MetricReadError> {
        let narrowed = match scope_to_project {
            None => query.to_owned(),
            Some(project) => promql::narrow(query, &self.label, project)
                .map_err(|error| MetricReadError::Refused { status: 400, text: error.to_string() })?,
        };
        values(&self.ask(&narrowed).await?)
    }
}
