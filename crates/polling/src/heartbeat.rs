//! The heartbeat socket: whoever connects is told when each pollster last finished. Upstream tells when it last began.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::Timestamp;
use parking_lot::Mutex;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixListener;

use crate::stamp::naive;

/// Who does not read within this is let go.
const PATIENCE: Duration = Duration::from_secs(5);

/// When pollsters last finished, by their names.
#[derive(Debug, Clone, Default)]
pub struct Heartbeat(Arc<Mutex<BTreeMap<String, Timestamp>>>);

impl Heartbeat {
    /// Notes that a pollster has finished, whether or not it could read all.
    pub fn beat(&self, pollster: &str, at: Timestamp) {
        let mut beats = self.0.lock();
        match beats.get_mut(pollster) {
            Some(last) => *last = at,
            None => drop(beats.insert(pollster.to_owned(), at)),
        }
    }

    /// `POLLSTER TIME` lines, without a newline behind the last.
    pub fn text(&self) -> String {
        let beats = self.0.lock();
        let lines: Vec<String> = beats.iter().map(|(name, at)| format!("{name} {}", naive(*at))).collect();
        lines.join("\n")
    }

    /// The socket of an agent of `namespaces` in `directory`, named as upstream names it.
    pub fn socket_path(directory: &Path, namespaces: &[String]) -> PathBuf {
        let mut names = namespaces.to_vec();
        names.sort();
        names.dedup();
        directory.join(format!("ceilometer-{}.socket", names.join("-")))
    }

    /// Binds the socket, in place of one that a former process has left.
    pub fn bind(path: &Path) -> io::Result<UnixListener> {
        let failed = |error: io::Error| {
            let text = format!("Failed to open socket file ({}): {error}", path.display());
            io::Error::new(error.kind(), text)
        };
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => UnixListener::bind(path).map_err(failed),
        }
    }

    /// Tells everybody who connects, until it is dropped.
    pub async fn serve(self, listener: UnixListener) {
        loop {
            match listener.accept().await {
                Ok((mut stream, _)) => {
                    let text = self.text();
                    tokio::spawn(async move {
                        let told = async {
                            stream.write_all(text.as_bytes()).await?;
                            stream.shutdown().await
                        };
                        drop(tokio::time::timeout(PATIENCE, told).await);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "heartbeat socket");
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;
    use tokio::net::UnixStream;

    use super::*;

    #[tokio::test]
    async fn whoever_connects_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let namespaces = ["ipmi".to_owned(), "compute".to_owned()];
        let path = Heartbeat::socket_path(directory.path(), &namespaces);
        assert!(path.ends_with("ceilometer-compute-ipmi.socket"));
        std::fs::write(&path, "left behind").unwrap();
        let heartbeat = Heartbeat::default();
        heartbeat.beat("memory", Timestamp::from_ns(0));
        heartbeat.beat("cpu", Timestamp::from_ns(1_500_000_000));
        let serving = tokio::spawn(heartbeat.clone().serve(Heartbeat::bind(&path).unwrap()));
        let mut text = String::new();
        UnixStream::connect(&path).await.unwrap().read_to_string(&mut text).await.unwrap();
        assert_eq!(text, "cpu 1970-01-01T00:00:01.500000\nmemory 1970-01-01T00:00:00");
        serving.abort();
        let error = Heartbeat::bind(&directory.path().join("no/such")).unwrap_err().to_string();
        assert!(error.starts_with("Failed to open socket file ("), "{error}");
    }
}
