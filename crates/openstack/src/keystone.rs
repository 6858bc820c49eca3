//! Keystone: signing in, the catalogue, requests to the cloud's services, validation of tokens, trusts.
//!
//! A [`Session`] is one user of the cloud. It is made from a [`SessionConfig`], which comes from settings
//! ([`KeystoneSettings`]), from `clouds.yaml` or the `OS_*` variables ([`CloudSource`]). It signs in when it is first
//! used, renews its token in time and once when a service no longer takes it, and shares one attempt among all who wait.
//! Secrets are [`Secret`]s, which show themselves nowhere; errors tell what to mend and hold none.

mod catalog;
mod clouds;
mod credentials;
mod error;
mod http;
mod session;
mod settings;
mod token;
mod trust;
mod validation;

pub use self::http::{Answer, HttpOptions};
pub(crate) use self::http::{Call, Transport};
pub use catalog::{Catalog, CatalogService, Endpoint, Interface};
pub use clouds::CloudSource;
pub use credentials::{
    ApplicationCredentialRef, Credentials, DomainRef, NamedIn, ProjectRef, Scope, SignIn, UserRef,
};
pub use error::{KeystoneError, Problem};
pub use nephometer_model::Secret;
pub use reqwest::Url;
pub use session::{Request, Session, SessionConfig, SignedIn};
pub use settings::{AuthtokenSettings, KeystoneSettings};
pub use token::{ApplicationCredentialInfo, Named, Owned, TokenInfo, TrustInfo, UserId};
pub(crate) use trust::segment;
pub use trust::{NewTrust, Trust};
pub use validation::ValidationError;
