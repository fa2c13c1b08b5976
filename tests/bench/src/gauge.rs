//! Processors, load and the CPU time of a process tree, from `/proc`.

use std::fs;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_setaffinity};

/// Where the proxy under test runs.
pub const PROXY_CPU: usize = 0;
/// Where load and upstream run.
pub const LOAD_CPU: usize = 1;

/// Pins this process to one processor.
pub fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).expect("the processor exists");
}

/// The machine's load over one, five and fifteen minutes.
pub fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// CPU time of a process and its children, all threads, by the scheduler's own count.
pub fn cpu_time(pid: u32) -> Duration {
    let own: u64 = fs::read_dir(format!("/proc/{pid}/task"))
        .map(|tasks| {
            tasks
                .flatten()
                .filter_map(|task| fs::read_to_string(task.path().join("schedstat")).ok())
                .map(|text| nanos(&text))
                .sum()
        })
        .unwrap_or(0);
    children(pid).into_iter().map(cpu_time).sum::<Duration>() + Duration::from_nanos(own)
}

fn nanos(schedstat: &str) -> u64 {
    schedstat.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
