//! Products of rows of 8-bit integers, of a tile of references and a group of queries.
//!
//! ```text
//! sums(r, q) = Σₖ Rₖ Qₖ,   exact in 32 bits for up to 65,536 coordinates
//! ```
//!
//! By AVX-512 VNNI, one instruction multiplies four coordinates of 16 queries and adds up the products; it takes one
//! factor without a sign, so 128 is added to the codes of queries, and `128 Σₖ Rₖ` taken from the sums. By AVX2, codes are
//! widened to 16 bits and two coordinates of 8 queries are multiplied and added at a time.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

use dml_core::kernels::vectorized;

/// Queries side by side.
pub(super) const LANES: usize = 32;
/// Most references of a tile: a multiple of the references of every register block.
pub(super) const TILE: usize = 84;
/// Coordinates whose products fit in 32 bits together: 255 · 127 · 2¹⁶ < 2³¹.
pub(super) const LONGEST: usize = 1 << 16;

/// Products of a tile.
pub(super) type Sums = [[i32; LANES]; TILE];

/// A set of instructions for integer products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    /// Four products and their sum in one instruction, 16 lanes.
    Avx512Vnni,
    /// Two products and their sum, then another sum, 8 lanes.
    Avx2,
    /// What the compiler makes of a loop.
    Any,
}

impl Instructions {
    /// What this processor has, the fastest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512Vnni, Self::Avx2, Self::Any]
            .into_iter()
            .filter(|instructions| instructions.are_available())
    }

    #[cfg(target_arch = "x86_64")]
    fn are_available(self) -> bool {
        match self {
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2"),
            Self::Any => true,
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn are_available(self) -> bool {
        self == Self::Any
    }

    /// Coordinates that one instruction takes together.
    fn step(self) -> usize {
        match self {
            Self::Avx512Vnni => 4,
            Self::Avx2 => 2,
            Self::Any => 1,
        }
    }
}

/// A group of queries, with coordinates outermost, in the form that instructions want.
#[derive(Clone, Debug)]
pub(super) struct Group {
    instructions: Instructions,
    dim: usize,
    queries: usize,
    /// By VNNI `[quads, LANES]` of four codes plus 128, else none.
    quads: Vec<[u8; 4]>,
    /// By AVX2 `[pairs, LANES]` of two codes, else none.
    pairs: Vec<[i16; 2]>,
    /// Else the codes as they are, `[queries, dim]`.
    rows: Vec<i8>,
}

impl Group {
    /// At most [`LANES`] queries `[queries, dim]`.
    pub(super) fn new(instructions: Instructions, codes: &[i8], dim: usize) -> Self {
        let steps = dim.div_ceil(instructions.step());
        let mut group = Self {
            instructions,
            dim,
            queries: codes.len() / dim,
            quads: Vec::new(),
            pairs: Vec::new(),
            rows: Vec::new(),
        };
        match instructions {
            Instructions::Avx512Vnni => {
                group.quads = vec![[128; 4]; steps * LANES];
                for (lane, row) in codes.chunks_exact(dim).enumerate() {
                    for (k, code) in row.iter().enumerate() {
                        group.quads[k / 4 * LANES + lane][k % 4] = code.cast_unsigned() ^ 0x80;
                    }
                }
            }
            Instructions::Avx2 => {
                group.pairs = vec![[0; 2]; steps * LANES];
                for (lane, row) in codes.chunks_exact(dim).enumerate() {
                    for (k, code) in row.iter().enumerate() {
                        group.pairs[k / 2 * LANES + lane][k % 2] = i16::from(*code);
                    }
                }
            }
            Instructions::Any => group.rows = codes.to_vec(),
        }
        group
    }

    /// Number of queries.
    pub(super) fn queries(&self) -> usize {
        self.queries
    }

    /// The products of the tile's references and the queries. What stands in lanes without a query, and behind the last
    /// reference, is of no meaning.
    pub(super) fn products(&self, tile: &Tile, sums: &mut Sums) {
        assert_eq!(
            (tile.dim, tile.instructions),
            (self.dim, self.instructions),
            "a tile that was prepared for the group"
        );
        match self.instructions {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has the instructions, or there would be no group of them; a tile has TILE rows of as
            // many steps as the group, as its constructor makes sure of.
            #[allow(unsafe_code)]
            Instructions::Avx512Vnni => unsafe { products_vnni(&self.quads, tile, sums) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            #[allow(unsafe_code)]
            Instructions::Avx2 => unsafe { products_avx2(&self.pairs, tile, sums) },
            _ => vectorized(
                #[inline(always)]
                || products_of_rows(&self.rows, self.dim, tile, sums),
            ),
        }
    }
}

/// Some references in the form that instructions want: rows behind the last one, and coordinates behind the last one, are 0.
#[derive(Clone, Debug)]
pub(super) struct Tile {
    instructions: Instructions,
    dim: usize,
    count: usize,
    /// By VNNI `[TILE, quads]`, otherwise `[count, dim]`.
    codes: Vec<i8>,
    /// By AVX2 `[TILE, pairs]`, else none.
    wide: Vec<[i16; 2]>,
    /// By VNNI −128 Σₖ Rₖ of each reference.
    offsets: [i32; TILE],
}

impl Tile {
    /// Room for a tile.
    pub(super) fn new(instructions: Instructions, dim: usize) -> Self {
        let steps = dim.div_ceil(instructions.step());
        let (codes, wide) = match instructions {
            Instructions::Avx512Vnni => (TILE * steps * 4, 0),
            Instructions::Avx2 => (0, TILE * steps),
            Instructions::Any => (TILE * dim, 0),
        };
        Self {
            instructions,
            dim,
            count: 0,
            codes: vec![0; codes],
            wide: vec![[0; 2]; wide],
            offsets: [0; TILE],
        }
    }

    /// Takes at most [`TILE`] references `[references, dim]`.
    pub(super) fn fill(&mut self, codes: &[i8]) {
        self.count = (codes.len() / self.dim).min(TILE);
        let steps = self.dim.div_ceil(self.instructions.step());
        let rows = codes.chunks_exact(self.dim).take(TILE).enumerate();
        match self.instructions {
            Instructions::Avx512Vnni => {
                for (i, row) in rows {
                    self.codes[i * steps * 4..][..self.dim].copy_from_slice(row);
                    let sum: i32 = row.iter().map(|code| i32::from(*code)).sum();
                    self.offsets[i] = -128 * sum;
                }
            }
            Instructions::Avx2 => {
                for (i, row) in rows {
                    let wide = self.wide[i * steps..][..steps].as_flattened_mut();
                    for (wide, code) in wide.iter_mut().zip(row) {
                        *wide = i16::from(*code);
                    }
                }
            }
            Instructions::Any => self.codes[..codes.len()].copy_from_slice(codes),
        }
    }
}

#[inline(always)]
fn products_of_rows(queries: &[i8], dim: usize, tile: &Tile, sums: &mut Sums) {
    for (row, sums) in tile.codes.chunks_exact(dim).zip(sums).take(tile.count) {
        for (query, sum) in queries.chunks_exact(dim).zip(sums) {
            let terms = query.iter().zip(row);
            *sum = terms.map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn products_vnni(lanes: &[[u8; 4]], tile: &Tile, sums: &mut Sums) {
    /// References of a register block: 28 of the 32 registers are sums.
    const ROWS: usize = 14;
    const { assert!(TILE.is_multiple_of(ROWS)) };
    let quads = tile.dim.div_ceil(4);
    assert!(lanes.len() >= quads * LANES && tile.codes.len() >= TILE * quads * 4);
    for first in (0..tile.count).step_by(ROWS) {
        let mut block = [[_mm512_setzero_si512(); 2]; ROWS];
        for (row, block) in (first..).zip(&mut block) {
            *block = [_mm512_set1_epi32(tile.offsets[row]); 2];
        }
        // SAFETY: `first + ROWS <= TILE`, so rows and lanes lie within their slices, whose lengths were just checked.
        unsafe {
            let rows: *const i32 = tile.codes.as_ptr().add(first * quads * 4).cast();
            let lanes: *const i32 = lanes.as_ptr().cast();
            for quad in 0..quads {
                let left = _mm512_loadu_epi32(lanes.add(quad * LANES));
                let right = _mm512_loadu_epi32(lanes.add(quad * LANES + 16));
                for (row, block) in block.iter_mut().enumerate() {
                    let four = rows.add(row * quads + quad).read_unaligned();
                    let four = _mm512_set1_epi32(four);
                    block[0] = _mm512_dpbusd_epi32(block[0], left, four);
                    block[1] = _mm512_dpbusd_epi32(block[1], right, four);
                }
            }
        }
        for (sums, block) in sums[first..].iter_mut().zip(block) {
            // SAFETY: two registers of 16 lanes.
            unsafe {
                _mm512_storeu_epi32(sums.as_mut_ptr(), block[0]);
                _mm512_storeu_epi32(sums.as_mut_ptr().add(16), block[1]);
            }
        }
    }
}

/// # Safety
/// The processor has the instructions.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx2")]
unsafe fn products_avx2(lanes: &[[i16; 2]], tile: &Tile, sums: &mut Sums) {
    /// References of a register block: 12 of the 16 registers are sums of 16 queries.
    const ROWS: usize = 6;
    const { assert!(TILE.is_multiple_of(ROWS)) };
    let pairs = tile.dim.div_ceil(2);
    assert!(lanes.len() >= pairs * LANES && tile.wide.len() >= TILE * pairs);
    for (half, first) in (0..2).flat_map(|half| {
        (0..tile.count)
            .step_by(ROWS)
            .map(move |first| (half * 16, first))
    }) {
        let mut block = [[_mm256_setzero_si256(); 2]; ROWS];
        // SAFETY: `first + ROWS <= TILE`, so rows and lanes lie within their slices, whose lengths were just checked.
        unsafe {
            let rows: *const i32 = tile.wide.as_ptr().add(first * pairs).cast();
            let lanes: *const i32 = lanes.as_ptr().add(half).cast();
            for pair in 0..pairs {
                let left = _mm256_loadu_si256(lanes.add(pair * LANES).cast());
                let right = _mm256_loadu_si256(lanes.add(pair * LANES + 8).cast());
                for (row, block) in block.iter_mut().enumerate() {
                    let both = rows.add(row * pairs + pair).read_unaligned();
                    let both = _mm256_set1_epi32(both);
                    block[0] = _mm256_add_epi32(block[0], _mm256_madd_epi16(both, left));
                    block[1] = _mm256_add_epi32(block[1], _mm256_madd_epi16(both, right));
                }
            }
        }
        for (sums, block) in sums[first..].iter_mut().zip(block) {
            // SAFETY: two registers of 8 lanes, the first or the second half of the 32.
            unsafe {
                let place = sums.as_mut_ptr().add(half);
                _mm256_storeu_si256(place.cast(), block[0]);
                _mm256_storeu_si256(place.add(8).cast(), block[1]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn every_instruction_gives_the_products_of_every_pair() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for (queries, references, dim) in [
            (1, 1, 1),
            (3, 84, 17),
            (32, 83, 64),
            (31, 15, 130),
            (2, 2, LONGEST),
        ] {
            // Some rows reach the largest products there are.
            let mut codes = |rows: usize| -> Vec<i8> {
                let code = |i: usize| match i / dim % 3 {
                    0 => rng.random_range(-127..=127),
                    1 => 127,
                    _ => -127,
                };
                (0..rows * dim).map(code).collect()
            };
            let (q, r) = (codes(queries), codes(references));
            for instructions in Instructions::available() {
                let group = Group::new(instructions, &q, dim);
                let mut tile = Tile::new(instructions, dim);
                // What a larger tile has left behind does no harm.
                tile.fill(&vec![5; TILE * dim]);
                tile.fill(&r);
                let mut sums = [[7; LANES]; TILE];
                group.products(&tile, &mut sums);
                for (row, sums) in r.chunks_exact(dim).zip(&sums) {
                    for (query, sum) in q.chunks_exact(dim).zip(sums) {
                        let terms = row.iter().zip(query);
                        let want: i64 = terms.map(|(a, b)| i64::from(*a) * i64::from(*b)).sum();
                        assert_eq!(i64::from(*sum), want, "{instructions:?}");
                    }
                }
            }
        }
    }
}
