//! What becomes of objects as they age: the rules of a bucket's lifecycle configuration.
//!
//! [`rules`] is pure: a configuration, what is known of an object and a time give an action. How a configuration is
//! written in XML is the S3 door's business.

pub mod rules;
