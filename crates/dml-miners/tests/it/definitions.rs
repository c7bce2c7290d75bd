//! The sets that the miners choose, written as loops over all pairs and triplets.

use dml_core::{Miner, Result, TupleCount};
use dml_miners::{
    AngularMiner, AngularMinerConfig, BatchEasyHardMiner, BatchEasyHardMinerConfig, BatchHardMiner,
    BatchHardMinerConfig, BatchStrategy, HDCMiner, HDCMinerConfig, MultiSimilarityMiner,
    MultiSimilarityMinerConfig, NHardTripletsMiner, NHardTripletsMinerConfig, PairMarginMiner,
    PairMarginMinerConfig, TripletMarginMiner, TripletMarginMinerConfig, TripletType,
};
use rand::Rng;

use crate::batches::{PairLists, far, for_batches, is_negative, is_positive, pairs, triplets};
use dml_core::Batch;

/// Every triplet of the batch for which `chosen(a, p, n)` holds.
fn all_triplets(batch: &Batch, chosen: impl Fn(usize, usize, usize) -> bool) -> Vec<[u32; 3]> {
    let mut all = Vec::new();
    for a in 0..batch.queries() {
        for p in (0..batch.references()).filter(|&p| is_positive(batch, a, p)) {
            for n in (0..batch.references()).filter(|&n| is_negative(batch, a, n)) {
                if chosen(a, p, n) {
                    all.push([a as u32, p as u32, n as u32]);
                }
            }
        }
    }
    all
}

/// Every positive and every negative pair for which the rule of its kind holds.
fn all_pairs(
    batch: &Batch,
    positive: impl Fn(usize, usize) -> bool,
    negative: impl Fn(usize, usize) -> bool,
) -> PairLists {
    let mut all = PairLists::default();
    for a in 0..batch.queries() {
        for r in 0..batch.references() {
            if is_positive(batch, a, r) && positive(a, r) {
                all.0.push([a as u32, r as u32]);
            }
            if is_negative(batch, a, r) && negative(a, r) {
                all.1.push([a as u32, r as u32]);
            }
        }
    }
    all
}

#[test]
fn triplet_margin() -> Result<()> {
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let margin = [0.0, 1.0, -1.0, 0.25][rng.random_range(0..4)];
        for kind in [
            TripletType::All,
            TripletType::Hard,
            TripletType::Semihard,
            TripletType::Easy,
        ] {
            let config = TripletMarginMinerConfig {
                margin,
                type_of_triplets: kind,
            };
            let mined = TripletMarginMiner::new(config, distance.clone())?.mine(batch)?;
            let want = all_triplets(batch, |a, p, n| {
                let gap = h[a][n] - h[a][p];
                let margin = margin as f32;
                match kind {
                    TripletType::All => gap <= margin,
                    TripletType::Hard => gap <= margin && gap <= 0.0,
                    TripletType::Semihard => gap <= margin && gap > 0.0,
                    TripletType::Easy => gap > margin,
                }
            });
            assert_eq!(triplets(&mined, batch)?, want);
            assert_eq!(mined.count(batch)?, TupleCount::Triplets(want.len() as u64));
        }
        Ok(())
    })
}

#[test]
fn pair_margin() -> Result<()> {
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let sign = distance.order().sign();
        let margins = [0.0, 1.0, 2.0, -0.3];
        let config = PairMarginMinerConfig {
            pos_margin: margins[rng.random_range(0..4)],
            neg_margin: margins[rng.random_range(0..4)],
        };
        let (beyond, within) = (
            (sign * config.pos_margin) as f32,
            (sign * config.neg_margin) as f32,
        );
        let mined = PairMarginMiner::new(config, distance)?.mine(batch)?;
        let want = all_pairs(batch, |a, p| h[a][p] > beyond, |a, n| h[a][n] < within);
        assert_eq!(pairs(&mined, batch)?, want);
        Ok(())
    })
}

#[test]
fn multi_similarity() -> Result<()> {
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let epsilon = [0.0, 0.1, 1.0, -1.0][rng.random_range(0..4)];
        let config = MultiSimilarityMinerConfig { epsilon };
        let mined = MultiSimilarityMiner::new(config, distance)?.mine(batch)?;
        let epsilon = epsilon as f32;
        let references = 0..batch.references();
        // "Beyond the nearest" is "beyond any one of them".
        let want = all_pairs(
            batch,
            |a, p| {
                let mut others = references.clone().filter(|&n| is_negative(batch, a, n));
                others.any(|n| h[a][p] + epsilon > h[a][n])
            },
            |a, n| {
                let mut others = references.clone().filter(|&p| is_positive(batch, a, p));
                others.any(|p| h[a][n] - epsilon < h[a][p])
            },
        );
        assert_eq!(pairs(&mined, batch)?, want);
        Ok(())
    })
}

#[test]
fn angular() -> Result<()> {
    let delta = |x: &[f64], y: &[f64]| {
        let square = |(x, y): (&f64, &f64)| (x - y + 1e-6).powi(2);
        x.iter().zip(y).map(square).sum::<f64>().sqrt()
    };
    for_batches(1000, |recipe, batch, _, rng| {
        let wide = |row: &Vec<f32>| -> Vec<f64> { row.iter().map(|x| f64::from(*x)).collect() };
        let query: Vec<Vec<f64>> = recipe.query.iter().map(wide).collect();
        let reference = recipe.reference.as_ref().unwrap_or(&recipe.query);
        let reference: Vec<Vec<f64>> = reference.iter().map(wide).collect();
        // No triangle of whole numbers has such an angle, and 1e-6 does not reach from one to the other.
        let angle: f64 = [17.3, 38.9, 61.7][rng.random_range(0..3)];
        let unit = std::sync::Arc::new(dml_distances::LpDistance::default());
        let mined = AngularMiner::new(AngularMinerConfig { angle }, unit)?.mine(batch)?;
        let want = all_triplets(batch, |a, p, n| {
            let (a, p, n) = (&query[a], &reference[p], &reference[n]);
            let centre: Vec<f64> = a.iter().zip(p).map(|(x, y)| (x + y) / 2.0).collect();
            (delta(a, p) / (2.0 * delta(n, &centre))).atan() > angle.to_radians()
        });
        assert_eq!(triplets(&mined, batch)?, want);
        assert_eq!(mined.count(batch)?.total(), want.len() as u64);
        Ok(())
    })
}

/// The first of `rows` for which no other has a smaller key.
fn first_smallest(rows: impl Iterator<Item = usize>, key: impl Fn(usize) -> f32) -> Option<usize> {
    rows.fold(None, |best, row| match best {
        Some(best) if key(best) <= key(row) => Some(best),
        _ => Some(row),
    })
}

#[test]
fn batch_easy_hard() -> Result<()> {
    use BatchStrategy::{All, Easy, Hard, Semihard};
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let matrix = batch.distances(&distance)?.to_vec2::<f32>()?;
        let pick =
            |rng: &mut rand_chacha::ChaCha8Rng| [Hard, Semihard, Easy, All][rng.random_range(0..4)];
        let range = |rng: &mut rand_chacha::ChaCha8Rng| {
            rng.random_bool(0.4).then(|| {
                let low = f64::from(rng.random_range(-2i8..2));
                (low, low + f64::from(rng.random_range(0i8..4)))
            })
        };
        let config = BatchEasyHardMinerConfig {
            pos_strategy: pick(rng),
            neg_strategy: pick(rng),
            allowed_pos_range: range(rng),
            allowed_neg_range: range(rng),
        };
        let Ok(miner) = BatchEasyHardMiner::new(config.clone(), distance) else {
            return Ok(());
        };
        let within = |a: usize, r: usize, range: Option<(f64, f64)>| {
            let value = f64::from(matrix[a][r]);
            range.is_none_or(|(low, high)| low <= value && value <= high)
        };
        let choose = |a: usize| {
            let rows = 0..batch.references();
            let positives = || {
                rows.clone().filter(move |&r| {
                    is_positive(batch, a, r) && within(a, r, config.allowed_pos_range)
                })
            };
            let negatives = || {
                rows.clone().filter(move |&r| {
                    is_negative(batch, a, r) && within(a, r, config.allowed_neg_range)
                })
            };
            let (near, away) = (|r: usize| h[a][r], |r: usize| -h[a][r]);
            let mut p = match config.pos_strategy {
                Hard => first_smallest(positives(), away),
                Easy => first_smallest(positives(), near),
                Semihard | All => None,
            };
            let n = match config.neg_strategy {
                Hard => first_smallest(negatives(), near),
                Easy => first_smallest(negatives(), away),
                Semihard => {
                    p.and_then(|p| first_smallest(negatives().filter(|&n| h[a][n] > h[a][p]), near))
                }
                All => None,
            };
            if config.pos_strategy == Semihard {
                p = n
                    .and_then(|n| first_smallest(positives().filter(|&p| h[a][p] < h[a][n]), away));
            }
            (p, n)
        };
        let chosen: Vec<_> = (0..batch.queries()).map(choose).collect();
        let (every_p, every_n) = (config.pos_strategy == All, config.neg_strategy == All);
        let both =
            |a: usize| every_p || every_n || (chosen[a].0.is_some() && chosen[a].1.is_some());
        let want = all_pairs(
            batch,
            |a, p| every_p || (both(a) && chosen[a].0 == Some(p)),
            |a, n| every_n || (both(a) && chosen[a].1 == Some(n)),
        );
        assert_eq!(pairs(&miner.mine(batch)?, batch)?, want);
        Ok(())
    })
}

#[test]
fn batch_hard_is_the_hardest_of_both() -> Result<()> {
    for_batches(1000, |_, batch, distance, _| {
        let h = far(batch, &distance)?;
        let config = BatchHardMinerConfig::default();
        let mined = BatchHardMiner::new(config, distance.clone())?.mine(batch)?;
        let rows = || 0..batch.references();
        let want = all_triplets(batch, |a, p, n| {
            let hardest =
                first_smallest(rows().filter(|&r| is_positive(batch, a, r)), |r| -h[a][r]);
            let nearest = first_smallest(rows().filter(|&r| is_negative(batch, a, r)), |r| h[a][r]);
            hardest == Some(p) && nearest == Some(n)
        });
        assert_eq!(triplets(&mined, batch)?, want);
        let config = NHardTripletsMinerConfig::default();
        let hardest = NHardTripletsMiner::new(config, distance)?.mine(batch)?;
        // The two may differ where zeros of either sign are equal but not the same.
        let gap = |t: &[u32; 3]| {
            let [a, p, n] = t.map(|row| row as usize);
            (a, h[a][n] - h[a][p])
        };
        let gaps = |list: &[[u32; 3]]| list.iter().map(gap).collect::<Vec<_>>();
        assert_eq!(gaps(&triplets(&hardest, batch)?), gaps(&want));
        Ok(())
    })
}

#[test]
fn n_hard_triplets() -> Result<()> {
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let config = NHardTripletsMinerConfig {
            n_positive: rng.random_range(1..4),
            n_negative: rng.random_range(1..4),
            skip_positive: rng.random_range(0..2),
            skip_negative: rng.random_range(0..2),
        };
        let mined = NHardTripletsMiner::new(config.clone(), distance)?.mine(batch)?;
        let place = |a: usize, r: usize, kind: fn(&Batch, usize, usize) -> bool, sign: f32| {
            // −0 and 0 are equal here, and ordered in the miner: add 0 to make them one.
            let key = |r: usize| sign * h[a][r];
            (0..batch.references())
                .filter(|&other| kind(batch, a, other))
                .filter(|&other| {
                    key(other).total_cmp(&key(r)).then(other.cmp(&r)) == std::cmp::Ordering::Less
                })
                .count()
        };
        let want = all_triplets(batch, |a, p, n| {
            let (p, n) = (
                place(a, p, is_positive, -1.0),
                place(a, n, is_negative, 1.0),
            );
            (config.skip_positive..config.skip_positive + config.n_positive).contains(&p)
                && (config.skip_negative..config.skip_negative + config.n_negative).contains(&n)
        });
        assert_eq!(triplets(&mined, batch)?, want);
        Ok(())
    })
}

#[test]
fn hard_aware_cascade() -> Result<()> {
    for_batches(1000, |_, batch, distance, rng| {
        let h = far(batch, &distance)?;
        let share = [0.0, 0.1, 0.35, 0.5, 1.0][rng.random_range(0..5)];
        let config = HDCMinerConfig {
            filter_percentage: share,
        };
        let mined = HDCMiner::new(config, distance)?.mine(batch)?;
        let hardest = |mut list: Vec<[u32; 2]>, sign: f32| {
            let kept = (share * list.len() as f64).ceil() as usize;
            let key = |pair: &[u32; 2]| sign * h[pair[0] as usize][pair[1] as usize];
            list.sort_by(|x, y| key(x).total_cmp(&key(y)).then(x.cmp(y)));
            list.truncate(kept);
            list.sort_unstable();
            list
        };
        let (positive, negative) = all_pairs(batch, |_, _| true, |_, _| true);
        let want = (hardest(positive, -1.0), hardest(negative, 1.0));
        assert_eq!(pairs(&mined, batch)?, want);
        Ok(())
    })
}
