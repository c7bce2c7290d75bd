//! Fields of `[data]` that contradict each other, the kind of the data, or the method.

use std::path::Path;

use dml::config::MetricName;
use dml::data::layouts::{LAYOUTS, layout};

use super::conflicts::{excludes, refuse};
use super::{DataKind, HeldOut, MethodName, Problem, Settings, nearest};

/// Fields that name what the result is judged by.
const TESTS: [&str; 5] = [
    "data.test",
    "data.test_split",
    "data.test_classes",
    "data.test_pairs",
    "data.test_list",
];

/// The first thing that is wrong.
pub(super) fn check(own: &Settings) -> Result<(), Problem> {
    let data = &own.data;
    if data.train.is_none() {
        let sentence =
            "expected a folder of class folders, or a table; `dml init DIR` writes a configuration";
        return Err(own.problem("data.train", sentence));
    }
    of_layout(own)?;
    sets(own)?;
    kind(own)?;
    pairs(own)?;
    method(own)
}

fn of_layout(own: &Settings) -> Result<(), Problem> {
    let data = &own.data;
    let Some(name) = &data.layout else {
        let paths = ["data.protocol", "data.boxes", "data.test_list"];
        return own.refuse_set(&paths, "expected data.layout beside it");
    };
    if layout(name).is_err() {
        let names = LAYOUTS.map(|layout| layout.name);
        let meant = nearest(name, names).map(|own| format!("; did you mean {own}?"));
        let (names, meant) = (names.join(", "), meant.unwrap_or_default());
        let sentence = format!("expected one of {names}, got {name}{meant}");
        return Err(own.problem("data.layout", sentence));
    }
    let level = |path: &str, value: &Option<String>| {
        let is_other = value.as_ref().is_some_and(|own| own != "category");
        refuse(own, is_other, path, || {
            "expected category, the other level of a published data set".to_owned()
        })
    };
    level("data.level", &data.level)?;
    level("data.test_level", &data.test_level)
}

fn sets(own: &Settings) -> Result<(), Problem> {
    let data = &own.data;
    for (path, held_out) in [
        ("data.test_classes", &data.test_classes),
        ("data.validation_classes", &data.validation_classes),
    ] {
        let source = path.replace("_classes", "");
        let split = path.replace("_classes", "_split");
        if held_out.is_some() {
            excludes(own, path, &source, "both name the set")?;
            excludes(own, path, &split, "both name the set")?;
        }
    }
    for path in ["data.test_pairs", "data.test_list"] {
        for other in TESTS.iter().filter(|other| **other != path) {
            excludes(own, path, other, "both name the set")?;
        }
    }
    for (path, split, source) in [
        ("data.train_split", &data.train_split, &data.train),
        ("data.test_split", &data.test_split, &data.test),
        (
            "data.validation_split",
            &data.validation_split,
            &data.validation,
        ),
    ] {
        let source = source.as_ref().or(data.train.as_ref());
        let is_folder = data.layout.is_none()
            && source.is_some_and(|path| !is_table(path) && !has_ending(path, &["tar"]));
        if split.is_some() && is_folder {
            let shown = source.map_or(Path::new(""), |source| source).display();
            let sentence = format!(
                "expected a table with the column split, or data.layout, and {shown} is no table"
            );
            return Err(own.problem(path, sentence));
        }
    }
    if let (Some(HeldOut::Names(test)), Some(HeldOut::Names(validation))) =
        (&data.test_classes, &data.validation_classes)
        && let Some(both) = test.iter().find(|name| validation.contains(name))
    {
        let other = own.cite("data.test_classes");
        let sentence = format!("the class {both:?} is one of {other}, too");
        return Err(own.problem("data.validation_classes", sentence));
    }
    Ok(())
}

/// Fields that other kinds of data have no use for.
fn kind(own: &Settings) -> Result<(), Problem> {
    const OF_IMAGES: [&str; 3] = ["data.layout", "data.test_pairs", "data.unreadable"];
    const OF_TEXTS: [&str; 2] = ["data.pairs", "data.negatives"];
    const OF_VECTORS: [&str; 3] = [
        "data.train_labels",
        "data.test_labels",
        "data.validation_labels",
    ];
    let kind = own.data.kind;
    for (of, paths) in [
        (DataKind::Images, &OF_IMAGES[..]),
        (DataKind::Texts, &OF_TEXTS),
        (DataKind::Vectors, &OF_VECTORS),
    ] {
        if kind != of {
            let reason = format!(
                "a field of {}, and data.kind is {}",
                of.things(),
                kind.things()
            );
            own.refuse_set(paths, &reason)?;
        }
    }
    if kind == DataKind::Texts {
        own.refuse_set(&["data.arrays"], "texts are read from tables")?;
    }
    if kind == DataKind::Vectors {
        let paths = ["data.test_level", "data.memory_limit"];
        own.refuse_set(&paths, "not a field of vectors")?;
    }
    Ok(())
}

fn pairs(own: &Settings) -> Result<(), Problem> {
    let data = &own.data;
    if data.pairs.is_none() {
        let reason = "expected data.pairs beside it";
        own.refuse_set(&["data.negatives"], reason)?;
    } else {
        let paths = [
            "data.test_classes",
            "data.validation_classes",
            "data.level",
            "data.test_level",
        ];
        own.refuse_set(&paths, "pairs of data.pairs have no classes")?;
    }
    let are_verified = data.test_pairs.is_some() || data.test_list.is_some();
    let can = |metric: &MetricName| matches!(metric, MetricName::Verification(_));
    let is_of_none = are_verified && !own.evaluate.metrics.iter().any(can);
    refuse(own, is_of_none, "evaluate.metrics", || {
        "expected a metric of pairs, such as roc_auc or tar_at_far_0.001".to_owned()
    })
}

fn method(own: &Settings) -> Result<(), Problem> {
    let has_pairs = own.data.pairs.is_some();
    let method = own.method();
    let is_of_pairs = method == MethodName::TwoStreamMetricLoss;
    refuse(
        own,
        is_of_pairs != has_pairs,
        "train.method",
        || match has_pairs {
            true => "expected TwoStreamMetricLoss, since data.pairs are learnt from".to_owned(),
            false => "expected data.pairs, which TwoStreamMetricLoss learns from".to_owned(),
        },
    )?;
    let is_of_views = method == MethodName::UnsupervisedEmbeddingsUsingAugmentations;
    let is_of_images = own.data.kind == DataKind::Images;
    refuse(own, is_of_views && !is_of_images, "train.method", || {
        let kind = own.data.kind.things();
        format!("expected images, of which two views are made, and data.kind is {kind}")
    })
}

/// Whether a path is that of a table, by the ending of its name.
#[must_use]
pub fn is_table(path: &Path) -> bool {
    const TABLES: [&str; 7] = ["csv", "tsv", "tab", "jsonl", "ndjson", "json", "parquet"];
    has_ending(path, &TABLES)
}

/// Whether a name has one of these endings, in letters of either case.
pub(crate) fn has_ending(path: &Path, endings: &[&str]) -> bool {
    let own = path.extension().and_then(|ending| ending.to_str());
    own.is_some_and(|own| {
        endings
            .iter()
            .any(|ending| own.eq_ignore_ascii_case(ending))
    })
}
