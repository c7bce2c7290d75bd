//! How much memory this process has needed.

/// The largest resident memory of this process so far, in MB; `None` where the system does not tell.
#[must_use]
pub fn peak_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kilobytes: f64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes / 1024.0)
}

#[cfg(test)]
mod tests {
    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_needs_some_memory() {
        assert!(super::peak_mb().is_some_and(|mb| mb > 1.0));
    }
}
