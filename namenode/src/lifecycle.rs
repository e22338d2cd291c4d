//! What the leader adds to the state's lifecycle requests: one mover at a time, located records, and no command where
//! nothing is due.

use crate::command::Action;
use crate::service::Namenode;
use crate::state;
use granary_protocol::lifecycle::{ClaimedMove, MOVES_CLAIMED_MAX};
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ContentId, Failure, LeaseId, UnixMillis};

/// How long a mover that does not come back keeps others away.
const CLAIM_MS: u64 = 30_000;

/// Who writes contents into their classes. Soft state: two movers at once would waste bytes and harm nothing, because a
/// move takes place only from exactly where the content is.
#[derive(Debug, Default)]
pub(crate) struct Mover {
    claim: Option<(LeaseId, UnixMillis)>,
}

impl Mover {
    /// Whether `lease` may move contents; it may for a while then.
    fn admit(&mut self, lease: LeaseId, now: UnixMillis) -> bool {
        if self.claim.is_some_and(|(holder, until)| holder != lease && now < until) {
            return false;
        }
        self.claim = Some((lease, UnixMillis(now.0.saturating_add(CLAIM_MS))));
        true
    }

    /// There is nothing to move: whoever asks next may.
    fn release(&mut self, lease: LeaseId) {
        if self.claim.is_some_and(|(holder, _)| holder == lease) {
            self.claim = None;
        }
    }
}

impl Namenode {
    pub(crate) async fn claim_moves(
        &self,
        lease: LeaseId,
        after: Option<ContentId>,
        limit: u32,
    ) -> Result<NamenodeReply, Failure> {
        let mover = || self.mover.lock().expect("held for assignments only");
        if !mover().admit(lease, self.clock.now()) {
            return Ok(NamenodeReply::Moves(Vec::new()));
        }
        let limit = limit.min(MOVES_CLAIMED_MAX) as usize;
        let moves = self.scan(move |view| Ok(state::list_moves(view, after, limit)?)).await?;
        if moves.waiting.is_empty() {
            mover().release(lease);
        }
        if !moves.stale.is_empty() {
            self.propose(Action::ForgetMoves { contents: moves.stale }).await?;
        }
        let mut claimed = Vec::with_capacity(moves.waiting.len());
        let mut elsewhere = Vec::new();
        for (content, class) in moves.waiting {
            let found = self.look(|view| match state::locate_content(view, content, 0, u64::MAX) {
                Ok(found) => Ok(Some(found)),
                // Gone since it was listed.
                Err(crate::error::Rejection::Refused(_)) => Ok(None),
                Err(crate::error::Rejection::Broken(error)) => Err(error),
            })?;
            let Some(mut located) = found.and_then(|found| self.locate_all(&found)) else { continue };
            if located.len() == 1 {
                let located = located.remove(0);
                if located.located.replicas.is_empty() {
                    elsewhere.push(located.extent.block);
                    continue;
                }
                claimed.push(ClaimedMove { content, from: located.extent, class, located });
            }
        }
        self.recall_sources(elsewhere).await?;
        Ok(NamenodeReply::Moves(claimed))
    }

    /// Announces restores. Where the moment of none has come, which is nearly always, asking costs no command.
    pub(crate) async fn settle_restores(&self, limit: u32) -> Result<NamenodeReply, Failure> {
        let now = self.clock.now();
        match self.scan(move |view| Ok(state::restores_due(view, now)?)).await? {
            true => self.propose(Action::SettleRestores { limit }).await,
            false => Ok(NamenodeReply::RestoresSettled(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_lease_moves_at_a_time() {
        let mut mover = Mover::default();
        let (one, other) = (LeaseId(1), LeaseId(2));
        assert!(mover.admit(one, UnixMillis(0)));
        assert!(mover.admit(one, UnixMillis(1)));
        assert!(!mover.admit(other, UnixMillis(CLAIM_MS)));
        assert!(mover.admit(other, UnixMillis(CLAIM_MS + 1)));
        mover.release(one);
        assert!(!mover.admit(one, UnixMillis(CLAIM_MS + 2)));
        mover.release(other);
        assert!(mover.admit(one, UnixMillis(CLAIM_MS + 2)));
    }
}
