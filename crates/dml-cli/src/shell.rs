//! Words as a shell takes them, for commands that a user may paste.

use std::ffi::{OsStr, OsString};
use std::path::Path;

/// One word, in quotes where it needs them.
#[must_use]
pub fn quoted(word: impl AsRef<OsStr>) -> String {
    let text = word.as_ref().to_string_lossy();
    let is_plain = |c: char| c.is_alphanumeric() || "_-./:=,+@%".contains(c);
    match !text.is_empty() && text.chars().all(is_plain) {
        true => text.into_owned(),
        false => format!("'{}'", text.replace('\'', r"'\''")),
    }
}

/// A whole command; the program without its folder.
#[must_use]
pub fn command_line(args: impl Iterator<Item = OsString>) -> String {
    let shown = args.enumerate().map(|(place, arg)| {
        let name = Path::new(&arg).file_name().filter(|_| place == 0);
        quoted(name.unwrap_or(&arg))
    });
    shown.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_line_can_be_pasted_into_a_shell() {
        let args = [
            "/usr/bin/dml",
            "train",
            "--set",
            "loss={ name = \"A\" }",
            "it's",
            "",
        ];
        let line = command_line(args.map(OsString::from).into_iter());
        assert_eq!(
            line,
            r#"dml train --set 'loss={ name = "A" }' 'it'\''s' ''"#
        );
        assert_eq!(quoted(Path::new("runs/ä 1")), "'runs/ä 1'");
    }
}
