//! Who is at the other end of a connection, as its certificate proves it.
//!
//! A node certificate names its holder in URI subject alternative names: exactly one
//! `granary://<cluster>/node/<name>` and one `granary://<cluster>/role/<role>` per role. Names are restricted so that
//! neither can be forged out of the other.

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::TlsError;

const NAME_BYTES_MAX: usize = 63;
const URI_SCHEME: &str = "granary://";

/// Checks one segment of an identity URI.
pub(crate) fn check_name(name: &str) -> Result<(), TlsError> {
    let begins_well = name.as_bytes().first().is_some_and(u8::is_ascii_alphanumeric);
    let legal = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if begins_well && legal && name.len() <= NAME_BYTES_MAX {
        Ok(())
    } else {
        Err(TlsError::InvalidName { name: name.chars().take(NAME_BYTES_MAX + 1).collect() })
    }
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// Accepts 1–63 ASCII letters, digits, `-`, `_`, `.`, beginning with a letter or digit.
            ///
            /// # Errors
            /// [`TlsError::InvalidName`].
            pub fn new(name: impl Into<String>) -> Result<Self, TlsError> {
                let name = name.into();
                check_name(&name)?;
                Ok(Self(name))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $type {
            type Err = TlsError;

            fn from_str(name: &str) -> Result<Self, TlsError> {
                Self::new(name)
            }
        }
    };
}

name_type! {
    /// The name of one node, unique in its cluster.
    NodeName
}
name_type! {
    /// The name of a cluster; part of every identity its CA issues.
    ClusterName
}

/// A node as its certificate describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeIdentity {
    /// The cluster whose CA issued the certificate.
    pub cluster: ClusterName,
    /// Which node of it.
    pub name: NodeName,
    /// What the CA allows this node to be, as opaque words. Empty for a node without roles.
    pub roles: Vec<String>,
}

impl NodeIdentity {
    /// Reads the identity out of a DER certificate. Does *not* verify it: call only on certificates TLS has verified.
    pub(crate) fn from_certificate(der: &[u8]) -> Result<Self, TlsError> {
        let (_, certificate) =
            X509Certificate::from_der(der).map_err(|_| TlsError::Unreadable { what: "node certificate" })?;
        let names = certificate
            .subject_alternative_name()
            .ok()
            .flatten()
            .ok_or(TlsError::NotANodeCertificate { reason: "no subject alternative names" })?;
        let mut node: Option<(ClusterName, NodeName)> = None;
        let mut roles = Vec::new();
        for name in &names.value.general_names {
            let GeneralName::URI(uri) = name else { continue };
            let Some((cluster, kind, word)) = parse_uri(uri) else {
                return Err(TlsError::NotANodeCertificate { reason: "a URI that is no Granary identity" });
            };
            match kind {
                "node" if node.is_none() => node = Some((ClusterName::new(cluster)?, NodeName::new(word)?)),
                "role" => roles.push(word.to_owned()),
                _ => return Err(TlsError::NotANodeCertificate { reason: "more than one identity" }),
            }
        }
        let (cluster, name) = node.ok_or(TlsError::NotANodeCertificate { reason: "no identity" })?;
        Ok(Self { cluster, name, roles })
    }

    pub(crate) fn uris(cluster: &ClusterName, name: &NodeName, roles: &[&str]) -> Vec<String> {
        let node = format!("{URI_SCHEME}{cluster}/node/{name}");
        let roles = roles.iter().map(|role| format!("{URI_SCHEME}{cluster}/role/{role}"));
        std::iter::once(node).chain(roles).collect()
    }
}

fn parse_uri(uri: &str) -> Option<(&str, &str, &str)> {
    let mut parts = uri.strip_prefix(URI_SCHEME)?.split('/');
    let (cluster, kind, word) = (parts.next()?, parts.next()?, parts.next()?);
    check_name(word).ok()?;
    parts.next().is_none().then_some((cluster, kind, word))
}

/// The other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Where the peer's packets come from. Not proof of anything.
    pub addr: SocketAddr,
    /// What its certificate proved; `None` on a plaintext connection, where nothing is proved.
    pub node: Option<NodeIdentity>,
}

impl PeerIdentity {
    /// The proved node name, if any.
    pub fn name(&self) -> Option<&NodeName> {
        self.node.as_ref().map(|node| &node.name)
    }

    /// Whether the certificate carries this role. Always `false` on a plaintext connection.
    pub fn has_role(&self, role: &str) -> bool {
        self.node.as_ref().is_some_and(|node| node.roles.iter().any(|held| held == role))
    }
}

impl fmt::Display for PeerIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.node {
            Some(node) => write!(f, "{}@{}", node.name, self.addr),
            None => write!(f, "{}", self.addr),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_cannot_break_out_of_a_uri() {
        for bad in ["", "a/b", "-a", ".", "a b", "é", "a%2f", &"x".repeat(64)] {
            assert!(NodeName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["dn-1", "a", "Node_7.rack-2", &"x".repeat(63)] {
            assert_eq!(NodeName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn uris_are_read_strictly() {
        assert_eq!(parse_uri("granary://c/node/n"), Some(("c", "node", "n")));
        for bad in ["granary://c/node", "granary://c/node/n/role", "https://c/node/n", "granary://c/node/"] {
            assert_eq!(parse_uri(bad), None, "{bad}");
        }
    }
}
