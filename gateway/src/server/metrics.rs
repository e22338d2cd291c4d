//! What the gateway counts, and its Prometheus text.

use super::operation::Operation;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// Upper bounds of the latency buckets, in microseconds; one more holds the rest.
const BUCKETS_US: [u64; 13] =
    [250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000, 30_000_000];
/// Status classes: 2xx, 3xx, 4xx, 5xx.
const CLASSES: [&str; 4] = ["2xx", "3xx", "4xx", "5xx"];
/// What a request counts as when it reached no operation.
const OTHER: usize = Operation::ALL.len();

/// Counters of one gateway.
#[derive(Default)]
pub(crate) struct Metrics {
    series: Vec<Series>,
    in_flight: AtomicI64,
    connections: AtomicI64,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    connections_refused: AtomicU64,
}

#[derive(Default)]
struct Series {
    by_class: [AtomicU64; CLASSES.len()],
    latency: [AtomicU64; BUCKETS_US.len() + 1],
    latency_sum_us: AtomicU64,
}

impl Metrics {
    pub fn new() -> Self {
        Self { series: (0..=OTHER).map(|_| Series::default()).collect(), ..Self::default() }
    }

    /// Counts a request that was answered.
    pub fn answered(&self, operation: Option<Operation>, status: u16, took: Duration) {
        let series = &self.series[operation.map_or(OTHER, |operation| operation as usize)];
        let class = usize::from(status / 100).clamp(2, 5) - 2;
        series.by_class[class].fetch_add(1, Ordering::Relaxed);
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|bound| took_us <= *bound).unwrap_or(BUCKETS_US.len());
        series.latency[bucket].fetch_add(1, Ordering::Relaxed);
        series.latency_sum_us.fetch_add(took_us, Ordering::Relaxed);
    }

    pub fn received(&self, bytes: usize) {
        self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn sent(&self, bytes: usize) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub fn connection_refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a request as in flight until the guard is dropped.
    pub fn request_begins(self: &Arc<Self>) -> Gauged {
        Gauged::new(self, |metrics| &metrics.in_flight)
    }

    /// Counts a connection as open until the guard is dropped.
    pub fn connection_opens(self: &Arc<Self>) -> Gauged {
        Gauged::new(self, |metrics| &metrics.connections)
    }

    /// The Prometheus text format, version 0.0.4.
    pub fn render(&self) -> String {
        let mut text = String::with_capacity(16 << 10);
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let names = Operation::ALL.iter().map(|operation| operation.name()).chain(["Other"]);
        let series: Vec<(&str, &Series)> = names.zip(&self.series).collect();
        text.push_str(
            "# HELP granary_gateway_requests_total Requests answered.\n# TYPE granary_gateway_requests_total counter\n",
        );
        for (name, series) in &series {
            for (class, counter) in CLASSES.iter().zip(&series.by_class).filter(|(_, counter)| load(counter) > 0) {
                let count = load(counter);
                let _infallible =
                    writeln!(text, "granary_gateway_requests_total{{operation=\"{name}\",status=\"{class}\"}} {count}");
            }
        }
        text.push_str("# HELP granary_gateway_request_seconds Time from a request's head to its response's.\n# TYPE granary_gateway_request_seconds histogram\n");
        for (name, series) in &series {
            push_histogram(&mut text, name, series);
        }
        for (name, kind, help, value) in [
            ("received_bytes_total", "counter", "Body bytes received.", load(&self.bytes_in)),
            ("sent_bytes_total", "counter", "Body bytes sent.", load(&self.bytes_out)),
            ("refused_connections_total", "counter", "Connections that failed.", load(&self.connections_refused)),
            ("requests_in_flight", "gauge", "Requests being answered.", gauge(&self.in_flight)),
            ("connections", "gauge", "Connections open.", gauge(&self.connections)),
        ] {
            let _infallible = writeln!(
                text,
                "# HELP granary_gateway_{name} {help}\n# TYPE granary_gateway_{name} {kind}\ngranary_gateway_{name} {value}"
            );
        }
        text
    }
}

fn gauge(value: &AtomicI64) -> u64 {
    u64::try_from(value.load(Ordering::Relaxed)).unwrap_or_default()
}

fn push_histogram(text: &mut String, operation: &str, series: &Series) {
    let counts: Vec<u64> = series.latency.iter().map(|counter| counter.load(Ordering::Relaxed)).collect();
    let total: u64 = counts.iter().sum();
    if total == 0 {
        return;
    }
    const NAME: &str = "granary_gateway_request_seconds";
    let mut so_far = 0;
    for (bound_us, count) in BUCKETS_US.iter().zip(&counts) {
        so_far += count;
        let bound_s = *bound_us as f64 / 1e6;
        let _infallible = writeln!(text, "{NAME}_bucket{{operation=\"{operation}\",le=\"{bound_s}\"}} {so_far}");
    }
    let sum_s = series.latency_sum_us.load(Ordering::Relaxed) as f64 / 1e6;
    let _infallible = writeln!(
        text,
        "{NAME}_bucket{{operation=\"{operation}\",le=\"+Inf\"}} {total}\n{NAME}_sum{{operation=\"{operation}\"}} {sum_s}\n\
         {NAME}_count{{operation=\"{operation}\"}} {total}"
    );
}

/// Something that exists now.
pub(crate) struct Gauged {
    metrics: Arc<Metrics>,
    which: fn(&Metrics) -> &AtomicI64,
}

impl Gauged {
    fn new(metrics: &Arc<Metrics>, which: fn(&Metrics) -> &AtomicI64) -> Self {
        which(metrics).fetch_add(1, Ordering::Relaxed);
        Self { metrics: metrics.clone(), which }
    }
}

impl Drop for Gauged {
    fn drop(&mut self) {
        (self.which)(&self.metrics).fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn renders_what_was_counted() {
        let metrics = Arc::new(Metrics::new());
        metrics.answered(Some(Operation::GetObject), 206, Duration::from_micros(700));
        metrics.answered(None, 403, Duration::from_secs(60));
        let _open = metrics.connection_opens();
        drop(metrics.request_begins());
        let text = metrics.render();
        for line in [
            "granary_gateway_requests_total{operation=\"GetObject\",status=\"2xx\"} 1",
            "granary_gateway_requests_total{operation=\"Other\",status=\"4xx\"} 1",
            "granary_gateway_request_seconds_bucket{operation=\"GetObject\",le=\"0.0005\"} 0",
            "granary_gateway_request_seconds_bucket{operation=\"GetObject\",le=\"0.001\"} 1",
            "granary_gateway_request_seconds_bucket{operation=\"Other\",le=\"30\"} 0",
            "granary_gateway_request_seconds_bucket{operation=\"Other\",le=\"+Inf\"} 1",
            "granary_gateway_connections 1",
            "granary_gateway_requests_in_flight 0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line}\n{text}");
        }
    }
}
