//! What must hold in every run, one a file. Those that judge the history alone are pure; the others ask the store once all
//! faults are over.

pub mod ledger_truthful;
pub mod linearizable;
pub mod nothing_lost;
pub mod redundancy_restored;
pub mod retention_respected;
pub mod space_returned;
