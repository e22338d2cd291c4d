//! A lifecycle configuration as it was written.
//!
//! Everything a client can say is representable, so that it gets back what it sent; numbers of days are signed because
//! what is not positive is refused with an error of its own. Whether it makes sense is for `validate`.

use granary_protocol::UnixMillis;
use granary_protocol::object::{StorageClass, Tag};

/// The rules of a bucket.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LifecycleConfiguration {
    /// In the order they were given.
    pub rules: Vec<Rule>,
    /// From which size objects are moved by rules that name no size.
    pub minimum_size: TransitionMinimumSize,
}

/// `x-amz-transition-default-minimum-object-size`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransitionMinimumSize {
    /// `all_storage_classes_128K`: smaller objects move to no class.
    #[default]
    AllClasses128K,
    /// `varies_by_storage_class`: smaller objects move to `GLACIER` and `DEEP_ARCHIVE` only.
    VariesByStorageClass,
    /// No header named a size, in a store whose days are shortened: objects of all sizes move.
    Unlimited,
}

impl TransitionMinimumSize {
    /// The word of the header.
    pub fn name(self) -> &'static str {
        match self {
            Self::AllClasses128K => "all_storage_classes_128K",
            Self::VariesByStorageClass => "varies_by_storage_class",
            Self::Unlimited => "unlimited",
        }
    }

    /// What a word means: one of the header's two, or the one that only documents have.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::AllClasses128K, Self::VariesByStorageClass, Self::Unlimited].into_iter().find(|size| size.name() == name)
    }
}

/// A rule: which objects, and what becomes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Unique in its configuration.
    pub id: String,
    /// Whether it counts.
    pub enabled: bool,
    /// Which objects.
    pub scope: Scope,
    /// When current versions expire, or whether a marker that hides nothing is removed.
    pub expiration: Option<Expiration>,
    /// When current versions change their class.
    pub transitions: Vec<Transition>,
    /// When noncurrent versions are deleted.
    pub noncurrent_expiration: Option<NoncurrentExpiration>,
    /// When noncurrent versions change their class.
    pub noncurrent_transitions: Vec<NoncurrentTransition>,
    /// Days after which an upload that was not completed is aborted.
    pub abort_upload_days: Option<i32>,
}

/// Which objects a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// The form of the first version of the language: a prefix beside the actions.
    Prefix(String),
    /// A filter; an empty one means all objects.
    Filter(Filter),
}

/// Conditions that all must hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Whether the conditions were written inside `And`.
    pub and: bool,
    /// What keys begin with.
    pub prefix: Option<String>,
    /// Tags the object must have.
    pub tags: Vec<Tag>,
    /// Bytes; only larger objects.
    pub size_greater_than: Option<i64>,
    /// Bytes; only smaller objects.
    pub size_less_than: Option<i64>,
    /// Conditions that were written beside `And`; they must hold too.
    pub beside: Option<Box<Filter>>,
}

impl Filter {
    fn covers(&self, key: &str, size: u64, tags: &[Tag]) -> bool {
        let bound = |bound: i64| u64::try_from(bound).unwrap_or(0);
        key.starts_with(self.prefix.as_deref().unwrap_or_default())
            && self.size_greater_than.is_none_or(|least| size > bound(least))
            && self.size_less_than.is_none_or(|most| size < bound(most))
            && self.tags.iter().all(|tag| tags.contains(tag))
            && self.beside.as_ref().is_none_or(|beside| beside.covers(key, size, tags))
    }

    /// The filter itself, and what stands beside its `And`.
    fn all(&self) -> impl Iterator<Item = &Filter> {
        std::iter::successors(Some(self), |filter| filter.beside.as_deref())
    }
}

/// What happens to current versions in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiration {
    /// They expire.
    At(When),
    /// Delete markers without versions behind them are removed, if the flag says so.
    ExpiredObjectDeleteMarker(bool),
}

/// When something happens to current versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// So many days after they were written.
    Days(i32),
    /// At a midnight, UTC, and after it.
    Date(UnixMillis),
}

/// A change of class of current versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transition {
    /// When.
    pub when: When,
    /// To which class.
    pub class: StorageClass,
}

/// When noncurrent versions are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoncurrentExpiration {
    /// Days after they became noncurrent.
    pub days: i32,
    /// How many of the newest noncurrent versions stay whatever their age.
    pub newer_versions: Option<i32>,
}

/// A change of class of noncurrent versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoncurrentTransition {
    /// Days after they became noncurrent.
    pub days: i32,
    /// How many of the newest noncurrent versions stay as they are.
    pub newer_versions: Option<i32>,
    /// To which class.
    pub class: StorageClass,
}

impl Scope {
    /// What keys begin with; empty for all. Of two prefixes the longer one.
    pub fn prefix(&self) -> &str {
        match self {
            Scope::Prefix(prefix) => prefix,
            Scope::Filter(filter) => {
                let prefixes = filter.all().filter_map(|filter| filter.prefix.as_deref());
                prefixes.max_by_key(|prefix| prefix.len()).unwrap_or_default()
            }
        }
    }

    /// Tags objects must have.
    pub fn tags(&self) -> impl Iterator<Item = &Tag> {
        let filter = match self {
            Scope::Prefix(_) => None,
            Scope::Filter(filter) => Some(filter),
        };
        filter.into_iter().flat_map(Filter::all).flat_map(|filter| &filter.tags)
    }

    /// Whether it asks for a tag.
    pub fn names_tag(&self) -> bool {
        self.tags().next().is_some()
    }

    /// Whether it asks for a size.
    pub fn names_size(&self) -> bool {
        match self {
            Scope::Prefix(_) => false,
            Scope::Filter(filter) => {
                filter.all().any(|filter| filter.size_greater_than.is_some() || filter.size_less_than.is_some())
            }
        }
    }

    /// Whether an object belongs to it.
    pub fn covers(&self, key: &str, size: u64, tags: &[Tag]) -> bool {
        match self {
            Scope::Prefix(prefix) => key.starts_with(prefix.as_str()),
            Scope::Filter(filter) => filter.covers(key, size, tags),
        }
    }
}

/// As AWS writes a filter into its messages: `(prefix=logs/)`.
impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "(prefix={}", self.prefix())?;
        for tag in self.tags() {
            write!(f, " and tag(key={},value={})", tag.key, tag.value)?;
        }
        f.write_str(")")
    }
}
