//! The log's promises in ordinary operation.
