//! What is said when the program panics: where, and the message only where it is a fixed text. A message that was put
//! together when it happened may hold anything that was at hand, a token or a password too.

use std::any::Any;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::panic::PanicHookInfo;

/// Stands in place of a message that is not shown.
const HIDDEN: &str = "(not shown: it may hold secrets)";

/// Takes the place of what Rust would print. Panics go to the log, or to the standard error stream before there is one;
/// with `RUST_BACKTRACE` set they come with a backtrace, which holds no values.
pub(crate) fn install() {
    std::panic::set_hook(Box::new(report));
}

fn report(panic: &PanicHookInfo<'_>) {
    let message = shown(panic.payload());
    let place = panic.location().map(ToString::to_string).unwrap_or_default();
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or_default();
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("\n{backtrace}"),
        _ => String::new(),
    };
    if tracing::dispatcher::has_been_set() {
        tracing::error!(place, thread, message, "a panic: please report it{backtrace}");
    } else {
        eprintln!("nephometer: a panic at {place}: {message}: please report it{backtrace}");
    }
}

fn shown(payload: &dyn Any) -> &'static str {
    payload.downcast_ref::<&'static str>().copied().unwrap_or(HIDDEN)
}

#[cfg(test)]
mod tests {
    use std::process::Command;
    use std::sync::Arc;

    use base64::Engine as _;
    use nephometer_drivers::PolicyEnforcer;
    use nephometer_model::{Identity, PolicyTarget};
    use nephometer_testkit::app::TestApp;

    use super::*;
    use crate::config::{LogFormat, LogSection};

    const TOKEN: &str = "gAAAAABhush-hush";
    /// Tells a child process of this test what to do.
    const CHILD: &str = "NEPHOMETER_TEST_PANIC";

    /// Panics with whatever it is asked about.
    struct Panicking;

    impl PolicyEnforcer for Panicking {
        fn allows(&self, rule: &str, _: &PolicyTarget, identity: &Identity) -> bool {
            panic!("rule {rule}, {identity:?}, {}", std::env::var("HUSH").unwrap());
        }
    }

    async fn panic_in_a_request() {
        let app = TestApp::builder().enforcer(Arc::new(Panicking)).start().await.unwrap();
        // The slash at the end: 500 is an answer that no route promises.
        let request = app.request(http::Method::POST, "/v1/metric/").user(TOKEN);
        let answer = request.json(&serde_json::json!({"archive_policy_name": "low"})).send().await;
        println!("answer: {} {}", answer.status, answer.text());
    }

    /// Runs in a process of its own, started by the test below.
    #[tokio::test]
    async fn child() {
        let Ok(what) = std::env::var(CHILD) else { return };
        install();
        if what != "early" {
            let format = if what == "json" { LogFormat::Json } else { LogFormat::Text };
            crate::logging::start(&LogSection { level: "trace".to_owned(), format }).unwrap();
        }
        panic_in_a_request().await;
        let literal = std::panic::catch_unwind(|| panic!("a fixed text"));
        assert!(literal.is_err());
    }

    #[test]
    fn a_message_that_may_hold_secrets_is_shown_nowhere() {
        for (what, backtrace) in [("early", "0"), ("text", "0"), ("json", "1")] {
            let output = Command::new(std::env::current_exe().unwrap())
                .args(["panics::tests::child", "--exact", "--nocapture"])
                .env(CHILD, what)
                .env("HUSH", "hush-hush")
                .env("RUST_BACKTRACE", backtrace)
                .output()
                .unwrap();
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            assert!(output.status.success() && text.contains("answer: 500"), "{text}");
            assert!(
                text.contains("panics.rs:") && text.contains(HIDDEN) && text.contains("a fixed text"),
                "{text}"
            );
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{TOKEN}:"));
            assert!(!text.contains("hush") && !text.contains(&encoded[..16]), "{text}");
        }
    }
}
