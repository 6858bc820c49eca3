//! The alarm service: what is watched, when it is decided, who is told. Stands on the contracts of `drivers` alone:
//! it may not speak SQL, serve HTTP, know an adapter, or read the clock of the machine.

mod announce;
pub mod bus;
pub mod decide;
pub mod definition;
pub mod evaluate;
pub mod event;
pub mod notify;
pub mod query;
pub mod service;
pub mod time;

#[cfg(test)]
mod world;
