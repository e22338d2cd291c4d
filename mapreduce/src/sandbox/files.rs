//! Which files a task may touch. Whoever it runs as, it writes to its own directory alone: what it left elsewhere, as in
//! `/tmp` or `/dev/shm`, would be neither measured nor removed. If it runs as the daemon's own user, only Landlock stands
//! between it and the daemon's data, keys and configuration, so that what it may read is listed, too.

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr,
    path_beneath_rules,
};
use std::io::{Error, Result};
use std::path::Path;

/// What programs of any kind need to run: read and executed, never written.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix"];
/// Devices without a state of their own.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/fd"];

const VERSION: ABI = ABI::V5;

/// Confines this process and all it starts to the system's programs, one more if it is named, harmless devices and the
/// task's directory; and to `/proc` where that shows the task alone. On a kernel without Landlock nothing is confined.
pub(super) fn confine(directory: &Path, binary: Option<&str>, own_proc: bool) -> Result<()> {
    let readable = SYSTEM.into_iter().chain(binary).chain(own_proc.then_some("/proc")).collect();
    restrict(directory, AccessFs::from_all(VERSION), readable)
}

/// Confines what this process and all it starts write to the task's directory and harmless devices. On a kernel without
/// Landlock nothing is confined.
pub(super) fn confine_writes(directory: &Path) -> Result<()> {
    restrict(directory, AccessFs::from_write(VERSION), Vec::new())
}

/// `handled` is what is refused wherever it is not allowed.
fn restrict(directory: &Path, handled: BitFlags<AccessFs>, readable: Vec<&str>) -> Result<()> {
    let rules = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(handled);
    let outcome = rules.and_then(|rules| {
        rules
            .create()?
            .add_rules(path_beneath_rules(readable, AccessFs::from_read(VERSION) & handled))?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(VERSION) & handled))?
            .add_rules(path_beneath_rules([directory], handled))?
            .restrict_self()
    });
    outcome.map(drop).map_err(Error::other)
}
