//! The cluster certificate authority: one self-signed certificate per cluster, and the node certificates under it.
//!
//! Invariants: a node certificate is good for exactly one node name; what a certificate grants (name, roles, usage,
//! validity) is decided by the signer alone, a signing request contributes its public key and network names.
//!
//! Validity is ten years for a CA and five for a node, back-dated by two days so that a node whose clock is behind
//! accepts a certificate made a moment ago. There is no revocation list and no rotation in place yet: a certificate is
//! replaced by enrolling the node again and restarting it; a stolen key is answered with a new CA.

use std::fmt;
use std::str::FromStr;

use rcgen::{
    BasicConstraints, CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PublicKeyData, SanType,
};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use sha2::{Digest, Sha256};
use time::{Duration, OffsetDateTime};
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::error::TlsError;
use crate::identity::{ClusterName, NodeIdentity, NodeName, check_name};

/// In every node certificate, and the name every client asks for: peers are addressed by ip:port, so TLS proves "a node
/// of this cluster" and the identity URI says which one.
pub const NODE_DNS_NAME: &str = "node.granary.internal";
/// How long a cluster CA certificate is valid.
pub const CA_VALIDITY_DAYS: i64 = 3650;
/// How long a node certificate is valid.
pub const NODE_VALIDITY_DAYS: i64 = 1826;

const BACK_DATED: Duration = Duration::days(2);
const REQUESTED_NAMES_MAX: usize = 32;
const CSR_BYTES_MAX: usize = 16 * 1024;

/// The validity interval of a certificate, in UTC.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) not_before: OffsetDateTime,
    pub(crate) not_after: OffsetDateTime,
}

impl Validity {
    fn days_from_now(days: i64) -> Self {
        let now = OffsetDateTime::now_utc();
        Self { not_before: now - BACK_DATED, not_after: now + Duration::days(days) }
    }
}

/// The SHA-256 of a CA certificate's DER form: what a join token carries so that a new node knows its cluster.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CaFingerprint(pub [u8; 32]);

impl CaFingerprint {
    /// The fingerprint of the first certificate in `cert_pem`.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`] when there is none.
    pub fn of_pem(cert_pem: &str) -> Result<Self, TlsError> {
        Ok(Self::of_der(&certificate_from_pem(cert_pem, "CA certificate")?))
    }

    fn of_der(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }
}

impl fmt::Display for CaFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for CaFingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CaFingerprint({self})")
    }
}

impl FromStr for CaFingerprint {
    type Err = TlsError;

    /// Reads 64 hexadecimal digits.
    fn from_str(text: &str) -> Result<Self, TlsError> {
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| TlsError::Unreadable { what: "CA fingerprint" })?;
        Ok(Self(bytes))
    }
}

/// A certificate and its private key, both PEM.
#[derive(Clone)]
pub struct NodeCertificate {
    /// Not secret.
    pub cert_pem: String,
    /// Secret: written with mode 0600, never logged.
    pub key_pem: String,
}

impl fmt::Debug for NodeCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeCertificate").field("cert_pem", &self.cert_pem).finish_non_exhaustive()
    }
}

/// A fresh private key and the request to have it certified: what a joining node makes. The key never leaves the node.
#[derive(Clone)]
pub struct NodeKey {
    /// Secret: written with mode 0600, never logged.
    pub key_pem: String,
    /// For [`ClusterCa::sign_csr`].
    pub csr_pem: String,
}

impl NodeKey {
    /// Makes a P-256 key and a signing request for `name`. `sans`: DNS names or IP addresses the node is also known by.
    ///
    /// # Errors
    /// [`TlsError::Generation`] when a name in `sans` is not a legal DNS name.
    pub fn generate_csr(name: &NodeName, sans: &[String]) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(sans.to_vec())?;
        params.distinguished_name = common_name(name.as_str());
        let csr_pem = params.serialize_request(&key)?.pem()?;
        Ok(Self { key_pem: key.serialize_pem(), csr_pem })
    }
}

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeKey").field("csr_pem", &self.csr_pem).finish_non_exhaustive()
    }
}

/// The authority of one cluster: its certificate and the private key that makes nodes of it.
pub struct ClusterCa {
    cluster: ClusterName,
    cert_der: CertificateDer<'static>,
    cert_pem: String,
    key: KeyPair,
}

impl ClusterCa {
    /// Makes a new authority with a P-256 key, valid for [`CA_VALIDITY_DAYS`].
    ///
    /// # Errors
    /// [`TlsError::Generation`] when the system has no randomness.
    pub fn generate(cluster: &ClusterName) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let validity = Validity::days_from_now(CA_VALIDITY_DAYS);
        let mut params = CertificateParams::default();
        params.distinguished_name = common_name(&format!("Granary CA {cluster}").chars().take(64).collect::<String>());
        params.distinguished_name.push(DnType::OrganizationName, cluster.as_str());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params.not_before = validity.not_before;
        params.not_after = validity.not_after;
        let certificate = params.self_signed(&key)?;
        Ok(Self { cluster: cluster.clone(), cert_der: certificate.der().clone(), cert_pem: certificate.pem(), key })
    }

    /// Loads what [`cert_pem`](Self::cert_pem) and [`key_pem`](Self::key_pem) gave.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`], [`TlsError::NotAClusterCa`], [`TlsError::KeyMismatch`].
    pub fn from_pem(cert_pem: &str, key_pem: &str) -> Result<Self, TlsError> {
        let cert_der = certificate_from_pem(cert_pem, "CA certificate")?;
        let key = KeyPair::from_pem(key_pem).map_err(|_| TlsError::Unreadable { what: "CA private key" })?;
        let cluster = {
            let (_, certificate) =
                X509Certificate::from_der(&cert_der).map_err(|_| TlsError::Unreadable { what: "CA certificate" })?;
            if !certificate.is_ca() {
                return Err(TlsError::NotAClusterCa { reason: "it may not sign certificates" });
            }
            if certificate.public_key().raw != key.subject_public_key_info() {
                return Err(TlsError::KeyMismatch);
            }
            let organization = certificate.subject().iter_organization().next().and_then(|name| name.as_str().ok());
            ClusterName::new(organization.ok_or(TlsError::NotAClusterCa { reason: "it names no cluster" })?)?
        };
        Ok(Self { cluster, cert_der, cert_pem: cert_pem.to_owned(), key })
    }

    /// The cluster this authority makes nodes of.
    pub fn cluster(&self) -> &ClusterName {
        &self.cluster
    }

    /// The certificate every node needs; not secret.
    pub fn cert_pem(&self) -> &str {
        &self.cert_pem
    }

    /// Secret: whoever holds it can make nodes. Written with mode 0600, never logged.
    pub fn key_pem(&self) -> String {
        self.key.serialize_pem()
    }

    /// What [`CaFingerprint::of_pem`] says of [`cert_pem`](Self::cert_pem).
    pub fn fingerprint_sha256(&self) -> CaFingerprint {
        CaFingerprint::of_der(&self.cert_der)
    }

    /// Makes a key and a certificate for `name`, valid for [`NODE_VALIDITY_DAYS`]. `roles` are words under the same rule
    /// as names; `sans` are further DNS names or IP addresses.
    ///
    /// # Errors
    /// [`TlsError::InvalidName`] for a role, [`TlsError::Generation`] for an illegal DNS name.
    pub fn issue(&self, name: &NodeName, roles: &[&str], sans: &[String]) -> Result<NodeCertificate, TlsError> {
        self.issue_for(name, roles, sans, Validity::days_from_now(NODE_VALIDITY_DAYS))
    }

    pub(crate) fn issue_for(
        &self,
        name: &NodeName,
        roles: &[&str],
        sans: &[String],
        validity: Validity,
    ) -> Result<NodeCertificate, TlsError> {
        let key = KeyPair::generate()?;
        let names = CertificateParams::new(sans.to_vec())?.subject_alt_names;
        let params = self.node_params(name, roles, names, validity)?;
        let certificate = params.signed_by(&key, &self.issuer()?)?;
        Ok(NodeCertificate { cert_pem: certificate.pem(), key_pem: key.serialize_pem() })
    }

    /// Certifies a joining node's key. The request must be signed by that key and name `expected`; of its wishes only
    /// DNS names and IP addresses (at most 32) are granted.
    ///
    /// The caller has checked the join token: this function trusts nothing in the request but is no authentication.
    ///
    /// # Errors
    /// [`TlsError::Unreadable`] (also when the request's signature is wrong), [`TlsError::NameMismatch`],
    /// [`TlsError::RequestRefused`], [`TlsError::InvalidName`] for a role.
    pub fn sign_csr(&self, csr_pem: &str, expected: &NodeName, roles: &[&str]) -> Result<String, TlsError> {
        let unreadable = || TlsError::Unreadable { what: "signing request" };
        if csr_pem.len() > CSR_BYTES_MAX {
            return Err(TlsError::RequestRefused { reason: "too large" });
        }
        let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(csr_pem.as_bytes())
            .map_err(|_| unreadable())?;
        check_requested_subject(&der, expected)?;
        let mut request = CertificateSigningRequestParams::from_der(&der).map_err(|_| unreadable())?;
        let names = std::mem::take(&mut request.params.subject_alt_names);
        if names.len() > REQUESTED_NAMES_MAX {
            return Err(TlsError::RequestRefused { reason: "too many names" });
        }
        if !names.iter().all(|name| matches!(name, SanType::DnsName(_) | SanType::IpAddress(_))) {
            return Err(TlsError::RequestRefused { reason: "only DNS names and IP addresses may be asked for" });
        }
        request.params = self.node_params(expected, roles, names, Validity::days_from_now(NODE_VALIDITY_DAYS))?;
        Ok(request.signed_by(&self.issuer()?)?.pem())
    }

    fn issuer(&self) -> Result<Issuer<'static, &KeyPair>, TlsError> {
        Ok(Issuer::from_ca_cert_der(&self.cert_der, &self.key)?)
    }

    fn node_params(
        &self,
        name: &NodeName,
        roles: &[&str],
        names: Vec<SanType>,
        validity: Validity,
    ) -> Result<CertificateParams, TlsError> {
        roles.iter().try_for_each(|role| check_name(role))?;
        let mut params = CertificateParams::new(vec![NODE_DNS_NAME.to_owned()])?;
        for uri in NodeIdentity::uris(&self.cluster, name, roles) {
            params.subject_alt_names.push(SanType::URI(uri.try_into()?));
        }
        let known = params.subject_alt_names[0].clone();
        params.subject_alt_names.extend(names.into_iter().filter(|name| *name != known));
        params.distinguished_name = common_name(name.as_str());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        params.not_before = validity.not_before;
        params.not_after = validity.not_after;
        Ok(params)
    }
}

impl fmt::Debug for ClusterCa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fingerprint = self.fingerprint_sha256();
        f.debug_struct("ClusterCa")
            .field("cluster", &self.cluster)
            .field("fingerprint", &fingerprint)
            .finish_non_exhaustive()
    }
}

fn common_name(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

pub(super) fn certificate_from_pem(pem: &str, what: &'static str) -> Result<CertificateDer<'static>, TlsError> {
    CertificateDer::from_pem_slice(pem.as_bytes()).map_err(|_| TlsError::Unreadable { what })
}

/// The subject must be the one common name; checked before rcgen sees the request, because rcgen panics on a subject
/// with an empty set in it.
fn check_requested_subject(der: &[u8], expected: &NodeName) -> Result<(), TlsError> {
    let (_, request) =
        X509CertificationRequest::from_der(der).map_err(|_| TlsError::Unreadable { what: "signing request" })?;
    let subject = &request.certification_request_info.subject;
    let single = subject.iter().count() == 1 && subject.iter().all(|set| set.iter().count() == 1);
    let found = subject.iter_common_name().next().and_then(|name| name.as_str().ok());
    match found {
        Some(found) if single && found == expected.as_str() => Ok(()),
        _ => Err(TlsError::NameMismatch { expected: expected.to_string(), found: subject.to_string() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ca() -> ClusterCa {
        ClusterCa::generate(&ClusterName::new("test").unwrap()).unwrap()
    }

    fn identity(cert_pem: &str) -> NodeIdentity {
        NodeIdentity::from_certificate(&certificate_from_pem(cert_pem, "test").unwrap()).unwrap()
    }

    #[test]
    fn an_authority_survives_its_pem_form() {
        let made = ca();
        let loaded = ClusterCa::from_pem(made.cert_pem(), &made.key_pem()).unwrap();
        assert_eq!(loaded.cluster(), made.cluster());
        assert_eq!(loaded.fingerprint_sha256(), made.fingerprint_sha256());
        assert_eq!(made.fingerprint_sha256().to_string().parse::<CaFingerprint>().unwrap(), made.fingerprint_sha256());
        let other = ca();
        assert!(matches!(ClusterCa::from_pem(made.cert_pem(), &other.key_pem()), Err(TlsError::KeyMismatch)));
        let node = made.issue(&NodeName::new("n").unwrap(), &[], &[]).unwrap();
        let not_ca = ClusterCa::from_pem(&node.cert_pem, &node.key_pem);
        assert!(matches!(not_ca, Err(TlsError::NotAClusterCa { .. })));
    }

    #[test]
    fn an_issued_certificate_says_who_holds_it() {
        let name = NodeName::new("dn-7").unwrap();
        let sans = ["127.0.0.1".to_owned(), "dn-7.example".to_owned(), NODE_DNS_NAME.to_owned()];
        let issued = ca().issue(&name, &["datanode", "namenode"], &sans).unwrap();
        let found = identity(&issued.cert_pem);
        assert_eq!((found.name, found.cluster.as_str()), (name.clone(), "test"));
        assert_eq!(found.roles, ["datanode", "namenode"]);
        assert!(matches!(ca().issue(&name, &["a/b"], &[]), Err(TlsError::InvalidName { .. })));
    }

    #[test]
    fn a_signing_request_gets_a_certificate_for_its_own_name_only() {
        let (ca, name) = (ca(), NodeName::new("dn-1").unwrap());
        let key = NodeKey::generate_csr(&name, &["10.0.0.1".to_owned()]).unwrap();
        let signed = ca.sign_csr(&key.csr_pem, &name, &["datanode"]).unwrap();
        assert_eq!(identity(&signed).name, name);
        let other = NodeName::new("dn-2").unwrap();
        assert!(matches!(ca.sign_csr(&key.csr_pem, &other, &[]), Err(TlsError::NameMismatch { .. })));
        assert!(matches!(ca.sign_csr("junk", &name, &[]), Err(TlsError::Unreadable { .. })));
    }

    #[test]
    fn a_signing_request_cannot_grant_itself_anything() {
        let (ca, name) = (ca(), NodeName::new("dn-1").unwrap());
        let key = KeyPair::generate().unwrap();
        let mut wish = CertificateParams::default();
        wish.distinguished_name = common_name(name.as_str());
        wish.subject_alt_names.push(SanType::URI("granary://test/role/namenode".try_into().unwrap()));
        let csr = wish.serialize_request(&key).unwrap().pem().unwrap();
        assert!(matches!(ca.sign_csr(&csr, &name, &[]), Err(TlsError::RequestRefused { .. })));

        let mut wish = CertificateParams::default();
        wish.distinguished_name = common_name(name.as_str());
        wish.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let csr = wish.serialize_request(&key).unwrap().pem().unwrap();
        let signed = ca.sign_csr(&csr, &name, &[]).unwrap();
        let der = certificate_from_pem(&signed, "test").unwrap();
        assert!(!X509Certificate::from_der(&der).unwrap().1.is_ca());
    }

    #[test]
    fn a_tampered_request_is_refused() {
        let name = NodeName::new("dn-1").unwrap();
        let key = NodeKey::generate_csr(&name, &[]).unwrap();
        let der = rustls_pki_types::CertificateSigningRequestDer::from_pem_slice(key.csr_pem.as_bytes()).unwrap();
        let mut bytes = der.to_vec();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        let request = CertificateSigningRequestParams::from_der(&bytes.into());
        assert!(request.is_err());
    }
}
