//! Who asks: a claimed name where claims count, a delegation token, or an access key.
//!
//! A claim (`user.name`) counts as on Hadoop RPC: from loopback, or where the operator allows it. An access key comes as
//! HTTP basic authentication and is only taken over TLS or from this machine; with it a delegation token is obtained,
//! which is good for every other request.

use super::error::WebError;
use super::request::Parameters;
use super::server::Peer;
use super::service::WebHdfs;
use crate::identity::{self, ClaimedUser};
use crate::principal::Principal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// Who is served that names nobody, as Hadoop's `hadoop.http.staticuser.user`.
const STATIC_USER: &str = "dr.who";
/// Stands in for the secret of a key that is unknown, so that both cases take the same path.
const NO_SECRET: &str = "0000000000000000000000000000000000000000";

/// A principal and what another server believes it by.
pub struct Authenticated {
    pub principal: Principal,
    /// Whether it proved itself: it may have a token then.
    pub proved: bool,
    /// Whether it came under TLS, and is to go on so.
    pub tls: bool,
    /// Parameters that carry it to a datanode.
    pub passed_on: Vec<(&'static str, String)>,
}

/// Finds out who asks.
///
/// # Errors
/// A claim that does not count, a token or key that opens nothing.
pub async fn authenticate(
    service: &WebHdfs,
    peer: Peer,
    headers: &HeaderMap,
    parameters: &Parameters,
) -> Result<Authenticated, WebError> {
    let address = peer.address.ip();
    if let Some(token) = parameters.get("delegation") {
        let user = service.delegation.open(token, service.now()).await?;
        let claimed = ClaimedUser { name: user, real: None, from_loopback: false };
        let principal = service.door.principals().resolve(&claimed, address).await?;
        let passed_on = vec![("delegation", token.to_owned())];
        return Ok(Authenticated { principal, proved: true, tls: peer.tls, passed_on });
    }
    if let Some(credentials) = basic_credentials(headers)? {
        if !peer.is_private() {
            return Err(WebError::unauthenticated("access keys are only taken over TLS or from this machine"));
        }
        let user = user_of_key(service, &credentials).await?;
        let passed_on = vec![("delegation", service.delegation.mint_passage(&user, service.now()).await?)];
        let claimed = ClaimedUser { name: user, real: None, from_loopback: false };
        let principal = service.door.principals().resolve(&claimed, address).await?;
        return Ok(Authenticated { principal, proved: true, tls: peer.tls, passed_on });
    }
    identity::admit(&service.config, peer.address).map_err(|refused| WebError::unauthenticated(refused.message))?;
    let named = parameters.get("user.name").unwrap_or(STATIC_USER);
    let on_behalf = parameters.get("doas");
    let real = on_behalf.map(|_| named);
    let claimed = identity::claim(&service.config, peer.address, Some(on_behalf.unwrap_or(named)), real)?;
    let mut passed_on = vec![("user.name", named.to_owned())];
    passed_on.extend(on_behalf.map(|user| ("doas", user.to_owned())));
    let principal = service.door.principals().resolve(&claimed, address).await?;
    Ok(Authenticated { principal, proved: false, tls: peer.tls, passed_on })
}

/// Access key and secret of a request that has any.
fn basic_credentials(headers: &HeaderMap) -> Result<Option<(String, String)>, WebError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let decode = || {
        let encoded = value.to_str().ok()?.strip_prefix("Basic ")?;
        let text = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
        text.split_once(':').map(|(key, secret)| (key.to_owned(), secret.to_owned()))
    };
    decode().map(Some).ok_or_else(|| WebError::unauthenticated("the authorization is not understood"))
}

/// The user of an access key whose secret was shown.
async fn user_of_key(service: &WebHdfs, (key, secret): &(String, String)) -> Result<String, WebError> {
    let request = NamenodeRequest::FindAccessKey { access_key: key.clone() };
    let NamenodeReply::KeyHolder(holder) = service.door.ask(request).await? else {
        return Err(WebError::unauthenticated("the key cannot be looked up"));
    };
    let known = holder.as_ref().map_or(NO_SECRET, |holder| holder.secret_key.0.as_str());
    let same: bool = known.as_bytes().ct_eq(secret.as_bytes()).into();
    match holder {
        Some(holder) if same => Ok(holder.user.name),
        Some(_) | None => Err(WebError::unauthenticated("unknown access key or wrong secret")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn basic_credentials_are_a_key_and_a_secret() {
        let parse = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::AUTHORIZATION, value.parse().unwrap());
            basic_credentials(&headers)
        };
        assert_eq!(basic_credentials(&HeaderMap::new()), Ok(None));
        assert_eq!(parse("Basic QUtJQTpzOmVj"), Ok(Some(("AKIA".to_owned(), "s:ec".to_owned()))));
        for bad in ["Basic ???", "Basic QUtJQQ==", "Negotiate abc"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
