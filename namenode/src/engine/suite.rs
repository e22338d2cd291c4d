//! The behaviours every metadata engine must show.
