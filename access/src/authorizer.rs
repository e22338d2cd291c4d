//! May this requester do this? The one decision, from everything that was gathered.
//!
//! In this order, as AWS has it:
//!
//! 1. A Deny in an identity policy, the session's policy or the bucket's policy decides. So does a policy that cannot be
//!    read. A bucket's owner and the operator may always read, replace and remove the bucket's policy.
//! 2. A session may do what its policy allows and no more.
//! 3. The operator may do the rest. So may a caller in what it owns: its buckets, and its objects elsewhere.
//! 4. Otherwise somebody must allow it: an identity policy, the bucket's policy (about objects of the bucket's owner), or
//!    an access control list where lists count.
//! 5. What nobody allows is denied.
//!
//! A bucket whose policy is public and which restricts that lets in nobody whom neither ownership nor an identity policy
//! lets in. Grants to the public can be ignored.
//!
//! Source: "How Amazon S3 authorizes a request", Amazon S3 user guide; "Policy evaluation logic", IAM user guide.

use crate::acl;
use crate::action::{Action, ResourceKind};
use crate::caller::{Caller, PolicySource, Requester};
use crate::context::RequestContext;
use crate::ownership::ObjectOwnership;
use crate::policy::{Question, Verdict};
use crate::public_access_block::PublicAccessBlock;
use granary_protocol::CanonicalId;
use granary_protocol::acl::Acl;

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    /// Who asks.
    pub requester: Requester<'a>,
    /// To do what.
    pub action: Action,
    /// With which object; `None` for actions on a bucket or an account.
    pub key: Option<&'a str>,
    /// What policies may ask about it.
    pub context: &'a RequestContext,
}

/// What is known of the bucket.
#[derive(Clone, Debug)]
pub struct BucketFacts<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its owner.
    pub owner: &'a CanonicalId,
    /// Its policy.
    pub policy: Option<&'a PolicySource>,
    /// Whether the policy is public.
    pub policy_is_public: bool,
    /// Its list; `None` for its owner alone.
    pub acl: Option<&'a Acl>,
    /// Who owns objects in it, and whether lists count.
    pub ownership: ObjectOwnership,
    /// What it does against the public.
    pub block: PublicAccessBlock,
}

/// What is known of the object that is there.
#[derive(Clone, Copy, Debug)]
pub struct ObjectFacts<'a> {
    /// Its owner.
    pub owner: &'a CanonicalId,
    /// Its list; `None` for its owner alone.
    pub acl: Option<&'a Acl>,
}

/// What was decided, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// The operator.
    AllowedAsRoot,
    /// The owner.
    AllowedAsOwner,
    /// An identity policy.
    AllowedByIdentityPolicy,
    /// The bucket's policy.
    AllowedByBucketPolicy,
    /// An access control list.
    AllowedByAcl,
    /// A statement denies it.
    DeniedExplicitly,
    /// A policy that is in force cannot be read.
    DeniedByUnreadablePolicy,
    /// The session's policy does not allow it.
    DeniedBySession,
    /// Nobody allows it.
    Denied,
}

impl Decision {
    /// Whether it may be done.
    pub const fn is_allowed(self) -> bool {
        matches!(
            self,
            Decision::AllowedAsRoot
                | Decision::AllowedAsOwner
                | Decision::AllowedByIdentityPolicy
                | Decision::AllowedByBucketPolicy
                | Decision::AllowedByAcl
        )
    }
}

/// Whether the decision can depend on [`ObjectFacts`] or on the tags of the object that is there. Without it they need
/// not be fetched.
pub fn needs_object(requester: Requester<'_>, action: Action, bucket: &BucketFacts<'_>) -> bool {
    if action.kind() != ResourceKind::Object {
        return false;
    }
    let identity = requester.caller().into_iter().flat_map(identity_sources);
    let asks_for_tags = identity.chain(bucket.policy).any(|source| match source {
        PolicySource::Readable(policy) => policy.asks_for_existing_tags(action),
        PolicySource::Unreadable => false,
    });
    asks_for_tags
        || (bucket.ownership.acls_count() && action.concerns_existing_object() && !owns_all_of(requester, bucket))
}

/// Whether no object's owner or list can matter: the operator's request, or that of the owner of everything in the bucket.
fn owns_all_of(requester: Requester<'_>, bucket: &BucketFacts<'_>) -> bool {
    requester.caller().is_some_and(|caller| {
        caller.is_root || (!bucket.ownership.writers_own() && caller.canonical_id == *bucket.owner)
    })
}

/// Decides about an action on a bucket or an object in it. `object` is `None` if there is no such object.
pub fn decide(request: &Request<'_>, bucket: &BucketFacts<'_>, object: Option<&ObjectFacts<'_>>) -> Decision {
    let caller = request.requester.caller();
    let meets_policy = bucket.policy.is_some() || caller.into_iter().flat_map(identity_sources).next().is_some();
    let resource = match request.key {
        // Most requests meet no policy that could ask.
        _ if !meets_policy => String::new(),
        Some(key) => format!("arn:aws:s3:::{}/{key}", bucket.name),
        None => format!("arn:aws:s3:::{}", bucket.name),
    };
    let question = question(request, &resource);
    let in_bucket_policy = bucket_verdict(request, bucket, &question);
    let in_identity = match judge_caller(caller, &question, in_bucket_policy) {
        Ok(verdict) => verdict,
        Err(decision) => return decision,
    };
    if caller.is_some_and(|caller| caller.is_root) {
        return Decision::AllowedAsRoot;
    }
    let owner = effective_owner(request.action, bucket, object);
    let wrote_it = || writer_with_rights(request.action, bucket, object);
    if caller.is_some_and(|caller| caller.canonical_id == *owner || wrote_it() == Some(&caller.canonical_id)) {
        return Decision::AllowedAsOwner;
    }
    if in_identity == Verdict::Allow {
        return Decision::AllowedByIdentityPolicy;
    }
    if bucket.block.restrict_public_buckets && bucket.policy_is_public {
        return Decision::Denied;
    }
    if in_bucket_policy == Some(Verdict::Allow) && owner == bucket.owner {
        return Decision::AllowedByBucketPolicy;
    }
    match acl_allows(request, bucket, object) {
        true => Decision::AllowedByAcl,
        false => Decision::Denied,
    }
}

/// Decides about an action on a bucket that is not there yet, or on the account: who proved who it is may make buckets
/// and list its own, unless a policy denies it.
pub fn decide_account(request: &Request<'_>, bucket: Option<&str>) -> Decision {
    let resource = bucket.map_or_else(|| "arn:aws:s3:::*".to_owned(), |bucket| format!("arn:aws:s3:::{bucket}"));
    let question = question(request, &resource);
    let Some(caller) = request.requester.caller() else { return Decision::Denied };
    match judge_caller(Some(caller), &question, Some(Verdict::Silent)) {
        Err(decision) => decision,
        Ok(_) if caller.is_root => Decision::AllowedAsRoot,
        Ok(_) => Decision::AllowedAsOwner,
    }
}

/// Decides about an action that is none of S3's, such as `admin:Status`: the operator may, and whom an identity policy
/// allows it.
pub fn decide_operation(caller: &Caller, action: &str, context: &RequestContext) -> Decision {
    let requester = Requester::Caller(caller);
    let question = Question { requester, action, resource: "arn:aws:granary:::store", context };
    match judge_caller(Some(caller), &question, Some(Verdict::Silent)) {
        Err(decision) => decision,
        Ok(_) if caller.is_root => Decision::AllowedAsRoot,
        Ok(Verdict::Allow) => Decision::AllowedByIdentityPolicy,
        Ok(Verdict::Deny | Verdict::Silent) => Decision::Denied,
    }
}

/// Decides about what a caller does with itself, such as `sts:AssumeRole`: it may, unless a policy denies it.
pub fn decide_own(caller: &Caller, action: &str, resource: &str, context: &RequestContext) -> Decision {
    let question = Question { requester: Requester::Caller(caller), action, resource, context };
    match judge_caller(Some(caller), &question, Some(Verdict::Silent)) {
        Err(decision) => decision,
        Ok(_) => Decision::AllowedAsOwner,
    }
}

fn question<'a>(request: &Request<'a>, resource: &'a str) -> Question<'a> {
    Question { requester: request.requester, action: request.action.name(), resource, context: request.context }
}

/// What the bucket's policy says; `None` if it cannot be read.
fn bucket_verdict(request: &Request<'_>, bucket: &BucketFacts<'_>, question: &Question<'_>) -> Option<Verdict> {
    let may_always = request.action.concerns_bucket_policy()
        && request
            .requester
            .caller()
            .is_some_and(|caller| caller.session.is_none() && (caller.is_root || caller.canonical_id == *bucket.owner));
    match bucket.policy {
        _ if may_always => Some(Verdict::Silent),
        None => Some(Verdict::Silent),
        Some(PolicySource::Readable(policy)) => Some(policy.evaluate(question)),
        Some(PolicySource::Unreadable) => None,
    }
}

/// Denies of all planes, then the session's bounds. What is left is what the identity policies say.
fn judge_caller(
    caller: Option<&Caller>,
    question: &Question<'_>,
    in_bucket_policy: Option<Verdict>,
) -> Result<Verdict, Decision> {
    let mut in_identity = Verdict::Silent;
    let mut in_session = None;
    if let Some(caller) = caller {
        for source in &caller.policies {
            match verdict(source, question)? {
                Verdict::Deny => return Err(Decision::DeniedExplicitly),
                Verdict::Allow => in_identity = Verdict::Allow,
                Verdict::Silent => {}
            }
        }
        if let Some(policy) = session_source(caller) {
            in_session = Some(verdict(policy, question)?);
        }
    }
    match in_bucket_policy {
        None => return Err(Decision::DeniedByUnreadablePolicy),
        Some(Verdict::Deny) => return Err(Decision::DeniedExplicitly),
        Some(Verdict::Allow | Verdict::Silent) => {}
    }
    match in_session {
        Some(Verdict::Deny) => Err(Decision::DeniedExplicitly),
        Some(Verdict::Silent) => Err(Decision::DeniedBySession),
        Some(Verdict::Allow) | None => Ok(in_identity),
    }
}

fn verdict(source: &PolicySource, question: &Question<'_>) -> Result<Verdict, Decision> {
    match source {
        PolicySource::Readable(policy) => Ok(policy.evaluate(question)),
        PolicySource::Unreadable => Err(Decision::DeniedByUnreadablePolicy),
    }
}

fn session_source(caller: &Caller) -> Option<&PolicySource> {
    caller.session.as_ref()?.policy.as_ref()
}

fn identity_sources(caller: &Caller) -> impl Iterator<Item = &PolicySource> {
    caller.policies.iter().chain(session_source(caller))
}

/// Whose the thing is that the action is about. Where writers do not own what they write, everything is the bucket's
/// owner's.
fn effective_owner<'a>(action: Action, bucket: &BucketFacts<'a>, object: Option<&ObjectFacts<'a>>) -> &'a CanonicalId {
    match object {
        Some(object) if bucket.ownership.writers_own() && action.concerns_existing_object() => object.owner,
        _ => bucket.owner,
    }
}

/// Who wrote an object that is the bucket's owner's, and has rights to it nevertheless.
fn writer_with_rights<'a>(
    action: Action,
    bucket: &BucketFacts<'a>,
    object: Option<&ObjectFacts<'a>>,
) -> Option<&'a CanonicalId> {
    let is_right = action.reads_object() || (bucket.acl.is_some() && action.concerns_existing_object());
    let object = object.filter(|_| bucket.ownership == ObjectOwnership::Undecided && is_right);
    object.map(|object| object.owner)
}

fn acl_allows(request: &Request<'_>, bucket: &BucketFacts<'_>, object: Option<&ObjectFacts<'_>>) -> bool {
    if !bucket.ownership.acls_count() {
        return false;
    }
    let ignored = bucket.block.ignore_public_acls;
    let by_bucket = acl::bucket_permission(request.action)
        .is_some_and(|wanted| acl::grants(bucket.acl, bucket.owner, request.requester, wanted, ignored));
    let by_object = match (object, acl::object_permission(request.action)) {
        (Some(found), Some(wanted)) => {
            let owner = effective_owner(request.action, bucket, object);
            acl::grants(found.acl, owner, request.requester, wanted, ignored)
        }
        _ => false,
    };
    by_bucket || by_object
}

#[cfg(test)]
mod tests;
