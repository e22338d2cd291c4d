//! Which volumes are slow: pure code over what they report of their waits.
//!
//! A disk that is dying often answers everything, ten times later than others. It holds up every write it takes part in, so
//! it is found by comparison: no fixed time is right for all media.

use granary_protocol::VolumeId;
use std::collections::HashSet;

/// Below this nothing is slow, whatever the others do.
const WAIT_MS_MIN: u32 = 200;
/// So many times longer than the middle one of all waits.
const FACTOR: u32 = 5;
/// Fewer volumes cannot be compared.
const VOLUMES_MIN: usize = 3;

/// The slow ones of these volumes in service, each with its wait. One that was slow stays so down to half of the bounds.
pub(super) fn slow_of(waits: &[(VolumeId, u32)], before: &HashSet<VolumeId>) -> HashSet<VolumeId> {
    if waits.len() < VOLUMES_MIN {
        return HashSet::new();
    }
    let mut sorted: Vec<u32> = waits.iter().map(|(_, wait)| *wait).collect();
    sorted.sort_unstable();
    let middle = sorted[(sorted.len() - 1) / 2];
    let bound = WAIT_MS_MIN.max(middle.saturating_mul(FACTOR));
    let is_slow = |volume: &VolumeId, wait: u32| wait >= if before.contains(volume) { bound / 2 } else { bound };
    waits.iter().filter(|(volume, wait)| is_slow(volume, *wait)).map(|(volume, _)| *volume).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow(waits: &[u32], before: &[u64]) -> Vec<u64> {
        let waits: Vec<_> = (1..).map(VolumeId).zip(waits.iter().copied()).collect();
        let before = before.iter().copied().map(VolumeId).collect();
        let mut found: Vec<u64> = slow_of(&waits, &before).into_iter().map(|volume| volume.0).collect();
        found.sort_unstable();
        found
    }

    #[test]
    fn a_volume_is_slow_beside_others() {
        assert_eq!(slow(&[5, 900, 6], &[]), [2]);
        assert_eq!(slow(&[5, 0, 300, 900], &[]), [3, 4]);
        assert_eq!(slow(&[5, 150, 6], &[]), [0u64; 0], "too short to matter");
        assert_eq!(slow(&[300, 900, 310], &[]), [0u64; 0], "all of them are");
        assert_eq!(slow(&[5, 900], &[]), [0u64; 0], "which of two?");
        assert_eq!(slow(&[5, 150, 6], &[2]), [2], "it stays slow until it is clearly not");
    }
}
