//! The cluster's certificate authority, the certificates it issues, and the TLS settings made of them.

mod authority;
mod material;

pub use authority::{
    CA_VALIDITY_DAYS, CaFingerprint, ClusterCa, NODE_DNS_NAME, NODE_VALIDITY_DAYS, NodeCertificate, NodeKey,
};
pub use material::TlsMaterial;
