//! How a number changes.

use super::axes::{Axes, Scale};
use super::drawing::{Color, Drawing};

/// A line through `values`, the first of which stands at `first` of the axis `along`, such as iterations from 0 or epochs
/// from 1.
///
/// The vertical axis, which is called `name`, takes in 0, unless all values are far from it. Values that are not finite leave
/// a gap.
///
/// ```
/// use dml_eval::pictures::line_chart;
///
/// let svg = line_chart("loss", ("iteration", 0), &[0.5, 0.25, 0.125]).to_svg()?;
/// assert!(svg.contains("iteration") && svg.contains("loss"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn line_chart(name: &str, (along, first): (&str, u64), values: &[f64]) -> Drawing {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    // Small changes far from 0 would not be seen beside it.
    let low = if low > 0.5 * high { low } else { low.min(0.0) };
    let (low, high) = if low < high { (low, high) } else { (0.0, 1.0) };
    let room = 0.05 * (high - low);
    let from = first as f64;
    let x = Scale::Whole {
        from,
        to: from + values.len().max(2) as f64 - 1.0,
    };
    let y = Scale::Linear {
        from: if low == 0.0 { 0.0 } else { low - room },
        to: high + room,
    };
    let axes = Axes::wide(x, y);
    let mut drawing = axes.drawing("", (along, name), 30);
    let points = (0u64..).zip(values);
    let points: Vec<_> = points
        .map(|(i, value)| (axes.point(from + i as f64, *value), value.is_finite()))
        .collect();
    for piece in points.split(|(_, finite)| !finite) {
        let line: Vec<(f64, f64)> = piece.iter().map(|(point, _)| *point).collect();
        match line.as_slice() {
            [] => {}
            // A line of one point would not be seen.
            [point] => drawing.disc(*point, 3.0, Color::of_class(0)),
            line => drawing.line(line, 2.0, Color::of_class(0)),
        }
    }
    drawing
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Result;

    #[test]
    fn lines_break_where_there_is_no_number_and_points_are_dots() -> Result<()> {
        let values = [3.0, 2.0, f64::NAN, 1.0, f64::INFINITY, 0.5, 0.25];
        let drawing = line_chart("loss <1>", ("epoch", 1), &values);
        let svg = drawing.to_svg()?;
        assert_eq!(svg.matches("<circle").count(), 1);
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2, "{svg}");
        assert!(
            svg.contains("loss &lt;1&gt;") && svg.contains(">epoch<"),
            "{svg}"
        );
        // From the first epoch to the last.
        assert!(
            svg.contains(">1</text>") && svg.contains(">7</text>"),
            "{svg}"
        );
        assert!(!drawing.to_png()?.is_empty());
        Ok(())
    }

    #[test]
    fn no_values_one_value_and_equal_values_are_drawn() -> Result<()> {
        for values in [
            &[][..],
            &[2.0],
            &[0.0, 0.0],
            &[-1.0, -1.0],
            &[1e300, -1e300],
        ] {
            let svg = line_chart("loss", ("iteration", 0), values).to_svg()?;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        Ok(())
    }
}
