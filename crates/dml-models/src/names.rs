//! How the names of tensors in a file become those of a network.

/// Rules that lead from the names in a file to those of a network, applied in the order of the fields.
///
/// Prefixes end at a dot of the name: `fc` and `fc.` both match `fc.weight` and neither matches `fc2.weight`.
///
/// ```
/// use dml_models::Names;
///
/// // A BERT checkpoint of 2018: its encoder, the old names of its layer normalisation, without the pooler.
/// let names = Names::default()
///     .part("bert")
///     .rename("LayerNorm.gamma", "LayerNorm.weight")
///     .rename("LayerNorm.beta", "LayerNorm.bias")
///     .leave_out("pooler");
/// assert_eq!(names.parts, ["bert"]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Names {
    /// Prefixes of wrapping modules, removed as often as every name in the file has one of them. Default `module`, `model`
    /// and `_orig_mod`. A prefix that every name of the network has is not removed.
    pub wrappers: Vec<String>,
    /// Prefixes of the part of the file that the network is. The first one that some name has is used: it is removed, and
    /// names without it are left out. If no name has any of them, all names are used. Default none.
    pub parts: Vec<String>,
    /// Replacements of consecutive segments of a name by others, in order. Default none.
    pub renames: Vec<(String, String)>,
    /// Prefixes of tensors that are left out, as the network would name them. Default none;
    /// [`Backbone::load`](crate::Backbone::load) adds the classifier.
    pub left_out: Vec<String>,
    /// Prefixes of parameters and buffers of the network that keep their values if the file lacks them. Default none.
    pub kept: Vec<String>,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            wrappers: ["module", "model", "_orig_mod"].map(str::to_owned).into(),
            parts: Vec::new(),
            renames: Vec::new(),
            left_out: Vec::new(),
            kept: Vec::new(),
        }
    }
}

impl Names {
    /// Adds a prefix to [`parts`](Names::parts).
    #[must_use]
    pub fn part(mut self, prefix: impl Into<String>) -> Self {
        self.parts.push(prefix.into());
        self
    }

    /// Adds a replacement to [`renames`](Names::renames).
    #[must_use]
    pub fn rename(mut self, from: impl Into<String>, to: impl Into<String>) -> Self {
        self.renames.push((from.into(), to.into()));
        self
    }

    /// Adds a prefix to [`left_out`](Names::left_out).
    #[must_use]
    pub fn leave_out(mut self, prefix: impl Into<String>) -> Self {
        self.left_out.push(prefix.into());
        self
    }

    /// Adds a prefix to [`kept`](Names::kept).
    #[must_use]
    pub fn keep(mut self, prefix: impl Into<String>) -> Self {
        self.kept.push(prefix.into());
        self
    }

    /// The prefix that names of the file lose, with its dot.
    pub(crate) fn prefix(&self, file: &[&str], network: &[&str]) -> String {
        let mut prefix = String::new();
        loop {
            let every = |names: &[&str], wrapper: &str| {
                names
                    .iter()
                    .all(|name| rest_under(name, wrapper).is_some_and(|rest| !rest.is_empty()))
            };
            let inner: Vec<&str> = file.iter().map(|name| &name[prefix.len()..]).collect();
            let found = self.wrappers.iter().find(|wrapper| {
                !file.is_empty() && every(&inner, wrapper) && !every(network, wrapper)
            });
            match found {
                Some(wrapper) => prefix = format!("{prefix}{}.", wrapper.trim_end_matches('.')),
                None => break,
            }
        }
        let inner = || file.iter().map(|name| &name[prefix.len()..]);
        let part = self.parts.iter().find(|part| {
            inner().any(|name| rest_under(name, part).is_some_and(|rest| !rest.is_empty()))
        });
        match part {
            Some(part) => format!("{prefix}{}.", part.trim_end_matches('.')),
            None => prefix,
        }
    }

    /// The name in the network, from one in the file without its prefix.
    pub(crate) fn renamed(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for (from, to) in &self.renames {
            name = replaced(&name, from, to);
        }
        name
    }

    pub(crate) fn is_left_out(&self, name: &str) -> bool {
        is_under_any(name, &self.left_out)
    }

    pub(crate) fn is_kept(&self, name: &str) -> bool {
        is_under_any(name, &self.kept)
    }
}

fn is_under_any(name: &str, prefixes: &[String]) -> bool {
    prefixes
        .iter()
        .any(|prefix| rest_under(name, prefix).is_some())
}

/// What follows a prefix and its dot; empty for the prefix itself.
pub(crate) fn rest_under<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let rest = name.strip_prefix(prefix.trim_end_matches('.'))?;
    if rest.is_empty() {
        Some(rest)
    } else {
        rest.strip_prefix('.')
    }
}

/// `name` with every run of segments that is `from` replaced by `to`.
fn replaced(name: &str, from: &str, to: &str) -> String {
    let segments: Vec<&str> = name.split('.').collect();
    let from: Vec<&str> = from.split('.').collect();
    let mut result = Vec::new();
    let mut at = 0;
    while at < segments.len() {
        if segments[at..].starts_with(&from) {
            // An empty text takes the segments out.
            result.extend(to.split('.').filter(|segment| !segment.is_empty()));
            at += from.len();
        } else {
            result.push(segments[at]);
            at += 1;
        }
    }
    result.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_removed_only_if_all_names_have_it() {
        let names = Names::default();
        let network = ["conv.weight"];
        assert_eq!(
            names.prefix(&["module.a", "module.b.c"], &network),
            "module."
        );
        assert_eq!(
            names.prefix(&["module._orig_mod.a", "module._orig_mod.b"], &network),
            "module._orig_mod."
        );
        assert_eq!(names.prefix(&["module.a", "b"], &network), "");
        assert_eq!(names.prefix(&["module"], &network), "");
        assert_eq!(names.prefix(&["module2.a"], &network), "");
        assert_eq!(names.prefix(&[], &network), "");
        // A network that is named so itself.
        assert_eq!(names.prefix(&["model.a"], &["model.a"]), "");
    }

    #[test]
    fn a_part_is_chosen_if_it_is_there() {
        let names = Names::default().part("vision_model.").part("visual");
        let network = ["a"];
        assert_eq!(names.prefix(&["visual.a", "text.a"], &network), "visual.");
        assert_eq!(
            names.prefix(&["model.vision_model.a", "model.x"], &network),
            "model.vision_model."
        );
        assert_eq!(names.prefix(&["a", "b"], &network), "");
    }

    #[test]
    fn segments_are_replaced_whole() {
        let names = Names::default()
            .rename("gamma", "weight")
            .rename("a.b", "c");
        assert_eq!(names.renamed("x.gamma"), "x.weight");
        assert_eq!(names.renamed("gamma2.gamma"), "gamma2.weight");
        assert_eq!(names.renamed("a.b.a.b.a"), "c.c.a");
        assert_eq!(Names::default().rename("a", "").renamed("a.x"), "x");
    }

    #[test]
    fn a_prefix_ends_at_a_dot() {
        let names = Names::default().leave_out("fc.").keep("head");
        assert!(names.is_left_out("fc.weight") && !names.is_left_out("fc2.weight"));
        assert!(names.is_kept("head") && names.is_kept("head.x") && !names.is_kept("ahead.x"));
    }
}
