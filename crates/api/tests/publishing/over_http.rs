//! The same behaviours over a Gnocchi API: ours behind a socket, and upstream's own (ignored unless it is asked for: it
//! takes its time to start).

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nephometer_api::{HttpSettings, serve};
use nephometer_drivers::conformance::metric_writer::{self, Service};
use nephometer_drivers::for_each_metric_writer_behaviour;
use nephometer_model::{Clock, Secret, SystemClock};
use nephometer_openstack::keystone::{HttpOptions, Url};
use nephometer_openstack::services::{GnocchiApi, GnocchiReader, GnocchiWriter};
use nephometer_testkit::app::TestApp;
use tokio::net::TcpListener;

/// Asks the API at `address` as `admin` of basic authentication.
fn service(address: &Url, shows_within: Duration) -> Service {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let options = HttpOptions { max_retries: 0, ..HttpOptions::default() };
    let api = GnocchiApi::basic(address.clone(), "admin", &Secret::default(), &options, Arc::clone(&clock));
    let api = api.unwrap();
    Service {
        writer: Arc::new(GnocchiWriter::new(api.clone())),
        reader: Arc::new(GnocchiReader::over(api, clock)),
        shows_within,
        pause: || Box::pin(tokio::time::sleep(Duration::from_millis(100))),
    }
}

macro_rules! ours {
    ($($name:ident)*) => {
        mod ours {
            use super::*;
            $(
                #[tokio::test]
                async fn $name() {
                    let app = TestApp::start().await.unwrap();
                    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                    let address = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
                    let served = serve(
                        listener, None, app.router.clone(), HttpSettings::default(), std::future::pending(),
                    );
                    let served = tokio::spawn(served);
                    metric_writer::$name(&service(&address, Duration::ZERO)).await;
                    served.abort();
                }
            )*
        }
    };
}

for_each_metric_writer_behaviour!(ours);

/// Gnocchi 4.7.1 with a database of its own.
struct Upstream {
    server: Child,
    address: Url,
    directory: PathBuf,
}

impl Upstream {
    async fn start() -> Self {
        drop(tokio_rustls::rustls::crypto::ring::default_provider().install_default());
        let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
        let directory = tempfile::tempdir().unwrap().keep();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new(conformance.join("serve-peer"));
        command.arg(port.to_string()).arg(&directory).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().unwrap();
        let address = Url::parse(&format!("http://127.0.0.1:{port}")).unwrap();
        for _ in 0..600 {
            tokio::time::sleep(Duration::from_millis(200)).await;
            if reqwest::get(address.clone()).await.is_ok() {
                break;
            }
        }
        Self { server, address, directory }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        // It takes its database down with it.
        let pid = rustix::process::Pid::from_child(&self.server);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        drop(self.server.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

macro_rules! upstreams {
    ($($name:ident)*) => {
        #[tokio::test]
        #[ignore = "needs Gnocchi from PyPI; ./test samples"]
        async fn upstreams_gnocchi_behaves_the_same() {
            let upstream = Upstream::start().await;
            let service = service(&upstream.address, Duration::from_secs(20));
            $(
                println!("{}", stringify!($name));
                metric_writer::$name(&service).await;
            )*
        }
    };
}

for_each_metric_writer_behaviour!(upstreams);
