//! Decoding and verifying request bodies.
