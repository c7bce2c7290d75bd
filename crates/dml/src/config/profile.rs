//! What a line of the registry says of a component besides its name, its arguments and how it is built.

use serde_json::{Map, Value, json};

/// Sizes of a batch, for arguments that depend on them.
///
/// ```
/// use dml::config::{BatchSizes, LossKind};
///
/// let sizes = BatchSizes { rows: 64, num_classes: 10, embedding_size: 128 };
/// let required = LossKind::required("P2SGradLoss", sizes);
/// assert_eq!(serde_json::to_string(&required)?, r#"{"descriptors_dim":128,"num_classes":10}"#);
/// # Ok::<(), serde_json::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSizes {
    /// Number of rows.
    pub rows: usize,
    /// Number of classes; labels are 0 to `num_classes - 1`.
    pub num_classes: usize,
    /// Length of a row.
    pub embedding_size: usize,
}

/// What holds for a component, for those that write its configuration, and for tests.
///
/// ```
/// let circle = dml::config::profile("CircleLoss").expect("a loss of that name");
/// assert!(circle.has_constant_factors && !circle.reads_positions);
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Profile {
    /// Values of the arguments that have no default, as a JSON object.
    pub(crate) required: fn(BatchSizes) -> Value,
    /// Sets of further arguments, as a JSON list of objects.
    pub(crate) examples: fn(BatchSizes) -> Value,
    /// Whether this build has the component: some are behind features.
    pub is_available: bool,
    /// Whether a reducer makes a number of the terms, as opposed to handing them on.
    pub reduces: bool,
    /// Whether the gradient takes factors of the value for constants, so that it is not the value's derivative.
    pub has_constant_factors: bool,
    /// Whether every number of a matrix of distances that the component asks for has a part in the value.
    pub reads_all_distances: bool,
    /// Whether the value depends on the order of the rows.
    pub reads_positions: bool,
    /// Whether the value consists of squares of embeddings as they come, so that it overflows for rows of 10¹⁹ and more in
    /// single precision.
    pub squares_embeddings: bool,
}

impl Profile {
    /// Of a component whose arguments all have a default.
    pub(crate) const DEFAULT: Self = Self {
        required: |_| json!({}),
        examples: |_| json!([{}]),
        is_available: true,
        reduces: true,
        has_constant_factors: false,
        reads_all_distances: true,
        reads_positions: false,
        squares_embeddings: false,
    };

    /// The arguments that have no default, with values for a batch of these sizes.
    #[must_use]
    pub fn required(&self, sizes: BatchSizes) -> Map<String, Value> {
        match (self.required)(sizes) {
            Value::Object(arguments) => arguments,
            _ => Map::new(),
        }
    }

    /// Sets of arguments that the component works with on a batch of these sizes; each has the required ones.
    #[must_use]
    pub fn examples(&self, sizes: BatchSizes) -> Vec<Map<String, Value>> {
        let Value::Array(sets) = (self.examples)(sizes) else {
            return Vec::new();
        };
        let with_required = |set| match set {
            Value::Object(further) => {
                let mut arguments = self.required(sizes);
                arguments.extend(further);
                Some(arguments)
            }
            _ => None,
        };
        sets.into_iter().filter_map(with_required).collect()
    }
}

/// Arguments of a component that knows the classes.
pub(crate) fn of_classes(sizes: BatchSizes) -> Value {
    json!({"num_classes": sizes.num_classes, "embedding_size": sizes.embedding_size})
}
