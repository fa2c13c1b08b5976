//! What this process takes of what the system lets it: descriptors and memory.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

/// What is taken, and how much may be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Used {
    /// Open descriptors.
    pub descriptors: u64,
    /// How many there may be.
    pub descriptors_max: Option<u64>,
    /// Bytes of memory; of a group's, those that the kernel cannot take back when others need them.
    pub memory_bytes: u64,
    /// How many there may be, where there is a bound.
    pub memory_bytes_max: Option<u64>,
}

/// Looks. What the system does not tell counts as nothing taken, and without a bound.
pub fn look() -> Used {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let own_group = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let (memory_bytes, memory_bytes_max) = match of_groups(Path::new("/sys/fs/cgroup"), &own_group) {
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

/// What the control group takes, and its bound: its own or that of a group around it, whichever is nearest to being
/// reached. Nothing where no group has one.
fn of_groups(root: &Path, own_group: &str) -> Option<(u64, u64)> {
    let path = own_group.lines().find_map(|line| line.strip_prefix("0::/"))?;
    let around = Path::new(path).ancestors().map(|group| root.join(group));
    around.filter_map(of_group).min_by_key(|(taken, most)| most.saturating_sub(*taken))
}

/// What one group takes, and its bound, where it has one.
fn of_group(folder: PathBuf) -> Option<(u64, u64)> {
    let number = |file: &str| fs::read_to_string(folder.join(file)).ok()?.trim().parse::<u64>().ok();
    // Without a bound it says `max`, which is no number.
    let most = number("memory.max")?;
    let details = fs::read_to_string(folder.join("memory.stat")).unwrap_or_default();
    // A log that is written and read fills the cache of files up to any bound; the kernel gives it back when needed.
    let given_back = ["inactive_file ", "active_file ", "slab_reclaimable "].map(|name| of_details(&details, name));
    let given_back = given_back.into_iter().fold(0, u64::saturating_add);
    Some((number("memory.current")?.saturating_sub(given_back), most))
}

/// A line of a group's `memory.stat`, in bytes.
fn of_details(details: &str, name: &str) -> u64 {
    details.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok()).unwrap_or(0)
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
    fn a_full_cache_of_files_is_not_memory_that_is_short_and_the_nearest_bound_counts() {
        let root = std::env::temp_dir().join(format!("sekimori-groups-{}", std::process::id()));
        let group = |path: &str, current: &str, most: &str, details: &str| {
            let folder = root.join(path);
            fs::create_dir_all(&folder).unwrap();
            for (file, text) in [("memory.current", current), ("memory.max", most), ("memory.stat", details)] {
                fs::write(folder.join(file), format!("{text}\n")).unwrap();
            }
        };
        let own = "0::/system.slice/sekimori.service\n";
        assert_eq!(of_groups(&root, own), None, "no group tells anything");
        let cached = "anon 300\nfile 690\ninactive_anon 7\ninactive_file 400\nactive_file 250\nslab_reclaimable 40";
        group("system.slice/sekimori.service", "1000", "1000", cached);
        group("system.slice", "5000", "max", "anon 4000");
        assert_eq!(of_groups(&root, own), Some((310, 1000)), "what the kernel gives back is not taken");
        group("system.slice", "5000", "4500", "anon 4400\ninactive_file 600");
        assert_eq!(of_groups(&root, own), Some((4400, 4500)), "the group around it is fuller");
        group("system.slice/sekimori.service", "990", "1000", "anon 990");
        assert_eq!(of_groups(&root, own), Some((990, 1000)), "now its own is");
        assert_eq!(of_groups(&root, "1:cpu:/x\n"), None, "the groups of old kernels are not read");
        fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn a_line_of_the_status_is_read_in_bytes() {
        assert_eq!(of_status("Name:\tx\nVmRSS:\t  2048 kB\n", "VmRSS:"), 2 << 20);
        assert_eq!(of_status("Name:\tx\n", "VmRSS:"), 0);
    }
}
