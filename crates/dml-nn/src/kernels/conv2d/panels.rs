//! A matrix cut into panels of a few registers' width, so that a tile of the product reads it in order.

use pulp::{Arch, Simd, WithSimd};

use dml_core::kernels::SimdReal;
use dml_core::kernels::aligned::Aligned;

/// How many registers wide a panel is at most, and how many elements a register holds, on this processor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tiling {
    pub(super) lanes: usize,
    pub(super) vectors: usize,
}

struct Detect<T>(std::marker::PhantomData<T>);

impl<T: SimdReal> WithSimd for Detect<T> {
    type Output = Tiling;
    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) -> Tiling {
        Tiling {
            lanes: T::lanes::<S>(),
            // A tile of 6 × 4 fills 24 of 32 registers, one of 6 × 2 fills 12 of 16.
            vectors: if S::REGISTER_COUNT >= 32 { 4 } else { 2 },
        }
    }
}

impl Tiling {
    pub(super) fn detect<T: SimdReal>() -> Self {
        Arch::new().dispatch(Detect::<T>(std::marker::PhantomData))
    }
}

/// A panel: columns `start..start + columns` of the matrix, `vectors` registers wide, the rest of them zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Panel {
    pub(super) start: usize,
    pub(super) columns: usize,
    pub(super) vectors: usize,
    /// Where the panel begins in the packed matrix.
    pub(super) offset: usize,
}

/// The panels of a matrix `[rows, columns]`, without its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PanelLayout {
    pub(super) rows: usize,
    pub(super) lanes: usize,
    pub(super) panels: Vec<Panel>,
    /// Elements of the packed matrix.
    pub(super) len: usize,
}

impl PanelLayout {
    pub(super) fn new(rows: usize, columns: usize, tiling: Tiling) -> Self {
        let width = tiling.lanes * tiling.vectors;
        let mut panels = Vec::new();
        let mut len = 0;
        for start in (0..columns).step_by(width) {
            let columns = width.min(columns - start);
            let vectors = columns.div_ceil(tiling.lanes);
            panels.push(Panel {
                start,
                columns,
                vectors,
                offset: len,
            });
            len += rows * vectors * tiling.lanes;
        }
        Self {
            rows,
            lanes: tiling.lanes,
            panels,
            len,
        }
    }

    /// The matrix whose element (row, column) is `get(row, column)`, packed.
    pub(super) fn pack<T: SimdReal>(&self, get: impl Fn(usize, usize) -> T) -> Aligned<T> {
        let mut packed = Aligned::zeros(self.len);
        for panel in &self.panels {
            let width = panel.vectors * self.lanes;
            for row in 0..self.rows {
                let line = &mut packed[panel.offset + row * width..][..panel.columns];
                for (j, value) in line.iter_mut().enumerate() {
                    *value = get(row, panel.start + j);
                }
            }
        }
        packed
    }

    /// Calls `set(row, column, value)` for every element of the packed matrix.
    pub(super) fn unpack<T: SimdReal>(&self, packed: &[T], mut set: impl FnMut(usize, usize, T)) {
        for panel in &self.panels {
            let width = panel.vectors * self.lanes;
            for row in 0..self.rows {
                let line = &packed[panel.offset + row * width..][..panel.columns];
                for (j, value) in line.iter().enumerate() {
                    set(row, panel.start + j, *value);
                }
            }
        }
    }
}
