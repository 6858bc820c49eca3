//! Reading a collection of a REST API to its end: services say in three ways where the next page is.

use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::DiscoveryError;

/// What a segment of a path may not show as it is.
const IN_SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A collection with more pages than that goes in circles.
const MAX_PAGES: usize = 100_000;
/// Longest text of a service that an error repeats, in characters.
const MAX_WORDS: usize = 200;

impl From<CloudError> for DiscoveryError {
    fn from(error: CloudError) -> Self {
        match error {
            CloudError::NoService(text) => Self::NoService(text),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// `text` as one segment of a path.
pub(super) fn segment(text: &str) -> String {
    utf8_percent_encode(text, IN_SEGMENT).to_string()
}

/// The JSON of an answer that went well.
pub(super) fn json(call: &CloudCall, answer: &CloudAnswer) -> Result<Value, DiscoveryError> {
    if !(200..300).contains(&answer.status) {
        return Err(DiscoveryError::Failed(refusal(call, answer)));
    }
    serde_json::from_slice(&answer.body)
        .map_err(|error| DiscoveryError::Failed(format!("{:?}: its answer is no JSON: {error}", call.target)))
}

/// What a service answered that did not do as asked.
pub(super) fn refusal(call: &CloudCall, answer: &CloudAnswer) -> String {
    let words: String = String::from_utf8_lossy(&answer.body).chars().take(MAX_WORDS).collect();
    format!("{:?} was answered with {}: {words}", call.target, answer.status)
}

/// Everything in the collection `key` that `first` asks for. `by_offset` is for services that give no links: a full page
/// of that many objects is followed by another.
pub(super) async fn read_all(
    cloud: &dyn CloudReader,
    first: CloudCall,
    key: &str,
    by_offset: Option<usize>,
) -> Result<Vec<Value>, DiscoveryError> {
    let (mut objects, mut call) = (Vec::new(), first.clone());
    if let Some(limit) = by_offset {
        call = call.query("limit", &limit.to_string());
    }
    for _ in 0..MAX_PAGES {
        let answer = cloud.call(&call).await?;
        let mut body = json(&call, &answer)?;
        let Some(Value::Array(page)) = body.get_mut(key).map(Value::take) else {
            return Err(DiscoveryError::Failed(format!("{:?}: its answer has no list `{key}`", call.target)));
        };
        let count = page.len();
        objects.extend(page);
        let next = match by_offset {
            None => next_query(&body, key),
            Some(limit) if count >= limit => Some(at_offset(&first, limit, objects.len())),
            Some(_) => None,
        };
        match next {
            // The link's address may be another than ours (a proxy stands between); what it asks for counts.
            Some(query) if count > 0 && query != call.query => call.query = query,
            _ => return Ok(objects),
        }
    }
    Err(DiscoveryError::Failed(format!("{:?} has no last page", first.target)))
}

fn at_offset(first: &CloudCall, limit: usize, offset: usize) -> Vec<(String, String)> {
    first.clone().query("limit", &limit.to_string()).query("offset", &offset.to_string()).query
}

/// The query of the link to the next page: `next` (Glance), `links.next` (Keystone, Designate), or the one of
/// `<key>_links` whose relation is `next` (Cinder, Neutron, Octavia, Nova).
fn next_query(body: &Value, key: &str) -> Option<Vec<(String, String)>> {
    let of_collection = || {
        let links = body.get(format!("{key}_links"))?.as_array()?;
        links.iter().find(|link| link["rel"] == "next")?["href"].as_str()
    };
    let link = body["next"].as_str().or_else(|| body["links"]["next"].as_str()).or_else(of_collection)?;
    let (_, query) = link.split_once('?')?;
    let query = query.split_once('#').map_or(query, |(query, _)| query);
    Some(parameters(query))
}

/// The parameters of a query.
fn parameters(query: &str) -> Vec<(String, String)> {
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    let decode = |text: &str| {
        let text = text.replace('+', " ");
        percent_encoding::percent_decode_str(&text).decode_utf8_lossy().into_owned()
    };
    pairs
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_next_page_is_found_in_each_services_way() {
        let marker = |body: &Value, key| next_query(body, key).map(|query| query[1].clone());
        let wanted = Some(("marker".to_owned(), "a b".to_owned()));
        let glance = json!({"images": [], "next": "/v2/images?limit=2&marker=a%20b"});
        assert_eq!(marker(&glance, "images"), wanted);
        let cinder =
            json!({"volumes_links": [{"rel": "next", "href": "http://x/v3/p/volumes?limit=1&marker=a+b"}]});
        assert_eq!(marker(&cinder, "volumes"), wanted);
        let designate = json!({"links": {"self": "s", "next": "http://x/v2/zones?limit=1&marker=a b"}});
        assert_eq!(marker(&designate, "zones"), wanted);
        for last in
            [json!({"links": {"next": null}}), json!({"ports_links": [{"rel": "previous"}]}), json!({})]
        {
            assert_eq!(next_query(&last, "ports"), None);
        }
    }
}
