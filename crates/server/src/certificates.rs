//! The certificates of all listeners: read at the start, followed while the program runs.

use std::sync::Arc;

use anyhow::{Context, Error, Result};
use nephometer_api::http::tls::{HTTP_PROTOCOLS, Tls, TlsError, TlsStatus};
use nephometer_model::Clock;

use crate::config::Config;
use crate::roles::Role;
use crate::telemetry::CertificateFigures;

/// TLS by listener, for those that speak it.
pub(crate) struct Certificates(Vec<(&'static str, Arc<Tls>)>);

impl Certificates {
    /// Reads and checks the files of all listeners among `roles`.
    pub(crate) fn open(config: &Config, clock: &Arc<dyn Clock>, roles: &[&Role]) -> Result<Self> {
        let Config { metric_api, alarm_api, measure_link, admin, polling, statsd, .. } = config;
        let mut opened = Vec::new();
        for (listener, section, protocols) in [
            ("metric_api", &metric_api.tls, HTTP_PROTOCOLS),
            ("alarm_api", &alarm_api.tls, HTTP_PROTOCOLS),
            ("measure_link", &measure_link.tls, HTTP_PROTOCOLS),
            ("admin", &admin.tls, HTTP_PROTOCOLS),
            ("statsd", &statsd.tls, &[]),
            ("polling", &polling.tls, HTTP_PROTOCOLS),
        ] {
            let is_on = roles.iter().any(|role| role.name == listener);
            let Some(settings) = section.settings(protocols).filter(|_| is_on) else { continue };
            let tls = Tls::open(settings, Arc::clone(clock));
            opened.push((listener, Arc::new(tls.with_context(|| format!("{listener}.tls_cert_file"))?)));
        }
        Ok(Self(opened))
    }

    /// TLS of a listener, where it speaks it.
    pub(crate) fn of(&self, listener: &str) -> Option<Arc<Tls>> {
        self.0.iter().find(|(name, _)| *name == listener).map(|(_, tls)| Arc::clone(tls))
    }

    /// Reads again what has changed and holds still.
    pub(crate) fn follow(&self) {
        self.each(Tls::reload_if_changed);
    }

    /// Reads everything again.
    pub(crate) fn reload(&self) {
        self.each(|tls| tls.reload().map(|()| true));
    }

    fn each(&self, reload: impl Fn(&Tls) -> Result<bool, TlsError>) {
        for (listener, tls) in &self.0 {
            match reload(tls) {
                Ok(false) => {}
                Ok(true) => {
                    let until = tls.status().validity.not_after();
                    tracing::info!("{listener}: the certificate was read again; it is good until {until}");
                }
                Err(error) => {
                    let error = Error::from(error);
                    tracing::error!("{listener}: {error:#}; the certificate in use stays in use");
                }
            }
        }
    }

    /// Says which should have been renewed by now.
    pub(crate) fn warn_of_ends(&self) {
        for (listener, tls) in &self.0 {
            let TlsStatus { validity, left_seconds, is_ending, .. } = tls.status();
            if is_ending {
                let (until, days) = (validity.not_after(), left_seconds.div_euclid(86_400));
                tracing::warn!("{listener}: the certificate is good until {until} ({days} days); renew it");
            }
        }
    }

    /// How each fares.
    pub(crate) fn figures(&self) -> Vec<CertificateFigures> {
        self.0.iter().map(|(listener, tls)| CertificateFigures::new(listener, tls.status())).collect()
    }
}
