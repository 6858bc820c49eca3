//! Who callers are: the authenticator that the configuration asks for, and Keystone's first answer.

use std::sync::Arc;

use anyhow::{Context, Result};
use http::HeaderName;
use nephometer_drivers::{Authenticator, BasicAuthenticator, RemoteUserAuthenticator};
use nephometer_model::Clock;
use nephometer_openstack::keystone::{AuthtokenSettings, Session};
use nephometer_openstack::token::KeystoneAuthenticator;

use crate::config::{AuthMode, Config};

/// What recognises callers.
#[derive(Clone)]
pub(crate) struct Recognition {
    pub(crate) authenticator: Arc<dyn Authenticator>,
    /// The same where it asks Keystone.
    pub(crate) keystone: Option<Arc<KeystoneAuthenticator>>,
}

impl Recognition {
    /// Reads secrets and certificates that the configuration names; asks nobody.
    pub(crate) fn open(config: &Config, clock: Arc<dyn Clock>) -> Result<Self> {
        let settings = &config.metric_api;
        let authenticator: Arc<dyn Authenticator> = match settings.auth_mode {
            AuthMode::Basic => Arc::new(BasicAuthenticator),
            AuthMode::RemoteUser => {
                let header: HeaderName = settings.remote_user_header.parse()?;
                Arc::new(RemoteUserAuthenticator::new(header))
            }
            AuthMode::Keystone => {
                let keystone = Arc::new(open_keystone(&config.keystone_authtoken, clock)?);
                let authenticator = Arc::clone(&keystone) as Arc<dyn Authenticator>;
                return Ok(Self { authenticator, keystone: Some(keystone) });
            }
        };
        Ok(Self { authenticator, keystone: None })
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

fn open_keystone(settings: &AuthtokenSettings, clock: Arc<dyn Clock>) -> Result<KeystoneAuthenticator> {
    let session = settings.session.open().and_then(|config| Session::new(config, Arc::clone(&clock)));
    let session = Arc::new(session.context("keystone_authtoken")?);
    Ok(KeystoneAuthenticator::new(session, settings, clock))
}
