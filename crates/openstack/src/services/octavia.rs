//! Octavia: the members of pools, page by page.

use std::sync::Arc;

use async_trait::async_trait;
use http::Method;
use nephometer_drivers::{PoolMembers, PoolMembersError};
use serde_json::Value;

use crate::keystone::{Request, Session, Url, segment};

/// As many pages are read of one pool.
const MAX_PAGES: usize = 100;

/// Pools of Octavia, as the session's user sees them.
pub struct OctaviaPools {
    session: Arc<Session>,
}

impl OctaviaPools {
    /// Asks as `session`.
    pub fn new(session: Arc<Session>) -> Self {
        Self { session }
    }
}

/// The marker of the page that follows.
fn next_marker(body: &Value) -> Option<String> {
    let links = body["members_links"].as_array()?;
    let next = links.iter().find(|link| link["rel"] == "next")?;
    let url = Url::parse(next["href"].as_str()?).ok()?;
    url.query_pairs().find(|(name, _)| name == "marker").map(|(_, marker)| marker.into_owned())
}

#[async_trait]
impl PoolMembers for OctaviaPools {
    async fn members(&self, pool_id: &str) -> Result<Vec<Value>, PoolMembersError> {
        let path = format!("/v2.0/lbaas/pools/{}/members", segment(pool_id));
        let (mut members, mut marker) = (Vec::new(), None::<String>);
        for _ in 0..MAX_PAGES {
            let mut request = Request::new(Method::GET, "load-balancer", &path);
            if let Some(marker) = &marker {
                request = request.query("marker", marker);
            }
            let answer = self.session.answer(&request).await;
            let answer = answer.map_err(|error| PoolMembersError::Unreachable(error.to_string()))?;
            let text = || String::from_utf8_lossy(&answer.body).into_owned();
            if !answer.status.is_success() {
                return Err(PoolMembersError::Refused(text()));
            }
            let mut body: Value =
                serde_json::from_slice(&answer.body).map_err(|_| PoolMembersError::Refused(text()))?;
            marker = next_marker(&body);
            if let Value::Array(page) = body["members"].take() {
                members.extend(page);
            }
            if marker.is_none() {
                break;
            }
        }
        Ok(members)
    }
}
