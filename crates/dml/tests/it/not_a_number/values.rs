//! Reducers of values that are no numbers.

use super::*;

fn terms_of<T: WithDType>(over: Over, values: &[T; 3], lazy: bool) -> Terms {
    let anchors = vec![0u32, 1, 2];
    let indices = match over {
        Over::Elements | Over::Scalar => Indices::Elements(anchors),
        Over::Triplets => Indices::Triplets(Arc::new(Triplets {
            anchors,
            positives: vec![1, 0, 0],
            negatives: vec![2, 2, 1],
        })),
        _ => Indices::Pairs {
            anchors,
            others: vec![1, 2, 0],
        },
    };
    let values = Tensor::new(values, &Device::Cpu).unwrap();
    if lazy {
        return Term::implicit("loss", over, Arc::new(Lazy(values, indices))).into();
    }
    let term = Term::explicit("loss", over, values, indices).unwrap();
    term.with_divisor(2.0).into()
}

/// Values that are written out at once when they are asked for.
#[derive(Debug)]
struct Lazy(Tensor, Indices);

impl dml::ImplicitValues for Lazy {
    fn count(&self) -> u64 {
        self.0.elem_count() as u64
    }

    fn sum_within(&self, low: Option<f64>, high: Option<f64>) -> Result<dml::PartialSum> {
        dml::TensorExt::sum_within(&self.0, low, high)
    }

    fn expand(&self) -> Result<(Tensor, Indices)> {
        Ok((self.0.clone(), self.1.clone()))
    }
}

#[test]
fn no_reducer_drops_a_value_that_is_no_number() {
    let x = Tensor::new(&[[1f64, 0.], [0., 1.], [1., 1.]], &Device::Cpu).unwrap();
    let batch = Batch::new(&x, [0i64, 1, 3]).unwrap();
    let single = Batch::new(&x.to_dtype(DType::F32).unwrap(), [0i64, 1, 3]).unwrap();
    let kinds = [
        Over::Elements,
        Over::PositivePairs,
        Over::NegativePairs,
        Over::Triplets,
    ];
    in_both_forms(|form| {
        for name in ReducerConfig::NAMES.iter().filter(|name| reduces(name)) {
            let mut refused = 0;
            for over in kinds {
                for lazy in [false, true] {
                    for place in 0..3 {
                        let (mut values, mut singles) = ([0f64, 0.0, 3.0], [0f32, 0.0, 3.0]);
                        (values[place], singles[place]) = (f64::NAN, f32::NAN);
                        let double = reducer(name).reduce(&terms_of(over, &values, lazy), &batch);
                        let single = reducer(name).reduce(&terms_of(over, &singles, lazy), &single);
                        let (double, single) = match (double, single) {
                            // A term without a divisor, triplets by their anchor.
                            (Err(double), Err(single))
                                if is_refusal(&double) && is_refusal(&single) =>
                            {
                                refused += 1;
                                continue;
                            }
                            reduced => (reduced.0.unwrap(), reduced.1.unwrap()),
                        };
                        for reduced in [double, single] {
                            let value = number(&reduced.loss);
                            assert!(
                                value.is_nan() && reduced.kept > 0,
                                "{name}, {form}, {over:?}, NaN at {place}: {value}, kept {}",
                                reduced.kept
                            );
                        }
                    }
                }
            }
            // At least half of the terms are reduced.
            assert!(refused <= 12, "{name}, {form}: {refused} refused");
        }
    });
}

fn is_refusal(error: &dml::Error) -> bool {
    matches!(
        error,
        dml::Error::Unsupported { .. } | dml::Error::Missing { .. }
    )
}

#[test]
fn a_divisor_of_zero_hides_nothing() {
    let x = Tensor::new(&[[1f64, 0.], [0., 1.], [1., 1.]], &Device::Cpu).unwrap();
    let batch = Batch::new(&x, [0i64, 1, 3]).unwrap();
    let reduce = |values: &[f64; 3]| {
        let rows = Indices::Elements(vec![0, 1, 2]);
        let values = Tensor::new(values, &Device::Cpu).unwrap();
        let term = Term::explicit("loss", Over::Elements, values, rows).unwrap();
        let terms: Terms = term.with_divisor(0.0).into();
        number(
            &reducer("DivisorReducer")
                .reduce(&terms, &batch)
                .unwrap()
                .loss,
        )
    };
    assert!(reduce(&[0.0, f64::NAN, 0.0]).is_nan());
    assert_eq!(reduce(&[0.0, 1.0, 2.0]), 0.0);
}
