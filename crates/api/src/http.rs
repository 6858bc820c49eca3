//! What every HTTP dialect shares: content negotiation, bodies within limits, addresses behind proxies, CORS, and the
//! server that accepts connections.

pub mod accept;
pub mod address;
pub mod body;
pub mod cors;
mod lingering;
pub mod query;
pub mod server;
pub mod tls;
