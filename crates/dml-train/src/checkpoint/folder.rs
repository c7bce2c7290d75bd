//! Checkpoints on the disk: whole, or not there.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use candle_core::Device;
use dml_core::durable;

use super::state::{FORMAT, Snapshot, State};
use crate::{Result, TrainError};

const TENSORS: &str = "tensors.safetensors";
const STATE: &str = "state.json";
const WHOLE: &str = "step-";
const PART: &str = ".part-";
/// What another checkpoint of the same step is about to replace.
const OLD: &str = ".part-old-";
/// What is being removed.
const GONE: &str = ".part-gone-";
/// What was found damaged when a run was taken up, for whoever wants to look at it.
const DAMAGED: &str = "damaged-";

fn place(folder: &Path, step: u64) -> PathBuf {
    folder.join(format!("{WHOLE}{step:012}"))
}

/// The names of the folder's entries; none if it is not there.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::io("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TrainError::io("read", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

pub(super) fn steps(folder: &Path) -> Result<Vec<u64>> {
    let names = names(folder)?;
    let step = |name: &String| name.strip_prefix(WHOLE)?.parse().ok();
    let mut steps: Vec<u64> = names.iter().filter_map(step).collect();
    steps.sort_unstable();
    Ok(steps)
}

/// Removes what is half-written or half-removed, and puts back what was to be replaced and was not.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        if !name.starts_with(PART) {
            continue;
        }
        let path = folder.join(&name);
        let step = name.strip_prefix(OLD).and_then(|step| step.parse().ok());
        if let Some(step) = step
            && !place(folder, step).exists()
            && read_at(&path).is_ok()
        {
            rename(&path, &place(folder, step))?;
            sync_folder(folder)?;
        } else {
            fs::remove_dir_all(&path).map_err(TrainError::io("remove", &path))?;
        }
    }
    Ok(())
}

pub(super) fn write(folder: &Path, step: u64, snapshot: &Snapshot) -> Result<()> {
    fs::create_dir_all(folder).map_err(TrainError::io("make", folder))?;
    let part = folder.join(format!("{PART}{step:012}"));
    if part.exists() {
        fs::remove_dir_all(&part).map_err(TrainError::io("remove", &part))?;
    }
    fs::create_dir(&part).map_err(TrainError::io("make", &part))?;
    let tensors = part.join(TENSORS);
    dml_core::checkpoint::save(&tensors, &snapshot.tensors)?;
    let bytes = fs::read(&tensors).map_err(TrainError::io("read", &tensors))?;
    let state = State {
        tensors_crc32c: crc32c::crc32c(&bytes),
        ..snapshot.state.clone()
    };
    let path = part.join(STATE);
    let json = serde_json::to_vec_pretty(&state).map_err(TrainError::damaged(&path))?;
    let mut file = File::create(&path).map_err(TrainError::io("write", &path))?;
    file.write_all(&json)
        .and_then(|()| file.sync_all())
        .map_err(TrainError::io("write", &path))?;
    sync_folder(&part)?;
    let whole = place(folder, step);
    let old = folder.join(format!("{OLD}{step:012}"));
    let replaces = whole.exists();
    if replaces {
        // The same step of the same run, written when the run ended and again when it went on. One of the two is there
        // at any moment, under this name or under that which `sweep` puts back.
        rename(&whole, &old)?;
    }
    rename(&part, &whole)?;
    sync_folder(folder)?;
    if replaces {
        fs::remove_dir_all(&old).map_err(TrainError::io("remove", &old))?;
    }
    Ok(())
}

pub(super) fn read(folder: &Path, step: u64) -> Result<Snapshot> {
    read_at(&place(folder, step))
}

fn read_at(place: &Path) -> Result<Snapshot> {
    let path = place.join(STATE);
    let json = fs::read(&path).map_err(TrainError::io("read", &path))?;
    let state: State = serde_json::from_slice(&json).map_err(TrainError::damaged(&path))?;
    if state.format != FORMAT {
        let found = state.format;
        let problem = format!("expected a checkpoint of format {FORMAT}, found {found}");
        return Err(TrainError::damaged(&path)(problem));
    }
    let path = place.join(TENSORS);
    let bytes = fs::read(&path).map_err(TrainError::io("read", &path))?;
    let (expected, found) = (state.tensors_crc32c, crc32c::crc32c(&bytes));
    if expected != found {
        let problem = format!("expected CRC-32C {expected:08x}, found {found:08x}");
        return Err(TrainError::damaged(&path)(problem));
    }
    let tensors = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    let tensors = tensors.map_err(TrainError::damaged(&path))?;
    Ok(Snapshot { state, tensors })
}

/// Takes the name away first: what is half removed must not look whole.
pub(super) fn remove(folder: &Path, step: u64) -> Result<()> {
    let whole = place(folder, step);
    let gone = folder.join(format!("{GONE}{step:012}"));
    rename(&whole, &gone)?;
    fs::remove_dir_all(&gone).map_err(TrainError::io("remove", &gone))
}

/// Takes a damaged checkpoint out of the way of those to come, and says where it is now.
pub(super) fn put_aside(folder: &Path, step: u64) -> Result<PathBuf> {
    let aside = folder.join(format!("{DAMAGED}{step:012}"));
    if aside.exists() {
        fs::remove_dir_all(&aside).map_err(TrainError::io("remove", &aside))?;
    }
    rename(&place(folder, step), &aside)?;
    Ok(aside)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(TrainError::io("rename", from))
}

fn sync_folder(folder: &Path) -> Result<()> {
    durable::sync_folder(folder).map_err(TrainError::io("sync", folder))
}
