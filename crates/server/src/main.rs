//! The nephometer program: roles, configuration, wiring. The only crate that sees services and adapters.

mod config;

fn main() {
    let _ = config::Config::load(config::Layers::default());
}
