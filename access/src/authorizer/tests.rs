//! The decision in a table: who, what, under which settings.

use super::*;
use crate::acl::CannedAcl;
use crate::caller::Session;
use crate::policy::Policy;
use proptest::prelude::*;
use std::sync::Arc;

fn caller(name: &str) -> Caller {
    let digit = name.len() % 10;
    Caller {
        canonical_id: CanonicalId(name.to_owned()),
        account_id: format!("{digit:0>12}"),
        user: name.to_owned(),
        display_name: name.to_owned(),
        is_root: name == "root",
        policies: Vec::new(),
        session: None,
    }
}

fn identity(effect: &str, action: &str) -> PolicySource {
    let document = format!(r#"{{"Statement":[{{"Effect":"{effect}","Action":"{action}","Resource":"*"}}]}}"#);
    let source = PolicySource::identity(&document);
    assert_ne!(source, PolicySource::Unreadable);
    source
}

fn bucket_policy(effect: &str, principal: &str, action: &str) -> PolicySource {
    let document = format!(
        r#"{{"Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"{action}","Resource":["arn:aws:s3:::pail","arn:aws:s3:::pail/*"]}}]}}"#
    );
    PolicySource::Readable(Arc::new(Policy::parse_for_bucket(document.as_bytes(), "pail").unwrap()))
}

/// The bucket `pail` of `owner`, with an object `k`.
struct World {
    owner: CanonicalId,
    policy: Option<PolicySource>,
    bucket_acl: Option<Acl>,
    ownership: ObjectOwnership,
    block: PublicAccessBlock,
    object_owner: CanonicalId,
    object_acl: Option<Acl>,
}

impl World {
    fn new() -> World {
        let owner = CanonicalId::from("owner");
        World {
            object_owner: owner.clone(),
            owner,
            policy: None,
            bucket_acl: None,
            ownership: ObjectOwnership::default(),
            block: PublicAccessBlock::default(),
            object_acl: None,
        }
    }

    fn decide(&self, requester: Requester<'_>, action: Action) -> Decision {
        let is_public = |source: &PolicySource| matches!(source, PolicySource::Readable(policy) if policy.is_public());
        let bucket = BucketFacts {
            name: "pail",
            owner: &self.owner,
            policy: self.policy.as_ref(),
            policy_is_public: self.policy.as_ref().is_some_and(is_public),
            acl: self.bucket_acl.as_ref(),
            ownership: self.ownership,
            block: self.block,
        };
        let object = ObjectFacts { owner: &self.object_owner, acl: self.object_acl.as_ref() };
        let key = (action.kind() == ResourceKind::Object).then_some("k");
        let context = RequestContext::new();
        decide(&Request { requester, action, key, context: &context }, &bucket, key.map(|_| &object))
    }
}

#[test]
fn owners_own_and_strangers_do_not() {
    let world = World::new();
    let (owner, other, root) = (caller("owner"), caller("other"), caller("root"));
    for action in Action::ALL.iter().copied().filter(|action| action.kind() != ResourceKind::Account) {
        assert_eq!(world.decide(Requester::Caller(&owner), action), Decision::AllowedAsOwner, "{action:?}");
        assert_eq!(world.decide(Requester::Caller(&root), action), Decision::AllowedAsRoot, "{action:?}");
        assert_eq!(world.decide(Requester::Caller(&other), action), Decision::Denied, "{action:?}");
        assert_eq!(world.decide(Requester::Anonymous, action), Decision::Denied, "{action:?}");
    }
}

#[test]
fn where_nobody_chose_everything_is_the_bucket_owners_and_lists_count() {
    let mut world = World::new();
    world.ownership = ObjectOwnership::Undecided;
    world.object_owner = CanonicalId::from("other");
    let (owner, other) = (caller("owner"), caller("other"));
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), Decision::AllowedAsOwner);
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::AllowedAsOwner);
    // Who may only write makes nothing public: that takes the bucket owner's consent.
    assert_eq!(world.decide(Requester::Caller(&other), Action::PutObjectAcl), Decision::Denied);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
    world.bucket_acl = CannedAcl::PublicReadWrite.expand(&world.owner, &world.owner);
    assert_eq!(world.decide(Requester::Caller(&other), Action::PutObjectAcl), Decision::AllowedAsOwner);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::PutObjectAcl), Decision::AllowedAsOwner);
    world.bucket_acl = None;
    world.object_acl = CannedAcl::PublicRead.expand(&world.owner, &world.owner);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::AllowedByAcl);
    assert_eq!(world.decide(Requester::Anonymous, Action::PutObject), Decision::Denied);
    world.block.ignore_public_acls = true;
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
}

#[test]
fn a_deny_in_any_plane_wins() {
    let root = caller("root");
    let mut world = World::new();
    world.policy = Some(bucket_policy("Deny", r#""*""#, "s3:*"));
    for name in ["owner", "other", "root"] {
        let mut caller = caller(name);
        caller.policies = vec![identity("Allow", "s3:*")];
        assert_eq!(world.decide(Requester::Caller(&caller), Action::GetObject), Decision::DeniedExplicitly, "{name}");
    }
    // The policy itself stays within reach of who answers for it.
    assert!(world.decide(Requester::Caller(&caller("owner")), Action::DeleteBucketPolicy).is_allowed());
    assert!(world.decide(Requester::Caller(&root), Action::PutBucketPolicy).is_allowed());
    assert_eq!(world.decide(Requester::Caller(&caller("other")), Action::GetBucketPolicy), Decision::DeniedExplicitly);
    let mut in_session = caller("owner");
    in_session.session = Some(Session { role: "r".to_owned(), name: "s".to_owned(), policy: None });
    let denied = world.decide(Requester::Caller(&in_session), Action::DeleteBucketPolicy);
    assert_eq!(denied, Decision::DeniedExplicitly);

    world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:*"));
    let mut owner = caller("owner");
    owner.policies = vec![identity("Allow", "s3:*"), identity("Deny", "s3:GetObject")];
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), Decision::DeniedExplicitly);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::PutObject), Decision::AllowedAsOwner);
}

#[test]
fn what_cannot_be_read_denies() {
    let mut world = World::new();
    world.policy = Some(PolicySource::Unreadable);
    let owner = caller("owner");
    let unreadable = Decision::DeniedByUnreadablePolicy;
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), unreadable);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), unreadable);
    assert!(world.decide(Requester::Caller(&owner), Action::DeleteBucketPolicy).is_allowed());
    world.policy = None;
    let broken = Caller { policies: vec![PolicySource::identity("{")], ..owner };
    assert_eq!(world.decide(Requester::Caller(&broken), Action::GetObject), unreadable);
}

#[test]
fn policies_let_others_in() {
    let mut world = World::new();
    let mut other = caller("other");
    other.policies = vec![identity("Allow", "s3:Get*")];
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::AllowedByIdentityPolicy);
    assert_eq!(world.decide(Requester::Caller(&other), Action::PutObject), Decision::Denied);
    other.policies.clear();
    world.policy = Some(bucket_policy("Allow", &format!(r#"{{"AWS":"{}"}}"#, other.account_id), "s3:GetObject"));
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::AllowedByBucketPolicy);
    assert_eq!(world.decide(Requester::Caller(&other), Action::PutObject), Decision::Denied);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
    world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:GetObject"));
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::AllowedByBucketPolicy);
}

#[test]
fn a_session_never_exceeds_its_policy() {
    let mut world = World::new();
    world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:PutObject"));
    let session = |policy| Session { role: "r".to_owned(), name: "s".to_owned(), policy };
    for (name, allowed) in [("owner", true), ("root", true), ("other", false)] {
        let mut caller = caller(name);
        caller.session = Some(session(Some(identity("Allow", "s3:GetObject"))));
        let decide = |action| world.decide(Requester::Caller(&caller), action);
        assert_eq!(decide(Action::GetObject).is_allowed(), allowed, "{name}");
        assert_eq!(decide(Action::PutObject), Decision::DeniedBySession, "{name}");
    }
    let mut owner = caller("owner");
    owner.session = Some(session(None));
    assert!(world.decide(Requester::Caller(&owner), Action::GetObject).is_allowed());
    owner.session = Some(session(Some(PolicySource::Unreadable)));
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), Decision::DeniedByUnreadablePolicy);
}

#[test]
fn lists_count_only_where_they_may() {
    let mut world = World::new();
    let (owner, other) = (world.owner.clone(), caller("other"));
    world.bucket_acl = CannedAcl::PublicReadWrite.expand(&owner, &owner);
    world.object_acl = CannedAcl::PublicRead.expand(&owner, &owner);
    let actions = [Action::ListBucket, Action::PutObject, Action::GetObject];
    for action in actions {
        assert_eq!(world.decide(Requester::Anonymous, action), Decision::Denied, "{action:?}");
    }
    world.ownership = ObjectOwnership::ObjectWriter;
    for action in actions {
        assert_eq!(world.decide(Requester::Anonymous, action), Decision::AllowedByAcl, "{action:?}");
    }
    for action in [Action::GetBucketAcl, Action::PutObjectAcl, Action::GetObjectTagging, Action::DeleteBucket] {
        assert_eq!(world.decide(Requester::Anonymous, action), Decision::Denied, "{action:?}");
    }
    world.bucket_acl = CannedAcl::AuthenticatedRead.expand(&owner, &owner);
    assert_eq!(world.decide(Requester::Anonymous, Action::ListBucket), Decision::Denied);
    assert_eq!(world.decide(Requester::Caller(&other), Action::ListBucket), Decision::AllowedByAcl);
    world.block.ignore_public_acls = true;
    assert_eq!(world.decide(Requester::Caller(&other), Action::ListBucket), Decision::Denied);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
    assert!(world.decide(Requester::Caller(&caller("owner")), Action::GetObject).is_allowed());
}

#[test]
fn objects_of_others_are_theirs_where_lists_count() {
    let mut world = World::new();
    world.ownership = ObjectOwnership::ObjectWriter;
    world.object_owner = CanonicalId::from("other");
    world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:*"));
    let (owner, other) = (caller("owner"), caller("other"));
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::AllowedAsOwner);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), Decision::Denied);
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::DeleteObject), Decision::AllowedAsOwner);
    world.object_acl = CannedAcl::BucketOwnerRead.expand(&world.object_owner, &world.owner);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObject), Decision::AllowedByAcl);
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObjectAcl), Decision::Denied);
    world.ownership = ObjectOwnership::BucketOwnerEnforced;
    assert_eq!(world.decide(Requester::Caller(&owner), Action::GetObjectAcl), Decision::AllowedAsOwner);
    world.policy = None;
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::Denied);
}

#[test]
fn a_restricted_public_bucket_is_its_owners() {
    let mut world = World::new();
    world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:GetObject"));
    world.block.restrict_public_buckets = true;
    let (owner, mut other) = (caller("owner"), caller("other"));
    assert_eq!(world.decide(Requester::Anonymous, Action::GetObject), Decision::Denied);
    assert_eq!(world.decide(Requester::Caller(&other), Action::GetObject), Decision::Denied);
    assert!(world.decide(Requester::Caller(&owner), Action::GetObject).is_allowed());
    other.policies = vec![identity("Allow", "s3:*")];
    assert!(world.decide(Requester::Caller(&other), Action::GetObject).is_allowed());
    other.policies.clear();
    world.policy = Some(bucket_policy("Allow", &format!(r#"{{"AWS":"{}"}}"#, other.account_id), "s3:GetObject"));
    assert!(world.decide(Requester::Caller(&other), Action::GetObject).is_allowed());
}

#[test]
fn accounts_make_and_list_buckets_and_operators_operate() {
    let context = RequestContext::new();
    let account = |caller: &Caller| {
        let request = |action| Request { requester: Requester::Caller(caller), action, key: None, context: &context };
        (
            decide_account(&request(Action::CreateBucket), Some("new")).is_allowed(),
            decide_account(&request(Action::ListAllMyBuckets), None).is_allowed(),
            decide_operation(caller, "admin:Status", &context).is_allowed(),
        )
    };
    let mut other = caller("other");
    assert_eq!(account(&other), (true, true, false));
    assert_eq!(account(&caller("root")), (true, true, true));
    other.policies = vec![identity("Deny", "s3:CreateBucket"), identity("Allow", "admin:*")];
    assert_eq!(account(&other), (false, true, true));
    let anonymous =
        Request { requester: Requester::Anonymous, action: Action::ListAllMyBuckets, key: None, context: &context };
    assert_eq!(decide_account(&anonymous, None), Decision::Denied);
}

#[test]
fn objects_are_fetched_only_where_they_matter() {
    let world = World::new();
    let tags = PolicySource::Readable(Arc::new(
        Policy::parse_for_bucket(
            br#"{"Statement":[{"Effect":"Allow","Principal":"*","Action":"s3:GetObject","Resource":"arn:aws:s3:::pail/*","Condition":{"StringEquals":{"s3:ExistingObjectTag/a":"b"}}}]}"#,
            "pail",
        )
        .unwrap(),
    ));
    let facts = |policy, ownership| BucketFacts {
        name: "pail",
        owner: &world.owner,
        policy,
        policy_is_public: false,
        acl: None,
        ownership,
        block: PublicAccessBlock::default(),
    };
    let (owner, root) = (caller("owner"), caller("root"));
    let needs = |caller, action, facts: &BucketFacts<'_>| needs_object(Requester::Caller(caller), action, facts);
    let plain = facts(None, ObjectOwnership::BucketOwnerEnforced);
    assert!(!needs(&owner, Action::GetObject, &plain));
    let tagged = facts(Some(&tags), ObjectOwnership::BucketOwnerEnforced);
    assert!(needs(&root, Action::GetObject, &tagged));
    assert!(!needs(&root, Action::PutObject, &tagged));
    let lists = facts(None, ObjectOwnership::ObjectWriter);
    assert!(needs(&owner, Action::GetObject, &lists));
    assert!(!needs(&owner, Action::PutObject, &lists));
    assert!(!needs(&owner, Action::ListBucket, &lists));
    assert!(!needs(&root, Action::GetObject, &lists));
}

proptest! {
    /// Whatever the settings: a Deny for everybody lets nobody in, and a session never does more than its caller.
    #[test]
    fn denies_and_sessions_hold_under_all_settings(
        who in prop::sample::select(vec!["owner", "other", "root"]),
        action in prop::sample::select(Action::ALL.iter().copied().filter(|action| action.kind() != ResourceKind::Account && !action.concerns_bucket_policy()).collect::<Vec<_>>()),
        ownership in prop::sample::select(vec![ObjectOwnership::BucketOwnerEnforced, ObjectOwnership::ObjectWriter]),
        allow in any::<bool>(), public in any::<bool>(), ignore in any::<bool>(), restrict in any::<bool>(),
        session_action in prop::sample::select(vec!["s3:*", "s3:GetObject", "s3:Put*"]),
    ) {
        let mut world = World::new();
        world.ownership = ownership;
        world.block.ignore_public_acls = ignore;
        world.block.restrict_public_buckets = restrict;
        if public {
            world.bucket_acl = CannedAcl::PublicReadWrite.expand(&world.owner, &world.owner);
            world.object_acl = CannedAcl::PublicRead.expand(&world.owner, &world.owner);
        }
        if allow {
            world.policy = Some(bucket_policy("Allow", r#""*""#, "s3:*"));
        }
        let plain = caller(who);
        let mut in_session = plain.clone();
        in_session.session = Some(Session { role: "r".to_owned(), name: "s".to_owned(), policy: Some(identity("Allow", session_action)) });
        let by_session = world.decide(Requester::Caller(&in_session), action).is_allowed();
        prop_assert!(!by_session || world.decide(Requester::Caller(&plain), action).is_allowed());
        world.policy = Some(bucket_policy("Deny", r#""*""#, "s3:*"));
        prop_assert!(!world.decide(Requester::Caller(&plain), action).is_allowed());
        prop_assert!(!world.decide(Requester::Anonymous, action).is_allowed());
    }
}
