//! Which files a task may touch that runs as the daemon's own user: without another user, only Landlock stands between it
//! and the daemon's data, keys and configuration.

use landlock::{
    ABI, Access, AccessFs, CompatLevel, Compatible, Ruleset, RulesetAttr, RulesetCreatedAttr, path_beneath_rules,
};
use std::io::{Error, Result};
use std::path::Path;

/// What programs of any kind need to run: read and executed, never written.
const SYSTEM: [&str; 9] = ["/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/etc", "/opt", "/nix"];
/// Devices without a state of their own.
const DEVICES: [&str; 6] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom", "/dev/fd"];

/// Confines this process and all it starts to the system's programs, one more if it is named, harmless devices and the
/// task's directory; and to `/proc` where that shows the task alone. On a kernel without Landlock nothing is confined.
pub(super) fn confine(directory: &Path, binary: Option<&str>, own_proc: bool) -> Result<()> {
    let abi = ABI::V5;
    let (all, read) = (AccessFs::from_all(abi), AccessFs::from_read(abi));
    let proc = own_proc.then_some("/proc");
    let outcome = Ruleset::default().set_compatibility(CompatLevel::BestEffort).handle_access(all).and_then(|rules| {
        rules
            .create()?
            .add_rules(path_beneath_rules(SYSTEM.into_iter().chain(binary).chain(proc), read))?
            .add_rules(path_beneath_rules(DEVICES, AccessFs::from_file(abi)))?
            .add_rules(path_beneath_rules([directory], all))?
            .restrict_self()
    });
    outcome.map(drop).map_err(Error::other)
}
