//! Names of the archives that a data set is divided into.
//!
//! ```text
//! train-{000000..000012}.tar     thirteen archives, numbers filled up to six digits
//! {cats,dogs}-{0..3}.tar         eight archives
//! ```

use std::path::PathBuf;

use crate::error::shortened;
use crate::{DataError, Result};

/// Most archives of a data set.
const MOST: usize = 100_000;

/// The paths that a pattern with ranges and lists in braces stands for, in order. A path without braces
/// stands for itself.
///
/// ```
/// use dml_data::archives::shards;
///
/// let names: Vec<_> = shards("a-{08..10}.tar")?.iter().map(|path| path.display().to_string()).collect();
/// assert_eq!(names, ["a-08.tar", "a-09.tar", "a-10.tar"]);
/// # Ok::<(), dml_data::DataError>(())
/// ```
///
/// # Errors
/// [`DataError::Malformed`] for braces that don't close, contain neither a range nor a list, or stand for more than 100,000
/// paths.
pub fn shards(pattern: &str) -> Result<Vec<PathBuf>> {
    let fault = |expected, found: &str| DataError::Malformed {
        file: shortened(pattern).into(),
        place: "braces".to_owned(),
        expected,
        found: shortened(found),
    };
    let mut paths = vec![String::new()];
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        let closed = after.split_once('}');
        let (inner, after) = closed.ok_or_else(|| fault("a closing brace", after))?;
        let choices = choices(inner);
        let expected = "a range such as 000..012, or a list such as a,b";
        let choices = choices.ok_or_else(|| fault(expected, inner))?;
        if paths.len().saturating_mul(choices.len()) > MOST {
            return Err(fault("at most 100000 paths", "more"));
        }
        let longer = paths.iter().flat_map(|path| {
            choices
                .iter()
                .map(move |choice| format!("{path}{before}{choice}"))
        });
        paths = longer.collect();
        rest = after;
    }
    Ok(paths.into_iter().map(|path| (path + rest).into()).collect())
}

/// What stands between braces.
fn choices(inner: &str) -> Option<Vec<String>> {
    if let Some((first, last)) = inner.split_once("..") {
        let is_number =
            |text: &str| !text.is_empty() && text.bytes().all(|own| own.is_ascii_digit());
        if !is_number(first) || !is_number(last) {
            return None;
        }
        let (start, end): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
        let width = match first.starts_with('0') || last.starts_with('0') {
            true => first.len().max(last.len()),
            false => 0,
        };
        // One more than may be, so that the caller says so.
        let end = end.min(start.saturating_add(MOST as u64));
        let numbers = (start..=end).map(|number| format!("{number:0width$}"));
        return Some(numbers.collect()).filter(|own: &Vec<String>| !own.is_empty());
    }
    let choices: Vec<String> = inner.split(',').map(str::to_owned).collect();
    (choices.len() > 1).then_some(choices)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(pattern: &str) -> Vec<String> {
        let paths = shards(pattern).unwrap();
        paths
            .iter()
            .map(|path| path.display().to_string())
            .collect()
    }

    #[test]
    fn ranges_and_lists_stand_for_every_combination() {
        assert_eq!(names("x.tar"), ["x.tar"]);
        assert_eq!(
            names("{b,a}{8..10}"),
            ["b8", "b9", "b10", "a8", "a9", "a10"]
        );
        assert_eq!(names("x/{098..101}.tar").len(), 4);
        assert_eq!(names("x/{098..101}.tar")[3], "x/101.tar");
        assert_eq!(names("{000000..099999}").len(), 100_000);
    }

    #[test]
    fn other_braces_are_refused() {
        for (bad, expected) in [
            ("a-{0..2.tar", "expected a closing brace"),
            ("a-{}.tar", "expected a range such as 000..012"),
            ("a-{5..2}.tar", "expected a range such as 000..012"),
            ("a-{x..y}.tar", "expected a range such as 000..012"),
            (
                "a-{0..99999999999999999999}.tar",
                "expected a range such as 000..012",
            ),
            (
                "a-{0..18446744073709551615}.tar",
                "expected at most 100000 paths",
            ),
            ("{0..999}{0..999}", "expected at most 100000 paths"),
        ] {
            let text = shards(bad).unwrap_err().to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
