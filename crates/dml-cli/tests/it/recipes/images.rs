//! Recipes of images, on photos and excerpts of published data sets.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use dml::core::rand::{Rng, SeedableRng};
use dml::core::rand_chacha::ChaCha8Rng;
use serde_json::json;

use super::{SMALL, excerpt, resumes, root, shares, train};
use crate::program::{Folder, photos};

/// CIFAR-100 as its authors lay it out: four images of each of some classes, with two classes to a superclass.
fn cifar100(folder: &Folder) -> String {
    let names = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../dml-data/tests/inputs/layouts/cifar100/binary/cifar-100-binary");
    for name in ["coarse_label_names.txt", "fine_label_names.txt"] {
        folder.write(
            &format!("cifar/{name}"),
            fs::read(names.join(name)).unwrap(),
        );
    }
    let rng = &mut ChaCha8Rng::seed_from_u64(4);
    // The first half of the classes is learnt from, wherever it stands.
    for (name, classes) in [("train.bin", 0..4u8), ("test.bin", 50..54)] {
        let mut bytes = Vec::new();
        for class in classes {
            for _ in 0..4 {
                bytes.extend([class % 50 / 2, class]);
                bytes.extend((0..3072).map(|_| rng.random_range(0..200u8) + class / 2));
            }
        }
        folder.write(&format!("cifar/{name}"), bytes);
    }
    r#"data.train="cifar""#.to_owned()
}

#[test]
fn product_photos() {
    let folder = Folder::new();
    let fields = [
        r#"data.train="photos""#,
        r#"data.test_classes=["pants", "shoes"]"#,
        SMALL,
        "sampler={ m = 4, batch_size = 8 }",
    ];
    train(&folder, "product_photos", &fields);
    shares(&folder, &["precision_at_1", "NMI", "roc_auc"]);
    resumes(&folder);
}

/// The bytes of a photo of this package.
fn photo(number: usize) -> Vec<u8> {
    let class = ["dress", "hat", "pants", "shoes"][number % 4];
    let file = photos().join(format!("{class}/{}.jpg", number / 4 % 5 + 1));
    fs::read(file).unwrap()
}

/// CUB-200-2011 as its authors lay it out: three photos of each of four classes to learn from and two to judge by.
fn cub200(folder: &Folder) -> String {
    let mut lists = [const { String::new() }; 4];
    let [classes, images, labels, splits] = &mut lists;
    let mut id = 0;
    for class in [1, 2, 3, 4, 101, 102] {
        writeln!(classes, "{class} {class:03}.Bird").unwrap();
        for n in 0..3 {
            id += 1;
            let path = format!("{class:03}.Bird/{n}.jpg");
            folder.write(&format!("cub/images/{path}"), photo(id));
            writeln!(images, "{id} {path}").unwrap();
            writeln!(labels, "{id} {class}").unwrap();
            writeln!(splits, "{id} {}", u8::from(n < 2)).unwrap();
        }
    }
    for (name, list) in [
        ("classes", &lists[0]),
        ("images", &lists[1]),
        ("image_class_labels", &lists[2]),
        ("train_test_split", &lists[3]),
    ] {
        folder.write(&format!("cub/{name}.txt"), list);
    }
    r#"data.train="cub""#.to_owned()
}

#[test]
fn zero_shot_classes() {
    let folder = Folder::new();
    let data = cub200(&folder);
    let small = [&data, SMALL, "sampler={ m = 2, batch_size = 4 }"];
    let fields = [&small[..], &["data.validation_classes=0.5"]].concat();
    let out = train(&folder, "zero_shot_classes", &fields);
    assert!(out.contains("6 images of 2 classes to learn from"), "{out}");
    assert!(out.contains("6 images of 2 classes to judge by"), "{out}");
    assert!(out.contains("to choose the best epoch by"), "{out}");
    let results = folder.json("run/metrics.json");
    let unseen = json!(["101.Bird", "102.Bird"]);
    assert_eq!(results["data"]["test_classes"], unseen);
    shares(&folder, &["precision_at_1", "r_precision"]);
    resumes(&folder);
    // The published division has all classes in both halves.
    let fields = [
        &fields[..],
        &["data.protocol=published", "data.test_split=test"],
    ]
    .concat();
    let path = root().join("zero_shot_classes.toml").display().to_string();
    let mut args = vec!["train", &path, "--out", "other", "--dry-run"];
    for field in &fields {
        args.extend(["--set", field]);
    }
    let ended = folder.run(&args);
    assert_eq!(ended.code, 0, "{ended:?}");
    // Standard output has the configuration alone.
    assert!(ended.error.contains("are learnt from, too"), "{ended:?}");
}

/// Labeled Faces in the Wild as its authors lay it out: five photos of each of four persons, and pairs in two folds.
fn lfw(folder: &Folder) -> String {
    for (number, person) in ["Ada_A", "Bo_B", "Cy_C", "Di_D"].iter().enumerate() {
        for n in 1..=5 {
            let name = format!("faces/lfw/{person}/{person}_{n:04}.jpg");
            folder.write(&name, photo(number + 4 * (n - 1)));
        }
    }
    let pairs = "2 2\n\
        Ada_A 1 2\nBo_B 1 2\nAda_A 1 Bo_B 1\nAda_A 2 Bo_B 2\n\
        Cy_C 1 2\nDi_D 1 2\nCy_C 1 Di_D 1\nCy_C 2 Di_D 2\n";
    for (name, list) in [
        ("pairs", pairs),
        ("pairsDevTest", "1\nCy_C 3 4\nCy_C 3 Di_D 3\n"),
        ("peopleDevTrain", "2\nAda_A 5\nBo_B 5\n"),
        ("peopleDevTest", "2\nCy_C 5\nDi_D 5\n"),
    ] {
        let list = list.replace(' ', "\t");
        folder.write(&format!("faces/{name}.txt"), list);
    }
    r#"data.train="faces""#.to_owned()
}

#[test]
fn faces() {
    let folder = Folder::new();
    let fields = [
        &lfw(&folder),
        SMALL,
        "sampler={ m = 4, batch_size = 8 }",
        // A run of one epoch ends before the learning rate has risen.
        "schedule.warm_up=0",
        r#"train.augment=[{ name = "RandomResizedCrop", size = [32, 32] }]"#,
    ];
    let out = train(&folder, "faces", &fields);
    assert!(
        out.contains("10 images of 2 classes to learn from"),
        "{out}"
    );
    assert!(out.contains("2 pairs of 3 images to judge by"), "{out}");
    shares(&folder, &["roc_auc", "tar_at_far_0.01"]);
    resumes(&folder);
    let path = root().join("faces.toml").display().to_string();
    let with_list = |list: &str| {
        let mut args = vec![
            "train", &path, "--out", "other", "--epochs", "1", "--set", list,
        ];
        for field in &fields {
            args.extend(["--set", field]);
        }
        folder.run(&args)
    };
    let ended = with_list("data.test_list=test");
    assert!(
        ended.out.contains("8 pairs of 8 images in 2 folds"),
        "{ended:?}"
    );
    let metrics = &folder.json("other/metrics.json")["metrics"];
    let accuracy = metrics["fold_accuracy"].as_f64().unwrap();
    assert!((0.0..=1.0).contains(&accuracy), "{metrics}");
    let ended = with_list("data.test_list=none");
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(
        ended
            .error
            .contains("expected one of test, dev_test, got none"),
        "{ended:?}"
    );
}

#[test]
fn pairs_of_a_table_are_verified() {
    let folder = Folder::new();
    let mut table = "first,second,same,fold\n".to_owned();
    for (fold, own, other) in [(0, "dress", "hat"), (1, "pants", "shoes")] {
        for n in 1..=2 {
            writeln!(
                table,
                "photos/{own}/{n}.jpg,photos/{own}/{}.jpg,1,{fold}",
                n + 2
            )
            .unwrap();
            writeln!(
                table,
                "photos/{own}/{n}.jpg,photos/{other}/{n}.jpg,0,{fold}"
            )
            .unwrap();
        }
    }
    folder.write("pairs.csv", &table);
    let data = r#"data={ train = "photos", test_pairs = "pairs.csv" }"#;
    let out = folder.done(&["train", "--set", data, "--epochs", "1"]);
    assert!(out.contains("8 pairs of 12 images in 2 folds"), "{out}");
    shares(&folder, &["roc_auc", "fold_accuracy"]);
    let metrics = &folder.json("run/metrics.json")["metrics"];
    // An image of a pair has no class to be found by.
    assert!(metrics.get("precision_at_1").is_none(), "{metrics}");
    // A pair without one of its images is no pair.
    folder.write("photos/hat/1.jpg", "no image");
    let ended = folder.run(&["train", "--set", data, "--overwrite"]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(ended.error.contains("hat/1.jpg"), "{ended:?}");
}

#[test]
fn re_identification() {
    let folder = Folder::new();
    let fields = [
        &excerpt("market1501"),
        SMALL,
        "sampler={ m = 2, batch_size = 4 }",
    ];
    let out = train(&folder, "re_identification", &fields);
    assert!(out.contains("2 queries among 5 images"), "{out}");
    shares(&folder, &["hit_rate_at_1", "mean_average_precision"]);
    resumes(&folder);
}

#[test]
fn self_supervised() {
    let folder = Folder::new();
    // Without class folders: no label is there to be read.
    for class in fs::read_dir(photos()).unwrap() {
        let class = class.unwrap().path();
        for file in fs::read_dir(&class).into_iter().flatten() {
            let file = file.unwrap().path();
            let name = format!(
                "{}_{}",
                class.file_name().unwrap().display(),
                file.file_name().unwrap().display()
            );
            folder.write(&format!("flat/{name}"), fs::read(&file).unwrap());
        }
    }
    let fields = [
        r#"data.train="flat""#,
        r#"data.test="photos""#,
        SMALL,
        "sampler.batch_size=8",
        r#"train.augment=[{ name = "RandomResizedCrop", size = [32, 32] }, { name = "HorizontalFlip" }]"#,
    ];
    let out = train(&folder, "self_supervised", &fields);
    assert!(
        out.contains("20 images without labels to learn from"),
        "{out}"
    );
    shares(&folder, &["precision_at_1"]);
    resumes(&folder);
}

#[test]
fn hierarchical_labels() {
    let folder = Folder::new();
    let fields = [
        &cifar100(&folder),
        SMALL,
        "sampler={ m = 4, batch_size = 8 }",
    ];
    let out = train(&folder, "hierarchical_labels", &fields);
    // Two classes of each of two superclasses.
    assert!(
        out.contains("16 images of 2 classes to learn from"),
        "{out}"
    );
    assert!(out.contains("16 images of 2 classes to judge by"), "{out}");
    shares(&folder, &["precision_at_1"]);
    // Any column of a table is a level.
    let mut table = "path,label,family,split\n".to_owned();
    for (class, family) in [
        ("dress", "whole"),
        ("hat", "part"),
        ("pants", "part"),
        ("shoes", "part"),
    ] {
        for n in 1..=5 {
            let split = if n < 4 { "train" } else { "test" };
            writeln!(table, "photos/{class}/{n}.jpg,{class},{family},{split}").unwrap();
        }
    }
    folder.write("all.csv", table);
    let data = r#"data={ train = "all.csv", train_split = "train", test_split = "test", level = "family", test_level = "label" }"#;
    let out = folder.done(&["train", "--set", data, "--epochs", "1", "--overwrite"]);
    assert!(
        out.contains("12 images of 2 classes to learn from"),
        "{out}"
    );
    assert!(out.contains("8 images of 4 classes to judge by"), "{out}");
}

#[test]
fn multi_label() {
    let folder = Folder::new();
    let mut table = "path,labels,split\n".to_owned();
    for (class, others) in [
        ("dress", "cloth"),
        ("hat", "small"),
        ("pants", "cloth"),
        ("shoes", "small|pair"),
    ] {
        for n in 1..=5 {
            let split = if n < 4 { "train" } else { "test" };
            writeln!(table, "photos/{class}/{n}.jpg,{class}|{others},{split}").unwrap();
        }
    }
    folder.write("photos.csv", table);
    let fields = [r#"data.train="photos.csv""#, SMALL, "sampler.batch_size=6"];
    let out = train(&folder, "multi_label", &fields);
    assert!(
        out.contains("12 images, each of some of 7 classes to learn from"),
        "{out}"
    );
    shares(&folder, &["precision_at_1", "roc_auc"]);
    resumes(&folder);
    // A held-out class would be learnt from by the other classes of its images.
    let path = root().join("multi_label.toml").display().to_string();
    let ended = folder.run(&[
        "train",
        &path,
        "--set",
        r#"data={ train = "photos.csv", test_classes = 0.5 }"#,
        "--set",
        SMALL,
    ]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.error.contains("several classes"), "{ended:?}");
}

#[test]
fn few_shot() {
    let folder = Folder::new();
    let characters = [("background", 4), ("evaluation", 2)];
    for (part, count) in characters {
        for (character, n) in (1..=count).flat_map(|character| [(character, 1), (character, 2)]) {
            let alphabet = format!("omniglot/images_{part}/Greek/character{character:02}");
            folder.write(&format!("{alphabet}/{n}.jpg"), photo(2 * character + n));
        }
    }
    let fields = [
        r#"data.train="omniglot""#,
        SMALL,
        "sampler={ m = 2, batch_size = 4 }",
        "data.validation_classes=0.5",
        r#"train.augment=[{ name = "RandomResizedCrop", size = [32, 32] }]"#,
    ];
    let out = train(&folder, "few_shot", &fields);
    assert!(out.contains("4 images of 2 classes to learn from"), "{out}");
    assert!(out.contains("4 images of 2 classes to judge by"), "{out}");
    shares(&folder, &["precision_at_1"]);
    resumes(&folder);
}

#[test]
fn with_classifier() {
    let folder = Folder::new();
    let fields = [
        &cifar100(&folder),
        SMALL,
        "sampler={ m = 4, batch_size = 8 }",
    ];
    let out = train(&folder, "with_classifier", &fields);
    assert!(
        out.contains("16 images of 4 classes to learn from"),
        "{out}"
    );
    let log = folder.text("run/iterations.csv");
    assert!(
        log.lines().next().unwrap().contains("classifier_loss"),
        "{log}"
    );
    shares(&folder, &["precision_at_1"]);
    resumes(&folder);
}
