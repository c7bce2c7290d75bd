//! CIFAR.

use super::*;

#[test]
fn the_binary_and_the_python_version_have_the_same_images() -> Result<()> {
    let config = ImageFilesConfig {
        size: [32, 32],
        ..ImageFilesConfig::default()
    };
    for (name, count, first) in [("cifar10", 13, "airplane"), ("cifar100", 6, "fine00")] {
        let form = |form: &str| read(name, &format!("{name}/{form}"), &LayoutConfig::default());
        let (binary, python) = (form("binary")?.manifest, form("python")?.manifest);
        assert_eq!(binary.entries().len(), count);
        assert_eq!(binary.class_names()[0], first);
        assert_eq!(binary.class_names(), python.class_names());
        assert_eq!(binary.labels(), python.labels());
        assert_eq!(binary.categories(), python.categories());
        let (a, b) = (
            binary.images(config.clone())?,
            python.images(config.clone())?,
        );
        for row in 0..count {
            assert_eq!(a.image(row)?, b.image(row)?);
        }
        // Planes of one colour for each half: the upper and the lower 16 rows.
        let image = a.image(0)?;
        let plane = image.plane(2);
        assert!(plane[..512].iter().all(|x| *x == plane[0]));
        assert!(plane[512..].iter().all(|x| *x == plane[512]) && plane[0] != plane[512]);
    }
    let hundred = read("cifar100", "cifar100/binary", &LayoutConfig::default())?.manifest;
    assert_eq!(classes(&hundred, "train")?, ["fine00", "fine07", "fine49"]);
    assert_eq!(hundred.entries()[1].category.as_deref(), Some("coarse09"));
    let hundred = read("cifar100", "cifar100/binary", &published())?.manifest;
    assert_eq!(classes(&hundred, "test")?, ["fine07", "fine98"]);
    Ok(())
}

#[test]
fn damaged_batches_are_refused_or_read() {
    for (name, form, file) in [
        (
            "cifar10",
            "cifar10/python",
            "cifar-10-batches-py/data_batch_2",
        ),
        ("cifar100", "cifar100/python", "cifar-100-python/test"),
        (
            "cifar10",
            "cifar10/binary",
            "cifar-10-batches-bin/data_batch_2.bin",
        ),
    ] {
        let folder = copy(form);
        let path = folder.path().join(file);
        let whole = fs::read(&path).unwrap();
        let read = || {
            layout(name)
                .unwrap()
                .read(folder.path(), &LayoutConfig::default())
        };
        for length in [0, 1, 100, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            let error = read().unwrap_err();
            assert!(matches!(error, DataError::Malformed { .. }), "{error}");
        }
        for seed in 0..200 {
            // The beginning has the program; behind it are pixels.
            let mut bytes = crate::mutation::mutated(&whole[..whole.len().min(400)], seed);
            bytes.extend(&whole[whole.len().min(400)..]);
            fs::write(&path, bytes).unwrap();
            if let Err(error) = read() {
                assert!(error.to_string().len() < 2000);
            }
        }
    }
}
