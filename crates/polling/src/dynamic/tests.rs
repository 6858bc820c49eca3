//! Pollsters over real connections and commands.

mod api;
mod definitions;
mod extras;
mod polls;
mod recorded;
