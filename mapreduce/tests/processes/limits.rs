//! What a task is stopped from, and that nothing of it stays.

use crate::Case;
use crate::engine::{Cancel, Progress, TaskFailure};
use crate::fixture::{Ran, run_watched};
use crate::sandbox::Account;
use crate::spec::{JobSpec, Resources};
use crate::streaming::{job, one, shell};
use std::io::Write;
use std::time::{Duration, Instant};

pub const CASES: [Case; 10] = [
    ("processor time is bounded", processor_time),
    ("memory is bounded", memory),
    ("processes are bounded", processes),
    ("one long file is stopped", long_file),
    ("many files are stopped", many_files),
    ("the network is out of reach", network),
    ("other users' files and processes are out of reach", others),
    ("the daemon's files are out of reach, as its user too", daemons_files),
    ("what a program leaves running is ended", left_running),
    ("a cancelled attempt ends soon", cancelled),
];

/// A user that no test machine has.
const NOBODYS: Account = Account { user: 64_321, group: 64_321 };

/// The user that programs run as.
pub fn account() -> Option<Account> {
    nix::unistd::getuid().is_root().then_some(NOBODYS)
}

/// Runs a mapper as another user where the test may, and as its own otherwise.
fn run(script: &str, resources: Resources) -> (Result<Ran, TaskFailure>, String) {
    let progress = Progress::default();
    let spec = JobSpec { resources, ..job(shell(script), None) };
    let outcome = run_watched(&spec, &one("x\n"), 100, account(), &progress, &Cancel::default());
    (outcome, progress.report().stderr)
}

fn processor_time() {
    let (outcome, _) = run("while :; do :; done", Resources { cpu_seconds: 1, ..Resources::default() });
    let failure = outcome.unwrap_err().to_string();
    assert_eq!(failure, "the task's processor time of 1 seconds is used up");
}

fn memory() {
    let resources = Resources { process_memory_bytes: 64 << 20, ..Resources::default() };
    let (outcome, stderr) = run("head -c 400000000 /dev/zero | tail -n 1 | wc -c >&2; exit 7", resources);
    assert!(outcome.unwrap_err().to_string().ends_with("exited with code 7"));
    assert!(!stderr.contains("400000000"), "{stderr}");
}

fn processes() {
    let script = "i=0; while [ $i -lt 300 ]; do sleep 600 & i=$((i+1)); done; echo all started >&2";
    let (outcome, stderr) = run(script, Resources { processes: 20, ..Resources::default() });
    if nix::unistd::getuid().is_root() || !stderr.contains("all started") {
        assert!(outcome.is_err(), "{stderr}");
        assert!(stderr.contains("fork"), "{stderr}");
    }
}

fn long_file() {
    let resources = Resources { scratch_bytes: 4 << 20, ..Resources::default() };
    let (outcome, _) = run("head -c 100000000 /dev/zero > large", resources);
    assert_eq!(outcome.unwrap_err().to_string(), "the task's scratch space of 4194304 bytes is used up");
}

fn many_files() {
    let resources = Resources { scratch_bytes: 4 << 20, ..Resources::default() };
    let script = "i=0; while :; do head -c 1000000 /dev/zero > f$i; i=$((i+1)); [ $i -lt 100 ] || sleep 600; done";
    let (outcome, _) = run(script, resources);
    assert_eq!(outcome.unwrap_err().to_string(), "the task's scratch space of 4194304 bytes is used up");
}

fn network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    // A shell that knows no /dev/tcp says so, which is out of reach too.
    let script = format!("bash -c 'echo hello > /dev/tcp/127.0.0.1/{port}' && echo reached");
    let (outcome, stderr) = run(&script, Resources::default());
    assert!(outcome.is_err(), "{stderr}");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "somebody connected");
}

fn others() {
    let script = "cat /etc/shadow; kill -9 1; cat /proc/1/environ; ls /proc | grep -c '^[0-9]' >&2; id -u >&2; \
                  grep -E 'NoNewPrivs|^Seccomp:' /proc/self/status >&2; true";
    let (outcome, stderr) = run(script, Resources::default());
    let text = outcome.unwrap().text();
    assert!(!text.contains("CARGO"), "{text}");
    if nix::unistd::getuid().is_root() {
        assert!(!text.contains("root:"), "{text}");
        // Without privileges there is no `/proc` to look into.
        assert!(stderr.contains("NoNewPrivs:\t1") && stderr.contains("Seccomp:\t2"), "{stderr}");
        assert!(stderr.contains(&format!("{}\n", NOBODYS.user)), "{stderr}");
    }
}

fn daemons_files() {
    let mut secret = tempfile::NamedTempFile::new().unwrap();
    secret.write_all(b"the cluster's key").unwrap();
    let script = format!("cat {} /proc/self/cwd/../../*; cat /etc/hostname > own; cat own", secret.path().display());
    let (outcome, stderr) = run(&script, Resources::default());
    let text = outcome.unwrap().text();
    assert!(!text.contains("key") && stderr.contains("denied"), "{text}{stderr}");
    assert_eq!(text.trim(), std::fs::read_to_string("/etc/hostname").unwrap().trim());
    // Without another user the rules for files hold instead.
    let progress = Progress::default();
    let spec = job(shell(&format!("cat {}; cat x 2> /dev/null > y; echo end", secret.path().display())), None);
    let ran = run_watched(&spec, &one("x\n"), 100, None, &progress, &Cancel::default()).unwrap();
    assert_eq!(ran.text(), "end\n");
    assert!(progress.report().stderr.contains("denied"), "{}", progress.report().stderr);
}

fn left_running() {
    let marker = format!("{}", 70_000 + std::process::id() % 10_000);
    let (outcome, _) = run(&format!("setsid sleep {marker} > /dev/null 2>&1 & echo started"), Resources::default());
    assert_eq!(outcome.unwrap().text(), "started\n");
    wait_until_gone(&marker);
}

fn cancelled() {
    let cancel = Cancel::default();
    let marker = format!("{}", 80_000 + std::process::id() % 10_000);
    let progress = Progress::default();
    std::thread::scope(|scope| {
        let spec = job(shell(&format!("echo begun >&2; sleep {marker}")), None);
        let (watched, thrown) = (&progress, &cancel);
        let attempt = scope.spawn(move || run_watched(&spec, &one("x\n"), 100, None, watched, thrown));
        until(|| progress.report().stderr.contains("begun"));
        cancel.cancel();
        assert_eq!(attempt.join().unwrap().unwrap_err(), TaskFailure::Cancelled);
    });
    wait_until_gone(&marker);
}

/// No process sleeps so long any more.
fn wait_until_gone(seconds: &str) {
    until(|| {
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        let lines = processes.filter_map(|process| std::fs::read(process.path().join("cmdline")).ok());
        let wanted = format!("sleep\0{seconds}\0").into_bytes();
        !lines.into_iter().any(|line| line == wanted)
    });
}

#[allow(clippy::disallowed_methods, reason = "a test waits for a condition")]
fn until(condition: impl Fn() -> bool) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(120), "waited in vain");
        std::thread::sleep(Duration::from_millis(10));
    }
}
