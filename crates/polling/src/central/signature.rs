//! AWS Signature Version 4, as gateways of Ceph want GET requests signed.

use http::{HeaderMap, HeaderName, HeaderValue, header};
use jiff::tz::TimeZone;
use nephometer_model::{Secret, Timestamp};
use reqwest::Url;
use ring::{digest, hmac};

use super::pages;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "s3";
const REGION: &str = "us-east-1";
const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

/// Whose requests they are.
#[derive(Debug, Clone)]
pub(crate) struct Keys {
    pub(crate) access: String,
    pub(crate) secret: Secret,
}

/// The headers that sign a GET of `url` (whose query is in the order of its names) without a body, for a gateway.
pub(super) fn sign(keys: &Keys, url: &Url, now: Timestamp) -> Option<HeaderMap> {
    sign_for(keys, url, now, REGION, SERVICE)
}

/// The same for any service of any region.
pub(crate) fn sign_for(
    keys: &Keys,
    url: &Url,
    now: Timestamp,
    region: &str,
    service: &str,
) -> Option<HeaderMap> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(now.ns())).ok()?.to_zoned(TimeZone::UTC);
    let (date, moment) = (time.strftime("%Y%m%d").to_string(), time.strftime("%Y%m%dT%H%M%SZ").to_string());
    let body = hex(digest::digest(&digest::SHA256, b"").as_ref());
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let host = format!("{}{port}", url.host_str()?);
    let request = format!(
        "GET\n{}\n{}\nhost:{host}\nx-amz-content-sha256:{body}\nx-amz-date:{moment}\n\n{SIGNED_HEADERS}\n{body}",
        url.path(),
        canonical_query(url)
    );
    let scope = format!("{date}/{region}/{service}/aws4_request");
    let hash = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let text = format!("{ALGORITHM}\n{moment}\n{scope}\n{hash}");
    let signature = hex(&signature(&keys.secret, [&date, region, service], &text));
    let access = &keys.access;
    let authorization = format!(
        "{ALGORITHM} Credential={access}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}"
    );
    let mut authorization = HeaderValue::try_from(authorization).ok()?;
    authorization.set_sensitive(true);
    let mut headers = HeaderMap::new();
    headers.insert(header::AUTHORIZATION, authorization);
    headers.insert(HeaderName::from_static("x-amz-date"), HeaderValue::try_from(moment).ok()?);
    headers.insert(HeaderName::from_static("x-amz-content-sha256"), HeaderValue::try_from(body).ok()?);
    Some(headers)
}

/// The query with its names in order, each encoded as the algorithm wants it.
fn canonical_query(url: &Url) -> String {
    let mut pairs: Vec<_> =
        url.query_pairs().map(|(name, value)| (pages::segment(&name), pages::segment(&value))).collect();
    pairs.sort();
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

fn signature(secret: &Secret, [date, region, service]: [&str; 3], text: &str) -> Vec<u8> {
    let first = format!("AWS4{}", secret.expose()).into_bytes();
    let steps = [date, region, service, "aws4_request", text];
    steps.iter().fold(first, |key, step| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec()
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example `GET bucket lifecycle` of the algorithm's documentation.
    #[test]
    fn the_documented_example_is_signed_as_documented() {
        let keys = Keys {
            access: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        };
        let url: Url = "https://examplebucket.s3.amazonaws.com/?lifecycle".parse().unwrap();
        let headers = sign(&keys, &url, Timestamp::from_ns(1_369_353_600_000_000_000)).unwrap();
        let signed = headers[header::AUTHORIZATION].to_str().unwrap();
        assert_eq!(headers["x-amz-date"], "20130524T000000Z");
        assert!(
            signed.ends_with("fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"),
            "{signed}"
        );
    }
}
