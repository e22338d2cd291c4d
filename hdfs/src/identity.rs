//! Who a Hadoop client says it is, and whether the claim counts.
//!
//! SIMPLE authentication is a claim, not a proof: it counts from loopback, where the machine's own users are trusted, and
//! elsewhere only if the operator says so. One user may speak for another only if a list says so, wherever it comes from.

use crate::config::HdfsConfig;
use crate::exception::{JavaException, RemoteException};
use std::net::{IpAddr, SocketAddr};

/// The longest user name taken.
const USER_BYTES_MAX: usize = 255;

/// A user as the connection context names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedUser {
    /// The short name under which calls are made.
    pub name: String,
    /// Who speaks for it, if that is somebody else.
    pub real: Option<String>,
    /// Whether the claim comes from this machine.
    pub from_loopback: bool,
}

/// Whether `address` is this machine's own.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether a claim from `peer` counts at all.
///
/// # Errors
/// The exception that ends the connection.
pub fn admit(config: &HdfsConfig, peer: SocketAddr) -> Result<(), RemoteException> {
    match config.allow_simple || is_loopback(peer.ip()) {
        true => Ok(()),
        false => Err(RemoteException::new(
            JavaException::AccessControl,
            "SIMPLE authentication is not enabled.  Available:[] (from other machines it is accepted with \
             hdfs.allow_simple = true)",
        )),
    }
}

/// The user of a connection from the names in its context.
///
/// # Errors
/// `AccessControlException` for a name that is none, `AuthorizationException` if one may not speak for the other.
pub fn claim(
    config: &HdfsConfig,
    peer: SocketAddr,
    effective: Option<&str>,
    real: Option<&str>,
) -> Result<ClaimedUser, RemoteException> {
    let effective = effective.or(real).unwrap_or_default();
    let name = checked(effective)?;
    let real = real.map(checked).transpose()?.filter(|real| *real != name);
    if let Some(real) = &real
        && !may_impersonate(config, real, &name)
    {
        let message = format!("User: {real} is not allowed to impersonate {name}");
        return Err(RemoteException::new(JavaException::Authorization, message));
    }
    Ok(ClaimedUser { name, real, from_loopback: is_loopback(peer.ip()) })
}

/// The short name of a claimed one: what stands before a host or a realm.
fn checked(claimed: &str) -> Result<String, RemoteException> {
    let short = claimed.split(['/', '@']).next().unwrap_or_default();
    let is_name = !short.is_empty()
        && claimed.len() <= USER_BYTES_MAX
        && short.chars().all(|c| !c.is_control() && !c.is_whitespace() && c != ':');
    match is_name {
        true => Ok(short.to_owned()),
        false => Err(RemoteException::new(JavaException::AccessControl, "Unauthorized connection: no user name")),
    }
}

fn may_impersonate(config: &HdfsConfig, real: &str, name: &str) -> bool {
    config.proxy_users.get(real).is_some_and(|users| users.iter().any(|user| user == "*" || user == name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn config() -> HdfsConfig {
        let proxy_users = BTreeMap::from([
            ("oozie".to_owned(), vec!["ann".to_owned(), "bob".to_owned()]),
            ("hive".to_owned(), vec!["*".to_owned()]),
        ]);
        HdfsConfig { proxy_users, ..HdfsConfig::default() }
    }

    fn peer(address: &str) -> SocketAddr {
        address.parse().unwrap()
    }

    #[test]
    fn claims_count_from_loopback_and_elsewhere_only_if_allowed() {
        assert!(admit(&config(), peer("127.0.0.9:1")).is_ok());
        assert!(admit(&config(), peer("[::1]:1")).is_ok());
        assert!(admit(&config(), peer("[::ffff:127.0.0.1]:1")).is_ok());
        let refused = admit(&config(), peer("10.0.0.1:1")).unwrap_err();
        assert_eq!(refused.class, JavaException::AccessControl);
        assert!(admit(&HdfsConfig { allow_simple: true, ..config() }, peer("10.0.0.1:1")).is_ok());
    }

    #[test]
    fn one_user_speaks_for_another_only_by_the_list() {
        let claim = |effective, real| claim(&config(), peer("127.0.0.1:1"), effective, real);
        assert_eq!(claim(Some("ann"), None).unwrap().name, "ann");
        assert_eq!(claim(Some("ann"), Some("ann")).unwrap().real, None);
        assert_eq!(claim(Some("ann"), Some("oozie")).unwrap().real.as_deref(), Some("oozie"));
        assert_eq!(claim(Some("zoe"), Some("hive")).unwrap().name, "zoe");
        for (effective, real) in [("zoe", "oozie"), ("ann", "root"), ("oozie", "ann")] {
            let refused = claim(Some(effective), Some(real)).unwrap_err();
            assert_eq!(refused.class, JavaException::Authorization, "{real} for {effective}");
        }
    }

    #[test]
    fn a_name_is_short_and_has_no_odd_characters() {
        let claim = |name: &str| claim(&config(), peer("127.0.0.1:1"), Some(name), None);
        assert_eq!(claim("hdfs/host@REALM").unwrap().name, "hdfs");
        for name in ["", "@REALM", "a b", "a\nb", "a:b", &"x".repeat(300)] {
            assert!(claim(name).is_err(), "{name:?}");
        }
    }
}
