//! OpenAPI documents, made from lists of routes.

use http::StatusCode;
use serde_json::{Map, Value, json};

use super::dialect::Dialect;
use super::route::Route;

/// Statuses that the machinery around handlers can give on any route.
const EVERYWHERE: [u16; 6] = [400, 406, 408, 413, 500, 503];
/// Statuses of routes that need an identity.
const IDENTIFIED: [u16; 3] = [401, 403, 429];

/// What a dialect's document says besides its routes.
pub(crate) struct Document {
    /// The name of the API.
    pub(crate) title: &'static str,
    /// Its version.
    pub(crate) version: &'static str,
    /// What it is, in a sentence.
    pub(crate) about: &'static str,
    /// Ways of signing in, by name; the operator decides which counts.
    pub(crate) security_schemes: Value,
    /// The schemas that routes name, `Error` included.
    pub(crate) schemas: Value,
    /// What the service itself calls, by name.
    pub(crate) webhooks: Value,
    /// Media types of refusals besides JSON.
    pub(crate) refusals_in_text: &'static [&'static str],
    /// How the document spells a path.
    pub(crate) spelled: fn(&'static str) -> &'static str,
}

/// All statuses that the document promises for a route, ascending.
pub(crate) fn statuses<D: Dialect>(route: &Route<D>) -> Vec<u16> {
    let mut all = route.statuses.to_vec();
    all.extend(EVERYWHERE);
    if route.needs_identity {
        all.extend(IDENTIFIED);
    }
    if route.consumes.is_some() {
        all.push(415);
    }
    all.sort_unstable();
    all.dedup();
    all
}

impl Document {
    /// The document of `routes`, served at `server`.
    pub(crate) fn describe<D: Dialect>(&self, server: &str, routes: &[Route<D>]) -> Value {
        let mut paths: Map<String, Value> = Map::new();
        for route in routes {
            let entry = paths.entry((self.spelled)(route.path)).or_insert_with(|| json!({}));
            entry[route.method.as_str().to_ascii_lowercase()] = self.operation(route);
        }
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": self.title,
                "version": self.version,
                "description": format!("{} Paths may end in a slash; empty segments are ignored.", self.about),
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": server}],
            "paths": paths,
            "webhooks": self.webhooks,
            "components": {"securitySchemes": self.security_schemes, "schemas": self.schemas},
        })
    }

    /// Any of the schemes.
    fn any_scheme(&self) -> Value {
        let names = self.security_schemes.as_object().into_iter().flat_map(Map::keys);
        names.map(|name| json!({name: []})).collect()
    }

    fn operation<D: Dialect>(&self, route: &Route<D>) -> Value {
        let mut operation = json!({
            "summary": route.summary,
            "operationId": operation_id(route),
            "parameters": parameters(route),
            "responses": self.responses(route),
        });
        operation["security"] = if route.needs_identity { self.any_scheme() } else { json!([]) };
        if let Some(rule) = route.rule {
            operation["description"] = json!(format!("Guarded by the policy rule `{rule}`."));
        }
        if let Some(media_type) = route.consumes {
            operation["requestBody"] = json!({"content": {media_type: {"schema": reference(route.takes)}}});
        }
        operation
    }

    fn responses<D: Dialect>(&self, route: &Route<D>) -> Value {
        let mut responses = Map::new();
        for status in statuses(route) {
            let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
            let mut response = json!({"description": reason.unwrap_or("Answer")});
            if status >= 400 {
                response["content"] = self.refusal();
                if matches!(status, 429 | 503) {
                    response["headers"] = json!({"Retry-After": retry_after()});
                }
            } else if matches!(status, 200 | 201) {
                let offers = route.produces.offers().iter().map(|media_type| {
                    let json = *media_type == "application/json";
                    let schema = if json { reference(route.gives) } else { json!({"type": "string"}) };
                    ((*media_type).to_owned(), json!({"schema": schema}))
                });
                response["content"] = Value::Object(offers.collect());
            }
            responses.insert(status.to_string(), response);
        }
        Value::Object(responses)
    }

    fn refusal(&self) -> Value {
        let mut content = json!({"application/json": {"schema": reference("Error")}});
        for media_type in self.refusals_in_text {
            content[media_type] = json!({"schema": {"type": "string"}});
        }
        content
    }
}

/// The way of signing in by tokens; `more` is said of them besides.
pub(crate) fn keystone_scheme(more: &str) -> Value {
    json!({
        "type": "apiKey",
        "in": "header",
        "name": "X-Auth-Token",
        "description": format!(
            "A Keystone token (auth_mode `keystone`). {more}401 tells Keystone's address in WWW-Authenticate."
        ),
    })
}

/// Schemas by their names, as a file of this crate has them.
pub(crate) fn schemas(text: &str) -> Value {
    serde_json::from_str(text).expect("a file of this crate, read by its tests")
}

/// A reference to a schema, or to a list of such.
pub(crate) fn reference(name: &str) -> Value {
    match name.strip_suffix("[]") {
        Some(item) => json!({"type": "array", "items": reference(item)}),
        None => json!({"$ref": format!("#/components/schemas/{name}")}),
    }
}

fn operation_id<D: Dialect>(route: &Route<D>) -> String {
    let path = route.path.replace(['{', '}'], "").replace(['/', '.'], "_");
    format!("{}{path}", route.method.as_str().to_ascii_lowercase())
}

fn parameters<D: Dialect>(route: &Route<D>) -> Vec<Value> {
    let in_path = route.path.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let in_path = in_path.map(|name| {
        json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
    });
    let in_query =
        route.query.iter().map(|name| json!({"name": name, "in": "query", "schema": {"type": "string"}}));
    in_path.chain(in_query).collect()
}

fn retry_after() -> Value {
    json!({
        "description": "Seconds after which the request may be sent again",
        "schema": {"type": "integer", "minimum": 1},
    })
}

/// What holds for the document of every dialect.
#[cfg(test)]
pub(crate) mod checks {
    use super::*;

    /// Schemas that routes name exist and all are used; each route and status is there and no other.
    pub(crate) fn check<D: Dialect>(document: &Document) {
        let routes = D::routes();
        let described = document.describe("http://localhost", &routes);
        let text = serde_json::to_string(&described).unwrap();
        for name in document.schemas.as_object().unwrap().keys() {
            assert!(text.contains(&format!("\"#/components/schemas/{name}\"")), "nobody names {name}");
        }
        for name in text.split("\"#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.schemas.get(name).is_some(), "no schema {name}");
        }
        let paths = described["paths"].as_object().unwrap();
        let operations: usize = paths.values().map(|path| path.as_object().unwrap().len()).sum();
        assert_eq!(operations, routes.len(), "two routes share verb and path");
        for route in &routes {
            let path = (document.spelled)(route.path);
            let operation = &described["paths"][path][route.method.as_str().to_ascii_lowercase()];
            for status in statuses(route) {
                assert!(operation["responses"][status.to_string()].is_object(), "{} {status}", route.path);
            }
        }
    }
}
