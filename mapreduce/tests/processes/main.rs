//! Streaming jobs with real processes, and what the sandbox keeps them from. The test itself is the launcher.

#![allow(clippy::unwrap_used)]

use granary_mapreduce::{engine, placement, plan, sandbox, shuffle, spec};
use std::process::ExitCode;

#[path = "../../src/engine/tests/fixture.rs"]
mod fixture;
mod limits;
mod modules;
mod streaming;

/// A behaviour and its name.
type Case = (&'static str, fn());

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && first == sandbox::LAUNCHER_ARGUMENT
    {
        return ExitCode::from(u8::try_from(sandbox::launcher_main(rest)).unwrap());
    }
    let wanted = arguments.iter().find(|argument| !argument.starts_with('-'));
    let mut failed = 0;
    for (name, case) in streaming::CASES.iter().chain(&limits::CASES).chain(&modules::CASES) {
        if wanted.is_some_and(|wanted| !name.contains(wanted.as_str())) {
            continue;
        }
        let outcome = std::panic::catch_unwind(case);
        println!("test {name} ... {}", if outcome.is_ok() { "ok" } else { "FAILED" });
        failed += u32::from(outcome.is_err());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
