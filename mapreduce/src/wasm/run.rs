//! A module compiled, and run to its end on this thread.

use super::host::Host;
use super::wasi::{self, Exit};
use super::{START, check};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use wasmtime::{Config, Engine, Error, InstancePre, Module, OptLevel, Store, StoreLimitsBuilder};

/// Bytes of the machine's stack that a module's calls may take: less than what a process has.
const STACK_BYTES: usize = 2 << 20;
/// Elements of its tables: of functions, as a rule.
const TABLE_ELEMENTS_MAX: usize = 1 << 20;

/// A module that has become native code.
pub(crate) struct Compiled {
    engine: Engine,
    ready: InstancePre<Host>,
}

/// How a module's run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// As a process would with this code.
    Exited(i32),
    /// It did what no module may; why, and the functions it was in.
    Trapped(String),
}

impl Compiled {
    /// Checks and compiles a module.
    ///
    /// # Errors
    /// Why it cannot run, for the person who submitted it.
    pub fn new(bytes: &[u8]) -> Result<Compiled, String> {
        check(bytes)?;
        let ready = || -> Result<Compiled, Error> {
            let mut config = Config::new();
            config.cranelift_opt_level(OptLevel::Speed).max_wasm_stack(STACK_BYTES);
            // Its one instance writes into its first contents: a file of them in memory would save nothing.
            config.memory_init_cow(false);
            let engine = Engine::new(&config)?;
            let module = Module::new(&engine, bytes)?;
            let ready = wasi::linker(&engine)?.instantiate_pre(&module)?;
            Ok(Compiled { engine, ready })
        };
        ready().map_err(|error| format!("{error:#}"))
    }

    /// Runs it with this process's streams and environment, within so many bytes of memory.
    ///
    /// # Errors
    /// Why it was not started.
    pub fn run(&self, arguments: &[String], memory_bytes: u64) -> io::Result<Outcome> {
        let memory_bytes = usize::try_from(memory_bytes).unwrap_or(usize::MAX);
        let limits = StoreLimitsBuilder::new()
            .instances(1)
            .memories(1)
            .memory_size(memory_bytes)
            .table_elements(TABLE_ELEMENTS_MAX)
            .build();
        let host = Host::new(limits, streams()?, arguments, environment());
        let mut store = Store::new(&self.engine, host);
        store.limiter(|host| &mut host.limits);
        let begun = self.ready.instantiate(&mut store);
        let outcome = begun.and_then(|instance| {
            let start = instance.get_typed_func::<(), ()>(&mut store, START)?;
            start.call(&mut store, ())
        });
        let flushed = store.data_mut().flush();
        Ok(match outcome {
            Ok(()) => match flushed {
                Ok(()) => Outcome::Exited(0),
                Err(error) => Outcome::Trapped(format!("its last output was not taken: {error}")),
            },
            Err(error) => match error.downcast_ref::<Exit>() {
                Some(Exit(code)) => Outcome::Exited(*code),
                None => Outcome::Trapped(format!("{error:#}")),
            },
        })
    }
}

fn streams() -> io::Result<[File; 3]> {
    Ok([
        File::from(io::stdin().as_fd().try_clone_to_owned()?),
        File::from(io::stdout().as_fd().try_clone_to_owned()?),
        File::from(io::stderr().as_fd().try_clone_to_owned()?),
    ])
}

fn environment() -> Vec<Vec<u8>> {
    let joined = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        [name.into_vec(), b"=".to_vec(), value.into_vec(), b"\0".to_vec()].concat()
    };
    std::env::vars_os().map(joined).collect()
}
