//! Targets of messages, taken apart.

use nephometer_drivers::{BUS_ACTION, DeliveryFailure};
use reqwest::Url;

use crate::definition::{ActionScheme, without_trust};

/// A target. `Debug` would show trusts and signatures; there is none.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    /// How it is told.
    pub scheme: ActionScheme,
    /// The trust by which it is told.
    pub trust_id: Option<String>,
    /// Without the trust: what HTTP requests go to.
    pub url: Url,
}

impl Address {
    /// Takes an action apart, as it is stored.
    ///
    /// # Errors
    /// [`DeliveryFailure::Final`] where nobody can be told by it.
    pub fn parse(action: &str) -> Result<Self, DeliveryFailure> {
        let unusable = |why: &str| DeliveryFailure::Final(format!("the action is no address: {why}"));
        let own = (action == BUS_ACTION).then_some(ActionScheme::Bus);
        let scheme = own.or_else(|| ActionScheme::of(action));
        let scheme = scheme.ok_or_else(|| unusable("its scheme is not known"))?;
        let plain = without_trust(action);
        let rest = plain.split_once(':').map_or("", |(_, rest)| rest);
        let trust_id = if scheme.needs_trust() { Some(trust_of(action).ok_or_else(no_trust)?) } else { None };
        let text = match scheme {
            ActionScheme::Http | ActionScheme::TrustHttp => format!("http:{rest}"),
            ActionScheme::Https | ActionScheme::TrustHttps => format!("https:{rest}"),
            _ => format!("action:{rest}"),
        };
        let url = Url::parse(&text).map_err(|error| unusable(&error.to_string()))?;
        Ok(Self { scheme, trust_id, url })
    }

    /// Values of a parameter of the query, in their order.
    pub fn values(&self, name: &str) -> Vec<String> {
        let of_name = self.url.query_pairs().filter(|(key, value)| key == name && !value.is_empty());
        of_name.map(|(_, value)| value.into_owned()).collect()
    }

    /// The last value of a parameter.
    pub fn last(&self, name: &str) -> Option<String> {
        self.values(name).pop()
    }

    /// What messages compete for: scheme, host and port, or the service behind the scheme.
    pub fn lane(&self) -> String {
        match self.scheme {
            ActionScheme::Zaqar | ActionScheme::TrustZaqar => "zaqar".to_owned(),
            ActionScheme::TrustHeat => "heat".to_owned(),
            ActionScheme::Log => "log".to_owned(),
            ActionScheme::Test => "test".to_owned(),
            ActionScheme::Bus => "the message bus".to_owned(),
            _ => {
                let (scheme, host) = (self.url.scheme(), self.url.host_str().unwrap_or_default());
                format!("{scheme}://{host}:{}", self.url.port_or_known_default().unwrap_or_default())
            }
        }
    }
}

fn no_trust() -> DeliveryFailure {
    DeliveryFailure::Final("the action holds no trust; setting the alarm again makes one".to_owned())
}

/// The trust before the host, without what follows its colon.
fn trust_of(action: &str) -> Option<String> {
    let (_, rest) = action.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (trust, _) = authority.rsplit_once('@')?;
    let id = trust.split(':').next()?;
    (!id.is_empty()).then(|| id.to_owned())
}

/// Where an action goes, without its secrets.
pub(super) fn target_of(action: &str) -> String {
    Address::parse(action)
        .map_or_else(|_| "an action that is no address".to_owned(), |address| address.lane())
}

/// `url` as people may see it: without user, password, query and fragment.
pub(super) fn shown(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{host}{port}{}", url.scheme(), url.path())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_taken_apart() {
        let address = |action: &str| Address::parse(action).ok().unwrap();
        let trusted = address("trust+https://abc:delete@host:8443/a?b=c");
        assert_eq!(trusted.trust_id.as_deref(), Some("abc"));
        assert_eq!(trusted.url.as_str(), "https://host:8443/a?b=c");
        assert_eq!(trusted.lane(), "https://host:8443");
        let second = address("trust+http://abc@host");
        assert_eq!((second.trust_id.as_deref(), second.lane().as_str()), (Some("abc"), "http://host:80"));
        let zaqar = address("zaqar://?topic=t&subscriber=mailto%3Aa%40b&subscriber=http://x&ttl=60");
        assert_eq!(zaqar.values("subscriber"), ["mailto:a@b", "http://x"]);
        assert_eq!((zaqar.last("ttl").as_deref(), zaqar.lane().as_str()), (Some("60"), "zaqar"));
        let queue = address("trust+zaqar://abc:delete@?queue_name=q");
        assert_eq!(
            (queue.trust_id.as_deref(), queue.last("queue_name").as_deref()),
            (Some("abc"), Some("q"))
        );
        assert_eq!(address("trust+heat://abc:delete@").trust_id.as_deref(), Some("abc"));
        assert_eq!(address("log://").lane(), "log");
        assert_eq!(address(BUS_ACTION).lane(), "the message bus");
        assert_eq!(shown(&address("http://u:p@h:1/x?secret=1").url), "http://h:1/x");
    }

    #[test]
    fn what_is_no_address_is_told() {
        let text = |action: &str| match Address::parse(action) {
            Err(DeliveryFailure::Final(text)) => text,
            _ => panic!("{action} is an address"),
        };
        assert!(text("gopher://x").contains("scheme"));
        assert!(text("bus:x").contains("scheme"));
        assert!(text("http://").contains("no address"));
        assert!(text("trust+http://host/x").contains("no trust"));
    }
}
