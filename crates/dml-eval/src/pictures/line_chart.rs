//! How a number changes.

use super::axes::{Axes, Scale};
use super::drawing::{Anchor, Color, Drawing};

/// Room above and below the values, as a share of the distance between them.
const ROOM: f64 = 0.05;

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
pub fn line_chart(name: &str, along: (&str, u64), values: &[f64]) -> Drawing {
    chart(name, along, &[values], 30).0
}

/// Several lines in one chart, such as those of two runs, with their names beside it; else as [`line_chart`].
///
/// ```
/// use dml_eval::pictures::line_charts;
///
/// let lines = [("triplets", &[0.5, 0.25][..]), ("proxies", &[0.6, 0.2, 0.1])];
/// let svg = line_charts("loss", ("epoch", 1), &lines).to_svg()?;
/// assert!(svg.contains("triplets") && svg.contains("proxies"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn line_charts(name: &str, along: (&str, u64), lines: &[(&str, &[f64])]) -> Drawing {
    let values: Vec<&[f64]> = lines.iter().map(|(_, values)| *values).collect();
    let (mut drawing, axes) = chart(name, along, &values, 170);
    let (x, y) = axes.beside();
    for (place, (name, _)) in lines.iter().enumerate() {
        let y = y + 18.0 * place as f64;
        drawing.disc((x, y), 5.0, Color::of_class(place));
        drawing.text((x + 12.0, y + 4.0), 8.0, Anchor::Start, *name);
    }
    drawing
}

/// The chart with its axes, with `right` pixels beside it.
fn chart(
    name: &str,
    (along, first): (&str, u64),
    lines: &[&[f64]],
    right: usize,
) -> (Drawing, Axes) {
    let finite = || {
        lines
            .iter()
            .copied()
            .flatten()
            .copied()
            .filter(|value| value.is_finite())
    };
    let (low, high) = (
        finite().fold(f64::INFINITY, f64::min),
        finite().fold(f64::NEG_INFINITY, f64::max),
    );
    let from = first as f64;
    let longest = lines.iter().map(|values| values.len()).max().unwrap_or(0);
    let x = Scale::Whole {
        from,
        to: from + longest.max(2) as f64 - 1.0,
    };
    let axes = Axes::wide(x, vertical(low, high));
    let mut drawing = axes.drawing("", (along, name), right);
    for (place, values) in lines.iter().enumerate() {
        let color = Color::of_class(place);
        let points = (0u64..).zip(*values);
        let points: Vec<_> = points
            .map(|(i, value)| (axes.point(from + i as f64, *value), value.is_finite()))
            .collect();
        for piece in points.split(|(_, finite)| !finite) {
            let line: Vec<(f64, f64)> = piece.iter().map(|(point, _)| *point).collect();
            match line.as_slice() {
                [] => {}
                // A line of one point would not be seen.
                [point] => drawing.disc(*point, 3.0, color),
                line => drawing.line(line, 2.0, color),
            }
        }
    }
    (drawing, axes)
}

/// The vertical axis of finite values from `low` to `high`; of none, if `low` is above `high`.
fn vertical(low: f64, high: f64) -> Scale {
    if low > high || (low == 0.0 && high == 0.0) {
        return Scale::Linear { from: 0.0, to: 1.0 };
    }
    // Small changes far from 0 would not be seen beside it. A number that does not change is seen beside it only.
    let is_far = low < high && (low > 0.5 * high || high < 0.5 * low);
    if is_far {
        return Scale::around(low, high, ROOM);
    }
    let (low, high) = (low.min(0.0), high.max(0.0));
    match Scale::around(low, high, ROOM) {
        // The axis begins or ends at 0 where no value is beyond it.
        Scale::Linear { from, to } => Scale::Linear {
            from: if low == 0.0 { 0.0 } else { from },
            to: if high == 0.0 { 0.0 } else { to },
        },
        other => other,
    }
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
    fn every_line_has_its_colour_and_name() -> Result<()> {
        let lines = [
            ("a", &[1.0, 2.0][..]),
            ("b <2>", &[3.0, 1.0, 2.0]),
            ("none", &[]),
        ];
        let svg = line_charts("loss", ("epoch", 1), &lines).to_svg()?;
        // Two lines; a dot of the legend for each of three names.
        assert_eq!(svg.matches("stroke-width=\"2\"").count(), 2, "{svg}");
        assert_eq!(svg.matches("<circle").count(), 3, "{svg}");
        assert!(
            svg.contains("b &lt;2&gt;") && svg.contains(">3</text>"),
            "{svg}"
        );
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
            &[f64::MAX, f64::MIN],
            &[f64::MAX; 3],
            &[f64::MIN, 0.0],
            &[5e-324, 0.0],
            &[f64::NAN; 3],
            &[f64::INFINITY],
            &[1e15, 1e15 + 0.125],
            &[-3.0],
        ] {
            for first in [0, 1, u64::MAX] {
                let svg = line_chart("loss", ("iteration", first), values).to_svg()?;
                assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
            }
        }
        Ok(())
    }

    #[test]
    fn every_value_is_on_the_axis_and_no_axis_is_wider_than_it_must_be() {
        // Least and greatest value, and whether 0 is on the axis.
        for (low, high, has_zero) in [
            (3.0, 3.0, true),
            (187.0, 187.0, true),
            (-3.0, -3.0, true),
            (1e300, 1e300, true),
            (-1e300, -1e300, true),
            (f64::MIN, f64::MAX, true),
            (0.25, 0.25, true),
            (0.0, 0.0, true),
            (0.1, 3.0, true),
            (-3.0, -0.1, true),
            (-1.0, 2.0, true),
            (0.9, 1.0, false),
            (-1.0, -0.9, false),
            (1e15, 1e15 + 0.125, false),
        ] {
            let Scale::Linear { from, to } = vertical(low, high) else {
                panic!("the axis of a chart is linear");
            };
            let text = format!("{low} to {high}: axis from {from} to {to}");
            assert!(from < to && from.is_finite() && to.is_finite(), "{text}");
            assert!(from <= low && high <= to, "{text}");
            assert_eq!(from <= 0.0 && to >= 0.0, has_zero, "{text}");
            // A curve of a constant is neither at the edge nor lost in the middle of nowhere; 0 is where the axis begins.
            let scale = vertical(low, high);
            let size = (scale.place(high) - scale.place(low)).max(scale.place(high));
            assert!(size > 0.2 || low < 0.0 || high == 0.0, "{text}");
            assert!(!scale.ticks().is_empty(), "{text}");
        }
    }
}
