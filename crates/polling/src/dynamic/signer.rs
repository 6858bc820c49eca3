//! How requests to other APIs than OpenStack's are signed: what the program has in place of Python's objects for that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderValue, header};
use jiff::tz::TimeZone;
use nephometer_model::{Secret, Timestamp};
use reqwest::Url;
use ring::hmac;

use crate::central::signature::{self, Keys};

/// What the program knows, in words for whoever names something else.
const ALL: &str = "awsauth.S3Auth (access key, secret key, host of the service), requests_aws4auth.AWS4Auth (access key, \
                   secret key, region, service), requests.auth.HTTPBasicAuth (user, password)";
/// The host that S3's buckets are below where the credentials name none.
const S3_HOST: &str = "s3.amazonaws.com";
/// Parameters that an S3 signature covers.
const S3_PARAMETERS: [&str; 25] = [
    "acl",
    "cors",
    "defaultObjectAcl",
    "delete",
    "lifecycle",
    "location",
    "logging",
    "notification",
    "partNumber",
    "policy",
    "requestPayment",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "restore",
    "tagging",
    "torrent",
    "uploadId",
    "uploads",
    "versionId",
    "versioning",
    "website",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    /// AWS Signature Version 2, as S3 has it.
    S3,
    /// AWS Signature Version 4.
    Aws4,
    /// HTTP's basic authentication.
    Basic,
}

/// What signs requests.
#[derive(Debug, Clone)]
pub(super) struct Signer {
    scheme: Scheme,
    /// Credentials of the definition, which count before others.
    own: Secret,
}

impl Signer {
    /// What stands for `object` of the Python module `module`; `own` are its parameters, separated by commas.
    pub(super) fn known(module: &str, object: &str, own: &str) -> Option<Self> {
        let scheme = match (module, object) {
            ("awsauth", "S3Auth") => Scheme::S3,
            ("requests_aws4auth", "AWS4Auth") => Scheme::Aws4,
            ("requests.auth", "HTTPBasicAuth") => Scheme::Basic,
            _ => return None,
        };
        Some(Self { scheme, own: Secret::new(own) })
    }

    /// All there is, in words.
    pub(super) fn all() -> &'static str {
        ALL
    }

    /// The headers that sign a GET of `url` with `found`, credentials that a discovery has found, or with its own.
    pub(super) fn headers(&self, found: &str, url: &Url, now: Timestamp) -> Result<HeaderMap, String> {
        let credentials = if self.own.expose().is_empty() { found } else { self.own.expose() };
        let parts: Vec<&str> = credentials.split(',').map(str::trim).collect();
        match (self.scheme, &parts[..]) {
            (Scheme::S3, [access, secret]) => s3(access, secret, S3_HOST, url, now),
            (Scheme::S3, [access, secret, host]) => s3(access, secret, host, url, now),
            (Scheme::Aws4, [access, secret, region, service]) => {
                let keys = Keys { access: (*access).to_owned(), secret: Secret::new(*secret) };
                let signed = signature::sign_for(&keys, url, now, region, service);
                signed.ok_or_else(|| "it cannot be signed".to_owned())
            }
            (Scheme::Basic, [user, password]) => {
                one(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            (_, parts) => Err(format!("the credentials have {} parts; there is {ALL}", parts.len())),
        }
    }
}

/// A header of authorization.
fn one(value: String) -> Result<HeaderMap, String> {
    let mut value =
        HeaderValue::try_from(value).map_err(|_| "the credentials cannot be a header".to_owned())?;
    value.set_sensitive(true);
    Ok(HeaderMap::from_iter([(header::AUTHORIZATION, value)]))
}

/// Signature Version 2.
fn s3(access: &str, secret: &str, host: &str, url: &Url, now: Timestamp) -> Result<HeaderMap, String> {
    let time = jiff::Timestamp::from_nanosecond(i128::from(now.ns())).map_err(|error| error.to_string())?;
    let date = time.to_zoned(TimeZone::UTC).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, secret.as_bytes());
    let signature = hmac::sign(&key, s3_text(&date, host, url).as_bytes());
    let mut headers = one(format!("AWS {access}:{}", STANDARD.encode(signature.as_ref())))?;
    headers.insert(header::DATE, HeaderValue::try_from(date).map_err(|error| error.to_string())?);
    Ok(headers)
}

/// What is signed: method, date, bucket and object, and the parameters that count.
fn s3_text(date: &str, host: &str, url: &Url) -> String {
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let asked = format!("{}{port}", url.host_str().unwrap_or_default());
    let bucket = asked.strip_suffix(host).map(|bucket| bucket.trim_end_matches('.')).unwrap_or_default();
    let bucket = if bucket.is_empty() { String::new() } else { format!("/{bucket}") };
    let mut parameters: Vec<&str> = url.query().unwrap_or_default().split('&').collect();
    parameters.sort_unstable();
    let counts = |parameter: &&str| S3_PARAMETERS.contains(&parameter.split('=').next().unwrap_or_default());
    let counted = parameters.into_iter().filter(counts).map(|parameter| match parameter.split_once('=') {
        None => parameter.to_owned(),
        Some((name, value)) => {
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            format!("{name}={value}")
        }
    });
    let counted = counted.collect::<Vec<_>>().join("&");
    let query = if counted.is_empty() { String::new() } else { format!("?{counted}") };
    format!("GET\n\n\n{date}\n{bucket}{}{query}", url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCESS: &str = "AKIAIOSFODNN7EXAMPLE";
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    fn signed(
        module: &str,
        object: &str,
        own: &str,
        found: &str,
        url: &str,
        ns: i64,
    ) -> Result<String, String> {
        let signer = Signer::known(module, object, own).unwrap();
        let headers = signer.headers(found, &url.parse().unwrap(), Timestamp::from_ns(ns))?;
        Ok(headers[header::AUTHORIZATION].to_str().unwrap().to_owned())
    }

    /// The example `Object GET` of the documentation of S3's older signature.
    #[test]
    fn the_documented_example_of_s3_is_signed_as_documented() {
        let at = 1_175_024_202_000_000_000;
        let found = format!("{ACCESS} , {SECRET}");
        let url = "https://johnsmith.s3.amazonaws.com/photos/puppy.jpg";
        // The documentation writes the zone as a number.
        let text = s3_text("Tue, 27 Mar 2007 19:36:42 +0000", S3_HOST, &url.parse().unwrap());
        assert_eq!(text, "GET\n\n\nTue, 27 Mar 2007 19:36:42 +0000\n/johnsmith/photos/puppy.jpg");
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, SECRET.as_bytes());
        assert_eq!(STANDARD.encode(hmac::sign(&key, text.as_bytes())), "bWq2s1WEIj+Ydj0vQ697zp+IXMU=");
        let header = signed("awsauth", "S3Auth", "", &found, url, at).unwrap();
        assert!(header.starts_with(&format!("AWS {ACCESS}:")), "{header}");
        let text = s3_text(
            "d",
            "rgw.test:8080",
            &"http://rgw.test:8080/b?prefix=x&acl&uploadId=a%2Fb".parse().unwrap(),
        );
        assert_eq!(text, "GET\n\n\nd\n/b?acl&uploadId=a/b");
    }

    #[test]
    fn own_credentials_count_before_those_that_are_found() {
        let basic = |own, found| signed("requests.auth", "HTTPBasicAuth", own, found, "http://x/", 0);
        assert_eq!(basic("", "u, p").unwrap(), "Basic dTpw");
        assert_eq!(basic("u,p", "No secrets found").unwrap(), "Basic dTpw");
        assert!(basic("", "No secrets found").unwrap_err().contains("1 parts"));
        let aws4 =
            signed("requests_aws4auth", "AWS4Auth", "a,s,eu-1,execute-api", "", "http://x/y", 0).unwrap();
        assert!(aws4.contains("Credential=a/19700101/eu-1/execute-api/aws4_request"), "{aws4}");
        assert!(Signer::known("my_module", "MyAuth", "").is_none());
    }
}
