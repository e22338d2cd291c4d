//! Reading rows: from the engine, from a snapshot of it, or through a transaction.

use super::layout;
use super::records::Counters;
use crate::engine::{Engine, EngineError, EngineSnapshot, Scan};
use crate::error::StateError;
use bytes::Bytes;
use granary_protocol::object::PAGE_ENTRIES_MAX;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Something rows can be read from.
pub trait View {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// The rows with `from <= key < until` (`None`: to the end), in byte order.
    fn scan<'v>(&'v self, from: &[u8], until: Option<&[u8]>) -> Scan<'v>;
}

impl View for dyn Engine {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Engine::get(self, key)
    }

    fn scan<'v>(&'v self, from: &[u8], until: Option<&[u8]>) -> Scan<'v> {
        Engine::scan(self, from, until)
    }
}

impl View for dyn EngineSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        EngineSnapshot::get(self, key)
    }

    fn scan<'v>(&'v self, from: &[u8], until: Option<&[u8]>) -> Scan<'v> {
        EngineSnapshot::scan(self, from, until)
    }
}

/// The counters; all zero before the cluster is formatted.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn counters<V: View + ?Sized>(view: &V) -> Result<Counters, StateError> {
    Ok(read(view, &layout::meta("counters"))?.unwrap_or_default())
}

/// Decodes the row at `key`.
pub(super) fn read<V: View + ?Sized, T: DeserializeOwned>(view: &V, key: &[u8]) -> Result<Option<T>, StateError> {
    match view.get(key)? {
        Some(value) => decode(key, &value).map(Some),
        None => Ok(None),
    }
}

/// Decodes the beginning of the row at `key`.
pub(super) fn read_head<V: View + ?Sized, T: DeserializeOwned>(view: &V, key: &[u8]) -> Result<Option<T>, StateError> {
    match view.get(key)? {
        Some(value) => decode_head(key, &value).map(|(head, _)| Some(head)),
        None => Ok(None),
    }
}

pub(super) fn decode<T: DeserializeOwned>(key: &[u8], value: &[u8]) -> Result<T, StateError> {
    postcard::from_bytes(value).map_err(|error| undecodable(key, error.to_string()))
}

pub(super) fn decode_head<'b, T: DeserializeOwned>(key: &[u8], value: &'b [u8]) -> Result<(T, &'b [u8]), StateError> {
    postcard::take_from_bytes(value).map_err(|error| undecodable(key, error.to_string()))
}

/// Rows of a table whose keys are names, starting after `after`, at most `limit` and never more than
/// [`PAGE_ENTRIES_MAX`]; and whether there are more.
pub(super) fn page_by_name<V: View + ?Sized, T: DeserializeOwned>(
    view: &V,
    table: u8,
    after: Option<&str>,
    limit: u32,
) -> Result<(Vec<(String, T)>, bool), StateError> {
    let limit = limit.min(PAGE_ENTRIES_MAX) as usize;
    let mut from = layout::named(table, after.unwrap_or_default());
    if after.is_some() {
        from.push(0);
    }
    let mut page = Vec::new();
    for pair in view.scan(&from, Some(&layout::after_prefix(&layout::table(table)))) {
        let (key, value) = pair?;
        if page.len() == limit {
            return Ok((page, limit > 0));
        }
        let name = std::str::from_utf8(&key[1..]).map_err(|error| undecodable(&key, error.to_string()))?;
        page.push((name.to_owned(), decode(&key, &value)?));
    }
    Ok((page, false))
}

pub(super) fn encode<T: Serialize + ?Sized>(record: &T) -> Vec<u8> {
    postcard::to_stdvec(record).expect("records hold nothing that postcard cannot write, and a Vec grows")
}

pub(super) fn undecodable(key: &[u8], detail: impl Into<String>) -> StateError {
    let table = key.first().map_or("?", |table| layout::table_name(*table));
    StateError::Undecodable { table, detail: detail.into() }
}

pub(super) fn inconsistent(detail: impl Into<String>) -> StateError {
    StateError::Inconsistent { detail: detail.into() }
}

/// Moves a sum by `delta`. Sums are over rows that exist, so falling below zero means that rows are missing.
pub(super) fn moved(sum: u64, delta: i64, what: &str) -> Result<u64, StateError> {
    sum.checked_add_signed(delta).ok_or_else(|| inconsistent(format!("{what} is {sum} and should change by {delta}")))
}
