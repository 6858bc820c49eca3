//! What callers are told who are not recognised: keystonemiddleware's words, in front of every dialect.

use http::HeaderValue;
use nephometer_drivers::AuthError;
use serde_json::{Value, json};

/// What keystonemiddleware says to callers without a valid token.
pub(crate) const SIGN_IN: &str = "The request you have made requires authentication.";
/// What keystonemiddleware says while Keystone does not answer.
pub(crate) const NO_IDENTITY_SERVICE: &str = "The Keystone service is temporarily unavailable.";

/// The value of `WWW-Authenticate`, where there is one.
pub(crate) fn challenge(error: &AuthError) -> Option<HeaderValue> {
    let text = match error {
        AuthError::Unauthenticated { challenge } => challenge.clone()?,
        AuthError::NotSignedIn { keystone_uri } => format!("Keystone uri=\"{keystone_uri}\""),
        AuthError::Unavailable(_) => return None,
    };
    HeaderValue::from_str(&text).ok()
}

/// A refusal in the form of what stands before OpenStack's services.
pub(crate) fn openstack_form(code: u16, title: &str, message: &Value) -> Value {
    json!({"error": {"code": code, "title": title, "message": message}})
}
