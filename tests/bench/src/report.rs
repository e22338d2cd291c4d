//! Figures of finished phases, as a table for people and as JSON for programs.
//!
//! MB are 10^6 bytes. Costs per operation are the process's user and system time divided by the operations answered
//! correctly.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::drive::Measured;

/// One run against one server.
#[derive(Serialize)]
pub struct Report {
    pub label: String,
    pub endpoint: String,
    pub mode: &'static str,
    pub threads: usize,
    pub phases: Vec<Figures>,
}

/// One phase. Zero where nothing was measured (no `--pid`, no object bytes).
#[derive(Serialize)]
pub struct Figures {
    pub name: &'static str,
    pub connections: usize,
    pub operations: u64,
    pub elapsed_s: f64,
    pub ops_per_s: f64,
    pub mb_per_s: f64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub server_cpu_us_per_op: f64,
    /// Peak since the server started, not of this phase alone.
    pub server_peak_rss_mb: f64,
    pub client_cpu_us_per_op: f64,
    /// Responses whose body was compared or counted.
    pub inspected: u64,
    pub errors: u64,
    pub first_error: Option<String>,
}

impl Figures {
    pub fn new(name: &'static str, connections: usize, measured: Measured) -> Self {
        let elapsed_s = measured.elapsed.as_secs_f64().max(1e-9);
        let per_op = |us: u64| us as f64 / measured.operations.max(1) as f64;
        Self {
            name,
            connections,
            operations: measured.operations,
            elapsed_s,
            ops_per_s: measured.operations as f64 / elapsed_s,
            mb_per_s: measured.object_bytes as f64 / 1e6 / elapsed_s,
            p50_ms: measured.percentile_ms(50.0),
            p99_ms: measured.percentile_ms(99.0),
            server_cpu_us_per_op: per_op(measured.server_cpu_us),
            server_peak_rss_mb: measured.server_peak_rss_kib as f64 * 1024.0 / 1e6,
            client_cpu_us_per_op: per_op(measured.client_cpu_us),
            inspected: measured.inspected,
            errors: measured.errors,
            first_error: measured.first_error,
        }
    }

    /// The line under [`HEADER`].
    pub fn row(&self) -> String {
        format!(
            "{:<22} {:>9} {:>10} {:>8} {:>9.3} {:>9.3} {:>9.1} {:>9.1} {:>8.0} {:>6}",
            format!("{} ({})", self.name, self.connections),
            self.operations,
            format!("{:.*}", if self.ops_per_s < 100.0 { 1 } else { 0 }, self.ops_per_s),
            if self.mb_per_s > 0.0 { format!("{:.1}", self.mb_per_s) } else { "-".to_owned() },
            self.p50_ms,
            self.p99_ms,
            self.server_cpu_us_per_op,
            self.client_cpu_us_per_op,
            self.server_peak_rss_mb,
            self.errors,
        )
    }
}

/// Column titles of [`Figures::row`].
pub const HEADER: &str = "workload (connections)       ops      ops/s     MB/s    p50 ms    p99 ms  srv us/op \
                          cli us/op  peak MB errors";

impl Report {
    pub fn errors(&self) -> u64 {
        self.phases.iter().map(|phase| phase.errors).sum()
    }

    pub fn write_json(&self, path: &Path) -> Result<()> {
        let text = serde_json::to_string_pretty(self)?;
        fs::write(path, text + "\n").with_context(|| format!("writing {}", path.display()))
    }
}
