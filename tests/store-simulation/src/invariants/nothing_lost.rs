//! No acknowledged object is lost or torn: once everything runs, every key can be read whole. What is found goes into the
//! history as a read, so that its order decides whether it is the right content.

use crate::audit::Auditor;
use crate::history::Action;
use crate::workload::{Found, PLAIN, read};

/// Reads every key there ever was.
pub async fn check(auditor: &Auditor) {
    let history = &auditor.shared.history;
    for key in history.keys().keys() {
        let number = history.called(key, Action::Read(None), auditor.shared.now());
        let found = auditor.persist("read", || read(&auditor.client, PLAIN, key, None)).await;
        let now = auditor.shared.now();
        match found {
            Some(Found::Nothing) => history.returned(key, number, Action::Read(None), now),
            Some(Found::Content(tag)) => history.returned(key, number, Action::Read(Some(tag)), now),
            Some(Found::Torn(what)) => history.violation(format!("{key}: {what}")),
            None => history.violation(format!("{key} cannot be read though nothing is wrong any more")),
        }
    }
}
