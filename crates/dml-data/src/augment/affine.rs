//! Turned, moved, scaled, sheared about the middle.
//!
//! ```text
//! [y]       [cos a  −sin a]   [1  0]   [y₀]
//! [x] = s · [sin a   cos a] · [h  1] · [x₀] + t       y₀, x₀: from the middle of the picture
//! ```
//!
//! with an angle `a`, a scale `s`, a shear `h` and a shift `t`, all uniform. Each new pixel is looked up where it comes
//! from, linearly between the four pixels around; what comes from beyond the edge has the value `fill`.

use dml_core::{Result, check};

use super::{Augmentation, draw};
use crate::Image;

dml_core::config! {
    /// Configuration of [`Affine`]; the defaults change nothing.
    pub struct AffineConfig {
        /// The largest angle in degrees, either way; in `[0, 1e30]`. Default 0.
        pub degrees: f64 = 0.0,
        /// The largest shift either way, down and to the right, as a share of height and width in `[0, 1]`. Default 0.
        pub translate: [f64; 2] = [0.0, 0.0],
        /// The smallest and the largest factor, `> 0`. Default 1 and 1.
        pub scale: [f64; 2] = [1.0, 1.0],
        /// The largest angle of the shear in degrees, either way: in `[0, 89]`. Default 0.
        pub shear: f64 = 0.0,
        /// The value beyond the edge; in `[-1e30, 1e30]`. Default 0.
        pub fill: f64 = 0.0,
    }
}

/// A random affine map ([formula](self)).
///
/// ```
/// use dml_data::Image;
/// use dml_data::augment::{Affine, AffineConfig, Augmentation};
///
/// let turn = Affine::new(AffineConfig { degrees: 15.0, scale: [0.9, 1.1], ..AffineConfig::default() })?;
/// let image = Image::new([1, 5, 5], vec![0.5; 25])?;
/// let turned = turn.apply(image, 0)?;
/// assert!((turned.plane(0)[2 * 5 + 2] - 0.5).abs() < 1e-6); // the middle stays
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Affine {
    config: AffineConfig,
}

/// One map: of the new pixel to where it comes from, both from the middle.
#[derive(Clone, Copy, Debug)]
struct Map {
    matrix: [[f64; 2]; 2],
    shift: [f64; 2],
}

impl Affine {
    /// Maps pictures.
    ///
    /// # Errors
    /// [`Error::InvalidParameter`](dml_core::Error::InvalidParameter) for a parameter out of bounds.
    pub fn new(config: AffineConfig) -> Result<Self> {
        check::non_negative("degrees", config.degrees)?;
        for share in config.translate {
            let expected = "a share in [0, 1]";
            check::parameter((0.0..=1.0).contains(&share), "translate", share, expected)?;
        }
        draw::positive_range("scale", config.scale)?;
        let shear = config.shear;
        let expected = "degrees in [0, 89]";
        check::parameter((0.0..=89.0).contains(&shear), "shear", shear, expected)?;
        check::finite("fill", config.fill)?;
        Ok(Self { config })
    }

    fn draw(&self, height: usize, width: usize, seed: u64) -> Map {
        let rng = &mut draw::generator(seed);
        let AffineConfig {
            degrees,
            translate,
            scale,
            shear,
            ..
        } = self.config;
        let angle = draw::between(-degrees, degrees, rng).to_radians();
        let down = draw::between(-translate[0], translate[0], rng) * height as f64;
        let right = draw::between(-translate[1], translate[1], rng) * width as f64;
        let scale = draw::between(scale[0], scale[1], rng);
        let shear = draw::between(-shear, shear, rng).to_radians().tan();
        // The inverse of the formula: shift back, divide by s, turn back, shear back.
        let (sine, cosine) = angle.sin_cos();
        let turn = [
            [cosine / scale, sine / scale],
            [-sine / scale, cosine / scale],
        ];
        let [first, second] = turn;
        Map {
            matrix: [
                first,
                [second[0] - shear * first[0], second[1] - shear * first[1]],
            ],
            shift: [down, right],
        }
    }
}

impl Augmentation for Affine {
    fn apply(&self, image: Image, seed: u64) -> Result<Image> {
        let map = self.draw(image.height(), image.width(), seed);
        Ok(mapped(&image, map, self.config.fill as f32))
    }
}

fn mapped(image: &Image, map: Map, fill: f32) -> Image {
    let [_, height, width] = image.shape();
    let middle = [(height as f64 - 1.0) / 2.0, (width as f64 - 1.0) / 2.0];
    let Map {
        matrix: [first, second],
        shift,
    } = map;
    Image::from_fn(image.shape(), |channel, y, x| {
        let y = y as f64 - middle[0] - shift[0];
        let x = x as f64 - middle[1] - shift[1];
        let y_from = middle[0] + first[0] * y + first[1] * x;
        let x_from = middle[1] + second[0] * y + second[1] * x;
        let plane = image.plane(channel);
        let at = |y: f64, x: f64| {
            let inside = y >= 0.0 && x >= 0.0 && y < height as f64 && x < width as f64;
            if inside {
                plane[y as usize * width + x as usize]
            } else {
                fill
            }
        };
        let (top, left) = (y_from.floor(), x_from.floor());
        let (down, right) = ((y_from - top) as f32, (x_from - left) as f32);
        let along = |y: f64| (1.0 - right) * at(y, left) + right * at(y, left + 1.0);
        (1.0 - down) * along(top) + down * along(top + 1.0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Image {
        Image::from_fn([1, 3, 3], |_, y, x| (y * 3 + x) as f32)
    }

    fn assert_close(found: &Image, expected: [f32; 9]) {
        for (a, b) in found.values().iter().zip(expected) {
            assert!(
                (a - b).abs() < 1e-5,
                "{:?} is not {expected:?}",
                found.values()
            );
        }
    }

    fn fixed(matrix: [[f64; 2]; 2], shift: [f64; 2]) -> Image {
        mapped(&picture(), Map { matrix, shift }, 9.0)
    }

    #[test]
    fn maps_by_hand() -> Result<()> {
        let same = [[1.0, 0.0], [0.0, 1.0]];
        let unchanged = Affine::new(AffineConfig::default())?;
        assert_eq!(unchanged.apply(picture(), 5)?, picture());
        // One pixel down: the first row comes from beyond the edge.
        assert_close(
            &fixed(same, [1.0, 0.0]),
            [9., 9., 9., 0., 1., 2., 3., 4., 5.],
        );
        // Half a pixel to the right: half of each neighbour.
        let half = [4.5, 0.5, 1.5, 6., 3.5, 4.5, 7.5, 6.5, 7.5];
        assert_close(&fixed(same, [0.0, 0.5]), half);
        // Twice as large: each new pixel comes from half as far from the middle.
        let large = [2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0, 5.5, 6.0];
        assert_close(&fixed([[0.5, 0.0], [0.0, 0.5]], [0.0, 0.0]), large);
        Ok(())
    }

    #[test]
    fn the_draw_is_the_inverse_of_the_formula() -> Result<()> {
        let affine = Affine::new(AffineConfig {
            degrees: 180.0,
            translate: [0.3, 0.2],
            scale: [0.5, 2.0],
            shear: 40.0,
            fill: 0.0,
        })?;
        for seed in 0..50 {
            let map = affine.draw(100, 50, seed);
            assert!(map.shift[0].abs() <= 30.0 && map.shift[1].abs() <= 10.0);
            let [[a, b], [c, d]] = map.matrix;
            // The inverse turned, scaled and sheared: 1 / (a·d − b·c) is s², as turns and shears keep areas.
            let scale = (1.0 / (a * d - b * c)).sqrt();
            assert!((0.5..=2.0).contains(&scale), "{scale}");
            // Its first row is the turn alone.
            assert!(((a * a + b * b).sqrt() * scale - 1.0).abs() < 1e-9);
        }
        Ok(())
    }

    #[test]
    fn a_quarter_turn_moves_corners_to_corners() {
        // cos 0, sin 1: the right column becomes the top row.
        let turned = fixed([[0.0, 1.0], [-1.0, 0.0]], [0.0, 0.0]);
        assert_close(&turned, [2., 5., 8., 1., 4., 7., 0., 3., 6.]);
    }
}
