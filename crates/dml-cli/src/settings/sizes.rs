//! Arguments that follow from the data and the network: numbers of classes, lengths of embeddings, sizes of batches.

use dml::config::{BatchSizes, LossConfig, LossKind, SamplerConfig};
use serde_json::{Map, Value, json};

use super::document::{Content, Node};
use super::loading::SAMPLER;
use super::{Problem, Settings};

/// Rows of a batch, unless a configuration names another number.
const BATCH: usize = 32;
/// Least rows of a class in a batch, unless a configuration names another number.
const PER_CLASS: usize = 4;
/// Arguments of losses that are sizes of the data or the network.
const SIZES: [&str; 4] = ["num_classes", "embedding_size", "descriptors_dim", "l"];

/// Sizes of the training data and the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Number of classes that are learnt from.
    pub classes: usize,
    /// Number of rows that are learnt from.
    pub rows: usize,
    /// Length of an embedding.
    pub embedding: usize,
}

/// A component with values for the arguments that are filled in later, to be checked before they are known.
pub(super) fn with_placeholders(node: &Node, section: &str) -> Node {
    let mut fields = match node.to_json() {
        Value::Object(fields) => fields,
        _ => return node.clone(),
    };
    let sizes = Sizes {
        classes: 64,
        rows: 4096,
        embedding: 16,
    };
    match section {
        "loss" => fill_loss(&mut fields, sizes),
        _ => fill_sampler(&mut fields, sizes),
    }
    let mut whole = node.clone();
    add(&mut whole, &fields);
    whole
}

/// Adds the values that a node lacks; those that it has keep their places.
fn add(node: &mut Node, fields: &Map<String, Value>) {
    let origin = node.origin.clone();
    for (name, value) in fields {
        let path = name.as_str();
        match (node.get_mut(path), value) {
            (Some(own), Value::Object(fields)) => add(own, fields),
            (Some(own), Value::Array(items)) => {
                for (place, item) in items.iter().enumerate() {
                    if let (Some(own), Value::Object(fields)) =
                        (own.get_mut(&place.to_string()), item)
                    {
                        add(own, fields);
                    }
                }
            }
            (Some(_), _) => {}
            (None, value) => {
                if let Content::Table(nodes) = &mut node.content {
                    let content = Content::Leaf(value.clone());
                    let origin = origin.clone();
                    nodes.insert(path.to_owned(), Node { origin, content });
                }
            }
        }
    }
}

/// Fills in the sizes that a loss, and losses within it, have no default for.
fn fill_loss(fields: &mut Map<String, Value>, sizes: Sizes) {
    if let Some(name) = fields.get("name").and_then(Value::as_str) {
        let of_batch = BatchSizes {
            rows: sizes.rows,
            num_classes: sizes.classes,
            embedding_size: sizes.embedding,
        };
        for (argument, value) in LossKind::required(name, of_batch) {
            if SIZES.contains(&argument.as_str()) && !fields.contains_key(&argument) {
                fields.insert(argument, value);
            }
        }
    }
    if let Some(Value::Object(distance)) = fields.get_mut("distance")
        && distance
            .get("name")
            .is_some_and(|name| name == "MahalanobisDistance")
        && !distance.contains_key("embedding_size")
    {
        distance.insert("embedding_size".to_owned(), sizes.embedding.into());
    }
    for part in ["loss", "losses"] {
        match fields.get_mut(part) {
            Some(Value::Object(inner)) => fill_loss(inner, sizes),
            Some(Value::Array(losses)) => {
                for inner in losses.iter_mut().filter_map(Value::as_object_mut) {
                    fill_loss(inner, sizes);
                }
            }
            _ => {}
        }
    }
}

/// Fills in the sizes of a batch: an epoch is a pass over all rows.
fn fill_sampler(fields: &mut Map<String, Value>, sizes: Sizes) {
    if fields.get("name").is_none_or(|name| name != SAMPLER) {
        return;
    }
    let number = |fields: &Map<String, Value>, name: &str| {
        let value = fields.get(name).and_then(Value::as_u64);
        value.map(|value| value as usize)
    };
    let classes = sizes.classes.max(1);
    let m = number(fields, "m").unwrap_or_else(|| {
        let batch = number(fields, "batch_size").unwrap_or(BATCH);
        (batch / classes).max(PER_CLASS).min(batch.max(1))
    });
    fields.entry("m").or_insert(json!(m));
    let in_batch = (BATCH / m.max(1)).clamp(1, classes);
    fields.entry("batch_size").or_insert(json!(m * in_batch));
    if !fields.contains_key("length_before_new_iter") {
        fields.entry("coverage").or_insert(json!(true));
    }
}

impl Settings {
    /// Fills in what follows from the data and the network.
    ///
    /// # Errors
    /// Numbers of classes or lengths of embeddings that are given and are not those of the data and the network.
    pub fn fill(&mut self, sizes: Sizes) -> Result<(), Problem> {
        for (argument, value, of) in [
            ("num_classes", sizes.classes, "the training data has"),
            ("embedding_size", sizes.embedding, "the embeddings have"),
            ("descriptors_dim", sizes.embedding, "the embeddings have"),
        ] {
            let given = self.loss.get(argument).and_then(Value::as_u64);
            if let Some(given) = given
                && given != value as u64
            {
                let length = if argument == "num_classes" {
                    ""
                } else {
                    "length "
                };
                let path = format!("loss.{argument}");
                let sentence = format!(
                    "{of} {length}{value}, got {given}; leave it out to take that of the data"
                );
                return Err(self.problem(&path, sentence));
            }
        }
        let seed = json!(self.train.seed);
        fill_loss(&mut self.loss, sizes);
        fill_sampler(&mut self.sampler, sizes);
        let has_seed = self.sampler_kind()?.is_some_and(|kind| {
            serde_json::to_value(kind).is_ok_and(|value| value.get("seed").is_some())
        });
        if has_seed {
            self.sampler.entry("seed").or_insert(seed);
        }
        Ok(())
    }

    fn sampler_kind(&self) -> Result<Option<SamplerConfig>, Problem> {
        Ok(serde_json::from_value(Value::Object(self.sampler.clone())).ok())
    }

    /// The loss, once the sizes are filled in.
    ///
    /// # Errors
    /// An argument that is still missing.
    pub fn loss_config(&self) -> Result<LossConfig, Problem> {
        let fields = Value::Object(self.loss.clone());
        serde_json::from_value(fields).map_err(|error| self.problem("loss", error))
    }

    /// The sampler, once the sizes are filled in.
    ///
    /// # Errors
    /// An argument that is still missing.
    pub fn sampler_config(&self) -> Result<SamplerConfig, Problem> {
        let fields = Value::Object(self.sampler.clone());
        serde_json::from_value(fields).map_err(|error| self.problem("sampler", error))
    }
}
