//! Certificates and keys from files.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject as _};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{VerifierBuilderError, WebPkiClientVerifier};
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{self, ConfigBuilder, RootCertStore, ServerConfig};

use super::validity::Validity;
use super::{Clients, Loaded, TlsSettings, TlsVersions};

/// Why files cannot be used. No text repeats what is in them.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is no PEM.
    #[error("{path} is damaged: it should hold PEM (-----BEGIN …)")]
    Damaged {
        /// The file.
        path: PathBuf,
    },
    /// A file without what it is there for.
    #[error("{path} holds no {what}")]
    Lacking {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
    /// A certificate that is none.
    #[error("the certificate in {path} cannot be understood")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// Certificate and key do not belong together, or are of an unknown kind.
    #[error("the certificate {cert_file} cannot be used with the key {key_file}")]
    Mismatch {
        /// The certificate's file.
        cert_file: PathBuf,
        /// The key's file.
        key_file: PathBuf,
        /// What is the matter.
        source: rustls::Error,
    },
    /// The authorities of clients cannot be used.
    #[error("the authorities in {path} cannot be used: {reason}")]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is the matter.
        reason: String,
    },
    /// A new certificate that clients would refuse.
    #[error("the certificate is out of date: it is good from {} to {}", .0.not_before(), .0.not_after())]
    OutOfDate(Validity),
    /// The cryptography cannot be set up.
    #[error("TLS cannot be set up")]
    Setup(#[source] rustls::Error),
}

/// When, and as what, each file was last written. A file that is not there has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Stamps(Vec<Option<(Option<SystemTime>, u64, u64)>>);

impl Stamps {
    /// Those of all files of `settings`.
    pub(super) fn of(settings: &TlsSettings) -> Self {
        let authorities = match &settings.clients {
            Clients::Unasked => None,
            Clients::MayProve(path) | Clients::MustProve(path) => Some(path),
        };
        let paths = [&settings.cert_file, &settings.key_file].into_iter().chain(authorities);
        let stamp = |path: &PathBuf| {
            let data = std::fs::metadata(path).ok()?;
            Some((data.modified().ok(), data.len(), data.ino()))
        };
        Self(paths.map(stamp).collect())
    }
}

/// Reads and checks everything.
pub(super) fn load(settings: &TlsSettings) -> Result<Loaded, TlsError> {
    let TlsSettings { cert_file, key_file, .. } = settings;
    let chain = certificates(cert_file)?;
    let validity = chain.first().and_then(|certificate| Validity::of(certificate));
    let validity = validity.ok_or_else(|| TlsError::NoCertificate { path: cert_file.clone() })?;
    let key = private_key(key_file)?;
    let provider = Arc::new(ring::default_provider());
    let versions: &[_] = match settings.versions {
        TlsVersions::From12 => &[&TLS12, &TLS13],
        TlsVersions::From13 => &[&TLS13],
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(versions)
        .map_err(TlsError::Setup)?;
    let mut config = asking(builder, &settings.clients, provider)?
        .with_single_cert(chain, key)
        .map_err(|source| mismatch(settings, source))?;
    config.alpn_protocols = settings.protocols.iter().map(|name| name.to_vec()).collect();
    // A session that is taken up again does not show its certificate again, which may have ended meanwhile.
    if settings.clients == Clients::Unasked {
        config.ticketer = ring::Ticketer::new().map_err(TlsError::Setup)?;
    }
    Ok(Loaded { config: Arc::new(config), validity })
}

fn mismatch(settings: &TlsSettings, source: rustls::Error) -> TlsError {
    let TlsSettings { cert_file, key_file, .. } = settings;
    TlsError::Mismatch { cert_file: cert_file.clone(), key_file: key_file.clone(), source }
}

type Ready = ConfigBuilder<ServerConfig, rustls::server::WantsServerCert>;

fn asking(
    builder: ConfigBuilder<ServerConfig, rustls::WantsVerifier>,
    clients: &Clients,
    provider: Arc<CryptoProvider>,
) -> Result<Ready, TlsError> {
    let (path, is_optional) = match clients {
        Clients::Unasked => return Ok(builder.with_no_client_auth()),
        Clients::MayProve(path) => (path, true),
        Clients::MustProve(path) => (path, false),
    };
    let unusable = |reason: String| TlsError::Authorities { path: path.clone(), reason };
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path)? {
        roots.add(certificate).map_err(|error| unusable(error.to_string()))?;
    }
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let verifier = if is_optional { verifier.allow_unauthenticated() } else { verifier };
    let verifier = verifier.build().map_err(|error: VerifierBuilderError| unusable(error.to_string()))?;
    Ok(builder.with_client_cert_verifier(verifier))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_slice_iter(&read(path)?).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if found.is_empty() => {
            Err(TlsError::Lacking { path: path.to_owned(), what: "certificate" })
        }
        Ok(found) => Ok(found),
        Err(_) => Err(TlsError::Damaged { path: path.to_owned() }),
    }
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let path = path.to_owned();
    match PrivateKeyDer::from_pem_slice(&read(&path)?) {
        Ok(key) => Ok(key),
        Err(PemError::NoItemsFound) => {
            Err(TlsError::Lacking { path, what: "private key that is not encrypted" })
        }
        Err(_) => Err(TlsError::Damaged { path }),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    std::fs::read(path).map_err(|source| TlsError::Unreadable { path: path.to_owned(), source })
}
