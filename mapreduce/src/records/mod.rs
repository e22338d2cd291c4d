//! Records (a key and a value, both bytes) between map and reduce: their order, their division over reduces, sorting in
//! bounded memory.

mod collector;
mod fields;
mod fold;
mod order;
mod partition;
mod sort_buffer;

pub(crate) use collector::{Collector, CollectorSettings, count_output, merge_runs};
pub(crate) use fields::split_line;
pub(crate) use fold::{Combine, Fold, Sum, fold_groups, write_segment};
pub(crate) use order::Order;
pub(crate) use partition::Divide;
pub(crate) use sort_buffer::SortBuffer;

use crate::engine::TaskFailure;

/// Bytes of the key of a record of `terasort`.
pub(crate) const TERA_KEY_BYTES: usize = 10;

/// Records one after the other, in an order.
pub(crate) trait Records {
    /// Goes to the next record. False: there is none.
    fn advance(&mut self) -> Result<bool, TaskFailure>;
    /// Of the record it is at.
    fn key(&self) -> &[u8];
    fn value(&self) -> &[u8];
}
