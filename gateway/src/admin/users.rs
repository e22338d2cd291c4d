//! Users and their keys.

use super::json::{Json, parse_json};
use super::refusal::Refused;
use super::signed::Signed;
use crate::error::{S3Error, S3ErrorCode};
use crate::server::GatewayState;
use axum::extract::State;
use granary_protocol::admin::{
    AccessKeyAnswer, DoneAnswer, StateQuestion, UserAnswer, UserKeyAnswer, UserQuestion, UsersAnswer,
};
use granary_protocol::namenode::NewUser;
use granary_protocol::user::{SecretKey, User};
use granary_protocol::{CanonicalId, ErrorCode, Failure};
use std::sync::Arc;

/// Users of one answer.
const PAGE_MAX: u32 = 1000;
const NAME_BYTES_MAX: usize = 64;
const ACCESS_KEY_BYTES: std::ops::RangeInclusive<usize> = 3..=128;
const SECRET_KEY_BYTES: std::ops::RangeInclusive<usize> = 8..=128;
/// Who is the operator, and so nobody else's name.
const ROOT_NAME: &str = "root";

/// `GET /-/granary/v1/users[?name=|?after=]`
pub(super) async fn list(State(state): State<Arc<GatewayState>>, signed: Signed) -> Result<Json<UsersAnswer>, Refused> {
    if let Some(name) = signed.query.get_non_empty("name") {
        let user = state.client.get_user(name.to_owned()).await?;
        return Ok(Json(UsersAnswer { users: vec![answer(user)], truncated: false }));
    }
    let after = signed.query.get_non_empty("after").map(str::to_owned);
    let (users, truncated) = state.client.list_users(after, PAGE_MAX).await?;
    Ok(Json(UsersAnswer { users: users.into_iter().map(answer).collect(), truncated }))
}

/// `POST /-/granary/v1/users`
pub(super) async fn add(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<UserKeyAnswer>, Refused> {
    let wanted: UserQuestion = parse_json(&signed.body)?;
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte);
    let is_name = (1..=NAME_BYTES_MAX).contains(&wanted.name.len()) && wanted.name.bytes().all(is_word);
    if !is_name || wanted.name == ROOT_NAME {
        let message = "A user's name is 1 to 64 letters, digits and +=,.@_-, and not root";
        return Err(S3Error::invalid_argument(message, "name", wanted.name).into());
    }
    let (access_key, secret_key) = key_of(&state, &wanted)?;
    let user = NewUser {
        canonical_id: CanonicalId(hex::encode(random::<32>()?)),
        account_id: account_id(random::<8>()?),
        display_name: wanted.name.clone(),
        name: wanted.name,
    };
    let key = (access_key.clone(), SecretKey(secret_key.clone()));
    let user = state.client.add_user(user, Some(key)).await?;
    Ok(Json(UserKeyAnswer { user: answer(user), access_key, secret_key }))
}

/// `DELETE /-/granary/v1/users?name=`
pub(super) async fn remove(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    state.client.remove_user(required(&signed, "name")?).await?;
    Ok(done())
}

/// `POST /-/granary/v1/users/state`
pub(super) async fn set_state(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    let wanted: StateQuestion = parse_json(&signed.body)?;
    state.client.set_user_disabled(wanted.user, wanted.disabled).await?;
    Ok(done())
}

/// `POST /-/granary/v1/keys`
pub(super) async fn add_key(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<UserKeyAnswer>, Refused> {
    let wanted: UserQuestion = parse_json(&signed.body)?;
    let (access_key, secret_key) = key_of(&state, &wanted)?;
    let secret = SecretKey(secret_key.clone());
    state.client.add_access_key(wanted.name.clone(), access_key.clone(), secret).await?;
    let user = state.client.get_user(wanted.name).await?;
    Ok(Json(UserKeyAnswer { user: answer(user), access_key, secret_key }))
}

/// `DELETE /-/granary/v1/keys?user=&access_key=`
pub(super) async fn remove_key(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    state.client.remove_access_key(required(&signed, "user")?, required(&signed, "access_key")?).await?;
    Ok(done())
}

/// `POST /-/granary/v1/keys/state`
pub(super) async fn set_key_state(
    State(state): State<Arc<GatewayState>>,
    signed: Signed,
) -> Result<Json<DoneAnswer>, Refused> {
    let wanted: StateQuestion = parse_json(&signed.body)?;
    let Some(access_key) = wanted.access_key else {
        return Err(S3Error::invalid_argument("Which key?", "access_key", "").into());
    };
    state.client.set_access_key_disabled(wanted.user, access_key, wanted.disabled).await?;
    Ok(done())
}

pub(super) fn done() -> Json<DoneAnswer> {
    Json(DoneAnswer { done: true })
}

/// A parameter of the query that must be there.
pub(super) fn required(signed: &Signed, name: &'static str) -> Result<String, S3Error> {
    let value = signed.query.get_non_empty(name).map(str::to_owned);
    value.ok_or_else(|| S3Error::invalid_argument("A parameter is missing", name, ""))
}

fn answer(user: User) -> UserAnswer {
    let keys = user.keys.into_iter().map(|key| AccessKeyAnswer {
        access_key: key.access_key,
        created_ms: key.created.0,
        disabled: key.disabled,
    });
    UserAnswer {
        keys: keys.collect(),
        arn: format!("arn:aws:iam::{}:user/{}", user.account_id, user.name),
        name: user.name,
        canonical_id: user.canonical_id.0,
        account_id: user.account_id,
        display_name: user.display_name,
        created_ms: user.created.0,
        disabled: user.disabled,
        policies: user.policies,
    }
}

/// The key asked for, or a new one.
fn key_of(state: &GatewayState, wanted: &UserQuestion) -> Result<(String, String), Refused> {
    let (access_key, secret_key) = match (&wanted.access_key, &wanted.secret_key) {
        (None, None) => {
            return Ok((format!("AKIA{}", hex::encode_upper(random::<8>()?)), hex::encode(random::<20>()?)));
        }
        (Some(access_key), Some(secret_key)) => (access_key, secret_key),
        (Some(_), None) | (None, Some(_)) => {
            return Err(S3Error::invalid_request("A key has two halves: access_key and secret_key").into());
        }
    };
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if !ACCESS_KEY_BYTES.contains(&access_key.len()) || !access_key.bytes().all(is_word) {
        let message = "An access key is 3 to 128 letters, digits and underscores";
        return Err(S3Error::invalid_argument(message, "access_key", access_key).into());
    }
    if state.principals.is_root_key(access_key) {
        return Err(Failure::new(ErrorCode::EntityAlreadyExists, "this access key is taken").into());
    }
    let is_visible = |byte: u8| byte.is_ascii_graphic();
    if !SECRET_KEY_BYTES.contains(&secret_key.len()) || !secret_key.bytes().all(is_visible) {
        // Never repeated in an answer.
        let message = "A secret key is 8 to 128 visible ASCII characters";
        return Err(S3Error::invalid_request(message).into());
    }
    Ok((access_key.clone(), secret_key.clone()))
}

/// Twelve digits that do not begin with a zero.
fn account_id(random: [u8; 8]) -> String {
    const LEAST: u64 = 100_000_000_000;
    (LEAST + u64::from_le_bytes(random) % (9 * LEAST)).to_string()
}

fn random<const BYTES: usize>() -> Result<[u8; BYTES], S3Error> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|_| S3Error::new(S3ErrorCode::InternalError))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_have_twelve_digits() {
        for random in [[0; 8], [255; 8], [1, 2, 3, 4, 5, 6, 7, 8]] {
            let account = account_id(random);
            assert!(account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit()), "{account}");
        }
    }
}
