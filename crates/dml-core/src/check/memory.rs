//! Whether an array fits into the memory that is available, asked before it is allocated: an allocation that fails ends
//! the whole process, and one that succeeds on paper only ends it when it is written.

use std::hint::black_box;

/// Below this size nothing is asked.
const SMALL: usize = 64 << 20;

/// Whether `bytes` can be allocated and written.
///
/// # Errors
/// The bytes that are available.
pub(super) fn room_for(bytes: usize) -> Result<(), usize> {
    if bytes < SMALL {
        return Ok(());
    }
    let available = available().unwrap_or(usize::MAX);
    if bytes > available {
        return Err(available);
    }
    // A limit of the process's address space is only known to the allocator. Nothing is written here.
    let mut probe: Vec<u8> = Vec::new();
    let granted = probe.try_reserve_exact(bytes).is_ok();
    black_box(&probe);
    if granted { Ok(()) } else { Err(bytes - 1) }
}

/// The bytes that the machine, and the control group of the process, have left; `None` where the system doesn't say.
fn available() -> Option<usize> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok();
    let machine = machine.as_deref().and_then(machine_has);
    let number = |file: &str| -> Option<usize> {
        let text = std::fs::read_to_string(format!("/sys/fs/cgroup/{file}")).ok()?;
        text.trim().parse().ok()
    };
    // `memory.max` holds the word `max` where there is no limit.
    let group = number("memory.max")
        .zip(number("memory.current"))
        .map(|(most, used)| most.saturating_sub(used));
    machine.into_iter().chain(group).min()
}

/// The line `MemAvailable` of `/proc/meminfo`, in bytes.
fn machine_has(meminfo: &str) -> Option<usize> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"))?;
    let kib: usize = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_says_what_it_has() {
        let meminfo = "MemTotal:       24576 kB\nMemAvailable:    2048 kB\n";
        assert_eq!(machine_has(meminfo), Some(2048 << 10));
        assert_eq!(machine_has("MemTotal: 1 kB\n"), None);
        assert_eq!(machine_has("MemAvailable: many\n"), None);
    }

    #[test]
    fn more_than_any_machine_has_is_refused_and_little_is_not() {
        assert_eq!(room_for(0), Ok(()));
        assert_eq!(room_for(SMALL - 1), Ok(()));
        assert!(room_for(1 << 50).is_err());
    }
}
