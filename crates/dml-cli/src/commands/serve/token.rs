//! The token of the service: from an environment variable or a file, so that it stands in no list of processes.

use std::fs::File;
use std::io::Read;

use anyhow::Context;

use super::Args;
use crate::exit::Misuse;

/// Bytes of a file that are read: more than a token may have.
const LARGEST: u64 = 64 << 10;

/// The token, if the arguments name one.
///
/// # Errors
/// [`Misuse`] for a variable that is not set or empty, or a file without a token; a file that can't be read.
pub(super) fn read(args: &Args) -> anyhow::Result<Option<String>> {
    let (text, place) = match (&args.token_env, &args.token_file) {
        (Some(name), _) => {
            let place = format!("--token-env {name}");
            let value = std::env::var(name)
                .map_err(|error| Misuse::error(format!("{place}: expected a token: {error}")))?;
            (value, place)
        }
        (None, Some(path)) => {
            let shown = path.display();
            let failed = || format!("can't read {shown}");
            let mut text = String::new();
            let file = File::open(path).with_context(failed)?;
            file.take(LARGEST)
                .read_to_string(&mut text)
                .with_context(failed)?;
            (text, format!("--token-file {shown}"))
        }
        (None, None) => return Ok(None),
    };
    // Editors end a file with a line break.
    match text.trim() {
        "" => Err(Misuse::error(format!(
            "{place}: expected a token, got none"
        ))),
        token => Ok(Some(token.to_owned())),
    }
}
