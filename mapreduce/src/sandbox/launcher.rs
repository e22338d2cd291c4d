//! The launcher: gives up rights, starts the program, waits for it and ends as it ended.
//!
//! It runs twice. The outer one enters new namespaces, which hold for what it starts: the inner one, which is the first
//! process there. That mounts a `/proc` of its own, sets limits and filter, and starts the program; when it ends, the
//! kernel ends every process of the namespace.

use super::module::MODULE_ARGUMENT;
use super::plan::{LaunchPlan, NOT_STARTED, SIGNALLED};
use super::{LAUNCHER_ARGUMENT, files, module, seccomp};
use crate::spec::Resources;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl::{set_no_new_privs, set_pdeathsig};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, Uid, getgid, getuid};
use std::io::{Error, Result, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// This binary, whoever asks: it can be started by name where its directory cannot be searched.
const OWN_BINARY: &str = "/proc/self/exe";
/// Address space that a module's process has beside its memory: what is reserved around it, so that every address a module
/// can name is in it, and this binary.
const MODULE_ADDRESS_SPACE: u64 = 16 << 30;
/// Bytes that the compiler and this binary may use.
const COMPILER_BYTES: u64 = 1 << 30;
/// The highest `oom_score_adj`, which everybody may give to themselves.
const FIRST_TO_GO: &str = "1000";

/// The whole life of a launcher. `arguments` are those after [`LAUNCHER_ARGUMENT`]; the answer is the exit code. To be
/// called before the process has other threads.
pub fn launcher_main(arguments: &[String]) -> i32 {
    let outcome = match arguments {
        [plan] => read(plan).and_then(|plan| run(&plan)),
        [step, plan] if step == MODULE_ARGUMENT => read(plan).and_then(|plan| {
            set_pdeathsig(Signal::SIGKILL)?;
            module::run(&plan)
        }),
        _ => Err(Error::other("this command is for the task runner alone")),
    };
    outcome.unwrap_or_else(|error| {
        // There is nowhere else to say it.
        let _ = writeln!(std::io::stderr(), "granary: {error}");
        NOT_STARTED
    })
}

fn read(plan: &str) -> Result<LaunchPlan> {
    serde_json::from_str(plan).map_err(Error::other)
}

fn run(plan: &LaunchPlan) -> Result<i32> {
    // The daemon's end, or the outer launcher's, is this one's.
    set_pdeathsig(Signal::SIGKILL)?;
    // If memory runs out it is a task that ends, not the daemon. Where there is no `/proc` the system chooses.
    let _ = std::fs::write("/proc/self/oom_score_adj", FIRST_TO_GO);
    if plan.inner { inner(plan) } else { outer(plan) }
}

/// Namespaces, then itself again inside of them.
fn outer(plan: &LaunchPlan) -> Result<i32> {
    let apart = enter_namespaces(plan)?;
    let mut plan = plan.clone();
    plan.inner = true;
    plan.counted_apart |= apart;
    let mut command = Command::new(OWN_BINARY);
    let mut child = command.arg(LAUNCHER_ARGUMENT).arg(plan.to_json()).spawn()?;
    drop_streams()?;
    child.wait().map(code_of)
}

/// Enters what namespaces the system grants: with privileges directly, without them within a user namespace. Answers
/// whether the task's processes are counted apart from the daemon's.
fn enter_namespaces(plan: &LaunchPlan) -> Result<bool> {
    let mut wanted =
        CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS;
    if !plan.resources.network {
        wanted |= CloneFlags::CLONE_NEWNET;
    }
    let (user, group) = (getuid(), getgid());
    if user.is_root() {
        // In a container root may lack the right. The other limits hold all the same.
        let _ = unshare(wanted);
        return Ok(false);
    }
    if unshare(wanted | CloneFlags::CLONE_NEWUSER).is_err() {
        return Ok(false);
    }
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("{user} {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("{group} {group} 1"))?;
    Ok(true)
}

/// The streams are the program's: a launcher that held them would keep its pipes open.
fn drop_streams() -> Result<()> {
    let null = std::fs::OpenOptions::new().read(true).write(true).open("/dev/null")?;
    nix::unistd::dup2_stdin(&null)?;
    nix::unistd::dup2_stdout(&null)?;
    Ok(())
}

fn inner(plan: &LaunchPlan) -> Result<i32> {
    let own_proc = Pid::this().as_raw() == 1 && mount_proc();
    std::env::set_current_dir(&plan.directory)?;
    set_limits(plan)?;
    let mut command = command_of(plan);
    if let Some(account) = plan.account {
        // The standard library gives up the supplementary groups too.
        command.gid(account.group).uid(account.user);
    }
    set_no_new_privs()?;
    match plan.account {
        Some(_) => files::confine_writes(&plan.directory)?,
        None => files::confine(&plan.directory, plan.is_module.then_some(OWN_BINARY), own_proc)?,
    }
    seccomp::install(plan.resources.network)?;
    let child = command
        .stdin(Stdio::inherit())
        .spawn()
        .map_err(|error| Error::new(error.kind(), format!("{}: {error}", plan.words[0])))?;
    let pid = Pid::from_raw(child.id() as i32);
    drop_streams()?;
    reap(pid)
}

/// A `/proc` that shows only the task's processes. False: it cannot be mounted, as without privileges; the old one shows
/// others' names but, to another user, nothing else, and to the daemon's own user it is closed.
fn mount_proc() -> bool {
    let none: Option<&str> = None;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).is_ok()
        && mount(Some("proc"), "/proc", Some("proc"), flags, none).is_ok()
}

/// The program itself, or this binary with the module.
fn command_of(plan: &LaunchPlan) -> Command {
    if plan.is_module {
        let mut command = Command::new(OWN_BINARY);
        command.arg(LAUNCHER_ARGUMENT).arg(MODULE_ARGUMENT).arg(plan.to_json());
        return command;
    }
    let mut command = Command::new(program(plan));
    command.args(&plan.words[1..]);
    command
}

/// A program without a `/` is looked for in the working directory first.
fn program(plan: &LaunchPlan) -> String {
    let word = &plan.words[0];
    if !word.contains('/') && Path::new(word).is_file() { format!("./{word}") } else { word.clone() }
}

fn set_limits(plan: &LaunchPlan) -> Result<()> {
    let Resources { process_memory_bytes, cpu_seconds, processes, open_files, scratch_bytes, .. } = plan.resources;
    let limit = |what, most: u64| setrlimit(what, most, most).map_err(Error::from);
    limit(Resource::RLIMIT_CORE, 0)?;
    limit(Resource::RLIMIT_FSIZE, scratch_bytes)?;
    match plan.is_module {
        // Most of what a module's process reserves is never used: what is used counts.
        true => {
            limit(Resource::RLIMIT_AS, process_memory_bytes.saturating_add(MODULE_ADDRESS_SPACE))?;
            limit(Resource::RLIMIT_DATA, process_memory_bytes.saturating_add(COMPILER_BYTES))?;
        }
        false => limit(Resource::RLIMIT_AS, process_memory_bytes)?,
    }
    limit(Resource::RLIMIT_NOFILE, open_files.into())?;
    // A second later it is killed for good: the first signal can be ignored.
    setrlimit(Resource::RLIMIT_CPU, cpu_seconds, cpu_seconds + 1)?;
    // Counted by user: without a user or a namespace of its own the daemon's processes would count too.
    if plan.counted_apart || (plan.account.is_some() && Uid::current().is_root()) {
        limit(Resource::RLIMIT_NPROC, u64::from(processes) + 1)?;
    }
    Ok(())
}

/// Waits for the program and, as the first process of the namespace, for orphans.
fn reap(program: Pid) -> Result<i32> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid == program => return Ok(code),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == program => return Ok(SIGNALLED + signal as i32),
            Ok(_) | Err(nix::errno::Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn code_of(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| SIGNALLED + status.signal().unwrap_or(Signal::SIGKILL as i32))
}
