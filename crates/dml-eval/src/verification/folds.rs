//! Accuracy on pairs that the threshold was not chosen on.

use dml_core::{Order, Result, check};

use super::Verification;

/// What [`fold_accuracies`] finds.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::fold_accuracies;
///
/// let distances = [0.1, 0.9, 0.2, 0.8];
/// let found = fold_accuracies(&distances, &[true, false, true, false], Order::SmallerIsCloser, 2)?;
/// assert_eq!((found.accuracies.len(), found.thresholds.len()), (2, 2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct FoldAccuracies {
    /// The accuracy on each fold.
    pub accuracies: Vec<f64>,
    /// The threshold that the other folds chose.
    pub thresholds: Vec<f64>,
    /// The mean of the accuracies.
    pub mean: f64,
    /// The standard error of that mean: the sample standard deviation over the square root of the number of folds.
    pub standard_error: f64,
}

/// For each of `folds` runs of pairs, the accuracy at the threshold that is best on all others: with 10 folds, the protocol
/// of Labeled Faces in the Wild, whose list of pairs comes fold by fold.
///
/// Huang et al., "Labeled Faces in the Wild" (2007).
///
/// ```
/// use dml_core::Order;
/// use dml_eval::fold_accuracies;
///
/// let distances = [0.1, 0.9, 0.2, 0.8, 0.3, 0.5];
/// let same = [true, false, true, false, true, false];
/// let found = fold_accuracies(&distances, &same, Order::SmallerIsCloser, 3)?;
/// // The first two folds choose 0.2; the same thing is further apart in the third.
/// assert_eq!(found.accuracies, [1.0, 1.0, 0.5]);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// As [`Verification::new`] for the pairs outside of each fold, and
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) unless there are at least 2 folds, and at least as many
/// pairs.
pub fn fold_accuracies(
    closeness: &[f64],
    same: &[bool],
    order: Order,
    folds: usize,
) -> Result<FoldAccuracies> {
    let pairs = closeness.len();
    check::length("same", pairs, same.len())?;
    let fits = (2..=pairs).contains(&folds);
    let expected = "a number from 2 to the number of pairs";
    check::parameter(fits, "folds", folds as f64, expected)?;
    let (mut accuracies, mut thresholds) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let (start, end) = (fold * pairs / folds, (fold + 1) * pairs / folds);
        let others = Verification::new(
            &[&closeness[..start], &closeness[end..]].concat(),
            &[&same[..start], &same[end..]].concat(),
            order,
        )?;
        let threshold = others.best_accuracy().threshold;
        let sign = order.sign();
        let right = closeness[start..end]
            .iter()
            .zip(&same[start..end])
            .filter(|(value, same)| (sign * **value <= sign * threshold) == **same);
        accuracies.push(right.count() as f64 / (end - start) as f64);
        thresholds.push(threshold);
    }
    let mean = accuracies.iter().sum::<f64>() / folds as f64;
    let squares: f64 = accuracies.iter().map(|x| (x - mean) * (x - mean)).sum();
    Ok(FoldAccuracies {
        accuracies,
        thresholds,
        mean,
        standard_error: (squares / (folds - 1) as f64 / folds as f64).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Error;

    #[test]
    fn the_threshold_comes_from_the_other_folds() -> Result<()> {
        // The first fold alone would choose 9; the second chooses 2.
        let similarity = [9., 8., 1., 2.];
        let same = [true, false, false, true];
        let found = fold_accuracies(&similarity, &same, Order::LargerIsCloser, 2)?;
        assert_eq!(found.thresholds, [2., 9.]);
        // 9 is accepted rightly and 8 wrongly; 1 is rejected rightly and 2 wrongly.
        assert_eq!(found.accuracies, [0.5, 0.5]);
        assert_eq!((found.mean, found.standard_error), (0.5, 0.0));
        Ok(())
    }

    #[test]
    fn the_spread_of_the_folds() -> Result<()> {
        let distances = [1., 2., 3., 1., 1., 2.];
        let same = [true, false, true, false, true, false];
        let found = fold_accuracies(&distances, &same, Order::SmallerIsCloser, 3)?;
        let mean = found.accuracies.iter().sum::<f64>() / 3.0;
        let variance = found
            .accuracies
            .iter()
            .map(|x| (x - mean).powi(2))
            .sum::<f64>()
            / 2.0;
        assert!((found.standard_error - (variance / 3.0).sqrt()).abs() < 1e-15);
        Ok(())
    }

    #[test]
    fn bad_folds_are_refused() {
        let closer = Order::SmallerIsCloser;
        for folds in [0, 1, 5] {
            let result = fold_accuracies(&[0.; 4], &[true, false, true, false], closer, folds);
            assert!(matches!(
                result,
                Err(Error::InvalidParameter { name: "folds", .. })
            ));
        }
        assert!(matches!(
            fold_accuracies(&[0.; 4], &[true], closer, 2),
            Err(Error::Length { .. })
        ));
        // Without the first fold there is no pair of different things.
        assert!(matches!(
            fold_accuracies(&[0.; 4], &[false, false, true, true], closer, 2),
            Err(Error::Unsupported { .. })
        ));
    }
}
