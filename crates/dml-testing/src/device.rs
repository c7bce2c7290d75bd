//! Which device is tested.

use dml::candle_core::Device;
use dml_program::open_device;

/// The device of the environment variable `DML_TEST_DEVICE`, else the CPU.
///
/// # Panics
/// If there is no such device: a test that runs somewhere else than asked would say nothing.
#[must_use]
pub fn test_device() -> Device {
    let name = std::env::var("DML_TEST_DEVICE").unwrap_or_else(|_| "cpu".to_owned());
    open_device(&name).unwrap_or_else(|error| panic!("DML_TEST_DEVICE: {error:#}"))
}
