//! Once faults stop, every block comes to have the replicas that its class asks for, and the store says so.

use crate::audit::Auditor;
use granary_protocol::admin::ClusterStatus;

/// How long it may take.
const WITHIN_S: u64 = 120;

/// Waits for it. The status that said so, unless none did.
pub async fn check(auditor: &Auditor) -> Option<ClusterStatus> {
    let mut last = String::from("no namenode answers");
    let began = auditor.shared.now();
    while auditor.shared.now() < began + WITHIN_S * 1_000_000_000 {
        if let Ok(status) = auditor.client.status().await {
            let redundancy = status.redundancy;
            let restored = status.safe_mode.is_none()
                && redundancy.under_replicated_blocks == 0
                && redundancy.missing_blocks == 0
                && redundancy.over_replicated_blocks == 0
                && redundancy.mis_replicated_blocks == 0
                && redundancy.policy_shortfall_replicas == 0;
            if restored {
                return Some(status);
            }
            last = format!("{redundancy:?}, safe mode {:?}", status.safe_mode);
        }
        auditor.pause().await;
    }
    auditor.shared.history.violation(format!("redundancy is not restored {WITHIN_S} s after the last fault: {last}"));
    None
}
