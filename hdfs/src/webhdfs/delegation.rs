//! Delegation tokens: what a user that has proved itself with an access key hands to programs that then act for it.
//!
//! A token names its user, its renewer and its end and is signed with the cluster's token key. The namenode remembers only
//! those that were renewed or cancelled; any other ends by itself. All of a user's count for nothing once it is disabled.

use super::error::WebError;
use crate::cluster_key::{ClusterKey, is_signed, sign};
use crate::exception::{JavaException, RemoteException};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use granary_protocol::delegation::{CANCELLED, DELEGATION_LIFETIME_MS, DELEGATION_TERM_MS, DelegationTokenId};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_protocol::user::TokenKey;
use granary_protocol::{ErrorCode, Failure, UnixMillis};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a token is good that carries a client from the namenode to a datanode.
const PASSAGE_MS: u64 = 10 * 60 * 1000;
/// What Hadoop calls tokens of this kind.
const KIND: &[u8] = b"WEBHDFS delegation";
/// Keeps these signatures apart from others under the same key; changed with the shape of [`Identifier`].
const DOMAIN: &[u8] = b"granary webhdfs delegation 2";
/// The longest token taken, as text.
const TEXT_BYTES_MAX: usize = 2048;
/// How old what is known of a token's term may be, and of how many that is known.
const KEPT_FOR: Duration = Duration::from_secs(1);
const TERMS_KEPT_MAX: usize = 4096;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Identifier {
    user: String,
    /// Who may renew it; nobody if empty.
    renewer: String,
    /// When it ends, unless it is renewed.
    expires: UnixMillis,
    id: DelegationTokenId,
}

/// Makes and reads tokens under the cluster's key, which is asked for when it is first needed.
pub struct DelegationKeys {
    key: ClusterKey,
    namenode: Arc<dyn NamenodeService>,
    terms: Mutex<HashMap<DelegationTokenId, (Instant, Option<UnixMillis>)>>,
}

impl DelegationKeys {
    /// Keys that `namenode` hands out.
    pub fn new(namenode: Arc<dyn NamenodeService>) -> DelegationKeys {
        DelegationKeys { key: ClusterKey::new(namenode.clone()), namenode, terms: Mutex::default() }
    }

    /// A token with which its bearer acts as `user`, and which `renewer` may renew.
    ///
    /// # Errors
    /// The namenode's.
    pub async fn mint(&self, user: &str, renewer: &str, now: UnixMillis) -> Result<String, WebError> {
        self.make(user, renewer, now, DELEGATION_TERM_MS, DELEGATION_LIFETIME_MS).await
    }

    /// A token with which `user` goes on to a datanode.
    ///
    /// # Errors
    /// The namenode's.
    pub async fn mint_passage(&self, user: &str, now: UnixMillis) -> Result<String, WebError> {
        self.make(user, "", now, PASSAGE_MS, PASSAGE_MS).await
    }

    async fn make(
        &self,
        user: &str,
        renewer: &str,
        now: UnixMillis,
        term_ms: u64,
        lifetime_ms: u64,
    ) -> Result<String, WebError> {
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let identifier = Identifier {
            user: user.to_owned(),
            renewer: renewer.to_owned(),
            expires: UnixMillis(now.0 + term_ms),
            id: DelegationTokenId { ends: UnixMillis(now.0 + lifetime_ms), nonce },
        };
        Ok(seal(self.key.get().await?, &identifier))
    }

    /// The user that a token speaks for.
    ///
    /// # Errors
    /// It is none, is forged, was cancelled or has ended; the namenode's.
    pub async fn open(&self, text: &str, now: UnixMillis) -> Result<String, WebError> {
        Ok(self.read(text, now).await?.user)
    }

    /// Makes a token count for another day, as far as it can be renewed; until when.
    ///
    /// # Errors
    /// As [`DelegationKeys::open`], and `AccessControlException` for anybody but its renewer.
    pub async fn renew(&self, text: &str, caller: &str, now: UnixMillis) -> Result<UnixMillis, WebError> {
        let token = self.read(text, now).await?;
        if token.renewer.is_empty() || token.renewer != caller {
            let message = format!("{caller} tries to renew a token with renewer specified as {}", token.renewer);
            return Err(RemoteException::new(JavaException::AccessControl, message).into());
        }
        let until = UnixMillis(now.0 + DELEGATION_TERM_MS).min(token.id.ends);
        self.set_term(token.id, until).await?;
        Ok(until)
    }

    /// Ends a token.
    ///
    /// # Errors
    /// As [`DelegationKeys::open`], and `AccessControlException` for anybody but its user and its renewer.
    pub async fn cancel(&self, text: &str, caller: &str, now: UnixMillis) -> Result<(), WebError> {
        let token = self.read(text, now).await?;
        if token.user != caller && token.renewer != caller {
            let message = format!("{caller} is not authorized to cancel the token");
            return Err(RemoteException::new(JavaException::AccessControl, message).into());
        }
        self.set_term(token.id, CANCELLED).await
    }

    async fn read(&self, text: &str, now: UnixMillis) -> Result<Identifier, WebError> {
        let invalid = |reason: &str| WebError::unauthenticated(format!("{reason} token"));
        let identifier = unseal(self.key.get().await?, text).ok_or_else(|| invalid("invalid"))?;
        if identifier.id.ends <= now {
            return Err(invalid("expired"));
        }
        match self.term(identifier.id).await? {
            Some(CANCELLED) => Err(invalid("cancelled")),
            term if term.unwrap_or(identifier.expires) <= now => Err(invalid("expired")),
            _ => Ok(identifier),
        }
    }

    /// Until when a token counts that was renewed or cancelled.
    async fn term(&self, id: DelegationTokenId) -> Result<Option<UnixMillis>, WebError> {
        if let Some((at, term)) = self.terms().get(&id)
            && at.elapsed() < KEPT_FOR
        {
            return Ok(*term);
        }
        let at = Instant::now();
        match self.namenode.call(NamenodeRequest::GetDelegationTerm { token: id }).await? {
            NamenodeReply::DelegationTerm(term) => {
                let mut terms = self.terms();
                if terms.len() >= TERMS_KEPT_MAX {
                    terms.clear();
                }
                terms.insert(id, (at, term));
                Ok(term)
            }
            _ => Err(Failure::from(ErrorCode::Internal).into()),
        }
    }

    async fn set_term(&self, token: DelegationTokenId, until: UnixMillis) -> Result<(), WebError> {
        let set = self.namenode.call(NamenodeRequest::SetDelegationTerm { token, until }).await;
        self.terms().remove(&token);
        set?;
        Ok(())
    }

    fn terms(&self) -> std::sync::MutexGuard<'_, HashMap<DelegationTokenId, (Instant, Option<UnixMillis>)>> {
        self.terms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `Token.encodeToUrlString`: identifier, password, kind and service, each behind its length.
fn seal(key: &TokenKey, identifier: &Identifier) -> String {
    let identifier = postcard::to_stdvec(identifier).expect("plain data");
    let password = sign(key, DOMAIN, &identifier);
    let mut bytes = Vec::new();
    for field in [identifier.as_slice(), password.as_slice(), KIND, b""] {
        write_vint(&mut bytes, field.len() as u32);
        bytes.extend_from_slice(field);
    }
    URL_SAFE_NO_PAD.encode(bytes)
}

fn unseal(key: &TokenKey, text: &str) -> Option<Identifier> {
    let text = Some(text.trim_end_matches('=')).filter(|text| text.len() <= TEXT_BYTES_MAX)?;
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let mut rest = bytes.as_slice();
    let identifier = take_field(&mut rest)?;
    let password = take_field(&mut rest)?;
    is_signed(key, DOMAIN, identifier, password).then(|| postcard::from_bytes(identifier).ok()).flatten()
}

/// `WritableUtils.writeVInt` of a number that is not negative.
fn write_vint(bytes: &mut Vec<u8>, number: u32) {
    if number <= 127 {
        bytes.push(number as u8);
        return;
    }
    let all = number.to_be_bytes();
    let significant = &all[number.leading_zeros() as usize / 8..];
    bytes.push((-112i8 - significant.len() as i8) as u8);
    bytes.extend_from_slice(significant);
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (first, after) = rest.split_first()?;
    let (length, after) = match *first as i8 {
        length @ 0.. => (length as usize, after),
        marker @ -116..=-113 => {
            let (digits, after) = after.split_at_checked((-112 - i32::from(marker)) as usize)?;
            (digits.iter().fold(0, |number, digit| number << 8 | usize::from(*digit)), after)
        }
        _ => return None,
    };
    let (field, after) = after.split_at_checked(length)?;
    *rest = after;
    Some(field)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;

    #[test]
    fn a_token_is_read_by_who_has_the_key_and_by_nobody_else() {
        for user in ["ann".to_owned(), "x".repeat(200)] {
            let id = DelegationTokenId { ends: UnixMillis(99), nonce: [7; 16] };
            let identifier = Identifier { user, renewer: "yarn".to_owned(), expires: UnixMillis(77), id };
            let text = seal(&TokenKey([1; 32]), &identifier);
            assert_eq!(unseal(&TokenKey([1; 32]), &text), Some(identifier));
            assert_eq!(unseal(&TokenKey([2; 32]), &text), None);
            for at in 0..40 {
                let mut changed = text.clone().into_bytes();
                changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
                assert_eq!(unseal(&TokenKey([1; 32]), std::str::from_utf8(&changed).unwrap()), None, "{at}");
            }
        }
        for none in ["", "AAAAAA", "!!", "____"] {
            assert_eq!(unseal(&TokenKey([1; 32]), none), None);
        }
    }

    /// A namenode with a key and room for terms.
    #[derive(Default)]
    struct Terms(Mutex<HashMap<DelegationTokenId, UnixMillis>>);

    impl NamenodeService for Terms {
        fn call(&self, request: NamenodeRequest) -> BoxFuture<'_, Result<NamenodeReply, Failure>> {
            let reply = match request {
                NamenodeRequest::GetTokenKey => NamenodeReply::TokenKey(TokenKey([1; 32])),
                NamenodeRequest::GetDelegationTerm { token } => {
                    NamenodeReply::DelegationTerm(self.0.lock().unwrap().get(&token).copied())
                }
                NamenodeRequest::SetDelegationTerm { token, until } => {
                    self.0.lock().unwrap().insert(token, until);
                    NamenodeReply::Done
                }
                _ => unreachable!("nothing else is asked for tokens"),
            };
            std::future::ready(Ok(reply)).boxed()
        }
    }

    #[tokio::test]
    async fn a_token_ends_unless_its_renewer_renews_it_and_at_once_when_it_is_cancelled() {
        let keys = DelegationKeys::new(Arc::<Terms>::default());
        let day = |days: u64| UnixMillis(1_000 + days * DELEGATION_TERM_MS);
        let token = keys.mint("ann", "yarn", day(0)).await.unwrap();
        assert_eq!(keys.open(&token, day(0)).await.unwrap(), "ann");
        assert!(keys.open(&token, day(1)).await.is_err());
        assert!(keys.renew(&token, "ann", day(0)).await.is_err());
        for half_days in 0..14 {
            let now = UnixMillis(day(0).0 + half_days * DELEGATION_TERM_MS / 2);
            let until = keys.renew(&token, "yarn", now).await.unwrap();
            assert_eq!(until, UnixMillis(now.0 + DELEGATION_TERM_MS).min(day(7)));
        }
        assert_eq!(keys.open(&token, UnixMillis(day(7).0 - 1)).await.unwrap(), "ann");
        // Seven days are all there is.
        assert!(keys.renew(&token, "yarn", day(7)).await.is_err());

        let token = keys.mint("ann", "yarn", day(0)).await.unwrap();
        assert!(keys.cancel(&token, "zoe", day(0)).await.is_err());
        keys.cancel(&token, "ann", day(0)).await.unwrap();
        assert!(keys.open(&token, day(0)).await.is_err() && keys.renew(&token, "yarn", day(0)).await.is_err());
        let passage = keys.mint_passage("ann", day(0)).await.unwrap();
        assert_eq!(keys.open(&passage, day(0)).await.unwrap(), "ann");
        assert!(keys.renew(&passage, "", day(0)).await.is_err());
    }
}
