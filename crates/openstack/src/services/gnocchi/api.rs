//! Where a Gnocchi API is and by what right it is used.

use std::sync::Arc;

use base64::Engine as _;
use http::{HeaderValue, header};
use nephometer_model::{Clock, Secret};

use crate::keystone::{Answer, HttpOptions, KeystoneError, Request, Session, Transport, Url};

/// A Gnocchi API: the one that a session's catalogue lists as `metric`, or one that is known by its address.
#[derive(Clone)]
pub struct GnocchiApi {
    way: Way,
}

#[derive(Clone)]
enum Way {
    Keystone(Arc<Session>),
    Basic(Arc<Basic>),
}

/// An API without Keystone.
struct Basic {
    transport: Transport,
    address: Url,
    authorization: HeaderValue,
}

impl GnocchiApi {
    /// The service that the catalogue lists, used as `session`.
    pub fn keystone(session: Arc<Session>) -> Self {
        Self { way: Way::Keystone(session) }
    }

    /// The service at `address`, used as `user` of basic authentication. Most ask for no password.
    ///
    /// # Errors
    /// Certificates that cannot be used, a user that cannot be a header.
    pub fn basic(
        address: Url,
        user: &str,
        password: &Secret,
        options: &HttpOptions,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KeystoneError> {
        let transport = Transport::new(options, clock)?;
        let credentials = format!("{user}:{}", password.expose());
        let encoded = base64::engine::general_purpose::STANDARD.encode(credentials);
        let unfit = |_| KeystoneError::malformed(&address, "the user cannot be a header");
        let mut authorization = HeaderValue::from_str(&format!("basic {encoded}")).map_err(unfit)?;
        authorization.set_sensitive(true);
        Ok(Self { way: Way::Basic(Arc::new(Basic { transport, address, authorization })) })
    }

    /// The answer to `request` whatever its status below 500.
    pub(super) async fn answer(&self, request: &Request) -> Result<Answer, KeystoneError> {
        match &self.way {
            Way::Keystone(session) => session.answer(request).await,
            Way::Basic(basic) => {
                let access = (header::AUTHORIZATION, basic.authorization.clone());
                basic.transport.send(&request.call_at(&basic.address, Some(access))?).await
            }
        }
    }
}
