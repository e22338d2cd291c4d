//! Tests of the hard state: rules by example, and random commands against a naive model.

mod block_rules;
mod bounds;
mod conditions;
mod entities;
mod file_calls;
mod file_model;
mod files;
mod fixture;
mod group_rules;
mod invariants;
mod job_rules;
mod lifecycle_rules;
mod listing;
mod locks;
mod model;
mod numbered;
mod open_files;
mod random_commands;
mod random_files;
mod rules;
mod sealed_rules;
mod upload_rules;
mod version_listing;
