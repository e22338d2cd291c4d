//! The S3 door over real sockets: a gateway in this process, before a namenode and a datanode that live in memory.
//!
//! The namenode here knows just enough rules to answer; whether the real one keeps them is tested where it lives, and the
//! two together in the cluster tests.

mod access;
mod access_log;
mod admin_routes;
mod bucket_configuration;
mod cors;
mod datanode;
mod encryption;
mod http;
mod multipart;
mod namenode;
mod notifications;
mod object_details;
mod objects;
mod post_form;
mod refusals;
mod strictness;
mod website;
mod world;
