//! Whether a module can run here, by reading it: nothing is compiled.

use super::signatures::{PROC_EXIT, WASI, parameters_of};
use super::{MEMORY, MODULE_BYTES_MAX, START};
use wasmtime::wasmparser::types::{EntityType, Types};
use wasmtime::wasmparser::{Export, FuncType, Import, Parser, Payload, ValType, Validator, WasmFeatures};

/// What the format begins with; behind it is the version, 1 for modules.
const MAGIC: &[u8] = b"\0asm";
const VERSION: &[u8] = &[1, 0, 0, 0];

/// Whether the bytes are a module that can run as a job's program.
///
/// # Errors
/// Why not, for the person who submitted it.
pub(crate) fn check(bytes: &[u8]) -> Result<(), String> {
    if bytes.len() > MODULE_BYTES_MAX {
        return Err(format!("it is longer than {MODULE_BYTES_MAX} bytes"));
    }
    let version = bytes.strip_prefix(MAGIC).ok_or("it does not begin as a WebAssembly module does")?;
    if !version.starts_with(VERSION) {
        return Err("it is a component or of another version: a module for WASI preview 1 (wasip1) is meant".into());
    }
    // Garbage-collected references need more of a runtime than is here.
    let features = WasmFeatures::WASM2.difference(WasmFeatures::GC_TYPES);
    let types = Validator::new_with_features(features).validate_all(bytes).map_err(|error| error.to_string())?;
    let (mut starts, mut has_memory) = (false, false);
    for payload in Parser::new(0).parse_all(bytes) {
        match payload.map_err(|error| error.to_string())? {
            Payload::ImportSection(imports) => {
                for import in imports.into_imports() {
                    check_import(&types, &import.map_err(|error| error.to_string())?)?;
                }
            }
            Payload::ExportSection(exports) => {
                for export in exports {
                    let export = export.map_err(|error| error.to_string())?;
                    starts |= export.name == START && is_start(&types, &export);
                    has_memory |= export.name == MEMORY
                        && matches!(types.as_ref().entity_type_from_export(&export), Some(EntityType::Memory(_)));
                }
            }
            _ => {}
        }
    }
    match (starts, has_memory) {
        (true, true) => Ok(()),
        (false, _) => Err(format!("it has no function {START} to begin with: a command is meant, not a library")),
        (true, false) => Err(format!("it does not export its memory as {MEMORY:?}")),
    }
}

fn check_import(types: &Types, import: &Import<'_>) -> Result<(), String> {
    let what = format!("{:?} of {:?}", import.name, import.module);
    let parameters = match import.module {
        WASI => parameters_of(import.name),
        _ => None,
    };
    let Some(parameters) = parameters else {
        return Err(format!("it imports {what}: only the calls of WASI preview 1 ({WASI}) are there"));
    };
    let fits = match types.as_ref().entity_type_from_import(import) {
        Some(EntityType::Func(id)) => is_call(types[id].unwrap_func(), import.name, parameters),
        _ => false,
    };
    if fits { Ok(()) } else { Err(format!("it imports {what} as something else than that call")) }
}

fn is_call(function: &FuncType, name: &str, parameters: &str) -> bool {
    let of_letter = |letter| if letter == 'I' { ValType::I64 } else { ValType::I32 };
    let results: &[ValType] = if name == PROC_EXIT { &[] } else { &[ValType::I32] };
    function.params().iter().copied().eq(parameters.chars().map(of_letter)) && function.results() == results
}

fn is_start(types: &Types, export: &Export<'_>) -> bool {
    match types.as_ref().entity_type_from_export(export) {
        Some(EntityType::Func(id)) => {
            let function = types[id].unwrap_func();
            function.params().is_empty() && function.results().is_empty()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(text: &str) -> Result<(), String> {
        check(&wat::parse_str(text).unwrap())
    }

    #[test]
    fn commands_are_taken() {
        checked(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
        let exit = r#"(import "wasi_snapshot_preview1" "proc_exit" (func (param i32)))"#;
        let open = r#"(import "wasi_snapshot_preview1" "path_open"
            (func (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))"#;
        checked(&format!(r#"(module {exit} {open} (memory (export "memory") 1) (func (export "_start")))"#)).unwrap();
    }

    #[test]
    fn everything_else_is_refused_with_a_reason() {
        let refused = |text: &str, reason: &str| {
            let said = checked(text).unwrap_err();
            assert!(said.contains(reason), "{said}");
        };
        refused(r#"(module (memory (export "memory") 1))"#, "no function _start");
        refused(r#"(module (memory (export "memory") 1) (func (export "_start") (param i32)))"#, "no function _start");
        refused(r#"(module (func (export "_start")))"#, "memory");
        refused(r#"(module (import "env" "system" (func)) (func (export "_start")))"#, "\"system\" of \"env\"");
        let wrong = r#"(import "wasi_snapshot_preview1" "fd_write" (func (param i32) (result i32)))"#;
        refused(&format!("(module {wrong})"), "something else than that call");
        refused(r#"(module (import "wasi_snapshot_preview1" "fd_write" (memory 1)))"#, "something else");
        refused("(component)", "component");
        assert!(check(b"#!/bin/sh").unwrap_err().contains("does not begin"));
        let whole = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
        for end in 0..whole.len() {
            assert!(check(&whole[..end]).is_err(), "cut at {end}");
        }
    }
}
