//! Histograms of the positive and of the negative pairs of each row, with gradient.

use candle_core::{DType, Tensor};
use dml_core::autograd::{PartialGradient, has_kernel, of_matrix, whole, with_slice, with_slices};
use dml_core::kernels::PairMask;
use dml_core::kernels::soft_histogram::{self as kernel, SoftBins};
use dml_core::tuples::mask_tensors;
use dml_core::{Result, check, for_element};

/// Two histograms of each row of a matrix, one of its positive and one of its negative pairs: `[Q, R]` → `[Q, nodes]` each. A
/// value between two nodes counts for both, more for the nearer one, which gives it a gradient.
pub(crate) fn soft_histograms(
    x: &Tensor,
    pairs: &PairMask,
    bins: SoftBins,
) -> Result<(Tensor, Tensor)> {
    let x = &whole(x)?;
    let (queries, references) = x.dims2()?;
    let expected = "[queries, references] of the pairs";
    let fits = (pairs.queries(), pairs.references()) == (queries, references);
    check::shape(fits, "x", x, expected)?;
    let sizes = [queries, 2, bins.nodes()];
    check::elements("histograms [rows, 2, nodes]", &sizes, 8)?;
    if !has_kernel(x) {
        return soft_histograms_composite(x, pairs, bins);
    }
    let shape = (queries, 2, bins.nodes());
    let both = for_element!(x, "x", |T| {
        let value = with_slice(x, |x: &[T]| kernel::soft_histograms(x, pairs, bins))?;
        let pairs = pairs.clone();
        of_matrix("soft_histograms", x, value, shape, move |x, _, gradient| {
            let entries = with_slices([x, gradient], |[x, g]: [&[T]; 2]| {
                kernel::soft_histograms_backward(x, &pairs, bins, g)
            })?;
            Ok(PartialGradient::dense(entries))
        })
    })?;
    let part = |i: usize| both.narrow(1, i, 1)?.squeeze(1);
    Ok((part(0)?, part(1)?))
}

fn soft_histograms_composite(
    x: &Tensor,
    pairs: &PairMask,
    bins: SoftBins,
) -> Result<(Tensor, Tensor)> {
    let (device, dtype) = (x.device(), x.dtype());
    // Long sums, and small differences of similarities: in double precision wherever there is one.
    let x = &if device.is_metal() {
        x.clone()
    } else {
        x.to_dtype(DType::F64)?
    };
    // The nodes below and above each value; found in single precision, and without gradient.
    let steps = (x.detach() - bins.low())?.to_dtype(DType::F32)?;
    let width = Tensor::new(bins.width() as f32, device)?;
    let last = (bins.nodes() - 2) as f32;
    let below = steps.broadcast_div(&width)?.floor()?.clamp(0f32, last)?; // [Q, R]
    let above = (&below + 1.0)?.to_dtype(DType::U32)?;
    let way =
        (x.affine(1.0 / bins.width(), -bins.low() / bins.width())? - below.to_dtype(x.dtype())?)?;
    let below = below.to_dtype(DType::U32)?;
    // All histograms behind each other as one list. Candle's gradient of a scatter is wrong; that of index_add is right.
    let (rows, nodes) = (x.dims()[0], bins.nodes());
    let starts: Vec<u32> = (0..rows as u32).map(|row| row * nodes as u32).collect();
    let starts = Tensor::from_vec(starts, (rows, 1), device)?;
    let place = |node: Tensor| node.broadcast_add(&starts)?.flatten_all();
    let (below, above) = (place(below)?, place(above)?);
    let histogram = |counts: Tensor| -> Result<Tensor> {
        let counts = counts.to_dtype(x.dtype())?;
        let up = (&way * &counts)?;
        let down = (counts - &up)?.flatten_all()?;
        let empty = Tensor::zeros(rows * nodes, x.dtype(), device)?;
        let full = empty.index_add(&below, &down, 0)?;
        let full = full.index_add(&above, &up.flatten_all()?, 0)?;
        Ok(full.reshape((rows, nodes))?.to_dtype(dtype)?)
    };
    let (positives, negatives) = mask_tensors(pairs, device)?;
    Ok((histogram(positives)?, histogram(negatives)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_assert::assert_forms_agree;
    use dml_core::Error;

    #[test]
    fn the_kernel_agrees_with_the_composite_form() -> Result<()> {
        let pairs = PairMask::select(4, 5, |q, positives, negatives, _: &mut ()| {
            for r in 0..5 {
                positives.insert_if(r, (q + r) % 3 == 0);
                negatives.insert_if(r, (q + r) % 3 == 1);
            }
        });
        let bins = SoftBins::new(-2.0, 0.8, 5);
        assert_forms_agree(21, (4, 5), |x| {
            let (positive, negative) = soft_histograms(x, &pairs, bins)?;
            Ok(Tensor::cat(&[positive, negative], 1)?)
        });
        let other = Tensor::ones((5, 4), DType::F64, &candle_core::Device::Cpu)?;
        assert!(matches!(
            soft_histograms(&other, &pairs, bins),
            Err(Error::Shape { arg: "x", .. })
        ));
        Ok(())
    }
}
