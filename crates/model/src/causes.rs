//! Errors as texts.

use std::error::Error;

/// An error and its causes, each said once: causes often repeat what stands behind them.
pub fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.push_str(": ");
            text.push_str(&more);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Failure {
        text: &'static str,
        source: Option<Box<Failure>>,
    }

    #[test]
    fn causes_are_said_once() {
        let failure = |text, source: Option<Failure>| Failure { text, source: source.map(Box::new) };
        let inner = failure("refused", Some(failure("port 1", None)));
        let outer = failure("cannot connect: refused", Some(inner));
        assert_eq!(with_causes(&outer), "cannot connect: refused: port 1");
    }
}
