//! Small contents, many to a block and many to a sync.
//!
//! Contents wait in one queue per storage class; a few *lanes*, each with a packed block of its own, take everything
//! that waits, write it as one batch and sync once. While one batch syncs the next gathers: group commit without a
//! timer, so that a lone content never waits for company.

mod item;
mod lane;
mod packets;

pub(crate) use item::Packed;
pub(crate) use packets::PacketAssembler;

use crate::config::ClientConfig;
use crate::error::unavailable;
use crate::shared::Shared;
use bytes::Bytes;
use granary_protocol::object::StorageClass;
use granary_protocol::{ContentId, Failure};
use item::{Item, Queue};
use lane::Lane;
use std::sync::{Arc, Mutex};
use tokio::sync::{Notify, Semaphore, oneshot};

/// What the smallest content counts for in the queue's bound.
const CHARGE_KIB_MIN: u32 = 4;

/// The packed blocks of one storage class.
pub(crate) struct Packer {
    class: StorageClass,
    queue: Mutex<Queue>,
    arrived: Notify,
    /// KiB that may still enter the queue.
    budget: Arc<Semaphore>,
    batch_bytes: u64,
    batch_contents_max: usize,
    lanes_min: usize,
    lanes_max: usize,
}

impl Packer {
    pub fn new(class: StorageClass, config: &ClientConfig) -> Self {
        let budget_kib = usize::try_from(config.pack_queue_bytes_max / 1024).unwrap_or(usize::MAX);
        Self {
            class,
            queue: Mutex::default(),
            arrived: Notify::new(),
            budget: Arc::new(Semaphore::new(budget_kib.min(Semaphore::MAX_PERMITS))),
            batch_bytes: config.pack_batch_bytes,
            batch_contents_max: config.pack_batch_contents_max,
            lanes_min: config.pack_lanes_min,
            lanes_max: config.pack_lanes_max,
        }
    }

    /// Writes `payload` (1 byte to `PACKED_OBJECT_BYTES_MAX`) as one record and returns once it is durable on every
    /// replica of its block. `content` is the record's owner; without one a new name is made.
    ///
    /// Waits while the queue is full. Dropping the future while the record waits takes it out of the queue; later it
    /// leaves a dead record.
    pub async fn store(
        self: &Arc<Self>,
        shared: &Arc<Shared>,
        payload: Vec<Bytes>,
        content: Option<ContentId>,
    ) -> Result<Packed, Failure> {
        let bytes = payload.iter().map(|piece| piece.len() as u64).sum::<u64>();
        let charge_kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX).max(CHARGE_KIB_MIN);
        let budget = self.budget.clone().acquire_many_owned(charge_kib).await;
        let budget = budget.map_err(|_| unavailable("the packer has stopped"))?;
        let (reply, answer) = oneshot::channel();
        let item = Item::new(content, payload, reply, budget);
        if let Some(slot) = self.enqueue(item)? {
            let lane = Lane::new(shared.clone(), self.clone(), slot).run();
            match &shared.lanes_on {
                Some(thread) => shared.tasks.spawn_on(lane, thread),
                None => shared.tasks.spawn(lane),
            };
        }
        answer.await.unwrap_or_else(|_| Err(unavailable("the packer has stopped")))
    }

    /// Puts an item into the queue; the number of a lane to start if there are too few for what waits.
    fn enqueue(&self, item: Item) -> Result<Option<usize>, Failure> {
        let mut queue = self.queue.lock().expect("no code panics while holding this lock");
        if queue.closed {
            return Err(unavailable("the packer is shutting down"));
        }
        queue.push(item);
        let behind = queue.bytes > self.batch_bytes && queue.lanes < self.lanes_max;
        let start = queue.lanes < self.lanes_min || behind;
        let slot = start.then_some(queue.lanes);
        queue.lanes += usize::from(start);
        drop(queue);
        self.arrived.notify_one();
        Ok(slot)
    }

    /// Everything that waits, within the bounds of a batch; waits while nothing does.
    async fn next_batch(&self) -> Vec<Item> {
        loop {
            let batch = self.waiting_batch();
            if !batch.is_empty() {
                return batch;
            }
            self.arrived.notified().await;
        }
    }

    fn waiting_batch(&self) -> Vec<Item> {
        let mut queue = self.queue.lock().expect("no code panics while holding this lock");
        let batch = queue.take(self.batch_bytes, self.batch_contents_max);
        let more = !queue.items.is_empty();
        drop(queue);
        if more {
            // Its arrival has been told already, and this lane is about to be busy.
            self.arrived.notify_one();
        }
        batch
    }

    /// Takes no more contents.
    fn close(&self) {
        self.queue.lock().expect("no code panics while holding this lock").closed = true;
    }

    /// A lane ends, unless it is one of those that stay.
    fn may_retire(&self) -> bool {
        self.queue.lock().expect("no code panics while holding this lock").lanes > self.lanes_min
    }

    fn lane_ended(&self) {
        self.queue.lock().expect("no code panics while holding this lock").lanes -= 1;
    }
}
