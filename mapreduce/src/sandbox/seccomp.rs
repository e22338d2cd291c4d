//! The system calls a task may not make. Everything else is allowed: programs of any kind are to run.

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};
use std::collections::BTreeMap;
use std::io::{Error, Result};

/// Calls that reach into other processes, change the system or make new places to hide: refused with "not permitted".
const REFUSED: [libc::c_long; 31] = [
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    libc::SYS_perf_event_open,
    libc::SYS_bpf,
    libc::SYS_userfaultfd,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_io_uring_setup,
    libc::SYS_acct,
];

/// Kinds of sockets that are no network: between the task's own processes.
const LOCAL_SOCKETS: u64 = libc::AF_UNIX as u64;

/// Installs the filter for this process and all it starts.
pub(super) fn install(network: bool) -> Result<()> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = REFUSED.iter().map(|&call| (call, Vec::new())).collect();
    if !network {
        let other = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, LOCAL_SOCKETS);
        let rule = other.and_then(|condition| SeccompRule::new(vec![condition])).map_err(Error::other)?;
        rules.insert(libc::SYS_socket, vec![rule]);
    }
    let refuse = SeccompAction::Errno(libc::EPERM as u32);
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, refuse, arch).map_err(Error::other)?;
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| Error::other(error))?;
    seccompiler::apply_filter(&program).map_err(Error::other)
}
