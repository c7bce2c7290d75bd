//! The changes since a generation was written, one frame each.
//!
//! ```text
//! head     32 bytes: "DMLLOG", zeros: u16, version: u32, zeros: u32, generation: u64, zeros: u32, CRC-32 of all that
//! frames   numbered from 0
//! change   1 put: ids, columns, rows; 2 remove: ids; 3 set attributes: id, columns
//! ```
//!
//! A change is there once its frame is whole. A crash may leave the beginning of one at the end, or bytes that were never
//! written; that is cut off. Whatever is damaged before an intact frame is no crash's doing, and is refused.

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use dml_core::durable;

use super::encoding::{Fault, Reader, Writer};
use super::frames::{self, Found};
use crate::index::collection::column::Column;
use crate::index::collection::error::CollectionError;
use crate::index::collection::id::Ids;

const MAGIC: &[u8; 8] = b"DMLLOG\0\0";
pub(super) const VERSION: u32 = 1;
const HEAD: usize = 32;

/// When changes reach the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Durability {
    /// Before the call that makes the change returns.
    #[default]
    EachCall,
    /// When the system writes them, or [`Collection::flush`](crate::Collection::flush) is called. A killed process loses no
    /// change; after a power cut, changes since the last flush may be lost, and an open may need
    /// [`DamagedLog::CutAtDamage`].
    OnFlush,
}

/// What to do where changes of the log are damaged and intact ones follow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum DamagedLog {
    /// The collection is not opened.
    #[default]
    Refuse,
    /// The damaged change and all behind it are given up.
    CutAtDamage,
}

/// A change.
#[derive(Clone, Debug)]
pub(in crate::index::collection) enum Change {
    /// New items, or other ones in their places. Rows are on the CPU, of single or double precision.
    Put {
        ids: Ids,
        columns: Vec<(String, Column)>,
        rows: Tensor,
    },
    Remove(Ids),
    /// Other attributes of one item.
    Attributes {
        id: Ids,
        columns: Vec<(String, Column)>,
    },
}

impl Change {
    fn to_bytes(&self) -> dml_core::Result<Vec<u8>> {
        let mut body = Writer::default();
        match self {
            Self::Put { ids, columns, rows } => {
                body.byte(1);
                body.ids(ids);
                body.columns(columns);
                body.rows(rows)?;
            }
            Self::Remove(ids) => {
                body.byte(2);
                body.ids(ids);
            }
            Self::Attributes { id, columns } => {
                body.byte(3);
                body.ids(id);
                body.columns(columns);
            }
        }
        Ok(body.0)
    }

    fn of_bytes(bytes: &[u8]) -> Result<Self, Fault> {
        let mut body = Reader(bytes);
        let kind = body.byte()?;
        let ids = body.ids()?;
        if ids.check().is_err() {
            return Err("it has ids that no collection has");
        }
        let change = match kind {
            1 => {
                let columns = body.columns(ids.len())?;
                let rows = body.rows()?;
                if rows.dims()[0] != ids.len() || ids.repeated().is_some() {
                    return Err("it has a change with another number of rows than of ids");
                }
                Self::Put { ids, columns, rows }
            }
            2 => Self::Remove(ids),
            3 if ids.len() == 1 => Self::Attributes {
                columns: body.columns(1)?,
                id: ids,
            },
            _ => return Err("it has a change of an unknown kind"),
        };
        body.end()?;
        Ok(change)
    }
}

fn head(generation: u64) -> Vec<u8> {
    let mut head = MAGIC.to_vec();
    head.extend(VERSION.to_le_bytes());
    head.extend([0; 4]);
    head.extend(generation.to_le_bytes());
    head.extend([0; 4]);
    head.extend(crc32fast::hash(&head).to_le_bytes());
    head
}

/// Writes a log without changes; says where it ends.
pub(super) fn create(path: &Path, generation: u64) -> Result<End, CollectionError> {
    durable::write(path, &head(generation)).map_err(CollectionError::io(path))?;
    Ok(End {
        bytes: HEAD as u64,
        changes: 0,
    })
}

/// Where a log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    /// Behind the last intact change.
    pub(super) bytes: u64,
    /// Number of changes.
    pub(super) changes: u64,
}

/// Hands over the changes of a log, in their order. Nothing is written.
pub(super) fn read(
    path: &Path,
    generation: u64,
    damaged: DamagedLog,
    mut take: impl FnMut(Change) -> Result<(), CollectionError>,
) -> Result<End, CollectionError> {
    let failed = CollectionError::io(path);
    let fault = |fault| CollectionError::damaged(path, fault);
    let metadata = fs::metadata(path).map_err(&failed)?;
    if !metadata.is_file() {
        return Err(fault("it is no file"));
    }
    let bytes = fs::read(path).map_err(&failed)?;
    let Some((own, mut frames)) = bytes.split_at_checked(HEAD) else {
        return Err(fault("it ends too early"));
    };
    if own[..8] != *MAGIC {
        return Err(fault("it holds no changes"));
    }
    let version = own[8..].first_chunk::<4>();
    let version = version.map_or(0, |version| u32::from_le_bytes(*version));
    if version != VERSION {
        return Err(CollectionError::Version {
            path: path.to_owned(),
            known: VERSION,
            got: version,
        });
    }
    if own != head(generation) {
        return Err(fault("its head has been altered"));
    }
    let mut end = End {
        bytes: HEAD as u64,
        changes: 0,
    };
    loop {
        match frames::first(frames, end.changes) {
            Found::Frame(body) => {
                take(Change::of_bytes(body).map_err(fault)?)?;
                let length = frames::HEAD + body.len();
                frames = &frames[length..];
                end.bytes += length as u64;
                end.changes += 1;
            }
            Found::Damaged if damaged == DamagedLog::Refuse => {
                return Err(CollectionError::DamagedLog {
                    path: path.to_owned(),
                    offset: end.bytes,
                });
            }
            Found::End | Found::Torn | Found::Damaged => return Ok(end),
        }
    }
}

/// A log that is written to.
#[derive(Debug)]
pub(super) struct Log {
    file: File,
    path: PathBuf,
    end: End,
    durability: Durability,
    /// Whether a write has failed and could not be taken back.
    is_broken: bool,
}

impl Log {
    /// Opens a log to append to it, and cuts off what stands behind its end.
    pub(super) fn open(
        path: &Path,
        end: End,
        durability: Durability,
    ) -> Result<Self, CollectionError> {
        let open = || {
            let mut file = OpenOptions::new().write(true).open(path)?;
            if file.metadata()?.len() != end.bytes {
                file.set_len(end.bytes)?;
                file.sync_all()?;
            }
            file.seek(SeekFrom::Start(end.bytes))?;
            Ok(file)
        };
        Ok(Self {
            file: open().map_err(CollectionError::io(path))?,
            path: path.to_owned(),
            end,
            durability,
            is_broken: false,
        })
    }

    /// Bytes of the log.
    pub(super) fn bytes(&self) -> u64 {
        self.end.bytes
    }

    /// Appends a change. After an error it is not there.
    pub(super) fn append(&mut self, change: &Change) -> Result<(), CollectionError> {
        if self.is_broken {
            return Err(CollectionError::Broken {
                path: self.path.clone(),
            });
        }
        let frame = frames::frame(self.end.changes, &change.to_bytes()?);
        let written = self.file.write_all(&frame).and_then(|()| {
            if self.durability == Durability::EachCall {
                // What a failed sync has left is not known: nothing may be written behind it.
                self.is_broken = true;
                self.file.sync_data()?;
                self.is_broken = false;
            }
            Ok(())
        });
        if let Err(error) = written {
            let back = self.file.set_len(self.end.bytes);
            let back = back.and_then(|()| self.file.seek(SeekFrom::Start(self.end.bytes)));
            self.is_broken |= back.is_err();
            return Err(CollectionError::io(&self.path)(error));
        }
        self.end.bytes += frame.len() as u64;
        self.end.changes += 1;
        Ok(())
    }

    /// Brings all changes to the disk.
    pub(super) fn flush(&mut self) -> Result<(), CollectionError> {
        if self.is_broken {
            return Err(CollectionError::Broken {
                path: self.path.clone(),
            });
        }
        let synced = self.file.sync_data();
        self.is_broken |= synced.is_err();
        synced.map_err(CollectionError::io(&self.path))
    }
}
