//! Who callers are: the authenticators that the configuration asks for, and Keystone's first answer.

use std::sync::Arc;

use anyhow::{Context, Result};
use http::HeaderName;
use nephometer_drivers::{
    Authenticator, BasicAuthenticator, ClaimedIdentityAuthenticator, RemoteUserAuthenticator,
};
use nephometer_model::Clock;
use nephometer_openstack::keystone::{AuthtokenSettings, Session};
use nephometer_openstack::token::KeystoneAuthenticator;

use crate::config::{AuthMode, Config};

/// What recognises callers.
#[derive(Clone)]
pub(crate) struct Recognition {
    /// Of the metric API.
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// Of the alarm API.
    pub(crate) of_alarms: Arc<dyn Authenticator>,
    /// Where one of them asks Keystone: what asks it.
    pub(crate) keystone: Option<Arc<KeystoneAuthenticator>>,
    /// By which this service itself is signed in.
    pub(crate) session: Option<Arc<Session>>,
}

impl Recognition {
    /// Reads secrets and certificates that the configuration names; asks nobody.
    pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let mode = config.metric_api.auth_mode;
        let alarms_ask = config.alarms_ask_keystone();
        let opened =
            config.asks_keystone().then(|| open_keystone(&config.keystone_authtoken, clock)).transpose()?;
        let (session, keystone) = opened.unzip();
        let by_keystone = || keystone.clone().map(|keystone| keystone as Arc<dyn Authenticator>);
        let authenticator: Arc<dyn Authenticator> = match (mode, by_keystone()) {
            (AuthMode::Keystone, Some(keystone)) => keystone,
            (AuthMode::RemoteUser, _) => {
                let header: HeaderName = config.metric_api.remote_user_header.parse()?;
                Arc::new(RemoteUserAuthenticator::new(header))
            }
            _ => Arc::new(BasicAuthenticator),
        };
        let of_alarms = by_keystone().filter(|_| alarms_ask);
        let of_alarms = of_alarms.unwrap_or_else(|| Arc::new(ClaimedIdentityAuthenticator));
        Ok(Self { authenticator, of_alarms, keystone, session })
    }

    /// Signs in to Keystone in the background and logs how that went. A server starts without Keystone: until it answers,
    /// requests are answered with 503.
    pub(crate) fn greet_keystone(&self) {
        let Some(keystone) = self.keystone.clone() else { return };
        tokio::spawn(async move {
            match keystone.prepare().await {
                Ok(()) => tracing::info!("signed in to Keystone"),
                Err(error) => {
                    tracing::error!(%error, "Keystone cannot be asked about tokens; requests get 503 until it can");
                }
            }
        });
    }
}

fn open_keystone(
    settings: &AuthtokenSettings,
    clock: Arc<dyn Clock>,
) -> Result<(Arc<Session>, Arc<KeystoneAuthenticator>)> {
    let session = settings.session.open().and_then(|config| Session::new(config, Arc::clone(&clock)));
    let session = Arc::new(session.context("keystone_authtoken")?);
    let authenticator = KeystoneAuthenticator::new(Arc::clone(&session) as _, settings, clock);
    Ok((session, Arc::new(authenticator)))
}
