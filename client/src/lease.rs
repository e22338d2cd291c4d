//! The writer's lease: opened when first needed, renewed in the background, replaced when it is lost.
//!
//! Everything written under a lease is named after it ([`ContentId`]), and its open blocks belong to it. A lost lease
//! is never used again: whoever holds an `Arc<Lease>` sees [`Lease::is_lost`] and starts over with the next one.

use crate::error::{unavailable, unexpected};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::{BlockId, ContentId, ErrorCode, Failure, LeaseId, NodeName};
use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

const OPEN_PAUSE_MIN: Duration = Duration::from_millis(20);
const OPEN_PAUSE_MAX: Duration = Duration::from_secs(1);
/// A namenode that does not answer revokes the lease by itself; a stopping process does not wait for it.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// A lease this process holds or held.
pub(crate) struct Lease {
    pub id: LeaseId,
    next_content: AtomicU32,
    lost: AtomicBool,
}

impl Lease {
    /// A name for the next content; `None` when the lease has named 2^32 of them.
    pub fn next_content(&self) -> Option<ContentId> {
        let counter =
            self.next_content.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| next.checked_add(1)).ok()?;
        ContentId::of_lease(self.id, counter)
    }

    pub fn is_lost(&self) -> bool {
        self.lost.load(Ordering::Acquire)
    }
}

pub(crate) struct LeaseKeeper {
    namenode: Arc<dyn NamenodeService>,
    holder: NodeName,
    current: Mutex<Option<Arc<Lease>>>,
    /// Held while a lease is being opened, so that one is opened and not many: each revokes the one before.
    opening: tokio::sync::Mutex<()>,
    open_deadline: Duration,
    /// Blocks the namenode asked us to seal, as of the last renewal.
    to_seal: watch::Sender<Arc<HashSet<BlockId>>>,
}

impl LeaseKeeper {
    pub fn new(namenode: Arc<dyn NamenodeService>, holder: NodeName, open_deadline: Duration) -> Self {
        Self {
            namenode,
            holder,
            current: Mutex::default(),
            opening: tokio::sync::Mutex::default(),
            open_deadline,
            to_seal: watch::Sender::new(Arc::default()),
        }
    }

    /// The lease to write under. Waits, up to the deadline, for a namenode that can open one.
    pub async fn current(&self) -> Result<Arc<Lease>, Failure> {
        if let Some(lease) = self.held() {
            return Ok(lease);
        }
        let _one_at_a_time = self.opening.lock().await;
        if let Some(lease) = self.held() {
            return Ok(lease);
        }
        let id = self.open().await?;
        let lease = Arc::new(Lease { id, next_content: AtomicU32::new(0), lost: AtomicBool::new(false) });
        *self.current.lock().expect("no code panics while holding this lock") = Some(lease.clone());
        info!(lease = %id, holder = %self.holder, "lease opened");
        Ok(lease)
    }

    /// The lease has been refused: never use it again.
    pub fn lost(&self, lease: LeaseId) {
        if self.forget(lease) {
            warn!(%lease, "lease lost; what was being written under it is written again under the next one");
        }
    }

    pub fn seal_requests(&self) -> watch::Receiver<Arc<HashSet<BlockId>>> {
        self.to_seal.subscribe()
    }

    /// Opens a lease early and renews it until `stop`.
    pub async fn run(&self, renew_every: Duration, stop: CancellationToken) {
        loop {
            let pause = match self.renew().await {
                Ok(()) => renew_every,
                Err(_) => renew_every / 5,
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    /// Gives the lease back. Open blocks of it must have been sealed before.
    pub async fn close(&self) {
        let Some(lease) = self.held() else { return };
        let closing = self.namenode.call(NamenodeRequest::CloseLease { lease: lease.id });
        let why = match tokio::time::timeout(CLOSE_TIMEOUT, closing).await {
            Ok(Ok(_)) => None,
            Ok(Err(failure)) => Some(failure.to_string()),
            Err(_) => Some("no namenode answers".to_owned()),
        };
        if let Some(why) = why {
            warn!(lease = %lease.id, why, "the lease could not be closed; the namenode will revoke it");
        }
        self.forget(lease.id);
    }

    /// Whether it was held until now.
    fn forget(&self, lease: LeaseId) -> bool {
        let mut current = self.current.lock().expect("no code panics while holding this lock");
        let held = current.take_if(|held| held.id == lease);
        if let Some(held) = &held {
            held.lost.store(true, Ordering::Release);
        }
        held.is_some()
    }

    fn held(&self) -> Option<Arc<Lease>> {
        self.current.lock().expect("no code panics while holding this lock").clone()
    }

    async fn renew(&self) -> Result<(), Failure> {
        let lease = self.current().await?;
        match self.namenode.call(NamenodeRequest::RenewLease { lease: lease.id }).await {
            Ok(NamenodeReply::LeaseRenewed { seal }) => {
                if !seal.is_empty() {
                    self.to_seal.send_replace(Arc::new(seal.into_iter().collect()));
                }
                Ok(())
            }
            Ok(other) => Err(unexpected(&other)),
            Err(failure) => {
                if failure.code == ErrorCode::LeaseExpired {
                    self.lost(lease.id);
                }
                Err(failure)
            }
        }
    }

    async fn open(&self) -> Result<LeaseId, Failure> {
        let deadline = Instant::now() + self.open_deadline;
        let mut pause = OPEN_PAUSE_MIN;
        loop {
            match self.namenode.call(NamenodeRequest::OpenLease { holder: self.holder.clone() }).await {
                Ok(NamenodeReply::Lease(lease)) => return Ok(lease),
                Ok(other) => return Err(unexpected(&other)),
                Err(failure) if Instant::now() + pause >= deadline => {
                    return Err(unavailable(format!("no lease to write under: {failure}")));
                }
                Err(_) => tokio::time::sleep(pause).await,
            }
            pause = (pause * 2).min(OPEN_PAUSE_MAX);
        }
    }
}
