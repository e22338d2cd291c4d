//! The people behind canonical ids: account and display name, asked of the namenode and kept for a while.

use crate::config::Account;
use granary_client::Client;
use granary_protocol::{CanonicalId, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How long an owner is kept: names never change, but users come and go.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long it is kept that there is no such owner.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// Owners remembered at once.
const OWNERS_MAX: usize = 10_000;

/// Somebody who owns something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Owner {
    /// Twelve digits.
    pub account_id: Arc<str>,
    /// Shown beside the canonical id.
    pub display_name: Arc<str>,
}

/// Who is who.
pub(crate) struct Owners {
    client: Client,
    root: (CanonicalId, Owner),
    known: Mutex<HashMap<CanonicalId, (Instant, Option<Owner>)>>,
}

impl Owners {
    pub fn new(client: Client, account: &Account) -> Self {
        let owner = Owner {
            account_id: account.account_id.as_str().into(),
            display_name: account.display_name.as_str().into(),
        };
        Self { client, root: (CanonicalId(account.canonical_id.clone()), owner), known: Mutex::default() }
    }

    /// One of them; `None` for a user that is gone or never was.
    pub async fn find(&self, id: &CanonicalId) -> Result<Option<Owner>, Failure> {
        Ok(self.find_all([id]).await?.remove(id))
    }

    /// Those of several that are known, in one call.
    pub async fn find_all<'i>(
        &self,
        ids: impl IntoIterator<Item = &'i CanonicalId>,
    ) -> Result<HashMap<CanonicalId, Owner>, Failure> {
        let (mut found, mut missing) = (HashMap::new(), Vec::new());
        for id in ids {
            if found.contains_key(id) || missing.contains(id) {
                continue;
            }
            match self.remembered(id) {
                Some(Some(owner)) => drop(found.insert(id.clone(), owner)),
                Some(None) => {}
                None => missing.push(id.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(found);
        }
        let answer = self.client.find_owners(missing.clone()).await?;
        let mut known = self.known();
        if known.len() + missing.len() > OWNERS_MAX {
            known.clear();
        }
        let now = Instant::now();
        known.extend(missing.into_iter().map(|id| (id, (now, None))));
        for (id, account_id, display_name) in answer {
            let owner = Owner { account_id: account_id.into(), display_name: display_name.into() };
            known.insert(id.clone(), (now, Some(owner.clone())));
            found.insert(id, owner);
        }
        Ok(found)
    }

    fn remembered(&self, id: &CanonicalId) -> Option<Option<Owner>> {
        if *id == self.root.0 {
            return Some(Some(self.root.1.clone()));
        }
        let known = self.known();
        let (at, owner) = known.get(id)?;
        let kept_for = if owner.is_some() { KEPT_FOR } else { UNKNOWN_FOR };
        (at.elapsed() < kept_for).then(|| owner.clone())
    }

    fn known(&self) -> MutexGuard<'_, HashMap<CanonicalId, (Instant, Option<Owner>)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
