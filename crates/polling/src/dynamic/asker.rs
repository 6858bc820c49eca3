//! Asking services, other APIs and this host.

use std::sync::Arc;

use http::HeaderMap;
use nephometer_drivers::{CloudCall, CloudReader, CloudTarget};
use nephometer_model::{Clock, Secret};
use quick_cache::Weighter;
use quick_cache::sync::Cache;
use reqwest::{Client, Url};
use serde_json::Value as Json;

use super::definition::{Definition, Source};
use super::error::DynamicError;
use super::signer::Signer;
use super::template::Variables;
use super::{answer, command};

/// Longest answer of another API than OpenStack's that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Longest text of a refusal that an error repeats, in characters.
const MAX_WORDS: usize = 200;
/// How many redirections of a service are followed.
const MAX_REDIRECTIONS: usize = 5;
/// How much answers about extra metadata may take that are kept, in bytes, roughly.
const KEPT_BYTES: u64 = 64 << 20;
/// What parsed data takes in memory for each byte of its text, roughly.
const BYTES_FOR_TEXT: u64 = 4;

/// What is asked about.
#[derive(Debug, Clone)]
pub(super) enum Place {
    /// A service's address.
    Endpoint(String),
    /// Another API, with these credentials.
    Credentials(Secret),
    /// This host.
    Host,
}

/// Why there is nothing to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Another API than OpenStack's could not be reached.
    Unreachable(String),
    /// It went wrong.
    Failed(String),
}

impl Trouble {
    /// What happened.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Unreachable(text) | Self::Failed(text) => text,
        }
    }
}

impl From<String> for Trouble {
    fn from(text: String) -> Self {
        Self::Failed(text)
    }
}

/// An address, or a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) text: String,
    /// Whether a service has given it, and not the operator: a token goes to hosts of the catalogue alone then.
    pub(super) is_link: bool,
}

/// An answer that is kept.
#[derive(Clone)]
struct Kept {
    data: Arc<Json>,
    until_ns: u64,
    bytes: u64,
}

#[derive(Clone)]
struct Weight;

impl Weighter<String, Kept> for Weight {
    fn weight(&self, key: &String, kept: &Kept) -> u64 {
        kept.bytes * BYTES_FOR_TEXT + key.len() as u64 + 100
    }
}

/// Data of an answer.
pub(super) enum Data {
    /// Of this answer alone.
    Own(Json),
    /// Kept for others, too.
    Kept(Arc<Json>),
}

/// What one pollster asks with.
pub(super) struct Asker {
    pub(super) cloud: Arc<dyn CloudReader>,
    client: Option<Client>,
    clock: Arc<dyn Clock>,
    kept: Cache<String, Kept, Weight>,
}

/// The client for other APIs than OpenStack's.
pub(super) fn client() -> Result<Client, DynamicError> {
    let builder = Client::builder().user_agent(concat!("nephometer/", env!("CARGO_PKG_VERSION"))).no_proxy();
    builder.build().map_err(|error| DynamicError::Client(nephometer_model::with_causes(&error)))
}

impl Asker {
    pub(super) fn new(cloud: Arc<dyn CloudReader>, client: Option<Client>, clock: Arc<dyn Clock>) -> Self {
        Self { cloud, client, clock, kept: Cache::with_weighter(1000, KEPT_BYTES, Weight) }
    }

    /// The data of the answer at `address`. Where `is_kept`, an answer that has come before is as good for a while.
    pub(super) async fn data(
        &self,
        definition: &Definition,
        place: &Place,
        address: &Address,
        is_kept: bool,
    ) -> Result<Data, Trouble> {
        if !is_kept || definition.cache_for.is_zero() {
            let bytes = self.ask(definition, place, address).await?;
            return Ok(Data::Own(answer::read(&definition.handlers, &bytes)?));
        }
        // Whoever asks or reads otherwise has another answer.
        let key = format!("{} {:?} {:?}", address.text, definition.headers, definition.handlers);
        if let Some(kept) = self.kept.get(&key).filter(|kept| kept.until_ns >= self.clock.monotonic_ns()) {
            return Ok(Data::Kept(kept.data));
        }
        let bytes = self.ask(definition, place, address).await?;
        let data = Arc::new(answer::read(&definition.handlers, &bytes)?);
        if answer::is_empty(&data) == Ok(false) {
            let for_ns = u64::try_from(definition.cache_for.as_nanos()).unwrap_or(u64::MAX);
            let until_ns = self.clock.monotonic_ns().saturating_add(for_ns);
            self.kept.insert(key, Kept { data: Arc::clone(&data), until_ns, bytes: bytes.len() as u64 });
        }
        Ok(Data::Kept(data))
    }

    async fn ask(
        &self,
        definition: &Definition,
        place: &Place,
        address: &Address,
    ) -> Result<Vec<u8>, Trouble> {
        match (&definition.source, place) {
            (Source::OpenStack { .. }, _) => Ok(self.service(definition, address.clone()).await?),
            (Source::Other { signer, .. }, Place::Credentials(found)) => {
                self.other(definition, signer, found.expose(), &address.text).await
            }
            (Source::Other { signer, .. }, _) => self.other(definition, signer, "", &address.text).await,
            (Source::Command(_), _) => Ok(command::output(&address.text, definition.timeout).await?),
        }
    }

    /// The answer of a service of the cloud.
    async fn service(&self, definition: &Definition, mut address: Address) -> Result<Vec<u8>, String> {
        for _ in 0..=MAX_REDIRECTIONS {
            let Address { text, is_link } = address;
            let target =
                if is_link { CloudTarget::Link(text.clone()) } else { CloudTarget::Configured(text.clone()) };
            let mut call = CloudCall::to(target);
            call.headers.clone_from(&definition.headers);
            call.timeout = Some(definition.timeout);
            let answer = self.cloud.call(&call).await.map_err(|error| error.to_string())?;
            let there = (300..400).contains(&answer.status).then(|| moved(&text, &answer.headers)).flatten();
            match there {
                Some(url) => address = Address { text: url, is_link: true },
                None if answer.status < 400 => return Ok(answer.body.into()),
                None => {
                    let words: String =
                        String::from_utf8_lossy(&answer.body).chars().take(MAX_WORDS).collect();
                    return Err(format!("{} was answered with {}: {words}", shown(&text), answer.status));
                }
            }
        }
        Err(format!("{} is moved more than {MAX_REDIRECTIONS} times", definition.meter.name))
    }

    /// The answer of another API.
    async fn other(
        &self,
        definition: &Definition,
        signer: &Signer,
        found: &str,
        address: &str,
    ) -> Result<Vec<u8>, Trouble> {
        let at = || shown(address);
        let unreachable = |error: reqwest::Error| {
            Trouble::Unreachable(format!("{}: {}", at(), nephometer_model::with_causes(&error.without_url())))
        };
        let client =
            self.client.as_ref().ok_or_else(|| Trouble::Failed("there is no HTTP client".to_owned()))?;
        let url = Url::parse(address).map_err(|error| format!("`{}` is no address: {error}", at()))?;
        let mut headers =
            signer.headers(found, &url, self.clock.now()).map_err(|reason| format!("{}: {reason}", at()))?;
        for (name, value) in &definition.headers {
            let header = http::HeaderName::try_from(name).ok().zip(http::HeaderValue::try_from(value).ok());
            let (name, value) = header.ok_or_else(|| format!("`{name}` cannot be a header"))?;
            headers.insert(name, value);
        }
        let request = client.get(url).headers(headers).timeout(definition.timeout);
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status != http::StatusCode::OK {
            let reason = status.canonical_reason().unwrap_or_default();
            let (at, code) = (at(), status.as_u16());
            let text = format!("Error while executing request[{at}]. Status[{code}] and reason [{reason}].");
            return Err(Trouble::Failed(text));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(Trouble::Failed(format!(
                    "{} answers with more than {MAX_ANSWER_BYTES} bytes",
                    at()
                )));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }
}

/// Where a service says that something is.
fn moved(from: &str, headers: &HeaderMap) -> Option<String> {
    let location = headers.get(http::header::LOCATION)?.to_str().ok()?;
    Some(Url::parse(from).ok()?.join(location).ok()?.to_string())
}

/// An address as messages show it: without what may be a secret, a password or a key in its query.
fn shown(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return address.split('?').next().unwrap_or_default().to_owned();
    };
    url.set_query(None);
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}

/// `base` with a slash at its end, which a path is joined to.
fn below(base: &str) -> Result<Url, String> {
    let with_slash = if base.ends_with('/') { base.to_owned() } else { format!("{base}/") };
    Url::parse(&with_slash).map_err(|error| format!("`{}` is no address: {error}", shown(base)))
}

/// Where reading begins.
pub(super) fn first(
    definition: &Definition,
    place: &Place,
    variables: &Variables<'_>,
) -> Result<Address, String> {
    let wrong = |field: &str, error| format!("{field}: {error}");
    let text = match (&definition.source, place) {
        (Source::OpenStack { path, .. }, Place::Endpoint(endpoint)) => {
            let path = path.render(variables).map_err(|error| wrong("url_path", error))?;
            let joined = below(endpoint)?.join(&path);
            joined.map_err(|error| format!("url_path `{path}` is no path: {error}"))?.to_string()
        }
        (Source::OpenStack { .. }, _) => return Err("it is no address of a service".to_owned()),
        (Source::Other { url, .. }, _) => url.clone(),
        (Source::Command(command), _) => {
            command.render(variables).map_err(|error| wrong("host_command", error))?
        }
    };
    Ok(Address { text, is_link: false })
}

/// Where reading goes on that began at `begin`: what an answer says is an address, a part of one, or the next command.
pub(super) fn next(
    definition: &Definition,
    place: &Place,
    begin: &Address,
    next: &str,
) -> Result<Address, String> {
    let (base, begin) = match (&definition.source, place) {
        (Source::Command(_), _) => return Ok(Address { text: next.to_owned(), is_link: false }),
        (Source::OpenStack { .. }, Place::Endpoint(endpoint)) => (below(endpoint)?, &begin.text),
        (Source::OpenStack { .. }, _) => return Err("it is no address of a service".to_owned()),
        (Source::Other { url, .. }, _) => (below(url)?, url),
    };
    let url =
        base.join(next).map_err(|error| format!("the next page `{}` is no address: {error}", shown(next)))?;
    let known = [Some(base.origin()), Url::parse(begin).ok().map(|url| url.origin())];
    let is_link = !known.iter().flatten().any(|origin| *origin == url.origin());
    if let (true, Source::Other { .. }) = (is_link, &definition.source) {
        // What signs requests to one API is no business of another.
        return Err(format!(
            "the next page {} is on another host: credentials are not sent there",
            shown(next)
        ));
    }
    Ok(Address { text: url.to_string(), is_link })
}

#[cfg(test)]
mod tests {
    use super::super::yaml::Yaml;
    use super::*;

    fn definition(yaml: &str) -> Definition {
        let yaml = format!("{{name: a, sample_type: gauge, unit: B, value_attribute: v, {yaml}}}");
        Definition::read(&Yaml::parse(&yaml).unwrap()).unwrap()
    }

    #[test]
    fn paths_are_joined_to_addresses() {
        let place = |endpoint: &str| Place::Endpoint(endpoint.to_owned());
        for (endpoint, path, url) in [
            (
                "http://c:8774/v2.1",
                "servers/detail?all_tenants=true",
                "http://c:8774/v2.1/servers/detail?all_tenants=true",
            ),
            ("http://c:8774/v2.1/", "servers", "http://c:8774/v2.1/servers"),
            ("http://c:8774/v2.1/p", "/v3/x", "http://c:8774/v3/x"),
            ("http://c:8774/v2.1", "http://other/y", "http://other/y"),
            ("http://c:8774/v2.1", "?a=1", "http://c:8774/v2.1/?a=1"),
        ] {
            let definition = definition(&format!("endpoint_type: compute, url_path: '{path}'"));
            assert_eq!(first(&definition, &place(endpoint), &[]).unwrap().text, url);
        }
        let definition = definition("endpoint_type: compute, url_path: servers");
        assert!(first(&definition, &place("no address"), &[]).is_err());
        assert!(first(&definition, &Place::Host, &[]).is_err());
    }

    #[test]
    fn pages_of_other_hosts_are_links() {
        let of_cloud = definition("endpoint_type: compute, url_path: 'http://abs:1/servers'");
        let place = Place::Endpoint("http://c:8774/v2.1".to_owned());
        let begin = first(&of_cloud, &place, &[]).unwrap();
        for (page, text, is_link) in [
            ("servers?marker=1", "http://c:8774/v2.1/servers?marker=1", false),
            ("/servers?marker=1", "http://c:8774/servers?marker=1", false),
            ("http://c:8774/x", "http://c:8774/x", false),
            ("http://abs:1/servers?marker=1", "http://abs:1/servers?marker=1", false),
            ("https://evil/x", "https://evil/x", true),
            ("//evil/x", "http://evil/x", true),
        ] {
            let wanted = Address { text: text.to_owned(), is_link };
            assert_eq!(next(&of_cloud, &place, &begin, page), Ok(wanted), "{page}");
        }
        let auth =
            "module: requests.auth, authentication_object: HTTPBasicAuth, authentication_parameters: 'u,p'";
        let other = definition(&format!("url_path: 'http://api/usage', {auth}"));
        let begin = first(&other, &Place::Host, &[]).unwrap();
        assert_eq!(next(&other, &Place::Host, &begin, "?page=2").unwrap().text, "http://api/usage/?page=2");
        assert!(
            next(&other, &Place::Host, &begin, "http://evil/")
                .unwrap_err()
                .contains("credentials are not sent")
        );
    }

    #[test]
    fn messages_show_no_keys() {
        assert_eq!(shown("http://u:p@h/x?api_key=1"), "http://h/x");
        assert_eq!(shown("nothing?key=1"), "nothing");
    }
}
