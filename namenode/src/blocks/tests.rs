//! Behaviour of the soft state as effects and reports come in, from the outside: effects and messages in, locations,
//! commands and figures out.

mod coding;
mod compaction;
mod fixture;
mod leadership;
mod ledger_model;
mod media;
mod repairing;
mod reports;
mod sealing;
