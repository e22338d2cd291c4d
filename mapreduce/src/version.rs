//! How a plan pins an input: the store's number of the version, and the entity tag it had, because without versioning
//! every version has the number zero.

use granary_protocol::VersionId;
use granary_protocol::object::ETag;

pub(crate) fn pinned(version: VersionId, etag: &ETag) -> String {
    format!("{}:{}:{}", version.0, hex::encode(etag.md5), etag.parts.unwrap_or(0))
}

pub(crate) fn parse(text: &str) -> Option<(VersionId, ETag)> {
    let mut words = text.splitn(3, ':');
    let version = words.next()?.parse().ok()?;
    let mut md5 = [0; 16];
    hex::decode_to_slice(words.next()?, &mut md5).ok()?;
    let parts: u16 = words.next()?.parse().ok()?;
    Some((VersionId(version), ETag { md5, parts: (parts > 0).then_some(parts) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_pinned_is_read_back() {
        for parts in [None, Some(7)] {
            let etag = ETag { md5: [9; 16], parts };
            assert_eq!(parse(&pinned(VersionId(12), &etag)), Some((VersionId(12), etag)));
        }
        assert_eq!(parse("x"), None);
    }
}
