//! The crate through real sockets on loopback, with and without TLS.

mod calls;
mod fixture;
mod refusals;
mod streams;
