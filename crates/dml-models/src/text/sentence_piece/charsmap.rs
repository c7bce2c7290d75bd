//! The table by which `SentencePiece` replaces characters.
//!
//! ```text
//! u32: bytes of the trie | trie: units of u32 | texts, each with a 0 at its end
//! ```
//!
//! The trie is a double array (Aoe 1989; darts-clone): unit u has children at `p xor offset(u) xor byte`, and the value of an
//! entry, the position of its text, in a leaf. Every number of the file is checked where it is used.

use std::ops::Range;

/// The table: texts by the longest of their beginnings.
#[derive(Clone, Debug)]
pub(super) struct Charsmap {
    trie: Vec<u32>,
    texts: String,
}

impl Charsmap {
    /// # Errors
    /// What was expected and what was found, in a sentence.
    pub(super) fn new(bytes: &[u8]) -> Result<Self, String> {
        let damaged = |found: &str| format!("expected a table of characters, found {found}");
        let (length, rest) = bytes
            .split_first_chunk()
            .ok_or_else(|| damaged("no length"))?;
        let length = u32::from_le_bytes(*length) as usize;
        let (trie, texts) = rest
            .split_at_checked(length)
            .ok_or_else(|| damaged(&format!("{} of {length} bytes", rest.len())))?;
        if trie.is_empty() || !trie.len().is_multiple_of(4) {
            return Err(damaged(&format!("a trie of {length} bytes")));
        }
        let texts = std::str::from_utf8(texts).map_err(|_| damaged("texts that are no Unicode"))?;
        let units = trie.chunks_exact(4);
        Ok(Self {
            trie: units
                .map(|unit| {
                    unit.iter()
                        .rev()
                        .fold(0, |all, byte| all << 8 | u32::from(*byte))
                })
                .collect(),
            texts: texts.to_owned(),
        })
    }

    /// The replacement of the longest entry that a text begins with, and the entry's length in bytes.
    pub(super) fn longest(&self, text: &str) -> Option<(&str, usize)> {
        let unit = |position: u32| self.trie.get(position as usize).copied();
        let mut position = offset(unit(0)?);
        let mut longest = None;
        for (index, byte) in text.bytes().enumerate() {
            position ^= u32::from(byte);
            let Some(own) = unit(position).filter(|own| label(*own) == u32::from(byte)) else {
                break;
            };
            position ^= offset(own);
            if has_leaf(own)
                && let Some(leaf) = unit(position)
                && text.is_char_boundary(index + 1)
                && let Some(range) = self.text(value(leaf) as usize)
            {
                longest = Some((range, index + 1));
            }
        }
        longest.map(|(range, length)| (&self.texts[range], length))
    }

    /// Where the text of a leaf is.
    fn text(&self, start: usize) -> Option<Range<usize>> {
        let length = self.texts.get(start..)?.find('\0')?;
        Some(start..start + length)
    }
}

fn offset(unit: u32) -> u32 {
    (unit >> 10) << ((unit & (1 << 9)) >> 6)
}

fn label(unit: u32) -> u32 {
    unit & (1 << 31 | 0xff)
}

fn has_leaf(unit: u32) -> bool {
    unit >> 8 & 1 == 1
}

fn value(unit: u32) -> u32 {
    unit & !(1 << 31)
}
