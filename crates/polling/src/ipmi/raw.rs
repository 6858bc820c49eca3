//! Answers to raw IPMI requests as `ipmitool raw` prints them: bytes in hexadecimal.

use super::{CommandError, CommandRunner};

/// The bytes that answer `request` (hexadecimal bytes), sent to `target` where that is not the controller itself.
pub(super) async fn ask(
    runner: &dyn CommandRunner,
    target: Option<&Target>,
    request: &str,
) -> Result<Vec<u8>, CommandError> {
    let mut arguments = Vec::new();
    if let Some(target) = target {
        arguments.extend(["-b", &target.channel, "-t", &target.slave]);
    }
    arguments.push("raw");
    arguments.extend(request.split(' '));
    let output = runner.run(&arguments).await?;
    bytes(&String::from_utf8_lossy(&output))
        .ok_or_else(|| CommandError::Failed(format!("`raw {request}` was answered with what is no bytes")))
}

/// A controller behind the controller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    /// The channel that leads to it, `0x6`.
    pub(super) channel: String,
    /// Its address there, `0x2c`.
    pub(super) slave: String,
}

fn bytes(output: &str) -> Option<Vec<u8>> {
    output.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

/// The number whose bytes, the lowest first, stand at `at`.
pub(super) fn number(answer: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = answer.get(at..at + len)?;
    Some(bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}
