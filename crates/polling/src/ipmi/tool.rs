//! Running `ipmitool`.

use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use tokio::process::Command;

use super::IpmiSettings;

/// Longest text of a failed command that an error repeats, in characters.
const MAX_WORDS: usize = 300;

/// Why a command has no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// There is no such program.
    #[error("{0}")]
    Absent(String),
    /// It ended with a failure, or not in time, or with output that is not understood.
    #[error("{0}")]
    Failed(String),
}

/// Asks the management controller.
#[async_trait]
pub trait CommandRunner: Send + Sync {
    /// The standard output of the tool called with `arguments`.
    async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, CommandError>;
}

/// `ipmitool` of this host.
#[derive(Debug, Clone)]
pub struct IpmiTool {
    command: Vec<String>,
    timeout: Duration,
}

impl IpmiTool {
    /// The program that the settings name.
    pub fn new(settings: &IpmiSettings) -> Self {
        Self {
            command: settings.command.clone(),
            timeout: Duration::from_secs(settings.timeout_seconds.max(1)),
        }
    }
}

#[async_trait]
impl CommandRunner for IpmiTool {
    async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, CommandError> {
        let Some((program, first)) = self.command.split_first() else {
            return Err(CommandError::Absent("ipmi.command names no program".to_owned()));
        };
        // What is said before the last argument may be an address and a password: errors repeat the question alone.
        let question = format!("{program} … {}", arguments.join(" "));
        let mut command = Command::new(program);
        command.args(first).args(arguments).stdin(Stdio::null()).kill_on_drop(true);
        let output = tokio::time::timeout(self.timeout, command.output()).await;
        let output = output.map_err(|_| {
            CommandError::Failed(format!("`{question}` gave no answer within {} s", self.timeout.as_secs()))
        })?;
        let output = output.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => CommandError::Absent(format!("there is no program `{program}`")),
            _ => CommandError::Failed(format!("`{question}`: {error}")),
        })?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let words: String = String::from_utf8_lossy(&output.stderr).trim().chars().take(MAX_WORDS).collect();
        Err(CommandError::Failed(format!("`{question}` failed ({}): {words}", output.status)))
    }
}
