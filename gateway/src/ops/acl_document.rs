//! Access control lists as XML: the `AccessControlPolicy` document.
//!
//! Who is named there is looked up elsewhere; a list read here may name people that nobody knows.
//!
//! Source: PutBucketAcl and GetBucketAcl, Amazon S3 API reference.

use super::owners::Owners;
use super::xml_reader::XmlDocument;
use super::xml_writer::Xml;
use crate::error::{S3Error, S3ErrorCode};
use granary_access::acl::{
    GranteeName, RequestedGrant, group_of_uri, permission_name, permission_of_name, shown_grants, uri_of_group,
};
use granary_protocol::CanonicalId;
use granary_protocol::acl::{Acl, GRANTS_MAX, Grant, Grantee};

/// Elements a document may have: six a grant, and those around them.
const ELEMENTS_MAX: usize = GRANTS_MAX * 8 + 16;
const INSTANCE: &str = "http://www.w3.org/2001/XMLSchema-instance";

/// A list as a request names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NamedAcl {
    /// Whom the request believes the owner to be.
    pub owner: CanonicalId,
    pub grants: Vec<RequestedGrant>,
}

/// Reads an `AccessControlPolicy`.
///
/// # Errors
/// `MalformedACLError`; `InvalidArgument` for a group there is not.
pub(super) fn parse_acl(document: &[u8]) -> Result<NamedAcl, S3Error> {
    parse(document).map_err(|error| match error.code() {
        S3ErrorCode::MalformedXML => S3Error::new(S3ErrorCode::MalformedACLError),
        _ => error,
    })
}

fn parse(document: &[u8]) -> Result<NamedAcl, S3Error> {
    let mut xml = XmlDocument::open(document, "AccessControlPolicy", ELEMENTS_MAX)?;
    let (mut owner, mut grants) = (None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Owner" if owner.is_none() => owner = parse_owner(&mut xml)?,
            "AccessControlList" if grants.is_none() => grants = Some(parse_grants(&mut xml)?),
            _other => return Err(malformed_acl()),
        }
    }
    xml.finish()?;
    let owner = owner.filter(|id| !id.is_empty()).ok_or_else(malformed_acl)?;
    Ok(NamedAcl { owner: CanonicalId(owner), grants: grants.ok_or_else(malformed_acl)? })
}

fn parse_owner(xml: &mut XmlDocument<'_>) -> Result<Option<String>, S3Error> {
    let mut id = None;
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "ID" => id = Some(xml.text()?.trim().to_owned()),
            "DisplayName" => xml.skip()?,
            _other => return Err(malformed_acl()),
        }
    }
    Ok(id)
}

fn parse_grants(xml: &mut XmlDocument<'_>) -> Result<Vec<RequestedGrant>, S3Error> {
    let mut grants = Vec::new();
    while let Some(name) = xml.next_child()? {
        if name != "Grant" || grants.len() == GRANTS_MAX {
            return Err(malformed_acl());
        }
        grants.push(parse_grant(xml)?);
    }
    Ok(grants)
}

fn parse_grant(xml: &mut XmlDocument<'_>) -> Result<RequestedGrant, S3Error> {
    let (mut grantee, mut permission) = (None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "Grantee" if grantee.is_none() => grantee = Some(parse_grantee(xml)?),
            "Permission" if permission.is_none() => {
                permission = Some(permission_of_name(xml.text()?.trim()).ok_or_else(malformed_acl)?);
            }
            _other => return Err(malformed_acl()),
        }
    }
    Ok(RequestedGrant {
        grantee: grantee.ok_or_else(malformed_acl)?,
        permission: permission.ok_or_else(malformed_acl)?,
    })
}

/// The type is an attribute; what the element must hold depends on it.
fn parse_grantee(xml: &mut XmlDocument<'_>) -> Result<GranteeName, S3Error> {
    let kind = xml.type_attribute().map(str::to_owned);
    let (mut id, mut uri, mut email) = (None, None, None);
    while let Some(name) = xml.next_child()? {
        match name.as_str() {
            "ID" => id = Some(xml.text()?.trim().to_owned()),
            "URI" => uri = Some(xml.text()?.trim().to_owned()),
            "EmailAddress" => email = Some(xml.text()?.trim().to_owned()),
            "DisplayName" => xml.skip()?,
            _other => return Err(malformed_acl()),
        }
    }
    match (kind.as_deref(), id, uri, email) {
        (Some("CanonicalUser"), Some(id), _, _) if !id.is_empty() => {
            Ok(GranteeName::Known(Grantee::User(CanonicalId(id))))
        }
        (Some("Group"), _, Some(uri), _) => {
            let group = group_of_uri(&uri).ok_or_else(|| S3Error::invalid_argument("Invalid group uri", "uri", uri))?;
            Ok(GranteeName::Known(group))
        }
        (Some("AmazonCustomerByEmail"), _, _, Some(email)) => Ok(GranteeName::Email(email)),
        (_, _, _, _) => Err(malformed_acl()),
    }
}

fn malformed_acl() -> S3Error {
    S3Error::new(S3ErrorCode::MalformedACLError)
}

/// The document of a list; `None` is the private one.
pub(super) fn acl_document(owner: &CanonicalId, acl: Option<&Acl>, owners: &Owners) -> Xml {
    let grants = shown_grants(acl, owner);
    let mut xml = Xml::document("AccessControlPolicy", 256 + grants.len() * 256);
    owners.push(&mut xml, "Owner", owner);
    xml.open("AccessControlList");
    for grant in &grants {
        push_grant(&mut xml, grant, owners);
    }
    xml.close("AccessControlList");
    xml
}

fn push_grant(xml: &mut Xml, grant: &Grant, owners: &Owners) {
    let kind = if matches!(grant.grantee, Grantee::User(_)) { "CanonicalUser" } else { "Group" };
    xml.open("Grant");
    xml.open(&format!("Grantee xmlns:xsi=\"{INSTANCE}\" xsi:type=\"{kind}\""));
    match &grant.grantee {
        Grantee::User(id) => owners.push_parts(xml, id),
        group => xml.element("URI", uri_of_group(group).unwrap_or_default()),
    }
    xml.close("Grantee");
    xml.element("Permission", permission_name(grant.permission));
    xml.close("Grant");
}

#[cfg(test)]
mod tests {
    use super::*;
    use granary_protocol::acl::Permission;

    fn document(grants: &str) -> String {
        format!(
            "<AccessControlPolicy xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Owner><ID>me</ID>\
             <DisplayName>x</DisplayName></Owner><AccessControlList>{grants}</AccessControlList></AccessControlPolicy>"
        )
    }

    fn grant(kind: &str, inner: &str, permission: &str) -> String {
        format!(
            "<Grant><Grantee xmlns:xsi=\"{INSTANCE}\" xsi:type=\"{kind}\">{inner}</Grantee>\
             <Permission>{permission}</Permission></Grant>"
        )
    }

    #[test]
    fn reads_every_kind_of_grantee() {
        let text = document(
            &(grant("CanonicalUser", "<ID>you</ID><DisplayName>y</DisplayName>", "READ_ACP")
                + &grant("Group", "<URI>http://acs.amazonaws.com/groups/global/AllUsers</URI>", "READ")
                + &grant("AmazonCustomerByEmail", "<EmailAddress>a@b</EmailAddress>", "FULL_CONTROL")),
        );
        let acl = parse_acl(text.as_bytes()).unwrap();
        assert_eq!(acl.owner.as_str(), "me");
        let grants: Vec<_> = acl.grants.into_iter().map(|grant| (grant.grantee, grant.permission)).collect();
        assert_eq!(
            grants,
            [
                (GranteeName::Known(Grantee::User("you".into())), Permission::ReadAcp),
                (GranteeName::Known(Grantee::AllUsers), Permission::Read),
                (GranteeName::Email("a@b".into()), Permission::FullControl),
            ]
        );
        assert!(parse_acl(document("").as_bytes()).unwrap().grants.is_empty());
    }

    #[test]
    fn refuses_the_rest() {
        let one = grant("CanonicalUser", "<ID>you</ID>", "READ");
        for (text, code) in [
            (String::new(), S3ErrorCode::MalformedACLError),
            (document(&grant("CanonicalUser", "", "READ")), S3ErrorCode::MalformedACLError),
            (document(&grant("CanonicalUser", "<ID/>", "READ")), S3ErrorCode::MalformedACLError),
            (document(&grant("Somebody", "<ID>you</ID>", "READ")), S3ErrorCode::MalformedACLError),
            (document(&grant("CanonicalUser", "<ID>you</ID>", "LOOK")), S3ErrorCode::MalformedACLError),
            (document("<Grant><Permission>READ</Permission></Grant>"), S3ErrorCode::MalformedACLError),
            (document(&one).replace("<ID>me</ID>", ""), S3ErrorCode::MalformedACLError),
            (document(&one.repeat(GRANTS_MAX + 1)), S3ErrorCode::MalformedACLError),
            (document(&grant("Group", "<URI>http://x</URI>", "READ")), S3ErrorCode::InvalidArgument),
        ] {
            assert_eq!(parse_acl(text.as_bytes()).unwrap_err().code(), code, "{text}");
        }
        assert_eq!(parse_acl(document(&one.repeat(GRANTS_MAX)).as_bytes()).unwrap().grants.len(), GRANTS_MAX);
    }
}
