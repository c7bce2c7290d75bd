//! Random batches: ties and none, references and none, labels, identities and ignored pairs.

use std::sync::Arc;

use dml_core::candle_core::{Device, Tensor};
use dml_core::{Batch, Distance, Order, PairKind, Relation, Result, Tuples};
use dml_distances::{
    DotProductSimilarity, DotProductSimilarityConfig, LpDistance, LpDistanceConfig,
};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// What a batch is made of, so that it can be put together in another order.
#[derive(Clone, Debug)]
pub(crate) struct Recipe {
    pub(crate) dim: usize,
    pub(crate) query: Vec<Vec<f32>>,
    pub(crate) reference: Option<Vec<Vec<f32>>>,
    /// What each query and reference are to each other; 1, −1 or 0.
    pub(crate) verdicts: Vec<Vec<i8>>,
    pub(crate) same: Vec<Option<u32>>,
}

impl Recipe {
    /// `coarse` coordinates are small whole numbers, among which ties are frequent.
    pub(crate) fn random(rng: &mut ChaCha8Rng, coarse: bool) -> Self {
        let dim = rng.random_range(1..4);
        let rows = |rng: &mut ChaCha8Rng, n: usize| -> Vec<Vec<f32>> {
            (0..n)
                .map(|_| {
                    (0..dim)
                        .map(|_| {
                            if coarse {
                                rng.random_range(-3i8..4).into()
                            } else {
                                rng.random_range(-1.0..1.0)
                            }
                        })
                        .collect()
                })
                .collect()
        };
        let queries = rng.random_range(1..12);
        let query = rows(rng, queries);
        let reference = rng.random_bool(0.4).then(|| {
            let references = rng.random_range(1..14);
            rows(rng, references)
        });
        let references = reference.as_ref().map_or(queries, Vec::len);
        let classes = rng.random_range(1..5);
        let mut labels =
            |n: usize| -> Vec<i8> { (0..n).map(|_| rng.random_range(0..classes)).collect() };
        let of_query = labels(queries);
        let of_reference = if reference.is_some() {
            labels(references)
        } else {
            of_query.clone()
        };
        let ignore = if rng.random_bool(0.3) { 0.2 } else { 0.0 };
        let same = (0..queries)
            .map(|q| match reference {
                None => Some(q as u32),
                Some(_) if rng.random_bool(0.5) => Some(rng.random_range(0..references as u32)),
                Some(_) => None,
            })
            .collect();
        let verdicts = of_query
            .iter()
            .map(|y| {
                of_reference
                    .iter()
                    .map(|z| {
                        if rng.random_bool(ignore) {
                            0
                        } else if y == z {
                            1
                        } else {
                            -1
                        }
                    })
                    .collect()
            })
            .collect();
        Self {
            dim,
            query,
            reference,
            verdicts,
            same,
        }
    }

    pub(crate) fn references(&self) -> usize {
        self.verdicts[0].len()
    }

    pub(crate) fn batch(&self) -> Result<Batch> {
        let tensor = |rows: &[Vec<f32>]| -> Result<Tensor> {
            let flat: Vec<f32> = rows.iter().flatten().copied().collect();
            Ok(Tensor::from_vec(
                flat,
                (rows.len(), self.dim),
                &Device::Cpu,
            )?)
        };
        let batch = Batch::unlabeled(&tensor(&self.query)?)?;
        let batch = match &self.reference {
            None => batch,
            Some(rows) => batch.with_unlabeled_reference(&tensor(rows)?)?,
        };
        let verdicts = self.verdicts.clone();
        let relation =
            Relation::closure(
                self.query.len(),
                self.references(),
                move |q, r| match verdicts[q][r] {
                    1 => PairKind::POSITIVE,
                    -1 => PairKind::NEGATIVE,
                    _ => PairKind::Ignored,
                },
            );
        batch.with_relation(relation.with_self_matches(&self.same)?)
    }

    /// The same batch with its rows in another order: row i of the new one is row `order[i]` of this one.
    pub(crate) fn permuted(&self, of_query: &[usize], of_reference: &[usize]) -> Self {
        let place = |row: u32| of_reference.iter().position(|&r| r == row as usize);
        Self {
            dim: self.dim,
            query: of_query.iter().map(|&q| self.query[q].clone()).collect(),
            reference: self
                .reference
                .as_ref()
                .map(|rows| of_reference.iter().map(|&r| rows[r].clone()).collect()),
            verdicts: of_query
                .iter()
                .map(|&q| of_reference.iter().map(|&r| self.verdicts[q][r]).collect())
                .collect(),
            same: of_query
                .iter()
                .map(|&q| self.same[q].and_then(place).map(|row| row as u32))
                .collect(),
        }
    }
}

/// A Euclidean distance and a dot product, of rows as they come.
pub(crate) fn distances() -> [Arc<dyn Distance>; 2] {
    let lp = LpDistanceConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    let dot = DotProductSimilarityConfig {
        normalize_embeddings: false,
        ..Default::default()
    };
    [
        Arc::new(LpDistance::new(lp).unwrap()),
        Arc::new(DotProductSimilarity::new(dot).unwrap()),
    ]
}

/// h of every query and reference: the distance, or the negative of the similarity.
pub(crate) fn far(batch: &Batch, distance: &dyn Distance) -> Result<Vec<Vec<f32>>> {
    let mut matrix = batch.distances(distance)?.to_vec2::<f32>()?;
    if distance.order() == Order::LargerIsCloser {
        matrix.iter_mut().flatten().for_each(|s| *s = -*s);
    }
    Ok(matrix)
}

pub(crate) fn is_positive(batch: &Batch, q: usize, r: usize) -> bool {
    matches!(
        batch.relation().unwrap().pair_kind(q, r),
        PairKind::Positive(_)
    )
}

pub(crate) fn is_negative(batch: &Batch, q: usize, r: usize) -> bool {
    matches!(
        batch.relation().unwrap().pair_kind(q, r),
        PairKind::Negative(_)
    )
}

pub(crate) fn triplets(tuples: &Tuples, batch: &Batch) -> Result<Vec<[u32; 3]>> {
    let list = tuples.triplets(batch)?;
    let rows = list
        .anchors
        .iter()
        .zip(&list.positives)
        .zip(&list.negatives);
    let mut all: Vec<[u32; 3]> = rows.map(|((&a, &p), &n)| [a, p, n]).collect();
    all.sort_unstable();
    Ok(all)
}

/// Positive and negative pairs, sorted.
pub(crate) type PairLists = (Vec<[u32; 2]>, Vec<[u32; 2]>);

pub(crate) fn pairs(tuples: &Tuples, batch: &Batch) -> Result<PairLists> {
    let list = tuples.pairs(batch)?;
    let join = |a: &[u32], b: &[u32]| {
        let mut all: Vec<[u32; 2]> = a.iter().zip(b).map(|(&a, &b)| [a, b]).collect();
        all.sort_unstable();
        all
    };
    Ok((
        join(&list.positive_anchors, &list.positives),
        join(&list.negative_anchors, &list.negatives),
    ))
}

/// `f` on so many batches, half of them coarse, each with a distance and with a similarity.
pub(crate) fn for_batches(
    count: usize,
    mut f: impl FnMut(&Recipe, &Batch, Arc<dyn Distance>, &mut ChaCha8Rng) -> Result<()>,
) -> Result<()> {
    let mut rng = ChaCha8Rng::seed_from_u64(1706);
    for round in 0..count {
        let recipe = Recipe::random(&mut rng, round % 2 == 0);
        let batch = recipe.batch()?;
        for distance in distances() {
            f(&recipe, &batch, distance, &mut rng)?;
        }
    }
    Ok(())
}
