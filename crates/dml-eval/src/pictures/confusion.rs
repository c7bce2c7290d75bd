//! Classes taken for classes, as a table of shades.

use super::drawing::{Anchor, Color, Drawing, Shape, Text};
use crate::clustering::Confusion;

/// Pixels that the table may have.
const SIDE: f64 = 520.0;
const MARGIN: f64 = 70.0;
/// From so many classes on there is no room for numbers.
const NUMBERED: usize = 20;

/// A row a class, a column for what it was taken for; the darker, the larger the share of the row. Up to 20 classes have
/// their counts written in.
///
/// ```
/// use dml_eval::{Confusion, pictures::confusion_matrix};
///
/// let confusion = Confusion::new([0i64, 0, 1], [0i64, 1, 1])?;
/// assert!(confusion_matrix(&confusion).to_svg()?.contains("accuracy 66.7%"));
/// # Ok::<(), dml_core::Error>(())
/// ```
#[must_use]
pub fn confusion_matrix(confusion: &Confusion) -> Drawing {
    let count = confusion.classes().len();
    let cell = (SIDE / count.max(1) as f64).min(60.0);
    let side = cell * count as f64;
    let size = (side + MARGIN) as usize + 30;
    // The title needs its room, however few classes there are.
    let mut drawing = Drawing::new(size.max(400), size + 30);
    let title = format!("accuracy {:.1}%", 100.0 * confusion.accuracy());
    drawing.text((MARGIN, 20.0), 10.0, Anchor::Start, title);
    let names = "row: the class, column: what it was taken for";
    drawing.text((MARGIN, 40.0), 8.0, Anchor::Start, names);
    for actual in 0..count {
        let of_row: u64 = (0..count).map(|given| confusion.count(actual, given)).sum();
        for given in 0..count {
            let number = confusion.count(actual, given);
            let corner = (MARGIN + cell * given as f64, MARGIN + cell * actual as f64);
            let share = number as f64 / of_row.max(1) as f64;
            drawing.rectangle(corner, (cell, cell), shade(share, actual == given));
            if count <= NUMBERED && number > 0 {
                let color = if share > 0.55 {
                    Color::WHITE
                } else {
                    Color::BLACK
                };
                let place = (corner.0 + cell / 2.0, corner.1 + cell / 2.0 + 3.0);
                let text = number.to_string();
                let height = (cell * 0.9 / text.len() as f64).min(8.0);
                drawing.shapes.push(Shape::Text(Text {
                    place,
                    height,
                    anchor: Anchor::Middle,
                    color,
                    text,
                }));
            }
        }
    }
    // Names of some classes, where there are many.
    let every = count.div_ceil(NUMBERED).max(1);
    for (place, class) in confusion.classes().iter().enumerate().step_by(every) {
        let middle = MARGIN + cell * (place as f64 + 0.5);
        let name = class.to_string();
        drawing.text((MARGIN - 6.0, middle + 3.0), 8.0, Anchor::End, &name);
        drawing.text((middle, MARGIN - 8.0), 8.0, Anchor::Middle, name);
    }
    drawing.frame((MARGIN, MARGIN), (side, side));
    drawing
}

/// From white to blue where it is right, to red where it is wrong.
fn shade(share: f64, right: bool) -> Color {
    // Small shares of wrong ones are what one looks for.
    let share = share.sqrt();
    let Color(red, green, blue) = if right {
        Color(0, 90, 160)
    } else {
        Color(180, 30, 20)
    };
    let mix = |full: u8| (255.0 - share * (255.0 - f64::from(full))).round() as u8;
    Color(mix(red), mix(green), mix(blue))
}

#[cfg(test)]
mod tests {
    use super::*;
    use dml_core::Result;

    #[test]
    fn a_cell_a_pair_of_classes_and_numbers_where_there_is_room() -> Result<()> {
        let labels: Vec<i64> = (0..40).collect();
        let few = Confusion::new(&labels[..3], &labels[..3])?;
        let svg = confusion_matrix(&few).to_svg()?;
        assert_eq!(svg.matches("<rect x=").count(), 9);
        assert_eq!(svg.matches(">1</text>").count(), 3 + 2);
        let many = confusion_matrix(&Confusion::new(&labels[..], &labels[..])?);
        // The names 1 are those of every second class only.
        assert_eq!(many.to_svg()?.matches(">1</text>").count(), 0);
        let none = Confusion::new([0i64; 0], [0i64; 0])?;
        assert!(!confusion_matrix(&none).to_png()?.is_empty());
        assert_eq!(
            (shade(0.0, true), shade(1.0, false)),
            (Color::WHITE, Color(180, 30, 20))
        );
        Ok(())
    }
}
