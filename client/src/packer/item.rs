//! A content on its way into a packed block, and the queue it waits in.

use bytes::Bytes;
use granary_protocol::block::Extent;
use granary_protocol::checksum::crc32c_of_parts;
use granary_protocol::record::{HEADER_BYTES, RecordHeader};
use granary_protocol::{ContentId, Failure};
use std::collections::VecDeque;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

/// Where a content came to lie. Durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packed {
    pub content: ContentId,
    pub extent: Extent,
}

pub(super) struct Item {
    /// The owner; named by the lane's lease when it is written for the first time.
    content: Option<ContentId>,
    pub payload: Vec<Bytes>,
    length: u32,
    payload_crc: u32,
    pub reply: oneshot::Sender<Result<Packed, Failure>>,
    /// Held until the item is written and dropped.
    _budget: OwnedSemaphorePermit,
}

impl Item {
    /// Computes the payload's checksum, on the caller's thread rather than the lane's.
    pub fn new(
        content: Option<ContentId>,
        payload: Vec<Bytes>,
        reply: oneshot::Sender<Result<Packed, Failure>>,
        budget: OwnedSemaphorePermit,
    ) -> Self {
        let parts: Vec<&[u8]> = payload.iter().map(|piece| &piece[..]).collect();
        let length = parts.iter().map(|part| part.len()).sum::<usize>();
        let length = u32::try_from(length).expect("a packed payload is bounded by PACKED_OBJECT_BYTES_MAX");
        let payload_crc = crc32c_of_parts(&parts);
        Self { content, payload, length, payload_crc, reply, _budget: budget }
    }

    pub fn record_bytes(&self) -> u32 {
        self.length + HEADER_BYTES as u32
    }

    /// The record's header, `name`d if it has no owner yet; `None` when no name can be made.
    pub fn header(&self, name: impl FnOnce() -> Option<ContentId>) -> Option<RecordHeader> {
        let content = self.content.or_else(name)?;
        Some(RecordHeader { content, length: self.length, payload_crc: self.payload_crc })
    }
}

#[derive(Default)]
pub(super) struct Queue {
    pub items: VecDeque<Item>,
    /// Record bytes of `items`.
    pub bytes: u64,
    /// Lanes that run.
    pub lanes: usize,
    pub closed: bool,
}

impl Queue {
    pub fn push(&mut self, item: Item) {
        self.bytes += u64::from(item.record_bytes());
        self.items.push_back(item);
    }

    /// Up to `contents_max` items of up to `bytes_max` together, at least one if there is one. Items nobody waits for
    /// any more are dropped on the way.
    pub fn take(&mut self, bytes_max: u64, contents_max: usize) -> Vec<Item> {
        let mut batch = Vec::with_capacity(self.items.len().min(contents_max));
        let mut bytes = 0;
        while let Some(next) = self.items.front() {
            let record = u64::from(next.record_bytes());
            let abandoned = next.reply.is_closed();
            if !abandoned && !batch.is_empty() && (bytes + record > bytes_max || batch.len() == contents_max) {
                break;
            }
            self.bytes -= record;
            let item = self.items.pop_front().expect("the front was just seen");
            if !abandoned {
                bytes += record;
                batch.push(item);
            }
        }
        batch
    }
}
