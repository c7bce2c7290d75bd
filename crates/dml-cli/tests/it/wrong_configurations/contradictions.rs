//! Fields that contradict each other, the data or the network.

use super::Case::{self, Set};

/// Fields that contradict each other, the data or the network.
pub(super) const CONTRADICTIONS: [Case; 34] = [
    Set("data.layout=cub", "data.layout: expected one of cars196"),
    Set(
        "data.boxes=true",
        "data.boxes: expected data.layout beside it",
    ),
    Set(
        "data.test_list=test",
        "data.test_list: expected data.layout beside it",
    ),
    Set(
        "data.test_pairs=pairs.csv",
        "data.test_pairs: it excludes data.test_classes (dml.toml:4:1): both name the set",
    ),
    Set(
        "data.negatives=negative",
        "data.negatives: a field of texts, and data.kind is images",
    ),
    Set(
        "data.train_labels=y.npy",
        "data.train_labels: a field of vectors, and data.kind is images",
    ),
    Set("data.kind=texts", "backbone.name: data.kind is texts"),
    Set("data.kind=vectors", "backbone.name: data.kind is vectors"),
    Set(
        "data.kind=sounds",
        "data.kind: expected one of images, texts, vectors, got sounds",
    ),
    Set(
        "data.test_classes=[\"hat\"]",
        "data.test_classes: expected at least 2 classes, so that a neighbour can be wrong, got 1",
    ),
    Set(
        "data={ train = \"photos\", validation_classes = [\"hat\"] }",
        "data.validation_classes: expected at least 2 classes, so that a neighbour can be wrong, got 1",
    ),
    Set(
        "data.test=photos",
        "it excludes data.test (--set data.test=photos): both name the set",
    ),
    Set("data.test_split=test", "it excludes data.test_split"),
    Set(
        "data.train_split=train",
        "data.train_split: expected a table with the column split, or data.layout, and photos is no table",
    ),
    Set(
        "data.test_classes=[\"shoe\"]",
        "data.test_classes: shoe: the data has no class of that name; did you mean shoes?",
    ),
    Set(
        "data.test_classes=[\"dress\", \"hat\", \"pants\", \"shoes\"]",
        "data.test_classes: test_classes: expected at least one class for each half",
    ),
    Set(
        "data.validation_classes=[\"shoes\"]",
        "data.validation_classes: the class \"shoes\" is one of data.test_classes (dml.toml:4:1), too",
    ),
    Set(
        "backbone.folder=model",
        "backbone.folder: it excludes backbone.name (dml.toml:7:1): both name the network",
    ),
    Set(
        "backbone={ folder = \"m\", weights = \"w\" }",
        "backbone.weights: it excludes backbone.folder",
    ),
    Set(
        "backbone={ name = \"resnet18\", freeze = true, lr = 0.1 }",
        "backbone.lr: it excludes backbone.freeze",
    ),
    Set(
        "backbone={ name = \"resnet18\", freeze = true, freeze_below = 1 }",
        "backbone.freeze_below: it excludes backbone.freeze",
    ),
    Set(
        "backbone.unfreeze_at=2",
        "backbone.unfreeze_at: expected backbone.freeze or backbone.freeze_below beside it",
    ),
    Set(
        "sampler={ m = 4, coverage = true, length_before_new_iter = 10 }",
        "sampler.length_before_new_iter: it excludes sampler.coverage",
    ),
    Set(
        "schedule=Plateau",
        "schedule.name: Plateau lowers the rate by validation",
    ),
    Set(
        "schedule={ name = \"Cosine\", warm_up = 1000 }",
        "schedule.warm_up: expected a warm-up that is shorter than the run, got 1000",
    ),
    Set(
        "schedule={ name = \"Cosine\", period = 0 }",
        "schedule.period: expected",
    ),
    Set(
        "evaluate.patience=3",
        "evaluate.patience: expected data.validation, or evaluate.every with data.test",
    ),
    Set(
        "evaluate.metric=eer",
        "evaluate.metric: expected a metric that is better when it is higher, got eer",
    ),
    Set(
        "train.device=gpu",
        "train.device: expected cpu, cuda, cuda:N or metal, got \"gpu\"",
    ),
    Set("train.device=cuda", "train.device: cuda: no such device"),
    Set(
        "train.augment=[{ name = \"HorizontalFlip\" }]",
        "train.augment: augmentations: expected shape",
    ),
    Set("loss.margin.x=1", "loss.margin"),
    Set(".=1", "expected a name such as loss.margin"),
    Set("data.train.x.y=1", "data.train"),
];
