//! One request as a handler sees it.

use std::sync::Arc;

use bytes::Bytes;
use http::HeaderMap;
use nephometer_model::Identity;

use super::accept::Accept;
use super::address::BaseUrl;
use super::query::Query;
use crate::limits::Permit;

/// One request to the dialect `D`: who asks, for what, with which body.
pub struct Call<D> {
    pub(crate) state: Arc<D>,
    /// Who asks; anonymous on public routes.
    pub(crate) identity: Identity,
    /// Its place among the requests in flight, where it has limits.
    pub(crate) permit: Option<Arc<Permit>>,
    pub(crate) accept: Accept,
    pub(crate) headers: HeaderMap,
    /// Root of absolute URLs in the answer.
    pub(crate) base: BaseUrl,
    /// Path below the root, normalised, still percent-encoded.
    pub(crate) path: String,
    /// Parameters of the path by name, decoded.
    pub(crate) params: Vec<(String, String)>,
    pub(crate) query: Query,
    pub(crate) body: Bytes,
}

impl<D> Call<D> {
    /// A parameter of the path.
    pub(crate) fn param(&self, name: &str) -> &str {
        let found = self.params.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).unwrap_or_default()
    }
}
