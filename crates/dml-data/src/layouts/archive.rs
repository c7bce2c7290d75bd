//! Archives that published data sets come in.

use crate::Digest;

/// A file with a stable address and a checksum: an archive to unpack (`.tgz`, `.tar.gz`, `.zip`), or a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Archive {
    /// Name of the file.
    pub file: &'static str,
    /// Address.
    pub url: &'static str,
    /// What its contents are known by.
    pub digest: Digest,
    /// Most bytes of the file; a larger one is not it.
    pub most_bytes: u64,
}
