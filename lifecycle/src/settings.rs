//! The settings of lifecycles: the same in every process that judges or serves objects.

use crate::rules::Calendar;
use granary_protocol::lifecycle::RestoreTier;
use granary_protocol::object::StorageClass;
use serde::{Deserialize, Serialize};

/// Seconds of a day.
const DAY_SECONDS: u64 = 24 * 60 * 60;
/// The longest delay of a restore: 30 days.
const RESTORE_SECONDS_MAX: u64 = 30 * DAY_SECONDS;
/// Objects a second that a scanner may be allowed.
const OBJECTS_PER_SECOND_MAX: u64 = 1_000_000;

/// How long days are, how fast buckets are scanned, and how long archived objects take to come back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LifecycleSettings {
    /// Seconds of a day in rules and restores; fewer than 86,400 are for tests. Default 86,400.
    pub day_seconds: u64,
    /// Versions the scanner judges in a second at most. Default 10,000.
    pub objects_per_second: u64,
    /// How long an Expedited restore of GLACIER takes, in seconds of a real day: shortened days shorten it in proportion.
    /// Default 5 minutes.
    pub restore_expedited_s: u64,
    /// The same for Standard. Default 4 hours.
    pub restore_standard_s: u64,
    /// The same for Bulk. Default 8 hours.
    pub restore_bulk_s: u64,
    /// The same for a Standard restore of DEEP_ARCHIVE. Default 12 hours.
    pub restore_deep_standard_s: u64,
    /// The same for a Bulk restore of DEEP_ARCHIVE. Default 48 hours.
    pub restore_deep_bulk_s: u64,
}

impl Default for LifecycleSettings {
    fn default() -> Self {
        Self {
            day_seconds: DAY_SECONDS,
            objects_per_second: 10_000,
            restore_expedited_s: 5 * 60,
            restore_standard_s: 4 * 60 * 60,
            restore_bulk_s: 8 * 60 * 60,
            restore_deep_standard_s: 12 * 60 * 60,
            restore_deep_bulk_s: 48 * 60 * 60,
        }
    }
}

/// A setting outside its range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("lifecycle.{field} must be {must}")]
pub struct SettingsError {
    /// The setting.
    pub field: &'static str,
    /// What it must be.
    pub must: &'static str,
}

impl LifecycleSettings {
    /// Checks the ranges.
    ///
    /// # Errors
    /// The first setting outside its range.
    pub fn validate(&self) -> Result<(), SettingsError> {
        let delays = [
            ("restore_expedited_s", self.restore_expedited_s),
            ("restore_standard_s", self.restore_standard_s),
            ("restore_bulk_s", self.restore_bulk_s),
            ("restore_deep_standard_s", self.restore_deep_standard_s),
            ("restore_deep_bulk_s", self.restore_deep_bulk_s),
        ];
        if !(1..=DAY_SECONDS).contains(&self.day_seconds) {
            return Err(SettingsError { field: "day_seconds", must: "1 to 86400" });
        }
        if !(1..=OBJECTS_PER_SECOND_MAX).contains(&self.objects_per_second) {
            return Err(SettingsError { field: "objects_per_second", must: "1 to 1000000" });
        }
        match delays.into_iter().find(|(_, seconds)| *seconds > RESTORE_SECONDS_MAX) {
            Some((field, _)) => Err(SettingsError { field, must: "at most 30 days" }),
            None => Ok(()),
        }
    }

    /// The store's days.
    pub fn calendar(&self) -> Calendar {
        Calendar::of_day_seconds(self.day_seconds)
    }

    /// How long a restore takes, in milliseconds; `None` for a tier the class does not have.
    pub fn restore_delay_ms(&self, class: StorageClass, tier: RestoreTier) -> Option<u64> {
        let seconds = match (class, tier) {
            (StorageClass::DeepArchive, RestoreTier::Expedited) => return None,
            (StorageClass::DeepArchive, RestoreTier::Standard) => self.restore_deep_standard_s,
            (StorageClass::DeepArchive, RestoreTier::Bulk) => self.restore_deep_bulk_s,
            (_, RestoreTier::Expedited) => self.restore_expedited_s,
            (_, RestoreTier::Standard) => self.restore_standard_s,
            (_, RestoreTier::Bulk) => self.restore_bulk_s,
        };
        Some(seconds * 1000 * self.day_seconds / DAY_SECONDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_and_delays() {
        let settings = LifecycleSettings::default();
        assert_eq!(settings.validate(), Ok(()));
        let bad = LifecycleSettings { day_seconds: 0, ..settings.clone() };
        assert_eq!(bad.validate().unwrap_err().field, "day_seconds");
        let bad = LifecycleSettings { restore_bulk_s: u64::MAX, ..settings.clone() };
        assert_eq!(bad.validate().unwrap_err().field, "restore_bulk_s");
        let glacier = |settings: &LifecycleSettings, tier| settings.restore_delay_ms(StorageClass::Glacier, tier);
        assert_eq!(glacier(&settings, RestoreTier::Expedited), Some(300_000));
        assert_eq!(settings.restore_delay_ms(StorageClass::DeepArchive, RestoreTier::Expedited), None);
        let short = LifecycleSettings { day_seconds: 10, ..settings };
        assert_eq!(glacier(&short, RestoreTier::Standard), Some(1_666));
    }
}
