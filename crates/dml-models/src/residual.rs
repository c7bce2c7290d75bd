//! Residual blocks: the input plus what a branch makes of it.

use candle_core::{DType, Tensor};
use dml_core::{Result, SeedSequence};
use dml_nn::{Dropout, DropoutConfig, Layer, Parameters, Sequential};

/// `x + s · branch(x)`, or the branch alone; `s` is stochastic depth. The parameters of the branch have its name before
/// theirs, if it has one.
#[derive(Debug)]
pub(crate) struct Residual {
    name: Option<&'static str>,
    branch: Sequential,
    shortcut: Option<StochasticDepth>,
}

impl Residual {
    pub(crate) fn new(
        name: Option<&'static str>,
        branch: Sequential,
        shortcut: Option<StochasticDepth>,
    ) -> Self {
        Self {
            name,
            branch,
            shortcut,
        }
    }

    fn named(&self, parameters: Parameters) -> Parameters {
        match self.name {
            None => parameters,
            Some(name) => parameters.prefixed(name),
        }
    }
}

impl Layer for Residual {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        let branch = self.branch.forward_t(input, train)?;
        match &self.shortcut {
            None => Ok(branch),
            Some(depth) => Ok((depth.forward_t(&branch, train)? + input)?),
        }
    }

    fn parameters(&self) -> Parameters {
        self.named(self.branch.parameters())
    }

    fn buffers(&self) -> Parameters {
        self.named(self.branch.buffers())
    }

    fn freeze_statistics(&self) {
        self.branch.freeze_statistics();
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        let mut seeds = self.branch.seeds();
        seeds.extend(self.shortcut.iter().flat_map(Layer::seeds));
        seeds
    }
}

/// Stochastic depth (Huang et al. 2016, arXiv 1603.09382): in training, each example of a batch becomes 0 with probability
/// p, else is divided by 1 − p. Outside of training it is the identity.
#[derive(Debug)]
pub(crate) struct StochasticDepth {
    /// The dropout of one number for each example, and whether there is any.
    rows: Dropout,
    is_on: bool,
}

impl StochasticDepth {
    pub(crate) fn new(p: f64, seeds: SeedSequence) -> Result<Self> {
        Ok(Self {
            rows: Dropout::new(DropoutConfig { p }, seeds)?,
            is_on: p > 0.0,
        })
    }
}

impl Layer for StochasticDepth {
    fn forward_t(&self, input: &Tensor, train: bool) -> Result<Tensor> {
        if !train || !self.is_on {
            return Ok(input.clone());
        }
        let mut shape = vec![1; input.rank()];
        if let (Some(rows), Some(batch)) = (shape.first_mut(), input.dims().first()) {
            *rows = *batch;
        }
        let ones = Tensor::ones(shape, DType::F32, input.device())?;
        let factors = self.rows.forward_t(&ones, train)?.to_dtype(input.dtype())?;
        Ok(input.broadcast_mul(&factors)?)
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        // Without a probability nothing is drawn.
        if self.is_on {
            self.rows.seeds()
        } else {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn stochastic_depth_drops_whole_examples_in_training_only() -> Result<()> {
        let depth = StochasticDepth::new(0.25, SeedSequence::new(3))?;
        let x = Tensor::ones((400, 2, 3, 1), DType::F64, &Device::Cpu)?;
        assert_eq!(depth.forward(&x)?.sum_all()?.to_scalar::<f64>()?, 2400.0);
        let y = depth
            .forward_t(&x, true)?
            .flatten_from(1)?
            .to_vec2::<f64>()?;
        let kept = 1.0 / 0.75;
        let is_kept = |row: &Vec<f64>| row.iter().all(|y| (y - kept).abs() < 1e-6);
        assert!(y.iter().all(|row| is_kept(row) || *row == [0.0; 6]));
        let count = y.iter().filter(|row| is_kept(row)).count() as f64;
        // Within 5 standard deviations of 300.
        assert!((count - 300.0).abs() < 5.0 * (400.0f64 * 0.25 * 0.75).sqrt());
        assert_eq!(depth.seeds()[0].calls(), 1);
        Ok(())
    }

    #[test]
    fn a_probability_of_one_is_refused() {
        assert!(StochasticDepth::new(1.0, SeedSequence::new(0)).is_err());
    }
}
