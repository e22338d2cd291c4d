//! Behaviour of the soft state as reports and effects come in.
