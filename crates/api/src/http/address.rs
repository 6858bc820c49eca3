//! Where the client believes the service to be: scheme, host and path prefix, as asked for or as a proxy says.

use http::header;
use http::request::Parts;

/// How a request came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Transport {
    /// Over a bare connection.
    #[default]
    Plain,
    /// Over TLS.
    Tls,
}

impl Transport {
    /// The scheme of URLs that are reached so.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::Plain => "http",
            Self::Tls => "https",
        }
    }
}

/// Root of the URLs that answers mention.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BaseUrl {
    scheme: String,
    host: String,
    /// Path under which the service is mounted, without a slash at its end; may be empty.
    prefix: String,
}

impl BaseUrl {
    /// The root for a request. `prefix` is the part of its path that belongs to the configured mount point; headers of
    /// proxies count only where `trust_proxy_headers`.
    pub fn of(parts: &Parts, prefix: &str, trust_proxy_headers: bool) -> Self {
        let Parts { headers, uri, extensions, .. } = parts;
        let transport = extensions.get::<Transport>().copied().unwrap_or_default();
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let own_host =
            uri.authority().map(|authority| authority.as_str()).or_else(|| text(header::HOST.as_str()));
        let mut base = Self {
            scheme: transport.scheme().to_owned(),
            host: own_host.unwrap_or("localhost").to_owned(),
            prefix: prefix.to_owned(),
        };
        if !trust_proxy_headers {
            return base;
        }
        let (scheme, host) = match text("forwarded") {
            Some(forwarded) => (forwarded_element(forwarded, "proto"), forwarded_element(forwarded, "host")),
            None => (text("x-forwarded-proto"), text("x-forwarded-host")),
        };
        if let Some(scheme) = scheme.filter(|scheme| is_token(scheme)) {
            base.scheme = scheme.to_owned();
        }
        if let Some(host) = host.filter(|host| is_host(host)) {
            base.host = host.to_owned();
        }
        if let Some(more) = text("x-forwarded-prefix") {
            base.prefix = format!("{}{}", more.trim_end_matches('/'), base.prefix);
        }
        base
    }

    /// Absolute URL of `path`, which starts with a slash and is percent-encoded already.
    pub fn url(&self, path: &str) -> String {
        format!("{}://{}{}{path}", self.scheme, self.host, self.prefix)
    }
}

/// `name` of the first element of a `Forwarded` header (RFC 7239).
fn forwarded_element<'a>(header: &'a str, name: &str) -> Option<&'a str> {
    let first = header.split(',').next()?;
    let pairs = first.split(';').filter_map(|pair| pair.split_once('='));
    let value =
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value).next()?;
    let value = value.trim().trim_matches('"');
    (!value.is_empty()).then_some(value)
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(pairs: &[(&'static str, &'static str)]) -> Parts {
        let mut request = http::Request::get("/v1");
        for (name, value) in pairs {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    fn base(pairs: &[(&'static str, &'static str)], trust: bool) -> String {
        BaseUrl::of(&parts(pairs), "/gnocchi", trust).url("/v1/")
    }

    #[test]
    fn links_lead_to_where_the_request_came() {
        let mut parts = parts(&[("host", "own:8041")]);
        assert_eq!(BaseUrl::of(&parts, "", false).url("/"), "http://own:8041/");
        parts.extensions.insert(Transport::Tls);
        assert_eq!(BaseUrl::of(&parts, "", false).url("/"), "https://own:8041/");
    }

    #[test]
    fn proxies_are_believed_only_when_configured() {
        let forwarded =
            [("host", "own:8041"), ("forwarded", "proto=https;host=front;for=1.2.3.4, host=second")];
        assert_eq!(base(&forwarded, false), "http://own:8041/gnocchi/v1/");
        assert_eq!(base(&forwarded, true), "https://front/gnocchi/v1/");
        let old = [("host", "own"), ("x-forwarded-proto", "https"), ("x-forwarded-prefix", "/metric")];
        assert_eq!(base(&old, true), "https://own/metric/gnocchi/v1/");
    }

    #[test]
    fn a_forged_host_cannot_break_out_of_the_url() {
        let forged = [("host", "own"), ("x-forwarded-host", "evil/<x>")];
        assert_eq!(base(&forged, true), "http://own/gnocchi/v1/");
    }
}
