//! Headers that mean something this store does not do: refused, never dropped.
//!
//! An object stored "locked" or "tagged" by a client that was told 200 must be that. Until it can be, the
//! request is answered `NotImplemented`.

use crate::config::Account;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::S3Request;
use http::{HeaderMap, HeaderValue};

/// Prefixes of headers that ask for more than is built.
const REFUSED_PREFIXES: [&str; 2] = ["x-amz-object-lock-", "x-amz-write-offset-"];
const REFUSED: [&str; 5] =
    ["x-amz-tagging", "x-amz-mfa", "x-amz-if-match-last-modified-time", "x-amz-if-match-size", "x-amz-object-if-match"];
const GRANT_PREFIX: &str = "x-amz-grant-";
/// Canned ACLs that say what is true anyway where the bucket's owner owns every object.
const TRUE_ACLS: [&str; 3] = ["private", "bucket-owner-full-control", "bucket-owner-read"];
const OTHER_ACLS: [&str; 5] =
    ["public-read", "public-read-write", "authenticated-read", "aws-exec-read", "log-delivery-write"];

/// Refuses a request that writes, copies or deletes if it carries one of these headers.
///
/// # Errors
/// `NotImplemented`; `AccessControlListNotSupported` for ACLs; `InvalidArgument` for an ACL that does not exist.
pub(super) fn refuse_unbuilt(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-") {
            continue;
        }
        if REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            if !value.is_empty() {
                return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Header", name));
            }
        } else if name.starts_with(GRANT_PREFIX) {
            return Err(S3Error::new(S3ErrorCode::AccessControlListNotSupported));
        } else if name == "x-amz-acl" {
            check_canned_acl(value)?;
        }
    }
    Ok(())
}

fn check_canned_acl(value: &HeaderValue) -> Result<(), S3Error> {
    let acl = value.to_str().unwrap_or_default().trim();
    if acl.is_empty() || TRUE_ACLS.contains(&acl) {
        return Ok(());
    }
    if OTHER_ACLS.contains(&acl) {
        return Err(S3Error::new(S3ErrorCode::AccessControlListNotSupported));
    }
    Err(S3Error::invalid_argument("", "x-amz-acl", acl))
}

/// `x-amz-expected-bucket-owner` and its twin for a copy's source: every bucket belongs to the root account.
///
/// # Errors
/// `AccessDenied` for another account, `InvalidBucketOwnerAWSAccountID` for what is none.
pub(super) fn check_expected_owner(request: &S3Request, account: &Account) -> Result<(), S3Error> {
    for name in ["x-amz-expected-bucket-owner", "x-amz-source-expected-bucket-owner"] {
        let Some(expected) = request.header(name)? else { continue };
        if expected == account.account_id || expected == account.canonical_id {
            continue;
        }
        let is_account = expected.len() == 12 && expected.bytes().all(|byte| byte.is_ascii_digit());
        return Err(match is_account {
            true => S3Error::new(S3ErrorCode::AccessDenied),
            false => S3Error::new(S3ErrorCode::InvalidBucketOwnerAWSAccountID),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    #[test]
    fn what_is_not_built_is_refused() {
        let check = |name: &'static str, value: &'static str| {
            let headers: HeaderMap =
                [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect();
            refuse_unbuilt(&headers).map_err(|error| error.code())
        };
        for (name, value) in [
            ("x-amz-object-lock-mode", "GOVERNANCE"),
            ("x-amz-object-lock-legal-hold", "ON"),
            ("x-amz-tagging", "a=b"),
            ("x-amz-mfa", "1 2"),
        ] {
            assert_eq!(check(name, value), Err(S3ErrorCode::NotImplemented), "{name}");
        }
        for (name, value, code) in [
            ("x-amz-acl", "public-read", S3ErrorCode::AccessControlListNotSupported),
            ("x-amz-acl", "mine", S3ErrorCode::InvalidArgument),
            ("x-amz-grant-read", "id=x", S3ErrorCode::AccessControlListNotSupported),
        ] {
            assert_eq!(check(name, value), Err(code), "{name}");
        }
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-acl", "bucket-owner-full-control"),
            ("x-amz-tagging", ""),
            ("x-amz-meta-x-amz-tagging", "a"),
            ("x-amz-storage-class", "STANDARD"),
            ("content-type", "x"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
    }
}
