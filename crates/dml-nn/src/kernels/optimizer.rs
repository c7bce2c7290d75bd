//! One step of an optimiser over a parameter and its state, in a single pass.

use rayon::prelude::*;

use dml_core::kernels::in_place::InPlace;
use dml_core::kernels::{Real, lengths, vectorized};

/// Number of elements that one task updates.
const RUN: usize = 16_384;

/// Coefficients of one step of Adam.
///
/// ```text
/// g ← g + coupled_decay · θ
/// m ← m + (1 − β₁)(g − m)          v ← β₂ v + (1 − β₂) g²
/// θ ← shrink · θ − step_size · m / (√v / root_correction + ε)
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct AdamStep {
    /// 1 − β₁.
    pub(crate) first_rate: f64,
    /// β₂.
    pub(crate) second_decay: f64,
    /// lr / (1 − β₁ᵗ).
    pub(crate) step_size: f64,
    /// √(1 − β₂ᵗ).
    pub(crate) root_correction: f64,
    /// ε.
    pub(crate) eps: f64,
    /// Weight decay (L2): `coupled_decay · parameter` is added to the gradient.
    pub(crate) coupled_decay: f64,
    /// Factor of the parameter: 1 − lr · weight decay for decoupled weight decay (`AdamW`), else 1.
    pub(crate) shrink: f64,
}

impl AdamStep {
    /// Updates a parameter and its two moments.
    ///
    /// # Panics
    /// Unless all are of one length.
    pub(crate) fn apply<T: Real>(
        &self,
        parameter: &mut [T],
        gradient: &[T],
        first: &mut [T],
        second: &mut [T],
    ) {
        lengths::length("gradient", gradient.len(), parameter.len());
        lengths::length("first", first.len(), parameter.len());
        lengths::length("second", second.len(), parameter.len());
        let [
            first_rate,
            second_decay,
            step_size,
            root,
            eps,
            decay,
            shrink,
        ] = [
            self.first_rate,
            self.second_decay,
            self.step_size,
            1.0 / self.root_correction,
            self.eps,
            self.coupled_decay,
            self.shrink,
        ]
        .map(T::from_f64);
        let second_rate = T::from_f64(1.0 - self.second_decay);
        parameter
            .par_chunks_mut(RUN)
            .zip(gradient.par_chunks(RUN))
            .zip(first.par_chunks_mut(RUN))
            .zip(second.par_chunks_mut(RUN))
            .for_each_in_place(|(((parameter, gradient), first), second)| {
                vectorized!({
                    let state = first.iter_mut().zip(second.iter_mut());
                    for ((p, g), (m, v)) in parameter.iter_mut().zip(gradient).zip(state) {
                        let g = *g + decay * *p;
                        *m += first_rate * (g - *m);
                        *v = second_decay * *v + second_rate * g * g;
                        *p = shrink * *p - step_size * *m / (v.sqrt() * root + eps);
                    }
                });
            });
    }
}

/// Coefficients of one step of stochastic gradient descent.
///
/// ```text
/// g ← g + decay · θ
/// b ← momentum · b + (1 − dampening) g,   b ← g in the first step
/// θ ← θ − lr (g + momentum · b)  with Nesterov's momentum,   θ − lr · b without
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct SgdStep {
    /// Learning rate.
    pub(crate) lr: f64,
    /// Decay of the momentum buffer in a step; there is no buffer if it is 0.
    pub(crate) momentum: f64,
    /// Dampening of the momentum buffer: `1 − dampening` times the gradient is added.
    pub(crate) dampening: f64,
    /// Weight decay (L2): `decay · parameter` is added to the gradient.
    pub(crate) decay: f64,
    /// Whether the momentum is Nesterov's.
    pub(crate) nesterov: bool,
    /// Whether this is the first step, which sets the buffer to the gradient.
    pub(crate) first: bool,
}

impl SgdStep {
    /// Updates a parameter and its buffer, which is empty without momentum.
    ///
    /// # Panics
    /// Unless all are of one length, the buffer where there is momentum.
    pub(crate) fn apply<T: Real>(&self, parameter: &mut [T], gradient: &[T], buffer: &mut [T]) {
        lengths::length("gradient", gradient.len(), parameter.len());
        if self.momentum != 0.0 {
            lengths::length("buffer", buffer.len(), parameter.len());
        }
        let [lr, momentum, decay] = [self.lr, self.momentum, self.decay].map(T::from_f64);
        if self.momentum == 0.0 {
            parameter
                .par_chunks_mut(RUN)
                .zip(gradient.par_chunks(RUN))
                .for_each_in_place(|(parameter, gradient)| {
                    vectorized!({
                        for (p, g) in parameter.iter_mut().zip(gradient) {
                            *p = *p - lr * (*g + decay * *p);
                        }
                    });
                });
            return;
        }
        let (keep, take) = if self.first {
            (T::ZERO, T::ONE)
        } else {
            (momentum, T::from_f64(1.0 - self.dampening))
        };
        let nesterov = self.nesterov;
        parameter
            .par_chunks_mut(RUN)
            .zip(gradient.par_chunks(RUN))
            .zip(buffer.par_chunks_mut(RUN))
            .for_each_in_place(|((parameter, gradient), buffer)| {
                vectorized!({
                    for ((p, g), b) in parameter.iter_mut().zip(gradient).zip(buffer.iter_mut()) {
                        let g = *g + decay * *p;
                        *b = keep * *b + take * g;
                        let direction = if nesterov { g + momentum * *b } else { *b };
                        *p -= lr * direction;
                    }
                });
            });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_step_of_adam_is_the_learning_rate() {
        let (mut p, mut m, mut v) = ([1f64, -2.], [0.; 2], [0.; 2]);
        let step = AdamStep {
            first_rate: 0.1,
            second_decay: 0.999,
            step_size: 0.01 / 0.1,
            root_correction: 0.001f64.sqrt(),
            eps: 0.0,
            coupled_decay: 0.0,
            shrink: 1.0,
        };
        step.apply(&mut p, &[3., -0.5], &mut m, &mut v);
        assert!((p[0] - 0.99).abs() < 1e-12 && (p[1] + 1.99).abs() < 1e-12);
        assert!((m[0] - 0.3).abs() < 1e-12 && (v[0] - 0.009).abs() < 1e-12);
    }

    #[test]
    fn momentum_by_hand() {
        let mut step = SgdStep {
            lr: 0.5,
            momentum: 0.5,
            dampening: 0.0,
            decay: 0.0,
            nesterov: false,
            first: true,
        };
        let (mut p, mut b) = ([1f64], [f64::MAX]);
        step.apply(&mut p, &[2.], &mut b);
        assert_eq!((p, b), ([0.], [2.]));
        step.first = false;
        step.apply(&mut p, &[2.], &mut b);
        // b = 0.5 · 2 + 2
        assert_eq!((p, b), ([-1.5], [3.]));
        step.nesterov = true;
        step.apply(&mut p, &[0.], &mut b);
        // b = 1.5, and 0.5 · 1.5 of it ahead
        assert_eq!((p, b), ([-1.875], [1.5]));
    }
}
