//! Matches: rows that are close enough.
//!
//! ```text
//! match(q, r)   d(q, r) <= threshold for a distance, >= threshold for a similarity
//! ```

use std::sync::Arc;

use candle_core::{Device, Tensor};
use dml_core::autograd::{Element, with_slice};
use dml_core::kernels::Real;
use dml_core::{Distance, DistanceKind, Order, Result, TensorExt, check, for_element};

use super::Matches;
use crate::rows::distance_blocks::each_matrix;
use crate::rows::{check_finite, checked_rows, rows_like};

dml_core::config! {
    /// Configuration of [`MatchFinder`].
    pub struct MatchFinderConfig {
        /// From where on rows match, in the unit of the distance. Default: it is given with every call.
        pub threshold: Option<f64> = None,
    }
}

/// Finds the rows that match: PML's `MatchFinder`; [formula](self).
///
/// ```
/// use dml_core::{Distance, Result, TensorExt, candle_core::{Device, Tensor}};
/// use dml_eval::{MatchFinder, MatchFinderConfig};
///
/// #[derive(Debug)]
/// struct Manhattan;
///
/// impl Distance for Manhattan {
///     fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
///         query.pairwise_lp(reference.unwrap_or(query), 1.0)
///     }
/// }
///
/// let finder = MatchFinder::new(MatchFinderConfig { threshold: Some(2.0) }, Manhattan)?;
/// let rows = Tensor::new(&[[0f32, 0.], [1., 1.], [5., 0.]], &Device::Cpu)?;
/// let gallery = Tensor::new(&[[1f32, 0.], [5., 2.]], &Device::Cpu)?;
/// let matches = finder.get_matching_pairs(&rows, Some(&gallery), None)?;
/// assert_eq!(matches.pairs, [(0, 0), (1, 0), (2, 1)]);
/// // The threshold of a call goes before that of the configuration.
/// assert_eq!(finder.get_matching_pairs(&rows, Some(&gallery), Some(1.0))?.pairs, [(0, 0), (1, 0)]);
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MatchFinder {
    threshold: Option<f64>,
    distance: Arc<dyn Distance>,
}

impl MatchFinder {
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if the threshold is not a number.
    pub fn new(config: MatchFinderConfig, distance: impl Distance + 'static) -> Result<Self> {
        if let Some(threshold) = config.threshold {
            checked_threshold(threshold)?;
        }
        Ok(Self {
            threshold: config.threshold,
            distance: Arc::new(distance),
        })
    }

    /// What rows are compared by.
    #[must_use]
    pub fn distance(&self) -> &Arc<dyn Distance> {
        &self.distance
    }

    /// The threshold where a call gives none.
    #[must_use]
    pub fn default_threshold(&self) -> Option<f64> {
        self.threshold
    }

    /// The matches of `query` `[Q, dim]` among `reference` `[R, dim]`; `None` compares the queries among themselves,
    /// each with itself too. `threshold` `None` takes that of the configuration.
    ///
    /// The distance matrix is taken in blocks: memory grows with the number of matches.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if there is no threshold at all or it is not a
    /// number, a row is not finite or a distance is not a number; [`Error::Shape`](dml_core::Error::Shape) and
    /// [`Error::DType`](dml_core::Error::DType) unless the rows fit each other.
    pub fn get_matching_pairs(
        &self,
        query: &Tensor,
        reference: Option<&Tensor>,
        threshold: Option<f64>,
    ) -> Result<Matches> {
        let threshold = self.threshold(threshold)?;
        let query = checked_rows("query", query, None, None)?;
        check_finite("query", &query)?;
        let reference = match reference {
            Some(reference) => {
                let reference = rows_like("reference", reference, &query)?;
                check_finite("reference", &reference)?;
                reference
            }
            None => query.clone(),
        };
        let (queries, references) = (query.dims()[0], reference.dims()[0]);
        let mut pairs = Vec::new();
        each_matrix(&query, &reference, &self.distance, None, |start, matrix| {
            let found = self.matches(&matrix, threshold)?;
            for (i, _) in found.iter().enumerate().filter(|(_, found)| **found) {
                pairs.push(((start + i / references) as u32, (i % references) as u32));
            }
            Ok(())
        })?;
        Ok(Matches {
            pairs,
            queries,
            references,
        })
    }

    /// Whether row i of `query` `[N, dim]` matches row i of `reference` `[N, dim]`. As in PML the rows are compared as they
    /// come ([`raw_pairs`](Distance::raw_pairs)), and p-norms add 1e-6 to every difference.
    ///
    /// # Errors
    /// As [`get_matching_pairs`](MatchFinder::get_matching_pairs).
    pub fn is_match(
        &self,
        query: &Tensor,
        reference: &Tensor,
        threshold: Option<f64>,
    ) -> Result<Vec<bool>> {
        let threshold = self.threshold(threshold)?;
        let query = checked_rows("query", query, None, None)?;
        let reference = rows_like("reference", reference, &query)?;
        check::same_shape("reference", &reference, &query)?;
        check_finite("query", &query)?;
        check_finite("reference", &reference)?;
        self.matches(&self.pairwise(&query, &reference)?, threshold)
    }

    /// Row i with row i as PML's `pairwise_distance` compares them.
    fn pairwise(&self, query: &Tensor, reference: &Tensor) -> Result<Tensor> {
        match self.distance.kind() {
            DistanceKind::Lp { p, .. } => ((query - reference)? + 1e-6)?.row_norms(p),
            _ => self.distance.raw_pairs(query, reference),
        }
    }

    fn threshold(&self, of_call: Option<f64>) -> Result<f64> {
        checked_threshold(of_call.or(self.threshold).unwrap_or(f64::NAN))
    }

    /// Whether each of the distances is one of a match.
    fn matches(&self, distances: &Tensor, threshold: f64) -> Result<Vec<bool>> {
        let distances = distances.to_device(&Device::Cpu)?;
        for_element!(distances, "distances", |T| within::<T>(
            &distances,
            threshold,
            self.distance.order()
        ))
    }
}

fn checked_threshold(threshold: f64) -> Result<f64> {
    let expected = "a number, in the configuration or with the call";
    check::parameter(!threshold.is_nan(), "threshold", threshold, expected)
}

/// Compares in the precision of the distances, in which they can be equal to the threshold.
fn within<T: Element>(distances: &Tensor, threshold: f64, order: Order) -> Result<Vec<bool>> {
    let threshold = <T as Real>::from_f64(threshold);
    let mut all_numbers = true;
    let found = with_slice::<T, _>(distances, |distances| {
        let close = |distance: &T| {
            all_numbers &= !Real::is_nan(*distance);
            match order {
                Order::SmallerIsCloser => *distance <= threshold,
                Order::LargerIsCloser => *distance >= threshold,
            }
        };
        distances.iter().map(close).collect()
    })?;
    check::parameter(all_numbers, "distance", f64::NAN, "numbers")?;
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::DType;
    use dml_core::Error;
    use dml_core::TensorExt;

    /// |q − r| on a line.
    #[derive(Debug)]
    struct Gap;

    impl Distance for Gap {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            query.pairwise_lp(reference.unwrap_or(query), 1.0)
        }
    }

    /// q·r.
    #[derive(Debug)]
    struct Product;

    impl Distance for Product {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            query.pairwise_dot(reference.unwrap_or(query))
        }

        fn order(&self) -> Order {
            Order::LargerIsCloser
        }
    }

    /// ∞ − ∞, however near rows are.
    #[derive(Debug)]
    struct Infinite;

    impl Distance for Infinite {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            let products = query.pairwise_dot(reference.unwrap_or(query))?;
            Ok(((&products / 0.0)? - (&products / 0.0)?)?)
        }
    }

    fn line(places: &[f32]) -> Tensor {
        Tensor::from_slice(places, (places.len(), 1), &Device::Cpu).unwrap()
    }

    fn finder(threshold: Option<f64>) -> MatchFinder {
        MatchFinder::new(MatchFinderConfig { threshold }, Gap).unwrap()
    }

    #[test]
    fn the_threshold_itself_matches_and_rows_match_themselves() -> Result<()> {
        let matches = finder(Some(2.0)).get_matching_pairs(&line(&[0., 2., 4.5]), None, None)?;
        assert_eq!(matches.pairs, [(0, 0), (0, 1), (1, 0), (1, 1), (2, 2)]);
        assert_eq!((matches.queries, matches.references), (3, 3));
        assert_eq!(matches.mask().iter().filter(|m| **m).count(), 5);
        // 0.1 in single precision is not 0.1 in double precision: it is compared in single precision.
        let close =
            finder(Some(0.1)).get_matching_pairs(&line(&[0.]), Some(&line(&[0.1])), None)?;
        assert_eq!(close.pairs, [(0, 0)]);
        Ok(())
    }

    #[test]
    fn similarities_match_from_the_threshold_up() -> Result<()> {
        let finder = MatchFinder::new(
            MatchFinderConfig {
                threshold: Some(6.0),
            },
            Product,
        )?;
        let (a, b) = (line(&[1., 2., -3.]), line(&[6., 2., -3.]));
        assert_eq!(finder.is_match(&a, &b, None)?, [true, false, true]);
        assert_eq!(finder.is_match(&a, &b, Some(5e9))?, [false; 3]);
        let matches = finder.get_matching_pairs(&a, Some(&b), None)?;
        assert_eq!(matches.pairs, [(0, 0), (1, 0), (2, 2)]);
        Ok(())
    }

    /// Σ |q − r|, under the name of its formula.
    #[derive(Debug)]
    struct Manhattan;

    impl Distance for Manhattan {
        fn matrix(&self, query: &Tensor, reference: Option<&Tensor>) -> Result<Tensor> {
            query.pairwise_lp(reference.unwrap_or(query), 1.0)
        }

        fn kind(&self) -> DistanceKind {
            DistanceKind::Lp {
                p: 1.0,
                power: 1.0,
                normalized: false,
            }
        }
    }

    #[test]
    fn a_norm_adds_a_millionth_to_every_difference_of_a_pair() -> Result<()> {
        let config = MatchFinderConfig { threshold: None };
        let finder = MatchFinder::new(config, Arc::new(Manhattan))?;
        let rows = Tensor::new(&[[0f64, 0.]], &Device::Cpu)?;
        let moved = Tensor::new(&[[-3f64, -4.]], &Device::Cpu)?;
        for (reference, exact) in [(&rows, 0.0), (&moved, 7.0)] {
            let matches = |threshold| finder.is_match(&rows, reference, Some(exact + threshold));
            assert_eq!(
                (matches(1.9e-6)?, matches(2.1e-6)?),
                (vec![false], vec![true])
            );
        }
        Ok(())
    }

    #[test]
    fn blocks_don_t_show() -> Result<()> {
        let places: Vec<f32> = (0..3_000).map(|i| (i % 50) as f32).collect();
        let rows = line(&places);
        let matches = finder(Some(0.0)).get_matching_pairs(&rows, None, None)?;
        assert_eq!(matches.pairs.len(), 3_000 * 60);
        assert!(matches.pairs.is_sorted());
        assert!(matches.pairs.iter().all(|(q, r)| q % 50 == r % 50));
        Ok(())
    }

    #[test]
    fn bad_thresholds_and_rows_are_refused() {
        let no_threshold = |result: Result<Matches>| {
            matches!(
                result,
                Err(Error::InvalidParameter {
                    name: "threshold",
                    ..
                })
            )
        };
        let rows = line(&[0., 1.]);
        assert!(no_threshold(
            finder(None).get_matching_pairs(&rows, None, None)
        ));
        assert!(no_threshold(finder(Some(1.0)).get_matching_pairs(
            &rows,
            None,
            Some(f64::NAN)
        )));
        let config = MatchFinderConfig {
            threshold: Some(f64::NAN),
        };
        assert!(MatchFinder::new(config, Gap).is_err());
        let finder = finder(Some(1.0));
        assert!(matches!(
            finder.is_match(&rows, &line(&[0.]), None),
            Err(Error::Shape { .. })
        ));
        assert!(matches!(
            finder.get_matching_pairs(&rows.flatten_all().unwrap(), None, None),
            Err(Error::Shape { arg: "query", .. })
        ));
        for odd in [f32::NAN, f32::INFINITY] {
            let odd = line(&[0., odd]);
            for refused in [
                finder.get_matching_pairs(&odd, None, None).err(),
                finder.get_matching_pairs(&rows, Some(&odd), None).err(),
                finder.is_match(&rows, &odd, None).err(),
                finder.is_match(&odd, &rows, None).err(),
            ] {
                assert!(matches!(refused, Some(Error::InvalidParameter { .. })));
            }
        }
        // Finite rows whose distance is no number: 3e38 · 3e38 − 3e38 · 3e38.
        let long = Tensor::new(&[[3e38f32, 3e38]], &Device::Cpu).unwrap();
        let turned = Tensor::new(&[[3e38f32, -3e38]], &Device::Cpu).unwrap();
        let config = MatchFinderConfig {
            threshold: Some(1.0),
        };
        let products = MatchFinder::new(config, Infinite).unwrap();
        assert!(matches!(
            products.get_matching_pairs(&long, Some(&turned), None),
            Err(Error::InvalidParameter {
                name: "distance",
                ..
            })
        ));
        let double = rows.to_dtype(DType::F64).unwrap();
        assert!(matches!(
            finder.get_matching_pairs(&rows, Some(&double), None),
            Err(Error::DType {
                arg: "reference",
                ..
            })
        ));
    }
}
