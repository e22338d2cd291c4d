//! What the datanode counts. One struct, passed by handle; no global state.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Ordering::Relaxed);
    }

    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Counters of a datanode since it started.
#[derive(Debug, Default)]
pub struct DatanodeMetrics {
    /// Reads opened, and bytes handed out.
    pub reads: Counter,
    pub read_bytes: Counter,
    /// Reads answered from the page cache without leaving the runtime thread.
    pub reads_cached: Counter,
    /// Pipelines opened, packets and bytes written.
    pub pipelines_opened: Counter,
    pub packets: Counter,
    pub written_bytes: Counter,
    /// Times data was synced, packets that a sync covered, and time it took.
    pub syncs: Counter,
    pub packets_synced: Counter,
    pub sync_microseconds: Counter,
    /// Replicas finalized, removed and copied elsewhere.
    pub replicas_finalized: Counter,
    pub replicas_removed: Counter,
    pub replicas_copied: Counter,
    /// Members of coded groups made from others, and bytes read for it.
    pub members_coded: Counter,
    pub coding_read_bytes: Counter,
    /// Replicas taken out of service because their bytes were wrong or unreadable.
    pub replicas_corrupt: Counter,
    /// Replicas and bytes that the scrubber has read, and rounds it has finished.
    pub scrubbed_replicas: Counter,
    pub scrubbed_bytes: Counter,
    pub scrub_rounds: Counter,
    /// Errors the disks answered, and writes refused because a volume was full.
    pub io_errors: Counter,
    pub disk_full: Counter,
    /// Tokens refused.
    pub tokens_refused: Counter,
}

/// What is true now, measured when it is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct DatanodeGauges {
    /// Replicas on all volumes in service, and their bytes.
    pub replicas: u64,
    pub replica_bytes: u64,
    /// Volumes configured, and those out of service.
    pub volumes: u64,
    pub volumes_failed: u64,
    /// Pipelines open.
    pub pipelines: u64,
}

impl DatanodeMetrics {
    /// The counters and `gauges` in Prometheus' text format.
    pub fn render(&self, gauges: DatanodeGauges) -> String {
        let counters = [
            ("reads_total", "Reads opened.", &self.reads),
            ("read_bytes_total", "Bytes handed to readers.", &self.read_bytes),
            ("reads_cached_total", "Reads answered from the page cache at once.", &self.reads_cached),
            ("pipelines_opened_total", "Write pipelines opened.", &self.pipelines_opened),
            ("packets_total", "Packets written.", &self.packets),
            ("written_bytes_total", "Bytes written to replicas.", &self.written_bytes),
            ("syncs_total", "Syncs of replica data.", &self.syncs),
            ("packets_synced_total", "Packets that asked for a sync.", &self.packets_synced),
            ("sync_microseconds_total", "Time spent in syncs of replica data.", &self.sync_microseconds),
            ("replicas_finalized_total", "Replicas finalized.", &self.replicas_finalized),
            ("replicas_removed_total", "Replicas removed.", &self.replicas_removed),
            ("replicas_copied_total", "Replicas copied to other volumes.", &self.replicas_copied),
            ("members_coded_total", "Members of coded groups made from others.", &self.members_coded),
            ("coding_read_bytes_total", "Bytes read to make them.", &self.coding_read_bytes),
            ("replicas_corrupt_total", "Replicas found corrupt or unreadable.", &self.replicas_corrupt),
            ("scrubbed_replicas_total", "Replicas read again by the scrubber.", &self.scrubbed_replicas),
            ("scrubbed_bytes_total", "Bytes read again by the scrubber.", &self.scrubbed_bytes),
            ("scrub_rounds_total", "Rounds of the scrubber over a whole volume.", &self.scrub_rounds),
            ("io_errors_total", "I/O errors of volumes.", &self.io_errors),
            ("disk_full_total", "Writes refused for lack of space.", &self.disk_full),
            ("tokens_refused_total", "Block tokens refused.", &self.tokens_refused),
        ];
        let gauges = [
            ("replicas", "Replicas in service.", gauges.replicas),
            ("replica_bytes", "Bytes of the replicas in service.", gauges.replica_bytes),
            ("volumes", "Volumes configured.", gauges.volumes),
            ("volumes_failed", "Volumes out of service.", gauges.volumes_failed),
            ("pipelines", "Write pipelines open.", gauges.pipelines),
        ];
        let counters = counters.iter().map(|(name, help, counter)| (*name, *help, "counter", counter.get()));
        let gauges = gauges.iter().map(|(name, help, value)| (*name, *help, "gauge", *value));
        let mut text = String::new();
        for (name, help, kind, value) in counters.chain(gauges) {
            let name = format!("granary_datanode_{name}");
            writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}")
                .expect("writing to a string cannot fail");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_a_line_for_every_number() {
        let metrics = DatanodeMetrics::default();
        metrics.reads.add(3);
        let text = metrics.render(DatanodeGauges { volumes: 2, ..DatanodeGauges::default() });
        assert!(text.contains("\ngranary_datanode_reads_total 3\n"));
        assert!(text.contains("\ngranary_datanode_volumes 2\n"));
        assert!(text.lines().all(|line| line.starts_with('#') || line.split(' ').count() == 2));
    }
}
