use dml_core::candle_core::{Device, Result, Tensor};

use super::*;
use crate::Normalization;

fn digits(config: SyntheticDigitsConfig) -> SyntheticDigits {
    SyntheticDigits::new(config).unwrap()
}

/// Share of `test` whose nearest image of `train`, by Euclidean distance of pixels, has their label.
fn nearest_neighbour_precision(train: &ImageDataset, test: &ImageDataset) -> Result<f64> {
    let rows = |set: &ImageDataset| -> Result<Tensor> {
        let all: Vec<usize> = (0..set.len()).collect();
        set.batch(&all, Normalization::UNIT, &Device::Cpu)?
            .flatten_from(1)
    };
    let (train_rows, test_rows) = (rows(train)?, rows(test)?);
    // The test image's own norm is the same for all candidates.
    let products = test_rows.matmul(&train_rows.t()?)?;
    let norms = train_rows.sqr()?.sum(1)?.unsqueeze(0)?;
    let nearest: Vec<u32> = norms
        .broadcast_sub(&(products * 2.0)?)?
        .argmin(1)?
        .to_vec1()?;
    let found = nearest
        .iter()
        .map(|&i| train.labels().as_slice()[i as usize]);
    let right = found
        .zip(test.labels().as_slice())
        .filter(|(a, b)| a == *b)
        .count();
    Ok(right as f64 / test.len() as f64)
}

/// The figure in the module's documentation.
#[test]
fn raw_pixels_do_not_solve_it() {
    let set = digits(SyntheticDigitsConfig::default())
        .train_test(10_000, 2_000)
        .unwrap();
    let precision = nearest_neighbour_precision(&set.train, &set.test).unwrap();
    assert!((precision - 0.8625).abs() < 0.002, "{precision}");
}

/// The same images on every machine and in every release: whoever changes them changes figures that people compare.
#[test]
fn the_images_stay_what_they_are() {
    let digits = digits(SyntheticDigitsConfig::default());
    let mut hash = 0xcbf2_9ce4_8422_2325_u64; // FNV-1a
    for split in [Split::Train, Split::Test] {
        for i in 0..200 {
            let (digit, pixels) = digits.image(split, i);
            for byte in pixels.into_iter().chain([digit]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
            }
        }
    }
    assert_eq!(hash, 0x3adc_bebf_3c63_bda9, "{hash:#x}");
}

#[test]
fn an_image_depends_on_seed_split_and_index_alone() {
    let digits = digits(SyntheticDigitsConfig::default());
    let (few, many) = (
        digits.dataset(Split::Test, 50).unwrap(),
        digits.dataset(Split::Test, 500).unwrap(),
    );
    assert_eq!(few.pixels(), &many.pixels()[..50 * SIZE * SIZE]);
    assert_eq!(few.labels().as_slice(), &many.labels().as_slice()[..50]);
    let one_thread = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .unwrap();
    let alone = one_thread.install(|| digits.dataset(Split::Test, 500).unwrap());
    assert_eq!(alone.pixels(), many.pixels());
    for i in [0, 49, 499] {
        assert_eq!(digits.image(Split::Test, i as u64).1, many.image(i));
        assert_ne!(digits.image(Split::Train, i as u64).1, many.image(i));
    }
    let other = SyntheticDigitsConfig {
        seed: 1,
        ..Default::default()
    };
    assert_ne!(
        SyntheticDigits::new(other).unwrap().image(Split::Test, 0).1,
        many.image(0)
    );
}

#[test]
fn no_two_images_are_equal() {
    let set = digits(SyntheticDigitsConfig::default())
        .train_test(3_000, 3_000)
        .unwrap();
    let mut images: Vec<&[u8]> = (0..3_000)
        .flat_map(|i| [set.train.image(i), set.test.image(i)])
        .collect();
    images.sort_unstable();
    assert!(images.windows(2).all(|pair| pair[0] != pair[1]));
}

/// Chi-square of the ten digits, 9 degrees of freedom, p = 0.001.
#[test]
fn digits_are_equally_frequent() {
    let set = digits(SyntheticDigitsConfig::default())
        .dataset(Split::Train, 10_000)
        .unwrap();
    let mut counts = [0u32; 10];
    set.labels()
        .as_slice()
        .iter()
        .for_each(|&digit| counts[digit as usize] += 1);
    let chi_square: f64 = counts
        .iter()
        .map(|&n| (f64::from(n) - 1e3).powi(2) / 1e3)
        .sum();
    assert!(chi_square < 27.9, "{counts:?}");
}

#[test]
fn every_image_is_white_on_black_and_within_the_frame() {
    let digits = digits(SyntheticDigitsConfig {
        noise: 0.0,
        ..Default::default()
    });
    let set = digits.dataset(Split::Train, 1_000).unwrap();
    for i in 0..set.len() {
        let image = set.image(i);
        let lit = image.iter().filter(|&&x| x > 100).count();
        assert!((15..400).contains(&lit), "image {i}: {lit} bright pixels");
        assert!(
            image.iter().filter(|&&x| x == 0).count() > 300,
            "image {i} is not on black"
        );
    }
}

#[test]
fn without_variation_only_the_styles_differ() {
    let digits = digits(SyntheticDigitsConfig {
        variation: 0.0,
        noise: 0.0,
        ..Default::default()
    });
    let mut images: Vec<(u8, [u8; SIZE * SIZE])> =
        (0..2_000).map(|i| digits.image(Split::Train, i)).collect();
    images.sort_unstable();
    images.dedup();
    let styles: usize = (0..10).map(|digit| glyphs::styles(digit).len()).sum();
    assert_eq!((images.len(), styles), (31, 31));
}

#[test]
fn arguments_are_checked_and_extreme_ones_do_no_harm() {
    for (variation, noise, name) in [(-1.0, 1.0, "variation"), (1.0, f64::NAN, "noise")] {
        let config = SyntheticDigitsConfig {
            variation,
            noise,
            ..Default::default()
        };
        let message = SyntheticDigits::new(config).unwrap_err().to_string();
        assert!(message.starts_with(name), "{message}");
    }
    for extreme in [30.0, 1e30] {
        let digits = digits(SyntheticDigitsConfig {
            variation: extreme,
            noise: extreme,
            ..Default::default()
        });
        assert_eq!(digits.dataset(Split::Train, 100).unwrap().len(), 100);
    }
}

#[cfg(feature = "serde")]
#[test]
fn a_configuration_is_read_with_defaults_and_without_strangers() {
    let read = |text: &str| serde_json::from_str::<SyntheticDigitsConfig>(text);
    let config = read(r#"{"seed": 3}"#).unwrap();
    assert_eq!(
        (config.seed, config.variation.to_bits()),
        (3, 1f64.to_bits())
    );
    assert_eq!(
        read(&serde_json::to_string(&config).unwrap()).unwrap(),
        config
    );
    assert!(read(r#"{"sead": 3}"#).is_err());
}
