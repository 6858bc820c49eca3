//! What every HTTP dialect shares: routes as data, what stands before their handlers (content negotiation, callers and their
//! limits, bodies, addresses behind proxies, CORS), OpenAPI documents, and the server that accepts connections.

pub mod accept;
pub mod address;
pub(crate) mod answer;
pub mod asked;
pub mod body;
pub mod call;
pub mod cors;
pub mod dialect;
pub(crate) mod front;
mod lingering;
pub(crate) mod openapi;
pub mod query;
pub mod route;
pub mod server;
pub(crate) mod sign_in;
pub mod tls;
