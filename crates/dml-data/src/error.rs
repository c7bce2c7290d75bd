//! What can go wrong between a file or a server and a data set: every message names the file, what was expected and
//! what was found. The message of an error leaves out what its source says; a caller that prints one line prints the
//! whole chain.

use std::io;
use std::path::{Path, PathBuf};

/// The result of every function of this crate that reads files or the network.
pub type Result<T> = std::result::Result<T, DataError>;

/// What can go wrong when a data set is read or downloaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system could not do something with a file.
    #[error("can't {action} {}", path.display())]
    Io {
        /// What was tried, such as `read`.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the operating system answered.
        source: io::Error,
    },
    /// A path leads to something else than a regular file, such as a folder, a named pipe or a device.
    #[error("{}: expected a regular file, found {found}", file.display())]
    FileKind {
        /// The path.
        file: PathBuf,
        /// What it leads to.
        found: &'static str,
    },
    /// A file of a data set is not where it was looked for.
    #[error("{}: found none of {}", folder.display(), tried.join(", "))]
    Missing {
        /// The folder.
        folder: PathBuf,
        /// The names that were tried.
        tried: Vec<String>,
    },
    /// A file does not begin like an IDX file of whole numbers: `00 00`, the type of the numbers and the number of
    /// dimensions.
    #[error("{}: expected the magic number of an IDX file, 00 00, one of 08, 09, 0b and 0c, and a number of dimensions, found {found:02x?}", file.display())]
    Magic {
        /// The file.
        file: PathBuf,
        /// Its first bytes, four at most.
        found: Vec<u8>,
    },
    /// An IDX file has numbers of another type than the data set asks for.
    #[error("{}: expected an array of {expected}, found one of {found}", file.display())]
    Element {
        /// The file.
        file: PathBuf,
        /// The type in words.
        expected: &'static str,
        /// That of the file's header.
        found: &'static str,
    },
    /// An IDX file has another number of dimensions, or other sizes, than the data set asks for.
    #[error("{}: expected dimensions {expected}, found {found:?}", file.display())]
    Dimensions {
        /// The file.
        file: PathBuf,
        /// The dimensions in words.
        expected: String,
        /// Those in the file's header.
        found: Vec<usize>,
    },
    /// A file ends before what its header announces.
    #[error("{}: expected {expected} bytes, found {found}", file.display())]
    Truncated {
        /// The file.
        file: PathBuf,
        /// How many bytes header and data should take, uncompressed.
        expected: u64,
        /// How many there are.
        found: u64,
    },
    /// A file goes on after what its header announces.
    #[error("{}: expected {expected} bytes, found more", file.display())]
    TrailingBytes {
        /// The file.
        file: PathBuf,
        /// How many bytes header and data should take, uncompressed.
        expected: u64,
    },
    /// A header announces more than the reader is willing to hold in memory.
    #[error("{}: expected at most {limit} bytes, found a header that announces {found}", file.display())]
    TooLarge {
        /// The file.
        file: PathBuf,
        /// The limit.
        limit: u64,
        /// What the header announces; `u64::MAX` if it is more than that.
        found: u64,
    },
    /// A compressed file is damaged.
    #[error("{}: expected an intact gzip file, found a damaged one", file.display())]
    Gzip {
        /// The file.
        file: PathBuf,
        /// What the decoder found.
        source: io::Error,
    },
    /// There is not one label per image.
    #[error("{labels}: expected {expected} labels, one per image, found {found}")]
    LabelCount {
        /// Where the labels come from.
        labels: String,
        /// The number of images.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// A label names no class.
    #[error("{labels}: expected labels below {classes}, found {found} at position {position}")]
    Label {
        /// Where the labels come from.
        labels: String,
        /// The number of classes.
        classes: usize,
        /// Where the label stands.
        position: usize,
        /// The label.
        found: i64,
    },
    /// Pixels don't make up whole images.
    #[error("{source_name}: expected a multiple of {pixels} bytes, one per pixel, found {found}")]
    Pixels {
        /// Where the images come from.
        source_name: String,
        /// Pixels of an image.
        pixels: usize,
        /// The number of bytes.
        found: usize,
    },
    /// Values don't make up a picture.
    #[error("image: expected {} channels of {} x {} values, at least one, found {found} values", shape[0], shape[1], shape[2])]
    Values {
        /// Channels, height, width.
        shape: [usize; 3],
        /// The number of values.
        found: usize,
    },
    /// A file that should be an image can't be decoded.
    #[error("{}: expected an image, found a file that can't be decoded: {reason}", file.display())]
    Image {
        /// The file.
        file: PathBuf,
        /// What the decoder found.
        reason: String,
    },
    /// Something is where a file or folder should be written.
    #[error("{}: expected nothing of that name, found something: move it away or remove it", path.display())]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file or folder of a published data set is missing.
    #[error("{title}: expected {missing} in {}, found nothing of that name: {help}", folder.display())]
    NotThere {
        /// The data set.
        title: &'static str,
        /// The folder.
        folder: PathBuf,
        /// What is missing.
        missing: String,
        /// Where to get it and where to put it.
        help: String,
    },
    /// A file isn't what its format asks for.
    #[error("{}, {place}: expected {expected}, found {found}", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// Where in it: an entry, a field, or a position in bytes.
        place: String,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// There is no published data set of that name in the list.
    #[error("data set: expected one of {known}, found {found:?}")]
    UnknownLayout {
        /// The names of the list.
        known: String,
        /// The name that was asked for.
        found: String,
    },
    /// A folder or a table names no image.
    #[error("{}: expected at least one image, {kind}, found none", path.display())]
    NoImages {
        /// The folder or table.
        path: PathBuf,
        /// What would count as one, in words.
        kind: &'static str,
    },
    /// An image lies in the folder of the data set itself, so that nothing says what class it is of.
    #[error("{}: expected images in folders of their class, found one beside these folders", file.display())]
    Unclassed {
        /// The image.
        file: PathBuf,
    },
    /// There are fewer classes than the work on them needs.
    #[error("{}: expected images of at least {expected} classes, found {found}", path.display())]
    FewClasses {
        /// The folder or table.
        path: PathBuf,
        /// How many are needed.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The name of a class is not text.
    #[error("{}: expected a name in Unicode for the folder of a class", folder.display())]
    ClassName {
        /// The folder.
        folder: PathBuf,
    },
    /// A cell of a table is not what its column asks for, or a line is no line.
    #[error("{}, line {line}, column {column}: expected {expected}, found {found}", file.display())]
    Table {
        /// The table.
        file: PathBuf,
        /// The line, from 1; in a CSV file the first is that of the names, in a Parquet file it is the first row.
        line: u64,
        /// The name of the column, or its number from 1.
        column: String,
        /// What should stand there.
        expected: &'static str,
        /// What does.
        found: String,
    },
    /// The name of a table ends in a way that says nothing of how to read it.
    #[error("{}: expected a table that ends in {known}", file.display())]
    TableKind {
        /// The table.
        file: PathBuf,
        /// The endings that can be read.
        known: &'static str,
    },
    /// No line of a table has what was asked for.
    #[error("{}: expected a line with {column} {wanted}, found {found}", file.display())]
    NoSuchLines {
        /// The table.
        file: PathBuf,
        /// The column.
        column: &'static str,
        /// What was asked for.
        wanted: String,
        /// What there is.
        found: String,
    },
    /// The contents of a file are not those that the data set is known for.
    #[error("{}: expected {expected}, found {found}", file.display())]
    Digest {
        /// The file.
        file: PathBuf,
        /// The known digest.
        expected: crate::Digest,
        /// That of the file.
        found: String,
    },
    /// Labels or rows that the core of the library refuses.
    #[error(transparent)]
    Core(#[from] dml_core::Error),
    /// No folder is known to keep downloads in.
    #[error("no cache folder: set DML_CACHE to a folder, or one of {}", tried.join(", "))]
    NoCacheFolder {
        /// The environment variables that were read.
        tried: Vec<&'static str>,
    },
    /// A file could not be downloaded from any mirror.
    #[cfg(feature = "download")]
    #[error("can't download {file}: {}", crate::download::Attempt::list(attempts))]
    Download {
        /// The file's name.
        file: String,
        /// Every attempt, in order.
        attempts: Vec<crate::download::Attempt>,
    },
    /// The progress function stopped the download. The bytes that arrived are kept, and the next download continues
    /// from there.
    #[cfg(feature = "download")]
    #[error("the download of {file} was stopped")]
    Stopped {
        /// The file's name.
        file: String,
    },
    /// Another thread or program held the file's lock for too long.
    #[cfg(feature = "download")]
    #[error("{}: expected the lock within {waited:?}, found it held by another download", lock.display())]
    Locked {
        /// The lock file.
        lock: PathBuf,
        /// How long it was waited for.
        waited: std::time::Duration,
    },
}

/// Most characters of a foreign text that a message quotes.
#[cfg(feature = "images")]
const QUOTED: usize = 200;

/// The beginning of a text that came from a file or a decoder, for a message.
#[cfg(feature = "images")]
pub(crate) fn shortened(text: &str) -> String {
    match text.char_indices().nth(QUOTED) {
        Some((end, _)) => format!("{}… ({} bytes)", &text[..end], text.len()),
        None => text.to_owned(),
    }
}

impl DataError {
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
}

#[cfg(feature = "images")]
impl DataError {
    /// What is wrong with a cell of a table.
    pub(crate) fn table(
        file: &Path,
        line: u64,
        column: impl Into<String>,
        expected: &'static str,
        found: impl Into<String>,
    ) -> Self {
        Self::Table {
            file: file.to_path_buf(),
            line,
            column: column.into(),
            expected,
            found: found.into(),
        }
    }
}

/// What a [`Dataset`](dml_core::Dataset) may answer.
impl From<DataError> for dml_core::Error {
    fn from(error: DataError) -> Self {
        match error {
            DataError::Core(error) => error,
            other => Self::Dataset(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn no_error_repeats_the_text_of_its_cause() {
        let system = || io::Error::from_raw_os_error(2);
        let file = || PathBuf::from("some/file");
        let read = || DataError::io("read", Path::new("some/file"))(system());
        let gzip = DataError::Gzip {
            file: file(),
            source: system(),
        };
        #[allow(unused_mut)] // Without downloads, that is all.
        let mut errors: Vec<Box<dyn Error>> = vec![
            Box::new(read()),
            Box::new(gzip),
            Box::new(dml_core::Error::from(read())),
            Box::new(DataError::Core(read().into())),
        ];
        #[cfg(feature = "download")]
        {
            use crate::download::{Attempt, Fault};
            let attempt = |fault| Attempt {
                url: "http://some/file".to_owned(),
                received: 0,
                fault,
            };
            errors.push(Box::new(attempt(Fault::Transport(Box::new(system())))));
            errors.push(Box::new(Attempt {
                url: "http://elsewhere".to_owned(),
                received: 0,
                fault: Fault::Contents(Box::new(read())),
            }));
            errors.push(Box::new(DataError::Download {
                file: "a.gz".to_owned(),
                attempts: vec![attempt(Fault::Transport(Box::new(system())))],
            }));
        }
        for error in errors {
            let mut whole = error.to_string();
            let mut cause = error.source();
            while let Some(own) = cause {
                whole = format!("{whole}: {own}");
                cause = own.source();
            }
            assert_eq!(whole.matches("(os error 2)").count(), 1, "{whole}");
            assert_eq!(whole.matches("some/file").count(), 1, "{whole}");
        }
    }
}
