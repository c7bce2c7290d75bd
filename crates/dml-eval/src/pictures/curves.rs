//! The errors of verification at every threshold.

use super::axes::{Axes, Scale, short};
use super::drawing::{Color, Drawing};
use crate::verification::{OperatingPoint, Verification};

/// Area from which on the curve lies in the corner of linear axes.
const NEAR_PERFECT: f64 = 0.95;

/// True accepts over false accepts (ROC), with the area under the curve in the title.
///
/// From an area of 0.95 on, false accepts are in powers of ten: on a linear axis, the curve would lie on the frame. Chance is
/// grey.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::{Verification, pictures::roc_curve};
///
/// let same = [true, true, false, true, false];
/// let pairs = Verification::new(&[0.1, 0.2, 0.3, 0.4, 0.5], &same, Order::SmallerIsCloser)?;
/// assert!(roc_curve(&pairs).to_svg()?.contains("ROC, AUC 0.8333"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn roc_curve(pairs: &Verification) -> Drawing {
    let unit = Scale::Linear { from: 0.0, to: 1.0 };
    let points = pairs.roc();
    let accepts = match pairs.auc() >= NEAR_PERFECT {
        true => powers_of_ten(&points, |point| point.false_accept_rate),
        false => unit,
    };
    let axes = Axes::square(accepts, unit);
    let title = format!("ROC, AUC {}", short(pairs.auc()));
    let mut drawing = axes.drawing(&title, ("false accept rate", "true accept rate"), 30);
    let steps = (0..=100).map(|step| f64::from(step) / 100.0);
    let chance = steps.map(|along| {
        let rate = accepts.value(along);
        axes.point(rate, rate)
    });
    drawing.line(&chance.collect::<Vec<_>>(), 1.0, Color::GREY);
    let points = points
        .iter()
        .map(|p| (p.false_accept_rate, p.true_accept_rate));
    curve(&mut drawing, axes, points);
    drawing
}

/// False rejects over false accepts (DET), both in powers of ten, with the equal error rate in the title.
///
/// Rates below a ten-thousandth, or below what one pair is, stand at the edge.
///
/// ```
/// use dml_core::Order;
/// use dml_eval::{Verification, pictures::det_curve};
///
/// let pairs = Verification::new(&[0.1, 0.9], &[true, false], Order::SmallerIsCloser)?;
/// assert!(det_curve(&pairs).to_svg()?.contains("DET, EER 0"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn det_curve(pairs: &Verification) -> Drawing {
    let points = pairs.roc();
    let axes = Axes::square(
        powers_of_ten(&points, |point| point.false_accept_rate),
        powers_of_ten(&points, OperatingPoint::false_reject_rate),
    );
    let title = format!("DET, EER {}", short(pairs.equal_error_rate().rate));
    let mut drawing = axes.drawing(&title, ("false accept rate", "false reject rate"), 30);
    let points = points
        .iter()
        .map(|p| (p.false_accept_rate, p.false_reject_rate()));
    curve(&mut drawing, axes, points);
    drawing
}

/// An axis in powers of ten that has room for the smallest rate above 0, within limits.
fn powers_of_ten(points: &[OperatingPoint], rate: fn(&OperatingPoint) -> f64) -> Scale {
    let rates = points.iter().map(rate).filter(|rate| *rate > 0.0);
    let smallest = rates.fold(1.0, f64::min);
    Scale::Log {
        from: (smallest.log10().floor() as i32).clamp(-4, -1),
        to: 0,
    }
}

/// The curve, without the points that would fall on the one before.
fn curve(drawing: &mut Drawing, axes: Axes, points: impl Iterator<Item = (f64, f64)>) {
    let mut line: Vec<(f64, f64)> = Vec::new();
    let mut last = None;
    for (x, y) in points {
        let point = axes.point(x, y);
        let near = line
            .last()
            .is_some_and(|(x, y)| (x - point.0).abs() < 0.3 && (y - point.1).abs() < 0.3);
        if !near {
            line.push(point);
        }
        last = Some(point);
    }
    line.extend(last);
    drawing.line(&line, 2.0, Color::of_class(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::{Order, Result};

    #[test]
    fn a_million_pairs_are_a_short_line() -> Result<()> {
        let count = 100_000;
        let closeness: Vec<f64> = (0..count).map(|i| f64::from(i * 7919 % count)).collect();
        let same: Vec<bool> = (0..count).map(|i| i % 2 == 0).collect();
        let pairs = Verification::new(&closeness, &same, Order::SmallerIsCloser)?;
        for drawing in [roc_curve(&pairs), det_curve(&pairs)] {
            assert!(drawing.to_svg()?.len() < 200_000);
            assert!(!drawing.to_png()?.is_empty());
        }
        Ok(())
    }

    #[test]
    fn a_curve_in_the_corner_is_spread_over_powers_of_ten() -> Result<()> {
        // One negative pair in a thousand is closer than all positive ones.
        let mut same = vec![false];
        same.extend(vec![true; 1000]);
        same.extend(vec![false; 999]);
        let distances: Vec<f64> = (0..2000).map(f64::from).collect();
        let pairs = Verification::new(&distances, &same, Order::SmallerIsCloser)?;
        assert!(pairs.auc() > 0.998);
        assert!(roc_curve(&pairs).to_svg()?.contains(">0.001<"));
        let half = [true, false, true, false, true, false];
        let pairs = Verification::new(&distances[..6], &half, Order::SmallerIsCloser)?;
        let svg = roc_curve(&pairs).to_svg()?;
        assert!(svg.contains(">0.2<") && !svg.contains(">0.1<"), "{svg}");
        Ok(())
    }

    #[test]
    fn perfect_pairs_have_no_equal_error() -> Result<()> {
        let pairs = Verification::new(&[0.1, 0.9], &[true, false], Order::SmallerIsCloser)?;
        assert!(det_curve(&pairs).to_svg()?.contains("EER 0<"));
        assert!(roc_curve(&pairs).to_svg()?.contains("AUC 1<"));
        Ok(())
    }
}
