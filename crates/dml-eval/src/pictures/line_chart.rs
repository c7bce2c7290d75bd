//! How a number changes.

use super::axes::{Axes, Scale};
use super::drawing::{Color, Drawing};

/// A line through `values`, the first of which stands at `first` of the axis `along`, such as iterations from 0 or epochs
/// from 1. The vertical axis, which is called `name`, begins at 0 or at the smallest value below.
///
/// Values that are not finite leave a gap.
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
    let (low, high) = (finite().fold(0.0, f64::min), finite().fold(0.0, f64::max));
    let high = if high > low { high } else { low + 1.0 };
    let from = first as f64;
    let x = Scale::Linear {
        from,
        to: from + values.len().max(2) as f64 - 1.0,
    };
    let y = Scale::Linear {
        from: low,
        to: high + 0.05 * (high - low),
    };
    let axes = Axes::wide(x, y);
    let title = format!("{name}, by {along}");
    let mut drawing = axes.drawing(&title, (along, name), 30);
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
        let with_lines = svg.matches("<polyline").count();
        let frame = line_chart("loss", ("epoch", 1), &[]).to_svg()?;
        assert_eq!(with_lines, frame.matches("<polyline").count() + 2);
        assert!(svg.contains("loss &lt;1&gt;, by epoch"), "{svg}");
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
