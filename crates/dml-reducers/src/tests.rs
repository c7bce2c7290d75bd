//! What all reducers share: terms of every kind, empty terms, scalars and several terms at once.

use std::sync::Arc;

use dml_core::candle_core::{Device, Tensor, Var};
use dml_core::{
    Batch, ImplicitValues, Indices, Over, PartialSum, Reduced, Reducer, Result, TensorExt, Term,
    Terms, Triplets,
};

use crate::*;

/// Three values over rows 0, 2 and 2 of a batch of four with labels 0, 0, 1, 1.
pub(crate) struct Values {
    pub(crate) embeddings: Var,
    pub(crate) values: Var,
    pub(crate) batch: Batch,
    pub(crate) terms: Terms,
}

/// The same three values, written out only on demand.
#[derive(Debug)]
struct Lazy(Tensor, Indices);

impl ImplicitValues for Lazy {
    fn count(&self) -> u64 {
        self.0.elem_count() as u64
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<PartialSum> {
        self.0.sum_within(low, high)
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        Ok((self.0.clone(), self.1.clone()))
    }
}

impl Values {
    pub(crate) fn new(values: &[f64; 3], over: Over, lazy: bool) -> Result<Self> {
        let embeddings = Var::new(&[[1f64, 0.], [0., 1.], [1., 1.], [2., 1.]], &Device::Cpu)?;
        let values = Var::new(values, &Device::Cpu)?;
        let anchors = vec![0u32, 2, 2];
        let indices = match over {
            Over::Elements => Indices::Elements(anchors),
            Over::Triplets => Indices::Triplets(Arc::new(Triplets {
                anchors,
                positives: vec![1, 3, 3],
                negatives: vec![2, 0, 1],
            })),
            _ => Indices::Pairs {
                anchors,
                others: vec![1, 3, 1],
            },
        };
        let term = if lazy {
            let lazy = Lazy(values.as_tensor().clone(), indices);
            Term::implicit("loss", over, Arc::new(lazy))
        } else {
            Term::explicit("loss", over, values.as_tensor().clone(), indices)?
        };
        Ok(Self {
            batch: Batch::new(&embeddings, [0i64, 0, 1, 1])?,
            embeddings,
            values,
            terms: term.into(),
        })
    }

    pub(crate) fn divide_by(&mut self, divisor: f64) {
        let terms = std::mem::take(&mut self.terms);
        self.terms = terms
            .iter()
            .cloned()
            .map(|term| term.with_divisor(divisor))
            .collect();
    }

    pub(crate) fn of_every_kind(values: &[f64; 3]) -> Vec<Self> {
        let mut all = Vec::new();
        for over in [
            Over::Elements,
            Over::PositivePairs,
            Over::NegativePairs,
            Over::Triplets,
        ] {
            for lazy in [false, true] {
                all.push(Self::new(values, over, lazy).unwrap());
            }
        }
        all
    }
}

/// The gradient of each value, and the loss.
pub(crate) fn gradient_and_loss(
    reducer: &dyn Reducer,
    values: &Values,
) -> Result<(Vec<f64>, Reduced)> {
    let reduced = reducer.reduce(&values.terms, &values.batch)?;
    let store = reduced.loss.backward()?;
    let gradient = store.get(values.values.as_tensor()).unwrap().to_vec1()?;
    Ok((gradient, reduced))
}

fn all() -> Vec<Arc<dyn Reducer>> {
    let threshold = ThresholdReducerConfig {
        low: Some(0.5),
        high: None,
    };
    let weights = ClassWeightedReducerConfig {
        weights: vec![2.0, 3.0],
    };
    vec![
        Arc::new(MeanReducer),
        Arc::new(SumReducer),
        Arc::new(ThresholdReducer::new(threshold).unwrap()),
        Arc::new(AvgNonZeroReducer::default()),
        Arc::new(ClassWeightedReducer::new(weights).unwrap()),
        Arc::new(PerAnchorReducer::new(
            PerAnchorReducerConfig::default(),
            MeanReducer,
        )),
        Arc::new(MultipleReducers::new(SumReducer)),
    ]
}

#[test]
fn an_empty_term_is_a_zero_attached_to_the_graph() -> Result<()> {
    let values = Values::new(&[1.0, 2.0, 6.0], Over::Elements, false)?;
    for reducer in all() {
        for terms in [Terms::default(), Term::empty("loss").into()] {
            let reduced = reducer.reduce(&terms, &values.batch)?;
            assert_eq!(reduced.loss.to_scalar::<f64>()?, 0.0, "{reducer:?}");
            assert_eq!((reduced.kept, reduced.total), (0, 0));
            let store = reduced.loss.backward()?;
            assert!(store.get(values.embeddings.as_tensor()).is_some());
        }
    }
    Ok(())
}

#[test]
fn a_scalar_is_itself_whatever_the_reducer() -> Result<()> {
    let values = Values::new(&[1.0, 2.0, 6.0], Over::Elements, false)?;
    // Below every threshold.
    let value = Tensor::new(-7f64, &Device::Cpu)?;
    for reducer in all() {
        let terms = Term::scalar("loss", value.clone())?.into();
        let reduced = reducer.reduce(&terms, &values.batch)?;
        assert_eq!(reduced.loss.to_scalar::<f64>()?, -7.0, "{reducer:?}");
    }
    Ok(())
}

#[test]
fn terms_are_reduced_one_by_one_and_added() -> Result<()> {
    let values = Values::new(&[1.0, 2.0, 6.0], Over::PositivePairs, false)?;
    let other = Values::new(&[4.0, 8.0, 12.0], Over::NegativePairs, true)?;
    let both: Terms = values
        .terms
        .iter()
        .chain(other.terms.iter())
        .cloned()
        .collect();
    for reducer in all() {
        let one = reducer.reduce(&values.terms, &values.batch)?;
        let two = reducer.reduce(&other.terms, &values.batch)?;
        let sum = reducer.reduce(&both, &values.batch)?;
        assert_eq!(
            sum.loss.to_scalar::<f64>()?,
            one.loss.to_scalar::<f64>()? + two.loss.to_scalar::<f64>()?
        );
        assert_eq!(
            (sum.kept, sum.total),
            (one.kept + two.kept, one.total + two.total)
        );
    }
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn configurations_are_read_by_name_with_defaults() {
    let threshold: ThresholdReducerConfig =
        serde_json::from_str(r#"{"low": 0, "high": "inf"}"#).unwrap();
    assert_eq!(
        threshold,
        ThresholdReducerConfig {
            low: Some(0.0),
            high: Some(f64::INFINITY)
        }
    );
    let average: AvgNonZeroReducerConfig = serde_json::from_str(r#"{"high": null}"#).unwrap();
    assert_eq!(average, AvgNonZeroReducerConfig::default());
    assert!(serde_json::from_str::<AvgNonZeroReducerConfig>(r#"{"low": 1}"#).is_err());
    let per_anchor: PerAnchorReducerConfig =
        serde_json::from_str(r#"{"aggregation_func": "row_sum"}"#).unwrap();
    assert_eq!(per_anchor.aggregation_func, Aggregation::Sum);
    assert_eq!(
        serde_json::from_str::<PerAnchorReducerConfig>("{}").unwrap(),
        serde_json::from_str(r#"{"aggregation_func": "default"}"#).unwrap()
    );
    assert!(serde_json::from_str::<ClassWeightedReducerConfig>("{}").is_err());
}
