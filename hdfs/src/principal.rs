//! From a claimed name to whom the store judges: superuser, user of the store, or a name with nothing but mode bits.
//!
//! What is known of a name is never older than [`KEPT_FOR`], so that a user that was disabled or a policy that was
//! detached counts for nothing after that time.

use crate::config::HdfsConfig;
use crate::exception::{JavaException, RemoteException};
use crate::groups::{SUPERGROUP, groups_of};
use crate::identity::ClaimedUser;
use granary_access::{Caller, PolicySource};
use granary_protocol::filesystem::FsCaller;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::user::User;
use granary_protocol::{CanonicalId, ErrorCode, Failure};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How old what is known of a name may be.
const KEPT_FOR: Duration = Duration::from_secs(1);
/// Names remembered at once.
const NAMES_MAX: usize = 4096;
/// The name that is the superuser's whoever runs this process.
const SUPERUSER: &str = "hdfs";
/// Policies asked for at a time while looking for one.
const POLICY_PAGE: u32 = 100;

/// Who asks, as both the namenode and the authorizer know it.
#[derive(Clone, Debug)]
pub struct Principal {
    /// For the namenode: mode bits and leases.
    pub fs: FsCaller,
    /// For the authorizer, if the name is a user of the store.
    pub store: Option<Arc<Caller>>,
    /// From where.
    pub address: IpAddr,
}

/// What is known of a name, wherever it comes from.
#[derive(Clone)]
struct Known {
    groups: Vec<String>,
    store: Option<Arc<Caller>>,
}

/// Finds principals.
pub struct Principals {
    namenode: Arc<dyn NamenodeService>,
    config: Arc<HdfsConfig>,
    operator: CanonicalId,
    process_user: String,
    /// By name, and whether as a superuser.
    known: Mutex<HashMap<(String, bool), (Instant, Known)>>,
}

impl Principals {
    /// `operator` owns what superusers and unknown names make. The user that runs this process is a superuser.
    pub fn new(namenode: Arc<dyn NamenodeService>, config: Arc<HdfsConfig>, operator: CanonicalId) -> Principals {
        Principals { namenode, config, operator, process_user: process_user(), known: Mutex::default() }
    }

    /// The user that runs this process.
    pub fn process_user(&self) -> &str {
        &self.process_user
    }

    /// The principal of a claimed user that calls from `address`.
    ///
    /// # Errors
    /// `AccessControlException` for a user that is disabled; what the namenode answers.
    pub async fn resolve(&self, user: &ClaimedUser, address: IpAddr) -> Result<Principal, RemoteException> {
        let superuser = user.from_loopback && self.is_superuser(&user.name);
        let Known { mut groups, store } = self.known(&user.name, superuser).await?;
        if superuser && !groups.iter().any(|group| group == SUPERGROUP) {
            groups.push(SUPERGROUP.to_owned());
        }
        let store = store.filter(|_| !superuser);
        let account = store.as_ref().map_or_else(|| self.operator.clone(), |caller| caller.canonical_id.clone());
        let fs = FsCaller {
            user: user.name.clone(),
            groups,
            superuser,
            account,
            makes_buckets: superuser || store.is_some(),
            host: address.to_canonical().to_string(),
        };
        Ok(Principal { fs, store, address })
    }

    /// The groups of a user, wherever it may come from.
    ///
    /// # Errors
    /// What the namenode answers.
    pub async fn groups(&self, user: &str) -> Result<Vec<String>, RemoteException> {
        Ok(self.known(user, true).await?.groups)
    }

    fn is_superuser(&self, name: &str) -> bool {
        name == SUPERUSER
            || name == self.process_user
            || self.config.superusers.iter().any(|superuser| superuser == name)
    }

    async fn known(&self, name: &str, superuser: bool) -> Result<Known, RemoteException> {
        let key = (name.to_owned(), superuser);
        if let Some((at, known)) = self.entries().get(&key)
            && at.elapsed() < KEPT_FOR
        {
            return Ok(known.clone());
        }
        let at = Instant::now();
        let (user, config) = (name.to_owned(), self.config.clone());
        let groups = tokio::task::spawn_blocking(move || groups_of(&user, &config)).await.unwrap_or_default();
        // Superusers are judged by nobody: their calls do not depend on the namenode's answer.
        let store = if superuser { None } else { self.store_user(name).await? };
        let known = Known { groups, store };
        let mut entries = self.entries();
        if entries.len() >= NAMES_MAX {
            entries.retain(|_, (at, _)| at.elapsed() < KEPT_FOR);
            if entries.len() >= NAMES_MAX {
                entries.clear();
            }
        }
        entries.insert(key, (at, known.clone()));
        drop(entries);
        Ok(known)
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<(String, bool), (Instant, Known)>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn store_user(&self, name: &str) -> Result<Option<Arc<Caller>>, RemoteException> {
        let user = match self.namenode.call(NamenodeRequest::GetUser { name: name.to_owned() }).await {
            Ok(NamenodeReply::User(user)) => *user,
            Ok(_) => return Err(Failure::from(ErrorCode::Internal).into()),
            Err(failure) if matches!(failure.code, ErrorCode::NoSuchEntity | ErrorCode::InvalidArgument) => {
                return Ok(None);
            }
            Err(failure) => return Err(failure.into()),
        };
        if user.disabled {
            return Err(RemoteException::new(JavaException::AccessControl, format!("User {name} is disabled")));
        }
        let mut policies = Vec::with_capacity(user.policies.len());
        for policy in &user.policies {
            policies.push(self.policy(policy).await?);
        }
        let User { name, canonical_id, account_id, display_name, .. } = user;
        let caller =
            Caller { canonical_id, account_id, user: name, display_name, is_root: false, policies, session: None };
        Ok(Some(Arc::new(caller)))
    }

    /// An attached policy. One that cannot be found denies, as one that cannot be read does.
    async fn policy(&self, name: &str) -> Result<PolicySource, RemoteException> {
        // Pages start after a name: the longest shorter one makes the policy one of the first.
        let mut after = name.char_indices().next_back().map(|(at, _)| name[..at].to_owned());
        loop {
            let request = NamenodeRequest::ListPolicies { after: after.clone(), limit: POLICY_PAGE };
            let NamenodeReply::Policies { policies, truncated } = self.namenode.call(request).await? else {
                return Err(Failure::from(ErrorCode::Internal).into());
            };
            if let Some(policy) = policies.iter().find(|policy| policy.name == name) {
                return Ok(PolicySource::identity(&policy.document));
            }
            match policies.last() {
                Some(last) if truncated && last.name.as_str() < name => after = Some(last.name.clone()),
                Some(_) | None => return Ok(PolicySource::Unreadable),
            }
        }
    }
}

/// The name of the user that runs this process; its number where it has no name.
fn process_user() -> String {
    let number = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let named = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1) == Some(number.as_str())).then(|| name.to_owned())
    });
    named.unwrap_or(number)
}
