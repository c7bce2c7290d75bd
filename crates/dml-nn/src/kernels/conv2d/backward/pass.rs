//! What the backward passes of all images share.

use dml_core::kernels::SimdReal;

use super::dense::Dense;
use super::first::First;
use super::pooled::Pooled;
use crate::kernels::conv2d::forward::Kept;
use crate::kernels::conv2d::panels::Tiling;
use crate::kernels::conv2d::pixel_grid::PixelGrid;
use crate::kernels::conv2d::{Block, Operands};

/// The operands of a backward pass, their sizes, and the weights in the order that they are read in.
pub(super) struct Pass<'a, T> {
    pub(super) block: &'a Block,
    pub(super) operands: &'a Operands<'a, T>,
    pub(super) kept: Kept<'a, T>,
    /// Gradient of the result of the block.
    pub(super) gradient: &'a [T],
    /// Height and width of the result of the convolution, before pooling.
    pub(super) full: [usize; 2],
    /// Height and width of the result of the block.
    pub(super) output: [usize; 2],
    /// Whether the gradient of the pixels that the convolution reads is needed: for the input, or a first convolution.
    pub(super) needs_pixels: bool,
    pub(super) first: Option<First<T>>,
    /// Pixels that the convolution reads, and of their gradient.
    pub(super) grid: PixelGrid,
    pub(super) route: Route<T>,
}

/// The way from the gradient of the output to those of weights and pixels.
pub(super) enum Route<T> {
    /// Matrix products over all pixels.
    Dense(Dense<T>),
    /// Lists of the pixels that have a gradient; a max pooling leaves few.
    Pooled(Pooled<T>),
}

impl<'a, T: SimdReal> Pass<'a, T> {
    /// `None` where a window is larger than its padded input.
    pub(super) fn new(
        block: &'a Block,
        operands: &'a Operands<'a, T>,
        kept: Kept<'a, T>,
        gradient: &'a [T],
        needs_input: bool,
    ) -> Option<Self> {
        let (inner, full) = block.sizes(operands.image)?;
        let output = block.output(operands.image)?;
        let conv = &block.convolution;
        let filter = &operands.filter;
        let tiling = Tiling::detect::<T>();
        let grid = PixelGrid::padded(inner, conv.padding, conv.group_inputs());
        let first = match (&block.first, &operands.first) {
            (Some(conv), Some(filter)) => Some(First::new(
                conv,
                operands.image,
                inner,
                filter,
                &grid,
                tiling,
            )),
            _ => None,
        };
        let needs_pixels = needs_input || first.is_some();
        let route = match Pooled::new(block, filter, &grid, full, tiling) {
            Some(pooled) => Route::Pooled(pooled),
            None => Route::Dense(Dense::new(
                block,
                filter,
                (inner, &grid),
                full,
                needs_pixels,
                tiling,
            )),
        };
        Some(Self {
            block,
            operands,
            kept,
            gradient,
            full,
            output,
            needs_pixels,
            first,
            grid,
            route,
        })
    }
}
