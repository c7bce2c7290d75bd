//! Errors between a file of weights and a network: every message names the file or the tensors.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use candle_core::DType;

/// Result of every function of this crate that reads weights or builds a network by name.
pub type Result<T> = std::result::Result<T, ModelError>;

/// Number of names that a message lists of each kind.
const LISTED: usize = 10;

/// Errors of reading weights, loading them into a network, saving them, and building a network by name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModelError {
    /// The operating system could not do something with a file.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The answer of the operating system.
        source: io::Error,
    },
    /// A file is no file of weights, is damaged, or has something in it that can't be read.
    #[error("{}: {problem}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// There is no tensor of a name.
    #[error("{name}: no tensor of that name")]
    Missing {
        /// The name.
        name: String,
    },
    /// Tensors and network do not fit each other.
    #[error("the weights do not fit the network: {0}")]
    Misfit(Misfit),
    /// A tensor has a number that is NaN or infinite in the network's element type.
    #[error("{name}: expected finite numbers in {dtype:?}, got {value} at position {position}")]
    NotFinite {
        /// Name of the tensor.
        name: String,
        /// Element type of the network.
        dtype: DType,
        /// Position of the first such number in row-major order.
        position: usize,
        /// The number.
        value: f64,
    },
    /// There is no network of a name.
    #[error("{name}: expected one of {}", known.join(", "))]
    UnknownModel {
        /// The name.
        name: String,
        /// The names that there are.
        known: Vec<&'static str>,
    },
    /// The hub or its cache does not have it.
    #[cfg(feature = "hub")]
    #[error(transparent)]
    Hub(#[from] crate::hub::HubError),
    /// A configuration or a tensor operation failed.
    #[error(transparent)]
    Core(#[from] dml_core::Error),
}

impl ModelError {
    /// For `map_err`: what was tried with which file.
    pub(crate) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> Self + 'a {
        move |source| Self::Io {
            action,
            path: path.to_path_buf(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, problem: impl Into<String>) -> Self {
        Self::Format {
            path: path.to_path_buf(),
            problem: problem.into(),
        }
    }
}

impl From<candle_core::Error> for ModelError {
    fn from(error: candle_core::Error) -> Self {
        Self::Core(error.into())
    }
}

/// The tensors that keep weights from being loaded, all of them; the message lists the first ten of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misfit {
    /// Parameters and buffers of the network that have no tensor.
    pub missing: Vec<String>,
    /// Tensors that have no place in the network, by their names in the file.
    pub surplus: Vec<String>,
    /// Tensors of another shape than their places.
    pub misshapen: Vec<Misshapen>,
}

/// A tensor of another shape than its place.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Misshapen {
    /// Name of the parameter or buffer.
    pub name: String,
    /// Shape of the parameter or buffer.
    pub expected: Vec<usize>,
    /// Shape of the tensor.
    pub got: Vec<usize>,
}

impl Misfit {
    pub(crate) fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.surplus.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let misshapen = self.misshapen.iter().map(|tensor| {
            let Misshapen {
                name,
                expected,
                got,
            } = tensor;
            format!("{name} (expected {expected:?}, got {got:?})")
        });
        let kinds = [
            ("missing", self.missing.clone()),
            ("surplus", self.surplus.clone()),
            ("of another shape", misshapen.collect()),
        ];
        let mut separator = "";
        for (kind, names) in kinds {
            if names.is_empty() {
                continue;
            }
            write!(f, "{separator}{kind}: {}", listed(&names))?;
            separator = "; ";
        }
        Ok(())
    }
}

/// The first names of a list, and the number of the others.
pub(crate) fn listed(names: &[String]) -> String {
    let first = names.iter().take(LISTED).map(String::as_str);
    let first = first.collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_names_the_tensors_of_every_kind() {
        let names = |count: usize| (0..count).map(|i| format!("w{i}")).collect();
        let misfit = Misfit {
            missing: names(12),
            surplus: names(1),
            misshapen: vec![Misshapen {
                name: "fc.weight".to_owned(),
                expected: vec![2, 3],
                got: vec![3, 2],
            }],
        };
        let expected = "the weights do not fit the network: missing: w0, w1, w2, w3, w4, w5, w6, w7, w8, w9 and 2 more; \
                        surplus: w0; of another shape: fc.weight (expected [2, 3], got [3, 2])";
        assert_eq!(ModelError::Misfit(misfit).to_string(), expected);
    }
}
