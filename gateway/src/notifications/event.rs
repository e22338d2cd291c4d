//! What an operation did to an object, as it says so in its response.

use granary_protocol::UnixMillis;
use granary_protocol::object::StorageClass;
use http::Extensions;

/// The events this store sends, by AWS's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum EventKind {
    /// PutObject, RenameObject.
    CreatedPut,
    /// PostObject.
    CreatedPost,
    /// CopyObject.
    CreatedCopy,
    /// CompleteMultipartUpload.
    CreatedComplete,
    /// A version is gone.
    RemovedDelete,
    /// A delete marker was made.
    RemovedMarker,
    /// Tags were set.
    TaggingPut,
    /// Tags were removed.
    TaggingDelete,
    /// The access control list was set.
    AclPut,
    /// A rule deleted a version for good.
    ExpirationDelete,
    /// A rule hid an object behind a delete marker.
    ExpirationMarker,
    /// A rule changed an object's class.
    Transition { to: StorageClass },
    /// RestoreObject began.
    RestorePost,
    /// A restored copy can be read.
    RestoreCompleted { class: StorageClass, until: UnixMillis },
    /// A restored copy has expired.
    RestoreDelete,
}

impl EventKind {
    /// As configurations name it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CreatedPut => "s3:ObjectCreated:Put",
            Self::CreatedPost => "s3:ObjectCreated:Post",
            Self::CreatedCopy => "s3:ObjectCreated:Copy",
            Self::CreatedComplete => "s3:ObjectCreated:CompleteMultipartUpload",
            Self::RemovedDelete => "s3:ObjectRemoved:Delete",
            Self::RemovedMarker => "s3:ObjectRemoved:DeleteMarkerCreated",
            Self::TaggingPut => "s3:ObjectTagging:Put",
            Self::TaggingDelete => "s3:ObjectTagging:Delete",
            Self::AclPut => "s3:ObjectAcl:Put",
            Self::ExpirationDelete => "s3:LifecycleExpiration:Delete",
            Self::ExpirationMarker => "s3:LifecycleExpiration:DeleteMarkerCreated",
            Self::Transition { .. } => "s3:LifecycleTransition",
            Self::RestorePost => "s3:ObjectRestore:Post",
            Self::RestoreCompleted { .. } => "s3:ObjectRestore:Completed",
            Self::RestoreDelete => "s3:ObjectRestore:Delete",
        }
    }

    /// The version of the message structure AWS uses for it.
    pub(super) const fn message_version(self) -> &'static str {
        match self {
            Self::CreatedPut
            | Self::CreatedPost
            | Self::CreatedCopy
            | Self::CreatedComplete
            | Self::RemovedDelete
            | Self::RemovedMarker
            | Self::RestorePost
            | Self::RestoreCompleted { .. }
            | Self::RestoreDelete => "2.1",
            Self::TaggingPut
            | Self::TaggingDelete
            | Self::AclPut
            | Self::ExpirationDelete
            | Self::ExpirationMarker
            | Self::Transition { .. } => "2.3",
        }
    }
}

/// Something that happened to an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectEvent {
    /// What.
    pub kind: EventKind,
    /// The object's key.
    pub key: String,
    /// Bytes, of an object that was created.
    pub size: Option<u64>,
    /// The tag without its quotes.
    pub etag: Option<String>,
    /// The version, where the bucket keeps them.
    pub version: Option<String>,
    /// When it took effect, if the namenode said so.
    pub at: Option<UnixMillis>,
}

/// Everything one request did. Operations put it into their response; it never leaves the process with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ObjectEvents {
    /// In the order it happened.
    pub happened: Vec<ObjectEvent>,
    /// ARNs of targets to be sent a test message.
    pub tested: Vec<String>,
}

impl ObjectEvents {
    /// Says in a response's extensions that something happened.
    pub(crate) fn announce(extensions: &mut Extensions, event: ObjectEvent) {
        extensions.get_or_insert_default::<Self>().happened.push(event);
    }

    /// Says in a response's extensions that these targets were configured.
    pub(crate) fn announce_test(extensions: &mut Extensions, targets: Vec<String>) {
        extensions.get_or_insert_default::<Self>().tested.extend(targets);
    }
}
