//! Query strings as ordered pairs: repeated parameters are kept, form encoding is undone.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// What Python's `quote_plus` leaves alone.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'.').remove(b'-').remove(b'~');
/// What Python's `quote` leaves alone: as above and slashes.
const PATH: &AsciiSet = &FORM.remove(b'/');

/// The parameters of a request, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Parses a raw query string; undecodable bytes become replacement characters.
    pub fn parse(raw: &str) -> Self {
        let pairs = raw.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        });
        Self(pairs.collect())
    }

    /// All pairs in their order.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// All values of `name`.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs().filter(move |(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The first value of `name`, empty or not.
    pub fn first<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// The first value of `name` unless it is empty.
    pub fn nonempty<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.first(name).filter(|value| !value.is_empty())
    }

    /// The only value of `name`; an error where it is repeated.
    pub fn single<'a>(&'a self, name: &'a str) -> Result<Option<&'a str>, Repeated> {
        let mut values = self.all(name);
        let first = values.next();
        if values.next().is_some() { Err(Repeated(name.to_owned())) } else { Ok(first) }
    }
}

/// A parameter that may be given once was given several times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeated(pub String);

fn decode(text: &str) -> String {
    let spaced: Cow<'_, str> = if text.contains('+') { text.replace('+', " ").into() } else { text.into() };
    percent_decode(spaced.as_bytes()).decode_utf8_lossy().into_owned()
}

/// Pairs as a query string in the form of Python's `urlencode`.
pub fn encode<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let encoded =
        pairs.into_iter().map(|(name, value)| format!("{}={}", encode_form(name), encode_form(value)));
    encoded.collect::<Vec<_>>().join("&")
}

fn encode_form(text: &str) -> String {
    let parts = text.split(' ').map(|part| utf8_percent_encode(part, FORM).to_string());
    parts.collect::<Vec<_>>().join("+")
}

/// A path with everything but letters, digits, `_.-~` and slashes percent-encoded.
pub fn encode_path(path: &str) -> String {
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_encoding_is_pythons() {
        let query = Query::parse("sort=id%3Aasc&sort=a+b&&empty=&flag");
        assert_eq!(query.all("sort").collect::<Vec<_>>(), ["id:asc", "a b"]);
        assert_eq!(
            (query.first("empty"), query.nonempty("empty"), query.first("flag")),
            (Some(""), None, Some(""))
        );
        assert_eq!(query.single("sort"), Err(Repeated("sort".to_owned())));
        let text = encode([("marker", "x@1"), ("sort", "id:asc nulls/~"), ("✔", "")]);
        assert_eq!(text, "marker=x%401&sort=id%3Aasc+nulls%2F~&%E2%9C%94=");
        assert_eq!(encode_path("/v1/archive_policy/✔ é"), "/v1/archive_policy/%E2%9C%94%20%C3%A9");
    }
}
