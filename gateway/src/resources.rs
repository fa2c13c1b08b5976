//! What this process takes of what the system lets it: descriptors and memory.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

/// What is taken, and how much may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// Open descriptors.
    pub descriptors: u64,
    /// How many there may be.
    pub descriptors_max: Option<u64>,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// How many there may be, where there is a bound.
    pub memory_bytes_max: Option<u64>,
}

/// Looks. What the system does not tell counts as nothing taken, and without a bound.
pub fn look() -> Used {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let (memory_bytes, memory_bytes_max) = match of_group() {
        Some((bytes, most)) => (bytes, Some(most)),
        None => match getrlimit(Resource::As).current {
            Some(most) => (of_status(&status, "VmSize:"), Some(most)),
            None => (of_status(&status, "VmRSS:"), None),
        },
    };
    Used {
        descriptors: descriptors(),
        descriptors_max: getrlimit(Resource::Nofile).current,
        memory_bytes,
        memory_bytes_max,
    }
}

/// How many descriptors are open. New kernels tell it as the folder's size; else they are counted.
fn descriptors() -> u64 {
    let folder = Path::new("/proc/self/fd");
    match fs::metadata(folder).map(|about| about.len()) {
        Ok(count @ 1..) => count,
        Ok(0) | Err(_) => fs::read_dir(folder).map_or(0, |entries| entries.count() as u64),
    }
}

/// What the control group takes, and its bound, where it has one.
fn of_group() -> Option<(u64, u64)> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let folder = Path::new("/sys/fs/cgroup").join(path);
    let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    // Without a bound it says `max`, which is no number.
    Some((number("memory.current")?, number("memory.max")?))
}

/// A line of the process's status, which is in kibibytes.
fn of_status(status: &str, name: &str) -> u64 {
    let kibibytes =
        status.lines().find_map(|line| line.strip_prefix(name)?.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0).saturating_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_sees_what_it_takes() {
        let used = look();
        assert!(used.descriptors >= 3 && used.memory_bytes > 1 << 20, "{used:?}");
        assert!(used.descriptors_max.is_none_or(|most| most >= used.descriptors), "{used:?}");
    }

    #[test]
    fn a_line_of_the_status_is_read_in_bytes() {
        assert_eq!(of_status("Name:\tx\nVmRSS:\t  2048 kB\n", "VmRSS:"), 2 << 20);
        assert_eq!(of_status("Name:\tx\n", "VmRSS:"), 0);
    }
}
