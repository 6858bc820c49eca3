//! The `Accept` header: which of several offered media types a client prefers.

use http::{HeaderMap, header};

/// A parsed `Accept` header.
#[derive(Debug, Clone, PartialEq)]
pub enum Accept {
    /// The client did not send one (or an empty one).
    Absent,
    /// Its ranges. A header that cannot be parsed accepts anything.
    Ranges(Vec<Range>),
}

/// One media range with its weight.
#[derive(Debug, Clone, PartialEq)]
pub struct Range {
    main: String,
    sub: String,
    /// 0 to 1.
    quality: f32,
}

impl Range {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(';').map(str::trim);
        let (main, sub) = parts.next()?.split_once('/')?;
        let weight = parts.find_map(|part| part.strip_prefix("q=").or_else(|| part.strip_prefix("Q=")));
        let quality = weight.map_or(Some(1.0), |text| text.trim().parse().ok())?;
        let valid = (0.0..=1.0).contains(&quality) && !main.is_empty() && !sub.is_empty();
        valid.then(|| Self { main: main.to_ascii_lowercase(), sub: sub.to_ascii_lowercase(), quality })
    }

    /// `*/*`.
    fn anything() -> Self {
        Self { main: "*".to_owned(), sub: "*".to_owned(), quality: 1.0 }
    }

    /// How closely this range names `offer`: 3 exactly, 2 its main type, 1 anything, 0 not at all.
    fn closeness(&self, offer: &str) -> u8 {
        let (main, sub) = offer.split_once('/').unwrap_or((offer, ""));
        match (self.main.as_str(), self.sub.as_str()) {
            ("*", "*") => 1,
            (own, "*") if own == main => 2,
            (own_main, own_sub) if own_main == main && own_sub == sub => 3,
            _ => 0,
        }
    }
}

impl Accept {
    /// The header of a request.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let joined = values.by_ref().collect::<Vec<_>>().join(",");
        if joined.trim().is_empty() {
            return Self::Absent;
        }
        let parts = joined.split(',').map(str::trim).filter(|part| !part.is_empty());
        let ranges: Option<Vec<_>> = parts.map(Range::parse).collect();
        Self::Ranges(ranges.unwrap_or_else(|| vec![Range::anything()]))
    }

    fn quality(&self, offer: &str) -> f32 {
        let Self::Ranges(ranges) = self else { return 1.0 };
        let closest = ranges.iter().map(|range| (range.closeness(offer), range.quality));
        closest
            .filter(|(closeness, _)| *closeness > 0)
            .fold((0, 0.0), |best, next| {
                if next.0 > best.0 || (next.0 == best.0 && next.1 > best.1) { next } else { best }
            })
            .1
    }

    /// The offer that the client likes best, the first of equals; nothing where it refuses all.
    pub fn best<'a>(&self, offers: &[&'a str]) -> Option<&'a str> {
        let mut best: Option<(&'a str, f32)> = None;
        for offer in offers {
            let quality = self.quality(offer);
            if quality > best.map_or(0.0, |(_, known)| known) {
                best = Some((offer, quality));
            }
        }
        best.map(|(offer, _)| offer)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn best(accept: Option<&str>, offers: &[&'static str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        if let Some(text) = accept {
            headers.insert(header::ACCEPT, HeaderValue::from_str(text).unwrap());
        }
        Accept::of(&headers).best(offers)
    }

    #[test]
    fn preference_is_by_weight_then_by_offer() {
        let offers = &["text/plain", "text/html", "application/json"];
        for (accept, expected) in [
            (None, Some("text/plain")),
            (Some("*/*"), Some("text/plain")),
            (Some("application/json"), Some("application/json")),
            (Some("application/*"), Some("application/json")),
            (Some("application/json, text/html"), Some("text/html")),
            (Some("text/plain, application/json; q=0.8"), Some("text/plain")),
            (Some("text/html;q=0.5, application/json; q=0.8"), Some("application/json")),
            (Some("application/xml"), None),
            (Some("*/*;q=0.1, text/plain;q=0"), Some("text/html")),
            (Some("nonsense"), Some("text/plain")),
            (Some("application/json, nonsense"), Some("text/plain")),
        ] {
            assert_eq!(best(accept, offers), expected, "{accept:?}");
        }
    }
}
