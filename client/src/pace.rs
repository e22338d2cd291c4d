//! What background work takes of the machine: bytes in hand, and bytes a second.

use crate::shared::Shared;
use std::time::Duration;
use tokio::time::Instant;

/// Bytes in hand: a batch is full when it has as many, give or take one item.
pub(crate) const BATCH_BYTES: u64 = 32 << 20;

/// Divides work so that each batch has a bounded number of bytes.
pub(crate) fn batches<T>(items: Vec<T>, bytes_of: impl Fn(&T) -> u64) -> Vec<Vec<T>> {
    let (mut batches, mut bytes) = (vec![Vec::new()], 0);
    for item in items {
        if bytes >= BATCH_BYTES {
            batches.push(Vec::new());
            bytes = 0;
        }
        bytes += bytes_of(&item);
        batches.last_mut().expect("there is always one").push(item);
    }
    batches
}

impl Shared {
    /// Returns when `bytes` since `started` are no more than the rate allows.
    pub(crate) async fn keep_to_rate(&self, bytes: u64, started: Instant) {
        let rate = self.config.compaction_bytes_per_second as f64;
        tokio::time::sleep_until(started + Duration::from_secs_f64(bytes as f64 / rate)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_a_bounded_number_of_bytes() {
        let mib = 1 << 20;
        let sizes = |items: Vec<u64>| -> Vec<usize> { batches(items, |bytes| *bytes).iter().map(Vec::len).collect() };
        assert_eq!(sizes(vec![8 * mib; 10]), [4, 4, 2]);
        assert_eq!(sizes(vec![100 * mib, 1, 1]), [1, 2]);
        assert_eq!(sizes(vec![1; 3]), [3]);
    }
}
