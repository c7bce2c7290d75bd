//! iNaturalist 2018 and Omniglot.

use super::*;

#[test]
fn species_are_divided_by_the_lists_or_as_published() -> Result<()> {
    let species = read(
        "inaturalist2018",
        "inaturalist2018",
        &LayoutConfig::default(),
    )?
    .manifest;
    assert_eq!(
        species.class_names(),
        ["Quercus robur", "Pica pica", "Larus argentatus"]
    );
    assert_eq!(species.category_names(), ["Aves", "Plantae"]);
    assert_eq!(classes(&species, "train")?, ["Pica pica", "Quercus robur"]);
    assert_eq!(classes(&species, "test")?, ["Larus argentatus"]);
    check_images(&species)?;
    let species = read("inaturalist2018", "inaturalist2018", &published())?.manifest;
    assert_eq!(classes(&species, "train")?, classes(&species, "test")?);
    let cases = [
        (
            "val2018.json",
            "\"image_id\": 4",
            "\"image_id\": 44",
            "val2018.json, image 4: expected an annotation of the image, found none",
        ),
        (
            "train2018.json",
            "train_val2018/Aves",
            "../Aves",
            "image 2: expected a path within the data set's folder",
        ),
        (
            "train2018.json",
            "\"images\": [",
            "\"images\": {",
            "train2018.json, line 1, column ",
        ),
        (
            "Inat_dataset_splits/Inaturalist_test_set1.txt",
            "/2/",
            "/3/",
            "Inaturalist_test_set1.txt, line 1, column 1: expected an image of train2018.json or val2018.json",
        ),
    ];
    for (file, old, new, expected) in cases {
        let text = message("inaturalist2018", "inaturalist2018", file, old, new);
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}

#[test]
fn characters_belong_to_alphabets() -> Result<()> {
    let characters = read("omniglot", "omniglot", &LayoutConfig::default())?.manifest;
    assert_eq!(
        characters.class_names(),
        [
            "Alphabet_of_the_Magi/character01",
            "Alphabet_of_the_Magi/character02",
            "Angelic/character01",
            "Angelic/character02",
            "Greek/character01"
        ]
    );
    assert_eq!(
        characters.category_names(),
        ["Alphabet_of_the_Magi", "Angelic", "Greek"]
    );
    assert_eq!(characters.split("test")?.labels(), [2, 2, 3, 3]);
    check_images(&characters)
}
