//! Device and threads of the arithmetic.

use anyhow::{Context, bail};
use candle_core::Device;

/// The device called `cpu`, `cuda`, `cuda:N` or `metal`.
///
/// ```
/// assert!(dml_program::open_device("cpu").is_ok());
/// assert!(dml_program::open_device("abacus").is_err());
/// ```
///
/// # Errors
/// If there is no such device, or no support for it in this build.
pub fn open_device(name: &str) -> anyhow::Result<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (
            kind,
            number
                .parse()
                .with_context(|| format!("expected a number after the colon, got {name:?}"))?,
        ),
        None => (name, 0),
    };
    let missing = || format!("{name}: no such device; was this built with `--features {kind}`?");
    Ok(match kind {
        "cpu" => Device::Cpu,
        "cuda" => Device::new_cuda(number).with_context(missing)?,
        "metal" => Device::new_metal(number).with_context(missing)?,
        _ => bail!("expected cpu, cuda, cuda:N or metal, got {name:?}"),
    })
}

/// Limits the threads of all kernels.
///
/// # Errors
/// If `threads` is 0, or the threads run already.
pub fn limit_threads(threads: usize) -> anyhow::Result<()> {
    if threads == 0 {
        bail!("--threads: expected at least 1, got 0");
    }
    Ok(rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_is_named_or_refused() {
        assert!(open_device("cpu").is_ok());
        for (name, expected) in [("cuda:x", "after the colon"), ("abacus", "got \"abacus\"")] {
            let error = format!("{:#}", open_device(name).unwrap_err());
            assert!(error.contains(expected), "{error}");
        }
    }
}
