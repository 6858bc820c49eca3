//! Quotas of projects: `/v2/quotas`.

use http::{Method, StatusCode};

use super::call::Call;
use super::error::ApiError;
use super::shown;
use super::{Answer, Route};
use crate::http::answer::{empty, json_answer};
use crate::http::route::handler;

/// The parameter that names a project.
const PROJECT: &str = "project_id";

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v2/quotas", "/v2/quotas/{project_id}");
    vec![
        Route::new(Method::GET, all, "Show the quotas of a project, or of the caller's", handler!(show))
            .rule("telemetry:get_quotas")
            .query(&[PROJECT])
            .gives("Quotas"),
        Route::new(Method::POST, all, "Set quotas of a project", handler!(set))
            .rule("telemetry:update_quotas")
            .takes("Quotas")
            .gives("Quotas")
            .statuses(&[201]),
        Route::new(Method::DELETE, all, "Have a project go by what everybody has", handler!(reset))
            .rule("telemetry:delete_quotas")
            .query(&[PROJECT])
            .statuses(&[204]),
        Route::new(Method::DELETE, one, "Have a project go by what everybody has", handler!(reset))
            .rule("telemetry:delete_quotas")
            .statuses(&[204]),
    ]
}

async fn show(call: Call) -> Answer {
    let (project, quotas) = call.service().quotas(&call.caller(), call.query.nonempty(PROJECT)).await?;
    Ok(json_answer(StatusCode::OK, &shown::quotas(&project, &quotas)))
}

async fn set(call: Call) -> Answer {
    let (project, quotas) = call.service().set_quotas(&call.caller(), &call.json("body")?).await?;
    Ok(json_answer(StatusCode::CREATED, &shown::quotas(&project, &quotas)))
}

async fn reset(call: Call) -> Answer {
    let named = Some(call.param(PROJECT)).filter(|project| !project.is_empty());
    let project =
        named.or(call.query.nonempty(PROJECT)).ok_or_else(|| ApiError::missing_argument(PROJECT))?;
    call.service().delete_quotas(&call.caller(), project).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}
