//! Convolution by 3 × 3 windows with fewer multiplications: four outputs from 16 products instead of 36.
//!
//! ```text
//! Y  = Aᵀ [ (G g Gᵀ) ⊙ (Bᵀ d B) ] A                 d: 4 × 4 inputs, g: 3 × 3 weights, Y: 2 × 2 outputs
//! ∂g = Gᵀ [ (A ∂Y Aᵀ) ⊙ (Bᵀ d B) ] G
//!
//!      ⎡1  0 −1  0⎤        ⎡ 1   0   0⎤
//! Bᵀ = ⎢0  1  1  0⎥    G = ⎢ ½   ½   ½⎥    Aᵀ = ⎡1  1  1  0⎤
//!      ⎢0 −1  1  0⎥        ⎢ ½  −½   ½⎥         ⎣0  1 −1 −1⎦
//!      ⎣0  1  0 −1⎦        ⎣ 0   0   1⎦
//! ```
//!
//! Lavin & Gray 2016, "Fast algorithms for convolutional neural networks" (arXiv 1509.09308), F(2×2, 3×3). Summed over
//! channels (forward) or tiles (gradient), each of the 16 products is a product of matrices. Vectors run along the tiles of a
//! row, of several images side by side where rows are short.

mod forward;
mod tiles;
mod transforms;
mod weight_gradient;

use dml_core::kernels::SimdReal;

use super::Problem;

pub(super) use forward::forward;
pub(super) use weight_gradient::weight_gradient;

/// Numbers of a transformed tile.
const PLACES: usize = 16;
/// Fewest channels of input and output for which the transforms cost less than they save.
const CHANNELS: usize = 32;

/// Whether the convolution can be computed this way, and is faster so.
pub(super) fn fits<T: SimdReal>(problem: &Problem) -> bool {
    let conv = &problem.conv;
    // The sums lose about one more bit than in order: a fair price in single precision, but double precision is for
    // those who want their digits.
    size_of::<T>() == 4
        && conv.kernel == [3, 3]
        && conv.stride == [1, 1]
        && conv.dilation == [1, 1]
        && conv.groups == 1
        && conv.in_channels.min(conv.out_channels) >= CHANNELS
        && problem.output.iter().all(|size| *size > 1)
}
