//! The device that a command computes on.

use dml::candle_core::Device;
use dml_program::open_device;

use crate::exit::Misuse;

/// `--device`.
#[derive(Clone, Debug, clap::Args)]
pub struct DeviceArgs {
    /// cpu, cuda, cuda:N or metal.
    #[arg(long, value_name = "NAME", default_value = "cpu")]
    pub device: String,
}

impl DeviceArgs {
    /// Opens the device.
    ///
    /// # Errors
    /// [`Misuse`] for a name that is no device's, or a device that this machine or build lacks.
    pub fn open(&self) -> anyhow::Result<Device> {
        open_device(&self.device).map_err(|error| Misuse::error(format!("--device: {error}")))
    }
}
