//! New connections: with TLS or without it as the connection string says, and what to do where none comes about.

use std::error::Error as _;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Weak;

use deadpool_postgres::{Connect, PoolError};
use nephometer_model::with_causes;
use rustls::{AlertDescription, CertificateError};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::config::SslMode;
use tokio_postgres::error::SqlState;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use tokio_postgres::{AsyncMessage, Client, Config, Error, NoTls, Socket};

use super::tls::{Mode, Tls};

/// Connects for the pool, and for who listens.
pub(super) struct Connector {
    pub(super) tls: Tls,
    /// Woken by what is told on the channels that a connection listens to.
    pub(super) wake: Weak<Notify>,
}

impl Connector {
    /// Connections on which nobody listens.
    pub(super) fn new(tls: Tls) -> Self {
        Self { tls, wake: Weak::new() }
    }
}

impl Connect for Connector {
    fn connect(
        &self,
        config: &Config,
    ) -> Pin<Box<dyn Future<Output = Result<(Client, JoinHandle<()>), Error>> + Send + '_>> {
        let config = config.clone();
        Box::pin(async move {
            if self.tls.options().mode == Mode::Disable {
                return open(&config, NoTls, &self.wake).await;
            }
            let error = match open(&config, self.tls.clone(), &self.wake).await {
                Err(error) if self.tls.options().mode == Mode::Prefer && may_work_plainly(&error) => error,
                outcome => return outcome,
            };
            let mut plain = config;
            plain.ssl_mode(SslMode::Disable);
            open(&plain, NoTls, &self.wake).await.map_err(|_| error)
        })
    }
}

/// Wakes whoever still waits.
pub(super) fn wake_up(wake: &Weak<Notify>) {
    if let Some(wake) = wake.upgrade() {
        wake.notify_one();
    }
}

/// Whether a failure may have to do with TLS: the server has said nothing, or that this sort of connection is unwanted.
fn may_work_plainly(error: &Error) -> bool {
    error.code().is_none_or(|code| *code == SqlState::INVALID_AUTHORIZATION_SPECIFICATION)
}

async fn open<T>(config: &Config, tls: T, wake: &Weak<Notify>) -> Result<(Client, JoinHandle<()>), Error>
where
    T: MakeTlsConnect<Socket> + Send,
    T::Stream: Send + 'static,
    T::TlsConnect: Send,
    <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
{
    let (client, mut connection) = config.connect(tls).await?;
    let wake = wake.clone();
    let driver = tokio::spawn(async move {
        while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
            match message {
                Ok(AsyncMessage::Notification(_)) => wake_up(&wake),
                Ok(_) => {}
                Err(error) => {
                    tracing::warn!(reason = with_causes(&error), "a connection to PostgreSQL was lost");
                    return;
                }
            }
        }
    });
    Ok((client, driver))
}

/// What went wrong while connecting, with what an operator can do about it.
pub(super) fn explained(error: &PoolError) -> String {
    let text = with_causes(error);
    let advice = match error {
        PoolError::Backend(error) => advice(error),
        PoolError::Timeout(_) => Some("the server does not answer in time"),
        _ => None,
    };
    advice.map_or_else(|| text.clone(), |advice| format!("{text}; {advice}"))
}

fn advice(error: &Error) -> Option<&'static str> {
    if let Some(refusal) = error.as_db_error() {
        let message = refusal.message();
        return Some(match *refusal.code() {
            SqlState::INVALID_PASSWORD => "check user and password",
            SqlState::INVALID_CATALOG_NAME => "make the database (CREATE DATABASE), or name another one",
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION if message.contains("certificate") => {
                "name a client certificate that the server trusts: sslcert and sslkey"
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION if message.contains("no encryption") => {
                "the server may want TLS: sslmode=require or more; or its pg_hba.conf does not let us in"
            }
            SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                "check the user, and what the server's pg_hba.conf allows"
            }
            _ => return None,
        });
    }
    let cause = error.source()?;
    if cause.to_string().contains("password missing") {
        return Some("the server wants a password");
    }
    if cause.to_string().contains("does not support TLS") {
        return Some("turn on `ssl` there, or say sslmode=prefer or disable if nobody can listen in between");
    }
    let inner = cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref)?;
    of_tls(inner.downcast_ref()?)
}

fn of_tls(error: &rustls::Error) -> Option<&'static str> {
    use AlertDescription as Alert;
    use CertificateError::{
        Expired, ExpiredContext, NotValidForName, NotValidForNameContext, Other, UnknownIssuer,
    };
    Some(match error {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            "the server's certificate is by no authority in sslrootcert: name a file that has its authority"
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "connect by a name that the certificate has as subjectAltName, or say sslmode=verify-ca"
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "the server needs a new certificate"
        }
        rustls::Error::InvalidCertificate(Other(_)) => {
            "the server needs a certificate of X.509 version 3 that is not an authority's own (CA:FALSE)"
        }
        rustls::Error::AlertReceived(
            Alert::UnknownCA
            | Alert::BadCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRequired
            | Alert::CertificateUnknown
            | Alert::DecryptError,
        ) => "the server does not take our certificate: check sslcert and sslkey",
        _ => return None,
    })
}
