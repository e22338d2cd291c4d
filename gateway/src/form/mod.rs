//! A browser's upload form: `POST` of `multipart/form-data` to a bucket.
//!
//! Layers, each usable alone and without I/O: `FormParser` (bytes in, events out), [`FormFields`] (what stood before the
//! file), [`PostPolicy`] (what the signer allowed), [`FormFile`] (the file's bytes, counted against the policy).
//!
//! Invariants: memory is bounded whatever the form; nothing of the form counts except through a policy that covers it, or
//! with the rights of an anonymous caller; a file becomes visible only after the form was read to its end.
//!
//! Not here: the signature over the policy (`auth`), and what the caller may do.
//!
//! Source: "Browser-based uploads using POST", Amazon S3 API reference; RFC 7578.

mod fields;
mod file;
mod parser;
mod policy;

pub(crate) use fields::{FormCredentials, FormFields};
pub(crate) use file::FormFile;
pub(crate) use parser::{FormEvent, FormParser, boundary_of};
pub(crate) use policy::{PolicyScope, PostPolicy};
