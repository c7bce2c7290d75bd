//! A loss whose distance learns, too.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Tensor, Var};
use dml_core::{Batch, ClassLoss, Distance, Loss, Result, SeedSequence, Terms, Tuples};

use crate::wrappers::inner_names::prefixed;

/// What is put before the names of what the distance learns.
const DISTANCE: &str = "distance.";

/// A loss whose parameters include those of its distance, such as the factor of a Mahalanobis distance, so that an
/// optimiser and a checkpoint find them. Their names have the prefix `distance.`. Everything else is that of the loss.
///
/// ```
/// use std::sync::Arc;
/// use dml_core::candle_core::{DType, Device};
/// use dml_core::{Distance, Loss};
/// use dml_distances::{MahalanobisDistance, MahalanobisDistanceConfig};
/// use dml_losses::{ContrastiveLoss, LearnedDistance};
///
/// let config = MahalanobisDistanceConfig::new(3);
/// let distance: Arc<dyn Distance> = Arc::new(MahalanobisDistance::new(config, DType::F32, &Device::Cpu)?);
/// let loss = ContrastiveLoss::new(Default::default(), distance.clone())?;
/// let loss = LearnedDistance::new(loss, distance);
/// assert_eq!(loss.parameters()[0].0, "distance.factor");
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct LearnedDistance {
    loss: Arc<dyn Loss>,
    distance: Arc<dyn Distance>,
}

impl LearnedDistance {
    /// A loss with the distance that it was made of.
    #[must_use]
    pub fn new(loss: impl Loss + 'static, distance: impl Distance + 'static) -> Self {
        Self {
            loss: Arc::new(loss),
            distance: Arc::new(distance),
        }
    }
}

impl Loss for LearnedDistance {
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        self.loss.terms(batch, tuples)
    }

    fn parameters(&self) -> Vec<(String, Var)> {
        let mut parameters = self.loss.parameters();
        parameters.extend(prefixed(DISTANCE, self.distance.parameters()));
        parameters
    }

    fn buffers(&self) -> Result<Vec<(String, Tensor)>> {
        self.loss.buffers()
    }

    fn set_buffers(&self, buffers: &HashMap<String, Tensor>) -> Result<()> {
        self.loss.set_buffers(buffers)
    }

    fn seeds(&self) -> Vec<SeedSequence> {
        self.loss.seeds()
    }

    fn takes_reference(&self) -> bool {
        self.loss.takes_reference()
    }

    fn reads_classes(&self) -> bool {
        self.loss.reads_classes()
    }

    fn takes_tuples(&self) -> bool {
        self.loss.takes_tuples()
    }

    fn reads_relation(&self) -> bool {
        self.loss.reads_relation()
    }

    fn reads_weights(&self) -> bool {
        self.loss.reads_weights()
    }

    fn as_class_loss(&self) -> Option<&dyn ClassLoss> {
        self.loss.as_class_loss()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ArcFaceLoss, ArcFaceLossConfig, MarginLoss, MarginLossConfig, SeededVars};
    use dml_core::candle_core::{DType, Device};
    use dml_core::{Objective, Over};
    use dml_distances::{CosineSimilarity, MahalanobisDistance, MahalanobisDistanceConfig};
    use dml_reducers::MeanReducer;

    #[test]
    fn a_step_downhill_in_the_factor_makes_the_loss_smaller() -> Result<()> {
        let config = MahalanobisDistanceConfig::new(2);
        let distance: Arc<dyn Distance> =
            Arc::new(MahalanobisDistance::new(config, DType::F64, &Device::Cpu)?);
        let vars = SeededVars::new(0).builder(DType::F64, &Device::Cpu);
        let margin = MarginLossConfig {
            learn_beta: true,
            ..Default::default()
        };
        let loss = MarginLoss::new(margin, distance.clone(), vars)?;
        let loss = LearnedDistance::new(loss, distance);
        let names: Vec<String> = loss
            .parameters()
            .into_iter()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["beta", "distance.factor"]);
        let factor = loss.parameters()[1].1.clone();
        let objective = Objective::new(Arc::new(loss), Arc::new(MeanReducer));
        let rows = Tensor::new(&[[0f64, 0.], [1., 0.2], [0.1, 0.9], [1., 1.]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 0, 1, 1])?;
        let before = objective.forward(&batch)?;
        let gradients = before.backward()?;
        let gradient = gradients.get(factor.as_tensor()).unwrap();
        factor.set(&(factor.as_tensor() - (gradient * 0.01)?)?)?;
        let after = objective.forward(&batch)?.to_scalar::<f64>()?;
        assert!(after < before.to_scalar::<f64>()?);
        Ok(())
    }

    #[test]
    fn in_all_else_it_is_the_loss() -> Result<()> {
        let distance: Arc<dyn Distance> = Arc::new(CosineSimilarity::default());
        let vars = SeededVars::new(0).builder(DType::F64, &Device::Cpu);
        let own = ArcFaceLoss::new(ArcFaceLossConfig::new(2, 2), distance.clone(), vars)?;
        let loss = LearnedDistance::new(own.clone(), distance);
        let rows = Tensor::new(&[[0f64, 1.], [1., 0.2]], &Device::Cpu)?;
        let batch = Batch::new(&rows, [0i64, 1])?;
        let values = |loss: &dyn Loss| -> Result<Vec<f64>> {
            let terms = loss.terms(&batch, &Tuples::all())?;
            let term = terms.get("loss").unwrap();
            assert_eq!(term.over(), Over::Elements);
            Ok(term.values()?.0.to_vec1()?)
        };
        assert_eq!(values(&loss)?, values(&own)?);
        assert_eq!(loss.takes_reference(), own.takes_reference());
        assert_eq!(loss.takes_tuples(), own.takes_tuples());
        assert_eq!(loss.reads_relation(), own.reads_relation());
        assert_eq!(loss.reads_weights(), own.reads_weights());
        assert_eq!(loss.reads_classes(), own.reads_classes());
        assert!(loss.as_class_loss().is_some());
        assert!(loss.buffers()?.is_empty());
        assert_eq!(loss.parameters().len(), 1);
        Ok(())
    }
}
