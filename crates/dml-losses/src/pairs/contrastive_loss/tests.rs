//! Values and gradients by hand, and over every form of tuples.

use std::sync::Arc;

use candle_core::{DType, Device, Tensor, Var};
use dml_core::autograd::without_kernels;
use dml_core::kernels::triplet_ranges::TripletRanges;
use dml_core::{
    Batch, Error, Loss, Pairs, Relation, Result, Term, Triplets, TupleCount, TupleSet, Tuples,
};
use dml_distances::{CosineSimilarity, LpDistance};

use super::*;

fn loss(pos_margin: f64, neg_margin: f64) -> Result<ContrastiveLoss> {
    let config = ContrastiveLossConfig {
        pos_margin,
        neg_margin,
    };
    ContrastiveLoss::new(config, LpDistance::unnormalized())
}

fn list(term: &Term) -> Result<Vec<f32>> {
    Ok(term.values()?.0.to_vec1()?)
}

#[test]
fn hinges_and_gradient_by_hand() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let terms = loss(0.25, 1.0)?.terms(&batch, &Tuples::all())?;
    let (near, far) = (
        terms.get("pos_loss").unwrap(),
        terms.get("neg_loss").unwrap(),
    );
    // d(0,1) = 1, twice; d(0,2) = 1.5 is far enough, d(1,2) = 0.5 is not.
    assert_eq!(list(near)?, [0.75, 0.75]);
    assert_eq!(list(far)?, [0.0, 0.5, 0.0, 0.5]);
    let part = near.sum_within(None, None)?;
    assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (1.5, 2));
    let above = far.sum_within(Some(0.0), None)?;
    assert_eq!((above.sum.to_scalar::<f32>()?, above.count), (1.0, 2));
    let gradients = (part.sum + above.sum)?.backward()?;
    // Positives: ∓1 twice; negatives push rows 1 and 2 apart, twice.
    assert_eq!(
        gradients.get(rows.as_tensor()).unwrap().to_vec2::<f32>()?,
        [[-2.], [4.], [-2.]]
    );
    let by_anchor = far.sums_by_anchor(3)?;
    assert_eq!(by_anchor.sums.to_vec1::<f32>()?, [0.0, 0.5, 0.5]);
    assert_eq!(by_anchor.counts, [1, 1, 2]);
    Ok(())
}

#[test]
fn similarities_turn_the_differences_round() -> Result<()> {
    let config = ContrastiveLossConfig {
        pos_margin: 1.0,
        neg_margin: 0.5,
    };
    let loss = ContrastiveLoss::new(config, CosineSimilarity::default())?;
    let rows = Var::new(&[[1f32, 0.], [3., 4.], [4., 3.]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1])?;
    let terms = loss.terms(&batch, &Tuples::all())?;
    let near = list(terms.get("pos_loss").unwrap())?;
    let far = list(terms.get("neg_loss").unwrap())?;
    for (got, want) in near
        .iter()
        .chain(&far)
        .zip([0.4, 0.4, 0.3, 0.46, 0.3, 0.46])
    {
        approx::assert_relative_eq!(*got, want, max_relative = 1e-5);
    }
    Ok(())
}

#[test]
fn one_positive_and_one_negative_pair_are_a_loss() -> Result<()> {
    // PyTorch Metric Learning gives 0 for the very same pairs that it counts as soon as there is a third one.
    let rows = Var::new(&[[0f32], [1.], [1.5]], &Device::Cpu)?;
    let batch = Batch::unlabeled(&rows)?;
    let pairs = Pairs::new(vec![0], vec![1], vec![1], vec![2])?;
    let terms = loss(0.0, 1.0)?.terms(&batch, &pairs.into())?;
    assert_eq!(list(terms.get("pos_loss").unwrap())?, [1.0]);
    assert_eq!(list(terms.get("neg_loss").unwrap())?, [0.5]);
    Ok(())
}

/// Triplets of ranges by a rule that doesn't say that they are.
#[derive(Debug)]
struct ByRule(Arc<TripletRanges>);

impl TupleSet for ByRule {
    fn anchors(&self) -> usize {
        self.0.anchors()
    }

    fn references(&self) -> usize {
        self.0.references()
    }

    fn count(&self) -> TupleCount {
        TupleSet::count(&*self.0)
    }

    fn visit(&self, anchor: usize, f: &mut dyn FnMut(&[u32], &[u32])) {
        self.0.visit(anchor, f);
    }
}

#[test]
fn repeats_count_in_lists_and_in_ranges_of_triplets() -> Result<()> {
    let rows = Var::new(&[[0f32], [1.], [1.5], [1.75]], &Device::Cpu)?;
    let batch = Batch::new(&rows, [0i64, 0, 1, 1])?;
    let loss = loss(0.0, 1.0)?;
    let matrix = batch.distances(&loss.distance)?;
    let order = loss.distance.order();
    let ranges = Tuples::all().ranges(&batch, &matrix, order)?.unwrap();
    let by_rule = Tuples::from_set(ByRule(ranges.clone()));
    let ranges = Tuples::from(ranges);
    let listed = Tuples::from(ranges.triplets(&batch)?);
    // (0,1,2), (0,1,3), (1,0,2), (1,0,3), (2,3,0), …: each positive pair twice, each negative pair once.
    for tuples in [ranges, by_rule, listed] {
        let terms = loss.terms(&batch, &tuples)?;
        let near = terms.get("pos_loss").unwrap();
        let part = near.sum_within(None, None)?;
        assert_eq!((part.sum.to_scalar::<f32>()?, part.count), (5.0, 8));
        assert_eq!(near.sums_by_anchor(4)?.counts, [2, 2, 2, 2]);
        let far = terms.get("neg_loss").unwrap().sum_within(Some(0.0), None)?;
        assert_eq!((far.sum.to_scalar::<f32>()?, far.count), (1.5, 4));
        let gradients = part.sum.backward()?;
        assert_eq!(
            gradients.get(rows.as_tensor()).unwrap().to_vec2::<f32>()?,
            [[-4.], [4.], [-4.], [4.]]
        );
    }
    Ok(())
}

#[test]
fn every_form_of_tuples_gives_the_same_numbers() -> Result<()> {
    let values: Vec<f32> = (0..36).map(|i| (i as f32 * 1.7).sin()).collect();
    let rows = Var::from_tensor(&Tensor::from_vec(values, (12, 3), &Device::Cpu)?)?;
    let labels = [0i64, 1, 2, 0, 1, 2, 0, 1, 2, 0, 0, 3];
    let batch = Batch::new(&rows, labels)?;
    let loss = loss(0.5, 1.5)?;
    let outcome = |tuples: &Tuples| -> Result<(f32, u64, Vec<Vec<f32>>)> {
        let terms = loss.terms(&batch, tuples)?;
        let near = terms
            .get("pos_loss")
            .unwrap()
            .sum_within(Some(0.1), Some(1.0))?;
        let far = terms.get("neg_loss").unwrap().sum_within(Some(0.0), None)?;
        let sum = (near.sum + far.sum)?;
        let gradient = sum.backward()?.get(rows.as_tensor()).unwrap().to_vec2()?;
        Ok((sum.to_scalar()?, near.count + far.count, gradient))
    };
    let pairs = Tuples::from(Tuples::all().pairs(&batch)?);
    let want = without_kernels(|| outcome(&pairs))?;
    let mask = Relation::labels(labels)?.mask();
    for tuples in [Tuples::all(), pairs, Tuples::from_set(mask)] {
        let got = outcome(&tuples)?;
        assert_eq!(got.1, want.1);
        approx::assert_relative_eq!(got.0, want.0, max_relative = 1e-5);
        for (got, want) in got.2.iter().flatten().zip(want.2.iter().flatten()) {
            approx::assert_relative_eq!(got, want, max_relative = 1e-4, epsilon = 1e-5);
        }
    }
    Ok(())
}

#[test]
fn nothing_to_do_is_empty_and_errors_name_their_cause() -> Result<()> {
    for rows in [0, 1] {
        let embeddings = Tensor::zeros((rows, 2), DType::F32, &Device::Cpu)?;
        let batch = Batch::new(&embeddings, vec![4i64; rows])?;
        let terms = loss(0.0, 1.0)?.terms(&batch, &Tuples::all())?;
        assert!(terms.iter().all(Term::is_empty));
    }
    let embeddings = Tensor::zeros((2, 2), DType::F32, &Device::Cpu)?;
    let unlabeled = Batch::unlabeled(&embeddings)?;
    assert!(matches!(
        loss(0.0, 1.0)?.terms(&unlabeled, &Tuples::all()),
        Err(Error::Missing {
            component: "ContrastiveLoss",
            ..
        })
    ));
    let outside = Triplets::new(vec![0], vec![1], vec![2])?;
    assert!(matches!(
        loss(0.0, 1.0)?.terms(&unlabeled, &outside.into()),
        Err(Error::Index { .. })
    ));
    assert!(matches!(
        loss(f64::NAN, 1.0),
        Err(Error::InvalidParameter {
            name: "pos_margin",
            ..
        })
    ));
    Ok(())
}
