//! Safe mode: a new leader repairs nothing until it knows what there is.
//!
//! Right after a start most replicas are missing only because their datanodes have not reported yet. Copying then would
//! flood the cluster, and removing surplus could cost data. Reads, writes and deletes go on meanwhile: they need no more
//! than the replicas that have been reported.
//!
//! It ends when no block is under its target; or when all but a few blocks have a live replica and nothing new has been
//! reported for a while; or, because data that is lost for good must not stop the repair of the rest, when nothing new has
//! been reported for long.

use granary_protocol::UnixMillis;
use granary_protocol::admin::Redundancy;

/// Of a thousand blocks, how many may be without a live replica: HDFS's threshold of 0.999.
const MISSING_PER_THOUSAND_MAX: u64 = 1;
/// How long nothing new must have been reported.
const QUIET_MS: u64 = 15 * 1000;
/// How long at most the rest waits for what is missing.
const GIVEN_UP_MS: u64 = 10 * 60 * 1000;

/// Whether, and since when, this leader waits for reports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum SafeMode {
    /// It repairs. Also the state of a peer that does not lead.
    #[default]
    Off,
    /// It waits.
    On {
        /// Live replicas when something new was last reported, and when that was.
        replicas: u64,
        grew: UnixMillis,
    },
}

impl SafeMode {
    /// A peer begins to lead.
    pub(super) fn enter(now: UnixMillis) -> SafeMode {
        SafeMode::On { replicas: 0, grew: now }
    }

    /// The state after a look at the ledger.
    pub(super) fn next(self, ledger: &Redundancy, now: UnixMillis) -> SafeMode {
        let SafeMode::On { replicas, grew } = self else { return SafeMode::Off };
        let quiet_ms = if ledger.replicas_live > replicas { 0 } else { now.0.saturating_sub(grew.0) };
        let few_missing = ledger.missing_blocks * 1000 <= ledger.blocks * MISSING_PER_THOUSAND_MAX;
        let complete = ledger.under_replicated_blocks == 0;
        if complete || (few_missing && quiet_ms >= QUIET_MS) || quiet_ms >= GIVEN_UP_MS {
            return SafeMode::Off;
        }
        match ledger.replicas_live > replicas {
            true => SafeMode::On { replicas: ledger.replicas_live, grew: now },
            false => self,
        }
    }

    /// Why nothing is repaired, for people.
    pub(super) fn reason(self, ledger: &Redundancy) -> Option<String> {
        match self {
            SafeMode::Off => None,
            SafeMode::On { .. } => Some(format!(
                "waiting for block reports: {} of {} blocks have no live replica yet, {} are under their target",
                ledger.missing_blocks, ledger.blocks, ledger.under_replicated_blocks
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger(blocks: u64, replicas_live: u64, under_replicated_blocks: u64, missing_blocks: u64) -> Redundancy {
        Redundancy { blocks, replicas_live, under_replicated_blocks, missing_blocks, ..Redundancy::default() }
    }

    #[test]
    fn it_ends_at_once_when_nothing_is_missing() {
        let on = SafeMode::enter(UnixMillis(0));
        assert_eq!(on.next(&ledger(0, 0, 0, 0), UnixMillis(0)), SafeMode::Off);
        assert_eq!(on.next(&ledger(9, 27, 0, 0), UnixMillis(1)), SafeMode::Off);
        assert_eq!(
            SafeMode::Off.next(&ledger(9, 0, 9, 9), UnixMillis(1)),
            SafeMode::Off,
            "it is entered by leading only"
        );
    }

    #[test]
    fn it_waits_for_reports_as_long_as_they_come() {
        let mut mode = SafeMode::enter(UnixMillis(0));
        for second in 1..60 {
            mode = mode.next(&ledger(1000, second * 10, 900, 1), UnixMillis(second * 1000));
            assert_ne!(mode, SafeMode::Off);
        }
        assert!(mode.reason(&ledger(1000, 590, 900, 1)).unwrap().contains("900"));
        let last = ledger(1000, 590, 900, 1);
        assert_ne!(mode.next(&last, UnixMillis(59_000 + QUIET_MS - 1)), SafeMode::Off);
        assert_eq!(mode.next(&last, UnixMillis(59_000 + QUIET_MS)), SafeMode::Off);
    }

    #[test]
    fn what_is_lost_for_good_stops_it_for_a_while_only() {
        let mode = SafeMode::enter(UnixMillis(0)).next(&ledger(1000, 500, 900, 2), UnixMillis(0));
        assert_ne!(mode.next(&ledger(1000, 500, 900, 2), UnixMillis(GIVEN_UP_MS - 1)), SafeMode::Off);
        assert_eq!(mode.next(&ledger(1000, 500, 900, 2), UnixMillis(GIVEN_UP_MS)), SafeMode::Off);
        let fallen = mode.next(&ledger(1000, 400, 900, 2), UnixMillis(1));
        assert_eq!(fallen, mode, "fewer replicas are no news");
    }
}
