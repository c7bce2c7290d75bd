//! Where the arithmetic is done.

use anyhow::{Context, bail};
use dml::candle_core::Device;

/// `cpu`, `cuda`, `cuda:N` or `metal`.
pub(crate) fn open(name: &str) -> anyhow::Result<Device> {
    dml_testing::open_device(name).context("--device")
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
        let error = format!("{:#}", open("abacus").unwrap_err());
        assert!(error.contains("abacus"), "{error}");
    }
}
