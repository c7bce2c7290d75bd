//! From files and arguments to settings.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dml::config::{LossConfig, MinerConfig, OptimizerConfig, SamplerConfig, ScheduleConfig};
use serde_json::Value;

use super::document::{Content, Node, Origin};
use super::reading::read;
use super::{Problem, SECTIONS, Settings, conflicts, nearest, sizes};

/// Fields that are paths. In a file they are relative to its folder.
const PATHS: [&str; 10] = [
    "data.train",
    "data.test",
    "data.validation",
    "data.test_pairs",
    "data.train_labels",
    "data.test_labels",
    "data.validation_labels",
    "backbone.weights",
    "backbone.folder",
    "train.out",
];
/// Largest file of a configuration, in bytes.
const LARGEST: u64 = 1 << 20;
/// The loss of a configuration without one.
const LOSS: &str = "MultiSimilarityLoss";
/// The sampler of a configuration without one.
pub(super) const SAMPLER: &str = "MPerClassSampler";
/// The same where rows have no classes.
const SAMPLER_WITHOUT_CLASSES: &str = "ShuffleSampler";

/// A value of the command line for a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Override {
    /// The field, such as `loss.margin`; a component alone, such as `loss`, stands for its name.
    pub path: String,
    /// The value as TOML, or a string without quotes.
    pub value: String,
    /// The argument as it was given, for messages.
    pub argument: String,
}

impl Override {
    /// A value of a flag, such as `--epochs 3`.
    pub fn of_flag(flag: &str, path: &str, value: impl std::fmt::Display) -> Self {
        let value = value.to_string();
        Self {
            path: path.to_owned(),
            argument: format!("--{flag} {value}"),
            value,
        }
    }

    /// The argument of `--set`: `loss.margin=0.2`.
    ///
    /// # Errors
    /// One sentence if there is no `=`.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => Ok(Self {
                path: path.trim().to_owned(),
                value: value.trim().to_owned(),
                argument: format!("--set {text}"),
            }),
            _ => Err("expected FIELD=VALUE such as loss.margin=0.2".to_owned()),
        }
    }
}

/// A path as a configuration can hold it.
///
/// # Errors
/// [`Problem`] for a path that is no text in UTF-8; `argument` is what names it.
pub fn in_utf8<'p>(path: &'p Path, argument: &str) -> Result<&'p str, Problem> {
    path.to_str().ok_or_else(|| {
        let sentence = "expected a path in UTF-8, which a configuration can hold";
        Problem::new(format!("{argument}: {sentence}"))
    })
}

/// The settings of a file with arguments over it; without a file, of the arguments alone.
///
/// # Errors
/// The first thing that is wrong, with its place: text that is no TOML, unknown sections and fields, values of a wrong kind or
/// out of range, and fields that contradict each other.
pub fn load(file: Option<&Path>, overrides: &[Override]) -> Result<Settings, Problem> {
    let mut root = match file {
        Some(path) => Node::parse(path, &text_of(path)?)?,
        None => Node::empty(Origin::Argument("the command line".into())),
    };
    check_sections(&root)?;
    if let Some(path) = file {
        place_paths(&mut root, path.parent().unwrap_or(Path::new("")))?;
    }
    for own in overrides {
        let origin = Origin::Argument(Arc::from(own.argument.as_str()));
        root.set(&own.path, Node::from_argument(&own.value, &origin))?;
    }
    check_sections(&root)?;
    settings(root)
}

fn text_of(path: &Path) -> Result<String, Problem> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Problem::new(format!("can't read {shown}: {error}"));
    let length = fs::metadata(path).map_err(cannot)?.len();
    if length > LARGEST {
        let sentence =
            format!("{shown}: expected a configuration of at most {LARGEST} bytes, got {length}");
        return Err(Problem::new(sentence));
    }
    let bytes = fs::read(path).map_err(cannot)?;
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Problem::new(format!(
            "{shown}: expected text in UTF-8, got another byte at {at}"
        ))
    })
}

/// Sections are known, and tables or bare names of components.
fn check_sections(root: &Node) -> Result<(), Problem> {
    let Content::Table(sections) = &root.content else {
        return Ok(());
    };
    let known: Vec<&str> = SECTIONS.iter().map(|(name, _)| *name).collect();
    for (name, node) in sections {
        if !known.contains(&name.as_str()) {
            let meant = nearest(name, known.iter().copied());
            let meant = meant.map_or(String::new(), |own| format!(": did you mean {own}?"));
            let sentence = format!(
                "there is no section {name}{meant}; known: {}",
                known.join(", ")
            );
            return Err(Problem::at(&node.origin, sentence));
        }
        let is_component =
            ["loss", "miner", "sampler", "optimizer", "schedule"].contains(&name.as_str());
        let is_bare = matches!(&node.content, Content::Leaf(Value::String(_)));
        if !(matches!(node.content, Content::Table(_)) || is_bare && is_component) {
            let expected = if is_component {
                "a table or the name of a component"
            } else {
                "a table"
            };
            let sentence = format!("{name}: expected {expected}, got {}", node.to_json());
            return Err(Problem::at(&node.origin, sentence));
        }
    }
    Ok(())
}

/// Makes the paths of a file relative to its folder.
fn place_paths(root: &mut Node, folder: &Path) -> Result<(), Problem> {
    for path in PATHS {
        if let Some(node) = root.get_mut(path)
            && let Content::Leaf(Value::String(text)) = &node.content
        {
            let placed: PathBuf = folder.join(text);
            let placed = in_utf8(&placed, &placed.display().to_string())?;
            node.content = Content::Leaf(Value::from(placed));
        }
    }
    Ok(())
}

fn settings(root: Node) -> Result<Settings, Problem> {
    let default = || Node::empty(root.origin.clone());
    let section = |name: &str| root.get(name).cloned().unwrap_or_else(default);
    let loss = component(section("loss"), Some(LOSS))?;
    let sampler = component(section("sampler"), Some(default_sampler(&root)))?;
    let optimizer = component(section("optimizer"), Some("AdamW"))?;
    let schedule = component(section("schedule"), Some("Constant"))?;
    let miner = root.get("miner").cloned();
    let miner = miner.map(|node| component(node, None)).transpose()?;

    let whole_loss = sizes::with_placeholders(&loss, "loss");
    let typed: LossConfig = read(&whole_loss, "loss")?;
    let objective = built(&loss, "loss", typed.build())?;
    let whole_sampler = sizes::with_placeholders(&sampler, "sampler");
    let _: SamplerConfig = read(&whole_sampler, "sampler")?;
    let miner_config = match &miner {
        None => None,
        Some(node) => {
            let config: MinerConfig = read(node, "miner")?;
            built(node, "miner", config.build())?;
            if !objective.loss().takes_tuples() {
                let other = match root.get("loss") {
                    Some(loss) => format!("the loss ({})", loss.origin),
                    None => "the loss".to_owned(),
                };
                let sentence =
                    format!("{other} compares all rows of a batch and takes no tuples of a miner");
                return Err(Problem::of(Some(&node.origin), "miner", sentence));
            }
            Some(config)
        }
    };
    let optimizer_config: OptimizerConfig = read(&optimizer, "optimizer")?;
    built(&optimizer, "optimizer", optimizer_config.build(Vec::new()))?;
    let schedule_config: ScheduleConfig = read(&schedule, "schedule")?;
    built(&schedule, "schedule", schedule_config.plateau())?;
    let settings = Settings {
        data: read(&section("data"), "data")?,
        backbone: read(&section("backbone"), "backbone")?,
        head: read(&section("head"), "head")?,
        loss: fields_of(&loss),
        miner: miner_config,
        sampler: fields_of(&sampler),
        optimizer: optimizer_config,
        schedule: schedule_config,
        train: read(&section("train"), "train")?,
        evaluate: read(&section("evaluate"), "evaluate")?,
        search: read(&section("search"), "search")?,
        given: root.clone(),
    };
    built(&section("search"), "search", settings.search.index.build())?;
    conflicts::check(&settings)?;
    Ok(settings)
}

/// The sampler of a configuration that names none: pairs and views have no classes to draw from.
fn default_sampler(root: &Node) -> &'static str {
    let method = root.get("train.method").map(Node::to_json);
    let is_of_views = method.is_some_and(|name| {
        name == "UnsupervisedEmbeddingsUsingAugmentations" || name == "TwoStreamMetricLoss"
    });
    match is_of_views || root.get("data.pairs").is_some() {
        true => SAMPLER_WITHOUT_CLASSES,
        false => SAMPLER,
    }
}

/// A component's table: a bare name, or a table without one, gets what is missing.
fn component(mut node: Node, default: Option<&str>) -> Result<Node, Problem> {
    if let Content::Leaf(_) = &node.content {
        // A bare name becomes a table when something is put into it.
        let name = node.clone();
        node.set("name", name)?;
    }
    if node.get("name").is_none()
        && let Some(name) = default
    {
        let origin = node.origin.clone();
        let name = Node {
            origin,
            content: Content::Leaf(Value::from(name)),
        };
        node.set("name", name)?;
    }
    Ok(node)
}

/// The problem of a component that refuses its arguments, at the argument that its message names.
fn built<T, E: std::error::Error + 'static>(
    node: &Node,
    section: &str,
    result: Result<T, E>,
) -> Result<T, Problem> {
    let error = match result {
        Ok(component) => return Ok(component),
        Err(error) => error,
    };
    let sentence = dml_core::with_causes(&error).to_string();
    let Some((argument, rest)) = sentence.split_once(": ") else {
        return Err(Problem::of(Some(&node.origin), section, sentence));
    };
    match place_of(node, argument) {
        Some((path, place)) => {
            let field = format!("{section}.{path}");
            Err(Problem::of(Some(&place.origin), &field, rest))
        }
        None => Err(Problem::of(Some(&node.origin), section, &sentence)),
    }
}

/// The first value of a name, at any depth.
fn place_of<'a>(node: &'a Node, name: &str) -> Option<(String, &'a Node)> {
    if let Some(own) = node.get(name) {
        return Some((name.to_owned(), own));
    }
    node.names().iter().find_map(|part| {
        let (path, own) = place_of(node.get(part)?, name)?;
        Some((format!("{part}.{path}"), own))
    })
}

fn fields_of(node: &Node) -> serde_json::Map<String, Value> {
    match node.to_json() {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    }
}
