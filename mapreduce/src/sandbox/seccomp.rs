//! The system calls a task may not make, while everything else is allowed: programs of any kind are to run. For a module
//! that is compiled it is the other way round: a list of what its process still needs.

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

/// What a module's process needs: its streams, memory, clocks, random numbers, signals of its own, and to end.
const ALLOWED: [libc::c_long; 37] = [
    libc::SYS_read,
    libc::SYS_readv,
    libc::SYS_write,
    libc::SYS_writev,
    libc::SYS_close,
    libc::SYS_fcntl,
    libc::SYS_fstat,
    libc::SYS_lseek,
    libc::SYS_ppoll,
    libc::SYS_mmap,
    libc::SYS_munmap,
    libc::SYS_mprotect,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    libc::SYS_futex,
    libc::SYS_membarrier,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    libc::SYS_restart_syscall,
    libc::SYS_tgkill,
    libc::SYS_gettid,
    libc::SYS_getpid,
    libc::SYS_clock_gettime,
    libc::SYS_clock_getres,
    libc::SYS_clock_nanosleep,
    libc::SYS_nanosleep,
    libc::SYS_gettimeofday,
    libc::SYS_getrandom,
    libc::SYS_sched_yield,
    libc::SYS_getrlimit,
    libc::SYS_prlimit64,
    libc::SYS_rseq,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// Of `clone`: a user namespace, in which a task would have every right. Without it no other namespace can be made.
const NEW_NAMESPACES: u64 = libc::CLONE_NEWUSER as u64;

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
    let namespaces = SeccompCmpOp::MaskedEq(NEW_NAMESPACES);
    let user = SeccompCondition::new(0, SeccompCmpArgLen::Qword, namespaces, NEW_NAMESPACES);
    let rule = user.and_then(|condition| SeccompRule::new(vec![condition])).map_err(Error::other)?;
    rules.insert(libc::SYS_clone, vec![rule]);
    apply(SeccompFilter::new(rules, SeccompAction::Allow, REFUSE, arch).map_err(Error::other)?)?;
    // Its flags lie in memory, where no filter looks. Programs that find it missing fall back to `clone`.
    let missing = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    let say_so = SeccompAction::Errno(libc::ENOSYS as u32);
    apply(SeccompFilter::new(missing, SeccompAction::Allow, say_so, arch).map_err(Error::other)?)
}

/// Installs the filter for this process, which runs a module from now on.
pub(super) fn install_for_module() -> Result<()> {
    let Ok(arch) = TargetArch::try_from(std::env::consts::ARCH) else { return Ok(()) };
    let rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|&call| (call, Vec::new())).collect();
    apply(SeccompFilter::new(rules, REFUSE, SeccompAction::Allow, arch).map_err(Error::other)?)
}

/// "Not permitted."
const REFUSE: SeccompAction = SeccompAction::Errno(libc::EPERM as u32);

fn apply(filter: SeccompFilter) -> Result<()> {
    let program: BpfProgram = filter.try_into().map_err(|error: seccompiler::BackendError| Error::other(error))?;
    seccompiler::apply_filter(&program).map_err(Error::other)
}
