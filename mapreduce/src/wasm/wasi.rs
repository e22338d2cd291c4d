//! The calls of WASI preview 1 that programs of standard input and output make. All others answer that there is none.

use super::MEMORY;
use super::errno::{BAD_FD, Errno, INVALID, IO, NO_SYSTEM_CALL, NOT_SEEKABLE, SUCCESS};
use super::guest::{self, put, put_u32, put_u64};
use super::host::{Host, answered};
use super::poll;
use super::signatures::{PROC_EXIT, UNANSWERED, WASI};
use nix::time::{ClockId, clock_getres, clock_gettime};
use wasmtime::{Caller, Engine, Error, Extern, FuncType, Linker, Memory, Val, ValType};

/// Of the descriptions that calls write: a stream's state, a file's.
const STREAM_STATE_BYTES: usize = 24;
const FILE_STATE_BYTES: usize = 64;
/// Rights of a stream: to be read, to be written, to be waited for.
const MAY_READ: u64 = 1 << 1;
const MAY_WRITE: u64 = 1 << 6;
const MAY_POLL: u64 = 1 << 27;

/// The module has asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("exited with code {0}")]
pub(super) struct Exit(pub i32);

/// Everything a module may import.
pub(super) fn linker(engine: &Engine) -> Result<Linker<Host>, Error> {
    let mut linker = Linker::new(engine);
    link_texts(&mut linker)?;
    link_streams(&mut linker)?;
    link_others(&mut linker)?;
    link_unanswered(&mut linker, engine)?;
    Ok(linker)
}

/// Has the call done with the module's memory and its state.
fn with(
    caller: &mut Caller<'_, Host>,
    call: impl FnOnce(&mut [u8], &mut Host) -> Result<(), Errno>,
) -> Result<Errno, Error> {
    let memory = memory(caller)?;
    let (memory, host) = memory.data_and_store_mut(caller);
    Ok(answered(call(memory, host)))
}

fn memory(caller: &mut Caller<'_, Host>) -> Result<Memory, Error> {
    if let Some(memory) = caller.data().memory {
        return Ok(memory);
    }
    let memory = caller.get_export(MEMORY).and_then(Extern::into_memory);
    let memory = memory.ok_or_else(|| Error::msg("it has no memory"))?;
    caller.data_mut().memory = Some(memory);
    Ok(memory)
}

fn link_texts(linker: &mut Linker<Host>) -> Result<(), Error> {
    linker.func_wrap(WASI, "args_sizes_get", |mut caller: Caller<'_, Host>, count: u32, bytes: u32| {
        with(&mut caller, |memory, host| put_sizes(memory, &host.arguments, count, bytes))
    })?;
    linker.func_wrap(WASI, "args_get", |mut caller: Caller<'_, Host>, places: u32, texts: u32| {
        with(&mut caller, |memory, host| put_texts(memory, &host.arguments, places, texts))
    })?;
    linker.func_wrap(WASI, "environ_sizes_get", |mut caller: Caller<'_, Host>, count: u32, bytes: u32| {
        with(&mut caller, |memory, host| put_sizes(memory, &host.environment, count, bytes))
    })?;
    linker.func_wrap(WASI, "environ_get", |mut caller: Caller<'_, Host>, places: u32, texts: u32| {
        with(&mut caller, |memory, host| put_texts(memory, &host.environment, places, texts))
    })?;
    Ok(())
}

fn put_sizes(memory: &mut [u8], texts: &[Vec<u8>], count: u32, bytes: u32) -> Result<(), Errno> {
    put_u32(memory, count, texts.len() as u32)?;
    put_u32(memory, bytes, texts.iter().map(Vec::len).sum::<usize>() as u32)
}

fn put_texts(memory: &mut [u8], texts: &[Vec<u8>], places: u32, mut at: u32) -> Result<(), Errno> {
    for (index, text) in (0..).zip(texts) {
        put_u32(memory, guest::nth(places, index, 4)?, at)?;
        put(memory, at, text)?;
        at = guest::nth(at, text.len() as u32, 1)?;
    }
    Ok(())
}

fn link_streams(linker: &mut Linker<Host>) -> Result<(), Error> {
    type Call<'a> = Caller<'a, Host>;
    linker.func_wrap(WASI, "fd_read", |mut caller: Call<'_>, fd: u32, buffers: u32, count: u32, done: u32| {
        with(&mut caller, |memory, host| {
            let bytes = host.read(memory, fd, buffers, count)?;
            put_u32(memory, done, bytes)
        })
    })?;
    linker.func_wrap(WASI, "fd_write", |mut caller: Call<'_>, fd: u32, buffers: u32, count: u32, done: u32| {
        with(&mut caller, |memory, host| {
            let bytes = host.write(memory, fd, buffers, count)?;
            put_u32(memory, done, bytes)
        })
    })?;
    linker.func_wrap(WASI, "fd_close", |mut caller: Call<'_>, fd: u32| answered(caller.data_mut().close(fd)))?;
    linker.func_wrap(WASI, "fd_seek", |caller: Call<'_>, fd: u32, _: i64, _: u32, _: u32| {
        answered(caller.data().expect_open(fd).and(Err(NOT_SEEKABLE)))
    })?;
    linker.func_wrap(WASI, "fd_fdstat_get", |mut caller: Call<'_>, fd: u32, to: u32| {
        with(&mut caller, |memory, host| {
            host.expect_open(fd)?;
            let mut state = [0; STREAM_STATE_BYTES];
            let rights = MAY_POLL | if fd == 0 { MAY_READ } else { MAY_WRITE };
            state[8..16].copy_from_slice(&rights.to_le_bytes());
            put(memory, to, &state)
        })
    })?;
    // Streams wait, whatever is asked for: a program that takes them for ready gets its bytes all the same.
    linker.func_wrap(WASI, "fd_fdstat_set_flags", |caller: Call<'_>, fd: u32, _: u32| {
        answered(caller.data().expect_open(fd))
    })?;
    linker.func_wrap(WASI, "fd_filestat_get", |mut caller: Call<'_>, fd: u32, to: u32| {
        with(&mut caller, |memory, host| {
            host.expect_open(fd)?;
            put(memory, to, &[0; FILE_STATE_BYTES])
        })
    })?;
    // No directory is open: the first that is asked about ends the search.
    linker.func_wrap(WASI, "fd_prestat_get", |_: Call<'_>, _: u32, _: u32| BAD_FD)?;
    linker.func_wrap(WASI, "fd_prestat_dir_name", |_: Call<'_>, _: u32, _: u32, _: u32| BAD_FD)?;
    Ok(())
}

fn link_others(linker: &mut Linker<Host>) -> Result<(), Error> {
    type Call<'a> = Caller<'a, Host>;
    linker.func_wrap(WASI, PROC_EXIT, |_: Call<'_>, code: i32| -> Result<(), Error> { Err(Exit(code).into()) })?;
    linker.func_wrap(WASI, "sched_yield", |_: Call<'_>| SUCCESS)?;
    linker.func_wrap(WASI, "random_get", |mut caller: Call<'_>, to: u32, bytes: u32| {
        with(&mut caller, |memory, _| {
            let range = guest::range(memory, to, bytes)?;
            getrandom::fill(&mut memory[range]).map_err(|_| IO)
        })
    })?;
    linker.func_wrap(WASI, "clock_time_get", |mut caller: Call<'_>, clock: u32, _: i64, to: u32| {
        with(&mut caller, |memory, _| put_u64(memory, to, now_ns(clock)?))
    })?;
    linker.func_wrap(WASI, "clock_res_get", |mut caller: Call<'_>, clock: u32, to: u32| {
        with(&mut caller, |memory, _| {
            let resolution = clock_getres(clock_of(clock)?).map_err(|_| INVALID)?;
            put_u64(memory, to, nanoseconds(resolution))
        })
    })?;
    linker.func_wrap(
        WASI,
        "poll_oneoff",
        |mut caller: Call<'_>, subscriptions: u32, events: u32, count: u32, done: u32| {
            with(&mut caller, |memory, host| {
                host.flush().map_err(|_| IO)?;
                let happened = poll::wait(memory, subscriptions, events, count)?;
                put_u32(memory, done, happened)
            })
        },
    )?;
    Ok(())
}

/// Nanoseconds of a clock by its number.
pub(super) fn now_ns(clock: u32) -> Result<u64, Errno> {
    clock_gettime(clock_of(clock)?).map(nanoseconds).map_err(|_| INVALID)
}

fn clock_of(clock: u32) -> Result<ClockId, Errno> {
    match clock {
        0 => Ok(ClockId::CLOCK_REALTIME),
        1 => Ok(ClockId::CLOCK_MONOTONIC),
        2 => Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID),
        3 => Ok(ClockId::CLOCK_THREAD_CPUTIME_ID),
        _ => Err(INVALID),
    }
}

fn nanoseconds(time: nix::sys::time::TimeSpec) -> u64 {
    const NS_PER_S: u64 = 1_000_000_000;
    (time.tv_sec() as u64).saturating_mul(NS_PER_S).saturating_add(time.tv_nsec() as u64)
}

fn link_unanswered(linker: &mut Linker<Host>, engine: &Engine) -> Result<(), Error> {
    for (name, parameters) in UNANSWERED {
        let of_letter = |letter| if letter == 'I' { ValType::I64 } else { ValType::I32 };
        let signature = FuncType::new(engine, parameters.chars().map(of_letter), [ValType::I32]);
        linker.func_new(WASI, name, signature, |_, _, results| {
            results[0] = Val::I32(NO_SYSTEM_CALL);
            Ok(())
        })?;
    }
    Ok(())
}
