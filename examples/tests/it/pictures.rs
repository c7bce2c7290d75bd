//! Folders of pictures to learn from: stripes, whose direction is the class.

use std::fs;
use std::path::Path;

use image::{Rgb, RgbImage};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Writes `count` pictures for each class into a folder of its name. The class decides the direction of the stripes;
/// their colours, place, width and the noise are drawn, so that no pixel by itself says anything.
pub(crate) fn stripes(root: &Path, classes: &[(&str, f32)], count: usize, seed: u64) {
    for (number, (name, degrees)) in (0..).zip(classes) {
        let folder = root.join(name);
        fs::create_dir_all(&folder).unwrap();
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(number);
        for i in 0..count {
            // Sizes differ, and so do formats.
            let (width, height) = (rng.random_range(18..30), rng.random_range(18..30));
            let path = folder.join(format!("{i}.{}", if i % 3 == 0 { "jpg" } else { "png" }));
            picture(width, height, degrees.to_radians(), rng)
                .save(path)
                .unwrap();
        }
    }
}

fn picture(width: u32, height: u32, angle: f32, rng: &mut ChaCha8Rng) -> RgbImage {
    let mut colour = |low: f32, high: f32| [(); 3].map(|()| rng.random_range(low..high));
    let (dark, light) = (colour(0.0, 100.0), colour(150.0, 255.0));
    let phase = rng.random_range(0.0..std::f32::consts::TAU);
    let waves = rng.random_range(3.0f32..4.0);
    let (sine, cosine) = angle.sin_cos();
    RgbImage::from_fn(width, height, |x, y| {
        let (x, y) = (x as f32 / width as f32, y as f32 / height as f32);
        let wave = (std::f32::consts::TAU * waves * (x * cosine + y * sine) + phase).sin();
        let share = 0.5 + 0.5 * wave;
        let noise = rng.random_range(-12.0f32..12.0);
        Rgb([0, 1, 2].map(|c| (dark[c] + share * (light[c] - dark[c]) + noise) as u8))
    })
}
