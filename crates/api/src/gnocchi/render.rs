//! Bodies of answers: JSON for successes; for refusals the JSON object, plain text or HTML that upstream's framework
//! would choose for the client's `Accept`.

use axum::body::Body;
use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderValue};
use serde_json::json;

use super::error::ApiError;
use crate::http::accept::Accept;
use crate::http::asked::Asked;
use crate::http::sign_in::openstack_form;
use crate::{json as encoder, python};

pub(super) use crate::http::answer::{empty, json_answer, json_body, json_bytes};

/// The answer for `error`.
pub(super) fn refusal(error: ApiError, asked: &Asked) -> Response {
    let (media_type, bytes) = refusal_body(&error, asked);
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = error.status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
    response.headers_mut().extend(error.headers);
    response
}

fn refusal_body(error: &ApiError, asked: &Asked) -> (&'static str, Vec<u8>) {
    const JSON: &str = "application/json";
    let title = title(error.status);
    if error.is_openstack_form {
        return (JSON, encoder::to_vec(&openstack_form(error.status.as_u16(), title, &error.detail)));
    }
    if asked.accept.best(&["text/plain", "text/html", JSON]) == Some(JSON) {
        let object = json!({"code": error.status.as_u16(), "title": title, "description": error.detail});
        return (JSON, encoder::to_vec(&object));
    }
    let status = format!("{} {title}", error.status.as_u16());
    let detail = if error.detail.is_null() { String::new() } else { python::str(&error.detail) };
    let explanation = explanation(error.status, asked);
    // Without the header upstream's framework offers nothing and falls through to plain text.
    let best = match asked.accept {
        Accept::Absent => None,
        Accept::Ranges(_) => asked.accept.best(&["text/html", JSON]),
    };
    match best {
        Some(JSON) => {
            let message = format!("{explanation}<br /><br />\n{detail}\n\n");
            (JSON, encoder::to_vec(&json!({"message": message, "code": status, "title": title})))
        }
        Some(_) => ("text/html; charset=UTF-8", html(&status, &explanation, &detail).into_bytes()),
        None => ("text/plain; charset=UTF-8", plain(&status, &explanation, &detail).into_bytes()),
    }
}

fn plain(status: &str, explanation: &str, detail: &str) -> String {
    let body = strip_tags(&format!("{detail}\n\n").replace('\n', " ").replace('\r', ""));
    format!("{status}\n\n{explanation}\n\n {body}")
}

/// Removes `<…>` and the marks of comments, as upstream's framework does to details in plain text.
fn strip_tags(text: &str) -> String {
    let text = text.replace("<!--", "").replace("-->", "");
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(open) = rest.find('<') {
        let Some(length) = rest[open..].find('>') else { break };
        out.push_str(&rest[..open]);
        rest = &rest[open + length + 1..];
    }
    out.push_str(rest);
    out
}

fn html(status: &str, explanation: &str, detail: &str) -> String {
    let (explanation, detail) = (escape_html(explanation), escape_html(detail));
    format!(
        "<html>\n <head>\n  <title>{status}</title>\n </head>\n <body>\n  <h1>{status}</h1>\n  \
         {explanation}<br /><br />\n{detail}\n\n\n </body>\n</html>"
    )
}

fn escape_html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#x27;"),
            c => out.push(c),
        }
    }
    out
}

/// The name of a status in the words of upstream's framework.
fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => "Request Entity Too Large",
        other => other.canonical_reason().unwrap_or("Error"),
    }
}

fn explanation(status: StatusCode, asked: &Asked) -> String {
    let text = match status {
        StatusCode::FOUND => "The resource was found at another address.",
        StatusCode::BAD_REQUEST => {
            "The server could not comply with the request since it is either malformed or otherwise incorrect."
        }
        StatusCode::UNAUTHORIZED => {
            "This server could not verify that you are authorized to access the document you requested.  Either you \
             supplied the wrong credentials (e.g., bad password), or your browser does not understand how to supply \
             the credentials required."
        }
        StatusCode::FORBIDDEN => "Access was denied to this resource.",
        StatusCode::NOT_FOUND => "The resource could not be found.",
        StatusCode::METHOD_NOT_ALLOWED => {
            return format!("The method {} is not allowed for this resource. ", asked.method);
        }
        StatusCode::NOT_ACCEPTABLE => {
            return format!(
                "The resource could not be generated that was acceptable to your browser (content of type {}. ",
                asked.accept_text
            );
        }
        StatusCode::REQUEST_TIMEOUT => {
            "The server has waited too long for the request to be sent by the client."
        }
        StatusCode::CONFLICT => "There was a conflict when trying to complete your request.",
        StatusCode::PRECONDITION_FAILED => "Request precondition failed.",
        StatusCode::PAYLOAD_TOO_LARGE => "The body of your request was too large for this server.",
        StatusCode::UNSUPPORTED_MEDIA_TYPE => {
            return format!("The request media type {} is not supported by this server.", asked.content_type);
        }
        StatusCode::TOO_MANY_REQUESTS => "The client has sent too many requests in a given amount of time",
        StatusCode::NOT_IMPLEMENTED => {
            return format!("The request method {} is not implemented for this server. ", asked.method);
        }
        StatusCode::SERVICE_UNAVAILABLE => {
            "The server is currently unavailable. Please try again at a later time."
        }
        _ => "The server has either erred or is incapable of performing the requested operation.",
    };
    text.to_owned()
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, Method};
    use nephometer_drivers::AuthError;
    use serde_json::Value;

    use super::*;

    fn rendered(accept: Option<&str>, error: &ApiError) -> (String, String) {
        let mut headers = HeaderMap::new();
        if let Some(text) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_str(text).unwrap());
        }
        let (media_type, bytes) = refusal_body(error, &Asked::of(&Method::GET, &headers));
        (media_type.to_owned(), String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn plain_text_is_upstreams() {
        let error = ApiError::not_found("Archive policy nope does not exist");
        let (media_type, body) = rendered(None, &error);
        assert_eq!(media_type, "text/plain; charset=UTF-8");
        assert_eq!(
            body,
            "404 Not Found\n\nThe resource could not be found.\n\n Archive policy nope does not exist  "
        );
        let error = ApiError::bad_request(json!({"cause": "x", "reason": "got a <class 'dict'> here"}));
        let (_, body) = rendered(None, &error);
        assert!(body.ends_with("\n\n {'cause': 'x', 'reason': \"got a  here\"}  "), "{body}");
    }

    #[test]
    fn who_is_not_signed_in_learns_where_to_in_one_form() {
        let keystone_uri = "https://keystone/v3".to_owned();
        let error = ApiError::from(AuthError::NotSignedIn { keystone_uri });
        let challenge =
            (header::WWW_AUTHENTICATE, HeaderValue::from_static("Keystone uri=\"https://keystone/v3\""));
        assert_eq!((error.status, error.headers.as_slice()), (StatusCode::UNAUTHORIZED, &[challenge][..]));
        for accept in [None, Some("text/html"), Some("application/json")] {
            let (media_type, body) = rendered(accept, &error);
            assert_eq!(media_type, "application/json");
            assert_eq!(
                body,
                "{\"error\": {\"code\": 401, \"title\": \"Unauthorized\", \"message\": \"The request you have made \
                 requires authentication.\"}}"
            );
        }
        let error = ApiError::from(AuthError::Unavailable("secret".to_owned()));
        assert_eq!(
            (error.status, error.headers[0].0.clone()),
            (StatusCode::SERVICE_UNAVAILABLE, header::RETRY_AFTER)
        );
        let (_, body) = rendered(Some("application/json"), &error);
        assert!(
            body.contains("The Keystone service is temporarily unavailable.") && !body.contains("secret")
        );
    }

    #[test]
    fn accept_chooses_the_form() {
        let error = ApiError::bad_request("it's <bad>");
        let (media_type, body) = rendered(Some("application/json"), &error);
        assert_eq!(media_type, "application/json");
        assert_eq!(body, r#"{"code": 400, "title": "Bad Request", "description": "it's <bad>"}"#);
        let (media_type, body) = rendered(Some("*/*"), &error);
        assert_eq!(media_type, "text/html; charset=UTF-8");
        assert!(body.contains("it&#x27;s &lt;bad&gt;"));
        let (media_type, body) = rendered(Some("text/plain, application/json; q=0.8"), &error);
        assert_eq!(media_type, "application/json");
        assert!(body.contains(r#""code": "400 Bad Request", "title": "Bad Request""#), "{body}");
        let missing = ApiError::new(StatusCode::NOT_FOUND, Value::Null);
        let (_, body) = rendered(Some("application/json"), &missing);
        assert_eq!(body, r#"{"code": 404, "title": "Not Found", "description": null}"#);
    }
}
