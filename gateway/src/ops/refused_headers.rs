//! Headers that mean something this store does not do: refused, never dropped.
//!
//! What a client asks for and is told 200 for must be so. Where it cannot be, the request is answered `NotImplemented`.

use crate::error::{S3Error, S3ErrorCode};
use http::HeaderMap;

/// Prefixes of headers that ask for more than is built.
const REFUSED_PREFIXES: [&str; 1] = ["x-amz-write-offset-"];
const REFUSED: [&str; 2] = ["x-amz-mfa", "x-amz-object-if-match"];

/// Asks for an archive to be unpacked into objects, as Snow devices and MinIO do: a client that is told 200 finds none of them.
const UNPACKED: &str = "x-amz-meta-snowball-auto-extract";

/// Refuses a request that writes, copies or deletes if it carries one of these headers.
///
/// # Errors
/// `NotImplemented`.
pub(super) fn refuse_unbuilt(headers: &HeaderMap) -> Result<(), S3Error> {
    for (name, value) in headers {
        let name = name.as_str();
        if !name.starts_with("x-amz-") {
            continue;
        }
        let unbuilt = REFUSED.contains(&name) || REFUSED_PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        let unpacks = name == UNPACKED && value.as_bytes().eq_ignore_ascii_case(b"true");
        if unpacks || (unbuilt && !value.is_empty()) {
            return Err(S3Error::new(S3ErrorCode::NotImplemented).field("Header", name));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn what_is_not_built_is_refused() {
        let check = |name: &'static str, value: &'static str| {
            let headers: HeaderMap =
                [(HeaderName::from_static(name), HeaderValue::from_static(value))].into_iter().collect();
            refuse_unbuilt(&headers).map_err(|error| error.code())
        };
        let refused =
            [("x-amz-write-offset-bytes", "1"), ("x-amz-mfa", "1 2"), ("x-amz-meta-snowball-auto-extract", "true")];
        for (name, value) in refused {
            assert_eq!(check(name, value), Err(S3ErrorCode::NotImplemented), "{name}");
        }
        for (name, value) in [
            ("x-amz-mfa", ""),
            ("x-amz-meta-snowball-auto-extract", "false"),
            ("x-amz-server-side-encryption", "AES256"),
            ("x-amz-meta-x-amz-mfa", "a"),
            ("x-amz-storage-class", "STANDARD"),
            ("content-type", "x"),
        ] {
            assert_eq!(check(name, value), Ok(()), "{name}");
        }
    }
}
