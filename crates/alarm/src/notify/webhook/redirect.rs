//! Redirections, as Python's requests follow them: 301, 302 and 303 turn a POST into a GET, 307 and 308 repeat it.

use http::{HeaderMap, Method, StatusCode, header};
use nephometer_drivers::DeliveryFailure;

use super::{Hop, X_AUTH_TOKEN};
use crate::notify::address::shown;

/// As many are followed.
pub(super) const MAX: usize = 10;

/// Where the request goes next, if it does. A token stays with the server that it was meant for.
pub(super) fn next(
    hop: &Hop,
    status: StatusCode,
    answer: &HeaderMap,
) -> Result<Option<Hop>, DeliveryFailure> {
    let repeated = match status.as_u16() {
        301..=303 => false,
        307 | 308 => true,
        _ => return Ok(None),
    };
    let Some(location) = answer.get(header::LOCATION) else { return Ok(None) };
    let astray = || DeliveryFailure::Final(format!("{} redirects to what is no address", shown(&hop.url)));
    let url = location.to_str().ok().and_then(|location| hop.url.join(location).ok()).ok_or_else(astray)?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(astray());
    }
    let mut headers = hop.headers.clone();
    if url.origin() != hop.url.origin() {
        headers.remove(X_AUTH_TOKEN);
    }
    if repeated {
        let (method, body) = (hop.method.clone(), hop.body.clone());
        return Ok(Some(Hop { method, url, headers, body }));
    }
    headers.remove(header::CONTENT_TYPE);
    Ok(Some(Hop { method: Method::GET, url, headers, body: None }))
}
