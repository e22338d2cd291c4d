//! The task runners: what they offer, and the orders that wait for them.

use crate::placement::NodeId;
use granary_protocol::jobs::{RunnerOrder, RunnerPoll};
use granary_protocol::{DatanodeId, NodeName};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// After so long without a word a runner is lost, with what ran there.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Orders of one answer at most, and about how many bytes they may take.
const ORDERS_MAX: usize = 256;
const ORDERS_BYTES_MAX: usize = 6 << 20;

pub(super) struct Runner {
    pub node: NodeId,
    pub datanode: DatanodeId,
    pub session: u64,
    pub slots: u32,
    pub shuffle: String,
    pub heard: Instant,
    orders: VecDeque<(u64, RunnerOrder)>,
    next_order: u64,
    /// Told when there is an order.
    pub changed: Arc<Notify>,
}

impl Runner {
    pub fn new(node: NodeId, poll: &RunnerPoll, next_order: u64) -> Runner {
        Runner {
            node,
            datanode: poll.datanode,
            session: poll.session,
            slots: poll.slots,
            shuffle: poll.shuffle.clone(),
            heard: Instant::now(),
            orders: VecDeque::new(),
            next_order,
            changed: Arc::default(),
        }
    }

    pub fn order(&mut self, order: RunnerOrder) {
        self.orders.push_back((self.next_order, order));
        self.next_order += 1;
        self.changed.notify_waiters();
    }

    /// Forgets orders that have arrived.
    pub fn taken(&mut self, up_to: u64) {
        while self.orders.front().is_some_and(|(number, _)| *number <= up_to) {
            self.orders.pop_front();
        }
    }

    /// What is to be done next.
    pub fn waiting(&self) -> Vec<(u64, RunnerOrder)> {
        let mut bytes = 0;
        let fits = |(_, order): &&(u64, RunnerOrder)| {
            let before = bytes;
            bytes += bytes_of(order);
            before <= ORDERS_BYTES_MAX
        };
        self.orders.iter().take(ORDERS_MAX).take_while(fits).cloned().collect()
    }
}

fn bytes_of(order: &RunnerOrder) -> usize {
    match order {
        RunnerOrder::Start(start) => start.spec.len() + start.cuts.len(),
        RunnerOrder::WriteHistory { lines, .. } => lines.len(),
        RunnerOrder::Sample { spec, splits, .. } => spec.len() + splits.iter().map(|split| split.len()).sum::<usize>(),
        RunnerOrder::Kill { .. } | RunnerOrder::CleanUp { .. } => 0,
    }
}

/// All runners that were heard of lately.
pub(super) type Runners = BTreeMap<NodeName, Runner>;
