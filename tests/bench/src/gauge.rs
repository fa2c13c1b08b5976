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

/// Lets this process run, and what it starts, on both processors.
pub fn spread() {
    let mut set = CpuSet::new();
    [PROXY_CPU, LOAD_CPU].into_iter().for_each(|cpu| set.set(cpu));
    sched_setaffinity(None, &set).expect("the processors exist");
}

/// The machine's load over one, five and fifteen minutes.
pub fn load_average() -> String {
    fs::read_to_string("/proc/loadavg").unwrap_or_default().split(' ').take(3).collect::<Vec<_>>().join(" ")
}

/// What the machine says its processors are, one by one.
pub fn processors() -> Vec<String> {
    let told = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models = told.lines().filter_map(|line| line.strip_prefix("model name")?.split_once(':'));
    models.map(|(_, model)| model.trim().to_owned()).collect()
}

/// Memory of a process that is its own: without the pages of its program that it happens to have touched.
pub fn own_memory(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let kibibytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse::<u64>().ok()).unwrap_or(0)
    };
    (kibibytes("RssAnon:") + kibibytes("RssShmem:")) * 1024
}

/// CPU time of a process and its children, by the kernel's count for the whole process: threads that ended are in it.
/// Told in hundredths of a second.
pub fn cpu_time(pid: u32) -> Duration {
    children(pid).into_iter().map(cpu_time).sum::<Duration>() + own_time(pid)
}

fn own_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The second word is the program's name in brackets, and may hold spaces; utime and stime are the 14th and 15th.
    let words = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: u64 = words.skip(11).take(2).filter_map(|word| word.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// CPU time of the thread that keeps the gateway's search index: a follower of the log that no request waits for.
pub fn index_time(pid: u32) -> Duration {
    threads(pid, |name| name.trim_end() == "log-index")
}

/// CPU time of all threads that follow the gateway's log, of which some may go on after the last answer: the index's, and the
/// one that seals.
pub fn followers_time(pid: u32) -> Duration {
    threads(pid, |name| ["log-index", "audit-sealer"].contains(&name.trim_end()))
}

/// CPU time of a process's living threads with such names.
fn threads(pid: u32, is_wanted: impl Fn(&str) -> bool) -> Duration {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).map(|tasks| tasks.flatten().collect()).unwrap_or_default();
    let of = |task: &fs::DirEntry, file: &str| fs::read_to_string(task.path().join(file)).unwrap_or_default();
    let wanted = |task: &&fs::DirEntry| is_wanted(&of(task, "comm"));
    let tasks: Vec<fs::DirEntry> = tasks;
    Duration::from_nanos(tasks.iter().filter(wanted).map(|task| nanos(&of(task, "schedstat"))).sum())
}

fn nanos(schedstat: &str) -> u64 {
    schedstat.split(' ').next().and_then(|first| first.parse().ok()).unwrap_or(0)
}

/// The processes that a process started.
pub fn children(pid: u32) -> Vec<u32> {
    let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    listed.split_whitespace().filter_map(|child| child.parse().ok()).collect()
}
