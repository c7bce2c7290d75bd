//! Numbers out of range, and fields that contradict each other.

use dml::config::{MetricName, ScheduleKind};

use super::{DataKind, Problem, Settings, data_conflicts};

/// Most passes over the data.
const MOST_EPOCHS: u64 = 1_000_000;
/// Largest height and width of images, in pixels.
const LARGEST_IMAGE: usize = 4_096;
/// Longest embedding.
const LONGEST: usize = 65_536;
/// Most rows of anything that is held in memory at a time.
const MOST_ROWS: usize = 1 << 20;

/// Beginnings of the names of metrics that are better when they are lower, or neither.
const UNORDERED: [&str; 7] = [
    "eer",
    "fnmr",
    "mean_positive_distance",
    "mean_negative_distance",
    "alignment",
    "uniformity",
    "principal",
];

/// The first thing that is wrong.
pub(super) fn check(settings: &Settings) -> Result<(), Problem> {
    ranges(settings)?;
    data_conflicts::check(settings)?;
    backbone(settings)?;
    sampler(settings)?;
    evaluation(settings)
}

fn ranges(own: &Settings) -> Result<(), Problem> {
    let whole = |path: &str, value: u64, [least, most]: [u64; 2]| {
        let fits = (least..=most).contains(&value);
        let sentence = || format!("expected a whole number from {least} to {most}, got {value}");
        refuse(own, !fits, path, sentence)
    };
    let rows = [1, MOST_ROWS as u64];
    whole("train.epochs", own.train.epochs, [0, MOST_EPOCHS])?;
    whole("train.accumulate", own.train.accumulate as u64, rows)?;
    whole(
        "train.keep_checkpoints",
        own.train.keep_checkpoints as u64,
        rows,
    )?;
    whole(
        "train.loading_threads",
        own.train.loading_threads as u64,
        [0, 1024],
    )?;
    whole("evaluate.batch", own.evaluate.batch as u64, rows)?;
    whole("search.k", own.search.k as u64, [1, u64::from(u32::MAX)])?;
    whole(
        "head.embedding",
        own.head.embedding as u64,
        [0, LONGEST as u64],
    )?;
    whole(
        "backbone.freeze_below",
        own.backbone.freeze_below as u64,
        [0, 1000],
    )?;
    let epochs = [1, MOST_EPOCHS];
    for (path, value, range) in [
        (
            "train.gradient_cache",
            own.train.gradient_cache.map(|rows| rows as u64),
            rows,
        ),
        (
            "train.checkpoint_every",
            own.train.checkpoint_every,
            [1, u64::MAX],
        ),
        ("evaluate.every", own.evaluate.every, epochs),
        ("evaluate.patience", own.evaluate.patience, [0, MOST_EPOCHS]),
        ("backbone.unfreeze_at", own.backbone.unfreeze_at, epochs),
        (
            "backbone.size",
            own.backbone.size.map(|size| size as u64),
            [8, LARGEST_IMAGE as u64],
        ),
    ] {
        if let Some(value) = value {
            whole(path, value, range)?;
        }
    }
    let number = |path: &str, value: Option<f64>, fits: fn(f64) -> bool, expected: &str| {
        let value = value.unwrap_or(f64::NAN);
        let is_out = !value.is_nan() && !fits(value);
        refuse(own, is_out, path, || {
            format!("expected {expected}, got {value}")
        })
    };
    let above = |value: f64| value > 0.0 && value.is_finite();
    number("backbone.lr", own.backbone.lr, above, "a number above 0")?;
    number(
        "optimizer.lr",
        Some(own.optimizer.learning_rate()),
        above,
        "a number above 0",
    )?;
    number("train.clip", own.train.clip, above, "a number above 0")?;
    let share = |value: f64| (0.0..1.0).contains(&value);
    number(
        "train.ema",
        own.train.ema,
        share,
        "a number of at least 0 and below 1",
    )?;
    let decay = |value: f64| value > 0.0 && value <= 1.0;
    let expected = "a number above 0 and up to 1";
    number(
        "backbone.layer_decay",
        Some(own.backbone.layer_decay),
        decay,
        expected,
    )?;
    let limit = own.data.memory_limit;
    whole("data.memory_limit", limit, [1 << 20, 1 << 40])
}

fn backbone(own: &Settings) -> Result<(), Problem> {
    let backbone = &own.backbone;
    match own.data.kind {
        DataKind::Images => {}
        DataKind::Texts => {
            let reason =
                "data.kind is texts: expected backbone.folder, the folder of a text encoder";
            own.refuse_set(&["backbone.name"], reason)?;
            if backbone.folder.is_none() {
                let sentence =
                    "expected the folder of a text encoder, such as sentence-transformers has";
                return Err(own.problem("backbone.folder", sentence));
            }
        }
        DataKind::Vectors => return vectors(own),
    }
    match (&backbone.name, &backbone.folder) {
        (None, None) => {
            let sentence =
                "expected the name of an image network (`dml list backbones`), or backbone.folder";
            return Err(own.problem("backbone.name", sentence));
        }
        (Some(_), Some(_)) => excludes(
            own,
            "backbone.folder",
            "backbone.name",
            "both name the network",
        )?,
        _ => {}
    }
    if let Some(name) = &backbone.name
        && let Err(error) = dml::models::by_name(name)
    {
        let names = dml::models::Model::ALL.iter().map(|model| model.name());
        let meant = super::nearest(name, names).map(|own| format!("; did you mean {own}?"));
        let error = error.to_string();
        let expected = error
            .split_once(": ")
            .map_or(error.as_str(), |(_, rest)| rest);
        let sentence = format!("{expected}, got {name}{}", meant.unwrap_or_default());
        return Err(own.problem("backbone.name", sentence));
    }
    if backbone.folder.is_some() {
        excludes(
            own,
            "backbone.weights",
            "backbone.folder",
            "the folder has weights",
        )?;
    }
    let is_frozen = backbone.freeze && backbone.unfreeze_at.is_none();
    if is_frozen {
        for path in [
            "backbone.lr",
            "backbone.layer_decay",
            "backbone.freeze_below",
        ] {
            excludes(
                own,
                path,
                "backbone.freeze",
                "a frozen backbone does not learn",
            )?;
        }
        if own.head.embedding == 0 {
            let other = own.cite("head.embedding");
            let sentence = format!("nothing would learn: {other} is 0, and the backbone is frozen");
            return Err(own.problem("backbone.freeze", sentence));
        }
    }
    let unfreezes = backbone.unfreeze_at.is_some();
    let is_any_frozen = backbone.freeze || backbone.freeze_below > 0;
    let sentence = || "expected backbone.freeze or backbone.freeze_below beside it".to_owned();
    refuse(
        own,
        unfreezes && !is_any_frozen,
        "backbone.unfreeze_at",
        sentence,
    )
}

/// Fields that a network on vectors has no use for: it is its hidden layers and the head.
fn vectors(own: &Settings) -> Result<(), Problem> {
    const UNUSED: [&str; 9] = [
        "backbone.name",
        "backbone.weights",
        "backbone.folder",
        "backbone.size",
        "backbone.freeze",
        "backbone.freeze_below",
        "backbone.unfreeze_at",
        "backbone.lr",
        "backbone.layer_decay",
    ];
    let reason = "data.kind is vectors, whose network has backbone.hidden and [head] alone";
    own.refuse_set(&UNUSED, reason)?;
    own.refuse_set(&["train.augment"], "vectors are not augmented")?;
    for length in &own.backbone.hidden {
        let fits = (1..=LONGEST).contains(length);
        refuse(own, !fits, "backbone.hidden", || {
            format!("expected lengths from 1 to {LONGEST}, got {length}")
        })?;
    }
    Ok(())
}

fn sampler(own: &Settings) -> Result<(), Problem> {
    let number = |name: &str| own.sampler.get(name).and_then(serde_json::Value::as_u64);
    if let (Some(batch), Some(m)) = (number("batch_size"), number("m"))
        && m > 0
        && !batch.is_multiple_of(m)
    {
        let other = own.cite("sampler.m");
        let sentence = format!("expected a multiple of {other}, {m}, got {batch}");
        return Err(own.problem("sampler.batch_size", sentence));
    }
    if own
        .sampler
        .get("coverage")
        .is_some_and(|value| *value == true)
    {
        let reason = "an epoch that covers all rows has their number";
        excludes(
            own,
            "sampler.length_before_new_iter",
            "sampler.coverage",
            reason,
        )?;
    }
    Ok(())
}

fn evaluation(own: &Settings) -> Result<(), Problem> {
    let data = &own.data;
    let has_validation = data.validation.is_some()
        || data.validation_split.is_some()
        || data.validation_classes.is_some();
    let has_test = data.test.is_some()
        || data.test_split.is_some()
        || data.test_classes.is_some()
        || data.test_pairs.is_some()
        || data.test_list.is_some();
    let is_validated = has_validation || own.evaluate.every.is_some();
    if own.evaluate.every.is_some() && !has_validation && !has_test {
        let sentence = "expected data.validation or data.test to evaluate";
        return Err(own.problem("evaluate.every", sentence));
    }
    let sentence = || "expected data.validation, or evaluate.every with data.test".to_owned();
    refuse(
        own,
        own.evaluate.patience.is_some() && !is_validated,
        "evaluate.patience",
        sentence,
    )?;
    let is_plateau = matches!(own.schedule.schedule, ScheduleKind::Plateau(_));
    let sentence = || {
        "Plateau lowers the rate by validation: expected data.validation, or evaluate.every with data.test".to_owned()
    };
    refuse(own, is_plateau && !is_validated, "schedule.name", sentence)?;
    let is_of_no_order = |metric: &MetricName| {
        let name = metric.to_string();
        UNORDERED.iter().any(|own| name.starts_with(own)) || name.ends_with("_threshold")
    };
    let metric = &own.evaluate.metric;
    let sentence = || format!("expected a metric that is better when it is higher, got {metric}");
    refuse(own, is_of_no_order(metric), "evaluate.metric", sentence)
}

/// Refuses two fields that exclude each other, if both have values.
pub(super) fn excludes(
    own: &Settings,
    path: &str,
    other: &str,
    reason: &str,
) -> Result<(), Problem> {
    if !own.is_set(path) || !own.is_set(other) {
        return Ok(());
    }
    let sentence = format!("it excludes {}: {reason}", own.cite(other));
    Err(own.problem(path, sentence))
}

pub(super) fn refuse(
    own: &Settings,
    is_wrong: bool,
    path: &str,
    sentence: impl FnOnce() -> String,
) -> Result<(), Problem> {
    match is_wrong {
        true => Err(own.problem(path, sentence())),
        false => Ok(()),
    }
}
