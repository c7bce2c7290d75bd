//! Each guard by hand.

use super::*;

/// One query of class 0. Corpus rows 0 and 4 are of its class, the rest are not; row 5 is unjudged.
fn relation() -> Relation {
    Relation::closure(1, 7, |_, r| match r {
        0 | 4 => PairKind::POSITIVE,
        5 => PairKind::Ignored,
        _ => PairKind::NEGATIVE,
    })
}

const INDICES: [u32; 7] = [0, 1, 5, 2, 4, 3, 6];
const DISTANCES: [f64; 7] = [0.1, 0.2, 0.25, 0.4, 0.5, 0.6, 0.9];

fn mine(config: HardNegativeMinerConfig, order: Order) -> Result<Vec<u32>> {
    let distances = DISTANCES.map(|d| match order {
        Order::SmallerIsCloser => d,
        Order::LargerIsCloser => 1.0 - d,
    });
    let neighbors = NeighborLists {
        indices: &INDICES,
        distances: &distances,
        k: 7,
        order,
    };
    let pairs = PositivePairs {
        queries: &[0],
        positives: &[0],
        distances: Some(&distances[..1]),
    };
    let triplets = HardNegativeMiner::new(config)?.mine(&neighbors, &pairs, &relation())?;
    assert!(triplets.positives.iter().all(|&p| p == 0));
    Ok(triplets.negatives)
}

fn with(change: impl FnOnce(&mut HardNegativeMinerConfig)) -> HardNegativeMinerConfig {
    let mut config = HardNegativeMinerConfig {
        num_negatives: 10,
        ..Default::default()
    };
    change(&mut config);
    config
}

#[test]
fn each_guard_keeps_what_it_should_in_either_order() -> Result<()> {
    let distances =
        |change: fn(&mut HardNegativeMinerConfig)| mine(with(change), Order::SmallerIsCloser);
    assert_eq!(distances(|_| {})?, [1, 2, 3, 6]);
    assert_eq!(distances(|c| c.num_negatives = 2)?, [1, 2]);
    assert_eq!(distances(|c| c.range_min = 1)?, [2, 3, 6]);
    assert_eq!(distances(|c| c.range_max = Some(2))?, [1, 2]);
    assert_eq!(
        distances(|c| (c.range_min, c.range_max) = (1, Some(3)))?,
        [2, 3]
    );
    assert_eq!(distances(|c| c.max_score = Some(0.4))?, [2, 3, 6]);
    assert_eq!(distances(|c| c.min_score = Some(0.6))?, [1, 2, 3]);
    // The positive is at 0.1.
    assert_eq!(distances(|c| c.absolute_margin = Some(0.25))?, [2, 3, 6]);
    assert_eq!(distances(|c| c.relative_margin = Some(4.5))?, [3, 6]);

    let similarities =
        |change: fn(&mut HardNegativeMinerConfig)| mine(with(change), Order::LargerIsCloser);
    // The same as similarities: 0.9 | 0.8, 0.6, 0.4, 0.1.
    assert_eq!(similarities(|c| c.max_score = Some(0.7))?, [2, 3, 6]);
    assert_eq!(similarities(|c| c.min_score = Some(0.35))?, [1, 2, 3]);
    assert_eq!(similarities(|c| c.absolute_margin = Some(0.25))?, [2, 3, 6]);
    // At most 0.9 · (1 − 0.5).
    assert_eq!(similarities(|c| c.relative_margin = Some(0.5))?, [3, 6]);
    Ok(())
}

#[test]
fn random_negatives_are_distinct_kept_ones_and_follow_the_seed() -> Result<()> {
    let drawn = |seed| {
        mine(
            with(|c| {
                c.num_negatives = 2;
                c.sampling_strategy = NegativeSampling::Random;
                c.seed = seed;
            }),
            Order::SmallerIsCloser,
        )
    };
    let mut seen = [0u32; 7];
    for seed in 0..600 {
        let negatives = drawn(seed)?;
        assert_eq!(negatives, drawn(seed)?);
        assert!(negatives.len() == 2 && negatives[0] != negatives[1]);
        negatives.iter().for_each(|&n| seen[n as usize] += 1);
    }
    // Each of the four is in half of the 600 draws, give or take four standard deviations of 12.2.
    assert!(
        [1, 2, 3, 6]
            .iter()
            .all(|&n: &usize| seen[n].abs_diff(300) < 49),
        "{seen:?}"
    );
    assert_eq!(seen.iter().sum::<u32>(), 1200);
    Ok(())
}

#[test]
fn every_pair_of_a_query_gets_its_own_negatives() -> Result<()> {
    let neighbors = NeighborLists {
        indices: &INDICES,
        distances: &DISTANCES,
        k: 7,
        order: Order::SmallerIsCloser,
    };
    let pairs = PositivePairs {
        queries: &[0, 0],
        positives: &[4, 0],
        distances: Some(&[0.5, 0.1]),
    };
    let config = with(|c| {
        c.num_negatives = 1;
        c.absolute_margin = Some(0.05);
    });
    let triplets = HardNegativeMiner::new(config)?.mine(&neighbors, &pairs, &relation())?;
    assert_eq!(
        (triplets.positives, triplets.negatives),
        (vec![4, 0], vec![3, 1])
    );
    Ok(())
}

#[test]
fn errors_name_their_cause() -> Result<()> {
    for (name, config) in [
        ("num_negatives", with(|c| c.num_negatives = 0)),
        (
            "range_max",
            with(|c| (c.range_min, c.range_max) = (3, Some(3))),
        ),
        ("max_score", with(|c| c.max_score = Some(f64::NAN))),
        ("relative_margin", with(|c| c.relative_margin = Some(-0.1))),
    ] {
        match HardNegativeMiner::new(config) {
            Err(Error::InvalidParameter { name: got, .. }) => assert_eq!(got, name),
            other => panic!("{name}: {other:?}"),
        }
    }
    let neighbors = |indices| NeighborLists {
        indices,
        distances: &DISTANCES,
        k: 7,
        order: Order::SmallerIsCloser,
    };
    let pairs = |positives, distances| PositivePairs {
        queries: &[0],
        positives,
        distances,
    };
    let margin = HardNegativeMiner::new(with(|c| c.absolute_margin = Some(0.1)))?;
    let mine = |neighbors, pairs| margin.mine(&neighbors, &pairs, &relation());
    assert!(matches!(
        mine(neighbors(&INDICES), pairs(&[0], None)),
        Err(Error::Missing { .. })
    ));
    assert!(matches!(
        mine(neighbors(&INDICES[1..]), pairs(&[0], Some(&[0.1]))),
        Err(Error::Length { arg: "indices", .. })
    ));
    assert!(matches!(
        mine(neighbors(&[9; 7]), pairs(&[0], Some(&[0.1]))),
        Err(Error::Index { arg: "indices", .. })
    ));
    assert!(matches!(
        mine(neighbors(&INDICES), pairs(&[7], Some(&[0.1]))),
        Err(Error::Index {
            arg: "positives",
            ..
        })
    ));
    Ok(())
}
