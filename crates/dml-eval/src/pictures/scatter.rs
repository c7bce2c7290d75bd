//! Rows as dots in the plane.

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::{IntoLabels, Result, check};

use super::axes::{Axes, Scale};
use super::drawing::{Anchor, Color, Drawing, Point};
use crate::rows::{check_finite, checked_rows, doubles_on_cpu};

/// Classes that get a line in the legend.
const LEGEND: usize = 24;

/// Dots at `places` `[rows, 2]` in the colours of their classes, with a legend of the first 24 of these.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Pca, pictures::scatter};
///
/// let rows = Tensor::new(&[[0f32, 1., 2.], [3., 5., 1.], [6., 9., 0.]], &Device::Cpu)?;
/// let places = Pca::fit(&rows, 2, false)?.transform(&rows)?;
/// let svg = scatter("PCA", &places, [0i64, 0, 1])?.to_svg()?;
/// assert_eq!(svg.matches("<circle").count(), 3 + 2);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`](dml_core::Error::Shape) unless they are `[rows, 2]`,
/// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) if one is not finite,
/// [`Error::Length`](dml_core::Error::Length) if there is not one label for each.
pub fn scatter(title: &str, places: &Tensor, labels: impl IntoLabels) -> Result<Drawing> {
    let labels = labels.into_labels()?;
    let places = checked_rows("places", places, Some(2), None)?;
    let places = doubles_on_cpu(&places)?;
    check_finite("places", &places)?;
    check::length("labels", places.dims()[0], labels.len())?;
    let places: Vec<Point> = with_slice::<f64, _>(&places, |places| {
        let places = places.as_chunks::<2>().0.iter();
        places.map(|place| (place[0], place[1])).collect()
    })?;
    let mut classes = labels.as_slice().to_vec();
    classes.sort_unstable();
    classes.dedup();
    let axes = Axes::square(
        range(places.iter().map(|place| place.0)),
        range(places.iter().map(|place| place.1)),
    );
    let mut drawing = axes.drawing(title, ("first coordinate", "second coordinate"), 130);
    // Many dots are small ones.
    let radius = (60.0 / (places.len().max(1) as f64).sqrt()).clamp(1.2, 4.0);
    for (place, label) in places.iter().zip(labels.as_slice()) {
        let class = classes.partition_point(|class| class < label);
        drawing.disc(axes.point(place.0, place.1), radius, Color::of_class(class));
    }
    let (x, y) = axes.beside();
    drawing.text((x - 5.0, y - 18.0), 8.0, Anchor::Start, "class");
    for (class, label) in classes.iter().enumerate().take(LEGEND) {
        let y = y + 18.0 * class as f64;
        drawing.disc((x, y), 5.0, Color::of_class(class));
        drawing.text((x + 12.0, y + 4.0), 8.0, Anchor::Start, label.to_string());
    }
    if classes.len() > LEGEND {
        let more = format!("+{} more", classes.len() - LEGEND);
        let y = y + 18.0 * LEGEND as f64;
        drawing.text((x, y + 4.0), 8.0, Anchor::Start, more);
    }
    Ok(drawing)
}

/// All values with a little room around them.
fn range(values: impl Iterator<Item = f64>) -> Scale {
    let ends = |(low, high): (f64, f64), x: f64| (low.min(x), high.max(x));
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), ends);
    if low > high {
        return Scale::Linear { from: 0.0, to: 1.0 };
    }
    Scale::around(low, high, 0.03)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};
    use dml_core::Error;

    #[test]
    fn no_rows_one_row_and_many_classes() -> Result<()> {
        let none = Tensor::zeros((0, 2), DType::F32, &Device::Cpu)?;
        assert_eq!(
            scatter("", &none, [0i64; 0])?
                .to_svg()?
                .matches("<circle")
                .count(),
            0
        );
        let one = Tensor::new(&[[3f32, 4.]], &Device::Cpu)?;
        assert_eq!(
            scatter("", &one, [7i64])?
                .to_svg()?
                .matches("<circle")
                .count(),
            2
        );
        let many = Tensor::zeros((30, 2), DType::F32, &Device::Cpu)?;
        let labels: Vec<i64> = (0..30).collect();
        let svg = scatter("", &many, labels)?.to_svg()?;
        assert!(svg.contains("+6 more") && svg.matches("<circle").count() == 30 + 24);
        assert!(matches!(
            scatter("", &one, [0i64, 1]),
            Err(Error::Length { arg: "labels", .. })
        ));
        assert!(matches!(
            scatter("", &one.narrow(1, 0, 1)?, [0i64]),
            Err(Error::Shape { .. })
        ));
        assert!(scatter("", &(&one / 0.0)?, [0i64]).is_err());
        // Places as far from 0 as numbers go, all of them equal or not.
        for size in [1e30f64, 1e300, f64::MAX] {
            let places = [[size, -size], [size, size], [size, -size]];
            let svg = scatter("", &Tensor::new(&places, &Device::Cpu)?, [0i64; 3])?.to_svg()?;
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
        Ok(())
    }
}
