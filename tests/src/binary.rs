//! Finding and running the `granary` binary.

use anyhow::{Context, bail};
use std::path::PathBuf;
use std::process::{Command, Output};

/// The binary under test: `GRANARY_BIN`, else the release build, else the debug build of this workspace.
pub fn granary() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os("GRANARY_BIN") {
        return Ok(path.into());
    }
    // This test runs from TARGET/PROFILE/deps/NAME.
    let this = std::env::current_exe()?;
    let target = this.ancestors().nth(3).context("the test binary is not in a target directory")?;
    let found =
        ["release", "debug"].iter().map(|profile| target.join(profile).join("granary")).find(|path| path.exists());
    found.context("no granary binary: run `cargo build --release -p granary` first, or set GRANARY_BIN")
}

/// Runs `granary ARGUMENTS` to its end; an error unless it succeeds.
pub fn run(arguments: &[&str], environment: &[(&str, &str)]) -> anyhow::Result<String> {
    let Output { status, stdout, stderr } = Command::new(granary()?)
        .args(arguments)
        .envs(environment.iter().copied())
        .output()
        .context("running granary")?;
    let text = String::from_utf8_lossy(&stdout).into_owned();
    if !status.success() {
        bail!("granary {} failed: {}\n{text}{}", arguments.join(" "), status, String::from_utf8_lossy(&stderr));
    }
    Ok(text)
}
