//! Who owns an object that somebody else writes into a bucket, and whether lists count there.
//!
//! Source: "Controlling ownership of objects and disabling ACLs for your bucket", Amazon S3 user guide.

use crate::acl::CannedAcl;
use granary_protocol::CanonicalId;

/// A bucket's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ObjectOwnership {
    /// The bucket's owner owns every object; lists do not count. So it is without a setting.
    #[default]
    BucketOwnerEnforced,
    /// The writer owns the object, unless it is given away with the list `bucket-owner-full-control`.
    BucketOwnerPreferred,
    /// The writer owns the object.
    ObjectWriter,
    /// Nobody has said it. The bucket's owner has every right to every object, as if that was enforced; who wrote a new one
    /// is kept as its owner and may read it. Lists count, because nobody has said that none is wanted; once the bucket has
    /// one, writers have every right to what they wrote, too.
    Undecided,
}

/// The document of a bucket of whose ownership nobody has said anything.
const UNDECIDED_DOCUMENT: &[u8] = b"default";

impl ObjectOwnership {
    /// The name in requests and answers. What nobody has said is shown as what holds until a list comes.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BucketOwnerEnforced | Self::Undecided => "BucketOwnerEnforced",
            Self::BucketOwnerPreferred => "BucketOwnerPreferred",
            Self::ObjectWriter => "ObjectWriter",
        }
    }

    /// The setting of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::BucketOwnerEnforced, Self::BucketOwnerPreferred, Self::ObjectWriter]
            .into_iter()
            .find(|setting| setting.name() == name)
    }

    /// Reads the stored document. What cannot be read is the strictest setting: then no list lets anybody in.
    pub fn from_document(document: Option<&[u8]>) -> Self {
        if document == Some(UNDECIDED_DOCUMENT) {
            return Self::Undecided;
        }
        let name = document.and_then(|document| std::str::from_utf8(document).ok());
        name.and_then(Self::from_name).unwrap_or_default()
    }

    /// The document to be stored.
    pub fn to_document(self) -> Vec<u8> {
        match self {
            Self::Undecided => UNDECIDED_DOCUMENT.to_vec(),
            chosen => chosen.name().as_bytes().to_vec(),
        }
    }

    /// Whether access control lists count.
    pub const fn acls_count(self) -> bool {
        !matches!(self, Self::BucketOwnerEnforced)
    }

    /// Whether objects belong to whoever wrote them, and not to the bucket's owner.
    pub const fn writers_own(self) -> bool {
        matches!(self, Self::BucketOwnerPreferred | Self::ObjectWriter)
    }

    /// Who owns an object that `writer` writes with a canned list into a bucket of `bucket_owner`. Somebody without
    /// credentials (`None`) owns nothing: the bucket's owner does.
    pub fn owner_of_new_object(
        self,
        bucket_owner: &CanonicalId,
        writer: Option<&CanonicalId>,
        canned: Option<CannedAcl>,
    ) -> CanonicalId {
        let writer = writer.unwrap_or(bucket_owner);
        match (self, canned) {
            (Self::BucketOwnerEnforced, _) => bucket_owner.clone(),
            (Self::BucketOwnerPreferred, Some(CannedAcl::BucketOwnerFullControl)) => bucket_owner.clone(),
            (Self::BucketOwnerPreferred | Self::ObjectWriter | Self::Undecided, _) => writer.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_belong_to_whom_the_setting_says() {
        use ObjectOwnership::*;
        let (owner, writer) = (CanonicalId::from("owner"), CanonicalId::from("writer"));
        let full = Some(CannedAcl::BucketOwnerFullControl);
        for (setting, canned, expected) in [
            (BucketOwnerEnforced, None, &owner),
            (BucketOwnerEnforced, full, &owner),
            (BucketOwnerPreferred, None, &writer),
            (BucketOwnerPreferred, Some(CannedAcl::Private), &writer),
            (BucketOwnerPreferred, full, &owner),
            (ObjectWriter, None, &writer),
            (ObjectWriter, full, &writer),
            (Undecided, None, &writer),
            (Undecided, full, &writer),
        ] {
            assert_eq!(setting.owner_of_new_object(&owner, Some(&writer), canned), *expected, "{setting:?} {canned:?}");
            assert_eq!(setting.owner_of_new_object(&owner, None, canned), owner);
            assert_eq!(ObjectOwnership::from_document(Some(&setting.to_document())), setting);
        }
        assert_eq!(ObjectOwnership::from_document(Some(b"\xff")), BucketOwnerEnforced);
        assert_eq!(ObjectOwnership::from_document(None), BucketOwnerEnforced);
        assert_eq!(ObjectOwnership::from_name("default"), None);
        assert!(Undecided.acls_count() && !Undecided.writers_own());
    }
}
