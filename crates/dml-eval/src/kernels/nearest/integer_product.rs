//! Products of rows of 16-bit integers, compared with thresholds while they are still in registers.
//!
//! ```text
//! least(q, r) = offset(r) + factor(r) step(q) Σₖ Qₖ Rₖ − error(r) length(q)
//! passes      = unless least(q, r) > threshold(q)
//! ```
//!
//! One instruction multiplies pairs of 16-bit integers, adds both products and adds the sum to a lane of 32 bits: twice
//! the products of an instruction on numbers in single precision, and exact. Lanes are queries; a pair of a reference's
//! coordinates is the same in all lanes. A register block of 14 references by 32 queries needs 16 loads for its 28
//! instructions, so the multipliers set the pace, not the loads. Only what passes is written: the products of all pairs
//! never go through memory.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

/// Queries side by side.
pub(super) const LANES: usize = 32;
/// Most references of a tile: a multiple of the references of every register block.
pub(super) const TILE: usize = 252;

/// A set of instructions that has integer products.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instructions {
    /// Multiply and add in one instruction, 16 lanes.
    Avx512Vnni,
    /// Multiply, then add, 8 lanes.
    Avx2,
}

impl Instructions {
    /// What this processor has, the fastest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        [Self::Avx512Vnni, Self::Avx2]
            .into_iter()
            .filter(|instructions| instructions.are_available())
    }

    #[cfg(target_arch = "x86_64")]
    fn are_available(self) -> bool {
        match self {
            Self::Avx512Vnni => {
                is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni")
            }
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
        }
    }

    #[cfg(not(target_arch = "x86_64"))]
    fn are_available(self) -> bool {
        false
    }
}

/// What the comparison needs of a reference.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RowTerms {
    pub(super) offset: f32,
    pub(super) factor: f32,
    pub(super) error: f32,
}

/// What the comparison needs of each query of a group.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct LaneTerms {
    pub(super) steps: [f32; LANES],
    pub(super) lengths: [f32; LANES],
    /// What is not a number passes them, and nothing passes −∞ but what is not a number or −∞ itself.
    pub(super) thresholds: [f32; LANES],
}

/// The references of a tile that pass for queries of a group.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(super) struct Passing {
    /// `least`, where a bit of the mask is set; anything elsewhere.
    pub(super) least: [[f32; LANES]; TILE],
    /// One bit for each query.
    pub(super) masks: [u32; TILE],
}

impl Passing {
    pub(super) fn none() -> Box<Self> {
        Box::new(Self {
            least: [[0.0; LANES]; TILE],
            masks: [0; TILE],
        })
    }
}

/// Integers of a tile of references and of a group of queries, pairs of coordinates together.
#[derive(Clone, Copy, Debug)]
pub(super) struct Panels<'a> {
    /// Pairs of coordinates in a row.
    pub(super) pairs: usize,
    /// `[TILE, stride]` pairs, of which the first `pairs` count.
    pub(super) rows: &'a [[i16; 2]],
    pub(super) stride: usize,
    /// `[pairs, LANES]`.
    pub(super) lanes: &'a [[i16; 2]],
}

impl Panels<'_> {
    /// Where the pairs of a row and of a lane begin, each pair as the 32 bits that one lane of a register holds.
    fn pairs_from(&self, row: usize, lane: usize) -> (*const i32, *const i32) {
        let (rows, lanes) = (&self.rows[row * self.stride..], &self.lanes[lane..]);
        (rows.as_ptr().cast(), lanes.as_ptr().cast())
    }
}

/// Compares the first `count` references of a tile with all queries of a group.
///
/// Integers are so small that no sum of products overflows 32 bits.
pub(super) fn compare(
    instructions: Instructions,
    panels: Panels<'_>,
    terms: &[RowTerms; TILE],
    count: usize,
    lanes: &LaneTerms,
    passing: &mut Passing,
) {
    assert!(instructions.are_available(), "the processor lacks them");
    assert!(panels.pairs <= panels.stride && count <= TILE);
    assert!(panels.rows.len() >= TILE * panels.stride);
    assert!(panels.lanes.len() >= LANES * panels.pairs);
    #[cfg(target_arch = "x86_64")]
    // SAFETY: the processor has the instructions, and the panels are as long as their shapes say, as just checked.
    #[allow(unsafe_code)]
    unsafe {
        match instructions {
            Instructions::Avx512Vnni => compare_avx512(panels, terms, count, lanes, passing),
            Instructions::Avx2 => compare_avx2(panels, terms, count, lanes, passing),
        }
    }
}

/// # Safety
/// `panels` are as long as their shapes say, and `count <= TILE`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx512f,avx512vnni")]
unsafe fn compare_avx512(
    panels: Panels<'_>,
    terms: &[RowTerms; TILE],
    count: usize,
    lanes: &LaneTerms,
    passing: &mut Passing,
) {
    /// References of a register block: 28 of the 32 registers are sums.
    const ROWS: usize = 14;
    const { assert!(TILE.is_multiple_of(ROWS)) };
    for first in (0..count).step_by(ROWS) {
        let mut sums = [[_mm512_setzero_si512(); 2]; ROWS];
        // SAFETY: `first + ROWS <= TILE`, so rows and lanes lie within their panels, as the caller promises.
        unsafe {
            let (rows, columns) = panels.pairs_from(first, 0);
            for pair in 0..panels.pairs {
                let left = _mm512_loadu_epi32(columns.add(pair * LANES));
                let right = _mm512_loadu_epi32(columns.add(pair * LANES + 16));
                for (row, sums) in sums.iter_mut().enumerate() {
                    let both = rows.add(row * panels.stride + pair).read_unaligned();
                    let both = _mm512_set1_epi32(both);
                    sums[0] = _mm512_dpwssd_epi32(sums[0], both, left);
                    sums[1] = _mm512_dpwssd_epi32(sums[1], both, right);
                }
            }
        }
        for (row, sums) in (first..).zip(sums) {
            let terms = terms[row];
            let mut mask = 0;
            let mut least = [_mm512_setzero_ps(); 2];
            for half in 0..2 {
                // SAFETY: each of the arrays holds two registers of 16 lanes.
                let [step, length, threshold] = unsafe {
                    [&lanes.steps, &lanes.lengths, &lanes.thresholds]
                        .map(|x| _mm512_loadu_ps(x.as_ptr().add(16 * half)))
                };
                let product = _mm512_mul_ps(_mm512_cvtepi32_ps(sums[half]), step);
                let (factor, offset) = (_mm512_set1_ps(terms.factor), _mm512_set1_ps(terms.offset));
                let number = _mm512_fmadd_ps(product, factor, offset);
                least[half] = _mm512_fnmadd_ps(_mm512_set1_ps(terms.error), length, number);
                let passes = _mm512_cmp_ps_mask::<_CMP_NGT_UQ>(least[half], threshold);
                mask |= u32::from(passes) << (16 * half);
            }
            passing.masks[row] = mask;
            if mask != 0 {
                let place = passing.least[row].as_mut_ptr();
                // SAFETY: two registers of 16 lanes.
                unsafe {
                    _mm512_storeu_ps(place, least[0]);
                    _mm512_storeu_ps(place.add(16), least[1]);
                }
            }
        }
    }
}

/// # Safety
/// `panels` are as long as their shapes say, and `count <= TILE`.
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
#[target_feature(enable = "avx2,fma")]
unsafe fn compare_avx2(
    panels: Panels<'_>,
    terms: &[RowTerms; TILE],
    count: usize,
    lanes: &LaneTerms,
    passing: &mut Passing,
) {
    /// References of a register block: 12 of the 16 registers are sums of 16 queries.
    const ROWS: usize = 6;
    const { assert!(TILE.is_multiple_of(ROWS)) };
    passing.masks[..count].fill(0);
    // Half of the lanes after the other: their panel stays in the first-level cache.
    for (half, first) in (0..2).flat_map(|half| (0..count).step_by(ROWS).map(move |r| (half, r))) {
        let mut sums = [[_mm256_setzero_si256(); 2]; ROWS];
        // SAFETY: `first + ROWS <= TILE`, so rows and lanes lie within their panels, as the caller promises.
        unsafe {
            let (rows, columns) = panels.pairs_from(first, half * 16);
            for pair in 0..panels.pairs {
                let left = _mm256_loadu_si256(columns.add(pair * LANES).cast());
                let right = _mm256_loadu_si256(columns.add(pair * LANES + 8).cast());
                for (row, sums) in sums.iter_mut().enumerate() {
                    let both = rows.add(row * panels.stride + pair).read_unaligned();
                    let both = _mm256_set1_epi32(both);
                    sums[0] = _mm256_add_epi32(sums[0], _mm256_madd_epi16(both, left));
                    sums[1] = _mm256_add_epi32(sums[1], _mm256_madd_epi16(both, right));
                }
            }
        }
        for (row, sums) in (first..).zip(sums) {
            let terms = terms[row];
            for (quarter, sum) in (2 * half..).zip(sums) {
                // SAFETY: each of the arrays holds four registers of 8 lanes.
                let [step, length, threshold] = unsafe {
                    [&lanes.steps, &lanes.lengths, &lanes.thresholds]
                        .map(|x| _mm256_loadu_ps(x.as_ptr().add(8 * quarter)))
                };
                let product = _mm256_mul_ps(_mm256_cvtepi32_ps(sum), step);
                let (factor, offset) = (_mm256_set1_ps(terms.factor), _mm256_set1_ps(terms.offset));
                let number = _mm256_fmadd_ps(product, factor, offset);
                let least = _mm256_fnmadd_ps(_mm256_set1_ps(terms.error), length, number);
                let passes = _mm256_cmp_ps::<_CMP_NGT_UQ>(least, threshold);
                let mask = _mm256_movemask_ps(passes) as u32;
                if mask != 0 {
                    passing.masks[row] |= mask << (8 * quarter);
                    // SAFETY: one of four registers of 8 lanes.
                    unsafe {
                        _mm256_storeu_ps(passing.least[row].as_mut_ptr().add(8 * quarter), least);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// One pair after the other, with the same roundings.
    fn least(panels: Panels<'_>, terms: RowTerms, lanes: &LaneTerms, i: usize, lane: usize) -> f32 {
        let row = &panels.rows[i * panels.stride..][..panels.pairs];
        let column = panels.lanes.iter().skip(lane).step_by(LANES);
        let sum: i32 = row
            .iter()
            .zip(column)
            .map(|(a, b)| i32::from(a[0]) * i32::from(b[0]) + i32::from(a[1]) * i32::from(b[1]))
            .sum();
        let number = (sum as f32 * lanes.steps[lane]).mul_add(terms.factor, terms.offset);
        (-terms.error).mul_add(lanes.lengths[lane], number)
    }

    #[test]
    fn agrees_with_one_pair_after_the_other() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for (pairs, stride, largest, count) in [
            (1, 16, 32_767, 252),
            (9, 16, 10_922, 1),
            (64, 80, 4095, 251),
            (150, 176, 2675, 17),
        ] {
            let mut pair = |ends: bool| {
                let sign = |x: bool| if x { largest } else { -largest };
                std::array::from_fn(|_| match ends {
                    true => sign(rng.random()),
                    false => rng.random_range(-largest..=largest),
                })
            };
            // The first rows and lanes reach the largest sums there are.
            let rows: Vec<[i16; 2]> = (0..TILE * stride).map(|i| pair(i < 40 * stride)).collect();
            let columns: Vec<[i16; 2]> = (0..pairs * LANES).map(|i| pair(i % LANES < 9)).collect();
            let mut real = || rng.random_range(-1f32..1.0);
            let terms = std::array::from_fn(|_| RowTerms {
                offset: real() * 1e6,
                factor: real(),
                error: real() * 1e3,
            });
            let lanes = LaneTerms {
                steps: std::array::from_fn(|_| real()),
                lengths: std::array::from_fn(|_| real()),
                thresholds: std::array::from_fn(|_| real() * 1e6),
            };
            let panels = Panels {
                pairs,
                rows: &rows,
                stride,
                lanes: &columns,
            };
            for instructions in Instructions::available() {
                let mut passing = Passing::none();
                compare(instructions, panels, &terms, count, &lanes, &mut passing);
                for (i, terms) in terms.iter().enumerate().take(count) {
                    for lane in 0..LANES {
                        let least = least(panels, *terms, &lanes, i, lane);
                        let passes = passing.masks[i] >> lane & 1 == 1;
                        assert_eq!(passes, least <= lanes.thresholds[lane], "{instructions:?}");
                        assert!(!passes || passing.least[i][lane] == least);
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_not_a_number_passes() {
        let rows = vec![[0; 2]; TILE * 16];
        let panels = Panels {
            pairs: 1,
            rows: &rows,
            stride: 16,
            lanes: &rows,
        };
        let lanes = LaneTerms {
            steps: [0.0; LANES],
            lengths: [0.0; LANES],
            thresholds: [f32::NEG_INFINITY; LANES],
        };
        let mut terms = [RowTerms::default(); TILE];
        terms[1].error = f32::INFINITY;
        for instructions in Instructions::available() {
            let mut passing = Passing::none();
            compare(instructions, panels, &terms, 3, &lanes, &mut passing);
            assert_eq!(passing.masks[..3], [0, u32::MAX, 0]);
        }
    }
}
