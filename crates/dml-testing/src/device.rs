//! Which device is tested.

use anyhow::{Context, bail};
use dml::candle_core::Device;

/// A device by its name: `cpu`, `cuda`, `cuda:N` or `metal`.
///
/// ```
/// assert!(dml_testing::open_device("cpu").is_ok());
/// assert!(dml_testing::open_device("abacus").is_err());
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

/// The device of the environment variable `DML_TEST_DEVICE`, else the CPU.
///
/// # Panics
/// If there is no such device: a test that runs somewhere else than asked would say nothing.
#[must_use]
pub fn test_device() -> Device {
    let name = std::env::var("DML_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    open_device(&name).unwrap_or_else(|error| panic!("DML_TEST_DEVICE: {error:#}"))
}
