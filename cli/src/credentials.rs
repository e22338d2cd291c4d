//! The root key: from the environment, from its file, or made at the first start and shown once.

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Environment variables of the root key.
pub const ACCESS_KEY_VARIABLE: &str = "GRANARY_ROOT_ACCESS_KEY";
pub const SECRET_KEY_VARIABLE: &str = "GRANARY_ROOT_SECRET_KEY";

/// An access key and its secret.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootCredentials {
    pub access_key: String,
    pub secret_key: String,
}

impl RootCredentials {
    /// The key of both variables; `None` when neither is set.
    pub fn from_environment() -> anyhow::Result<Option<RootCredentials>> {
        let read = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (read(ACCESS_KEY_VARIABLE), read(SECRET_KEY_VARIABLE)) {
            (Some(access_key), Some(secret_key)) => {
                let credentials = RootCredentials { access_key, secret_key };
                credentials.validate()?;
                Ok(Some(credentials))
            }
            (None, None) => Ok(None),
            _ => bail!("{ACCESS_KEY_VARIABLE} and {SECRET_KEY_VARIABLE} must be set together"),
        }
    }

    /// Reads the key of a file written by [`RootCredentials::load_or_create`].
    pub fn from_file(path: &Path) -> anyhow::Result<RootCredentials> {
        let text = fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        let credentials: RootCredentials =
            serde_json::from_str(&text).with_context(|| format!("{} is not a credentials file", path.display()))?;
        credentials.validate()?;
        Ok(credentials)
    }

    /// The key of the environment, else of the file, else a new one, written to the file and printed this one time.
    pub fn load_or_create(path: &Path) -> anyhow::Result<RootCredentials> {
        if let Some(credentials) = Self::from_environment()? {
            return Ok(credentials);
        }
        if path.exists() {
            return Self::from_file(path);
        }
        let credentials = Self::generate()?;
        credentials.write(path)?;
        println!("A root key was made and is kept in {} (mode 0600). It is shown this once:", path.display());
        println!("  export AWS_ACCESS_KEY_ID={}", credentials.access_key);
        println!("  export AWS_SECRET_ACCESS_KEY={}", credentials.secret_key);
        Ok(credentials)
    }

    /// A random key: 20 characters as AWS's access keys have, 40 for the secret.
    pub fn generate() -> anyhow::Result<RootCredentials> {
        Ok(RootCredentials {
            access_key: format!("GRN{}", random_text(17, b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")?),
            secret_key: random_text(40, b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")?,
        })
    }

    /// Writes the key, readable by its owner only.
    pub fn write(&self, path: &Path) -> anyhow::Result<()> {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("creating {}", path.display()))?;
        file.write_all(serde_json::to_string_pretty(self)?.as_bytes())?;
        file.write_all(b"\n")?;
        file.sync_all()?;
        Ok(())
    }

    fn validate(&self) -> anyhow::Result<()> {
        if !(3..=128).contains(&self.access_key.len())
            || self.access_key.contains(|c: char| !c.is_ascii_graphic() || c == '/')
        {
            bail!("the root access key must be 3 to 128 printable characters without spaces and slashes");
        }
        if !(8..=256).contains(&self.secret_key.len()) {
            bail!("the root secret key must be 8 to 256 characters");
        }
        Ok(())
    }
}

impl std::fmt::Debug for RootCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RootCredentials").field("access_key", &self.access_key).finish_non_exhaustive()
    }
}

/// `length` characters of `alphabet`, whose size divides 256, so that each is equally likely.
fn random_text(length: usize, alphabet: &[u8]) -> anyhow::Result<String> {
    assert!(256 % alphabet.len() == 0, "an alphabet of another size would be drawn unevenly");
    let mut bytes = vec![0u8; length];
    getrandom::fill(&mut bytes).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(bytes.iter().map(|byte| char::from(alphabet[usize::from(*byte) % alphabet.len()])).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_made_key_is_kept_for_its_owner_only() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("root-credentials.json");
        let made = RootCredentials::generate().unwrap();
        made.write(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(RootCredentials::from_file(&path).unwrap(), made);
        assert_ne!(RootCredentials::generate().unwrap(), made);
        assert!(!format!("{made:?}").contains(&made.secret_key));
    }
}
