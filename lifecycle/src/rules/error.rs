//! Why a lifecycle configuration is refused, in the words AWS uses.

use granary_protocol::object::StorageClass;

/// The kind of refusal, one error code of S3 each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A value out of its range: `InvalidArgument`.
    Argument,
    /// Settings that do not go together: `InvalidRequest`.
    Request,
    /// Not of the language: `MalformedXML`.
    Schema,
    /// A tag that cannot be: `InvalidTag`.
    Tag,
}

/// Why a configuration is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    #[error("A lifecycle configuration must have at least one rule")]
    NoRules,
    #[error("The number of lifecycle rules must not exceed the allowed limit of 1000 rules")]
    TooManyRules,
    #[error("ID length should not exceed allowed limit of 255")]
    IdTooLong,
    #[error("Rule ID must be unique. Found same ID for more than one rule")]
    SameId,
    #[error("At least one action needs to be specified in a rule")]
    NoAction,
    #[error("Base level prefix cannot be used in Lifecycle V2, prefixes are only supported in the Filter.")]
    MixedForms,
    #[error("The maximum size of a prefix is 1024")]
    PrefixTooLong,
    #[error("And must have at least two conditions")]
    TooFewConditions,
    #[error("The TagKey you have provided is invalid")]
    TagKey,
    #[error("The TagValue you have provided is invalid")]
    TagValue,
    #[error("Duplicate Tag Keys are not allowed.")]
    SameTagKey,
    #[error("'{0}' must not be negative")]
    NegativeSize(&'static str),
    #[error("'ObjectSizeLessThan' must be greater than 'ObjectSizeGreaterThan'")]
    SizesExclude,
    #[error("'{days}' for {action} action must be a positive integer")]
    NotPositive { days: &'static str, action: &'static str },
    #[error("'{days}' for {action} action must be nonnegative")]
    Negative { days: &'static str, action: &'static str },
    #[error("'Date' must be at midnight GMT")]
    NotMidnight,
    #[error("'NewerNoncurrentVersions' for {0} action must be a positive integer")]
    NewerNotPositive(&'static str),
    #[error("'NewerNoncurrentVersions' for {0} action must not exceed 100")]
    NewerTooMany(&'static str),
    #[error("'NewerNoncurrentVersions' requires a Filter")]
    NewerWithoutFilter,
    #[error("ExpiredObjectDeleteMarker cannot be specified with tags.")]
    MarkerWithTags,
    #[error("ExpiredObjectDeleteMarker cannot be specified with object size.")]
    MarkerWithSize,
    #[error("AbortIncompleteMultipartUpload cannot be specified with Tags.")]
    AbortWithTags,
    #[error("AbortIncompleteMultipartUpload cannot be specified with object size.")]
    AbortWithSize,
    #[error("Objects cannot transition to {}", .0.name())]
    ClassNotATarget(StorageClass),
    #[error("'StorageClass' must be different for '{action}' actions in same 'Rule' with filter '{filter}'")]
    SameClass { action: &'static str, filter: String },
    #[error("'{days}' in {action} action must be greater than or equal to 30 for storageClass '{}'", .class.name())]
    TooEarlyForClass { days: &'static str, action: &'static str, class: StorageClass },
    #[error(
        "'{days}' in the {action} action for StorageClass '{}' for filter '{filter}' must be {by} than '{days}' in the \
         {action} action for StorageClass '{}'", .later.name(), .earlier.name()
    )]
    ClassOrder {
        days: &'static str,
        action: &'static str,
        by: &'static str,
        later: StorageClass,
        earlier: StorageClass,
        filter: String,
    },
    #[error(
        "Found mixed 'Date' and 'Days' based Expiration and Transition actions in lifecycle rule for filter '{filter}'"
    )]
    MixedExpiration { filter: String },
    #[error("Found mixed 'Date' and 'Days' based Transition actions in lifecycle rule for filter '{filter}'")]
    MixedTransitions { filter: String },
    #[error(
        "'{what}' in the {expiration} action for filter '{filter}' must be greater than '{what}' in the {transition} \
         action"
    )]
    ExpiresBeforeTransition { what: &'static str, expiration: &'static str, transition: &'static str, filter: String },
}

impl RuleError {
    /// What kind of refusal it is.
    pub fn fault(&self) -> Fault {
        use RuleError::*;
        match self {
            IdTooLong
            | SameId
            | NegativeSize(_)
            | NotPositive { .. }
            | Negative { .. }
            | NotMidnight
            | NewerNotPositive(_)
            | NewerTooMany(_)
            | TooEarlyForClass { .. }
            | ClassOrder { .. }
            | ExpiresBeforeTransition { .. } => Fault::Argument,
            TooManyRules
            | NoAction
            | MixedForms
            | PrefixTooLong
            | SameTagKey
            | SizesExclude
            | NewerWithoutFilter
            | MarkerWithTags
            | MarkerWithSize
            | AbortWithTags
            | AbortWithSize
            | SameClass { .. }
            | MixedExpiration { .. }
            | MixedTransitions { .. } => Fault::Request,
            NoRules | TooFewConditions | ClassNotATarget(_) => Fault::Schema,
            TagKey | TagValue => Fault::Tag,
        }
    }
}
