//! Names of what a wrapped loss learns and remembers: those of the loss itself, behind a prefix.

use std::collections::HashMap;

use candle_core::Tensor;

/// What a wrapper puts before the names of the one loss that it wraps.
pub(crate) const LOSS: &str = "loss.";

/// The same entries with `prefix` before their names.
pub(crate) fn prefixed<T>(prefix: &str, named: Vec<(String, T)>) -> Vec<(String, T)> {
    let entries = named.into_iter();
    entries
        .map(|(name, value)| (format!("{prefix}{name}"), value))
        .collect()
}

/// The entries whose names begin with `prefix`, without it.
pub(crate) fn unprefixed(
    prefix: &str,
    tensors: &HashMap<String, Tensor>,
) -> HashMap<String, Tensor> {
    let strip = |(name, tensor): (&String, &Tensor)| {
        Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone()))
    };
    tensors.iter().filter_map(strip).collect()
}
