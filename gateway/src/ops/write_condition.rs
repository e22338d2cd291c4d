//! The condition of a write on its own target: `If-Match` and `If-None-Match`.
//!
//! Invariant: a condition is decided where the entry changes and nowhere else. The one form that the metadata command does
//! not carry, `If-None-Match` with a tag, is turned into one that it carries just before the write becomes visible; if the
//! object changes in between, the write fails and the client is told to ask again. As on AWS, `If-Match` answers 404 where
//! there is no object, and 409 if it was deleted while the request was under way.
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
    pub basis: Basis,
}

/// What is known beside a condition, for telling the client why it does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Basis {
    /// Nothing: it says what the client said.
    Named,
    /// It says what the client said, which was about an object that was there when the request came.
    Stood,
    /// It says what was found.
    Found,
}

/// The condition of a write that takes its time: from the moment the request comes, an object may go.
#[derive(Clone, Debug)]
pub(super) struct LongCondition {
    condition: TargetCondition,
    stood: bool,
}

impl LongCondition {
    /// Reads the headers, and looks whether there is an object if the condition needs one.
    ///
    /// # Errors
    /// Those of [`TargetCondition::read`], and what the namenode answers.
    pub async fn read(state: &GatewayState, request: &S3Request) -> Result<Self, Refusal> {
        let condition = TargetCondition::read(state, request).await?;
        let needs_object = matches!(&condition, TargetCondition::Carried(carried) if carried.if_match.is_some());
        let stood = needs_object && find(state, &request.bucket, &request.key).await?.is_some();
        Ok(Self { condition, stood })
    }

    /// See [`TargetCondition::settle`].
    ///
    /// # Errors
    /// The same.
    pub async fn settle(
        self,
        state: &GatewayState,
        bucket: &BucketName,
        key: &ObjectKey,
    ) -> Result<SettledCondition, Refusal> {
        let settled = self.condition.settle(state, bucket, key).await?;
        Ok(if self.stood { SettledCondition { basis: Basis::Stood, ..settled } } else { settled })
    }
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
            Self::Carried(condition) => return Ok(SettledCondition { condition, basis: Basis::Named }),
            Self::OtherThan(tag) => tag,
        };
        let mut condition = namenode::WriteCondition::default();
        match find(state, bucket, key).await? {
            Some(tag) if tag == unwanted => return Err(S3ErrorCode::PreconditionFailed.into()),
            Some(tag) => condition.if_match = Some(Some(tag)),
            None => condition.if_absent = true,
        }
        Ok(SettledCondition { condition, basis: Basis::Found })
    }
}

/// The tag of the object that is there, if any.
async fn find(state: &GatewayState, bucket: &BucketName, key: &ObjectKey) -> Result<Option<ETag>, Refusal> {
    match state.client.get_object(bucket.clone(), key.clone(), None, Window::Nothing).await {
        Ok(read) => Ok(Some(read.object.etag)),
        Err(failure) if matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. }) => Ok(None),
        Err(failure) => Err(failure.into()),
    }
}

/// What the client is told when a write with a settled condition fails: that there was a conflict, if the object was deleted
/// while the request was under way, or if the condition was not the client's own and something changed meanwhile.
pub(super) fn explain_unwritten(basis: Basis, failure: Failure) -> Refusal {
    let is_gone = matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { current: true, .. });
    let is_conflict = match basis {
        Basis::Named => false,
        Basis::Stood => is_gone,
        Basis::Found => is_gone || failure.code == ErrorCode::PreconditionFailed,
    };
    if is_conflict { S3ErrorCode::ConditionalRequestConflict.into() } else { failure.into() }
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
        let told = |basis, code| explain_unwritten(basis, Failure::from(code)).into_error("").code();
        for (basis, failed, gone) in [
            (Basis::Named, S3ErrorCode::PreconditionFailed, S3ErrorCode::NoSuchKey),
            (Basis::Stood, S3ErrorCode::PreconditionFailed, S3ErrorCode::ConditionalRequestConflict),
            (Basis::Found, S3ErrorCode::ConditionalRequestConflict, S3ErrorCode::ConditionalRequestConflict),
        ] {
            assert_eq!(told(basis, ErrorCode::PreconditionFailed), failed, "{basis:?}");
            assert_eq!(told(basis, ErrorCode::NoSuchKey), gone, "{basis:?}");
        }
    }
}
