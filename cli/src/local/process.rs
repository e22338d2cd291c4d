//! Starting, looking at and ending processes by their own pid.

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long a health check may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts `granary ROLE --config CONFIG` in a process group of its own, its output appended to `log`.
pub fn spawn(role: &str, config: &Path, log: &Path) -> anyhow::Result<u32> {
    let program = std::env::current_exe().context("finding this program")?;
    let output = open_log(log)?;
    let child = Command::new(program)
        .arg(role)
        .arg("--config")
        .arg(config)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        .process_group(0)
        .spawn()
        .with_context(|| format!("starting a {role}"))?;
    Ok(child.id())
}

fn open_log(path: &Path) -> anyhow::Result<File> {
    OpenOptions::new().create(true).append(true).open(path).with_context(|| format!("opening {}", path.display()))
}

/// Whether `pid` lives and is the process that was started with `config`: pids are used again.
pub fn is_running(pid: u32, config: &Path) -> bool {
    let Ok(status) = fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
    // The state follows the program's name, which is in parentheses and may hold anything.
    let zombie = status.rsplit_once(')').is_some_and(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']));
    // Its other threads may still wait for a disk, with its files locked.
    let ended = zombie && fs::read_dir(format!("/proc/{pid}/task")).map_or(0, Iterator::count) <= 1;
    let Ok(arguments) = fs::read(format!("/proc/{pid}/cmdline")) else { return false };
    !ended && is_started_with(&arguments, config)
}

/// Whether a command line names the configuration. A process that is being started has none for a moment, which on a busy machine
/// is long enough to be looked at, and one that ends has none any more.
fn is_started_with(arguments: &[u8], config: &Path) -> bool {
    let config = config.as_os_str().as_encoded_bytes();
    arguments.is_empty() || arguments.split(|byte| *byte == 0).any(|argument| argument == config)
}

/// SIGKILL.
pub fn kill(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::KILL)
}

/// SIGTERM.
pub fn terminate(pid: u32) -> anyhow::Result<()> {
    signal(pid, Signal::TERM)
}

fn signal(pid: u32, signal: Signal) -> anyhow::Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).context("not a pid")?;
    kill_process(pid, signal).with_context(|| format!("signalling pid {}", pid.as_raw_nonzero()))
}

/// Asks `http://ADDRESS/health/WHAT`; an error unless the answer is 200.
pub async fn health(address: &str, what: &str) -> anyhow::Result<()> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET /health/{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(4096).read_to_end(&mut answer).await?;
        anyhow::Ok(String::from_utf8_lossy(&answer).into_owned())
    };
    let answer = tokio::time::timeout(HEALTH_TIMEOUT, exchange).await.context("no answer in time")??;
    if !answer.starts_with("HTTP/1.1 200") {
        bail!("{}", answer.lines().last().unwrap_or("no answer"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_known_by_its_configuration_and_has_no_words_yet_when_it_begins() {
        let config = Path::new("/cluster/gateway-1/config.toml");
        let line = b"granary\0gateway\0--config\0/cluster/gateway-1/config.toml\0";
        assert!(is_started_with(line, config));
        assert!(is_started_with(b"", config));
        assert!(!is_started_with(b"granary\0gateway\0--config\0/cluster/gateway-10/config.toml\0", config));
    }
}
