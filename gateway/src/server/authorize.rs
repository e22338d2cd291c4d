//! May this request go on to its operation? Deny by default: an operation that the table of required actions does not
//! know is nobody's.

use super::access::AccessTarget;
use super::operation::Operation;
use super::owners::Owner;
use super::refusal::Refusal;
use super::request::S3Request;
use super::state::GatewayState;
use crate::error::{S3Error, S3ErrorCode};
use crate::ops::wants_bypass;
use crate::request::CopySource;
use granary_access::acl::{CannedAcl, GRANT_HEADERS, GranteeName, parse_grant_header};
use granary_access::{Action, ObjectOwnership, OperationTraits, required_actions};
use granary_protocol::acl::{Grantee, Permission};
use granary_protocol::{BucketName, CanonicalId};
use http::{HeaderMap, HeaderName};

/// Lets a request through that may do all that its operation needs.
///
/// # Errors
/// `AccessDenied`; `NoSuchKey` where the caller may know that; what the store answers.
pub(super) async fn authorize(state: &GatewayState, operation: Operation, request: &S3Request) -> Result<(), Refusal> {
    let actions = required_actions(operation.name(), traits_of(request)).ok_or(S3ErrorCode::AccessDenied)?;
    let Some(settings) = request.settings_if_any() else {
        for action in actions {
            request.require_account(action)?;
        }
        return Ok(());
    };
    let version = request.query.get_non_empty("versionId").map(crate::ops::parse_version).transpose()?;
    let key = (!request.key.as_str().is_empty()).then_some(&request.key);
    let target = AccessTarget { settings, key, version };
    let writes = actions.first() == Some(&Action::PutObject);
    for (place, action) in actions.into_iter().enumerate() {
        match writes && place > 0 {
            true => request.require_for_new(target, action)?,
            false => request.require(state, target, action).await?,
        }
    }
    check_expected_owner(state, request, "x-amz-expected-bucket-owner", &settings.info.owner).await?;
    if let Some(header) = request.headers.get("x-amz-copy-source")
        && request.headers.contains_key("x-amz-source-expected-bucket-owner")
        && let Ok(source) = CopySource::parse(header.as_bytes())
    {
        let source = state.settings.get(&BucketName(source.bucket.into_string())).await?;
        check_expected_owner(state, request, "x-amz-source-expected-bucket-owner", &source.info.owner).await?;
    }
    Ok(())
}

fn traits_of(request: &S3Request) -> OperationTraits {
    let headers: &HeaderMap = &request.headers;
    let version = request.query.get_non_empty("versionId").is_some();
    if !headers.keys().any(describes) {
        return OperationTraits { version, ..OperationTraits::default() };
    }
    let has = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
    let is_true = |name: &str| headers.get(name).is_some_and(|value| value.as_bytes().eq_ignore_ascii_case(b"true"));
    OperationTraits {
        version,
        tags: has("x-amz-tagging"),
        acl: sets_acl(request),
        retention: has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date"),
        legal_hold: has("x-amz-object-lock-legal-hold"),
        // Asked for as the operation asks: what it would heed must have been allowed.
        bypass_governance: wants_bypass(headers),
        bucket_lock: is_true("x-amz-bucket-object-lock-enabled"),
        ownership: has("x-amz-object-ownership"),
    }
}

/// Whether a header may say something of an operation, and not only of its signature or its checksum. Most requests have
/// none, and a look at each name is cheaper than looking each name up.
fn describes(name: &HeaderName) -> bool {
    const OF_SIGNATURE: [&str; 4] =
        ["x-amz-content-sha256", "x-amz-date", "x-amz-security-token", "x-amz-checksum-mode"];
    name.as_str().starts_with("x-amz-") && !OF_SIGNATURE.contains(&name.as_str())
}

/// Whether it sets a list that gives anything to anybody. Where lists do not count, one that is accepted changes nothing,
/// nor does one for the bucket's owner where everything is the bucket's owner's.
fn sets_acl(request: &S3Request) -> bool {
    let ownership = request.settings_if_any().map(|settings| settings.ownership());
    let says_nothing = |canned: &str| match CannedAcl::from_name(canned) {
        Some(CannedAcl::Private) => true,
        Some(CannedAcl::BucketOwnerRead | CannedAcl::BucketOwnerFullControl) => {
            ownership.is_some_and(|ownership| !ownership.writers_own())
        }
        _ => canned.is_empty(),
    };
    let canned = request.headers.get("x-amz-acl").is_some_and(|value| !value.to_str().is_ok_and(says_nothing));
    let is_owners = |(name, permission): &(&str, Permission)| {
        let Some(value) = request.headers.get(*name) else { return true };
        let grants = value.to_str().ok().and_then(|text| parse_grant_header(text, *permission).ok());
        let owner = request.settings_if_any().filter(|settings| !settings.ownership().writers_own());
        let owner = owner.map(|settings| GranteeName::Known(Grantee::User(settings.info.owner.clone())));
        grants.zip(owner).is_some_and(|(grants, owner)| grants.iter().all(|grant| grant.grantee == owner))
    };
    ownership.is_none_or(ObjectOwnership::acls_count) && (canned || !GRANT_HEADERS.iter().all(is_owners))
}

/// `x-amz-expected-bucket-owner` and its twin for a copy's source.
async fn check_expected_owner(
    state: &GatewayState,
    request: &S3Request,
    header: &'static str,
    owner: &CanonicalId,
) -> Result<(), Refusal> {
    let Some(expected) = request.header(header)? else { return Ok(()) };
    let is_account = expected.len() == 12 && expected.bytes().all(|byte| byte.is_ascii_digit());
    let is_owner = |found: &Owner| *found.account_id == *expected;
    if expected == owner.as_str() || state.owners.find(owner).await?.as_ref().is_some_and(is_owner) {
        return Ok(());
    }
    // What is as long as a canonical id is taken for one, of somebody else.
    if is_account || expected.len() >= owner.as_str().len() {
        return Err(S3ErrorCode::AccessDenied.into());
    }
    let message = format!("The value of the expected bucket owner parameter must be an AWS Account ID... [{expected}]");
    Err(S3Error::with_message(S3ErrorCode::InvalidBucketOwnerAWSAccountID, message).into())
}
