//! `http://` and `https://`: samples as JSON, a list of them or one by one.

use async_trait::async_trait;
use nephometer_model::Sample;

use super::address::Address;
use super::client::HttpTarget;
use super::plain::{self, Form};
use crate::{PublishError, Publisher};

/// See the module.
pub(super) struct HttpPublisher {
    name: String,
    target: HttpTarget,
    batch: bool,
    /// Whether only raw payloads of events are wanted, so that samples are not.
    raw_only: bool,
}

impl HttpPublisher {
    pub(super) fn new(address: &mut Address) -> Result<Self, String> {
        let name = address.to_string();
        let batch = address.take_flag("batch", true)?;
        let raw_only = address.take_flag("raw_only", false)?;
        let secure = address.scheme == "https";
        let target = HttpTarget::new(address, secure, "application/json")?;
        Ok(Self { name, target, batch, raw_only })
    }
}

#[async_trait]
impl Publisher for HttpPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    fn at_once(&self) -> usize {
        if self.batch { usize::MAX } else { 1 }
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        if self.raw_only {
            return Ok(());
        }
        let texts: Vec<_> = samples.iter().map(|sample| plain::text(sample, Form::Json)).collect();
        if !self.batch {
            for text in texts {
                self.target.post(self.target.url(), text).await?;
            }
            return Ok(());
        }
        if texts.is_empty() {
            return Ok(());
        }
        let body = format!("[{}]", texts.join(", "));
        self.target.post(self.target.url(), body).await.map(drop)
    }
}
