//! Market-1501 and LFW.

use super::*;

#[test]
fn persons_have_cameras_sequences_distractors_and_junk() -> Result<()> {
    let market = read("market1501", "market1501", &LayoutConfig::default())?.manifest;
    assert_eq!(market.class_names(), ["0", "1", "2", "4", "7"]);
    assert_eq!(market.camera_names(), ["1", "2", "3", "6"]);
    assert_eq!(market.split("train")?.labels(), [2, 2, 4]);
    let queries = market
        .role(Role::Query)?
        .images(ImageFilesConfig::default())?;
    assert_eq!(dml_core::Dataset::labels(&queries).as_slice(), [1, 3]);
    assert_eq!(queries.cameras(), Some(&[0, 3][..]));
    let gallery = market.role(Role::Gallery)?;
    assert_eq!(gallery.labels(), [-1, 0, 1, 1, 3]);
    assert_eq!(gallery.cameras().unwrap(), [0, 0, 0, 1, 0]);
    assert_eq!(gallery.entries()[4].sequence.as_deref(), Some("c1s6"));
    check_images(&market)?;
    let folder = copy("market1501");
    let query = folder.path().join("Market-1501-v15.09.15/query");
    fs::rename(
        query.join("0001_c1s1_001051_00.jpg"),
        query.join("0001.jpg"),
    )
    .unwrap();
    let error = layout("market1501")?.read(folder.path(), &LayoutConfig::default());
    let text = error.unwrap_err().to_string();
    assert!(
        text.contains("query/0001.jpg, name: expected PERSON_c"),
        "{text}"
    );
    Ok(())
}

#[test]
fn faces_come_with_pairs_in_folds() -> Result<()> {
    let faces = read("lfw", "lfw", &LayoutConfig::default())?;
    assert_eq!(
        faces.manifest.class_names(),
        [
            "Aaron_Eckhart",
            "Abel_Pacheco",
            "Akhmed_Zakayev",
            "Dean_Barker"
        ]
    );
    assert_eq!(
        classes(&faces.manifest, "train")?,
        ["Abel_Pacheco", "Akhmed_Zakayev"]
    );
    let names: Vec<&str> = faces.pairs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["test", "dev_train"]);
    let list = faces.pairs("test").unwrap();
    let same: Vec<bool> = list.pairs.iter().map(|pair| pair.same).collect();
    assert_eq!(
        (list.folds, &same[..4]),
        (2, &[true, true, false, false][..])
    );
    let labels = faces.manifest.labels();
    for pair in list
        .pairs
        .iter()
        .chain(&faces.pairs("dev_train").unwrap().pairs)
    {
        assert_eq!(labels[pair.first] == labels[pair.second], pair.same);
    }
    // Abel_Pacheco 1 and 4 come behind the one image of Aaron_Eckhart.
    let expected = ImagePair {
        first: 1,
        second: 4,
        same: true,
    };
    assert_eq!(list.pairs[0], expected);
    check_images(&faces.manifest)?;
    let cases = [
        (
            "2\t2\n",
            "2\t3\n",
            "line 1, column 1: expected 2 × folds × pairs lines, found 8 lines for \"2\\t3\"",
        ),
        (
            "2\t2\n",
            "18446744073709551615\t2\n",
            "expected 2 × folds × pairs lines",
        ),
        (
            "2\t2\n",
            "2\t2\t2\n",
            "expected the numbers of folds and of pairs",
        ),
        (
            "Abel_Pacheco\t1\t4",
            "Abel_Pacheco\t1\t5",
            "column person: expected an image that is there, found \"Abel_Pacheco/Abel_Pacheco_0005.jpg\"",
        ),
        (
            "Abel_Pacheco\t1\t4",
            "../Abel\t1\t4",
            "column person: expected a path within",
        ),
        (
            "Abel_Pacheco\t1\t4",
            "Abel_Pacheco\t1\tAbel_Pacheco\t4",
            "expected a person and the numbers of two images",
        ),
        (
            "Aaron_Eckhart\t1\tDean_Barker\t2",
            "Aaron_Eckhart\t1\t2",
            "expected two persons, each with the number of an image",
        ),
    ];
    for (old, new, expected) in cases {
        let text = message("lfw", "lfw", "pairs.txt", old, new);
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}
