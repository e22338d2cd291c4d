//! The condition of a write on its own target: `If-Match` and `If-None-Match`.
//!
//! Invariant: a condition is decided where the entry changes and nowhere else. The one form that the metadata command does
//! not carry, `If-None-Match` with a tag, is turned into one that it carries just before the write becomes visible; if the
//! object changes in between, the write fails and the client is told to ask again.
//!
//! Source: "How to prevent object overwrites with conditional writes", Amazon S3 user guide. AWS answers 501 to
//! `If-None-Match` with a tag; here it means what RFC 9110 §13.1.2 says.

use super::text::{NO_SUCH_ETAG, parse_etag};
use crate::error::S3ErrorCode;
use crate::request::WriteCondition;
use crate::server::{AccessTarget, GatewayState, Refusal, S3Request};
use granary_access::Action;
use granary_protocol::namenode::{self, Window};
use granary_protocol::object::ETag;
use granary_protocol::{BucketName, ErrorCode, Failure, ObjectKey};

/// A condition as the request asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TargetCondition {
    /// One that the metadata command carries; also none.
    Carried(namenode::WriteCondition),
    /// Anything but an object with this tag.
    OtherThan(ETag),
}

/// A condition as the metadata command carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettledCondition {
    pub condition: namenode::WriteCondition,
    /// It names what was found, not what the client named.
    pub is_found: bool,
}

impl TargetCondition {
    /// Reads the headers. Who compares tags learns something of the object that is there, and must be allowed to read it.
    ///
    /// # Errors
    /// `NotImplemented` for forms that are not known, `AccessDenied`.
    pub async fn read(state: &GatewayState, request: &S3Request) -> Result<Self, Refusal> {
        let asked = WriteCondition::from_headers(&request.headers)?;
        if asked.as_ref().is_some_and(|asked| *asked != WriteCondition::MustNotExist) {
            let target = AccessTarget { settings: request.settings(), key: Some(&request.key), version: None };
            request.require(state, target, Action::GetObject).await?;
        }
        Ok(Self::of(asked))
    }

    fn of(asked: Option<WriteCondition>) -> Self {
        let mut carried = namenode::WriteCondition::default();
        match asked {
            None => {}
            Some(WriteCondition::MustNotExist) => carried.if_absent = true,
            Some(WriteCondition::MustExist) => carried.if_match = Some(None),
            Some(WriteCondition::MustMatch(tag)) => carried.if_match = Some(Some(wanted_etag(&tag))),
            Some(WriteCondition::MustNotMatch(tag)) => return Self::OtherThan(wanted_etag(&tag)),
        }
        Self::Carried(carried)
    }

    /// The condition to be sent along with the write, which must follow at once.
    ///
    /// # Errors
    /// `PreconditionFailed`
    pub async fn settle(
        self,
        state: &GatewayState,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<SettledCondition, Refusal> {
        let unwanted = match self {
            Self::Carried(condition) => return Ok(SettledCondition { condition, is_found: false }),
            Self::OtherThan(tag) => tag,
        };
        let mut condition = namenode::WriteCondition::default();
        match state.client.get_object(bucket.clone(), key.clone(), None, Window::Nothing).await {
            Ok(read) if read.object.etag == unwanted => return Err(S3ErrorCode::PreconditionFailed.into()),
            Ok(read) => condition.if_match = Some(Some(read.object.etag)),
            Err(failure) if matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. }) => {
                condition.if_absent = true;
            }
            Err(failure) => return Err(failure.into()),
        }
        Ok(SettledCondition { condition, is_found: true })
    }
}

/// What the client is told when a write with a settled condition fails: that something changed meanwhile, if the condition
/// was not its own.
pub(super) fn explain_unwritten(is_found: bool, failure: Failure) -> Refusal {
    match failure.code {
        ErrorCode::PreconditionFailed | ErrorCode::NoSuchKey if is_found => {
            S3ErrorCode::ConditionalRequestConflict.into()
        }
        _ => failure.into(),
    }
}

/// A tag of a condition. One that no object can have is kept as such: the condition then fails where the others do.
pub(super) fn wanted_etag(tag: &str) -> ETag {
    parse_etag(tag).unwrap_or(NO_SUCH_ETAG)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderMap, HeaderName, HeaderValue};

    fn read(name: &'static str, value: &str) -> TargetCondition {
        let mut headers = HeaderMap::new();
        headers.insert(HeaderName::from_static(name), HeaderValue::from_str(value).unwrap());
        TargetCondition::of(WriteCondition::from_headers(&headers).unwrap())
    }

    #[test]
    fn conditions_reach_the_command() {
        let carried = |if_absent, if_match| TargetCondition::Carried(namenode::WriteCondition { if_absent, if_match });
        assert_eq!(read("if-none-match", "*"), carried(true, None));
        assert_eq!(read("if-match", "*"), carried(false, Some(None)));
        assert_eq!(read("if-match", "\"abc\""), carried(false, Some(Some(NO_SUCH_ETAG))));
        let tag = ETag { md5: [0xab; 16], parts: Some(2) };
        assert_eq!(read("if-match", &format!("\"{tag}\"")), carried(false, Some(Some(tag))));
        assert_eq!(read("if-none-match", &format!("\"{tag}\"")), TargetCondition::OtherThan(tag));
    }

    #[test]
    fn a_change_meanwhile_is_a_conflict() {
        let told = |is_found, code| explain_unwritten(is_found, Failure::from(code)).into_error("").code();
        assert_eq!(told(true, ErrorCode::PreconditionFailed), S3ErrorCode::ConditionalRequestConflict);
        assert_eq!(told(true, ErrorCode::NoSuchKey), S3ErrorCode::ConditionalRequestConflict);
        assert_eq!(told(false, ErrorCode::PreconditionFailed), S3ErrorCode::PreconditionFailed);
    }
}
