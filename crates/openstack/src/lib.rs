//! What speaks OpenStack: Keystone, callers' tokens, and policy rules in oslo.policy's language.
//!
//! An adapter: it implements contracts of `drivers` and knows no service.

pub mod keystone;
pub mod messaging;
pub mod policy;
pub mod token;
