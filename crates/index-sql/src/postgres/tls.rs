//! TLS towards PostgreSQL with libpq's choices: whether it is spoken, and whom the server's certificate must convince.
//! Files are read for each new connection, so that certificates that are renewed in time need no restart.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_postgres::Socket;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres_rustls::MakeRustlsConnect;

/// `sslmode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Mode {
    /// Without TLS.
    Disable,
    /// With TLS where that works, without it where not. Proves nothing.
    #[default]
    Prefer,
    /// With TLS, whoever the server is.
    Require,
    /// With a server whose certificate is by a trusted authority.
    VerifyCa,
    /// The same, and the certificate is for the host that was asked for.
    VerifyFull,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disable => "disable",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        })
    }
}

impl FromStr for Mode {
    type Err = TlsError;

    fn from_str(text: &str) -> Result<Self, TlsError> {
        let modes = [Self::Disable, Self::Prefer, Self::Require, Self::VerifyCa, Self::VerifyFull];
        modes.into_iter().find(|mode| mode.to_string() == text).ok_or(TlsError::Mode)
    }
}

/// `sslrootcert`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// The authorities that this system trusts.
    System,
    /// Those in a PEM file.
    File(PathBuf),
}

/// What a connection string says about TLS.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) mode: Mode,
    pub(super) roots: Option<Roots>,
    /// Our certificate (PEM).
    pub(super) certificate: Option<PathBuf>,
    /// Its key (PEM), where it is not in the same file.
    pub(super) key: Option<PathBuf>,
}

/// Why what a connection string says about TLS cannot work, and what would.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A mode that there is not.
    #[error("sslmode: expected disable, prefer, require, verify-ca or verify-full")]
    Mode,
    /// Nobody is trusted.
    #[error(
        "sslmode={0} needs sslrootcert=FILE with the certificates (PEM) of the authorities that the server's may be by; \
         for those that this system trusts say sslmode=verify-full&sslrootcert=system"
    )]
    RootsNeeded(Mode),
    /// Everybody is trusted.
    #[error("sslrootcert=system trusts many authorities: only sslmode=verify-full goes with it")]
    WeakSystem,
    /// Half of what a client needs.
    #[error("sslkey needs sslcert=FILE, the certificate (PEM) that it belongs to")]
    KeyWithoutCertificate,
    /// A file that is not there, or not ours to read.
    #[error("{option}: {} cannot be read: {reason}", path.display())]
    Unreadable {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
        /// The system's words.
        reason: std::io::Error,
    },
    /// A file without certificates.
    #[error("{option}: {} holds no certificate in PEM form", .path.display())]
    NoCertificate {
        /// The option that names it.
        option: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// A file without a key.
    #[error("sslkey: {} holds no private key in PEM form; one with a passphrase cannot be used", .0.display())]
    NoKey(PathBuf),
    /// What the files hold does not fit together.
    #[error("sslcert and sslkey cannot be used together: {0}")]
    Identity(rustls::Error),
    /// An authority that cannot be used.
    #[error("sslrootcert cannot be used: {0}")]
    Roots(String),
    /// TLS does not start.
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// Makes TLS connections as a connection string wants them.
#[derive(Clone)]
pub(super) struct Tls(Arc<TlsOptions>);

impl Tls {
    pub(super) fn new(options: TlsOptions) -> Self {
        Self(Arc::new(options))
    }

    pub(super) fn options(&self) -> &TlsOptions {
        &self.0
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = <MakeRustlsConnect as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = TlsError;

    fn make_tls_connect(&mut self, domain: &str) -> Result<Self::TlsConnect, TlsError> {
        let mut connector = MakeRustlsConnect::new(self.0.client_config()?);
        match MakeTlsConnect::<Socket>::make_tls_connect(&mut connector, domain) {
            Ok(connect) => Ok(connect),
            Err(never) => match never {},
        }
    }
}

impl TlsOptions {
    /// Reads the files.
    pub(super) fn client_config(&self) -> Result<ClientConfig, TlsError> {
        let provider = Arc::new(ring::default_provider());
        let verifier = self.verifier(&provider)?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(verifier);
        let Some(path) = &self.certificate else { return Ok(builder.with_no_client_auth()) };
        let certificates = certificates("sslcert", path)?;
        let key_path = self.key.as_ref().unwrap_or(path);
        let key = PrivateKeyDer::from_pem_slice(&read("sslkey", key_path)?);
        let key = key.map_err(|_| TlsError::NoKey(key_path.clone()))?;
        builder.with_client_auth_cert(certificates, key).map_err(TlsError::Identity)
    }

    fn verifier(&self, provider: &Arc<CryptoProvider>) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
        let names = match self.mode {
            Mode::Disable | Mode::Prefer | Mode::Require => {
                return Ok(Arc::new(Anybody(Arc::clone(provider))));
            }
            Mode::VerifyCa => false,
            Mode::VerifyFull => true,
        };
        let roots = Arc::new(self.root_store()?);
        let inner = WebPkiServerVerifier::builder_with_provider(roots, Arc::clone(provider)).build();
        let inner = inner.map_err(|error| TlsError::Roots(error.to_string()))?;
        Ok(if names { inner } else { Arc::new(AnyName(inner)) })
    }

    fn root_store(&self) -> Result<RootCertStore, TlsError> {
        let mut store = RootCertStore::empty();
        match &self.roots {
            Some(Roots::File(path)) => {
                for certificate in certificates("sslrootcert", path)? {
                    let added = store.add(certificate);
                    added.map_err(|error| TlsError::Roots(format!("{}: {error}", path.display())))?;
                }
            }
            Some(Roots::System) | None => {
                let found = rustls_native_certs::load_native_certs();
                store.add_parsable_certificates(found.certs);
                if store.is_empty() {
                    let why = found.errors.first().map_or_else(String::new, |error| format!(": {error}"));
                    return Err(TlsError::Roots(format!("this system trusts no authority{why}")));
                }
            }
        }
        Ok(store)
    }
}

fn read(option: &'static str, path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|reason| TlsError::Unreadable { option, path: path.to_owned(), reason })
}

fn certificates(option: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let pem = read(option, path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsError::NoCertificate { option, path: path.to_owned() })
}

/// Takes any certificate; that the server has its key is still proven.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

/// Wants a certificate by a trusted authority, for whatever name. Names are what the inner verifier looks at last.
#[derive(Debug)]
struct AnyName(Arc<WebPkiServerVerifier>);

impl ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        use CertificateError::{NotValidForName, NotValidForNameContext};
        let verified = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match verified {
            Err(rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. })) => {
                Ok(ServerCertVerified::assertion())
            }
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.0.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }
}
