//! The functions of the C library that a run sees in place of the system's.
//!
//! Each asks whether this thread is in a run and whether the file is one of a simulated disk, and otherwise makes the system
//! call that the C library would make. They are linked into this program alone.

#![allow(unsafe_code, reason = "these are the C library's functions, with its signatures")]

use super::disk::Disk;
use super::{DISK, NOW, RANDOM};
use libc::{c_char, c_int, c_long, c_uint, c_void, mode_t, off_t, size_t, ssize_t};
use std::ffi::CStr;
use std::sync::atomic::{AtomicPtr, Ordering};

/// Seconds since 1970 at the beginning of every run.
const BEGAN_S: u64 = 1_800_000_000;
/// Seconds for which a machine has been up at the beginning of a run.
const UP_S: u64 = 1_000_000;

/// What a simulated disk answers: `Err` is an `errno`.
type Answer = Result<c_long, c_int>;

/// The disk's answer, or the system's where it is none of the disk's business.
fn answer(simulated: Option<Answer>, system: impl FnOnce() -> c_long) -> c_long {
    match simulated {
        None => system(),
        Some(Ok(value)) => value,
        Some(Err(errno)) => {
            // SAFETY: the address of this thread's `errno` is always valid.
            unsafe { *libc::__errno_location() = errno };
            -1
        }
    }
}

/// Asks the disks of this thread, unless they are at work themselves.
fn ask(work: impl FnOnce(&mut Disk) -> Option<Answer>) -> Option<Answer> {
    DISK.try_with(|disk| disk.try_borrow_mut().ok().and_then(|mut disk| disk.as_mut().and_then(work))).ok().flatten()
}

/// SAFETY: `path` must be a C string, as the C library demands.
unsafe fn path_of<'a>(path: *const c_char) -> &'a [u8] {
    unsafe { CStr::from_ptr(path) }.to_bytes()
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    let drawn = RANDOM.try_with(|random| {
        let Ok(mut random) = random.try_borrow_mut() else { return false };
        let Some(random) = random.as_mut() else { return false };
        // SAFETY: the caller gives `length` writable bytes.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        bytes.fill_with(|| (random.next() >> 32) as u8);
        true
    });
    match drawn {
        Ok(true) => length as ssize_t,
        // SAFETY: the arguments are passed on.
        _ => unsafe { system_call()(libc::SYS_getrandom, buffer, length, flags) as ssize_t },
    }
}

type SystemCall = unsafe extern "C" fn(c_long, ...) -> c_long;

/// The C library's own `syscall`.
fn system_call() -> SystemCall {
    static FOUND: AtomicPtr<c_void> = AtomicPtr::new(std::ptr::null_mut());
    let mut found = FOUND.load(Ordering::Relaxed);
    if found.is_null() {
        // SAFETY: the name is a C string.
        found = unsafe { libc::dlsym(libc::RTLD_NEXT, c"syscall".as_ptr()) };
        assert!(!found.is_null(), "the C library has a function `syscall`");
        FOUND.store(found, Ordering::Relaxed);
    }
    // SAFETY: this is the function's type.
    unsafe { std::mem::transmute::<*mut c_void, SystemCall>(found) }
}

/// Some draw random numbers without `getrandom`. Variadic in C; its arguments are passed alike either way, and those that a
/// caller leaves out mean nothing.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn syscall(
    number: c_long,
    first: size_t,
    second: size_t,
    third: size_t,
    fourth: size_t,
    fifth: size_t,
    sixth: size_t,
) -> c_long {
    // SAFETY: the arguments are passed on.
    unsafe {
        if number == libc::SYS_getrandom {
            return getrandom(first as *mut c_void, second, third as c_uint) as c_long;
        }
        system_call()(number, first, second, third, fourth, fifth, sixth)
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> c_int {
    match NOW.try_with(std::cell::Cell::get).ok().flatten() {
        Some(now) => {
            let base = if clock == libc::CLOCK_REALTIME { BEGAN_S } else { UP_S };
            let seconds = base + now / 1_000_000_000;
            // SAFETY: the caller gives a writable `timespec`.
            unsafe {
                (*time).tv_sec = seconds as libc::time_t;
                (*time).tv_nsec = (now % 1_000_000_000) as c_long;
            }
            0
        }
        // SAFETY: the arguments are passed on.
        None => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int },
    }
}

/// Variadic in C; the third argument is passed in the same register either way.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn open64(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the caller's `path` is a C string; the arguments are passed on.
    unsafe {
        let system =
            || libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path, flags | libc::O_LARGEFILE, mode as c_uint);
        let refused = ask(|disk| disk.may_open(path_of(path), flags));
        if refused.is_some() {
            return answer(refused, system) as c_int;
        }
        let fd = system() as c_int;
        if fd >= 0 {
            ask(|disk| disk.opened(path_of(path), flags, fd));
        }
        fd
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn open(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
    // SAFETY: the same function.
    unsafe { open64(path, flags, mode) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn pwrite64(fd: c_int, bytes: *const c_void, length: size_t, offset: off_t) -> ssize_t {
    // SAFETY: the caller gives `length` readable bytes; the arguments are passed on.
    unsafe {
        let data = std::slice::from_raw_parts(bytes.cast::<u8>(), length);
        let refused = ask(|disk| disk.may_write(fd, offset as u64, data));
        answer(refused, || libc::syscall(libc::SYS_pwrite64, fd, bytes, length, offset)) as ssize_t
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, length: size_t) -> ssize_t {
    // SAFETY: the caller gives `length` readable bytes; the arguments are passed on.
    unsafe {
        let refused = ask(|disk| {
            disk.knows(fd).then(|| {
                let offset = libc::syscall(libc::SYS_lseek, fd, 0, libc::SEEK_CUR);
                let data = std::slice::from_raw_parts(bytes.cast::<u8>(), length);
                disk.may_write(fd, offset as u64, data)
            })?
        });
        answer(refused, || libc::syscall(libc::SYS_write, fd, bytes, length)) as ssize_t
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate64(fd: c_int, length: off_t) -> c_int {
    let refused = ask(|disk| disk.may_cut(fd, length as u64));
    // SAFETY: the arguments are passed on.
    answer(refused, || unsafe { libc::syscall(libc::SYS_ftruncate, fd, length) }) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn ftruncate(fd: c_int, length: off_t) -> c_int {
    // SAFETY: the same function where offsets have 64 bits.
    unsafe { ftruncate64(fd, length) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fsync(fd: c_int) -> c_int {
    // SAFETY: the argument is passed on.
    answer(ask(|disk| disk.sync(fd)), || unsafe { libc::syscall(libc::SYS_fsync, fd) }) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn fdatasync(fd: c_int) -> c_int {
    // SAFETY: the argument is passed on.
    answer(ask(|disk| disk.sync(fd)), || unsafe { libc::syscall(libc::SYS_fdatasync, fd) }) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: both are C strings; the arguments are passed on.
    unsafe {
        let system = || libc::syscall(libc::SYS_renameat, libc::AT_FDCWD, from, libc::AT_FDCWD, to);
        let refused = ask(|disk| disk.may_change(path_of(from)));
        let done = answer(refused, system);
        if done == 0 {
            ask(|disk| disk.renamed(path_of(from), path_of(to)));
        }
        done as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: it is a C string; the argument is passed on.
    unsafe {
        let refused = ask(|disk| disk.may_change(path_of(path)));
        let done = answer(refused, || libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0));
        if done == 0 {
            ask(|disk| disk.removed(path_of(path)));
        }
        done as c_int
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn mkdir(path: *const c_char, mode: mode_t) -> c_int {
    // SAFETY: it is a C string; the arguments are passed on.
    unsafe {
        let refused = ask(|disk| disk.may_change(path_of(path)));
        let done = answer(refused, || libc::syscall(libc::SYS_mkdirat, libc::AT_FDCWD, path, mode as c_uint));
        if done == 0 {
            ask(|disk| disk.made_directory(path_of(path)));
        }
        done as c_int
    }
}

/// A lock that outlived its process would keep the next one out; no two processes share a simulated disk.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn flock(fd: c_int, operation: c_int) -> c_int {
    let granted = ask(|disk| disk.knows(fd).then_some(Ok(0)));
    // SAFETY: the arguments are passed on.
    answer(granted, || unsafe { libc::syscall(libc::SYS_flock, fd, operation) }) as c_int
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn statvfs(path: *const c_char, found: *mut libc::statvfs) -> c_int {
    // SAFETY: `path` is a C string and `found` writable, as the C library demands; all zeros is a `statvfs`.
    unsafe {
        let space = ask(|disk| disk.free_bytes(path_of(path)).map(|free| Ok(free as c_long)));
        match space {
            Some(Ok(free)) => {
                *found = std::mem::zeroed();
                (*found).f_bsize = 4096;
                (*found).f_frsize = 4096;
                (*found).f_blocks = super::disk::CAPACITY_BYTES / 4096;
                (*found).f_bfree = free as u64 / 4096;
                (*found).f_bavail = free as u64 / 4096;
                0
            }
            _ => system_statvfs(path, found),
        }
    }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn statvfs64(path: *const c_char, found: *mut libc::statvfs) -> c_int {
    // SAFETY: the same function where offsets have 64 bits.
    unsafe { statvfs(path, found) }
}

/// SAFETY: as [`statvfs`].
unsafe fn system_statvfs(path: *const c_char, found: *mut libc::statvfs) -> c_int {
    unsafe {
        let mut stat: libc::statfs = std::mem::zeroed();
        if libc::syscall(libc::SYS_statfs, path, &raw mut stat) != 0 {
            return -1;
        }
        *found = std::mem::zeroed();
        (*found).f_bsize = stat.f_bsize as u64;
        (*found).f_frsize = stat.f_frsize as u64;
        (*found).f_blocks = stat.f_blocks;
        (*found).f_bfree = stat.f_bfree;
        (*found).f_bavail = stat.f_bavail;
        0
    }
}
