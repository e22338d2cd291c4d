//! What a request may do: asked in dispatch before its operation runs, and by operations about what they only learn from
//! its body or headers (the source of a copy, each key of a bulk delete).
//!
//! Facts are gathered here, the decision is [`granary_access::authorizer`]'s. An object's owner, list and tags are read
//! only where the decision can depend on them.

use super::access_context::{add_existing_tags, context_of};
use super::bucket_settings::BucketSettings;
use super::refusal::Refusal;
use super::request::S3Request;
use super::state::GatewayState;
use crate::error::{S3Error, S3ErrorCode};
use granary_access::authorizer::{self, Decision, ObjectFacts, Request};
use granary_access::{Action, Caller, ObjectOwnership, RequestContext, Requester, ResourceKind};
use granary_protocol::namenode::Window;
use granary_protocol::object::ObjectVersion;
use granary_protocol::{CanonicalId, ErrorCode, ObjectKey, VersionId};

/// Something in a bucket.
#[derive(Clone, Copy)]
pub(crate) struct AccessTarget<'a> {
    /// The bucket.
    pub settings: &'a BucketSettings,
    /// The object; `None` for the bucket itself.
    pub key: Option<&'a ObjectKey>,
    /// The version named.
    pub version: Option<VersionId>,
}

impl S3Request {
    /// Who sent it; `None` for somebody without credentials.
    pub fn caller(&self) -> Option<&Caller> {
        self.caller.as_deref()
    }

    /// Who owns the bucket, upload or delete marker that it makes. Without credentials that is the bucket's owner.
    pub fn maker(&self) -> CanonicalId {
        match (self.caller(), self.settings_if_any()) {
            (Some(caller), _) => caller.canonical_id.clone(),
            (None, Some(settings)) => settings.info.owner.clone(),
            (None, None) => CanonicalId::default(),
        }
    }

    /// Whether it may list a bucket with a prefix: whoever may not is not told which keys there are.
    pub fn may_list(&self, settings: &BucketSettings, prefix: &str) -> bool {
        let facts = settings.access().facts(settings);
        let mut context = self.context(settings);
        if self.meets_policy(settings) && context.get("s3:prefix").is_none() {
            context.add("s3:prefix", prefix);
        }
        let request = Request { requester: self.requester(), action: Action::ListBucket, key: None, context: &context };
        authorizer::decide(&request, &facts, None).is_allowed()
    }

    /// Whether it may do something with a bucket or an object.
    ///
    /// # Errors
    /// What the store answers when the object's own settings are needed and cannot be had.
    pub async fn may(&self, state: &GatewayState, target: AccessTarget<'_>, action: Action) -> Result<bool, Refusal> {
        Ok(self.judge(state, target, action).await?.0.is_allowed())
    }

    /// The same, with an error for what it may not do: `AccessDenied`, unless it may know that there is no such object.
    pub async fn require(&self, state: &GatewayState, target: AccessTarget<'_>, action: Action) -> Result<(), Refusal> {
        let (decision, mut is_missing) = self.judge(state, target, action).await?;
        if !decision.is_allowed()
            && is_missing.is_none()
            && let Some(key) = target.key.filter(|_| action.concerns_existing_object())
            && self.may_list(target.settings, key.as_str())
        {
            is_missing = Some(existing(state, target.settings, key, target.version).await?.is_none());
        }
        // What the store does for a bucket's owner, such as delivering logs, needs no grant; a Deny stops it.
        if self.service.is_some() && decision == Decision::Denied {
            return Ok(());
        }
        match (decision.is_allowed(), target.key) {
            (true, _) => Ok(()),
            (false, Some(key)) if is_missing == Some(true) && self.may_list(target.settings, key.as_str()) => {
                let code = if target.version.is_some() { S3ErrorCode::NoSuchVersion } else { S3ErrorCode::NoSuchKey };
                Err(S3Error::new(code).field("Key", key.as_str()).into())
            }
            (false, _) => {
                tracing::debug!(bucket = %target.settings.info.name, action = action.name(), ?decision, "denied");
                Err(S3ErrorCode::AccessDenied.into())
            }
        }
    }

    /// Whether it may also give the object that it is about to write tags, a list or a lock. That is a question about the
    /// new object, not about one that is there: where lists count it will be the writer's own, so that tags and a list
    /// need no grant beside the one to write.
    pub fn require_for_new(&self, target: AccessTarget<'_>, action: Action) -> Result<(), Refusal> {
        let settings = target.settings;
        let facts = settings.access().facts(settings);
        let context = self.context(settings);
        let key = target.key.map(ObjectKey::as_str);
        let request = Request { requester: self.requester(), action, key, context: &context };
        let decision = authorizer::decide(&request, &facts, None);
        let describes = matches!(action, Action::PutObjectAcl | Action::PutObjectTagging);
        let is_writers = match facts.ownership {
            ObjectOwnership::Undecided => facts.acl.is_some(),
            ownership => ownership.writers_own(),
        };
        let is_own = describes && is_writers;
        let needs_no_grant = is_own || self.service.is_some();
        match decision.is_allowed() || (needs_no_grant && decision == Decision::Denied) {
            true => Ok(()),
            false => Err(S3ErrorCode::AccessDenied.into()),
        }
    }

    /// The decision, and whether there is no such object, if that was found out.
    async fn judge(
        &self,
        state: &GatewayState,
        target: AccessTarget<'_>,
        action: Action,
    ) -> Result<(Decision, Option<bool>), Refusal> {
        let settings = target.settings;
        let facts = settings.access().facts(settings);
        let mut context = self.context(settings);
        let key = match action.kind() {
            ResourceKind::Object => target.key,
            ResourceKind::Account | ResourceKind::Bucket => None,
        };
        let mut object = None;
        let mut is_missing = None;
        if let Some(key) = key
            && authorizer::needs_object(self.requester(), action, &facts)
        {
            object = existing(state, settings, key, target.version).await?;
            is_missing = Some(object.is_none());
            if let Some(object) = &object {
                add_existing_tags(&mut context, &object.details.tags);
            }
        }
        let object =
            object.as_ref().map(|object| ObjectFacts { owner: &object.owner, acl: object.details.acl.as_ref() });
        let key = key.map(ObjectKey::as_str);
        let request = Request { requester: self.requester(), action, key, context: &context };
        Ok((authorizer::decide(&request, &facts, object.as_ref()), is_missing))
    }

    fn requester(&self) -> Requester<'_> {
        match (self.caller(), self.service) {
            (Some(caller), _) => Requester::Caller(caller),
            (None, Some(service)) => Requester::Service(service),
            (None, None) => Requester::Anonymous,
        }
    }

    /// Empty where no policy asks: most requests meet none.
    fn context(&self, settings: &BucketSettings) -> RequestContext {
        if !self.meets_policy(settings) {
            return RequestContext::new();
        }
        let mut context = self.full_context();
        let owner = &settings.info.owner;
        if let Some((_, account)) = self.accounts.iter().find(|(id, _)| id == owner) {
            context.add("aws:ResourceAccount", &**account);
            context.add("s3:ResourceAccount", &**account);
        }
        context
    }

    fn meets_policy(&self, settings: &BucketSettings) -> bool {
        let of_caller = self.caller().is_some_and(|caller| !caller.policies.is_empty() || caller.session.is_some());
        of_caller || settings.access().policy.is_some()
    }

    /// Learns whose account the request's bucket is in, if a policy may ask.
    ///
    /// # Errors
    /// What the namenode answers.
    pub(super) async fn learn_owner(&mut self, state: &GatewayState) -> Result<(), Refusal> {
        match self.settings_if_any().cloned() {
            Some(settings) => self.learn_owner_of(state, &settings).await,
            None => Ok(()),
        }
    }

    /// The same for another bucket, such as that of a copy's source.
    ///
    /// # Errors
    /// What the namenode answers.
    pub async fn learn_owner_of(&mut self, state: &GatewayState, settings: &BucketSettings) -> Result<(), Refusal> {
        let owner = &settings.info.owner;
        if !self.meets_policy(settings) || self.accounts.iter().any(|(id, _)| id == owner) {
            return Ok(());
        }
        if let Some(found) = state.owners.find(owner).await? {
            self.accounts.push((owner.clone(), found.account_id));
        }
        Ok(())
    }

    fn full_context(&self) -> RequestContext {
        let mut context = context_of(&self.arrival, self.caller(), &self.headers, &self.query, &self.region);
        context.extend(&self.said_ahead);
        context
    }

    /// Whether it may do something with its account: make a bucket, list its buckets.
    pub(super) fn require_account(&self, action: Action) -> Result<(), S3Error> {
        let context = self.full_context();
        let request = Request { requester: self.requester(), action, key: None, context: &context };
        let bucket = (!self.bucket.as_str().is_empty()).then(|| self.bucket.as_str());
        match authorizer::decide_account(&request, bucket).is_allowed() {
            true => Ok(()),
            false => Err(S3Error::new(S3ErrorCode::AccessDenied)),
        }
    }
}

/// The object that is there, without its bytes.
async fn existing(
    state: &GatewayState,
    settings: &BucketSettings,
    key: &ObjectKey,
    version: Option<VersionId>,
) -> Result<Option<ObjectVersion>, Refusal> {
    let bucket = settings.info.name.clone();
    match state.client.get_object(bucket, key.clone(), version, Window::Nothing).await {
        Ok(read) => Ok(Some(read.object)),
        Err(failure) => match failure.code {
            ErrorCode::NoSuchKey | ErrorCode::NoSuchVersion | ErrorCode::DeleteMarker { .. } => Ok(None),
            _ => Err(failure.into()),
        },
    }
}
