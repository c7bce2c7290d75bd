use dml_core::Error;

use super::*;

mod odd_arguments;

/// Every augmentation with settings under which it changes something, on pictures of 12 × 10 pixels.
fn all() -> Vec<AugmentationConfig> {
    use AugmentationConfig as Config;
    vec![
        Config::RandomResizedCrop(RandomResizedCropConfig::new([7, 9])),
        Config::RandomCrop(RandomCropConfig {
            size: [12, 10],
            padding: 3,
        }),
        Config::HorizontalFlip(HorizontalFlipConfig::default()),
        Config::ColorJitter(ColorJitterConfig {
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
        }),
        Config::GaussianBlur(GaussianBlurConfig::default()),
        Config::RandomErasing(RandomErasingConfig::default()),
        Config::Affine(AffineConfig {
            degrees: 30.0,
            translate: [0.1, 0.2],
            scale: [0.8, 1.2],
            shear: 10.0,
            fill: 0.5,
        }),
        Config::Normalize(NormalizeConfig::image_net()),
    ]
}

fn picture() -> Image {
    Image::from_fn([3, 12, 10], |c, y, x| {
        ((c * 120 + y * 10 + x) as f32 * 0.37).sin() * 0.5 + 0.5
    })
}

fn bits(image: &Image) -> Vec<u32> {
    image.values().iter().map(|x| x.to_bits()).collect()
}

#[test]
fn each_is_a_function_of_picture_and_seed() -> Result<()> {
    for config in all() {
        let augmentation = config.build()?;
        let results = (0..20)
            .map(|seed| {
                let image = augmentation.apply(picture(), seed)?;
                let shape = augmentation.output_shape(picture().shape())?;
                assert_eq!(image.shape(), shape, "{config:?}");
                assert!(image.values().iter().all(|x| x.is_finite()), "{config:?}");
                Ok(bits(&image))
            })
            .collect::<Result<Vec<_>>>()?;
        // In the other order, by another object.
        let again = config.build()?;
        for seed in (0..20).rev() {
            let image = again.apply(picture(), seed)?;
            assert_eq!(bits(&image), results[seed as usize], "{config:?}");
        }
        let differ = results.iter().any(|other| other != &results[0]);
        assert_eq!(
            differ,
            !matches!(config, AugmentationConfig::Normalize(_)),
            "{config:?}"
        );
        assert!(
            results.iter().any(|other| *other != bits(&picture())),
            "{config:?}"
        );
    }
    Ok(())
}

#[test]
fn values_stay_between_zero_and_one() -> Result<()> {
    let all = all();
    let augmentation = Compose::from_configs(&all[..all.len() - 1])?;
    for seed in 0..50 {
        let image = augmentation.apply(picture(), seed)?;
        // Weights of neighbours sum to 1 up to rounding.
        let within = |x: &f32| (-1e-5..1.0 + 1e-5).contains(x);
        assert!(image.values().iter().all(within), "{:?}", image.values());
    }
    Ok(())
}

#[test]
fn steps_draw_for_themselves() -> Result<()> {
    let flip = || HorizontalFlip::new(HorizontalFlipConfig::default());
    let crop = || {
        RandomCrop::new(RandomCropConfig {
            size: [12, 10],
            padding: 2,
        })
    };
    // The crop's draws are the same whatever stands before it.
    let nothing = Normalize::new(NormalizeConfig {
        mean: vec![0.0],
        std: vec![1.0],
    })?;
    let (a, b) = (
        Compose::default().with(nothing).with(crop()?),
        Compose::default().with(flip()?).with(crop()?),
    );
    let is_flipped = |seed| -> Result<bool> {
        let other = Compose::default().with(flip()?).apply(picture(), seed)?;
        Ok(other != picture())
    };
    for seed in 0..10 {
        let same = a.apply(picture(), seed)? == b.apply(picture(), seed)?;
        assert_eq!(same, !is_flipped(seed)?);
    }
    // Two flips do not always cancel out.
    let twice = Compose::default().with(flip()?).with(flip()?);
    let changes = (0..40).filter(|&seed| twice.apply(picture(), seed).unwrap() != picture());
    assert!((5..35).contains(&changes.count()));
    assert_eq!(Compose::default().apply(picture(), 0)?, picture());
    assert!(Compose::default().is_empty() && twice.len() == 2);
    Ok(())
}

#[test]
fn a_padded_crop_has_zeros_around_the_picture() -> Result<()> {
    let crop = RandomCrop::new(RandomCropConfig {
        size: [14, 12],
        padding: 1,
    })?;
    let padded = crop.apply(picture(), 0)?;
    for (y, row) in padded.plane(1).chunks_exact(12).enumerate() {
        let inside = (1..13).contains(&y);
        assert_eq!((row[0], row[11]), (0.0, 0.0));
        for (x, got) in row.iter().enumerate().take(11).skip(1) {
            let expected = if inside {
                picture().plane(1)[(y - 1) * 10 + x - 1]
            } else {
                0.0
            };
            assert_eq!(*got, expected);
        }
    }
    Ok(())
}

#[test]
fn probabilities_are_kept() -> Result<()> {
    let count = |augmentation: &dyn Augmentation| {
        let changed = |seed| augmentation.apply(picture(), seed).unwrap() != picture();
        (0..400).filter(|&seed| changed(seed)).count()
    };
    for (p, expected) in [(0.0, 0..1), (0.25, 70..131), (1.0, 400..401)] {
        let flip = HorizontalFlip::new(HorizontalFlipConfig { p })?;
        assert!(expected.contains(&count(&flip)), "{p}");
        let blur = GaussianBlur::new(GaussianBlurConfig {
            p,
            sigma: [1.0, 1.0],
        })?;
        assert!(expected.contains(&count(&blur)), "{p}");
        let erasing = RandomErasing::new(RandomErasingConfig {
            p,
            scale: [0.1, 0.1],
            ratio: [1.0, 1.0],
            value: 7.0,
        })?;
        assert!(expected.contains(&count(&erasing)), "{p}");
    }
    Ok(())
}

#[test]
fn an_erased_part_is_one_rectangle_over_all_channels() -> Result<()> {
    let erasing = RandomErasing::new(RandomErasingConfig {
        p: 1.0,
        value: 7.0,
        ..RandomErasingConfig::default()
    })?;
    for seed in 0..50 {
        let erased = erasing.apply(picture(), seed)?;
        let painted = |channel| -> Vec<usize> {
            let plane: &[f32] = erased.plane(channel);
            (0..120).filter(|&i| plane[i] == 7.0).collect()
        };
        let first = painted(0);
        assert!(first == painted(1) && first == painted(2));
        let (rows, columns): (Vec<_>, Vec<_>) = first.iter().map(|i| (i / 10, i % 10)).unzip();
        let span =
            |values: &[usize]| values.iter().max().unwrap() - values.iter().min().unwrap() + 1;
        assert_eq!(span(&rows) * span(&columns), first.len());
        let share = first.len() as f64 / 120.0;
        assert!(share < 0.42, "{share}");
    }
    Ok(())
}

#[test]
fn parameters_out_of_range_are_named() {
    use AugmentationConfig as Config;
    let crop = |size| RandomResizedCropConfig::new(size);
    let cases = [
        (Config::HorizontalFlip(HorizontalFlipConfig { p: 1.5 }), "p"),
        (Config::RandomCrop(RandomCropConfig::new([0, 3])), "size"),
        (
            Config::RandomCrop(RandomCropConfig {
                size: [3, 3],
                padding: usize::MAX,
            }),
            "padding",
        ),
        (Config::RandomResizedCrop(crop([3, 0])), "size"),
        (
            Config::RandomResizedCrop(RandomResizedCropConfig {
                scale: [0.0, 1.0],
                ..crop([3, 3])
            }),
            "scale",
        ),
        (
            Config::RandomResizedCrop(RandomResizedCropConfig {
                scale: [0.5, 1.1],
                ..crop([3, 3])
            }),
            "scale",
        ),
        (
            Config::RandomResizedCrop(RandomResizedCropConfig {
                ratio: [2.0, 1.0],
                ..crop([3, 3])
            }),
            "ratio",
        ),
        (
            Config::ColorJitter(ColorJitterConfig {
                brightness: -0.1,
                ..Default::default()
            }),
            "brightness",
        ),
        (
            Config::ColorJitter(ColorJitterConfig {
                contrast: f64::NAN,
                ..Default::default()
            }),
            "contrast",
        ),
        (
            Config::ColorJitter(ColorJitterConfig {
                saturation: f64::INFINITY,
                ..Default::default()
            }),
            "saturation",
        ),
        (
            Config::GaussianBlur(GaussianBlurConfig {
                sigma: [0.0, 1.0],
                p: 0.5,
            }),
            "sigma",
        ),
        (
            Config::GaussianBlur(GaussianBlurConfig {
                sigma: [1.0, 1e9],
                p: 0.5,
            }),
            "sigma",
        ),
        (
            Config::GaussianBlur(GaussianBlurConfig {
                p: f64::NAN,
                ..Default::default()
            }),
            "p",
        ),
        (
            Config::RandomErasing(RandomErasingConfig {
                p: -1.0,
                ..Default::default()
            }),
            "p",
        ),
        (
            Config::RandomErasing(RandomErasingConfig {
                scale: [0.1, 2.0],
                ..Default::default()
            }),
            "scale",
        ),
        (
            Config::RandomErasing(RandomErasingConfig {
                ratio: [-1.0, 2.0],
                ..Default::default()
            }),
            "ratio",
        ),
        (
            Config::RandomErasing(RandomErasingConfig {
                value: f64::NAN,
                ..Default::default()
            }),
            "value",
        ),
        (
            Config::Affine(AffineConfig {
                degrees: -1.0,
                ..Default::default()
            }),
            "degrees",
        ),
        (
            Config::Affine(AffineConfig {
                translate: [0.0, 1.5],
                ..Default::default()
            }),
            "translate",
        ),
        (
            Config::Affine(AffineConfig {
                scale: [0.0, 1.0],
                ..Default::default()
            }),
            "scale",
        ),
        (
            Config::Affine(AffineConfig {
                shear: 90.0,
                ..Default::default()
            }),
            "shear",
        ),
        (
            Config::Affine(AffineConfig {
                fill: f64::NAN,
                ..Default::default()
            }),
            "fill",
        ),
        (
            Config::Normalize(NormalizeConfig {
                mean: vec![0.0],
                std: vec![0.0],
            }),
            "std",
        ),
        (
            Config::Normalize(NormalizeConfig {
                mean: vec![f64::NAN],
                std: vec![1.0],
            }),
            "mean",
        ),
        (
            Config::Normalize(NormalizeConfig {
                mean: vec![0.0; 3],
                std: vec![1.0],
            }),
            "std",
        ),
        (
            Config::Normalize(NormalizeConfig {
                mean: vec![],
                std: vec![],
            }),
            "std",
        ),
        (
            Config::Normalize(NormalizeConfig {
                mean: vec![],
                std: vec![1.0],
            }),
            "mean",
        ),
    ];
    for (config, name) in cases {
        let message = config.build().unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("{name}: expected ")),
            "{config:?}: {message}"
        );
        assert!(Compose::from_configs(&[config]).is_err());
    }
}

#[test]
fn pictures_that_do_not_fit_are_refused() -> Result<()> {
    let two = Image::from_fn([2, 3, 3], |_, _, _| 0.5);
    let refused: [Arc<dyn Augmentation>; 3] = [
        Arc::new(ColorJitter::new(ColorJitterConfig::default())?),
        Arc::new(Normalize::new(NormalizeConfig::image_net())?),
        Arc::new(RandomCrop::new(RandomCropConfig::new([4, 3]))?),
    ];
    for augmentation in refused {
        let error = augmentation.output_shape(two.shape()).unwrap_err();
        assert!(matches!(error, Error::Shape { arg: "image", .. }));
        assert!(augmentation.apply(two.clone(), 0).is_err());
    }
    Ok(())
}

#[cfg(feature = "serde")]
#[test]
fn settings_are_read_by_name() {
    let text = r#"[
        {"name": "RandomResizedCrop", "size": [32, 32]},
        {"name": "HorizontalFlip"},
        {"name": "ColorJitter", "brightness": 0.4},
        {"name": "Normalize", "mean": [0.5], "std": [0.25]}
    ]"#;
    let configs: Vec<AugmentationConfig> = serde_json::from_str(text).unwrap();
    assert_eq!(
        configs[0],
        AugmentationConfig::RandomResizedCrop(RandomResizedCropConfig::new([32, 32]))
    );
    assert_eq!(Compose::from_configs(&configs).unwrap().len(), 4);
    let text = serde_json::to_string(&all()).unwrap();
    assert_eq!(
        serde_json::from_str::<Vec<AugmentationConfig>>(&text).unwrap(),
        all()
    );
    for bad in [
        r#"{"name": "HorizontalFlop"}"#,
        r#"{"name": "HorizontalFlip", "q": 1}"#,
        r#"{"name": "RandomCrop"}"#,
    ] {
        assert!(
            serde_json::from_str::<AugmentationConfig>(bad).is_err(),
            "{bad}"
        );
    }
}
