//! The scanner: finds what is due in buckets that have rules, and has it done by commands that name what was judged.
//!
//! [`judge`] is pure: a page of versions gives actions, the end of a scan gives the moment of the next one. [`Scanner`] does
//! the asking and keeps to the rate. It works where it leads: beside every namenode one is running, and all but the
//! leader's wait. How far a scan has come is kept by the namenode with the actions themselves.

mod judge;
mod scanner;
mod settling;

pub use scanner::{RulesReader, Scanner, ScannerComponents};
