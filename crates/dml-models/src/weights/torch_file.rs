//! Files of `torch.save`: the zip archive of today's PyTorch, and the older sequence of pickles.
//!
//! ```text
//! archive:  NAME/data.pkl, NAME/data/KEY for each storage, NAME/byteorder
//! sequence: magic number, version, sizes of the machine, object, keys of storages: five pickles; then for each key the
//!           number of its elements (8 bytes) and the elements
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use dml_pickle::{Node, NodeId, Pickle, PickleError};
use safetensors::Dtype;

use super::entry::{Entry, InFile, MOST_DIMENSIONS, span};
use super::{storage, zip};
use crate::error::{ModelError, Result};

/// Keys under which training programs keep the state dict, in the order in which they are looked for.
const KEYS: [&str; 7] = [
    "state_dict",
    "model",
    "model_state_dict",
    "state_dict_ema",
    "model_ema",
    "net",
    "network",
];
/// Most bytes of one pickle: names, shapes and whatever is beside the tensors.
const MOST_PICKLE: u64 = 256 << 20;
/// The magic number of the older format, as a pickle.
const MAGIC: [u8; 15] = [
    0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
];

/// Position and number of bytes of each storage in the file, by key.
type Storages = HashMap<String, (u64, u64)>;

/// Whether the file begins as files of `torch.save` do.
pub(super) fn is_torch_file(path: &Path) -> Result<bool> {
    let (mut file, total) = storage::open(path)?;
    let start = storage::bytes(&mut file, path, 0, total.min(MAGIC.len() as u64) as usize)?;
    Ok(start.starts_with(b"PK\x03\x04") || start == MAGIC)
}

pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Entry>> {
    let (mut file, total) = storage::open(path)?;
    let length = total.min(MAGIC.len() as u64) as usize;
    let start = storage::bytes(&mut file, path, 0, length)?;
    let (pickle, storages) = if start.starts_with(b"PK\x03\x04") {
        archive(&mut file, path, total)?
    } else if start == MAGIC {
        sequence(file, path, total)?
    } else {
        let problem =
            "expected a file of torch.save, found neither a zip archive nor the older format";
        return Err(ModelError::format(path, problem));
    };
    let state = state_dict(&pickle, path)?;
    let path: Arc<Path> = path.into();
    let mut entries = BTreeMap::new();
    for (key, value) in state {
        let Some(name) = pickle.text(*key) else {
            continue;
        };
        if let Some(described) = described(&pickle, *value) {
            let entry = described
                .and_then(|tensor| placed(tensor, &storages, &path))
                .map_err(|problem| ModelError::format(&path, format!("{name}: {problem}")))?;
            // The later of two values of a key counts, as in Python.
            entries.insert(name.to_owned(), Entry::InFile(entry));
        }
    }
    Ok(entries)
}

fn read_pickle(bytes: impl Read, path: &Path) -> Result<Pickle> {
    Pickle::read(bytes, MOST_PICKLE).map_err(|error| match error {
        PickleError::Io { source, .. } => ModelError::io("read", path)(source),
        other => {
            let problem = format!("expected a pickled state dict, found {other}");
            ModelError::format(path, problem)
        }
    })
}

fn archive(file: &mut File, path: &Path, total: u64) -> Result<(Pickle, Storages)> {
    let members = zip::members(file, path, total)?;
    let folder = members.keys().find_map(|name| {
        name.strip_suffix("data.pkl")
            .filter(|folder| folder.ends_with('/') && folder.matches('/').count() == 1)
    });
    let folder = folder
        .ok_or_else(|| ModelError::format(path, "expected data.pkl in the archive, found none"))?;
    let bytes = |file: &mut File, member: &zip::Member| {
        let start = member.start(path)?;
        if member.size > MOST_PICKLE {
            let (most, size) = (MOST_PICKLE, member.size);
            let problem = format!("expected a pickle of at most {most} bytes, found {size}");
            return Err(ModelError::format(path, problem));
        }
        storage::bytes(file, path, start, member.size as usize)
    };
    if let Some(order) = members.get(&format!("{folder}byteorder"))
        && bytes(file, order)? != b"little"
    {
        let problem = "expected numbers in little-endian order, found another";
        return Err(ModelError::format(path, problem));
    }
    let own = bytes(file, &members[&format!("{folder}data.pkl")])?;
    let pickle = read_pickle(own.as_slice(), path)?;
    let prefix = format!("{folder}data/");
    let mut storages = Storages::new();
    for (name, member) in &members {
        if let Some(key) = name.strip_prefix(&prefix) {
            let start = member.start(path)?;
            storages.insert(key.to_owned(), (start, member.size));
        }
    }
    Ok((pickle, storages))
}

fn sequence(file: File, path: &Path, total: u64) -> Result<(Pickle, Storages)> {
    let failed = ModelError::io("read", path);
    let mut bytes = BufReader::new(file);
    bytes.seek(SeekFrom::Start(0)).map_err(failed)?;
    // Magic number, version, sizes of the machine.
    for _ in 0..3 {
        read_pickle(&mut bytes, path)?;
    }
    let object = read_pickle(&mut bytes, path)?;
    let keys = read_pickle(&mut bytes, path)?;
    let damaged = || ModelError::format(path, "expected storages of tensors, found a damaged list");
    let Node::List(list) = keys.node(keys.root()) else {
        return Err(damaged());
    };
    let sizes: HashMap<&str, usize> = object
        .nodes()
        .filter_map(|node| match node {
            Node::Persistent(id) => {
                let (dtype, key) = described_storage(&object, *id)?;
                Some((key, dtype.bitsize() / 8))
            }
            _ => None,
        })
        .collect();
    let mut storages = Storages::new();
    let mut at = bytes
        .stream_position()
        .map_err(ModelError::io("read", path))?;
    for key in list {
        let key = keys.text(*key).ok_or_else(damaged)?;
        let size = *sizes.get(key).ok_or_else(damaged)? as u64;
        let count = storage::bytes(&mut bytes, path, at, 8)?;
        let count = count.try_into().map_or(u64::MAX, u64::from_le_bytes);
        at += 8;
        let length = count.checked_mul(size).ok_or_else(damaged)?;
        if length > total - at.min(total) {
            return Err(damaged());
        }
        storages.insert(key.to_owned(), (at, length));
        at += length;
    }
    Ok((object, storages))
}

/// Keys and values of the state dict.
fn state_dict<'a>(pickle: &'a Pickle, path: &Path) -> Result<&'a [(NodeId, NodeId)]> {
    let dict = |id: NodeId| match pickle.node(id) {
        Node::Dict(pairs) => Some(pairs.as_slice()),
        _ => None,
    };
    let has_tensors = |pairs: &[(NodeId, NodeId)]| {
        let mut values = pairs.iter().map(|(_, value)| *value);
        values.any(|value| described(pickle, value).is_some())
    };
    let Some(top) = dict(pickle.root()) else {
        let found = match pickle.node(pickle.root()) {
            Node::Call { callable, .. } => pickle.class(*callable),
            _ => None,
        };
        let found = match found {
            Some((module, name)) => format!("an object of {module}.{name}"),
            None => "something else".to_owned(),
        };
        let problem = format!("expected a state dict, found {found}; save `model.state_dict()`");
        return Err(ModelError::format(path, problem));
    };
    if has_tensors(top) {
        return Ok(top);
    }
    let under = |key: &str| {
        let mut values = top.iter().rev();
        values
            .find(|(own, _)| pickle.text(*own) == Some(key))
            .and_then(|(_, value)| dict(*value))
            .filter(|pairs| has_tensors(pairs))
    };
    KEYS.into_iter().find_map(under).ok_or_else(|| {
        let problem = format!(
            "expected tensors at the top level or under one of {}, found none",
            KEYS.join(", ")
        );
        ModelError::format(path, problem)
    })
}

/// What a pickle says of a tensor.
struct Described<'a> {
    dtype: Dtype,
    key: &'a str,
    offset: usize,
    shape: Vec<usize>,
    strides: Vec<usize>,
}

/// The tensor that a value describes; `None` if it describes something else.
fn described(
    pickle: &Pickle,
    mut id: NodeId,
) -> Option<std::result::Result<Described<'_>, String>> {
    // A parameter or a subclass is wrapped around a tensor, twice at most.
    for _ in 0..3 {
        let Node::Call { callable, args, .. } = pickle.node(id) else {
            return None;
        };
        let args = pickle.tuple(*args)?;
        match pickle.class(*callable)? {
            ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => {
                id = *args.first()?;
            }
            ("torch._tensor", "_rebuild_from_type_v2") => {
                let inner = pickle.class(*args.first()?)?;
                return Some(rebuilt(pickle, inner, pickle.tuple(*args.get(2)?)?));
            }
            class @ ("torch._utils", name) if name.starts_with("_rebuild") => {
                return Some(rebuilt(pickle, class, args));
            }
            _ => return None,
        }
    }
    None
}

fn rebuilt<'a>(
    pickle: &'a Pickle,
    (module, name): (&str, &str),
    args: &[NodeId],
) -> std::result::Result<Described<'a>, String> {
    if !(module == "torch._utils" && matches!(name, "_rebuild_tensor" | "_rebuild_tensor_v2")) {
        return Err(format!(
            "expected a dense tensor of PyTorch's own types, found one of {module}.{name}"
        ));
    }
    let damaged = || "expected the description of a tensor, found a damaged one".to_owned();
    let [storage, offset, shape, strides, ..] = args else {
        return Err(damaged());
    };
    let counts = |id: NodeId| -> Option<Vec<usize>> {
        let items = pickle.tuple(id)?;
        let items = items.iter().map(|item| pickle.count(*item));
        items.collect::<Option<Vec<_>>>()
    };
    let Node::Persistent(storage) = pickle.node(*storage) else {
        return Err(damaged());
    };
    let (dtype, key) = described_storage(pickle, *storage)
        .ok_or("expected a storage of numbers of PyTorch's own types, found another")?;
    let (Some(offset), Some(shape), Some(strides)) =
        (pickle.count(*offset), counts(*shape), counts(*strides))
    else {
        return Err(damaged());
    };
    if shape.len() > MOST_DIMENSIONS {
        return Err(format!(
            "expected at most {MOST_DIMENSIONS} dimensions, found {}",
            shape.len()
        ));
    }
    Ok(Described {
        dtype,
        key,
        offset,
        shape,
        strides,
    })
}

/// Element type and key of a storage: `("storage", class, key, location, count[, view])`.
fn described_storage(pickle: &Pickle, id: NodeId) -> Option<(Dtype, &str)> {
    let items = pickle.tuple(id)?;
    let [kind, class, key, _, _, rest @ ..] = items else {
        return None;
    };
    // A view of another storage has a description of its own.
    let is_whole = rest.iter().all(|id| *pickle.node(*id) == Node::Other);
    (pickle.text(*kind)? == "storage" && is_whole).then_some(())?;
    let dtype = match pickle.class(*class)? {
        ("torch", "FloatStorage") => Dtype::F32,
        ("torch", "DoubleStorage") => Dtype::F64,
        ("torch", "HalfStorage") => Dtype::F16,
        ("torch", "BFloat16Storage") => Dtype::BF16,
        ("torch", "LongStorage") => Dtype::I64,
        ("torch", "IntStorage") => Dtype::I32,
        ("torch", "ShortStorage") => Dtype::I16,
        ("torch", "CharStorage") => Dtype::I8,
        ("torch", "ByteStorage") => Dtype::U8,
        ("torch", "BoolStorage") => Dtype::BOOL,
        _ => return None,
    };
    Some((dtype, pickle.text(*key)?))
}

/// The tensor in the file, if its storage has all of it.
fn placed(
    tensor: Described<'_>,
    storages: &Storages,
    path: &Arc<Path>,
) -> std::result::Result<InFile, String> {
    let (start, length) = *storages
        .get(tensor.key)
        .ok_or_else(|| format!("expected the storage {}, found none", tensor.key))?;
    let size = (tensor.dtype.bitsize() / 8) as u64;
    let offset = (tensor.offset as u64).checked_mul(size);
    let span = span(&tensor.shape, &tensor.strides);
    let end = span
        .and_then(|span| (span as u64).checked_mul(size))
        .and_then(|bytes| bytes.checked_add(offset?));
    let (Some(offset), Some(end)) = (offset, end) else {
        return Err("expected the description of a tensor, found a damaged one".to_owned());
    };
    if end > length {
        return Err(format!(
            "expected a storage of at least {end} bytes, found {length}"
        ));
    }
    let mut dense = 1usize;
    let mut is_dense = true;
    for (size, stride) in tensor.shape.iter().zip(&tensor.strides).rev() {
        is_dense &= *size == 1 || *stride == dense;
        dense = dense.saturating_mul(*size);
    }
    Ok(InFile {
        path: path.clone(),
        dtype: tensor.dtype,
        shape: tensor.shape,
        strides: (!is_dense).then_some(tensor.strides),
        offset: start + offset,
    })
}
