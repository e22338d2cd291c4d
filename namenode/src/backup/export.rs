//! Hands out the applied state page by page, all pages from one moment.

use crate::engine::{EngineError, EngineSnapshot};
use crate::raft::machine::is_of_this_peer;
use bytes::Bytes;
use granary_protocol::admin::MetadataPage;
use granary_protocol::{ErrorCode, Failure};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Exports under way at one time.
const EXPORTS_MAX: usize = 4;
/// How long an export waits for its next page: its view keeps old rows on the disk.
const PATIENCE: Duration = Duration::from_secs(60);
/// Bytes of rows in one page; one row more may be in it.
const PAGE_BYTES: usize = 2 << 20;

struct Export {
    view: Arc<dyn EngineSnapshot>,
    asked: Instant,
}

/// The exports under way.
#[derive(Default)]
pub(crate) struct Exports {
    open: Mutex<HashMap<u64, Export>>,
}

impl Exports {
    /// Begins one of this view.
    ///
    /// # Errors
    /// `Busy` where there are too many.
    pub(crate) fn begin(&self, view: Arc<dyn EngineSnapshot>) -> Result<u64, Failure> {
        let mut random = [0u8; 8];
        getrandom::fill(&mut random).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let id = u64::from_le_bytes(random).max(1);
        self.give_up_silent();
        let mut open = self.open.lock().expect("held for map operations only");
        if open.len() >= EXPORTS_MAX {
            return Err(Failure::new(ErrorCode::Busy, format!("{EXPORTS_MAX} exports are under way")));
        }
        open.insert(id, Export { view, asked: Instant::now() });
        Ok(id)
    }

    /// The view of one that was begun here.
    pub(crate) fn view(&self, id: u64) -> Result<Arc<dyn EngineSnapshot>, Failure> {
        let mut open = self.open.lock().expect("held for map operations only");
        let export = open.get_mut(&id).ok_or_else(|| {
            Failure::new(ErrorCode::InvalidArgument, "no such export: it was given up, or another namenode leads now")
        })?;
        export.asked = Instant::now();
        Ok(export.view.clone())
    }

    /// Ends those whose next page nobody has asked for.
    pub(crate) fn give_up_silent(&self) {
        let mut open = self.open.lock().expect("held for map operations only");
        open.retain(|_, export| export.asked.elapsed() < PATIENCE);
    }

    /// It has been handed out whole.
    pub(crate) fn end(&self, id: u64) {
        self.open.lock().expect("held for map operations only").remove(&id);
    }
}

/// The rows after `after`; blocks on the disk.
pub(crate) fn page(view: &dyn EngineSnapshot, export: u64, after: &Bytes) -> Result<MetadataPage, EngineError> {
    let mut from = after.to_vec();
    if !from.is_empty() {
        // The least key above it.
        from.push(0);
    }
    let (mut pairs, mut bytes) = (Vec::new(), 0);
    for pair in view.scan(&from, None) {
        let (key, value) = pair?;
        if is_of_this_peer(&key) {
            continue;
        }
        if bytes > PAGE_BYTES {
            return Ok(MetadataPage { export, pairs, last: false });
        }
        bytes += key.len() + value.len();
        pairs.push((key, value));
    }
    Ok(MetadataPage { export, pairs, last: true })
}
