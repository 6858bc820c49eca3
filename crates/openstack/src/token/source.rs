//! Who knows about tokens.

use async_trait::async_trait;

use crate::keystone::{KeystoneError, Session, TokenInfo, ValidationError};

/// Who is asked about tokens: Keystone, through a [`Session`].
#[async_trait]
pub trait TokenSource: Send + Sync {
    /// What is known about `token`; with `expired_too` also where it has ended lately.
    async fn validate(&self, token: &str, expired_too: bool) -> Result<TokenInfo, ValidationError>;

    /// Makes ready to be asked, so that what is wrong shows before the first caller comes.
    async fn prepare(&self) -> Result<(), KeystoneError>;
}

#[async_trait]
impl TokenSource for Session {
    async fn validate(&self, token: &str, expired_too: bool) -> Result<TokenInfo, ValidationError> {
        Self::validate(self, token, expired_too).await
    }

    async fn prepare(&self) -> Result<(), KeystoneError> {
        self.signed_in().await.map(drop)
    }
}
