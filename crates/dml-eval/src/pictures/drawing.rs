//! Shapes on a white ground.

/// Red, green and blue.
///
/// ```
/// use dml_eval::pictures::Color;
///
/// assert_eq!(Color::of_class(0), Color(0, 114, 178));
/// assert_ne!(Color::of_class(100), Color::of_class(101));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(pub u8, pub u8, pub u8);

impl Color {
    pub(super) const BLACK: Self = Self(0, 0, 0);
    pub(super) const WHITE: Self = Self(255, 255, 255);
    pub(super) const GREY: Self = Self(200, 200, 200);
    pub(super) const GREEN: Self = Self(0, 140, 70);
    pub(super) const RED: Self = Self(205, 30, 30);

    /// The colour of the class at `place`: eight that the colour-blind can tell apart, then hues that are far from each other.
    #[must_use]
    pub fn of_class(place: usize) -> Self {
        const FIRST: [Color; 8] = [
            Color(0, 114, 178),
            Color(230, 159, 0),
            Color(0, 158, 115),
            Color(204, 121, 167),
            Color(86, 180, 233),
            Color(213, 94, 0),
            Color(240, 228, 66),
            Color(70, 70, 70),
        ];
        if let Some(color) = FIRST.get(place) {
            return *color;
        }
        // The golden ratio never comes near a hue that it has been at.
        let hue = (place as f64 * 0.618_033_988_749_895).fract() * 6.0;
        // Darker and paler ones in turn, which the first eight are not.
        let dark = if place.is_multiple_of(2) { 0.0 } else { 115.0 };
        let strength = |offset: f64| {
            let along = (hue + offset).rem_euclid(6.0);
            let part = (2.0 - (along - 3.0).abs()).clamp(0.0, 1.0);
            (dark + 130.0 * (1.0 - part)) as u8
        };
        Self(strength(0.0), strength(2.0), strength(4.0))
    }
}

/// Where a text stands beside its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// A picture of so many colours a pixel: red, green and blue bytes, row by row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pixels {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bytes: Vec<u8>,
}

/// A place on the drawing, or a size.
pub(super) type Point = (f64, f64);

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Shape {
    /// Center and radius.
    Disc(Point, f64, Color),
    /// Points and width.
    Line(Vec<Point>, f64, Color),
    /// Upper left corner and size.
    Rectangle(Point, Point, Color),
    Text(Text),
    /// Upper left corner, size and content.
    Image(Point, Point, Pixels),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Text {
    /// Where the baseline is.
    pub(super) place: Point,
    pub(super) height: f64,
    pub(super) anchor: Anchor,
    pub(super) color: Color,
    pub(super) text: String,
}

/// A picture: [`to_svg`](Drawing::to_svg) and [`to_png`](Drawing::to_png) make files of it.
///
/// ```
/// use dml_eval::pictures::line_chart;
///
/// let drawing = line_chart("loss", ("epoch", 1), &[2.0, 1.0]);
/// let (width, height) = drawing.size();
/// assert!(drawing.to_svg()?.contains(&format!("width=\"{width}\" height=\"{height}\"")));
/// assert_eq!(drawing.to_png()?[1..4], *b"PNG");
/// # Ok::<(), dml_core::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Drawing {
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) shapes: Vec<Shape>,
}

impl Drawing {
    pub(super) fn new(width: usize, height: usize) -> Self {
        Self {
            width,
            height,
            shapes: Vec::new(),
        }
    }

    /// Its width and height in pixels.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        (self.width, self.height)
    }

    pub(super) fn line(&mut self, points: &[Point], width: f64, color: Color) {
        self.shapes.push(Shape::Line(points.to_vec(), width, color));
    }

    pub(super) fn disc(&mut self, center: Point, radius: f64, color: Color) {
        self.shapes.push(Shape::Disc(center, radius, color));
    }

    pub(super) fn rectangle(&mut self, corner: Point, size: Point, color: Color) {
        self.shapes.push(Shape::Rectangle(corner, size, color));
    }

    /// The outline of a rectangle.
    pub(super) fn frame(&mut self, (left, top): Point, (width, height): Point) {
        let (end, bottom) = (left + width, top + height);
        let corners = [
            (left, top),
            (end, top),
            (end, bottom),
            (left, bottom),
            (left, top),
        ];
        self.line(&corners, 1.0, Color::BLACK);
    }

    /// A text in black.
    pub(super) fn text(
        &mut self,
        place: Point,
        height: f64,
        anchor: Anchor,
        text: impl Into<String>,
    ) {
        self.shapes.push(Shape::Text(Text {
            place,
            height,
            anchor,
            color: Color::BLACK,
            text: text.into(),
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_hundred_classes_have_a_hundred_colours() {
        let colors = (0..100).map(Color::of_class).map(|c| (c.0, c.1, c.2));
        assert_eq!(colors.collect::<BTreeSet<_>>().len(), 100);
    }
}
