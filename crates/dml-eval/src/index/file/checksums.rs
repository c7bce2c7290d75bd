//! A CRC-32 of every MiB of a file, so that a part of it can be checked alone.

use std::io::{self, Write};

/// Bytes that have a checksum together.
pub(crate) const BLOCK: usize = 1 << 20;

/// Writes bytes, and their checksums behind them.
pub(crate) struct ChecksumWriter<'a, W> {
    out: &'a mut W,
    block: crc32fast::Hasher,
    /// Bytes of the present block.
    filled: usize,
    done: Vec<u32>,
}

impl<'a, W: Write> ChecksumWriter<'a, W> {
    pub(crate) fn new(out: &'a mut W) -> Self {
        Self {
            out,
            block: crc32fast::Hasher::new(),
            filled: 0,
            done: Vec::new(),
        }
    }

    pub(crate) fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(BLOCK - self.filled));
            self.block.update(now);
            self.out.write_all(now)?;
            self.filled += now.len();
            if self.filled == BLOCK {
                self.end_block();
            }
            bytes = later;
        }
        Ok(())
    }

    /// Writes the checksums, and the checksum of these.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        if self.filled > 0 {
            self.end_block();
        }
        let table: Vec<u8> = self.done.iter().flat_map(|own| own.to_le_bytes()).collect();
        self.out.write_all(&table)?;
        self.out.write_all(&crc32fast::hash(&table).to_le_bytes())
    }

    fn end_block(&mut self) {
        let block = std::mem::take(&mut self.block);
        self.done.push(block.finalize());
        self.filled = 0;
    }
}

/// Bytes of the checksums of so many bytes, with that of the checksums.
pub(crate) fn length_of_checksums(bytes: u128) -> u128 {
    4 * bytes.div_ceil(BLOCK as u128) + 4
}

/// The checksums of the blocks, if they are those that were written.
pub(crate) fn parse(table: &[u8]) -> Option<Vec<u32>> {
    let (table, own) = table.split_last_chunk::<4>()?;
    let checksums = table.as_chunks::<4>().0.iter();
    let is_whole = crc32fast::hash(table) == u32::from_le_bytes(*own);
    is_whole.then(|| checksums.map(|own| u32::from_le_bytes(*own)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_has_its_checksum_however_it_was_written() {
        let bytes: Vec<u8> = (0..2 * BLOCK + 5).map(|i| (i * 31 % 251) as u8).collect();
        for piece in [1000, BLOCK, 3 * BLOCK] {
            let mut written = Vec::new();
            let mut out = ChecksumWriter::new(&mut written);
            bytes
                .chunks(piece)
                .for_each(|piece| out.write(piece).unwrap());
            out.finish().unwrap();
            let (body, table) = written.split_at(bytes.len());
            assert_eq!((body, table.len()), (&bytes[..], 16));
            assert_eq!(length_of_checksums(bytes.len() as u128), 16);
            let want: Vec<u32> = bytes.chunks(BLOCK).map(crc32fast::hash).collect();
            assert_eq!(parse(table), Some(want));
            let mut altered = table.to_vec();
            altered[5] ^= 1;
            assert_eq!(parse(&altered), None);
        }
        let mut written = Vec::new();
        ChecksumWriter::new(&mut written).finish().unwrap();
        assert_eq!(parse(&written), Some(Vec::new()));
        assert_eq!(parse(&[1, 2, 3]), None);
    }
}
