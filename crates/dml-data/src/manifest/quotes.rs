//! Quotes of a CSV file, which must close where their cell ends.
//!
//! The reader of CSV files takes the rest of a file for one cell if a quote never closes, and goes on after text behind
//! a closing quote. Both lose rows without a word, so they are looked for first.

/// A quote that doesn't close as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// Where its cell begins.
    pub(super) at: usize,
    /// Number of its column, from 1.
    pub(super) column: usize,
    /// What is wrong.
    pub(super) found: &'static str,
}

/// Looks at every quoted cell; cells end at `delimiter`.
pub(super) fn check_quotes(text: &[u8], delimiter: u8) -> Result<(), Fault> {
    let is_end = |byte: u8| byte == delimiter || matches!(byte, b'\r' | b'\n');
    let mut at = 0;
    let mut column = 1;
    while at < text.len() {
        let begin = at;
        if text[at] == b'"' {
            let fault = |found| Fault {
                at: begin,
                column,
                found,
            };
            at = after_quoted(text, at + 1).ok_or_else(|| fault("one that never closes"))?;
            // Blanks behind a quoted cell do no harm.
            while matches!(text.get(at), Some(&byte @ (b' ' | b'\t')) if byte != delimiter) {
                at += 1;
            }
            if !text.get(at).is_none_or(|byte| is_end(*byte)) {
                return Err(fault("text behind the closing quote"));
            }
        }
        match text[at..].iter().position(|byte| is_end(*byte)) {
            Some(length) => {
                at += length;
                column = if text[at] == delimiter { column + 1 } else { 1 };
                at += 1;
            }
            None => return Ok(()),
        }
    }
    Ok(())
}

/// Where the text goes on behind the quote that closes a cell; a quote in it is written twice.
fn after_quoted(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += text.get(at..)?.iter().position(|&byte| byte == b'"')?;
        match text.get(at + 1) {
            Some(b'"') => at += 2,
            _ => return Some(at + 1),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_close_where_their_cell_ends() {
        for good in [
            "",
            "a,b\n1,2\n",
            "\"a\",\"b\"\r\n\"\",\"x\"\"y\"\n",
            "5\" lens,b\n",
            "\"two\nlines\" ,c",
            "\"a\"",
        ] {
            assert_eq!(check_quotes(good.as_bytes(), b','), Ok(()), "{good:?}");
        }
        assert_eq!(check_quotes(b"\"a,b\"\t\"c\" \t\"\"\n", b'\t'), Ok(()));
        for (bad, at, column, found) in [
            ("a\n1,\"b", 4, 2, "one that never closes"),
            ("\"", 0, 1, "one that never closes"),
            ("\"a\"\"", 0, 1, "one that never closes"),
            ("1,\"a\n2,\"b\"\n", 2, 2, "text behind the closing quote"),
            ("\"a\"b,c", 0, 1, "text behind the closing quote"),
        ] {
            let fault = Fault { at, column, found };
            assert_eq!(check_quotes(bad.as_bytes(), b','), Err(fault), "{bad:?}");
        }
    }
}
