//! The one door from a request head to an [`AuthenticatedRequest`].

use std::sync::Arc;

use http::request::Parts;

use super::amz_date::AmzDate;
use super::canonical::SignedParts;
use super::chunk::ChunkSigner;
use super::claim::{self, Claim, ClaimKind, CredentialScope, Head, Presented};
use super::identity::{Credential, CredentialStore, CredentialStoreError, Identity, Principal, Secret};
use super::keys::{SIGNING_KEYS_MAX, SigningKey, SigningKeyCache};
use super::payload::PayloadMode;
use super::sigv2::{self, QueryClaim, SignedRequest};
use super::sigv4;
use crate::error::{S3Error, S3ErrorCode};
use crate::request::{AddressingStyle, RequestTarget, request_host};

/// The services a request may be signed for.
const S3_SERVICE: &str = "s3";
const STS_SERVICE: &str = "sts";

/// How a request authenticated; `s3:authType` in policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthMethod {
    /// Not at all.
    Anonymous,
    /// `Authorization` header.
    Header,
    /// Presigned URL.
    QueryString,
    /// Policy of a browser's POST form.
    PostForm,
}

impl AuthMethod {
    /// The value of the `s3:authType` condition key; `None` when anonymous.
    pub const fn policy_name(self) -> Option<&'static str> {
        match self {
            Self::Anonymous => None,
            Self::Header => Some("REST-HEADER"),
            Self::QueryString => Some("REST-QUERY-STRING"),
            Self::PostForm => Some("POST"),
        }
    }
}

/// A request whose signature was verified, or which carries none. Only [`Authenticator`] makes one.
#[derive(Debug)]
pub struct AuthenticatedRequest {
    identity: Identity,
    method: AuthMethod,
    signed_at_s: Option<i64>,
    payload: PayloadMode,
}

impl AuthenticatedRequest {
    /// Who sent it.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// How it authenticated.
    pub fn method(&self) -> AuthMethod {
        self.method
    }

    /// When it was signed, Unix seconds, if it says so; for the `s3:signatureAge` condition key.
    pub fn signed_at_s(&self) -> Option<i64> {
        self.signed_at_s
    }

    /// How its body is framed and checked.
    pub fn payload(&self) -> &PayloadMode {
        &self.payload
    }

    /// Takes it apart: the identity for the authorizer, the payload mode for the body.
    pub fn into_parts(self) -> (Identity, PayloadMode) {
        (self.identity, self.payload)
    }
}

/// The signature fields of a browser's POST form.
#[derive(Clone, Copy, Debug)]
pub enum PostFormCredentials<'r> {
    /// Signature Version 4.
    Version4 {
        /// `policy`, still in base64: this text is what is signed.
        policy_base64: &'r str,
        /// `x-amz-algorithm`
        algorithm: &'r str,
        /// `x-amz-credential`
        credential: &'r str,
        /// `x-amz-date`
        date: &'r str,
        /// `x-amz-signature`
        signature: &'r str,
        /// `x-amz-security-token`
        security_token: Option<&'r str>,
    },
    /// Signature Version 2.
    Version2 {
        /// `policy`, still in base64: this text is what is signed.
        policy_base64: &'r str,
        /// `AWSAccessKeyId`
        access_key_id: &'r str,
        /// `signature`
        signature: &'r str,
        /// `x-amz-security-token`
        security_token: Option<&'r str>,
    },
}

/// Verifies requests against a credential store.
pub struct Authenticator {
    store: Arc<dyn CredentialStore>,
    region: String,
    public_hosts: Vec<String>,
    keys: SigningKeyCache,
    /// Stands in for the secret of an unknown key, so that unknown keys cost what wrong signatures cost.
    decoy: Secret,
}

impl Authenticator {
    /// `region` is the only one accepted in scopes. `public_hosts` are names (with port, if not the default one) under
    /// which a proxy in front of this server is known: path-style requests may be signed for them instead of the `Host`
    /// received. Keep them few: each is a comparison on every failed request.
    pub fn new(store: Arc<dyn CredentialStore>, region: impl Into<String>, public_hosts: Vec<String>) -> Self {
        Self {
            store,
            region: region.into(),
            public_hosts,
            keys: SigningKeyCache::new(SIGNING_KEYS_MAX),
            decoy: Secret::new("no such access key"),
        }
    }

    /// The region scopes must name.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Verifies a request head at `now_s` (Unix seconds). `target` is what the request was taken to name; `None` for
    /// routes outside S3, which are signed like path-style requests and with version 4 only.
    ///
    /// Errors are AWS's: `SignatureDoesNotMatch`, `InvalidAccessKeyId`, `AuthorizationHeaderMalformed`,
    /// `AuthorizationQueryParametersError`, `RequestTimeTooSkewed`, `AccessDenied` (expired, unsigned headers or
    /// parameters), `InvalidArgument`, `InvalidRequest`, `InvalidToken`, `ExpiredToken`, `InvalidURI`;
    /// `ServiceUnavailable` if the store is.
    pub async fn authenticate(
        &self,
        parts: &Parts,
        target: Option<&RequestTarget>,
        now_s: i64,
    ) -> Result<AuthenticatedRequest, S3Error> {
        let head = Head { headers: &parts.headers, raw_query: parts.uri.query().unwrap_or_default() };
        match (claim::read_claim(head, &self.region, S3_SERVICE, now_s)?, target) {
            (Presented::Nothing, _) => Ok(AuthenticatedRequest {
                identity: Identity::Anonymous,
                method: AuthMethod::Anonymous,
                signed_at_s: None,
                // Signed chunks that continue from no signature: what is missing is the credential.
                payload: claim::undeclared_payload(&parts.headers)?
                    .into_mode(None)
                    .map_err(|_| S3Error::new(S3ErrorCode::AccessDenied))?,
            }),
            (Presented::Version4(claim), _) => {
                let style = target.map_or(AddressingStyle::Path, |target| target.style);
                self.verify_version4(parts, claim, style, now_s).await
            }
            (Presented::Version2(claim), Some(target)) => self.verify_version2(parts, claim, target, now_s).await,
            (Presented::Version2(_), None) => Err(claim::unsupported_mechanism()),
        }
    }

    /// Verifies a request to the token service: signed in its header, for the service `sts`. Its body must have been read
    /// and its hash put into `x-amz-content-sha256`, which clients of other services than S3 leave out.
    ///
    /// Errors as [`Authenticator::authenticate`]; `MissingAuthenticationToken` for a request that is not signed so.
    pub async fn authenticate_sts(&self, parts: &Parts, now_s: i64) -> Result<AuthenticatedRequest, S3Error> {
        let head = Head { headers: &parts.headers, raw_query: parts.uri.query().unwrap_or_default() };
        match claim::read_claim(head, &self.region, STS_SERVICE, now_s)? {
            Presented::Version4(claim) => self.verify_version4(parts, claim, AddressingStyle::Path, now_s).await,
            Presented::Nothing | Presented::Version2(_) => Err(S3Error::new(S3ErrorCode::MissingAuthenticationToken)),
        }
    }

    async fn verify_version4(
        &self,
        parts: &Parts,
        claim: Claim<'_>,
        style: AddressingStyle,
        now_s: i64,
    ) -> Result<AuthenticatedRequest, S3Error> {
        let signed = SignedParts {
            method: parts.method.as_str(),
            raw_path: parts.uri.path(),
            raw_query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            host: request_host(parts)?,
            signed_headers: &claim.signed_headers,
            payload_hash: &claim.payload_hash,
        };
        // In virtual-hosted style the Host received names the bucket. Were a signature for another host accepted, a
        // signed path-style URL could be replayed against a bucket its signer never named.
        let other_hosts = match style {
            AddressingStyle::Path => self.public_hosts.as_slice(),
            AddressingStyle::VirtualHosted => &[],
        };
        let found = self.lookup(claim.credential.access_key_id(), claim.session_token.as_deref()).await?;
        let secret = found.as_ref().map_or(&self.decoy, |credential| &credential.secret_access_key);
        let cached = self.keys.get(claim.credential.text(), secret);
        let is_cached = cached.is_some();
        let key = cached.unwrap_or_else(|| self.derive(secret, &claim.credential));
        let verdict = sigv4::verify(&signed, other_hosts, &claim, &key)?;
        let credential = found.ok_or_else(|| unknown_key(claim.credential.access_key_id()))?;
        let signature = verdict.map_err(|mismatch| mismatch.into_error(&claim))?;
        if !is_cached {
            self.keys.insert(claim.credential.text(), &credential.secret_access_key, &key);
        }
        check_session(&credential, claim.session_token.as_deref(), now_s)?;
        accept(claim, credential.principal, key, signature)
    }

    async fn verify_version2(
        &self,
        parts: &Parts,
        claim: QueryClaim<'_>,
        target: &RequestTarget,
        now_s: i64,
    ) -> Result<AuthenticatedRequest, S3Error> {
        let signed = SignedRequest {
            method: parts.method.as_str(),
            raw_path: parts.uri.path(),
            headers: &parts.headers,
            target,
        };
        let found = self.lookup(claim.access_key_id(), claim.session_token()).await?;
        let secret = found.as_ref().map_or(&self.decoy, |credential| &credential.secret_access_key);
        let verdict = sigv2::verify(&signed, &claim, secret)?;
        let credential = found.ok_or_else(|| unknown_key(claim.access_key_id()))?;
        verdict.map_err(|mismatch| mismatch.into_error(&claim))?;
        check_session(&credential, claim.session_token(), now_s)?;
        Ok(AuthenticatedRequest {
            identity: Identity::Principal(credential.principal),
            method: AuthMethod::QueryString,
            // Such a URL says when it ends, not when it was made.
            signed_at_s: None,
            payload: claim::undeclared_payload(&parts.headers)?.into_mode(None)?,
        })
    }

    /// Verifies the signature over a POST form's policy. The policy's own conditions and expiration are the caller's to
    /// check: nothing in the form is covered except through them.
    pub async fn authenticate_post_form(
        &self,
        form: &PostFormCredentials<'_>,
        now_s: i64,
    ) -> Result<AuthenticatedRequest, S3Error> {
        let (principal, signed_at_s) = match *form {
            PostFormCredentials::Version4 { policy_base64, algorithm, credential, date, signature, security_token } => {
                if algorithm != claim::ALGORITHM {
                    let message = "Unsupported signing algorithm";
                    return Err(S3Error::invalid_argument(message, "x-amz-algorithm", algorithm));
                }
                let signed_at = AmzDate::parse(date)
                    .ok_or_else(|| S3Error::invalid_argument("x-amz-date is not valid", "x-amz-date", date))?;
                let scope = claim::parse_credential(
                    credential.into(),
                    &self.region,
                    S3_SERVICE,
                    &signed_at,
                    ClaimKind::Header,
                )?;
                let is_signed = |secret: &Secret| {
                    let computed = self.derive(secret, &scope).sign(policy_base64.as_bytes());
                    sigv4::signatures_equal(&computed, signature)
                };
                let credential = self
                    .verify_policy(scope.access_key_id(), security_token, policy_base64, signature, is_signed)
                    .await?;
                check_session(&credential, security_token, now_s)?;
                (credential.principal, Some(signed_at.unix_s()))
            }
            PostFormCredentials::Version2 { policy_base64, access_key_id, signature, security_token } => {
                let is_signed = |secret: &Secret| sigv2::policy_signature_holds(policy_base64, secret, signature);
                let credential =
                    self.verify_policy(access_key_id, security_token, policy_base64, signature, is_signed).await?;
                check_session(&credential, security_token, now_s)?;
                (credential.principal, None)
            }
        };
        Ok(AuthenticatedRequest {
            identity: Identity::Principal(principal),
            method: AuthMethod::PostForm,
            signed_at_s,
            payload: PayloadMode::Unsigned,
        })
    }

    /// Looks the key up and asks `is_signed` about its secret; an unknown key costs what a wrong signature costs.
    async fn verify_policy(
        &self,
        access_key_id: &str,
        session_token: Option<&str>,
        policy_base64: &str,
        signature: &str,
        is_signed: impl Fn(&Secret) -> bool,
    ) -> Result<Credential, S3Error> {
        let found = self.lookup(access_key_id, session_token).await?;
        let holds = is_signed(found.as_ref().map_or(&self.decoy, |credential| &credential.secret_access_key));
        let credential = found.ok_or_else(|| unknown_key(access_key_id))?;
        if holds {
            return Ok(credential);
        }
        Err(S3Error::new(S3ErrorCode::SignatureDoesNotMatch)
            .field("AWSAccessKeyId", access_key_id)
            .field("StringToSign", policy_base64)
            .field("SignatureProvided", signature))
    }

    /// A request that presents no credentials by nature: a page of a web site, a POST form without a policy.
    pub(crate) fn anonymous(&self) -> AuthenticatedRequest {
        Self::unsigned(Identity::Anonymous)
    }

    /// A request that a service of this store makes itself.
    pub(crate) fn service(&self, name: &'static str) -> AuthenticatedRequest {
        Self::unsigned(Identity::Service(name))
    }

    fn unsigned(identity: Identity) -> AuthenticatedRequest {
        let (method, payload) = (AuthMethod::Anonymous, PayloadMode::Unsigned);
        AuthenticatedRequest { identity, method, signed_at_s: None, payload }
    }

    async fn lookup(&self, access_key_id: &str, session_token: Option<&str>) -> Result<Option<Credential>, S3Error> {
        self.store.lookup(access_key_id, session_token).await.map_err(|error| match error {
            CredentialStoreError::InvalidToken => S3Error::new(S3ErrorCode::InvalidToken),
            CredentialStoreError::Unavailable { .. } => {
                tracing::error!(%error, "cannot verify a request");
                S3Error::new(S3ErrorCode::ServiceUnavailable)
            }
        })
    }

    fn derive(&self, secret: &Secret, scope: &CredentialScope<'_>) -> SigningKey {
        SigningKey::derive(secret, scope.date(), &self.region, scope.service())
    }
}

fn accept(
    claim: Claim<'_>,
    principal: Principal,
    key: SigningKey,
    signature: [u8; 32],
) -> Result<AuthenticatedRequest, S3Error> {
    // The chain of chunk signatures starts from a signature in the header; a presigned URL outlives its body.
    let (method, signer) = match claim.kind {
        ClaimKind::Header => {
            (AuthMethod::Header, Some(ChunkSigner::new(key, claim.signed_at, claim.credential.scope(), signature)))
        }
        ClaimKind::Presigned { .. } => (AuthMethod::QueryString, None),
    };
    Ok(AuthenticatedRequest {
        identity: Identity::Principal(principal),
        method,
        signed_at_s: Some(claim.signed_at.unix_s()),
        payload: claim.payload.into_mode(signer)?,
    })
}

fn check_session(credential: &Credential, provided: Option<&str>, now_s: i64) -> Result<(), S3Error> {
    let token_holds = match (&credential.session_token, provided) {
        (None, None) => true,
        (Some(expected), Some(provided)) => expected.ct_eq(provided),
        (None, Some(_)) | (Some(_), None) => false,
    };
    if !token_holds {
        return Err(S3Error::new(S3ErrorCode::InvalidToken));
    }
    if credential.expires_at_s.is_some_and(|expires_at_s| now_s >= expires_at_s) {
        return Err(S3Error::new(S3ErrorCode::ExpiredToken));
    }
    Ok(())
}

fn unknown_key(access_key_id: &str) -> S3Error {
    S3Error::new(S3ErrorCode::InvalidAccessKeyId).field("AWSAccessKeyId", access_key_id)
}
