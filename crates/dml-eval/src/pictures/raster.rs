//! A drawing as PNG: every pixel the mean of nine.

use dml_core::Result;
use font8x8::UnicodeFonts;

use super::drawing::{Anchor, Color, Drawing, Pixels, Point, Shape, Text};
use super::png_file;

/// Points a pixel in each direction.
const FINE: usize = 3;

impl Drawing {
    /// The drawing as a PNG file.
    ///
    /// # Errors
    /// If it can't be encoded.
    pub fn to_png(&self) -> Result<Vec<u8>> {
        png_file::encode(&self.pixels())
    }

    pub(super) fn pixels(&self) -> Pixels {
        let mut fine = Pixels {
            width: self.width * FINE,
            height: self.height * FINE,
            bytes: vec![255; self.width * self.height * FINE * FINE * 3],
        };
        self.shapes.iter().for_each(|shape| fine.draw(shape));
        let mut bytes = Vec::with_capacity(self.width * self.height * 3);
        for y in 0..self.height {
            for x in 0..self.width {
                for channel in 0..3 {
                    let points = (0..FINE * FINE).map(|i| {
                        let (x, y) = (x * FINE + i % FINE, y * FINE + i / FINE);
                        usize::from(fine.bytes[(y * fine.width + x) * 3 + channel])
                    });
                    bytes.push((points.sum::<usize>() / (FINE * FINE)) as u8);
                }
            }
        }
        Pixels {
            width: self.width,
            height: self.height,
            bytes,
        }
    }
}

/// Drawing on points, [`FINE`] of which are a pixel in each direction.
impl Pixels {
    fn draw(&mut self, shape: &Shape) {
        match shape {
            Shape::Disc(center, radius, color) => self.stroke(*center, *center, *radius, *color),
            Shape::Line(points, width, color) => {
                for ends in points.windows(2) {
                    self.stroke(ends[0], ends[1], width / 2.0, *color);
                }
            }
            Shape::Rectangle(corner, size, color) => {
                let end = (corner.0 + size.0, corner.1 + size.1);
                self.fill(*corner, end, |_, _| Some(*color));
            }
            Shape::Text(text) => self.text(text),
            Shape::Image(corner, size, pixels) => {
                let end = (corner.0 + size.0, corner.1 + size.1);
                self.fill(*corner, end, |x, y| {
                    let column = ((x - corner.0) / size.0 * pixels.width as f64) as usize;
                    let row = ((y - corner.1) / size.1 * pixels.height as f64) as usize;
                    let (column, row) = (column.min(pixels.width - 1), row.min(pixels.height - 1));
                    let at = (row * pixels.width + column) * 3;
                    let bytes = pixels.bytes.get(at..at + 3)?;
                    Some(Color(bytes[0], bytes[1], bytes[2]))
                });
            }
        }
    }

    /// All points that are within `radius` of the straight line.
    fn stroke(&mut self, from: Point, to: Point, radius: f64, color: Color) {
        let (dx, dy) = (to.0 - from.0, to.1 - from.1);
        let length = dx * dx + dy * dy;
        let start = (from.0.min(to.0) - radius, from.1.min(to.1) - radius);
        let end = (from.0.max(to.0) + radius, from.1.max(to.1) + radius);
        self.fill(start, end, |x, y| {
            let (px, py) = (x - from.0, y - from.1);
            let along = if length > 0.0 {
                ((px * dx + py * dy) / length).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let (gx, gy) = (px - along * dx, py - along * dy);
            (gx * gx + gy * gy <= radius * radius).then_some(color)
        });
    }

    fn text(&mut self, text: &Text) {
        let (place, height) = (text.place, text.height);
        let letters = || text.text.chars();
        // Letters are eight dots wide and stand on the seventh.
        let dot = height / 8.0;
        let width = letters().count() as f64 * height;
        let left = match text.anchor {
            Anchor::Start => place.0,
            Anchor::Middle => place.0 - width / 2.0,
            Anchor::End => place.0 - width,
        };
        for (i, letter) in letters().enumerate() {
            let Some(dots) = font8x8::BASIC_FONTS.get(letter) else {
                continue;
            };
            for (row, bits) in dots.iter().enumerate() {
                for column in (0..8).filter(|column| bits >> column & 1 == 1) {
                    let x = left + i as f64 * height + f64::from(column) * dot;
                    let y = place.1 + (row as f64 - 7.0) * dot;
                    self.fill((x, y), (x + dot, y + dot), |_, _| Some(text.color));
                }
            }
        }
    }

    /// Asks for the colour of every point between two corners.
    fn fill(&mut self, start: Point, end: Point, color: impl Fn(f64, f64) -> Option<Color>) {
        let points = |from: f64, to: f64, limit: usize| {
            // What is no number becomes 0, what is outside is cut off.
            let first = (from * FINE as f64 - 0.5).ceil().max(0.0) as usize;
            let last = (to * FINE as f64 - 0.5).ceil().max(0.0) as usize;
            first.min(limit)..last.min(limit)
        };
        let middle = |point: usize| (point as f64 + 0.5) / FINE as f64;
        for y in points(start.1, end.1, self.height) {
            for x in points(start.0, end.0, self.width) {
                if let Some(Color(red, green, blue)) = color(middle(x), middle(y)) {
                    let at = (y * self.width + x) * 3;
                    self.bytes[at..at + 3].copy_from_slice(&[red, green, blue]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(pixels: &Pixels, x: usize, y: usize) -> [u8; 3] {
        let at = (y * pixels.width + x) * 3;
        [pixels.bytes[at], pixels.bytes[at + 1], pixels.bytes[at + 2]]
    }

    #[test]
    fn shapes_are_where_they_should_be_and_edges_are_soft() {
        let mut drawing = Drawing::new(20, 10);
        drawing.disc((5.0, 5.0), 3.0, Color::RED);
        drawing.rectangle((10.0, 2.0), (5.5, 4.0), Color::BLACK);
        // Beyond the edges, and nowhere.
        drawing.disc((-50.0, 5.0), 3.0, Color::RED);
        drawing.disc((f64::NAN, 5.0), 3.0, Color::RED);
        let pixels = drawing.pixels();
        assert_eq!(at(&pixels, 5, 5), [205, 30, 30]);
        assert_eq!(at(&pixels, 9, 9), [255, 255, 255]);
        assert_eq!(at(&pixels, 12, 3), [0, 0, 0]);
        let edge = at(&pixels, 15, 3)[0];
        assert!(edge > 0 && edge < 255);
    }

    #[test]
    fn a_file_is_read_as_it_was_drawn() -> Result<()> {
        let mut drawing = Drawing::new(30, 12);
        drawing.text((2.0, 10.0), 8.0, Anchor::Start, "1.5");
        let file = drawing.to_png()?;
        let mut reader = png::Decoder::new(std::io::Cursor::new(file))
            .read_info()
            .unwrap();
        let mut bytes = vec![0; 30 * 12 * 3];
        reader.next_frame(&mut bytes).unwrap();
        assert_eq!(bytes, drawing.pixels().bytes);
        assert!(bytes.contains(&0));
        Ok(())
    }
}
