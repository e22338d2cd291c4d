//! Requests about the queue of events, as methods.

use crate::client::Client;
use crate::metadata::{expect_done, reply};
use granary_protocol::event::{EventId, NewEvent, QueuedEvent};
use granary_protocol::namenode::*;
use granary_protocol::*;

impl Client {
    /// [`NamenodeRequest::AppendEvents`].
    pub async fn append_events(&self, events: Vec<NewEvent>) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::AppendEvents { events }).await?)
    }

    /// [`NamenodeRequest::ClaimEvents`].
    pub async fn claim_events(&self, limit: u32, claim_ms: u64) -> Result<Vec<QueuedEvent>, Failure> {
        let reply = self.call(NamenodeRequest::ClaimEvents { limit, claim_ms }).await?;
        reply!(reply, NamenodeReply::Events(events) => events)
    }

    /// [`NamenodeRequest::SettleEvents`].
    pub async fn settle_events(&self, settled: Vec<EventId>, retry: Vec<(EventId, UnixMillis)>) -> Result<(), Failure> {
        expect_done(self.call(NamenodeRequest::SettleEvents { settled, retry }).await?)
    }
}
