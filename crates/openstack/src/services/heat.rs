//! Heat: members of an autoscaling group that do not answer are marked, and an update of their stack replaces them.

use std::sync::Arc;

use async_trait::async_trait;
use http::{Method, header};
use nephometer_drivers::{DeliveryFailure, StackHealer, UnhealthyMembers};
use serde_json::{Value, json};

use super::TrustSessions;
use crate::keystone::{KeystoneError, Request, Session, Url, segment};

const SERVICE: &str = "orchestration";
/// Members are looked for in stacks nested so deep.
const NESTED_DEPTH: &str = "3";
/// What Heat is told.
const REASON: &str = "unhealthy load balancer member";

/// Stacks of those who trust us.
pub struct HeatStacks {
    trusts: Arc<TrustSessions>,
}

impl HeatStacks {
    /// Acts by `trusts`.
    pub fn new(trusts: Arc<TrustSessions>) -> Self {
        Self { trusts }
    }
}

/// A stack's path below Heat's address: by name and id. Heat answers a request by id alone with a redirection to it.
async fn stack_path(session: &Session, id: &str) -> Result<String, KeystoneError> {
    let request = Request::new(Method::GET, SERVICE, &format!("/stacks/{}", segment(id)));
    let answer = session.answer(&request).await?;
    if answer.status.is_redirection() {
        let location = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
        let found = location.and_then(|location| Url::parse(location).ok()).and_then(|location| {
            location.path().rsplit_once("/stacks/").map(|(_, rest)| format!("/stacks/{rest}"))
        });
        if let Some(path) = found {
            return Ok(path);
        }
    }
    let request = Request::new(Method::GET, SERVICE, &format!("/stacks/{}", segment(id)));
    let answer = session.request(&request).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    let (name, id) = (body["stack"]["stack_name"].as_str(), body["stack"]["id"].as_str().unwrap_or(id));
    Ok(match name {
        Some(name) => format!("/stacks/{}/{}", segment(name), segment(id)),
        None => format!("/stacks/{}", segment(id)),
    })
}

/// The name of the resource that a member belongs to.
async fn parent_of(session: &Session, stack: &str, member: &str) -> Result<Option<String>, KeystoneError> {
    let request = Request::new(Method::GET, SERVICE, &format!("{stack}/resources"))
        .query("physical_resource_id", member)
        .query("nested_depth", NESTED_DEPTH);
    let answer = session.request(&request).await?;
    let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
    Ok(body["resources"][0]["parent_resource"].as_str().map(str::to_owned))
}

async fn heal(session: &Session, members: &UnhealthyMembers) -> Result<usize, KeystoneError> {
    let stack = stack_path(session, &members.stack_id).await?;
    let mut parents = Vec::new();
    for member in &members.member_ids {
        parents.extend(parent_of(session, &stack, member).await?);
    }
    if parents.is_empty() {
        return Ok(0);
    }
    let group = stack_path(session, &members.group_id).await?;
    let mark = json!({"mark_unhealthy": true, "resource_status_reason": REASON});
    for parent in &parents {
        let path = format!("{group}/resources/{}", segment(parent));
        session.request(&Request::new(Method::PATCH, SERVICE, &path).json(&mark).repeatable()).await?;
    }
    session.request(&Request::new(Method::PATCH, SERVICE, &stack).json(&json!({})).repeatable()).await?;
    Ok(parents.len())
}

#[async_trait]
impl StackHealer for HeatStacks {
    async fn heal(&self, members: UnhealthyMembers) -> Result<usize, DeliveryFailure> {
        let session = self.trusts.session(&members.trust_id);
        heal(&session, &members).await.map_err(|error| self.trusts.failed(&members.trust_id, &error))
    }
}
