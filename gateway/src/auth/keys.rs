//! Signing keys: derivation, use, and a bounded cache of them.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::identity::Secret;

/// Most signing keys remembered: one per credential and day.
pub const SIGNING_KEYS_MAX: usize = 4096;

type HmacSha256 = Hmac<Sha256>;

/// A derived signing key, with the HMAC's key blocks already absorbed. Never printed.
#[derive(Clone)]
pub struct SigningKey(HmacSha256);

impl SigningKey {
    /// `HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request")`
    pub fn derive(secret: &Secret, date: &str, region: &str, service: &str) -> Self {
        let mut prefixed = Vec::with_capacity(4 + secret.expose().len());
        prefixed.extend_from_slice(b"AWS4");
        prefixed.extend_from_slice(secret.expose().as_bytes());
        let steps = [date, region, service, "aws4_request"];
        Self(steps.iter().fold(keyed(&prefixed), |key, step| keyed(&mac(key, step.as_bytes()))))
    }

    /// The HMAC-SHA256 of a string to sign.
    pub fn sign(&self, string_to_sign: &[u8]) -> [u8; 32] {
        mac(self.0.clone(), string_to_sign)
    }
}

fn keyed(key: &[u8]) -> HmacSha256 {
    HmacSha256::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn mac(mut hmac: HmacSha256, message: &[u8]) -> [u8; 32] {
    hmac.update(message);
    hmac.finalize().into_bytes().into()
}

/// Signing keys by credential text (`key id/date/region/service/aws4_request`), which is exactly what they depend on
/// besides the secret. The secret is kept too: after it was changed, the old key must not verify anything.
///
/// Two generations: when the young one is full it becomes the old one, and what is still used moves back. Only keys that
/// verified a request are inserted, so strangers cannot push others out.
pub(super) struct SigningKeyCache {
    generations: Mutex<Generations>,
    capacity_per_generation: usize,
}

#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, CachedKey>,
    old: HashMap<Box<str>, CachedKey>,
}

#[derive(Clone)]
struct CachedKey {
    secret: Secret,
    key: SigningKey,
}

impl SigningKeyCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self { generations: Mutex::default(), capacity_per_generation: (capacity / 2).max(1) }
    }

    pub(super) fn get(&self, credential_text: &str, secret: &Secret) -> Option<SigningKey> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(cached) = generations.young.get(credential_text) {
            return cached.secret.is_same_as(secret).then(|| cached.key.clone());
        }
        let (name, cached) = generations.old.remove_entry(credential_text)?;
        if !cached.secret.is_same_as(secret) {
            return None;
        }
        let key = cached.key.clone();
        generations.insert(name, cached, self.capacity_per_generation);
        Some(key)
    }

    pub(super) fn insert(&self, credential_text: &str, secret: &Secret, key: &SigningKey) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let cached = CachedKey { secret: secret.clone(), key: key.clone() };
        generations.insert(credential_text.into(), cached, self.capacity_per_generation);
    }
}

impl Generations {
    fn insert(&mut self, name: Box<str>, cached: CachedKey, capacity: usize) {
        if self.young.len() >= capacity && !self.young.contains_key(&name) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(name, cached);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_is_bounded_and_keeps_what_is_used() {
        let cache = SigningKeyCache::new(8);
        let secret = Secret::new("secret");
        let key = SigningKey::derive(&secret, "20130524", "us-east-1", "s3");
        cache.insert("hot", &secret, &key);
        for round in 0..100 {
            cache.insert(&format!("cold-{round}"), &secret, &key);
            assert!(cache.get("hot", &secret).is_some(), "lost after {round}");
        }
        let generations = cache.generations.lock().unwrap();
        assert!(generations.young.len() + generations.old.len() <= 8);
    }

    #[test]
    fn a_changed_secret_is_a_miss() {
        let cache = SigningKeyCache::new(8);
        let old = Secret::new("old");
        cache.insert("id", &old, &SigningKey::derive(&old, "20130524", "us-east-1", "s3"));
        assert!(cache.get("id", &Secret::new("new")).is_none());
        assert!(cache.get("id", &old).is_some());
    }
}
