//! What each field of the configuration is, for `dml init`, the resolved configuration and the guide.

/// A field of a section that is no component.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Section and name, such as `data.train`.
    pub path: &'static str,
    /// A phrase.
    pub help: &'static str,
}

const fn field(path: &'static str, help: &'static str) -> Field {
    Field { path, help }
}

/// The sections in the order of a file, with what they are.
pub const SECTIONS: [(&str, &str); 11] = [
    ("data", "what is learnt from and judged by"),
    ("backbone", "the pretrained network"),
    ("head", "the linear layer on its features"),
    ("loss", "what is minimised: `dml list losses`"),
    ("miner", "which pairs or triplets count: `dml list miners`"),
    ("sampler", "what a batch is made of: `dml list samplers`"),
    ("optimizer", "`dml list optimizers`"),
    ("schedule", "of the learning rate: `dml list schedules`"),
    (
        "train",
        "how long, on what machine, and where the results go",
    ),
    (
        "evaluate",
        "how good the embeddings are: `dml list metrics`",
    ),
    (
        "search",
        "the index that `dml index` makes: `dml list indexes`",
    ),
];

/// The fields of all sections but the components, in the order of a file.
pub const FIELDS: [Field; 59] = [
    field(
        "data.kind",
        "what the rows are: \"images\", \"texts\" or \"vectors\"",
    ),
    field(
        "data.layout",
        "published data set whose folder data.train is, such as \"cub200\"; docs/DATASETS.md lists them",
    ),
    field(
        "data.protocol",
        "division of the published data set: \"unseen_classes\" or \"published\"",
    ),
    field(
        "data.boxes",
        "cut the images of the published data set to their bounding boxes",
    ),
    field(
        "data.train",
        "folder of class folders, a table (.csv, .parquet) with the columns path and label, a file of arrays (.npz, .npy), or the folder of data.layout",
    ),
    field(
        "data.train_split",
        "rows of the table to learn from, by its column split",
    ),
    field(
        "data.test",
        "folder or table to judge by; its classes should be others",
    ),
    field("data.test_split", "rows of the table to judge by"),
    field(
        "data.test_classes",
        "instead of data.test: classes to judge by, which are not learnt from; a share or a list of names",
    ),
    field(
        "data.validation",
        "folder or table to choose the best epoch by",
    ),
    field(
        "data.validation_split",
        "rows of the table to choose the best epoch by",
    ),
    field(
        "data.validation_classes",
        "instead of data.validation: a share of the remaining classes, or a list of names",
    ),
    field(
        "data.test_pairs",
        "instead of data.test: table of pairs of images (first, second, same, fold) to verify",
    ),
    field(
        "data.test_list",
        "instead of data.test: list of pairs of data.layout to verify, such as \"test\"",
    ),
    field(
        "data.level",
        "column with the classes to learn from, such as one level of a hierarchy; default: label",
    ),
    field(
        "data.test_level",
        "column with the classes to judge by; default: data.level",
    ),
    field(
        "data.pairs",
        "columns of the two texts of a pair, such as [\"anchor\", \"positive\"]",
    ),
    field(
        "data.negatives",
        "column of the hard negatives of a pair, separated by vertical bars; as many in each row",
    ),
    field(
        "data.arrays",
        "names of the arrays of rows and labels in a .npz file",
    ),
    field("data.train_labels", "labels of an .npy file to learn from"),
    field("data.test_labels", "labels of an .npy file to judge by"),
    field(
        "data.validation_labels",
        "labels of an .npy file to choose the best epoch by",
    ),
    field(
        "data.seed",
        "seed of the draws of test and validation classes",
    ),
    field(
        "data.unreadable",
        "files that can't be decoded: \"skip\" or \"refuse\"",
    ),
    field(
        "data.memory_limit",
        "most bytes of memory that one image may take while it is read",
    ),
    field("backbone.name", "image network: `dml list backbones`"),
    field(
        "backbone.weights",
        "its published weights, .pth or .safetensors; without them it starts from random weights",
    ),
    field(
        "backbone.folder",
        "instead of a name: folder of a model, of sentence-transformers for texts",
    ),
    field(
        "backbone.size",
        "height and width of the images in pixels; default: those that the network was trained on",
    ),
    field(
        "backbone.hidden",
        "lengths of the hidden layers of a network on vectors, each with a ReLU",
    ),
    field("backbone.freeze", "train the head alone"),
    field(
        "backbone.freeze_below",
        "number of blocks from the input that keep their weights",
    ),
    field(
        "backbone.unfreeze_at",
        "epoch, from 1, in which frozen weights begin to learn",
    ),
    field(
        "backbone.lr",
        "learning rate of the backbone; default: a tenth of optimizer.lr beside a head",
    ),
    field(
        "backbone.layer_decay",
        "factor of the learning rate from each block to the one before it, up to 1",
    ),
    field(
        "head.embedding",
        "length of the embeddings; 0 for the features of the backbone",
    ),
    field("head.normalize", "scale embeddings to length 1"),
    field(
        "train.method",
        "MetricLossOnly, TrainWithClassifier, TwoStreamMetricLoss (pairs) or UnsupervisedEmbeddingsUsingAugmentations (no labels)",
    ),
    field("train.epochs", "passes over the training data"),
    field("train.seed", "seed of weights, order and augmentations"),
    field(
        "train.augment",
        "changes of training images: `dml list augmentations`; default: a random crop and a flip",
    ),
    field(
        "train.accumulate",
        "batches whose gradients are averaged for a step",
    ),
    field(
        "train.gradient_cache",
        "rows whose activations are in memory at a time, for batches of any size",
    ),
    field("train.clip", "largest norm of all gradients together"),
    field(
        "train.ema",
        "decay of an average of the weights, in [0, 1), which is evaluated and written",
    ),
    field(
        "train.checkpoint_every",
        "iterations from one checkpoint to the next; there is one after every epoch, too",
    ),
    field(
        "train.keep_checkpoints",
        "number of latest checkpoints to keep",
    ),
    field("train.loading_threads", "threads that read batches ahead"),
    field("train.device", "cpu, cuda, cuda:N or metal"),
    field("train.out", "folder of the results"),
    field(
        "evaluate.metrics",
        "metrics of the test set, before and after training",
    ),
    field(
        "evaluate.metric",
        "metric of validation, by which the best epoch is chosen",
    ),
    field(
        "evaluate.every",
        "epochs from one validation to the next; without validation data, of the test set",
    ),
    field(
        "evaluate.patience",
        "end the run when more epochs than this pass without a new best",
    ),
    field(
        "evaluate.batch",
        "images or texts that are embedded at a time",
    ),
    field("search.index", "the kind of index with its arguments"),
    field("search.k", "neighbours of a query"),
    field(
        "miner.name",
        "without this section, every pair or triplet of a batch counts",
    ),
    field(
        "loss.name",
        "`num_classes` and `embedding_size` of losses that need them come from the data and the head",
    ),
];

/// What a field is.
#[must_use]
pub fn help(path: &str) -> Option<&'static str> {
    FIELDS
        .iter()
        .find(|own| own.path == path)
        .map(|own| own.help)
}
