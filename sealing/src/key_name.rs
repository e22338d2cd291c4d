//! How requests name KMS keys, and which key of the store is meant.
//!
//! A key is named by itself, by `alias/NAME`, or by `arn:aws:kms:REGION:ACCOUNT:key/NAME` or `…:alias/NAME`. Aliases and
//! keys share one set of names. Responses show a key as it was named.

use crate::key_store::{KEY_NAME_BYTES_MAX, KeyName};

/// Names below this are the store's own.
const RESERVED_PREFIX: &str = "granary/";
/// Under which the key of SSE-S3 is kept.
pub(crate) const STORE_KEY: &str = "granary/sse-s3";

/// Whether a key may be called so: visible ASCII, no longer than [`KEY_NAME_BYTES_MAX`], not one of the store's own.
pub fn is_key_name(name: &str) -> bool {
    (1..=KEY_NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_graphic())
        && !name.starts_with(RESERVED_PREFIX)
        && !name.starts_with("arn:")
}

/// Why a text names no key, as AWS says it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAKey(pub String);

/// The key that `named` means, in a store of this region.
///
/// # Errors
/// [`NotAKey`].
pub fn parse_key_id(named: &str, region: &str) -> Result<KeyName, NotAKey> {
    let (of_region, resource) = take_apart(named)?;
    match of_region.filter(|of_region| *of_region != region) {
        Some(elsewhere) => Err(NotAKey(format!("Invalid arn {elsewhere}"))),
        None => key_of(named, resource),
    }
}

/// The key that `named`, which an object was written under, means.
///
/// # Errors
/// [`NotAKey`].
pub(crate) fn parse_kept_key_id(named: &str) -> Result<KeyName, NotAKey> {
    key_of(named, take_apart(named)?.1)
}

/// The region, if it is an ARN, and what stands for the key.
fn take_apart(named: &str) -> Result<(Option<&str>, &str), NotAKey> {
    let Some(rest) = named.strip_prefix("arn:") else { return Ok((None, named)) };
    match rest.splitn(5, ':').collect::<Vec<_>>()[..] {
        [_partition, "kms", region, _account, resource] => Ok((Some(region), resource)),
        _ => Err(NotAKey(format!("Invalid arn {named}"))),
    }
}

fn key_of(named: &str, resource: &str) -> Result<KeyName, NotAKey> {
    let name = resource.strip_prefix("key/").or_else(|| resource.strip_prefix("alias/")).unwrap_or(resource);
    match is_key_name(name) {
        true => Ok(KeyName::Kms(name.to_owned())),
        false => Err(NotAKey(format!("Invalid keyId '{named}'"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_key_has_many_names() {
        for named in [
            "k1",
            "alias/k1",
            "key/k1",
            "arn:aws:kms:us-east-1:111122223333:key/k1",
            "arn:aws:kms:us-east-1:111122223333:alias/k1",
        ] {
            assert_eq!(parse_key_id(named, "us-east-1").unwrap(), KeyName::Kms("k1".to_owned()), "{named}");
        }
        assert_eq!(parse_key_id("alias/aws/s3", "eu-west-1").unwrap(), KeyName::Kms("aws/s3".to_owned()));
    }

    #[test]
    fn what_names_no_key_is_not_found() {
        let long = "k".repeat(KEY_NAME_BYTES_MAX + 1);
        for named in [
            "",
            "alias/",
            "arn:",
            "arn:aws:s3:::bucket",
            "arn:aws:kms:us-east-1:111122223333",
            "arn:aws:kms:eu-west-1:111122223333:key/k1",
            "granary/sse-s3",
            "alias/granary/sse-s3",
            "with space",
            "umlaut-ü",
            &long,
        ] {
            assert!(parse_key_id(named, "us-east-1").is_err(), "{named}");
        }
        let elsewhere = parse_key_id("arn:aws:kms:eu-west-1:111122223333:key/k1", "us-east-1").unwrap_err();
        assert_eq!(elsewhere.to_string(), "Invalid arn eu-west-1");
    }
}
