//! Arguments that nobody means: an error, or an augmentation that works on a small image.

use super::*;

const NUMBERS: [f64; 12] = [
    0.0,
    -1.0,
    1.0,
    0.5,
    1e-320,
    1e-45,
    1e-30,
    1e30,
    1e308,
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
];

const SIZES: [usize; 8] = [
    0,
    1,
    5,
    1_000_000,
    1 << 32,
    1_000_000_000_000,
    1 << 63,
    usize::MAX,
];

fn with_number(number: f64) -> Vec<AugmentationConfig> {
    use AugmentationConfig as Config;
    let mut all = vec![
        Config::HorizontalFlip(HorizontalFlipConfig { p: number }),
        Config::Normalize(NormalizeConfig {
            mean: vec![number],
            std: vec![1.0],
        }),
        Config::Normalize(NormalizeConfig {
            mean: vec![0.0],
            std: vec![number],
        }),
    ];
    for field in 0..5 {
        let at = |place: usize, value: &mut f64| {
            if place == field {
                *value = number;
            }
        };
        let mut color = ColorJitterConfig::default();
        at(0, &mut color.brightness);
        at(1, &mut color.contrast);
        at(2, &mut color.saturation);
        let mut blur = GaussianBlurConfig {
            p: 1.0,
            ..GaussianBlurConfig::default()
        };
        at(0, &mut blur.sigma[0]);
        at(1, &mut blur.sigma[1]);
        at(2, &mut blur.p);
        let mut erasing = RandomErasingConfig {
            p: 1.0,
            ..RandomErasingConfig::default()
        };
        at(0, &mut erasing.scale[0]);
        at(1, &mut erasing.scale[1]);
        at(2, &mut erasing.ratio[0]);
        at(3, &mut erasing.ratio[1]);
        at(4, &mut erasing.value);
        let mut affine = AffineConfig::default();
        at(0, &mut affine.degrees);
        at(1, &mut affine.translate[1]);
        at(2, &mut affine.scale[0]);
        at(3, &mut affine.shear);
        at(4, &mut affine.fill);
        let mut crop = RandomResizedCropConfig::new([3, 4]);
        at(0, &mut crop.scale[0]);
        at(1, &mut crop.scale[1]);
        at(2, &mut crop.ratio[0]);
        at(3, &mut crop.ratio[1]);
        all.extend([
            Config::ColorJitter(color),
            Config::GaussianBlur(blur),
            Config::RandomErasing(erasing),
            Config::Affine(affine),
            Config::RandomResizedCrop(crop),
        ]);
    }
    all
}

fn with_size(size: usize) -> [AugmentationConfig; 3] {
    use AugmentationConfig as Config;
    [
        Config::RandomResizedCrop(RandomResizedCropConfig::new([size, 3])),
        Config::RandomCrop(RandomCropConfig::new([3, size])),
        Config::RandomCrop(RandomCropConfig {
            size: [3, 3],
            padding: size,
        }),
    ]
}

#[test]
fn odd_arguments_are_refused_or_work() {
    let pixels = (0..3 * 6 * 7).map(|i| (i % 11) as f32 / 10.0).collect();
    let image = Image::new([3, 6, 7], pixels).unwrap();
    let numbers = NUMBERS.into_iter().flat_map(with_number);
    let sizes = SIZES.into_iter().flat_map(with_size);
    let mut applied = 0;
    for config in numbers.chain(sizes) {
        let Ok(augmentation) = config.build() else {
            continue;
        };
        for seed in 0..3 {
            if let Ok(changed) = augmentation.apply(image.clone(), seed) {
                let has_nan = changed.values().iter().any(|x| x.is_nan());
                assert!(!has_nan, "{config:?}");
                applied += 1;
            }
        }
    }
    assert!(applied > 200, "{applied}");
}
