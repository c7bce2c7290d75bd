//! Parts of pictures, drawn at random.

use rand::Rng;

use super::draw;

/// Draws until a part fits.
const TRIES: usize = 10;

/// A rectangle within a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Part {
    /// A part of a picture of that height and width, anywhere in it; `None` if none of ten draws fits. `squared_sides` makes
    /// height² and width² of an area, whose share of the picture's is uniform in `scale`, and of a ratio, whose logarithm is
    /// uniform between those of `ratio`.
    pub(super) fn draw(
        [height, width]: [usize; 2],
        scale: [f64; 2],
        ratio: [f64; 2],
        squared_sides: impl Fn(f64, f64) -> [f64; 2],
        rng: &mut impl Rng,
    ) -> Option<Self> {
        for _ in 0..TRIES {
            let area = draw::between(scale[0], scale[1], rng) * (height * width) as f64;
            let ratio = draw::log_between(ratio[0], ratio[1], rng);
            let sides = squared_sides(area, ratio).map(|square| square.sqrt().round() as usize);
            let [rows, columns] = sides;
            if (1..=height).contains(&rows) && (1..=width).contains(&columns) {
                return Some(Self {
                    top: rng.random_range(0..=(height - rows) as u64) as usize,
                    left: rng.random_range(0..=(width - columns) as u64) as usize,
                    height: rows,
                    width: columns,
                });
            }
        }
        None
    }
}
