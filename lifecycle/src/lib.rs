//! What becomes of objects as they age: the rules of a bucket's lifecycle configuration, and the worker that carries them
//! out.
//!
//! [`rules`] is pure: a configuration, what is known of an object and a time give an action. How a configuration is
//! written in XML is the S3 door's business. [`workers`] scans the buckets that have rules, beside the leading namenode.
//! [`archive`] keeps the blocks of archived classes at S3 endpoints elsewhere.

pub mod archive;
pub mod rules;
pub mod settings;
pub mod workers;

pub use settings::LifecycleSettings;
