//! Figures of listeners' certificates and handshakes.

use std::fmt;

use nephometer_api::http::tls::TlsStatus;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use serde::{Deserialize, Serialize};

/// TLS of one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CertificateFigures {
    /// Its section in the configuration.
    pub(crate) listener: String,
    /// The certificate's last second, UTC.
    pub(crate) not_after: String,
    /// The same in seconds since 1970.
    pub(crate) not_after_seconds: i64,
    pub(crate) left_seconds: i64,
    /// Whether it should have been renewed by now.
    pub(crate) is_ending: bool,
    /// Why the files as they are now are not in use.
    pub(crate) failure: Option<String>,
    pub(crate) handshakes: u64,
    pub(crate) failed_handshakes: u64,
    pub(crate) reloads: u64,
}

impl CertificateFigures {
    /// Those of `listener`.
    pub(crate) fn new(listener: &str, status: TlsStatus) -> Self {
        let TlsStatus { validity, left_seconds, is_ending, failure, handshakes, failed_handshakes, reloads } =
            status;
        Self {
            listener: listener.to_owned(),
            not_after: validity.not_after(),
            not_after_seconds: validity.not_after_seconds,
            left_seconds,
            is_ending,
            failure,
            handshakes,
            failed_handshakes,
            reloads,
        }
    }

    /// All listeners' figures as OpenMetrics.
    pub(super) fn encode(all: &[Self], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        if all.is_empty() {
            return Ok(());
        }
        let not_after = |one: &Self| one.not_after_seconds;
        let refused = |one: &Self| i64::from(one.failure.is_some());
        for (name, help, value) in [
            (
                "tls_certificate_not_after_seconds",
                "When the certificate ends",
                &not_after as &dyn Fn(&Self) -> i64,
            ),
            ("tls_certificate_refused", "1 while changed certificate files are not usable", &refused),
        ] {
            family(all, encoder, (name, help), |one| ConstGauge::new(value(one)))?;
        }
        for (name, help, value) in [
            ("tls_handshakes", "Handshakes that succeeded", (|one| one.handshakes) as fn(&Self) -> u64),
            ("tls_handshake_failures", "Handshakes that did not", |one| one.failed_handshakes),
            ("tls_certificate_reloads", "Changed certificates taken", |one| one.reloads),
        ] {
            family(all, encoder, (name, help), |one| ConstCounter::new(value(one)))?;
        }
        Ok(())
    }
}

/// One figure of each listener.
fn family<M: EncodeMetric>(
    all: &[CertificateFigures],
    encoder: &mut DescriptorEncoder<'_>,
    (name, help): (&str, &str),
    metric: impl Fn(&CertificateFigures) -> M,
) -> fmt::Result {
    let Some(first) = all.first() else { return Ok(()) };
    let kind = metric(first).metric_type();
    let mut described = encoder.encode_descriptor(name, help, None, kind)?;
    for one in all {
        let labels = [("listener", one.listener.as_str())];
        metric(one).encode(described.encode_family(&labels)?)?;
    }
    Ok(())
}
