use std::fs;
use std::path::Path;

use super::*;

/// The settings of a file with this text and these arguments of `--set`.
fn load_text(text: &str, set: &[&str]) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dml.toml");
    fs::write(&path, text).unwrap();
    let set: Vec<Override> = set
        .iter()
        .map(|own| Override::parse(own).unwrap())
        .collect();
    let shown = path.display().to_string();
    load(Some(&path), &set).map_err(|problem| problem.to_string().replace(&shown, "dml.toml"))
}

const LEAST: &str = "[data]\ntrain = \"photos\"\n[backbone]\nname = \"resnet18\"\n";

fn problem(more: &str, set: &[&str]) -> String {
    load_text(&format!("{LEAST}{more}"), set).unwrap_err()
}

#[test]
fn a_short_file_has_defaults_for_the_rest() {
    let settings = load_text(LEAST, &[]).unwrap();
    assert_eq!(settings.train, TrainSettings::default());
    assert_eq!(settings.loss["name"], "MultiSimilarityLoss");
    assert_eq!(settings.sampler["name"], "MPerClassSampler");
    assert_eq!(settings.miner, None);
    // A path of a file is relative to its folder.
    let train = settings.data.train.clone().unwrap();
    assert!(train.is_absolute() && train.ends_with("photos"));
    assert!(settings.is_given("data.train") && !settings.is_given("data.test"));
}

#[test]
fn arguments_win_over_the_file_and_name_components() {
    let file = format!("{LEAST}[loss]\nname = \"ContrastiveLoss\"\npos_margin = 0.5\n");
    let changed = load_text(&file, &["loss.neg_margin=2", "train.epochs = 3"]).unwrap();
    assert_eq!(changed.loss["pos_margin"], 0.5);
    assert_eq!(changed.loss["neg_margin"], 2);
    assert_eq!(changed.train.epochs, 3);
    // Another component leaves nothing of the first one.
    let other = load_text(&file, &["loss=ArcFaceLoss", "loss.margin=20"]).unwrap();
    assert_eq!(other.loss["name"], "ArcFaceLoss");
    assert_eq!(other.loss["margin"], 20);
    assert!(!other.loss.contains_key("pos_margin"));
    let bare = load_text(
        "loss = \"SupConLoss\"\nminer = \"BatchHardMiner\"\n[data]\ntrain = \"a\"\n[backbone]\nname = \"resnet18\"\n",
        &[],
    );
    let bare = bare.unwrap();
    assert_eq!(bare.loss["name"], "SupConLoss");
    assert_eq!(bare.miner.unwrap().miner.name(), "BatchHardMiner");
    let list = load_text(LEAST, &[r#"data.test_classes=["a", "b"]"#]).unwrap();
    let names = vec!["a".to_owned(), "b".to_owned()];
    assert_eq!(list.data.test_classes, Some(HeldOut::Names(names)));
}

#[test]
fn errors_name_line_and_column_what_was_found_and_what_was_meant() {
    for (more, expected) in [
        (
            "[los]\n",
            "dml.toml:5:2: there is no section los: did you mean loss?",
        ),
        (
            "[loss]\nname = \"TripletMarginLoss\"\nmarign = 0.2\n",
            "dml.toml:7:1: loss.marign: TripletMarginLoss has no field marign: did you mean margin?",
        ),
        (
            "[loss]\nname = \"TripletLoss\"\n",
            "dml.toml:6:1: loss.name: expected one of AngularLoss",
        ),
        (
            "[loss]\nname = \"TripletMarginLoss\"\nmargin = \"a\"\n",
            "dml.toml:7:1: loss.margin: expected a number, got \"a\"",
        ),
        (
            "[loss]\nname = \"TripletMarginLoss\"\n  distance = { name = \"LpDistance\", q = 3 }\n",
            "dml.toml:7:37: loss.distance.q: LpDistance has no field q: did you mean p?",
        ),
        (
            "[loss]\nname = \"TripletMarginLoss\"\ndistance = { name = \"LpDistance\", p = -1 }\n",
            "dml.toml:7:35: loss.distance.p: expected a number >= 1",
        ),
        (
            "[train]\nepochs = -1\n",
            "dml.toml:6:1: train.epochs: expected a whole number of at least 0, got -1",
        ),
        (
            "[train]\nepoch = 1\n",
            "dml.toml:6:1: train.epoch: there is no field epoch: did you mean epochs?",
        ),
        (
            "[head]\nnormalize = 1\n",
            "dml.toml:6:1: head.normalize: expected true or false, got 1",
        ),
        ("[train\n", "dml.toml:5:"),
        (
            "[optimizer]\nname = \"Adam\"\nlr = 0\n",
            "dml.toml:7:1: optimizer.lr: expected a number above 0, got 0",
        ),
    ] {
        let found = problem(more, &[]);
        assert!(found.starts_with(expected), "{more}: {found}");
    }
    let by_argument = problem("", &["loss.marign=1"]);
    let expected = "--set loss.marign=1: loss.marign: MultiSimilarityLoss has no field marign";
    assert!(by_argument.starts_with(expected), "{by_argument}");
}

#[test]
fn contradictions_name_both_places() {
    for (more, expected) in [
        (
            "[sampler]\nm = 4\nbatch_size = 10\n",
            "dml.toml:7:1: sampler.batch_size: expected a multiple of sampler.m (dml.toml:6:1), 4, got 10",
        ),
        (
            "weights = \"a.pth\"\nfolder = \"b\"\n",
            "dml.toml:6:1: backbone.folder: it excludes backbone.name (dml.toml:4:1): both name the network",
        ),
        (
            "freeze = true\n[head]\nembedding = 0\n",
            "dml.toml:5:1: backbone.freeze: nothing would learn: head.embedding (dml.toml:7:1) is 0",
        ),
        (
            "freeze = true\nlr = 0.1\n",
            "dml.toml:6:1: backbone.lr: it excludes backbone.freeze (dml.toml:5:1)",
        ),
        (
            "unfreeze_at = 2\n",
            "dml.toml:5:1: backbone.unfreeze_at: expected backbone.freeze",
        ),
        (
            "[schedule]\nname = \"Plateau\"\n",
            "dml.toml:6:1: schedule.name: Plateau lowers the rate by validation",
        ),
        (
            "[evaluate]\npatience = 2\n",
            "dml.toml:6:1: evaluate.patience: expected data.validation",
        ),
        (
            "[evaluate]\nmetric = \"eer\"\n",
            "dml.toml:6:1: evaluate.metric: expected a metric that is better when",
        ),
    ] {
        let found = problem(more, &[]);
        assert!(found.starts_with(expected), "{more}: {found}");
    }
    let test = problem("", &["data.test=a", "data.test_classes=0.5"]);
    let expected =
        "--set data.test_classes=0.5: data.test_classes: it excludes data.test (--set data.test=a)";
    assert!(test.starts_with(expected), "{test}");
}

#[test]
fn sizes_come_from_the_data_unless_they_are_given() {
    let sizes = Sizes {
        classes: 5,
        rows: 100,
        embedding: 64,
    };
    let mut settings = load_text(LEAST, &["loss=ArcFaceLoss", "train.seed=7"]).unwrap();
    settings.fill(sizes).unwrap();
    assert_eq!(
        (
            &settings.loss["num_classes"],
            &settings.loss["embedding_size"]
        ),
        (&5.into(), &64.into())
    );
    // 32 rows of 5 classes: 6 of each.
    assert_eq!(
        (&settings.sampler["m"], &settings.sampler["batch_size"]),
        (&6.into(), &30.into())
    );
    assert_eq!(
        (&settings.sampler["coverage"], &settings.sampler["seed"]),
        (&true.into(), &7.into())
    );
    assert!(settings.loss_config().is_ok() && settings.sampler_config().is_ok());

    let mut wrong = load_text(LEAST, &["loss=ArcFaceLoss", "loss.num_classes=6"]).unwrap();
    let problem = wrong.fill(sizes).unwrap_err().to_string();
    assert!(
        problem.contains("loss.num_classes: the training data has 5, got 6"),
        "{problem}"
    );

    let nested = r#"loss={ name = "MultipleLosses", losses = [{ name = "ProxyNCALoss" }] }"#;
    let mut nested = load_text(LEAST, &[nested]).unwrap();
    nested.fill(sizes).unwrap();
    assert_eq!(nested.loss["losses"][0]["num_classes"], 5);
}

#[test]
fn what_is_written_is_the_same_when_it_is_read() {
    let set = [
        r#"loss={ name = "TripletMarginLoss", distance = { name = "LpDistance", p = inf } }"#,
        "miner=MultiSimilarityMiner",
        "data.test_classes=0.5",
        "schedule.warm_up=10",
        r#"evaluate.metrics=["precision_at_1", "AMI"]"#,
        r#"train.augment=[{ name = "RandomCrop", size = [224, 224] }]"#,
        "optimizer.lr=3e-5",
    ];
    let mut settings = load_text(LEAST, &set).unwrap();
    settings
        .fill(Sizes {
            classes: 10,
            rows: 99,
            embedding: 128,
        })
        .unwrap();
    for comments in [false, true] {
        let text = settings.to_toml(comments);
        let mut again = load_text(&text, &[]).unwrap_or_else(|problem| panic!("{problem}\n{text}"));
        // The default is relative to the working directory, and the one of a file to the file's folder.
        again.train.out = settings.train.out.clone();
        again.given = settings.given.clone();
        assert_eq!(again, settings, "{text}");
    }
}

#[test]
fn every_field_is_described_and_every_description_is_of_a_field() {
    let settings = load_text(LEAST, &["miner=BatchHardMiner"]).unwrap();
    for (section, _) in SECTIONS {
        let is_component = ["loss", "miner", "sampler", "optimizer", "schedule"].contains(&section);
        let own = settings.fields_of(section);
        for name in own.keys().filter(|_| !is_component) {
            assert!(
                help(&format!("{section}.{name}")).is_some(),
                "{section}.{name}"
            );
        }
        let described = FIELDS
            .iter()
            .filter_map(|field| field.path.strip_prefix(&format!("{section}.")));
        for name in described {
            assert!(own.contains_key(name), "{section}.{name}");
        }
    }
    assert!(load(Some(Path::new("no/such/file.toml")), &[]).is_err());
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/guide/configuration.md");
    let guide = fs::read_to_string(guide).unwrap();
    for field in FIELDS
        .iter()
        .filter(|field| !field.path.ends_with(".name") || field.path == "backbone.name")
    {
        assert!(
            guide.contains(&format!("| `{}` | {} |", field.path, field.help)),
            "{}",
            field.path
        );
    }
}

#[test]
fn a_resolved_configuration_gives_fields_that_it_has_no_use_for() {
    let frozen = load_text(LEAST, &["backbone.freeze=true"]).unwrap();
    let text = frozen.to_toml(false);
    assert!(text.contains("layer_decay"), "{text}");
    let again = load_text(&text, &[]).unwrap();
    assert_eq!((again.data, again.backbone), (frozen.data, frozen.backbone));
    let vectors = ["data.kind=vectors", "data.train=a.npz", "backbone={}"];
    let vectors = load_text(LEAST, &vectors).unwrap();
    let again = load_text(&vectors.to_toml(false), &[]).unwrap();
    assert_eq!(
        (again.data.kind, again.backbone),
        (DataKind::Vectors, vectors.backbone)
    );
    // A value that is none of the defaults is refused still.
    assert!(load_text(&text, &["backbone.layer_decay=0.5"]).is_err());
}

#[test]
fn pairs_and_views_are_drawn_whatever_their_classes() {
    let name = |own: &Settings| own.sampler["name"].as_str().unwrap().to_owned();
    let views = "train.method=UnsupervisedEmbeddingsUsingAugmentations";
    let views = load_text(LEAST, &[views]).unwrap();
    assert_eq!(name(&views), "ShuffleSampler");
    let pairs = [
        "data.kind=texts",
        "data.pairs=[\"a\", \"b\"]",
        "backbone={ folder = \"e\" }",
        "data.test_classes=0.5",
    ];
    assert!(load_text(LEAST, &pairs).is_err());
    let pairs = load_text(LEAST, &pairs[..3]).unwrap();
    assert_eq!(
        (name(&pairs), pairs.method()),
        ("ShuffleSampler".to_owned(), MethodName::TwoStreamMetricLoss)
    );
    assert_eq!(name(&load_text(LEAST, &[]).unwrap()), "MPerClassSampler");
    let error = problem("", &["train.method=TwoStreamMetricLoss"]);
    assert!(
        error.contains("train.method: expected data.pairs"),
        "{error}"
    );
}

#[test]
fn every_configuration_of_the_guide_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let guide = root.join("../../docs/guide");
    let pages = fs::read_dir(guide)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let pages = pages.chain([root.join("README.md"), root.join("../../README.md")]);
    let mut count = 0;
    for page in pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")) {
        let text = fs::read_to_string(&page).unwrap();
        let blocks = text.split("```toml\n").skip(1);
        for block in blocks.map(|rest| rest.split("```").next().unwrap()) {
            if block.contains("[dependencies]") {
                continue;
            }
            let read = load_text(block, &[]);
            assert!(read.is_ok(), "{}: {read:?}\n{block}", page.display());
            count += 1;
        }
    }
    assert!(count >= 1, "{count}");
}
