//! The bytes of a graph as the library `usearch` 2 writes them, checked before it reads them.
//!
//! ```text
//! matrix   rows: u32, bytes of a row: u32; the rows, of single precision
//! head     64 bytes: "usearch", version 3 × u16, metric, number, key and slot types: u8 each,
//!          present, removed, dim: u64 each, several rows a key: u8, zeros
//! graph    nodes, links of a node at level l > 0 and at level 0, highest level, slot of the entry: u64 each
//! levels   one a node: i16
//! nodes    key: u64, level: i16; for each of its levels a count: u32, and room for as many slots as there may be links: u32
//! ```
//!
//! The library trusts what it reads: a link to a node that is not there, or to one that does not reach up to the link's level,
//! is read from wherever that would be. Here every number is held against the others, and the last node ends where the bytes
//! may end. What passes can be walked, added to and removed from.

use crate::index::FlatMetric;
use crate::index::scale::{Scale, longest};

/// Links of a node at most, at the levels above the lowest one.
pub(crate) const MOST_CONNECTED: usize = 1024;
/// The key of a node that is removed.
const REMOVED: u64 = u64::MAX;
const HEAD: usize = 64;

/// What the bytes hold.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Checked {
    pub(super) dim: usize,
    /// The key of every node; none if it is removed.
    pub(super) keys: Vec<Option<u64>>,
    /// The rows of the nodes, as the graph has them.
    pub(super) rows: Vec<f32>,
    /// Where the keys of the nodes stand.
    places: Vec<usize>,
    /// Where the graph ends.
    pub(super) length: usize,
}

/// Bytes from the front on.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], &'static str> {
        let end = self.at.checked_add(count).ok_or("ends too early")?;
        let taken = self.bytes.get(self.at..end).ok_or("ends too early")?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], &'static str> {
        let mut number = [0; N];
        number.copy_from_slice(self.take(N)?);
        Ok(number)
    }

    fn long(&mut self) -> Result<u64, &'static str> {
        self.number().map(u64::from_le_bytes)
    }

    fn size(&mut self) -> Result<usize, &'static str> {
        usize::try_from(self.long()?).map_err(|_| "has a size that is too large")
    }

    fn word(&mut self) -> Result<usize, &'static str> {
        self.number()
            .map(|number| u32::from_le_bytes(number) as usize)
    }

    fn level(&mut self) -> Result<usize, &'static str> {
        let level = self.number().map(i16::from_le_bytes)?;
        usize::try_from(level).map_err(|_| "has a level below 0")
    }
}

fn expect(is_so: bool, otherwise: &'static str) -> Result<(), &'static str> {
    if is_so { Ok(()) } else { Err(otherwise) }
}

/// Reads a graph of that metric from the front of the bytes, or says what about it is wrong.
pub(super) fn check(bytes: &[u8], metric: FlatMetric) -> Result<Checked, &'static str> {
    let mut reader = Reader { bytes, at: 0 };
    let (nodes, width) = (reader.word()?, reader.word()?);
    expect(nodes > 0 && width > 0 && width % 4 == 0, "has no rows")?;
    let size = nodes.checked_mul(width).ok_or("ends too early")?;
    let rows = reader.take(size)?.as_chunks::<4>().0.iter();
    let rows: Vec<f32> = rows.map(|x| f32::from_le_bytes(*x)).collect();
    let dim = width / 4;
    expect(
        rows.iter().all(|x| x.is_finite()),
        "has a row that is not finite",
    )?;
    let is_short = Scale::default().holds(longest(&rows, dim));
    expect(is_short, "has a row whose squares are not finite")?;
    check_head(reader.take(HEAD)?, metric, nodes, dim)?;

    expect(reader.size()? == nodes, "counts its nodes twice")?;
    let links = [reader.size()?, reader.size()?];
    let is_connected = (2..=MOST_CONNECTED).contains(&links[0]) && links[1] == 2 * links[0];
    expect(is_connected, "has a connectivity that no index has")?;
    let (highest, entry) = (reader.size()?, reader.size()?);
    let levels = (0..nodes).map(|_| reader.level());
    let levels = levels.collect::<Result<Vec<usize>, _>>()?;
    expect(
        levels.get(entry) == Some(&highest),
        "begins where no node is",
    )?;
    expect(
        levels.iter().all(|level| *level <= highest),
        "has a node above its highest level",
    )?;

    let (mut keys, mut places) = (Vec::with_capacity(nodes), Vec::with_capacity(nodes));
    for top in &levels {
        places.push(reader.at);
        let key = reader.long()?;
        keys.push((key != REMOVED).then_some(key));
        expect(reader.level()? == *top, "has a node of two levels")?;
        for level in 0..=*top {
            let room = links[usize::from(level == 0)];
            let count = reader.word()?;
            expect(count <= room, "has a node with too many links")?;
            let linked = &reader.take(4 * room)?[..4 * count];
            let reaches = |slot: &[u8; 4]| {
                let slot = u32::from_le_bytes(*slot) as usize;
                levels.get(slot).is_some_and(|top| *top >= level)
            };
            let mut linked = linked.as_chunks::<4>().0.iter();
            expect(linked.all(reaches), "has a link to where no node is")?;
        }
    }
    let present = keys.iter().flatten().count() as u64;
    let head = &bytes[8 + size..][17..];
    let counted = [&head[..8], &head[8..16]].map(|count| {
        let count = count.as_chunks::<8>().0.first();
        count.map_or(0, |count| u64::from_le_bytes(*count))
    });
    expect(
        counted == [present, nodes as u64 - present],
        "counts its rows wrongly",
    )?;
    let mut sorted: Vec<u64> = keys.iter().flatten().copied().collect();
    sorted.sort_unstable();
    sorted.dedup();
    expect(sorted.len() as u64 == present, "has two nodes of one key")?;
    Ok(Checked {
        dim,
        keys,
        rows,
        places,
        length: reader.at,
    })
}

fn check_head(
    head: &[u8],
    metric: FlatMetric,
    nodes: usize,
    dim: usize,
) -> Result<(), &'static str> {
    let mut reader = Reader { bytes: head, at: 0 };
    expect(reader.take(7)? == b"usearch", "is none of the library")?;
    let [major, minor, _] = [
        reader.number::<2>()?,
        reader.number::<2>()?,
        reader.number::<2>()?,
    ]
    .map(u16::from_le_bytes);
    expect(
        major == 2 && minor >= 10,
        "is of another version of the library",
    )?;
    let metric = match metric {
        FlatMetric::SquaredEuclidean => b'e',
        FlatMetric::InnerProduct | FlatMetric::Cosine => b'i',
    };
    // Numbers of single precision, keys of 64 bits, slots of 32.
    let types = [metric, 11, 14, 15];
    expect(
        reader.take(4)? == types,
        "is of another metric or type of numbers",
    )?;
    let rows = reader.long()?.checked_add(reader.long()?);
    expect(rows == Some(nodes as u64), "counts its rows wrongly")?;
    expect(reader.size()? == dim, "has rows of two lengths")?;
    let rest = &head[reader.at..];
    expect(
        rest.iter().all(|byte| *byte == 0),
        "has settings that no index has",
    )
}

impl Checked {
    /// Gives every node that is there a key anew, in the bytes too: 0, 1, … in the order of the old ones. Returns the old ones.
    pub(super) fn renumber(&mut self, bytes: &mut [u8]) -> Vec<u64> {
        let present = self.keys.iter().enumerate();
        let present = present.filter_map(|(slot, key)| key.map(|key| (key, slot)));
        let mut present: Vec<(u64, usize)> = present.collect();
        present.sort_unstable();
        for (new, (_, slot)) in (0u64..).zip(&present) {
            self.keys[*slot] = Some(new);
            let place = self.places[*slot];
            bytes[place..place + 8].copy_from_slice(&new.to_le_bytes());
        }
        present.into_iter().map(|(old, _)| old).collect()
    }

    /// The row of every key after [`renumber`](Self::renumber): where it begins among the rows.
    pub(super) fn starts(&self) -> Vec<usize> {
        let mut starts = vec![0; self.keys.iter().flatten().count()];
        for (slot, key) in self.keys.iter().enumerate() {
            if let Some(start) = key.and_then(|key| starts.get_mut(key as usize)) {
                *start = slot * self.dim;
            }
        }
        starts
    }
}
