//! Where the arithmetic is done.

use anyhow::{Context, bail};
use dml::candle_core::Device;

/// `cpu`, `cuda`, `cuda:N` or `metal`.
pub(crate) fn open(name: &str) -> anyhow::Result<Device> {
    let (kind, number) = match name.split_once(':') {
        Some((kind, number)) => (
            kind,
            number.parse().with_context(|| {
                format!("--device: expected a number after the colon, got {name:?}")
            })?,
        ),
        None => (name, 0),
    };
    let missing =
        || format!("--device {name}: no such device; was xtask built with `--features {kind}`?");
    Ok(match kind {
        "cpu" => Device::Cpu,
        "cuda" => Device::new_cuda(number).with_context(missing)?,
        "metal" => Device::new_metal(number).with_context(missing)?,
        _ => bail!("--device: expected cpu, cuda, cuda:N or metal, got {name:?}"),
    })
}

/// Limits the threads of all kernels.
pub(crate) fn limit_threads(threads: usize) -> anyhow::Result<()> {
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
        assert!(open("cpu").is_ok());
        assert!(open("cuda:x").unwrap_err().to_string().contains("--device"));
        assert!(open("abacus").unwrap_err().to_string().contains("abacus"));
    }
}
