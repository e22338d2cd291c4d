//! Paths of the file system: `/`, `/bucket`, `/bucket/directory/file`.

use crate::ids::BucketName;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The longest component, in bytes of UTF-8, as `dfs.namenode.fs-limits.max-component-length`.
pub const COMPONENT_BYTES_MAX: usize = 255;
/// The longest path that something new may get, and the most components, as Hadoop's namenode has them.
pub const PATH_BYTES_MAX: usize = 8_000;
/// See [`PATH_BYTES_MAX`].
pub const PATH_LEVELS_MAX: usize = 1_000;

/// An absolute path without a trailing slash, whose components are neither empty nor `.` nor `..` and have no colon.
/// Components may be longer than [`COMPONENT_BYTES_MAX`], because S3's may; new ones may not.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct FsPath(String);

/// What came over the wire or from a log: nothing is forgiven there.
impl TryFrom<String> for FsPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<FsPath, PathError> {
        match text.strip_prefix('/') {
            Some(rest) if rest.is_empty() || rest.split('/').all(is_component) => Ok(FsPath(text)),
            _ => Err(PathError),
        }
    }
}

/// Why a text is no path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Invalid path name: it must be absolute, and no component may be empty, \".\" or \"..\" or have a colon")]
pub struct PathError;

impl FsPath {
    /// The directory that holds the buckets.
    pub fn root() -> FsPath {
        FsPath("/".to_owned())
    }

    /// The path a client named. One trailing slash is forgiven, as Hadoop forgives it.
    ///
    /// # Errors
    /// What `DFSUtil.isValidName` refuses.
    pub fn parse(text: &str) -> Result<FsPath, PathError> {
        let Some(rest) = text.strip_prefix('/') else { return Err(PathError) };
        if rest.is_empty() {
            return Ok(FsPath::root());
        }
        let rest = rest.strip_suffix('/').unwrap_or(rest);
        match rest.split('/').all(is_component) {
            true => Ok(FsPath(format!("/{rest}"))),
            false => Err(PathError),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the directory of buckets.
    pub fn is_root(&self) -> bool {
        self.0.len() == 1
    }

    /// The components, the bucket first; none for the root.
    pub fn components(&self) -> impl Iterator<Item = &str> {
        self.0[1..].split('/').filter(|component| !component.is_empty())
    }

    /// Whether something new may have this path.
    pub fn is_too_long(&self) -> bool {
        self.0.len() > PATH_BYTES_MAX || self.components().count() > PATH_LEVELS_MAX
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }

    /// The directory it is in; `None` for the root.
    pub fn parent(&self) -> Option<FsPath> {
        match self.0.rfind('/')? {
            _ if self.is_root() => None,
            0 => Some(FsPath::root()),
            slash => Some(FsPath(self.0[..slash].to_owned())),
        }
    }

    /// An entry of this directory.
    ///
    /// # Errors
    /// The name is none that a path may have.
    pub fn child(&self, name: &str) -> Result<FsPath, PathError> {
        match is_component(name) {
            true if self.is_root() => Ok(FsPath(format!("/{name}"))),
            true => Ok(FsPath(format!("{}/{name}", self.0))),
            false => Err(PathError),
        }
    }

    /// Whether `other` is this path or lies under it.
    pub fn holds(&self, other: &FsPath) -> bool {
        self.is_root() || other.0.strip_prefix(&self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// The bucket, and the key of a file of this path (empty for the bucket itself); `None` for the root.
    pub fn bucket_and_key(&self) -> Option<(BucketName, &str)> {
        if self.is_root() {
            return None;
        }
        let rest = &self.0[1..];
        let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
        Some((BucketName::from(bucket), key))
    }
}

/// Whether a path may have this component. Names of S3 keys that fail this are not shown by the file system.
pub fn is_component(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains([':', '/'])
}

impl fmt::Display for FsPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FsPath {
        FsPath::parse(text).unwrap()
    }

    #[test]
    fn only_absolute_paths_of_plain_components_are_taken() {
        for good in ["/", "/a", "/a/", "/a/b c", "/a/é/..c", "/a/b=1/c"] {
            assert!(FsPath::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "a", "//", "/a//b", "/a/.", "/./a", "/a/../b", "/a:b", "/a//"] {
            assert_eq!(FsPath::parse(bad), Err(PathError), "{bad}");
        }
        assert_eq!(path("/a/b/").as_str(), "/a/b");
    }

    #[test]
    fn what_another_process_says_is_checked() {
        for text in ["/", "/a", "/a/é"] {
            let sent = postcard::to_stdvec(&path(text)).unwrap();
            assert_eq!(sent, postcard::to_stdvec(text).unwrap());
            assert_eq!(postcard::from_bytes(&sent), Ok(path(text)));
        }
        for text in ["", "a", "//", "/a/", "/a//b", "/a/../b", "/a:b"] {
            assert!(postcard::from_bytes::<FsPath>(&postcard::to_stdvec(text).unwrap()).is_err(), "{text}");
        }
    }

    #[test]
    fn new_paths_have_as_many_levels_as_hadoop_s() {
        assert!(!path(&"/a".repeat(PATH_LEVELS_MAX)).is_too_long());
        assert!(path(&"/a".repeat(PATH_LEVELS_MAX + 1)).is_too_long());
        assert!(path(&format!("/a/{}", "b".repeat(PATH_BYTES_MAX))).is_too_long());
        assert!(!FsPath::root().is_too_long());
    }

    #[test]
    fn a_path_is_taken_apart_and_put_together() {
        assert_eq!(path("/a/b/c").parent(), Some(path("/a/b")));
        assert_eq!(path("/a").parent(), Some(FsPath::root()));
        assert_eq!(FsPath::root().parent(), None);
        assert_eq!(path("/a/b").name(), "b");
        assert_eq!(FsPath::root().name(), "");
        assert_eq!(path("/a/b/c").components().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(FsPath::root().components().count(), 0);
        assert_eq!(FsPath::root().child("a"), Ok(path("/a")));
        assert_eq!(path("/a").child(".."), Err(PathError));
        assert_eq!(path("/a/b/c").bucket_and_key(), Some((BucketName::from("a"), "b/c")));
        assert_eq!(path("/a").bucket_and_key(), Some((BucketName::from("a"), "")));
        assert!(path("/a").holds(&path("/a/b")) && path("/a").holds(&path("/a")) && !path("/a").holds(&path("/ab")));
        assert!(FsPath::root().holds(&path("/a")));
    }
}
