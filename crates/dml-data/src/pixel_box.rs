//! Part of an image that is read in place of the whole.
//!
//! ```text
//! columns left … left + width − 1,  rows top … top + height − 1
//! ```
//!
//! Coordinates are pixels of the image once it stands upright (after the turn of its EXIF tag), counted from its upper
//! left corner. Published boxes have fractions of pixels and edges beyond the image: fractions are rounded outwards, and
//! what lies beyond the image is cut off.

/// A rectangle of pixels.
///
/// ```
/// use dml_data::PixelBox;
///
/// let own = PixelBox::from_corners([-2.0, 3.5, 10.0, 8.0]).unwrap();
/// assert_eq!(own, PixelBox { left: 0, top: 3, width: 10, height: 5 });
/// assert_eq!(own.within(6, 100), Some(PixelBox { width: 6, ..own }));
/// assert_eq!(own.within(6, 3), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PixelBox {
    /// First column.
    pub left: u32,
    /// First row.
    pub top: u32,
    /// Number of columns; at least 1.
    pub width: u32,
    /// Number of rows; at least 1.
    pub height: u32,
}

impl PixelBox {
    /// The box between the corners `[left, top, right, bottom]`, where `right` and `bottom` are the first coordinates
    /// outside of it. `None` if it has no pixel at non-negative coordinates, or a coordinate isn't finite.
    #[must_use]
    pub fn from_corners([left, top, right, bottom]: [f64; 4]) -> Option<Self> {
        let (left, width) = span(left, right)?;
        let (top, height) = span(top, bottom)?;
        Some(Self {
            left,
            top,
            width,
            height,
        })
    }

    /// The box `[left, top, width, height]`, as COCO writes them. `None` as for [`from_corners`](Self::from_corners).
    #[must_use]
    pub fn from_size([left, top, width, height]: [f64; 4]) -> Option<Self> {
        Self::from_corners([left, top, left + width, top + height])
    }

    /// The part of the box that lies within an image of that size; `None` if there is none.
    #[must_use]
    pub fn within(self, image_width: u32, image_height: u32) -> Option<Self> {
        let width = image_width.saturating_sub(self.left).min(self.width);
        let height = image_height.saturating_sub(self.top).min(self.height);
        (width > 0 && height > 0).then_some(Self {
            width,
            height,
            ..self
        })
    }
}

/// Start and length of the whole pixels that cover an interval.
fn span(start: f64, end: f64) -> Option<(u32, u32)> {
    // The maximum of NaN and 0 is 0.
    if !start.is_finite() || !end.is_finite() {
        return None;
    }
    let (start, end) = (start.floor().max(0.0), end.ceil());
    let fits = end > start && end <= f64::from(u32::MAX);
    fits.then_some((start as u32, (end - start) as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_without_a_pixel_are_none() {
        for bad in [
            [0.0, 0.0, 0.0, 5.0],
            [5.0, 0.0, 4.0, 5.0],
            [-5.0, 0.0, -1.0, 5.0],
            [0.0, f64::NAN, 4.0, 5.0],
            [0.0, 0.0, f64::INFINITY, 5.0],
            [0.0, 0.0, 1e300, 5.0],
        ] {
            assert_eq!(PixelBox::from_corners(bad), None, "{bad:?}");
        }
        assert_eq!(PixelBox::from_size([3.0, 4.0, -1.0, 5.0]), None);
        let own = PixelBox::from_size([3.25, 4.0, 1.5, 2.0]).unwrap();
        assert_eq!([own.left, own.top, own.width, own.height], [3, 4, 2, 2]);
    }
}
