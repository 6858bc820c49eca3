//! Structured logs on the standard error stream.

use std::io::IsTerminal as _;

use anyhow::{Context, Result};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

use crate::config::{LogFormat, LogSection};

/// Starts logging for the process; fails where the level is none or logging has started already.
pub(crate) fn start(settings: &LogSection) -> Result<()> {
    let level = &settings.level;
    let filter = EnvFilter::try_new(level).with_context(|| {
        format!("log.level: expected error, warn, info, debug, trace or directives, found `{level}`")
    })?;
    let colours = std::io::stderr().is_terminal();
    let builder = fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    let started = match settings.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
    started.map_err(|e| anyhow::anyhow!("logging does not start: {e}"))
}
