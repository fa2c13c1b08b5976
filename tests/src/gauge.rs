//! What a process uses, from `/proc`.

use std::fs;

/// Resident memory of a process.
#[must_use]
pub fn resident_bytes(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says VmRSS");
    let kibibytes: u64 = line.trim().trim_end_matches(" kB").trim().parse().expect("VmRSS is a number");
    kibibytes * 1024
}
