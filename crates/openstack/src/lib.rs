//! What speaks OpenStack: policy rules in oslo.policy's language.
//!
//! An adapter: it implements contracts of `drivers` and knows no service.

pub mod policy;
