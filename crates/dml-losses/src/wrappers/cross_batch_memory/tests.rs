//! What a memory holds, and with what a batch is compared.

use std::sync::Arc;

use dml_core::{Distance, Reducer};
use dml_distances::LpDistance;
use dml_miners::{BatchEasyHardMiner, BatchEasyHardMinerConfig};
use dml_reducers::SumReducer;

use super::*;
use crate::{ContrastiveLoss, ContrastiveLossConfig, NCALoss, NCALossConfig};
use dml_core::Error;

fn distance() -> Arc<dyn Distance> {
    Arc::new(LpDistance::unnormalized())
}

fn objective() -> Objective {
    let loss = ContrastiveLoss::new(ContrastiveLossConfig::default(), distance()).unwrap();
    let reducer: Arc<dyn Reducer> = Arc::new(SumReducer);
    Objective::new(Arc::new(loss), reducer)
}

fn memory(size: usize) -> CrossBatchMemory {
    let config = CrossBatchMemoryConfig {
        embedding_size: 1,
        memory_size: size,
    };
    CrossBatchMemory::new(config, objective()).unwrap()
}

fn batch(x: &[f32], labels: &[i64]) -> (Var, Batch) {
    let x = Tensor::from_slice(x, (x.len(), 1), &Device::Cpu).unwrap();
    let x = Var::from_tensor(&x).unwrap();
    let batch = Batch::new(&x, labels).unwrap();
    (x, batch)
}

fn value(terms: &Terms) -> f32 {
    let (value, _) = terms.get("loss").unwrap().values().unwrap();
    value.to_scalar().unwrap()
}

fn named(memory: &CrossBatchMemory) -> HashMap<String, Tensor> {
    memory.buffers().unwrap().into_iter().collect()
}

#[test]
fn the_oldest_rows_leave_and_the_ring_goes_round() -> Result<()> {
    let memory = memory(5);
    for (i, rows) in [2usize, 2, 2, 5, 1].into_iter().enumerate() {
        let first = 10.0 * i as f32;
        let x: Vec<f32> = (0..rows).map(|r| first + r as f32).collect();
        memory.terms(&batch(&x, &vec![i as i64; rows]).1, &Tuples::all())?;
        assert_eq!(memory.len(), [2, 4, 5, 5, 5][i]);
        let held = named(&memory)["embedding_memory"]
            .flatten_all()?
            .to_vec1::<f32>()?;
        let expected: [f32; 5] = match i {
            0 => [0., 1., 0., 0., 0.],
            1 => [0., 1., 10., 11., 0.],
            2 => [21., 1., 10., 11., 20.],
            3 => [34., 30., 31., 32., 33.],
            _ => [34., 40., 31., 32., 33.],
        };
        assert_eq!(held, expected, "batch {i}");
    }
    assert_eq!(
        named(&memory)["label_memory"].to_vec1::<i64>()?,
        [3, 4, 3, 3, 3]
    );
    memory.clear()?;
    assert!(memory.is_empty());
    Ok(())
}

#[test]
fn earlier_batches_are_constants_and_own_copies_no_positives() -> Result<()> {
    let memory = memory(8);
    let (first, one) = batch(&[0., 0.25], &[0, 1]);
    let (second, two) = batch(&[0.5], &[0]);
    memory.terms(&one, &Tuples::all())?;
    // Against [0, 0.25, itself]: the positive at 0.5, the negative at 0.25, which is 0.75 too near.
    let terms = memory.terms(&two, &Tuples::all())?;
    assert_eq!(value(&terms), 0.5 + 0.75);
    let (loss, _) = terms.get("loss").unwrap().values()?;
    let store = loss.backward()?;
    // The positive pulls down with gradient 1, the negative pushes up with gradient 1.
    assert_eq!(
        store.get(second.as_tensor()).unwrap().to_vec2::<f32>()?,
        [[0.0]]
    );
    assert!(store.get(first.as_tensor()).is_none());
    Ok(())
}

#[test]
fn easy_positives_are_other_rows_than_the_own_copy() -> Result<()> {
    let config = BatchEasyHardMinerConfig {
        pos_strategy: dml_miners::BatchStrategy::Easy,
        neg_strategy: dml_miners::BatchStrategy::Easy,
        ..Default::default()
    };
    let miner = BatchEasyHardMiner::new(config, distance())?;
    let config = CrossBatchMemoryConfig::new(1);
    let memory = CrossBatchMemory::new(config, objective().with_miner(Arc::new(miner)))?;
    let (_, batch) = batch(&[0., 0.25, 9.], &[0, 0, 1]);
    // Rows 0 and 1 find each other; removing own copies after mining would leave nothing.
    assert_eq!(value(&memory.terms(&batch, &Tuples::all())?), 0.5);
    Ok(())
}

/// PyTorch Metric Learning lets NCA see the copy, at distance 0 the nearest of all: with only far positives besides, its
/// loss there is almost 0 and teaches nothing.
#[test]
fn a_softmax_over_the_memory_leaves_the_own_copy_out() -> Result<()> {
    let nca = NCALoss::new(NCALossConfig::default(), distance())?;
    let objective = Objective::new(Arc::new(nca), Arc::new(SumReducer));
    let memory = CrossBatchMemory::new(CrossBatchMemoryConfig::new(1), objective)?;
    memory.terms(&batch(&[3., 1.], &[0, 1]).1, &Tuples::all())?;
    // Row 0 against 3 (positive), 1 (negative), its own copy, and what is 100 away; row 1 has no positive:
    // −ln(e⁻³ / (e⁻³ + e⁻¹)) = ln(1 + e²).
    let terms = memory.terms(&batch(&[0., 100.], &[0, 9]).1, &Tuples::all())?;
    assert!((value(&terms) - (1.0 + 2f32.exp()).ln()).abs() < 1e-6);
    Ok(())
}

#[test]
fn masked_rows_are_remembered_and_the_others_compared() -> Result<()> {
    let memory = memory(4);
    let (_, all) = batch(&[0., 0.5, 3.], &[0, 0, 1]);
    // Row 1 against rows 0 and 2 of the memory; 2.5 is beyond the margin.
    let terms = memory.terms_with_mask(&all, &[true, false, true])?;
    assert_eq!((value(&terms), memory.len()), (0.5, 2));
    let terms = memory.terms_with_mask(&all, &[false; 3])?;
    assert_eq!(memory.len(), 2);
    // Rows equal to their copies are compared all the same: with a mask they are other things.
    assert_eq!(value(&terms), 0.5);
    let terms = memory.terms_with_mask(&all, &[true; 3])?;
    assert_eq!((value(&terms), memory.len()), (0.0, 4));
    // Only what is remembered has to fit.
    let (_, large) = batch(&[0., 1., 2., 3., 4.], &[0; 5]);
    memory.terms_with_mask(&large, &[true, false, false, false, false])?;
    assert!(matches!(
        memory.terms_with_mask(&large, &[true; 5]),
        Err(Error::Length { .. })
    ));
    assert!(matches!(
        memory.terms_with_mask(&all, &[true]),
        Err(Error::Length {
            arg: "enqueue_mask",
            ..
        })
    ));
    Ok(())
}

#[test]
fn what_is_saved_goes_on_where_it_was() -> Result<()> {
    let (one, two) = (memory(3), memory(3));
    let first = batch(&[0., 0.5], &[0, 1]).1;
    let second = batch(&[0.25, 0.75], &[1, 0]).1;
    one.terms(&first, &Tuples::all())?;
    two.set_buffers(&named(&one))?;
    let values = [
        value(&one.terms(&second, &Tuples::all())?),
        value(&two.terms(&second, &Tuples::all())?),
    ];
    assert_eq!(values[0], values[1]);
    assert_eq!(named(&one)["queue_idx"].to_vec1::<i64>()?, [1]);
    let mut broken = named(&one);
    broken.insert("queue_idx".to_owned(), Tensor::new(&[7i64], &Device::Cpu)?);
    assert!(matches!(two.set_buffers(&broken), Err(Error::Index { .. })));
    broken.remove("label_memory");
    assert!(matches!(
        two.set_buffers(&broken),
        Err(Error::Missing {
            needed: "label_memory",
            ..
        })
    ));
    Ok(())
}

#[test]
fn given_tuples_name_places_in_the_memory() -> Result<()> {
    let memory = memory(4);
    let (_, rows) = batch(&[0., 3.], &[0, 1]);
    let given = Pairs::new(vec![0], vec![1], vec![], vec![])?.into();
    // No pair of the labels is within the margin; the given one is a positive pair 3 apart.
    assert_eq!(value(&memory.terms(&rows, &given)?), 3.0);
    Ok(())
}

#[test]
fn what_does_not_fit_is_refused_and_nothing_is_enqueued() -> Result<()> {
    let memory = memory(2);
    let (_, large) = batch(&[0., 1., 2.], &[0, 0, 0]);
    assert!(matches!(
        memory.terms(&large, &Tuples::all()),
        Err(Error::Length { .. })
    ));
    let wide = Tensor::zeros((1, 2), DType::F32, &Device::Cpu)?;
    assert!(matches!(
        memory.terms(&Batch::new(&wide, [0i64])?, &Tuples::all()),
        Err(Error::Shape { .. })
    ));
    let narrow = Tensor::zeros((1, 1), DType::F32, &Device::Cpu)?;
    assert!(matches!(
        memory.terms(&Batch::unlabeled(&narrow)?, &Tuples::all()),
        Err(Error::Missing { .. })
    ));
    assert!(memory.is_empty());
    let inner = Objective::new(Arc::new(memory), Arc::new(SumReducer));
    assert!(matches!(
        CrossBatchMemory::new(CrossBatchMemoryConfig::new(1), inner),
        Err(Error::Unsupported { .. })
    ));
    Ok(())
}

#[test]
fn the_relation_of_a_batch_holds_among_its_rows() -> Result<()> {
    // Rows 0 and 1 are a positive pair, 0.5 apart; the negatives count only where they are older.
    let relation = |rows: usize| {
        Relation::closure(rows, rows, |q, r| {
            if q / 2 == r / 2 {
                dml_core::PairKind::POSITIVE
            } else {
                dml_core::PairKind::Ignored
            }
        })
        .with_diagonal_self_matches()
    };
    let memory = memory(8);
    let (_, rows) = batch(&[0., 0.5, 0.7], &[0, 0, 1]);
    let related = rows.clone().with_relation(relation(3)?)?;
    let alone = objective().forward(&related)?.to_scalar::<f32>()?;
    let first = value(&memory.terms(&related, &Tuples::all())?);
    assert_eq!((alone, first), (1.0, 1.0));
    // Older rows are compared by their labels: row 0 is 0.5 from its older positive and 0.3 too near to the older
    // negative, row 1 as far from the positive and 0.8 too near; row 2 is 0.3 and 0.8 too near to both older rows.
    let second = value(&memory.terms(&related, &Tuples::all())?);
    assert!(
        (second - (1.0 + 0.5 + 0.3 + 0.5 + 0.8 + 0.3 + 0.8)).abs() < 1e-6,
        "{second}"
    );
    Ok(())
}

#[test]
fn with_a_mask_the_relation_holds_between_both_parts() -> Result<()> {
    let memory = memory(8);
    let (_, rows) = batch(&[0., 0.5, 0.25], &[0, 0, 1]);
    // Row 1 is compared with the remembered rows 0 and 2, of which row 2 is ignored.
    let relation = Relation::pairs(&[(1, 0)], &[], 3, 3)?;
    let related = rows.clone().with_relation(relation)?;
    let mask = [true, false, true];
    assert_eq!(value(&memory.terms_with_mask(&related, &mask)?), 0.5);
    memory.clear()?;
    // With labels alone the negative would be 0.75 too near.
    assert_eq!(value(&memory.terms_with_mask(&rows, &mask)?), 0.5 + 0.75);
    Ok(())
}

#[test]
fn weights_hold_within_the_batch() -> Result<()> {
    let memory = memory(4);
    let (_, rows) = batch(&[0., 0.5], &[0, 0]);
    let relation = Relation::matrix(&[-1., 0.2, 0.8, -1.], 2, 2)?;
    let weighted = rows.with_relation(relation)?;
    assert!((value(&memory.terms(&weighted, &Tuples::all())?) - 0.5).abs() < 1e-6);
    // The second time each row has two older positives of weight 1, one of them where it is itself.
    let second = value(&memory.terms(&weighted, &Tuples::all())?);
    assert!((second - (0.5 + 1.0)).abs() < 1e-6, "{second}");
    Ok(())
}

#[test]
fn losses_that_no_memory_can_hand_tuples_to_are_refused() -> Result<()> {
    let config = || CrossBatchMemoryConfig::new(1);
    let refused = |loss: Arc<dyn Loss>| {
        let objective = Objective::new(loss, Arc::new(SumReducer));
        matches!(
            CrossBatchMemory::new(config(), objective),
            Err(Error::Unsupported {
                component: "CrossBatchMemory",
                ..
            })
        )
    };
    let centroids = crate::CentroidTripletLoss::new(Default::default(), distance())?;
    assert!(refused(Arc::new(centroids)));
    assert!(refused(Arc::new(crate::SelfSupervisedLoss::new(
        objective(),
        true
    )?)));
    assert!(refused(Arc::new(crate::VICRegLoss::new(
        Default::default()
    )?)));
    // A part that mines its own takes no tuples, either.
    let miner = BatchEasyHardMiner::new(BatchEasyHardMinerConfig::default(), distance())?;
    let part = |objective| crate::WeightedObjective {
        name: "part".to_owned(),
        objective,
        weight: 1.0,
    };
    let mining = part(objective().with_miner(Arc::new(miner)));
    assert!(refused(Arc::new(crate::MultipleLosses::new(vec![mining])?)));
    assert!(!refused(Arc::new(crate::MultipleLosses::new(vec![part(
        objective()
    )])?)));
    Ok(())
}
