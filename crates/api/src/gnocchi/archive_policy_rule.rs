//! Archive policy rules: `/v1/archive_policy_rule`.

use http::{Method, StatusCode};
use nephometer_model::ArchivePolicyRule;
use serde_json::{Value, json};

use super::archive_policy::set_location;
use super::call::Call;
use super::render::{empty, json_answer};
use super::route::{Answer, Route, handler};
use super::values::{name_text, read_text, short_text};
use crate::schema::{Key, Schema};

pub(super) fn routes() -> Vec<Route> {
    let (all, one) = ("/v1/archive_policy_rule", "/v1/archive_policy_rule/{name}");
    vec![
        Route::new(Method::GET, all, "List rules in matching order", handler!(list))
            .rule("list archive policy rule")
            .gives("ArchivePolicyRule[]"),
        Route::new(Method::POST, all, "Create a rule", handler!(create))
            .rule("create archive policy rule")
            .takes("ArchivePolicyRule")
            .gives("ArchivePolicyRule")
            .statuses(&[201, 400, 409, 415]),
        Route::new(Method::GET, one, "Show a rule", handler!(show))
            .rule("get archive policy rule")
            .gives("ArchivePolicyRule")
            .statuses(&[200, 404]),
        Route::new(Method::PATCH, one, "Rename a rule", handler!(rename))
            .rule("update archive policy rule")
            .takes("ArchivePolicyRuleChange")
            .gives("ArchivePolicyRule")
            .statuses(&[200, 400, 404, 415]),
        Route::new(Method::DELETE, one, "Delete a rule", handler!(delete))
            .rule("delete archive policy rule")
            .statuses(&[204, 404]),
    ]
}

async fn list(call: Call) -> Answer {
    let rules = call.service().archive_policy_rules(&call.access()).await?;
    Ok(json_answer(StatusCode::OK, &rules.iter().map(body).collect::<Vec<_>>().into()))
}

async fn create(call: Call) -> Answer {
    call.service().require_create_archive_policy_rule(&call.access())?;
    let checked = call.checked(&Schema::Object(vec![
        Key::required("name", name_text()),
        Key::required("metric_pattern", short_text()),
        Key::required("archive_policy_name", Schema::Str),
    ]))?;
    let text = |key| read_text(checked.get(key)).unwrap_or_default();
    let rule = ArchivePolicyRule {
        name: text("name"),
        metric_pattern: text("metric_pattern"),
        archive_policy_name: text("archive_policy_name"),
    };
    let rule = call.service().create_archive_policy_rule(&call.access(), rule).await?;
    let mut response = json_answer(StatusCode::CREATED, &body(&rule));
    set_location(&call, &mut response, &format!("/v1/archive_policy_rule/{}", rule.name));
    Ok(response)
}

async fn show(call: Call) -> Answer {
    let rule = call.service().archive_policy_rule(&call.access(), call.param("name")).await?;
    Ok(json_answer(StatusCode::OK, &body(&rule)))
}

async fn rename(call: Call) -> Answer {
    let name = call.param("name");
    call.service().require_archive_policy_rule(name).await?;
    let checked = call.checked(&Schema::Object(vec![Key::required("name", name_text())]))?;
    let new_name = read_text(checked.get("name")).unwrap_or_default();
    let rule = call.service().rename_archive_policy_rule(&call.access(), name, &new_name).await?;
    Ok(json_answer(StatusCode::OK, &body(&rule)))
}

async fn delete(call: Call) -> Answer {
    call.service().delete_archive_policy_rule(&call.access(), call.param("name")).await?;
    Ok(empty(StatusCode::NO_CONTENT))
}

fn body(rule: &ArchivePolicyRule) -> Value {
    json!({
        "name": rule.name,
        "metric_pattern": rule.metric_pattern,
        "archive_policy_name": rule.archive_policy_name,
    })
}
