//! The process that a WebAssembly module runs in: a launcher's child, within all that holds for native programs. It is this
//! same binary, and once the module is compiled it gives up everything but its three streams, memory and clocks.

use super::plan::{LaunchPlan, NOT_STARTED, TRAPPED};
use super::seccomp;
use crate::wasm::{Compiled, MODULE_BYTES_MAX, Outcome};
use std::fs::File;
use std::io::{Read, Result, Write};

/// Says which step of a launcher is meant, before the plan.
pub(super) const MODULE_ARGUMENT: &str = "module";

/// Runs the module that the plan names; the answer is the exit code.
pub(super) fn run(plan: &LaunchPlan) -> Result<i32> {
    let mut bytes = Vec::new();
    File::open(&plan.words[0])?.take(MODULE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
    let compiled = match Compiled::new(&bytes) {
        Ok(compiled) => compiled,
        Err(reason) => {
            say(plan, &reason);
            return Ok(NOT_STARTED);
        }
    };
    seccomp::install_for_module()?;
    Ok(match compiled.run(&plan.words, plan.resources.process_memory_bytes)? {
        // What a process can say to whoever waits for it.
        Outcome::Exited(code) => code & 0xff,
        Outcome::Trapped(reason) => {
            say(plan, &reason);
            TRAPPED
        }
    })
}

fn say(plan: &LaunchPlan, reason: &str) {
    // There is nowhere else to say it.
    let _ = writeln!(std::io::stderr(), "{}: {reason}", plan.words[0]);
}
