//! Nothing removes a version under retention: each that was acknowledged is there, whole, and cannot be deleted.

use crate::audit::Auditor;
use crate::history::Kept;
use crate::workload::{Found, KEPT, delete, read};
use granary_protocol::ErrorCode;

/// Reads every version that is kept, and asks for the removal of some.
pub async fn check(auditor: &Auditor) {
    let history = &auditor.shared.history;
    for (number, Kept { key, version, content }) in history.kept().into_iter().enumerate() {
        let found = auditor.persist("read a version", || read(&auditor.client, KEPT, &key, Some(version))).await;
        if found != Some(Found::Content(content)) {
            history
                .violation(format!("version {version} of {key} is kept, with content {content:x}; found: {found:?}"));
        }
        if number % 4 == 0 {
            let refused = auditor.persist("delete a version", || async {
                match delete(&auditor.client, KEPT, &key, Some(version)).await {
                    Ok(()) => Ok(false),
                    Err(failure) if failure.code == ErrorCode::ObjectLocked => Ok(true),
                    Err(failure) => Err(failure),
                }
            });
            if refused.await != Some(true) {
                history.violation(format!(
                    "version {version} of {key} is under retention and its removal was not refused"
                ));
            }
        }
    }
}
