//! Centroid triplet loss: an anchor should be closer to the centroid of its own class than to those of the others.
//!
//! ```text
//! v = h(a, c(a)) − h(a, cₖ) + margin       h: the distance; for similarities its negative
//! ℓ = max(0, v)                            smooth_loss: ln(1 + eᵛ)
//! c(a): the mean of a's class without a itself        cₖ: the mean of another class k
//! swap: h(a, cₖ) is replaced by min(h(a, cₖ), h(c(a), cₖ))
//! ```
//!
//! Wieczorek, Rychalska and Dąbrowski, "On the Unreasonable Effectiveness of Centroids in Image Retrieval" (2021,
//! arXiv:2104.13643). The means are of the rows as they come; the distance prepares them as it does embeddings. An anchor
//! that is alone in its class has no centroid, and gives nothing. With a reference set the centroids are those of the
//! references, without the one that is the anchor itself, if the relation knows of one.
//!
//! `O(N C)` values for C classes.

use std::collections::BTreeMap;
use std::sync::Arc;

use candle_core::Tensor;
use dml_core::{
    Batch, Distance, Error, Indices, Loss, Over, Relation, Result, SeedSequence, TensorExt, Term,
    Terms, Tuples,
};
use rand::Rng;

use crate::TripletsPerAnchor;
use crate::machinery::requirements;
use crate::machinery::triplet_cost::TripletCost;

dml_core::config! {
    /// Configuration of [`CentroidTripletLoss`].
    pub struct CentroidTripletLossConfig {
        /// The margin, in units of the distance; in `[-1e30, 1e30]`. Default `0.05`.
        pub margin: f64 = 0.05,
        /// Whether the distance between the two centroids counts where it is the smaller one. Default `false`.
        pub swap: bool = false,
        /// Whether a violation costs `ln(1 + eᵛ)` instead of `max(0, v)`. Default `false`.
        pub smooth_loss: bool = false,
        /// How many other classes each anchor is compared with. Default all.
        pub triplets_per_anchor: TripletsPerAnchor = TripletsPerAnchor::All,
        /// Where the random classes come from: successive calls draw differently, runs of one seed alike. Default `0`.
        pub seed: u64 = 0,
    }
}

/// Triplets of an anchor and two centroids ([formula](self)). One term `loss`, with a value for each anchor and other
/// class, which belongs to the anchor's row.
///
/// ```
/// use dml_core::{Batch, Distance, Loss, Result, TensorExt, Tuples, candle_core::{Device, Tensor}};
/// use dml_losses::{CentroidTripletLoss, CentroidTripletLossConfig};
///
/// #[derive(Debug)]
/// struct Euclidean;
/// impl Distance for Euclidean {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 2.0)
///     }
/// }
///
/// let config = CentroidTripletLossConfig { margin: 1.0, ..Default::default() };
/// let loss = CentroidTripletLoss::new(config, Euclidean)?;
/// let embeddings = Tensor::new(&[[0f32], [1.], [3.], [2.]], &Device::Cpu)?;
/// let terms = loss.terms(&Batch::new(&embeddings, &[0i64, 0, 0, 1])?, &Tuples::all())?;
/// // Without itself, row 0 has its class at 2, row 1 at 1.5 and row 2 at 0.5; the other class is at 2.
/// let values = terms.get("loss").unwrap().values()?.0;
/// assert_eq!(values.to_vec1::<f32>()?, [2. - 2. + 1., 0.5 - 1. + 1., 2.5 - 1. + 1.]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct CentroidTripletLoss {
    cost: TripletCost,
    swap: bool,
    triplets_per_anchor: TripletsPerAnchor,
    seeds: SeedSequence,
    distance: Arc<dyn Distance>,
}

impl CentroidTripletLoss {
    /// A loss over `distance`.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the margin is not finite or no triplet per anchor is asked for.
    pub fn new(
        config: CentroidTripletLossConfig,
        distance: impl Distance + 'static,
    ) -> Result<Self> {
        Ok(Self {
            cost: TripletCost::new(config.margin, config.smooth_loss)?,
            swap: config.swap,
            triplets_per_anchor: config.triplets_per_anchor.checked()?,
            seeds: SeedSequence::new(config.seed),
            distance: Arc::new(distance),
        })
    }
}

impl Loss for CentroidTripletLoss {
    fn seeds(&self) -> Vec<SeedSequence> {
        vec![self.seeds.handle()]
    }

    /// # Errors
    /// [`Error::Missing`] for a batch whose relation was not made from labels, [`Error::Unsupported`] for tuples: an
    /// anchor is compared with classes, not with rows.
    fn terms(&self, batch: &Batch, tuples: &Tuples) -> Result<Terms> {
        requirements::check(self, "CentroidTripletLoss", batch, tuples)?;
        if let Some(terms) = batch.spoiled_rows()? {
            return Ok(terms);
        }
        let classes = Classes::new(batch.require_relation("CentroidTripletLoss")?)?;
        self.triplets_per_anchor.fits(classes.anchors.len())?;
        let triplets = self.triplets(&classes); // T
        if triplets.classes.is_empty() {
            return Ok(Term::empty("loss").into());
        }
        let rows = batch.embeddings();
        let (centroids, own) = classes.centroids(batch.reference().unwrap_or(rows))?; // [C, D], [A, D]
        let queries: Vec<u32> = classes.anchors.iter().map(|anchor| anchor.query).collect();
        let anchors = rows.index_select(&Tensor::new(queries, rows.device())?, 0)?; // [A, D]
        let of_anchor = Tensor::new(triplets.anchors.as_slice(), rows.device())?;
        let near = self
            .distance
            .pairs(&anchors, &own)?
            .index_select(&of_anchor, 0)?; // [T]
        let to_classes = |from: &Tensor| -> Result<Tensor> {
            let matrix = self.distance.matrix(from, Some(&centroids))?; // [A, C]
            matrix.pick_entries(&triplets.anchors, &triplets.classes)
        };
        let mut far = to_classes(&anchors)?; // [T]
        if self.swap {
            far = self.distance.closer(&far, &to_classes(&own)?)?;
        }
        let values = self.cost.of(&self.distance, &near, &far)?;
        let query = |anchor: &u32| classes.anchors[*anchor as usize].query;
        let indices = Indices::Elements(triplets.anchors.iter().map(query).collect());
        Ok(Term::explicit("loss", Over::Elements, values, indices)?.into())
    }

    fn takes_tuples(&self) -> bool {
        false
    }
}

impl CentroidTripletLoss {
    /// Each anchor with all other classes, or with some drawn with replacement.
    fn triplets(&self, classes: &Classes) -> CentroidTriplets {
        let mut triplets = CentroidTriplets::default();
        let mut rng = self.seeds.next_rng();
        let count = classes.sizes.len() as u32;
        for (i, anchor) in (0..).zip(&classes.anchors) {
            let others = count - 1;
            let other = |k: u32| k + u32::from(k >= anchor.class);
            match self.triplets_per_anchor {
                TripletsPerAnchor::All => triplets.classes.extend((0..others).map(other)),
                TripletsPerAnchor::Random(_) if others == 0 => {}
                TripletsPerAnchor::Random(drawn) => {
                    let drawn = (0..drawn).map(|_| other(rng.random_range(0..others)));
                    triplets.classes.extend(drawn);
                }
            }
            triplets.anchors.resize(triplets.classes.len(), i);
        }
        triplets
    }
}

/// Anchors by their place in the list of anchors, and classes other than theirs.
#[derive(Debug, Default)]
struct CentroidTriplets {
    anchors: Vec<u32>,
    classes: Vec<u32>,
}

/// A query whose class has other members.
#[derive(Clone, Copy, Debug)]
struct Anchor {
    query: u32,
    class: u32,
    /// The reference that is the query itself, if it is a member of the class.
    itself: Option<u32>,
}

/// The classes of the references, and the queries that have a centroid in them.
#[derive(Debug)]
struct Classes {
    /// The class of each reference, counted from 0 in the order of the labels.
    of_reference: Vec<u32>,
    /// How many references each class has.
    sizes: Vec<u32>,
    anchors: Vec<Anchor>,
}

impl Classes {
    fn new(relation: &Relation) -> Result<Self> {
        let (Some(query), Some(reference)) = (relation.query_labels(), relation.reference_labels())
        else {
            return Err(Error::missing("CentroidTripletLoss", "labels"));
        };
        let mut numbers: BTreeMap<i64, u32> = reference
            .as_slice()
            .iter()
            .map(|&label| (label, 0))
            .collect();
        (0..)
            .zip(numbers.values_mut())
            .for_each(|(i, number)| *number = i);
        let of_reference: Vec<u32> = reference.as_slice().iter().map(|l| numbers[l]).collect();
        let mut sizes = vec![0u32; numbers.len()];
        of_reference
            .iter()
            .for_each(|&class| sizes[class as usize] += 1);
        let mut anchors = Vec::new();
        for (q, label) in query.as_slice().iter().enumerate() {
            let Some(&class) = numbers.get(label) else {
                continue;
            };
            let itself = relation
                .self_match(q)
                .filter(|&r| of_reference.get(r) == Some(&class));
            if sizes[class as usize] > u32::from(itself.is_some()) {
                anchors.push(Anchor {
                    query: q as u32,
                    class,
                    itself: itself.map(|r| r as u32),
                });
            }
        }
        Ok(Self {
            of_reference,
            sizes,
            anchors,
        })
    }

    /// The mean of each class `[C, D]`, and of each anchor's class without the anchor itself `[A, D]`.
    fn centroids(&self, references: &Tensor) -> Result<(Tensor, Tensor)> {
        let (dtype, device) = (references.dtype(), references.device());
        let column = |numbers: Vec<f64>| -> Result<Tensor> {
            Ok(Tensor::new(numbers, device)?
                .to_dtype(dtype)?
                .unsqueeze(1)?)
        };
        let (classes, dim) = (self.sizes.len(), references.dims()[1]);
        let of_reference = Tensor::new(self.of_reference.as_slice(), device)?;
        let sums = Tensor::zeros((classes, dim), dtype, device)?;
        let sums = sums.index_add(&of_reference, references, 0)?; // [C, D]
        let sizes = self.sizes.iter().map(|&size| f64::from(size)).collect();
        let means = sums.broadcast_div(&column(sizes)?)?;

        let anchors = self.anchors.iter();
        let class: Vec<u32> = anchors.clone().map(|anchor| anchor.class).collect();
        let itself: Vec<u32> = anchors.clone().map(|a| a.itself.unwrap_or(0)).collect();
        let is_member: Vec<f64> = anchors
            .clone()
            .map(|a| f64::from(u8::from(a.itself.is_some())))
            .collect();
        let others = anchors
            .zip(&is_member)
            .map(|(anchor, one)| f64::from(self.sizes[anchor.class as usize]) - one)
            .collect();
        let sums = sums.index_select(&Tensor::new(class, device)?, 0)?; // [A, D]
        let itself = references.index_select(&Tensor::new(itself, device)?, 0)?;
        let left = (sums - itself.broadcast_mul(&column(is_member)?)?)?;
        Ok((means, left.broadcast_div(&column(others)?)?))
    }
}

#[cfg(test)]
mod tests;
