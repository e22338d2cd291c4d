//! Tests of the hard state: rules by example, and random commands against a naive model.

mod block_rules;
mod fixture;
mod invariants;
mod listing;
mod model;
mod random_commands;
mod rules;
mod upload_rules;
