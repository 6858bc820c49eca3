//! TLS in front of a plain service, with an authority of its own.

use std::path::PathBuf;
use std::sync::Arc;

use nephometer_openstack::keystone::Url;
use nephometer_testkit::certificates::Authority;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::{RootCertStore, ServerConfig, crypto};

/// A listener that speaks TLS and passes on what it hears.
pub(crate) struct TlsFront {
    /// Its address.
    pub(crate) url: Url,
    /// The authority's certificate.
    pub(crate) ca_file: PathBuf,
    /// A client's certificate by the same authority, and its key.
    pub(crate) client_cert: PathBuf,
    pub(crate) client_key: PathBuf,
    _directory: tempfile::TempDir,
}

impl TlsFront {
    /// In front of `plain`; `asks_clients` wants a certificate of everybody.
    pub(crate) async fn start(plain: &Url, asks_clients: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let authority = Authority::new("tests").unwrap();
        let server = authority.issue(&["127.0.0.1"]).unwrap();
        let ca_file = authority.write(directory.path(), "ca").unwrap();
        let (client_cert, client_key) =
            authority.issue(&["client"]).unwrap().write(directory.path(), "client").unwrap();
        let provider = Arc::new(crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_clients {
            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap();
        let certificate = CertificateDer::from_pem_slice(server.certificate.as_bytes()).unwrap();
        let config = builder.with_single_cert(vec![certificate], key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/v3", listener.local_addr().unwrap()).parse().unwrap();
        let behind = plain.socket_addrs(|| None).unwrap()[0];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut front = acceptor.accept(stream).await?;
                    let mut back = TcpStream::connect(behind).await?;
                    tokio::io::copy_bidirectional(&mut front, &mut back).await
                });
            }
        });
        Self { url, ca_file, client_cert, client_key, _directory: directory }
    }
}
