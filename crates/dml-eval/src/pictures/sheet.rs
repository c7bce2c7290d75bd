//! Queries and what they find, as images.

use candle_core::Tensor;
use dml_core::autograd::with_slice;
use dml_core::{Error, Result, check};

use super::drawing::{Anchor, Color, Drawing, Pixels, Point, Shape};
use crate::index::Neighbors;
use crate::rows::doubles_on_cpu;

/// Pixels of an image on the sheet, along its longer side.
const IMAGE: f64 = 64.0;
const FRAME: f64 = 4.0;
const GAP: f64 = 8.0;
const TOP: f64 = 28.0;

/// A row a query: its image, then those of its neighbours, closest first, in a green frame where `matches(query, reference)`
/// and in a red one where not.
///
/// Images are `[rows, height, width]` or `[rows, channels, height, width]` with one channel or three, of numbers from 0
/// (black) to 1 (white); what is beyond is cut off.
///
/// ```
/// use dml_core::candle_core::{Device, Tensor};
/// use dml_eval::{Neighbors, pictures::neighbor_sheet};
///
/// let images = Tensor::new(&[[[0f32, 1.], [1., 0.]], [[1., 1.], [0., 0.]]], &Device::Cpu)?;
/// let found = Neighbors { distances: vec![0.5, 1.0], indices: vec![1, 0], k: 2 };
/// let sheet = neighbor_sheet(&images.narrow(0, 0, 1)?, &images, &found, |_, reference| reference == 0)?;
/// assert_eq!(sheet.to_svg()?.matches("<image").count(), 3);
/// # Ok::<(), dml_core::Error>(())
/// ```
///
/// # Errors
/// [`Error::Shape`] unless they are images, [`Error::Length`] if there are not as many as queries, [`Error::Index`] if a
/// neighbour has no image.
pub fn neighbor_sheet(
    queries: &Tensor,
    references: &Tensor,
    found: &Neighbors,
    matches: impl Fn(usize, usize) -> bool,
) -> Result<Drawing> {
    let queries = images("queries", queries)?;
    let references = images("references", references)?;
    check::length("query images", found.queries(), queries.len())?;
    let rows = found.indices.iter().map(|row| *row as usize);
    check::indices("neighbours", rows, references.len())?;
    let cell = IMAGE + 2.0 * FRAME + GAP;
    let width = GAP * 3.0 + cell * (found.k + 1) as f64;
    let height = TOP + GAP + cell * queries.len() as f64;
    let mut drawing = Drawing::new(width.ceil() as usize, height.ceil() as usize);
    drawing.text((GAP, TOP - 10.0), 8.0, Anchor::Start, "query");
    let beside = GAP * 2.0 + cell;
    drawing.text((beside, TOP - 10.0), 8.0, Anchor::Start, "nearest first");
    for (q, (query, (rows, _))) in queries.into_iter().zip(found.iter()).enumerate() {
        let y = TOP + cell * q as f64;
        put(&mut drawing, (GAP, y), query, Color::BLACK);
        for (rank, row) in rows.iter().enumerate() {
            let color = if matches(q, *row as usize) {
                Color::GREEN
            } else {
                Color::RED
            };
            let corner = (beside + cell * rank as f64, y);
            put(
                &mut drawing,
                corner,
                references[*row as usize].clone(),
                color,
            );
        }
    }
    Ok(drawing)
}

/// An image in a frame.
fn put(drawing: &mut Drawing, corner: Point, pixels: Pixels, color: Color) {
    let full = IMAGE + 2.0 * FRAME;
    drawing.rectangle(corner, (full, full), color);
    let inner = (corner.0 + FRAME, corner.1 + FRAME);
    drawing.rectangle(inner, (IMAGE, IMAGE), Color::WHITE);
    let scale = IMAGE / pixels.width.max(pixels.height) as f64;
    let size = (pixels.width as f64 * scale, pixels.height as f64 * scale);
    let room = |size: f64| FRAME + (IMAGE - size) / 2.0;
    let corner = (corner.0 + room(size.0), corner.1 + room(size.1));
    drawing.shapes.push(Shape::Image(corner, size, pixels));
}

fn images(arg: &'static str, images: &Tensor) -> Result<Vec<Pixels>> {
    let wrong = || Error::Shape {
        arg,
        expected: "[rows, height, width] or [rows, channels, height, width] with 1 or 3 channels, none of them 0",
        got: images.dims().to_vec(),
    };
    let (count, channels, height, width) = match *images.dims() {
        [count, height, width] => (count, 1, height, width),
        [count, channels, height, width] => (count, channels, height, width),
        _ => return Err(wrong()),
    };
    if !matches!(channels, 1 | 3) || height == 0 || width == 0 {
        return Err(wrong());
    }
    let images = doubles_on_cpu(images)?;
    with_slice::<f64, _>(&images, |numbers| {
        let plane = height * width;
        let image = |image: usize| {
            let numbers = &numbers[image * channels * plane..][..channels * plane];
            let bytes = (0..plane * 3).map(|at| {
                let channel = (at % 3).min(channels - 1);
                (numbers[channel * plane + at / 3].clamp(0.0, 1.0) * 255.0).round() as u8
            });
            Pixels {
                width,
                height,
                bytes: bytes.collect(),
            }
        };
        (0..count).map(image).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn channels_become_colours_and_frames_say_what_is_right() -> Result<()> {
        // Red above blue.
        let values = [1f32, 0., 0., 0., 0., 2.];
        let image = Tensor::from_slice(&values, (1, 3, 2, 1), &Device::Cpu)?;
        let pixels = images("x", &image)?;
        assert_eq!(pixels[0].bytes, [255, 0, 0, 0, 0, 255]);
        let found = Neighbors {
            distances: vec![0.0, 1.0],
            indices: vec![0, 0],
            k: 2,
        };
        let first = std::cell::Cell::new(true);
        let sheet = neighbor_sheet(&image, &image, &found, |_, _| first.replace(false))?;
        let svg = sheet.to_svg()?;
        assert_eq!(
            (
                svg.matches("#008c46").count(),
                svg.matches("#cd1e1e").count()
            ),
            (1, 1)
        );
        Ok(())
    }

    #[test]
    fn what_is_no_image_is_refused() -> Result<()> {
        let image = Tensor::zeros((1, 2, 2), DType::F32, &Device::Cpu)?;
        let found = |row| Neighbors {
            distances: vec![0.0],
            indices: vec![row],
            k: 1,
        };
        let sheet =
            |queries: &Tensor, row| neighbor_sheet(queries, &image, &found(row), |_, _| true);
        assert!(matches!(
            sheet(&image, 1),
            Err(Error::Index {
                limit: 1,
                got: 1,
                ..
            })
        ));
        assert!(matches!(
            sheet(&image.reshape((1, 4))?, 0),
            Err(Error::Shape { arg: "queries", .. })
        ));
        assert!(sheet(&image.reshape((1, 2, 2, 1))?, 0).is_err());
        assert!(matches!(
            sheet(&Tensor::cat(&[&image, &image], 0)?, 0),
            Err(Error::Length { .. })
        ));
        Ok(())
    }
}
