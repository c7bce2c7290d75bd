//! Names of repositories, revisions and files, and what headers say, checked before they become addresses or paths.

use std::path::{Component, Path};

use super::error::{HubError, Result};

/// Most characters of an owner's or a repository's name, as on the hub.
const MOST_NAME: usize = 96;
/// Most characters of a revision, and of a file's path.
const MOST_PATH: usize = 1024;
/// Most characters of an `ETag`.
const MOST_ETAG: usize = 128;

fn refused(argument: &'static str, expected: &'static str, got: &str) -> HubError {
    // A name of any length fits into a message.
    let got = got.chars().take(200).collect();
    HubError::Argument {
        argument,
        expected,
        got,
    }
}

/// `name` or `owner/name`, by the rules of `huggingface_hub`.
pub(super) fn repository(name: &str) -> Result<()> {
    let part = |part: &str| {
        let mut ends = [part.chars().next(), part.chars().next_back()].into_iter();
        (1..=MOST_NAME).contains(&part.len())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            && ends.all(|end| end.is_some_and(|end| end.is_ascii_alphanumeric() || end == '_'))
    };
    let is_fine = name.split('/').count() <= 2
        && name.split('/').all(part)
        && !name.contains("--")
        && !name.contains("..")
        && !name.ends_with(".git");
    let expected = "owner/name of ASCII letters, digits, -, _ and ., as on the model's page";
    is_fine
        .then_some(())
        .ok_or_else(|| refused("repository", expected, name))
}

/// A branch, a tag or a commit.
pub(super) fn revision(name: &str) -> Result<()> {
    let expected = "a branch, a tag or a commit";
    is_path(name)
        .then_some(())
        .ok_or_else(|| refused("revision", expected, name))
}

/// The path of a file in a repository.
pub(super) fn file(name: &str) -> Result<()> {
    let expected = "the path of a file in the repository";
    is_path(name)
        .then_some(())
        .ok_or_else(|| refused("file", expected, name))
}

/// Whether a text is a relative path with `/` between its parts that leads nowhere else, on every system.
pub(super) fn is_path(name: &str) -> bool {
    let mut components = Path::new(name).components();
    (1..=MOST_PATH).contains(&name.len())
        && !name.contains(|c: char| c.is_control() || "\\:".contains(c))
        && !name.split('/').any(|part| matches!(part, "" | "." | ".."))
        && components.all(|part| matches!(part, Component::Normal(_)))
}

/// Whether a revision is a whole commit hash, at which nothing ever changes.
pub(super) fn is_commit(revision: &str) -> bool {
    let is_digit = |byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    revision.len() == 40 && revision.bytes().all(is_digit)
}

/// An `ETag` without marks and quotes, if it can be the name of a file.
pub(super) fn etag(header: &str) -> Option<String> {
    let bare = header.trim();
    let bare = bare.strip_prefix("W/").unwrap_or(bare).trim_matches('"');
    let is_fine = (1..=MOST_ETAG).contains(&bare.len())
        && bare
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    is_fine.then(|| bare.to_owned())
}

/// Whether a text is a SHA-256 in hexadecimal.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// A text as a part of an address; `kept` are characters beside letters, digits and `-._~` that stay as they are.
pub(super) fn escaped(text: &str, kept: &[u8]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || kept.contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_have_the_names_of_the_hub() {
        for name in ["gpt2", "timm/resnet18.a1_in1k", "a/b-c_d.e", "_x/_y_"] {
            assert!(repository(name).is_ok(), "{name}");
        }
        let long = "a".repeat(97);
        for name in [
            "", "a/b/c", "/a", "a/", "a b", "a--b", "a..b", "a.git", "-a", "a.", "ä/b", "../x",
            "a\\b", "a/b?c", &long,
        ] {
            let error = repository(name).unwrap_err().to_string();
            assert!(
                error.starts_with("repository: expected owner/name"),
                "{error}"
            );
        }
    }

    #[test]
    fn paths_lead_nowhere_else() {
        for name in ["main", "refs/pr/1", "v1.0", "1_Pooling/config.json", "a b"] {
            assert!(is_path(name), "{name}");
        }
        for name in [
            "",
            "/etc/passwd",
            "..",
            "a/../b",
            "a//b",
            "./a",
            "a/",
            "C:x",
            "a\\b",
            "a\nb",
            "a\0",
        ] {
            assert!(!is_path(name), "{name:?}");
        }
    }

    #[test]
    fn an_etag_becomes_the_name_of_a_file_or_nothing() {
        assert_eq!(etag("\"abc\"").as_deref(), Some("abc"));
        assert_eq!(etag(" W/\"a-b_1\" ").as_deref(), Some("a-b_1"));
        for header in ["", "\"\"", "\"../x\"", "\"/etc\"", "a.b", "a b", "\"a\\b\""] {
            assert_eq!(etag(header), None, "{header}");
        }
    }

    #[test]
    fn addresses_are_escaped() {
        assert_eq!(escaped("refs/pr/1", b""), "refs%2Fpr%2F1");
        assert_eq!(escaped("a b/ä?#%.json", b"/"), "a%20b/%C3%A4%3F%23%25.json");
        assert!(is_commit("0123456789abcdef0123456789abcdef01234567"));
        assert!(!is_commit("0123456789ABCDEF0123456789abcdef01234567") && !is_commit("main"));
    }
}
