//! CUB-200-2011 and Cars-196.

use super::*;

#[test]
fn birds_are_divided_by_class_or_as_published() -> Result<()> {
    let cub = read("cub200", "cub200", &LayoutConfig::default())?.manifest;
    assert_eq!(cub.entries().len(), 10);
    assert_eq!(cub.class_names()[2], "100.Brown_Pelican");
    assert_eq!(
        classes(&cub, "train")?,
        [
            "001.Black_footed_Albatross",
            "002.Laysan_Albatross",
            "100.Brown_Pelican"
        ]
    );
    assert_eq!(classes(&cub, "test")?.len(), 2);
    assert_eq!(cub.labels(), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    check_images(&cub)?;
    // The folder itself may be given, too.
    let inner = read("cub200", "cub200/CUB_200_2011", &published())?.manifest;
    assert_eq!(inner.split("train")?.entries().len(), 5);
    assert_eq!(classes(&inner, "train")?, classes(&inner, "test")?);
    let config = LayoutConfig {
        boxes: true,
        ..LayoutConfig::default()
    };
    let cub = read("cub200", "cub200", &config)?.manifest;
    let expected = PixelBox {
        left: 1,
        top: 2,
        width: 7,
        height: 5,
    };
    assert_eq!(cub.entries()[1].bounding_box, Some(expected));
    check_images(&cub)
}

#[test]
fn a_file_that_is_missing_is_named() -> Result<()> {
    let folder = copy("cub200");
    fs::remove_file(folder.path().join("CUB_200_2011/classes.txt")).unwrap();
    let error = layout("cub200")?.read(folder.path(), &LayoutConfig::default());
    let (text, place) = (error.unwrap_err().to_string(), folder.path().display());
    assert_eq!(
        text,
        format!(
            "CUB-200-2011: expected classes.txt in {place}/CUB_200_2011, found nothing of that name: get it from \
             https://data.caltech.edu/records/65de6-vp158 and unpack it into {place}"
        )
    );
    Ok(())
}

#[test]
fn damaged_lists_of_birds_are_refused() {
    let cases = [
        (
            "images.txt",
            "1 001.",
            "x 001.",
            "images.txt, line 1, column image: expected a whole number, found \"x\"",
        ),
        (
            "images.txt",
            "2 001.",
            "2 ../001.",
            "images.txt, line 2, column path: expected a path within the data set's folder, found \"../001.",
        ),
        (
            "images.txt",
            "2 001.",
            "77 001.",
            "line 2, column image: expected an image with a line in image_class_labels.txt, found \"77\"",
        ),
        (
            "image_class_labels.txt",
            "3 2\n",
            "3 2\n3 2\n",
            "image_class_labels.txt, line 4, column image: expected one line for each image",
        ),
        (
            "image_class_labels.txt",
            "3 2\n",
            "3 9\n",
            "images.txt, line 3, column image: expected an image of a class with a line in classes.txt",
        ),
        (
            "image_class_labels.txt",
            "3 2\n",
            "3\n",
            "line 3, column class: expected a word in that column, found the end of the line",
        ),
        (
            "classes.txt",
            "2 002.",
            "1 002.",
            "classes.txt, line 2, column class: expected one line for each class",
        ),
        (
            "bounding_boxes.txt",
            "1.0 2.0 6.0",
            "1.0 2.0 0.0",
            "bounding_boxes.txt, line 1, column box: expected four numbers of a box with at least one pixel, found \"1.0 2.0 0.0 5.0\"",
        ),
        (
            "bounding_boxes.txt",
            "1.0 2.0 6.0",
            "1.0 nan 6.0",
            "column box: expected four numbers",
        ),
    ];
    for (file, old, new, expected) in cases {
        let file = format!("CUB_200_2011/{file}");
        let text = message("cub200", "cub200", &file, old, new);
        assert!(text.contains(expected), "{text}");
    }
}

#[test]
fn all_forms_of_the_cars_are_the_same() -> Result<()> {
    let config = LayoutConfig {
        boxes: true,
        ..LayoutConfig::default()
    };
    let form = |name: &str, config: &LayoutConfig| -> Result<Vec<(String, String, PixelBox)>> {
        let cars = read("cars196", &format!("cars196/{name}"), config)?.manifest;
        assert_eq!(cars.class_names().len(), 196);
        assert_eq!(cars.class_names()[2], "Ram C/V Cargo Van Minivan 2012");
        check_images(&cars)?;
        let parts = |own: &Entry| Some((own.label.clone(), own.split.clone()?, own.bounding_box?));
        let mut cars: Vec<_> = cars.entries().iter().filter_map(parts).collect();
        cars.sort_by_key(|own| (own.0.clone(), own.2.width));
        Ok(cars)
    };
    let one = form("one_archive", &config)?;
    assert_eq!(one.len(), 7);
    assert_eq!(one[0].0, "AM General Hummer SUV 2000");
    let expected = PixelBox {
        left: 1,
        top: 0,
        width: 7,
        height: 7,
    };
    assert_eq!(one[0].2, expected);
    let unseen = one.iter().filter(|own| own.1 == "test");
    let unseen: Vec<&str> = unseen.map(|own| own.0.as_str()).collect();
    assert_eq!(
        unseen,
        [
            "Make Model099 Sedan 2012",
            "smart fortwo 2012",
            "smart fortwo 2012"
        ]
    );
    assert_eq!(form("two_archives", &config)?, one);
    assert_eq!(form("class_folders", &config)?, one);
    let config = LayoutConfig {
        boxes: true,
        ..published()
    };
    let one = form("one_archive", &config)?;
    assert_eq!(one.iter().filter(|own| own.1 == "train").count(), 4);
    assert_eq!(form("two_archives", &config)?, one);
    assert_eq!(form("class_folders", &config)?, one);
    Ok(())
}

#[test]
fn damaged_annotations_of_cars_are_refused() {
    let form = "cars196/class_folders";
    let cases = [
        (
            "anno_train.csv",
            ",1\n",
            ",197\n",
            "anno_train.csv, line 1, column 6: expected the number of a line of names.csv, found \"197\"",
        ),
        (
            "anno_train.csv",
            ",1\n",
            ",0\n",
            "column 6: expected the number of a line",
        ),
        (
            "anno_train.csv",
            "00001.jpg",
            "../00001.jpg",
            "column 1: expected a path within the data set's folder",
        ),
        (
            "anno_train.csv",
            "00001.jpg,",
            "",
            "expected a file, four numbers of its box and a class, found \"2,1,8,7,1\"",
        ),
        (
            "anno_test.csv",
            ",2,1,",
            ",90,1,",
            "column box: expected four numbers of a box with at least one pixel",
        ),
    ];
    for (file, old, new, expected) in cases {
        let text = message("cars196", form, file, old, new);
        assert!(text.contains(expected), "{text}");
    }
    // Any damage to the file of MATLAB is an error or is read, and takes no more memory than the file.
    let folder = copy("cars196/one_archive");
    let path = folder.path().join("cars_annos.mat");
    let whole = fs::read(&path).unwrap();
    for length in [0, 127, 128, 200, whole.len() - 9] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = layout("cars196").unwrap().read(folder.path(), &published());
        assert!(
            matches!(error, Err(DataError::Malformed { .. })),
            "{length}"
        );
    }
}
