//! The whole text of an error: what failed, and why.

use std::error::Error;
use std::fmt;

/// An error followed by its causes, separated by colons, for messages that are read by people.
///
/// No error of the `dml` crates repeats the text of its [source](Error::source), so that printing one with its sources says
/// everything once. Errors of other crates do: a cause whose text stands at the end of the text before it is left out.
///
/// ```
/// use std::path::Path;
/// use dml_core::{candle_core::Device, checkpoint, with_causes};
///
/// let error = checkpoint::load(Path::new("nowhere/a.safetensors"), &Device::Cpu).unwrap_err();
/// let text = with_causes(&error).to_string();
/// assert!(text.starts_with("can't read or write the tensors of nowhere/a.safetensors: "), "{text}");
/// assert_eq!(text.matches("nowhere").count(), 1);
/// ```
#[must_use]
pub fn with_causes<'a>(error: &'a (dyn Error + 'static)) -> impl fmt::Display + 'a {
    WithCauses(error)
}

struct WithCauses<'a>(&'a (dyn Error + 'static));

impl fmt::Display for WithCauses<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last = self.0.to_string();
        f.write_str(&last)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            let text = error.to_string();
            if !last.ends_with(&text) {
                write!(f, ": {text}")?;
                last = text;
            }
            cause = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Own {
        #[error("can't read x")]
        Plain { source: std::io::Error },
        #[error("can't read x: {source}")]
        Repeating { source: std::io::Error },
        #[error("outer: {0}")]
        Outer(#[source] Box<Own>),
    }

    #[test]
    fn every_cause_stands_there_once() {
        let source = || std::io::Error::other("disk full");
        let errors = [
            Own::Plain { source: source() },
            Own::Repeating { source: source() },
        ];
        for error in errors {
            assert_eq!(with_causes(&error).to_string(), "can't read x: disk full");
        }
        let repeating = Own::Repeating { source: source() };
        let text = with_causes(&Own::Outer(Box::new(repeating))).to_string();
        assert_eq!(text, "outer: can't read x: disk full");
    }
}
