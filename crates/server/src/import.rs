//! Turning a `gnocchi.conf` into a configuration of ours: what each of upstream's options becomes, or why it has no
//! counterpart, as comments for the operator.

mod ini;
mod options;
mod render;

use anyhow::{Context, Result};

use ini::Ini;

/// Our TOML for the text of an oslo.config file; `name` is told to the reader.
pub(crate) fn gnocchi(name: &str, text: &str) -> Result<String> {
    let ini = Ini::parse(text).with_context(|| name.to_owned())?;
    Ok(render::render(name, &ini))
}

#[cfg(test)]
mod tests;
