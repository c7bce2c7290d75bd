//! Values and gradients by hand, and over every form of tuples.

use candle_core::{DType, Device, Tensor, Var};
use dml_core::kernels::PairMask;
use dml_core::{
    Error, Indices, Order, PairKind, Relation, TensorExt, Triplets, TupleCount, TupleSet,
};

use super::*;

#[derive(Debug)]
struct Euclidean;

impl Distance for Euclidean {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_lp(reference.unwrap_or(query), 2.0)
    }
}

#[derive(Debug)]
struct DotProduct;

impl Distance for DotProduct {
    fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
        query.pairwise_dot(reference.unwrap_or(query))
    }

    fn order(&self) -> Order {
        Order::LargerIsCloser
    }
}

fn loss(config: TripletMarginLossConfig) -> Result<TripletMarginLoss> {
    TripletMarginLoss::new(config, Euclidean)
}

fn margin(margin: f64) -> TripletMarginLossConfig {
    TripletMarginLossConfig {
        margin,
        ..Default::default()
    }
}

/// All triplets, as a rule.
#[derive(Debug)]
struct Everything(Relation);

impl TupleSet for Everything {
    fn anchors(&self) -> usize {
        self.0.queries()
    }

    fn references(&self) -> usize {
        self.0.references()
    }

    fn count(&self) -> TupleCount {
        TupleCount::Triplets(Triplets::all(&self.0).len() as u64)
    }

    fn visit(&self, a: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        let (mut positives, mut negatives) = (Vec::new(), Vec::new());
        self.0.split(a, &mut positives, &mut negatives);
        f(&positives, &negatives);
    }
}

/// Sum, number of values and gradient of the embeddings.
fn outcome(
    loss: &TripletMarginLoss,
    rows: &Var,
    batch: &Batch,
    tuples: &Tuples,
    low: Option<f64>,
) -> Result<(f32, u64, Vec<Vec<f32>>)> {
    let terms = loss.terms(batch, tuples)?;
    let part = terms.get("loss").unwrap().sum_within(low, None)?;
    let gradients = part.sum.backward()?;
    let gradient = gradients.get(rows.as_tensor()).unwrap().to_vec2()?;
    Ok((part.sum.to_scalar()?, part.count, gradient))
}

#[test]
fn hinge_and_gradient_by_hand() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    // (0,1,2): 1 − 1.5 + 1 = 0.5 and (1,0,2): 1 − 0.5 + 1 = 1.5. d(0,1) counts twice, d(0,2) and d(1,2) once:
    // row 0: −1 − 1 + 1, row 1: 1 + 1 + 1, row 2: −1 − 1.
    let got = outcome(&loss(margin(1.0))?, &rows, &batch, &Tuples::all(), None)?;
    assert_eq!(got, (2.0, 2, vec![vec![-1.], vec![3.], vec![-2.]]));
    // With margin 0.5 the first is exactly at the hinge: value 0, no gradient, and not above 0.
    let got = outcome(
        &loss(margin(0.5))?,
        &rows,
        &batch,
        &Tuples::all(),
        Some(0.0),
    )?;
    assert_eq!(got, (1.0, 1, vec![vec![-1.], vec![2.], vec![-1.]]));
    Ok(())
}

#[test]
fn smooth_loss_by_hand() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let config = TripletMarginLossConfig {
        smooth_loss: true,
        ..margin(0.5)
    };
    // v = 0 and 1: ln 2 + ln(1 + e); gradients ½ and e / (1 + e).
    let (sum, count, gradient) = outcome(&loss(config)?, &rows, &batch, &Tuples::all(), None)?;
    let e = 1f32.exp();
    approx::assert_relative_eq!(sum, 2f32.ln() + (1.0 + e).ln(), max_relative = 1e-6);
    assert_eq!(count, 2);
    approx::assert_relative_eq!(gradient[2][0], -0.5 - e / (1.0 + e), max_relative = 1e-6);
    Ok(())
}

#[test]
fn swap_takes_the_nearer_of_anchor_and_positive() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let config = TripletMarginLossConfig {
        swap: true,
        ..margin(1.0)
    };
    // Row 2 is 0.5 from row 1: both triplets see 1 − 0.5 + 1.
    let got = outcome(&loss(config)?, &rows, &batch, &Tuples::all(), None)?;
    assert_eq!(got, (3.0, 2, vec![vec![-2.], vec![4.], vec![-2.]]));
    Ok(())
}

#[test]
fn with_references_the_swap_compares_references() -> Result<()> {
    let (query, reference) = (
        Var::new(&[[0f32]], &Device::Cpu)?,
        Var::new(&[[1f32], [3.], [10.]], &Device::Cpu)?,
    );
    let batch = Batch::new(&query, [0i64])?.with_reference(&reference, [0i64, 1, 2])?;
    let config = TripletMarginLossConfig {
        swap: true,
        ..margin(2.0)
    };
    for tuples in [
        Tuples::all(),
        Triplets::new(vec![0, 0], vec![0, 0], vec![1, 2])?.into(),
    ] {
        let terms = loss(config.clone())?.terms(&batch, &tuples)?;
        let part = terms.get("loss").unwrap().sum_within(None, None)?;
        // d(a,p) = 1; the negatives are 2 and 9 from the positive: 1 − 2 + 2, and nothing.
        assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (1.0, 2));
        let gradients = part.sum.backward()?;
        let of = |v: &Var| gradients.get(v.as_tensor()).unwrap().to_vec2::<f32>();
        assert_eq!(of(&query)?, [[-1.]]);
        assert_eq!(of(&reference)?, [[2.], [-1.], [0.]]);
    }
    Ok(())
}

#[test]
fn similarities_pull_up() -> Result<()> {
    let rows = Var::new(&[[1f32, 0.], [2., 0.], [0., 3.], [3., 0.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1, 1])?;
    let triplets = Triplets::new(vec![0, 0], vec![1, 1], vec![2, 3])?;
    let loss = TripletMarginLoss::new(margin(0.5), DotProduct)?;
    // s(a,p) = 2, s(a,n) = 0 and 3: 0 − 2 + 0.5 < 0 and 3 − 2 + 0.5 = 1.5.
    let got = outcome(&loss, &rows, &batch, &triplets.into(), Some(0.0))?;
    assert_eq!((got.0, got.1), (1.5, 1));
    assert_eq!(
        got.2,
        [vec![1., 0.], vec![-1., 0.], vec![0., 0.], vec![1., 0.]]
    );
    Ok(())
}

#[test]
fn every_form_of_tuples_gives_the_same_numbers() -> Result<()> {
    let values: Vec<f32> = (0..36).map(|i| (i as f32 * 1.7).sin()).collect();
    let rows = Var::from_tensor(&Tensor::from_vec(values, (12, 3), &Device::Cpu)?)?;
    let batch = Batch::new(&rows, [0i64, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 3])?;
    let distances: [Arc<dyn Distance>; 2] = [Arc::new(Euclidean), Arc::new(DotProduct)];
    for (i, distance) in distances.into_iter().cycle().take(8).enumerate() {
        let config = TripletMarginLossConfig {
            margin: 0.3,
            swap: i & 2 == 0,
            smooth_loss: i & 4 == 0,
            ..Default::default()
        };
        let loss = TripletMarginLoss::new(config, distance)?;
        let listed = outcome(
            &loss,
            &rows,
            &batch,
            &Tuples::from(Tuples::all().triplets(&batch)?),
            Some(0.0),
        )?;
        let pairs = Tuples::from(Tuples::all().pairs(&batch)?);
        let relation = batch.relation().unwrap();
        let mask = PairMask::select(12, 12, |q, p, n, _: &mut ()| {
            for r in 0..12 {
                p.insert_if(r, matches!(relation.pair_kind(q, r), PairKind::Positive(_)));
                n.insert_if(r, matches!(relation.pair_kind(q, r), PairKind::Negative(_)));
            }
        });
        let rule = Tuples::from_set(Everything(relation.clone()));
        for tuples in [Tuples::all(), pairs, Tuples::from_set(mask), rule] {
            let (sum, count, gradient) = outcome(&loss, &rows, &batch, &tuples, Some(0.0))?;
            assert_eq!(count, listed.1);
            approx::assert_relative_eq!(sum, listed.0, max_relative = 1e-5);
            for (got, want) in gradient.iter().flatten().zip(listed.2.iter().flatten()) {
                approx::assert_relative_eq!(got, want, max_relative = 1e-4, epsilon = 1e-4);
            }
            let terms = loss.terms(&batch, &tuples)?;
            let (values, indices) = terms.get("loss").unwrap().values()?;
            assert_eq!(values.dims(), [terms.get("loss").unwrap().count() as usize]);
            assert!(
                matches!(indices, Indices::Triplets(t) if t == Tuples::all().triplets(&batch)?)
            );
        }
    }
    Ok(())
}

#[test]
fn lists_keep_order_and_repeats_and_may_contradict_the_labels() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let triplets = Triplets::new(vec![2, 0, 0], vec![1, 1, 1], vec![0, 2, 2])?;
    let terms = loss(margin(1.0))?.terms(&batch, &triplets.into())?;
    let (values, _) = terms.get("loss").unwrap().values()?;
    assert_eq!(values.to_vec1::<f32>()?, [0.0, 0.5, 0.5]);
    Ok(())
}

#[test]
fn random_triplets_are_as_many_as_asked_and_differ_from_call_to_call() -> Result<()> {
    let values: Vec<f32> = (0..40).map(|i| (i as f32 * 1.7).sin()).collect();
    let rows = Tensor::from_vec(values, (20, 2), &Device::Cpu)?;
    let labels: Vec<i64> = (0..20).map(|i| i % 3).collect();
    let batch = Batch::new(&rows, labels)?;
    let config = TripletMarginLossConfig {
        triplets_per_anchor: TripletsPerAnchor::Random(5),
        seed: 9,
        ..margin(0.2)
    };
    let drawn = |loss: &TripletMarginLoss| -> Result<Arc<Triplets>> {
        let terms = loss.terms(&batch, &Tuples::all())?;
        match terms.get("loss").unwrap().values()?.1 {
            Indices::Triplets(triplets) => Ok(triplets),
            _ => unreachable!("a triplet loss has triplets"),
        }
    };
    let (once, again) = (loss(config.clone())?, loss(config)?);
    let first = drawn(&once)?;
    assert_eq!(first.len(), 100);
    assert_eq!(first, drawn(&again)?);
    assert_ne!(first, drawn(&once)?);
    Ok(())
}

#[test]
fn nothing_to_do_is_an_empty_term_and_errors_name_their_cause() -> Result<()> {
    for rows in [0, 1, 2] {
        let embeddings = Tensor::zeros((rows, 2), DType::F32, &Device::Cpu)?;
        let batch = Batch::new(&embeddings, vec![4i64; rows])?;
        let config = TripletMarginLossConfig {
            swap: true,
            ..margin(1.0)
        };
        let terms = loss(config)?.terms(&batch, &Tuples::all())?;
        assert!(terms.get("loss").unwrap().is_empty());
        let terms = loss(margin(1.0))?.terms(&batch, &Triplets::default().into())?;
        assert!(terms.get("loss").unwrap().is_empty());
    }
    let embeddings = Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?;
    let unlabeled = Batch::unlabeled(&embeddings)?;
    assert!(matches!(
        loss(margin(1.0))?.terms(&unlabeled, &Tuples::all()),
        Err(Error::Missing { .. })
    ));
    let outside = Triplets::new(vec![0], vec![1], vec![2])?;
    assert!(matches!(
        loss(margin(1.0))?.terms(&unlabeled, &outside.into()),
        Err(Error::Index {
            arg: "negatives",
            ..
        })
    ));
    assert!(matches!(
        loss(margin(f64::INFINITY)),
        Err(Error::InvalidParameter { name: "margin", .. })
    ));
    let none = TripletMarginLossConfig {
        triplets_per_anchor: TripletsPerAnchor::Random(0),
        ..margin(1.0)
    };
    assert!(matches!(
        loss(none),
        Err(Error::InvalidParameter {
            name: "triplets_per_anchor",
            ..
        })
    ));
    Ok(())
}
