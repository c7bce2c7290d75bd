//! Checkpoints on the disk: whole, or not there.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use candle_core::Device;
use dml_core::durable;
use serde::Deserialize;

use super::manifest::Manifest;
use super::state::{FORMAT, Snapshot, State};
use crate::{Result, TrainError};

const TENSORS: &str = "tensors.safetensors";
const STATE: &str = "state.json";
/// Written last.
const MANIFEST: &str = "manifest.json";
const WHOLE: &str = "step-";
const PART: &str = ".part-";
/// A checkpoint that another of the same step is about to replace.
const OLD: &str = ".part-old-";
/// A checkpoint that is being removed.
const GONE: &str = ".part-gone-";
/// A checkpoint that was found damaged when a run was resumed, kept for inspection.
const DAMAGED: &str = "damaged-";

fn name_of(prefix: &str, step: u64) -> String {
    format!("{prefix}{step:012}")
}

fn place(folder: &Path, step: u64) -> PathBuf {
    folder.join(name_of(WHOLE, step))
}

/// The step in a name that was written here; none in names that only resemble one.
fn step_in(name: &str, prefix: &str) -> Option<u64> {
    let step = name.strip_prefix(prefix)?.parse().ok()?;
    (name_of(prefix, step) == name).then_some(step)
}

/// The names of the folder's entries; none if it does not exist.
fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(TrainError::io("read", folder))?,
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(TrainError::io("read", folder))?;
        names.extend(entry.file_name().into_string());
    }
    Ok(names)
}

/// The steps of which there is a checkpoint, and where each is, in order.
pub(super) fn checkpoints(folder: &Path) -> Result<Vec<(u64, PathBuf)>> {
    let names = names(folder)?;
    let whole = names.iter().filter_map(|name| step_in(name, WHOLE));
    let mut found: Vec<(u64, PathBuf)> = whole.map(|step| (step, place(folder, step))).collect();
    for name in &names {
        // The process was killed between two renamings, and the checkpoint has the first name.
        let path = folder.join(name);
        if let Some(step) = step_in(name, OLD)
            && !place(folder, step).exists()
            && read(&path, step).is_ok()
        {
            found.push((step, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what is half-written or half-removed, and puts back what was to be replaced and was not.
pub(super) fn sweep(folder: &Path) -> Result<()> {
    for (step, path) in checkpoints(folder)? {
        let place = place(folder, step);
        if path != place {
            rename(&path, &place)?;
            sync_folder(folder)?;
        }
    }
    for name in names(folder)? {
        let steps = [OLD, GONE, PART].map(|prefix| step_in(&name, prefix));
        if steps.iter().any(Option::is_some) {
            remove_any(&folder.join(name))?;
        }
    }
    durable::sweep(folder).map_err(TrainError::io("clear", folder))
}

pub(super) fn write(folder: &Path, step: u64, snapshot: &Snapshot) -> Result<()> {
    fs::create_dir_all(folder).map_err(TrainError::io("make", folder))?;
    let part = folder.join(name_of(PART, step));
    remove_any(&part)?;
    fs::create_dir(&part).map_err(TrainError::io("make", &part))?;
    let written = write_files(&part, snapshot);
    if written.is_err() {
        // Half a checkpoint is of no use, and on a full disk the room is.
        fs::remove_dir_all(&part).ok();
        return written;
    }
    let whole = place(folder, step);
    let old = folder.join(name_of(OLD, step));
    let replaces = whole.exists();
    if replaces {
        // The same step of the same run, written when the run ended and again when it went on. One of the two exists at
        // any moment, under this name or under the one that `sweep` puts back.
        rename(&whole, &old)?;
    }
    rename(&part, &whole)?;
    sync_folder(folder)?;
    if replaces {
        fs::remove_dir_all(&old).map_err(TrainError::io("remove", &old))?;
    }
    Ok(())
}

fn write_files(part: &Path, snapshot: &Snapshot) -> Result<()> {
    let tensors = part.join(TENSORS);
    dml_core::checkpoint::save(&tensors, &snapshot.tensors)?;
    let bytes = fs::read(&tensors).map_err(TrainError::io("read", &tensors))?;
    let state = part.join(STATE);
    let json = serde_json::to_vec_pretty(&snapshot.state).map_err(TrainError::damaged(&state))?;
    durable::write(&state, &json).map_err(TrainError::io("write", &state))?;
    let path = part.join(MANIFEST);
    let manifest = Manifest::of([(STATE, json.as_slice()), (TENSORS, bytes.as_slice())]);
    let manifest = manifest.to_bytes(&path)?;
    durable::write(&path, &manifest).map_err(TrainError::io("write", &path))
}

/// Reads the checkpoint of `step` that is at `place`, and compares every file with its checksum.
pub(super) fn read(place: &Path, step: u64) -> Result<Snapshot> {
    let [state, tensors, manifest] = [STATE, TENSORS, MANIFEST].map(|name| place.join(name));
    let read = |path: &Path| fs::read(path).map_err(TrainError::io("read", path));
    let json = read(&state)?;
    let sums = match fs::read(&manifest) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            check_format(&json, None, &state)?;
            return Err(TrainError::io("read", &manifest)(error));
        }
        sums => sums.map_err(TrainError::io("read", &manifest))?,
    };
    let bytes = read(&tensors)?;
    let now = Manifest::of([(STATE, json.as_slice()), (TENSORS, bytes.as_slice())]);
    if let Err(fault) = now.check(&sums, &manifest) {
        check_format(&json, Some(&sums), &state)?;
        return Err(fault);
    }
    check_format(&json, Some(&sums), &state)?;
    let read: State = serde_json::from_slice(&json).map_err(TrainError::damaged(&state))?;
    let found = read.counters.step;
    if found != step {
        let problem = format!("expected the checkpoint of step {step}, found that of step {found}");
        return Err(TrainError::damaged(&state)(problem));
    }
    let loaded = candle_core::safetensors::load_buffer(&bytes, &Device::Cpu);
    let tensors = loaded.map_err(TrainError::damaged(&tensors))?;
    Ok(Snapshot {
        state: read,
        tensors,
    })
}

/// Refuses a checkpoint of another version of the format. A number in one file alone is not believed: it may be damage.
fn check_format(state: &[u8], manifest: Option<&[u8]>, path: &Path) -> Result<()> {
    /// The last version whose checkpoints had no manifest.
    const WITHOUT_MANIFEST: u32 = 1;
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let format = |json: &[u8]| serde_json::from_slice::<Format>(json).ok();
    let Some(Format { format: got }) = format(state) else {
        return Ok(());
    };
    let confirmed = match manifest {
        None => got == WITHOUT_MANIFEST,
        Some(manifest) => format(manifest).is_some_and(|own| own.format == got),
    };
    if got != FORMAT && confirmed {
        return Err(TrainError::Format {
            path: path.to_owned(),
            expected: FORMAT,
            got,
        });
    }
    Ok(())
}

/// Removes everything that was written here.
pub(super) fn remove_all(folder: &Path) -> Result<()> {
    for name in names(folder)? {
        if let Some(step) = step_in(&name, WHOLE) {
            remove(folder, step)?;
        } else if step_in(&name, DAMAGED).is_some() {
            remove_any(&folder.join(name))?;
        }
    }
    sweep(folder)
}

/// Takes the name away first: what is half removed must not look whole.
pub(super) fn remove(folder: &Path, step: u64) -> Result<()> {
    let whole = place(folder, step);
    let gone = folder.join(name_of(GONE, step));
    rename(&whole, &gone)?;
    remove_any(&gone)
}

/// Renames a damaged checkpoint, so that the run's next checkpoints have its place, and returns its new path.
pub(super) fn put_aside(folder: &Path, step: u64) -> Result<PathBuf> {
    let aside = folder.join(name_of(DAMAGED, step));
    remove_any(&aside)?;
    rename(&place(folder, step), &aside)?;
    Ok(aside)
}

/// Removes a file, a link or a folder with all that is in it, if there is one.
fn remove_any(path: &Path) -> Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => Err(error),
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    removed.map_err(TrainError::io("remove", path))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    fs::rename(from, to).map_err(TrainError::io("rename", from))
}

fn sync_folder(folder: &Path) -> Result<()> {
    durable::sync_folder(folder).map_err(TrainError::io("sync", folder))
}
