//! What opening does with the end of the log after a crash.
