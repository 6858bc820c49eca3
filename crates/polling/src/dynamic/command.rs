//! Running a command of this host.

use std::os::fd::OwnedFd;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::Receiver;
use tokio::process::{Child, Command};

/// Longest output that is read, in bytes.
const MAX_OUTPUT_BYTES: usize = 16 << 20;

/// A shell and whatever it has started: all of it ends when this is given up.
struct Group {
    child: Child,
    /// The group, until it has ended by itself.
    group: Option<Pid>,
}

impl Drop for Group {
    fn drop(&mut self) {
        // It has not been waited for, so that its number is still its own.
        if let Some(group) = self.group {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

/// What `command` prints, as the shell has it: standard output and error as they come, without the last line end, whatever
/// the command's exit. It reads nothing, and is killed with all that it has started when its time is up or it prints too
/// much.
pub(super) async fn output(command: &str, limit: Duration) -> Result<Vec<u8>, String> {
    let failed = |error: std::io::Error| format!("host_command cannot be run: {error}");
    let (reader, writer) = std::io::pipe().map_err(failed)?;
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).stdin(Stdio::null()).process_group(0).kill_on_drop(true);
    shell.stdout(writer.try_clone().map_err(failed)?).stderr(writer);
    let child = shell.spawn().map_err(failed)?;
    // Our own ends for writing go, so that the output ends with the command.
    drop(shell);
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let mut running = Group { child, group };
    let mut reader = Receiver::from_owned_fd(OwnedFd::from(reader)).map_err(failed)?;
    let reading = async {
        let mut output = Vec::new();
        let mut bounded = (&mut reader).take(MAX_OUTPUT_BYTES as u64 + 1);
        bounded.read_to_end(&mut output).await.map_err(failed)?;
        if output.len() > MAX_OUTPUT_BYTES {
            return Err(format!("host_command prints more than {MAX_OUTPUT_BYTES} bytes"));
        }
        running.child.wait().await.map_err(failed)?;
        running.group = None;
        Ok(output)
    };
    let mut output = tokio::time::timeout(limit, reading)
        .await
        .map_err(|_| format!("host_command gave no answer within {} s", limit.as_secs_f64()))??;
    if output.last() == Some(&b'\n') {
        output.pop();
    }
    Ok(output)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    async fn run(command: &str, millis: u64) -> Result<String, String> {
        let output = output(command, Duration::from_millis(millis)).await;
        output.map(|output| String::from_utf8(output).unwrap())
    }

    #[tokio::test]
    async fn output_and_errors_come_as_they_come() {
        assert_eq!(
            run("echo out; echo err >&2; echo; printf last; exit 3", 5000).await.unwrap(),
            "out\nerr\n\nlast"
        );
        assert_eq!(run("printf 'a\\n\\n'", 5000).await.unwrap(), "a\n");
        // It reads nothing.
        assert_eq!(run("cat; echo done", 5000).await.unwrap(), "done");
        let none = run("/nothing/there", 5000).await.unwrap();
        assert!(none.contains("/nothing/there"), "{none}");
    }

    #[tokio::test]
    #[expect(clippy::disallowed_methods, reason = "a test measures time")]
    async fn what_takes_too_long_is_killed_with_all_that_it_started() {
        let directory = tempfile::tempdir().unwrap();
        let mark = directory.path().join("mark");
        let began = Instant::now();
        let command = format!("(sleep 1; touch {}) & sleep 60", mark.display());
        let error = run(&command, 200).await.unwrap_err();
        assert_eq!(error, "host_command gave no answer within 0.2 s");
        assert!(began.elapsed() < Duration::from_secs(5));
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert!(!mark.exists(), "a process of the group went on");
    }

    #[tokio::test]
    async fn what_prints_too_much_is_stopped() {
        let error = run("yes", 30_000).await.unwrap_err();
        assert!(error.starts_with("host_command prints more than"), "{error}");
    }
}
