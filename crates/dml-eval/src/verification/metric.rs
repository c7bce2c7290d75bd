//! Numbers of a verification by name.
//!
//! ```text
//! roc_auc                  AUC
//! eer                      EER
//! tar_at_far_RATE          TAR where FAR is at most RATE, such as tar_at_far_0.001
//! fnmr_at_fmr_RATE         1 − TAR there: the share of pairs of the same thing that are rejected, as biometrics has it
//! best_accuracy            the largest share of right answers that a threshold gives
//! best_accuracy_threshold  the strictest threshold that gives it
//! best_f1                  the largest F1 of accepting pairs of the same thing
//! best_f1_threshold        the strictest threshold that gives it
//! ```
//!
//! The terms are those of [verification](super).

use std::fmt;
use std::str::FromStr;

use dml_core::{Error, Result, check};

use super::Verification;

/// A number that says how well a threshold tells pairs apart; [names](self).
///
/// ```
/// use dml_core::Order;
/// use dml_eval::{Verification, VerificationMetric};
///
/// let (distances, same) = ([0.1, 0.2, 0.6, 0.5], [true, true, true, false]);
/// let verification = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
/// let value = |name: &str| name.parse::<VerificationMetric>()?.of(&verification);
/// assert_eq!(value("roc_auc")?, 2. / 3.);
/// assert_eq!(value("tar_at_far_0.01")?, 2. / 3.);
/// assert_eq!((value("best_accuracy")?, value("best_accuracy_threshold")?), (0.75, 0.2));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(try_from = "String", into = "String"))]
#[non_exhaustive]
pub enum VerificationMetric {
    /// The area under the curve.
    RocAuc,
    /// The rate at which both errors are alike.
    EqualErrorRate,
    /// The largest true accept rate whose false accept rate is at most this one, in `[0, 1]`.
    TrueAcceptRateAt(f64),
    /// The smallest false non-match rate, which is 1 less the true accept rate, whose false match rate is at most this
    /// one, in `[0, 1]`.
    FalseNonMatchRateAt(f64),
    /// The largest share of right answers.
    BestAccuracy,
    /// The threshold of the largest share of right answers, in the unit of the distance; infinite where it is best to
    /// accept no pair.
    BestAccuracyThreshold,
    /// The largest F1.
    BestF1,
    /// The threshold of the largest F1.
    BestF1Threshold,
}

impl VerificationMetric {
    /// The number of these pairs.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`] if the rate is not in `[0, 1]`.
    pub fn of(self, verification: &Verification) -> Result<f64> {
        Ok(match self {
            Self::RocAuc => verification.auc(),
            Self::EqualErrorRate => verification.equal_error_rate().rate,
            Self::TrueAcceptRateAt(rate) => {
                verification.at_false_accept_rate(rate)?.true_accept_rate
            }
            Self::FalseNonMatchRateAt(rate) => {
                1.0 - verification.at_false_accept_rate(rate)?.true_accept_rate
            }
            Self::BestAccuracy => verification.best_accuracy().value,
            Self::BestAccuracyThreshold => verification.best_accuracy().threshold,
            Self::BestF1 => verification.best_f1().value,
            Self::BestF1Threshold => verification.best_f1().threshold,
        })
    }
}

impl fmt::Display for VerificationMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RocAuc => f.write_str("roc_auc"),
            Self::EqualErrorRate => f.write_str("eer"),
            Self::TrueAcceptRateAt(rate) => write!(f, "tar_at_far_{rate}"),
            Self::FalseNonMatchRateAt(rate) => write!(f, "fnmr_at_fmr_{rate}"),
            Self::BestAccuracy => f.write_str("best_accuracy"),
            Self::BestAccuracyThreshold => f.write_str("best_accuracy_threshold"),
            Self::BestF1 => f.write_str("best_f1"),
            Self::BestF1Threshold => f.write_str("best_f1_threshold"),
        }
    }
}

impl FromStr for VerificationMetric {
    type Err = Error;

    /// The metric of that name, with a number in the place of `RATE`.
    fn from_str(name: &str) -> Result<Self> {
        let plain = [
            Self::RocAuc,
            Self::EqualErrorRate,
            Self::BestAccuracy,
            Self::BestAccuracyThreshold,
            Self::BestF1,
            Self::BestF1Threshold,
        ];
        if let Some(metric) = plain.into_iter().find(|metric| metric.to_string() == name) {
            return Ok(metric);
        }
        let unknown = Error::unsupported(
            "VerificationMetric",
            "no metric has that name; known are roc_auc, eer, tar_at_far_RATE, fnmr_at_fmr_RATE, best_accuracy, \
                     best_accuracy_threshold, best_f1 and best_f1_threshold",
        );
        let at = |prefix: &str, metric: fn(f64) -> Self| {
            name.strip_prefix(prefix).map(|rate| (rate, metric))
        };
        let accepted = at("tar_at_far_", Self::TrueAcceptRateAt);
        let rated = accepted.or_else(|| at("fnmr_at_fmr_", Self::FalseNonMatchRateAt));
        let Some((Ok(rate), metric)) = rated.map(|(rate, metric)| (rate.parse::<f64>(), metric))
        else {
            return Err(unknown);
        };
        let fits = (0.0..=1.0).contains(&rate);
        Ok(metric(check::parameter(
            fits,
            "rate",
            rate,
            "a number in [0, 1]",
        )?))
    }
}

dml_core::as_text!(VerificationMetric);

#[cfg(test)]
mod tests {
    use super::VerificationMetric as Metric;
    use super::*;
    use dml_core::Order;

    #[test]
    fn every_name_gives_its_number() -> Result<()> {
        // Distances 1 T, 2 T F, 3 F, 4 T.
        let same = [true, false, true, false, true];
        let pairs = Verification::new(&[4., 2., 1., 3., 2.], &same, Order::SmallerIsCloser)?;
        for (name, value) in [
            ("roc_auc", 3.5 / 6.),
            ("eer", 0.4),
            ("tar_at_far_0", 1. / 3.),
            ("tar_at_far_0.5", 2. / 3.),
            ("fnmr_at_fmr_0.5", 1. / 3.),
            ("best_accuracy", 0.6),
            ("best_accuracy_threshold", 1.),
            ("best_f1", 0.75),
            ("best_f1_threshold", 4.),
        ] {
            let metric: Metric = name.parse()?;
            assert_eq!(metric.to_string(), name);
            assert!((metric.of(&pairs)? - value).abs() < 1e-15, "{name}");
        }
        assert_eq!(
            "tar_at_far_1e-3".parse::<Metric>()?.to_string(),
            "tar_at_far_0.001"
        );
        Ok(())
    }

    #[test]
    fn unknown_names_and_rates_outside_of_their_range_are_refused() -> Result<()> {
        for name in ["", "auc", "tar_at_far_", "fnmr_at_fmr_x", "best_accuracy "] {
            let error = name.parse::<Metric>().unwrap_err();
            assert!(
                error.to_string().contains("tar_at_far_RATE"),
                "{name}: {error}"
            );
        }
        for name in ["tar_at_far_1.5", "tar_at_far_-0.1", "fnmr_at_fmr_NaN"] {
            assert!(matches!(
                name.parse::<Metric>(),
                Err(Error::InvalidParameter { name: "rate", .. })
            ));
        }
        let pairs = Verification::new(&[1., 2.], &[true, false], Order::SmallerIsCloser)?;
        assert!(Metric::TrueAcceptRateAt(2.0).of(&pairs).is_err());
        Ok(())
    }
}
