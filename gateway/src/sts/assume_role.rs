//! AssumeRole: temporary credentials of the caller, bounded by a session policy.

use super::ActionResult;
use super::form::StsForm;
use super::reply::{StsError, push};
use crate::auth::SessionClaim;
use crate::server::GatewayState;
use granary_access::{Caller, Policy, Session};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// How long credentials live, in seconds: at least, at most, and unless it is said.
const DURATION_S_MIN: u32 = 900;
const DURATION_S_MAX: u32 = 43_200;
const DURATION_S_DEFAULT: u32 = 3600;
/// Characters of a session policy.
const POLICY_CHARS_MAX: usize = 2048;

/// What is asked for.
#[derive(Debug)]
pub(super) struct RoleRequest {
    pub arn: String,
    account: String,
    role: String,
    session: String,
    duration_s: u32,
    policy: Option<String>,
}

impl RoleRequest {
    /// Reads the parameters.
    pub fn read(form: &StsForm) -> Result<Self, StsError> {
        let arn = form.required("RoleArn", 20..=2048)?;
        let (account, role) = parse_role_arn(arn).ok_or_else(|| StsError::validation(format!("{arn} is invalid")))?;
        let session = form.required("RoleSessionName", 2..=64)?;
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
        if !session.bytes().all(is_word) {
            return Err(StsError::validation(
                "1 validation error detected: Value at 'roleSessionName' failed to satisfy constraint: Member must \
                 satisfy regular expression pattern: [\\w+=,.@-]*",
            ));
        }
        let duration_s = match form.optional("DurationSeconds", 1..=10)? {
            None => DURATION_S_DEFAULT,
            Some(text) => parse_duration(text)?,
        };
        let policy = form.optional("Policy", 1..=POLICY_CHARS_MAX)?;
        if let Some(policy) = policy {
            Policy::parse_identity(policy.as_bytes()).map_err(|error| StsError::malformed_policy(error.to_string()))?;
        }
        if form.has_prefix("PolicyArns.") {
            return Err(StsError::validation("PolicyArns is not supported; pass the policy itself as Policy"));
        }
        Ok(Self {
            arn: arn.to_owned(),
            account: account.to_owned(),
            role: role.to_owned(),
            session: session.to_owned(),
            duration_s,
            policy: policy.map(str::to_owned),
        })
    }

    /// A caller assumes roles of its own account only: the session is the caller, not somebody else.
    pub fn check_account(&self, caller: &Caller) -> Result<(), StsError> {
        // A session's session could outlive it and leave its policy behind.
        match self.account == caller.account_id && caller.session.is_none() {
            true => Ok(()),
            false => Err(self.denied(caller)),
        }
    }

    /// The refusal.
    pub fn denied(&self, caller: &Caller) -> StsError {
        let (arn, role) = (caller.arn(), &self.arn);
        StsError::access_denied(format!("User: {arn} is not authorized to perform: sts:AssumeRole on resource: {role}"))
    }
}

/// Account and name of `arn:aws:iam::ACCOUNT:role/path/NAME`.
fn parse_role_arn(arn: &str) -> Option<(&str, &str)> {
    let (account, role) = arn.strip_prefix("arn:aws:iam::")?.split_once(":role/")?;
    let name = role.rsplit('/').next()?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    let is_name = (1..=64).contains(&name.len()) && name.bytes().all(is_word);
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    (is_name && is_account).then_some((account, name))
}

fn parse_duration(text: &str) -> Result<u32, StsError> {
    let duration_s = text.parse().ok().filter(|seconds| (DURATION_S_MIN..=DURATION_S_MAX).contains(seconds));
    duration_s.ok_or_else(|| {
        StsError::validation(format!(
            "1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy constraint: Member must \
             have value between {DURATION_S_MIN} and {DURATION_S_MAX}"
        ))
    })
}

/// Makes the credentials.
pub(super) async fn assume_role(
    state: &GatewayState,
    caller: &Caller,
    parent_key_id: &str,
    request: RoleRequest,
) -> Result<ActionResult, StsError> {
    let key = state.principals.token_key().await.map_err(|failure| {
        tracing::warn!(%failure, "no temporary credentials can be made");
        StsError::unavailable()
    })?;
    let expires_at_s = state.now_s() + i64::from(request.duration_s);
    let expiration = OffsetDateTime::from_unix_timestamp(expires_at_s).ok();
    let expiration = expiration.and_then(|moment| moment.format(&Rfc3339).ok()).ok_or_else(StsError::internal)?;
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|_| StsError::internal())?;
    let session = Session { role: request.role, name: request.session, policy: None };
    let session = Caller { session: Some(session), ..caller.clone() };
    let named = session.session.as_ref().expect("it was set just now");
    let claim = SessionClaim {
        access_key_id: format!("ASIA{}", hex::encode_upper(random)),
        parent_key_id: parent_key_id.to_owned(),
        expires_at_s,
        role: named.role.clone(),
        session: named.name.clone(),
        policy: request.policy,
    };
    let mut credentials = String::new();
    push(&mut credentials, "AccessKeyId", &claim.access_key_id);
    push(&mut credentials, "SecretAccessKey", &claim.secret_access_key(key));
    push(&mut credentials, "SessionToken", &claim.seal(key));
    push(&mut credentials, "Expiration", &expiration);
    let mut user = String::new();
    push(&mut user, "AssumedRoleId", &session.unique_id());
    push(&mut user, "Arn", &session.arn());
    let elements = format!("<Credentials>{credentials}</Credentials><AssumedRoleUser>{user}</AssumedRoleUser>");
    Ok(ActionResult { action: "AssumeRole", elements })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> Result<RoleRequest, StsError> {
        RoleRequest::read(&StsForm::parse(form.as_bytes()).unwrap())
    }

    #[test]
    fn parameters_are_checked() {
        const ROLE: &str = "RoleArn=arn:aws:iam::111111111111:role/team/reader&RoleSessionName=ci";
        let role = read(ROLE).unwrap();
        assert_eq!((role.account.as_str(), role.role.as_str(), role.duration_s), ("111111111111", "reader", 3600));
        assert_eq!(read(&format!("{ROLE}&DurationSeconds=43200")).unwrap().duration_s, 43_200);
        for bad in [
            "RoleSessionName=ci",
            "RoleArn=arn:aws:iam::111111111111:role/reader",
            "RoleArn=arn:aws:iam::111111111111:user/reader&RoleSessionName=ci",
            "RoleArn=arn:aws:iam::1:role/reader-of-things&RoleSessionName=ci",
            "RoleArn=arn:aws:iam::111111111111:role/reader&RoleSessionName=a/b",
            &format!("{ROLE}&DurationSeconds=899"),
            &format!("{ROLE}&DurationSeconds=43201"),
            &format!("{ROLE}&DurationSeconds=x"),
            &format!("{ROLE}&Policy=x"),
            &format!("{ROLE}&Policy={}", "x".repeat(2049)),
            &format!("{ROLE}&PolicyArns.member.1.arn=arn:aws:iam::aws:policy/ReadOnlyAccess"),
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
