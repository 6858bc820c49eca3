//! An HTTP server and a cloud for tests: answers from a table, over real connections.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudReader, CloudTarget};
use parking_lot::Mutex;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Status, headers, body.
type Answer = (u16, String, String);

#[derive(Default)]
struct Table {
    answers: Mutex<BTreeMap<String, Answer>>,
    asked: Mutex<Vec<String>>,
}

/// A server of an API.
pub(super) struct Api {
    /// `http://127.0.0.1:port`.
    pub(super) address: String,
    table: Arc<Table>,
}

impl Api {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let table = Arc::<Table>::default();
        let serving = Arc::clone(&table);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, Arc::clone(&serving)));
            }
        });
        Self { address, table }
    }

    /// Answers `path` (with its query) with `body`.
    pub(super) fn has(&self, path: &str, body: &str) -> &Self {
        self.answers(path, 200, "", body)
    }

    pub(super) fn answers(&self, path: &str, status: u16, headers: &str, body: &str) -> &Self {
        let answer = (status, headers.to_owned(), body.replace("{here}", &self.address));
        self.table.answers.lock().insert(path.to_owned(), answer);
        self
    }

    /// What has been asked: paths with the headers that tests look at.
    pub(super) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.table.asked.lock())
    }
}

async fn answer(mut stream: TcpStream, table: Arc<Table>) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        request.push(byte[0]);
    }
    let request = String::from_utf8(request).unwrap();
    let path = request.split(' ').nth(1).unwrap().to_owned();
    let seen =
        request.lines().skip(1).filter(|line| line.starts_with("x-") || line.starts_with("authorization"));
    let seen: Vec<_> = std::iter::once(path.as_str()).chain(seen).collect();
    table.asked.lock().push(seen.join(" | "));
    let found = table.answers.lock().get(&path).cloned();
    let (status, headers, body) = found.unwrap_or((404, String::new(), format!("nothing is at {path}")));
    if status == 0 {
        // Somebody who says nothing.
        tokio::time::sleep(std::time::Duration::from_secs(60)).await;
    }
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n");
    drop(stream.write_all((head + &body).as_bytes()).await);
}

/// A cloud whose catalogue is a table, asked over real connections.
pub(super) struct Cloud {
    pub(super) catalogue: BTreeMap<String, Vec<String>>,
    client: reqwest::Client,
}

impl Cloud {
    pub(super) fn new(catalogue: &[(&str, &str)]) -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let mut services: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (service_type, url) in catalogue {
            services.entry((*service_type).to_owned()).or_default().push((*url).to_owned());
        }
        let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { catalogue: services, client: client.build().unwrap() }
    }
}

#[async_trait]
impl CloudReader for Cloud {
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError> {
        Ok(self.catalogue.get(service_type).cloned().unwrap_or_default())
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        let url = match &call.target {
            CloudTarget::Configured(url) => url,
            CloudTarget::Link(url)
                if self.catalogue.values().flatten().any(|known| url.starts_with(known)) =>
            {
                url
            }
            other => return Err(CloudError::Invalid(format!("{other:?} is on no host of the catalogue"))),
        };
        let mut request = self.client.get(url).header("x-auth-token", "t");
        for (name, value) in &call.headers {
            request = request.header(name, value);
        }
        if let Some(limit) = call.timeout {
            request = request.timeout(limit);
        }
        let answer = request.send().await.map_err(|error| CloudError::Unavailable(error.to_string()))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(CloudAnswer { status, headers, body: answer.bytes().await.unwrap() })
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        Ok(None)
    }
}
