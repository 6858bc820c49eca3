//! One request as a handler sees it.

use http::{StatusCode, header};
use nephometer_alarm::query::{Listed, QueryItem, parse_page, query_items};
use nephometer_alarm::service::{AlarmService, Caller};
use nephometer_drivers::Page;
use nephometer_model::{AlarmId, Secret};
use serde_json::Value;

use super::AodhState;
use super::error::ApiError;
use crate::http::body::has_nul;
use crate::http::query::Query;

/// One request: who asks, for what, with which body.
pub(super) type Call = crate::http::call::Call<AodhState>;

/// The header of callers' tokens.
const TOKEN: &str = "x-auth-token";
/// Media types of JSON.
const JSON: [&str; 3] = ["application/json", "text/javascript", "application/javascript"];
/// The media type of forms, and what a body is taken for that names none.
const FORM: &str = "application/x-www-form-urlencoded";
/// So much of a body that is no JSON is shown to its sender.
const SHOWN_CHARS: usize = 200;

/// A page of rows that simple conditions hold for.
pub(super) struct ListArguments {
    pub(super) items: Vec<QueryItem>,
    pub(super) page: Page,
}

impl Call {
    /// The service.
    pub(super) fn service(&self) -> &AlarmService {
        &self.state.service
    }

    /// Who asks.
    pub(super) fn caller(&self) -> Caller {
        let token = self.headers.get(TOKEN).and_then(|value| value.to_str().ok());
        Caller { identity: self.identity.clone(), token: token.map(Secret::new) }
    }

    /// The alarm that the path names.
    pub(super) fn alarm_id(&self) -> AlarmId {
        AlarmId(self.param("alarm_id").to_owned())
    }

    /// Refuses parameters of the query other than these.
    pub(super) fn only(&self, known: &[&str]) -> Result<(), ApiError> {
        let mut unknown: Vec<&str> =
            self.query.pairs().map(|(name, _)| name).filter(|name| !known.contains(name)).collect();
        unknown.sort_unstable();
        unknown.dedup();
        if unknown.is_empty() { Ok(()) } else { Err(ApiError::unknown_argument(&unknown.join(", "))) }
    }

    /// The conditions and the page that the parameters of the query ask for.
    pub(super) fn list_arguments(&self, listed: Listed) -> Result<ListArguments, ApiError> {
        let is_condition = |name: &str| name.starts_with("q.") || name.starts_with("q[");
        let others: Vec<&str> =
            self.query.pairs().map(|(name, _)| name).filter(|name| is_condition(name)).collect();
        self.only(&[&["sort", "limit", "marker"], others.as_slice()].concat())?;
        let items = query_items(self.query.pairs())?;
        let sorts: Vec<&str> = self.query.all("sort").collect();
        let page = parse_page(listed, &sorts, self.query.first("limit"), self.query.first("marker"))?;
        Ok(ListArguments { items, page })
    }

    /// The body as JSON; refusals call it `name`.
    pub(super) fn json(&self, name: &str) -> Result<Value, ApiError> {
        let given =
            self.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or(FORM);
        let media_type = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let is_empty = self.body.iter().all(u8::is_ascii_whitespace);
        if media_type == FORM {
            return Err(if is_empty { ApiError::missing_argument(name) } else { self.no_form() });
        }
        if !JSON.contains(&media_type.as_str()) {
            let text = format!("Unknown mimetype: {media_type}");
            return Err(ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, text));
        }
        if is_empty {
            return Err(ApiError::missing_argument(name));
        }
        let value = serde_json::from_slice(&self.body)
            .map_err(|_| ApiError::bad_request("Request is not in valid JSON format"))?;
        if has_nul(&value) {
            return Err(ApiError::bad_request("NUL characters are not supported"));
        }
        Ok(value)
    }

    /// The refusal of a body that is read as parameters, none of which any route knows.
    fn no_form(&self) -> ApiError {
        let form = Query::parse(&String::from_utf8_lossy(&self.body));
        let mut names: Vec<&str> = form.pairs().map(|(name, _)| name).collect();
        names.sort_unstable();
        ApiError::unknown_argument(&names.join(", ").chars().take(SHOWN_CHARS).collect::<String>())
    }
}
