//! What speaks OpenStack: Keystone, callers' tokens, policy rules in oslo.policy's language, notifications, and the
//! services that alarms read and tell.
//!
//! An adapter: it implements contracts of `drivers` and knows no service.

pub mod keystone;
pub mod messaging;
pub mod policy;
pub mod services;
pub mod token;
