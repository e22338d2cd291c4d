//! What a process and its descendants have cost, from `/proc` (Linux only).
//!
//! Source: proc(5), `stat` fields `utime` to `cstime` and `status` field `VmHWM`.

use std::collections::HashMap;
use std::fs;

/// `USER_HZ`, which the kernel fixes at 100 for user space on every architecture in use.
const TICK_US: u64 = 10_000;

/// Totals of a process tree since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu_us: u64,
    /// Sum of the peaks of each process; they may have been reached at different times.
    pub peak_rss_kib: u64,
}

/// Usage of `root` and everything descended from it; zero if it is gone.
pub fn of_tree(root: u32) -> Usage {
    let processes: HashMap<u32, Process> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| Some((pid, Process::read(pid)?)))
        .collect();
    let mut total = Usage::default();
    let mut pending = vec![root];
    while let Some(pid) = pending.pop() {
        let Some(process) = processes.get(&pid) else { continue };
        total.cpu_us += process.cpu_us;
        total.peak_rss_kib += peak_rss_kib(pid);
        pending.extend(processes.iter().filter(|(_, child)| child.parent == pid).map(|(pid, _)| *pid));
    }
    total
}

struct Process {
    parent: u32,
    cpu_us: u64,
}

impl Process {
    fn read(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command name is in parentheses and may hold anything, so fields are counted from the last one.
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
        let ticks: u64 = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        Some(Self { parent: fields.get(1)?.parse().ok()?, cpu_us: ticks * TICK_US })
    }
}

fn peak_rss_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_counts_its_children() {
        let mut child = std::process::Command::new("sleep").arg("30").spawn().unwrap();
        let whole = of_tree(std::process::id());
        let part = of_tree(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(part.peak_rss_kib > 0);
        assert!(whole.peak_rss_kib > part.peak_rss_kib);
    }

    #[test]
    fn a_process_that_is_gone_costs_nothing() {
        assert_eq!(of_tree(u32::MAX).cpu_us, 0);
    }
}
