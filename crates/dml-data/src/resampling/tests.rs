use super::*;

const FILTERS: [Interpolation; 4] = [
    Interpolation::Bilinear,
    Interpolation::Bicubic,
    Interpolation::Lanczos,
    Interpolation::Nearest,
];

/// The whole image in another size.
fn resized(
    pixels: &[u8],
    channels: usize,
    old: [usize; 2],
    new: [usize; 2],
    filter: Interpolation,
) -> Vec<u8> {
    let axes = [0, 1].map(|i| Axis::new(Span::all(old[i]), new[i]));
    bytes(pixels, channels, old, axes, filter)
}

/// Pixel (y, x, channel) = (37 y² + 91 x + 59 channel + 13 x y) mod 256.
fn image(height: usize, width: usize, channels: usize) -> Vec<u8> {
    let mut pixels = Vec::new();
    for y in 0..height {
        for x in 0..width {
            pixels.extend((0..channels).map(|c| (37 * y * y + 91 * x + 59 * c + 13 * x * y) as u8));
        }
    }
    pixels
}

// Expected values: `numpy.asarray(PIL.Image.fromarray(image).resize((width, height), filter))` of Pillow 12.
#[test]
fn small_images_have_the_bytes_of_pillow() {
    let grey = image(5, 7, 1);
    let colour = image(4, 3, 3);
    let expected: [([u8; 12], [u8; 30]); 4] = [
        (
            [66, 145, 116, 108, 98, 147, 155, 135, 139, 160, 148, 122],
            [
                37, 96, 118, 63, 122, 114, 101, 160, 109, 161, 154, 104, 201, 150, 100, 102, 161,
                110, 106, 121, 100, 113, 62, 84, 120, 112, 157, 124, 146, 205,
            ],
        ),
        (
            [62, 149, 114, 108, 94, 150, 162, 134, 138, 165, 150, 119],
            [
                27, 85, 120, 51, 119, 117, 100, 168, 110, 173, 160, 97, 216, 149, 90, 108, 176,
                110, 110, 123, 93, 113, 54, 82, 116, 109, 167, 118, 153, 224,
            ],
        ),
        (
            [66, 151, 110, 111, 91, 151, 169, 132, 134, 171, 149, 114],
            [
                30, 83, 115, 42, 120, 116, 95, 171, 112, 179, 166, 98, 220, 146, 89, 110, 184, 117,
                111, 122, 84, 114, 54, 77, 117, 101, 168, 118, 154, 234,
            ],
        ),
        (
            [0, 182, 108, 34, 148, 126, 104, 82, 80, 110, 140, 170],
            [
                37, 96, 155, 37, 96, 155, 141, 200, 3, 245, 48, 107, 245, 48, 107, 77, 136, 195,
                77, 136, 195, 207, 10, 69, 81, 140, 199, 81, 140, 199,
            ],
        ),
    ];
    for (filter, (of_grey, of_colour)) in FILTERS.into_iter().zip(expected) {
        assert_eq!(
            resized(&grey, 1, [5, 7], [3, 4], filter),
            of_grey,
            "{filter:?}"
        );
        assert_eq!(
            resized(&colour, 3, [4, 3], [2, 5], filter),
            of_colour,
            "{filter:?}"
        );
    }
}

// Expected values: `zlib.crc32` of the bytes that Pillow gives.
#[test]
fn larger_images_have_the_bytes_of_pillow() {
    let cases = [
        (
            [61, 83],
            3,
            [17, 140],
            [0x43bc_203b, 0x1185_1e74, 0xd58f_9062, 0x9596_d287],
        ),
        (
            [40, 90],
            1,
            [41, 13],
            [0x50dd_2361, 0x9670_c894, 0x41f5_9bc5, 0x081e_3455],
        ),
        (
            [37, 37],
            3,
            [200, 9],
            [0xff58_3296, 0xcc76_f01e, 0x2cc1_233c, 0x9d9e_4d2f],
        ),
    ];
    for (old, channels, new, expected) in cases {
        for (filter, expected) in FILTERS.into_iter().zip(expected) {
            let pixels = image(old[0], old[1], channels);
            let mut sum = flate2::Crc::new();
            sum.update(&resized(&pixels, channels, old, new, filter));
            assert_eq!(sum.sum(), expected, "{old:?} -> {new:?}, {filter:?}");
        }
    }
}

#[test]
fn one_colour_stays_one_colour() {
    for filter in FILTERS {
        for new in [[1, 1], [3, 11], [40, 2]] {
            let values = planes(
                &[0.3; 70],
                [7, 5],
                [
                    Axis::new(Span::all(7), new[0]),
                    Axis::new(Span::all(5), new[1]),
                ],
                filter,
            );
            assert_eq!(values.len(), 2 * new[0] * new[1]);
            assert!(values.iter().all(|x| (x - 0.3).abs() < 1e-6), "{filter:?}");
            assert!(
                resized(&[77; 35], 1, [7, 5], new, filter)
                    .iter()
                    .all(|&x| x == 77)
            );
        }
    }
}

#[test]
fn overshoot_ends_at_black_and_white() {
    let edge = [0, 0, 0, 255, 255, 255];
    let grown = resized(&edge, 1, [1, 6], [1, 24], Interpolation::Bicubic);
    assert_eq!(grown.iter().min(), Some(&0));
    assert_eq!(grown.iter().max(), Some(&255));
    assert!(grown.windows(2).all(|pair| pair[0] <= pair[1]), "{grown:?}");
}

/// The rows and columns of an image.
fn cut(pixels: &[u8], channels: usize, width: usize, [rows, columns]: [Span; 2]) -> Vec<u8> {
    let lines = pixels.chunks_exact(width * channels).skip(rows.start);
    let lines = lines.take(rows.length);
    lines
        .flat_map(|line| &line[columns.start * channels..][..columns.length * channels])
        .copied()
        .collect()
}

#[test]
fn parts_are_resized_as_if_they_were_cut_out_before_and_cut_afterwards() {
    let span = |start, length| Span { start, length };
    let old = [37, 53];
    let parts = [
        [span(0, 37), span(0, 53)],
        [span(5, 20), span(11, 30)],
        [span(36, 1), span(0, 53)],
    ];
    // Both axes smaller, both larger, rows first, one axis or none as it is.
    let sizes = [
        [12, 9],
        [90, 71],
        [3, 25],
        [20, 13],
        [16, 30],
        [20, 30],
        [37, 53],
    ];
    for channels in [1, 3] {
        let pixels = image(old[0], old[1], channels);
        for (part, new, filter) in parts
            .iter()
            .flat_map(|part| sizes.map(|new| (part, new)))
            .flat_map(|(part, new)| FILTERS.map(|filter| (part, new, filter)))
        {
            let own = cut(&pixels, channels, old[1], *part);
            let whole = resized(&own, channels, part.map(|span| span.length), new, filter);
            let [down, across] = [0, 1].map(|i| Axis::new(part[i], new[i]));
            assert_eq!(bytes(&pixels, channels, old, [down, across], filter), whole);
            let kept = [span(new[0] / 3, new[0] - new[0] / 2), span(1, new[1] - 2)];
            let axes = [
                Axis {
                    kept: kept[0],
                    ..down
                },
                Axis {
                    kept: kept[1],
                    ..across
                },
            ];
            let expected = cut(&whole, channels, new[1], kept);
            let found = bytes(&pixels, channels, old, axes, filter);
            assert_eq!(found, expected, "{part:?} -> {new:?}, {kept:?}, {filter:?}");
        }
    }
}

#[test]
fn numbers_of_a_part_are_resized_like_bytes() {
    let span = |start, length| Span { start, length };
    let pixels = image(11, 13, 1);
    let values: Vec<f32> = pixels.iter().map(|&x| f32::from(x)).collect();
    for new in [[4, 5], [20, 30]] {
        // The others overshoot, and bytes end at 0 and 255 between the axes.
        for filter in [Interpolation::Bilinear, Interpolation::Nearest] {
            let [down, across] = [Axis::new(span(2, 8), new[0]), Axis::new(span(3, 9), new[1])];
            let kept = span(1, new[0] - 2);
            let axes = [Axis { kept, ..down }, across];
            let found = planes(&values, [11, 13], axes, filter);
            let expected = bytes(&pixels, 1, [11, 13], axes, filter);
            for (x, byte) in found.iter().zip(&expected) {
                assert!((x - f32::from(*byte)).abs() <= 1.01, "{x} {byte}");
            }
            assert_eq!(found.len(), expected.len());
        }
    }
}
