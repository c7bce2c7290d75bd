//! β: one number or one for each class, learned or given.

use candle_core::{Tensor, Var};
use candle_nn::{Init, VarBuilder};
use dml_core::{AnchorSums, Batch, ImplicitValues, Indices, PartialSum, Result, TensorExt, check};

use super::MarginLossConfig;

#[derive(Debug)]
pub(super) struct Boundary {
    beta: f64,
    num_classes: Option<usize>,
    learned: Option<Var>,
}

impl Boundary {
    pub(super) fn new(config: &MarginLossConfig, vars: &VarBuilder<'_>) -> Result<Self> {
        let beta = check::finite("beta", config.beta)?;
        let num_classes = config.num_classes;
        if let Some(count) = num_classes {
            check::at_least_one("num_classes", count)?;
            check::elements("num_classes", &[count], check::PARAMETER)?;
        }
        let learned = if config.learn_beta {
            let length = num_classes.unwrap_or(1);
            let variable = vars.get_with_hints(length, "beta", Init::Const(beta))?;
            Some(Var::from_tensor(&variable)?)
        } else {
            None
        };
        Ok(Self {
            beta,
            num_classes,
            learned,
        })
    }

    pub(super) fn learned(&self) -> Option<&Var> {
        self.learned.as_ref()
    }

    /// Whether there is one boundary for all.
    pub(super) fn is_single(&self) -> bool {
        self.num_classes.unwrap_or(1) == 1
    }

    /// The boundary of each query `[Q]`, of the type and on the device of `like`; any number for those that have no
    /// triplets.
    pub(super) fn of_anchors(
        &self,
        batch: &Batch,
        counts: &[u64],
        like: &Tensor,
    ) -> Result<Tensor> {
        let (dtype, device) = (like.dtype(), like.device());
        let classes = if self.is_single() {
            vec![0; batch.queries()]
        } else {
            self.classes(batch, counts)?
        };
        let Some(beta) = &self.learned else {
            let boundaries = Tensor::full(self.beta, classes.len(), device)?;
            return Ok(boundaries.to_dtype(dtype)?);
        };
        let beta = beta.as_tensor().to_device(device)?.to_dtype(dtype)?;
        Ok(beta.index_select(&Tensor::new(classes, device)?, 0)?)
    }

    fn classes(&self, batch: &Batch, counts: &[u64]) -> Result<Vec<u32>> {
        let needed = "labels: there is a boundary for each class";
        let labels = check::present(batch.labels(), "MarginLoss", needed)?;
        let limit = self.num_classes.unwrap_or(1);
        let labels = labels.as_slice().iter().zip(counts).enumerate();
        labels
            .map(
                |(position, (label, count))| match check::class(position, *label, limit) {
                    Err(_) if *count == 0 => Ok(0),
                    class => class,
                },
            )
            .collect()
    }
}

/// A value of each anchor that counts once for each of its triplets.
#[derive(Debug)]
pub(super) struct PerTriplet {
    /// `[Q]`.
    values: Tensor,
    counts: Vec<u64>,
}

impl PerTriplet {
    pub(super) fn new(values: Tensor, counts: Vec<u64>) -> Self {
        Self { values, counts }
    }

    fn weighted(&self, counts: &[u64]) -> Result<Tensor> {
        let counts: Vec<f64> = counts.iter().map(|count| *count as f64).collect();
        let counts = Tensor::new(counts, self.values.device())?;
        Ok((&self.values * counts.to_dtype(self.values.dtype())?)?)
    }
}

impl ImplicitValues for PerTriplet {
    fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        let values: Vec<f64> = self.values.to_dtype(candle_core::DType::F64)?.to_vec1()?;
        let within =
            |value: f64| low.is_none_or(|low| value > low) && high.is_none_or(|high| value < high);
        let kept = self.counts.iter().zip(values);
        let kept: Vec<u64> = kept
            .map(|(count, value)| if within(value) { *count } else { 0 })
            .collect();
        Ok(PartialSum {
            sum: self.weighted(&kept)?.sum_all()?,
            count: kept.iter().sum(),
        })
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        let anchors = self.counts.iter().enumerate();
        let anchors: Vec<u32> = anchors
            .flat_map(|(a, count)| std::iter::repeat_n(a as u32, *count as usize))
            .collect();
        let rows = Tensor::new(anchors.as_slice(), self.values.device())?;
        let values = self.values.index_select(&rows, 0)?;
        Ok((values, Indices::Elements(anchors)))
    }

    fn sums_by_anchor(&self, anchors: usize) -> Result<AnchorSums> {
        let mut counts = self.counts.clone();
        counts.resize(anchors, 0);
        let sums = self.weighted(&self.counts)?;
        let rows: Vec<u32> = (0..self.counts.len() as u32).collect();
        Ok(AnchorSums {
            sums: sums.sum_by_group(&rows, anchors)?,
            counts,
        })
    }
}
