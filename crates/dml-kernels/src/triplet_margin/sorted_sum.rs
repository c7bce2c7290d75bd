//! Sums along an order of distances: prefix sums for the hinge, products of exponentials for the softplus.

use crate::Real;

#[derive(Default)]
pub(super) struct SumScratch<T> {
    /// Distances of the negatives, nearest first.
    pub(super) far: Vec<T>,
    /// Hinge: `sums[i]` = sum of the first i of `far`. Softplus: e^(centre − far).
    pub(super) sums: Vec<f64>,
    /// Hinge: +1 where a span begins, −1 where it ends. Softplus: the weight of each negative.
    pub(super) weights: Vec<f64>,
    /// Added to every exponent so that no exponential overflows.
    centre: f64,
}

impl<T: Real> SumScratch<T> {
    /// Takes the distances of an anchor's negatives and sums them up; `false` if they do not come in order.
    #[inline(always)]
    pub(super) fn gather(&mut self, far: impl Iterator<Item = T>) -> bool {
        self.far.clear();
        self.far.extend(far);
        self.sums.clear();
        self.sums.push(0.0);
        let (mut sum, mut ordered, mut before) = (0.0, true, T::from_f64(f64::NEG_INFINITY));
        for &far in &self.far {
            sum += far.to_f64();
            self.sums.push(sum);
            ordered &= before <= far;
            before = far;
        }
        ordered
    }

    /// Whether every e^±(h(a,p) − h(a,n) + margin) is far from the limits of double precision.
    pub(super) fn exponentials_fit(&mut self, row: &[T], margin: T) -> bool {
        let reach = row
            .iter()
            .fold(margin.to_f64().abs(), |m, x| f64::max(m, x.to_f64().abs()));
        self.centre = self
            .far
            .get(self.far.len() / 2)
            .map_or(0.0, |far| far.to_f64());
        // NaN is no larger and no smaller than anything: ask that the value be inside.
        reach < 100.0
    }

    pub(super) fn exponentials(&mut self) {
        let centre = self.centre;
        self.sums.clear();
        self.sums
            .extend(self.far.iter().map(|far| (centre - far.to_f64()).exp()));
    }

    /// Σ ln(1 + e^(near − far)) over a piece of the order, and Σ of its slopes, which are also added to `weights`.
    ///
    /// e^(near − far) is a product of two factors, one of the positive and one of the negative, so no exponential is
    /// computed for a triplet; and the sum of logarithms is the logarithm of a product, taken every few terms.
    #[inline(always)]
    pub(super) fn softplus(&mut self, near: f64, first: usize, last: usize) -> (f64, f64) {
        const TERMS: usize = 2;
        let factor = (near - self.centre).exp();
        let (mut value, mut slopes) = (0.0, 0.0);
        let far = &self.sums[first..last];
        let weights = &mut self.weights[first..last];
        for (far, weights) in far.chunks(8 * TERMS).zip(weights.chunks_mut(8 * TERMS)) {
            let mut products = [1.0f64; 8];
            let mut partial = [0.0f64; 8];
            for (far, weights) in far.chunks(8).zip(weights.chunks_mut(8)) {
                for (((far, weight), product), partial) in
                    far.iter().zip(weights).zip(&mut products).zip(&mut partial)
                {
                    let odds = factor * far;
                    let slope = odds / (1.0 + odds);
                    *product *= 1.0 + odds;
                    *weight += slope;
                    *partial += slope;
                }
            }
            // Each factor is below e^300 at most, two of them below the largest double; the eight are logged apart
            // only when their product would not fit.
            let joint: f64 = products.iter().product();
            value += if joint < 1e300 {
                joint.ln()
            } else {
                products.iter().map(|p| p.ln()).sum()
            };
            slopes += partial.iter().sum::<f64>();
        }
        (value, slopes)
    }
}
