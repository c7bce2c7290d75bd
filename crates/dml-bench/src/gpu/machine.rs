//! What machine the figures are from.

use std::process::Command;

use serde::Serialize;

/// The parts of a machine that speed depends on, as far as it tells.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    pub(super) device: String,
    pub(super) gpu: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) threads: usize,
}

pub(super) fn describe(device: &str) -> Machine {
    let gpu = device.starts_with("cuda").then(|| {
        let number = device.split_once(':').map_or("0", |(_, number)| number);
        let asked = Command::new("nvidia-smi")
            .args([
                "--query-gpu=name,driver_version",
                "--format=csv,noheader",
                "-i",
                number,
            ])
            .output()
            .ok()?;
        let told = String::from_utf8(asked.stdout).ok()?;
        (asked.status.success() && !told.trim().is_empty()).then(|| told.trim().to_owned())
    });
    let cpu = std::fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        });
    Machine {
        device: device.to_owned(),
        gpu: gpu.flatten(),
        cpu,
        threads: std::thread::available_parallelism().map_or(1, usize::from),
    }
}
