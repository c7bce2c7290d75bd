//! Parts of images brought to another size, by the [filters](crate::resampling) of this crate.

use dml_core::Interpolation;

use super::part::Part;
use crate::Image;
use crate::resampling::{self, Axis, Span};

/// The part as an image of its own size.
pub(super) fn crop(image: &Image, part: Part) -> Image {
    resized(image, part, [part.height, part.width])
}

/// The part in the size `[height, width]`. An image in bytes stays in bytes.
pub(super) fn resized(image: &Image, part: Part, size: [usize; 2]) -> Image {
    let [height, width] = size;
    let shape = [image.channels(), height, width];
    let own = [image.height(), image.width()];
    let span = |start, length| Span { start, length };
    let rows = Axis::new(span(part.top, part.height), height);
    let columns = Axis::new(span(part.left, part.width), width);
    if let Some((bytes, stored)) = image.plain_bytes() {
        let filter = Interpolation::Bilinear;
        let bytes = resampling::bytes(bytes, stored, own, [rows, columns], filter);
        return Image::from_bytes(shape, bytes);
    }
    if [part.height, part.width] == size {
        return Image::from_fn(shape, |channel, y, x| {
            image.plane(channel)[(part.top + y) * own[1] + part.left + x]
        });
    }
    let filter = Interpolation::Bilinear;
    let values = resampling::planes(image.values(), own, [rows, columns], filter);
    Image::from_values(shape, values)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: Part = Part {
        top: 0,
        left: 0,
        height: 1,
        width: 4,
    };

    fn line() -> Image {
        Image::new([1, 1, 4], vec![0.0, 0.0, 1.0, 1.0]).unwrap()
    }

    #[test]
    fn growing_is_linear_between_pixels() {
        // New centres lie at ¼, ¾, 1¼, … of an old pixel.
        let grown = resized(&line(), LINE, [1, 8]);
        assert_eq!(grown.values(), [0., 0., 0., 0.25, 0.75, 1., 1., 1.]);
    }

    #[test]
    fn shrinking_weighs_every_pixel() {
        // Centre 1, reach 2: weights ¾, ¾, ¼ of the pixels 0, 1 and 2, over their sum 7/4.
        let shrunk = resized(&line(), LINE, [1, 2]);
        let expected = [1.0 / 7.0, 6.0 / 7.0];
        for (a, b) in shrunk.values().iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{shrunk:?} {:?}", shrunk.values());
        }
    }

    #[test]
    fn a_part_is_cut_out_and_rows_are_like_columns() {
        let image = Image::from_fn([2, 3, 4], |c, y, x| (c * 100 + y * 10 + x) as f32);
        let part = Part {
            top: 1,
            left: 2,
            height: 2,
            width: 2,
        };
        let values = [12., 13., 22., 23., 112., 113., 122., 123.];
        assert_eq!(crop(&image, part).values(), values);
        assert_eq!(resized(&image, part, [2, 2]).values(), values);
        let turned = Image::new([1, 4, 1], line().values().to_vec()).unwrap();
        let column = Part {
            height: 4,
            width: 1,
            ..LINE
        };
        for size in [2, 3, 9] {
            let (a, b) = (
                resized(&line(), LINE, [1, size]),
                resized(&turned, column, [size, 1]),
            );
            assert_eq!(a.values(), b.values());
        }
    }

    #[test]
    fn one_colour_stays_one_colour() {
        let image = Image::from_fn([1, 7, 5], |_, _, _| 0.3);
        let all = Part {
            top: 0,
            left: 0,
            height: 7,
            width: 5,
        };
        for size in [[1, 1], [3, 11], [40, 2]] {
            let values = resized(&image, all, size);
            assert!(values.values().iter().all(|x| (x - 0.3).abs() < 1e-6));
        }
    }

    #[test]
    fn a_part_of_an_image_in_bytes_is_rounded_to_bytes() {
        let bytes: Vec<u8> = (0..5 * 7 * 3).map(|i| (i * 53 % 256) as u8).collect();
        let values = Image::from_fn([3, 5, 7], |c, y, x| {
            f32::from(bytes[(y * 7 + x) * 3 + c]) / 255.0
        });
        let image = Image::from_bytes([3, 5, 7], bytes);
        let part = Part {
            top: 1,
            left: 2,
            height: 3,
            width: 4,
        };
        assert_eq!(crop(&image, part), crop(&values, part));
        let (a, b) = (
            resized(&image, part, [6, 5]),
            resized(&values, part, [6, 5]),
        );
        assert_eq!(a.shape(), [3, 6, 5]);
        for (a, b) in a.values().iter().zip(b.values()) {
            assert!((a - b).abs() < 1.01 / 255.0, "{a} {b}");
            assert_eq!((a * 255.0).round() / 255.0, *a);
        }
    }
}
