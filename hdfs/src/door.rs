//! [`FileSystemDoor`]: the one way from Hadoop's protocols to the namespace. Every call is judged here, then carried out by
//! the namenode, which judges mode bits and leases in its turn.
//!
//! For a user of the store the decision is the authorizer's, as at the S3 door: deletes and renames of directories are
//! judged for each object below them, so that no Deny is got around by naming the directory.

use crate::demand::{Demand, demands_of};
use crate::exception::{JavaException, RemoteException};
use crate::principal::{Principal, Principals};
use granary_access::authorizer::{self, BucketFacts, ObjectFacts, Request};
use granary_access::{
    Action, Caller, ObjectOwnership, Policy, PolicySource, PublicAccessBlock, RequestContext, Requester, ResourceKind,
    acl,
};
use granary_protocol::acl::Acl;
use granary_protocol::bucket::{BucketDocument, BucketSettings};
use granary_protocol::filesystem::{FsCall, FsPath, FsReply, FsRequest, RetryId};
use granary_protocol::namenode::*;
use granary_protocol::object::ObjectVersion;
use granary_protocol::{BucketName, ErrorCode, Failure, ObjectKey};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How old what is known of a bucket may be.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Buckets remembered at once.
const BUCKETS_MAX: usize = 1024;
/// Objects of a directory that are judged one by one at most; larger trees need somebody whom no policy restricts.
const TREE_OBJECTS_MAX: usize = 10_000;
/// Objects asked for at a time.
const TREE_PAGE: u32 = 1000;

/// Judges calls and hands them on. Cheap to share.
pub struct FileSystemDoor {
    namenode: Arc<dyn NamenodeService>,
    principals: Principals,
    buckets: Mutex<HashMap<BucketName, (Instant, Arc<BucketAccess>)>>,
}

/// What of a bucket's settings decides who may do what in it.
struct BucketAccess {
    settings: BucketSettings,
    policy: Option<PolicySource>,
    policy_is_public: bool,
    acl: Option<Acl>,
    ownership: ObjectOwnership,
    block: PublicAccessBlock,
}

impl BucketAccess {
    fn read(settings: BucketSettings) -> BucketAccess {
        let document = |kind| {
            let found = settings.documents.iter().find(|(other, _)| *other == kind);
            found.map(|(_, document)| document.as_ref())
        };
        let parsed = document(BucketDocument::Policy).map(Policy::parse_resource);
        let policy_is_public = matches!(&parsed, Some(Ok(policy)) if policy.is_public());
        let policy = parsed.map(|parsed| match parsed {
            Ok(policy) => PolicySource::Readable(Arc::new(policy)),
            Err(_) => PolicySource::Unreadable,
        });
        let acl = acl::from_document(document(BucketDocument::Acl));
        let ownership = ObjectOwnership::from_document(document(BucketDocument::OwnershipControls));
        let block = PublicAccessBlock::from_document(document(BucketDocument::PublicAccessBlock));
        BucketAccess { policy, policy_is_public, acl, ownership, block, settings }
    }

    fn facts(&self) -> BucketFacts<'_> {
        BucketFacts {
            name: self.settings.info.name.as_str(),
            owner: &self.settings.info.owner,
            policy: self.policy.as_ref(),
            policy_is_public: self.policy_is_public,
            acl: self.acl.as_ref(),
            ownership: self.ownership,
            block: self.block,
        }
    }
}

impl FileSystemDoor {
    /// A door to what `namenode` keeps.
    pub fn new(namenode: Arc<dyn NamenodeService>, principals: Principals) -> FileSystemDoor {
        FileSystemDoor { namenode, principals, buckets: Mutex::default() }
    }

    /// Who asks.
    pub fn principals(&self) -> &Principals {
        &self.principals
    }

    /// Sends a request that is about no path of a principal's: reports, status.
    ///
    /// # Errors
    /// The namenode's own, as an exception.
    pub async fn ask(&self, request: NamenodeRequest) -> Result<NamenodeReply, RemoteException> {
        Ok(self.namenode.call(request).await?)
    }

    /// Judges a call and carries it out.
    ///
    /// # Errors
    /// What the client is to be told.
    pub async fn call(
        &self,
        principal: &Principal,
        retry: Option<RetryId>,
        request: FsRequest,
    ) -> Result<FsReply, RemoteException> {
        if let Some(caller) = &principal.store {
            for demand in demands_of(&request) {
                self.judge(principal, caller, &demand).await?;
            }
        }
        let call = FsCall { caller: principal.fs.clone(), retry, request };
        match self.namenode.call(NamenodeRequest::FileSystem(Box::new(call))).await? {
            NamenodeReply::FileSystem(reply) => Ok(*reply),
            _ => Err(Failure::from(ErrorCode::Internal).into()),
        }
    }

    async fn judge(&self, principal: &Principal, caller: &Caller, demand: &Demand) -> Result<(), RemoteException> {
        let action = demand.any_of[0];
        let Some((bucket, key)) = demand.path.bucket_and_key() else {
            return self.judge_account(principal, caller, action, None);
        };
        if action == Action::CreateBucket {
            return self.judge_account(principal, caller, action, Some(bucket.as_str()));
        }
        // Without a bucket there is nothing to be judged; the namenode says so.
        let Some(access) = self.bucket(&bucket).await? else { return Ok(()) };
        let question = Question { principal, caller, access: &access };
        for action in demand.any_of {
            if self.allows(&question, *action, key).await? {
                return match demand.tree && !key.is_empty() && question.may_differ_below() {
                    true => self.judge_tree(&question, *action, &demand.path).await,
                    false => Ok(()),
                };
            }
        }
        Err(denied(principal, action, &demand.path))
    }

    fn judge_account(
        &self,
        principal: &Principal,
        caller: &Caller,
        action: Action,
        bucket: Option<&str>,
    ) -> Result<(), RemoteException> {
        let context = context(principal, caller);
        let request = Request { requester: Requester::Caller(caller), action, key: None, context: &context };
        match authorizer::decide_account(&request, bucket).is_allowed() {
            true => Ok(()),
            false => Err(denied(principal, action, &FsPath::root())),
        }
    }

    async fn allows(&self, question: &Question<'_>, action: Action, key: &str) -> Result<bool, RemoteException> {
        let facts = question.access.facts();
        let requester = Requester::Caller(question.caller);
        let mut context = context(question.principal, question.caller);
        if action == Action::ListBucket {
            context.add("s3:prefix", key);
        }
        let key = (action.kind() == ResourceKind::Object).then_some(key);
        let mut object = None;
        if let Some(key) = key
            && authorizer::needs_object(requester, action, &facts)
        {
            object = self.object(&question.access.settings.info.name, key).await?;
            for tag in object.iter().flat_map(|object| &object.details.tags) {
                context.add(format!("s3:ExistingObjectTag/{}", tag.key), tag.value.as_str());
            }
        }
        let object =
            object.as_ref().map(|object| ObjectFacts { owner: &object.owner, acl: object.details.acl.as_ref() });
        let request = Request { requester, action, key, context: &context };
        Ok(authorizer::decide(&request, &facts, object.as_ref()).is_allowed())
    }

    /// Judges every object of a directory.
    async fn judge_tree(&self, question: &Question<'_>, action: Action, path: &FsPath) -> Result<(), RemoteException> {
        let bucket = &question.access.settings.info.name;
        let Some((_, key)) = path.bucket_and_key() else { return Ok(()) };
        let (mut after, mut judged) = (ListAfter::Start, 0);
        loop {
            let request = NamenodeRequest::ListObjects {
                bucket: bucket.clone(),
                prefix: format!("{key}/"),
                delimiter: String::new(),
                after,
                limit: TREE_PAGE,
            };
            let NamenodeReply::Listing(listing) = self.ask(request).await? else {
                return Err(Failure::from(ErrorCode::Internal).into());
            };
            judged += listing.entries.len();
            if judged > TREE_OBJECTS_MAX {
                let message = format!(
                    "Permission denied: user={}, {path} holds more than {TREE_OBJECTS_MAX} objects, too many to judge one \
                     by one under the policies in force",
                    question.principal.fs.user
                );
                return Err(RemoteException::new(JavaException::AccessControl, message));
            }
            for entry in &listing.entries {
                if let ListEntry::Object { key, .. } = entry
                    && !self.allows(question, action, key.as_str()).await?
                {
                    return Err(denied(question.principal, action, path));
                }
            }
            if !listing.truncated {
                return Ok(());
            }
            after = listing.next();
        }
    }

    async fn bucket(&self, name: &BucketName) -> Result<Option<Arc<BucketAccess>>, RemoteException> {
        if let Some((at, access)) = self.remembered().get(name)
            && at.elapsed() < KEPT_FOR
        {
            return Ok(Some(access.clone()));
        }
        let at = Instant::now();
        let settings = match self.namenode.call(NamenodeRequest::GetBucketSettings { bucket: name.clone() }).await {
            Ok(NamenodeReply::BucketSettings(settings)) => *settings,
            Ok(_) => return Err(Failure::from(ErrorCode::Internal).into()),
            Err(failure) if failure.code == ErrorCode::NoSuchBucket => return Ok(None),
            Err(failure) => return Err(failure.into()),
        };
        let access = Arc::new(BucketAccess::read(settings));
        let mut remembered = self.remembered();
        if remembered.len() >= BUCKETS_MAX {
            remembered.clear();
        }
        remembered.insert(name.clone(), (at, access.clone()));
        Ok(Some(access))
    }

    fn remembered(&self) -> std::sync::MutexGuard<'_, HashMap<BucketName, (Instant, Arc<BucketAccess>)>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn object(&self, bucket: &BucketName, key: &str) -> Result<Option<ObjectVersion>, RemoteException> {
        let request = NamenodeRequest::GetObject {
            bucket: bucket.clone(),
            key: ObjectKey::from(key),
            version: None,
            window: Window::Nothing,
        };
        match self.namenode.call(request).await {
            Ok(NamenodeReply::Object(read)) => Ok(Some(read.object)),
            Ok(_) => Err(Failure::from(ErrorCode::Internal).into()),
            Err(failure) if matches!(failure.code, ErrorCode::NoSuchKey | ErrorCode::DeleteMarker { .. }) => Ok(None),
            Err(failure) => Err(failure.into()),
        }
    }
}

/// Who asks about which bucket.
struct Question<'a> {
    principal: &'a Principal,
    caller: &'a Caller,
    access: &'a BucketAccess,
}

impl Question<'_> {
    /// Whether objects of one directory may be judged differently: where policies or lists count.
    fn may_differ_below(&self) -> bool {
        !self.caller.policies.is_empty() || self.access.policy.is_some() || self.access.ownership.acls_count()
    }
}

/// What policies may ask about a request through this door.
fn context(principal: &Principal, caller: &Caller) -> RequestContext {
    let now_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().to_string();
    let mut context = RequestContext::new();
    context.add("aws:EpochTime", now_s.as_str());
    context.add("aws:CurrentTime", now_s);
    context.add("aws:SecureTransport", "false");
    context.add("aws:SourceIp", principal.address.to_canonical().to_string());
    context.add("aws:PrincipalArn", caller.principal_arn());
    context.add("aws:PrincipalAccount", caller.account_id.as_str());
    context.add("aws:PrincipalType", caller.principal_type());
    context.add("aws:PrincipalIsAWSService", "false");
    context.add("aws:userid", caller.unique_id());
    context.add("aws:username", caller.user.as_str());
    context
}

fn denied(principal: &Principal, action: Action, path: &FsPath) -> RemoteException {
    let message = format!("Permission denied: user={}, action={}, path=\"{path}\"", principal.fs.user, action.name());
    RemoteException::new(JavaException::AccessControl, message)
}
