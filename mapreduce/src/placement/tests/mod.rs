//! Placement, event by event, and as a whole under random events.

mod fixture;
mod random_events;
mod rules;
