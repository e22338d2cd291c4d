//! The master key of server-side encryption: from the environment, from its file, or made at the first start.
//!
//! Its file is never in the directory of a role: who carries away a disk of blocks or metadata has no key with it.

use anyhow::{Context, bail};
use granary_sealing::MasterKey;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The environment variable of the master key: 32 bytes in base64.
pub const VARIABLE: &str = "GRANARY_MASTER_KEY";
/// The file of a key that was made here, beside that of the root key.
pub const FILE: &str = "master-key";

/// The key of the environment, if there is one.
pub fn from_environment() -> anyhow::Result<Option<MasterKey>> {
    match std::env::var(VARIABLE).ok().filter(|value| !value.is_empty()) {
        Some(text) => Ok(Some(MasterKey::from_base64(&text).with_context(|| format!("{VARIABLE} is no master key"))?)),
        None => Ok(None),
    }
}

/// The key of the environment, else of the file, if there is either.
pub fn from_environment_or(file: Option<&Path>) -> anyhow::Result<Option<MasterKey>> {
    match (from_environment()?, file) {
        (Some(key), _) => Ok(Some(key)),
        (None, Some(path)) => from_file(path).map(Some),
        (None, None) => Ok(None),
    }
}

/// The key of a file, which nobody but its owner may read.
pub fn from_file(path: &Path) -> anyhow::Result<MasterKey> {
    let metadata = fs::metadata(path).with_context(|| format!("reading {}", path.display()))?;
    if metadata.permissions().mode() & 0o007 != 0 {
        bail!("{} can be read by everybody: chmod 600 it", path.display());
    }
    let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
    MasterKey::from_base64(&text).with_context(|| format!("{} holds no master key", path.display()))
}

/// The key of the environment, else of the file, else a new one, written to the file.
pub fn load_or_create(path: &Path) -> anyhow::Result<MasterKey> {
    if let Some(key) = from_environment()? {
        return Ok(key);
    }
    if path.exists() {
        return from_file(path);
    }
    create(path)?;
    println!("A master key was made and is kept in {} (mode 0600).", path.display());
    println!("  Keep a copy elsewhere: without it, what is encrypted under keys of the store cannot be read.");
    from_file(path)
}

/// Makes a key and writes it, readable by its owner only. The file is durable when this returns.
pub fn create(path: &Path) -> anyhow::Result<()> {
    let key = MasterKey::generate().map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let creating = || format!("creating {}", path.display());
    let options = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let mut file = options.with_context(creating)?;
    writeln!(file, "{}", key.to_base64()).with_context(creating)?;
    file.sync_all().with_context(creating)?;
    if let Some(directory) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        fs::File::open(directory).and_then(|directory| directory.sync_all()).with_context(creating)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_made_key_is_kept_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE);
        create(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(from_file(&path).unwrap().to_base64(), text.trim());
        assert!(create(&path).is_err(), "a key is never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(from_file(&path).is_err());
    }
}
