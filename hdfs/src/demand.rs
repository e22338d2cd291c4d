//! What a request of a Hadoop client needs by the rules of S3, so that a user of the store may do the same through every
//! door. Pure.
//!
//! Mode bits and leases are the namenode's; these demands stand beside them, and both must be met. Calls that go on with a
//! file under its writer's lease were judged when the file was opened.

use granary_access::Action;
use granary_protocol::filesystem::{FsPath, FsRequest};

/// One action on one path. On a bucket `object` counts as the bucket's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Demand {
    /// Any of these will do.
    pub any_of: &'static [Action],
    /// On what.
    pub path: FsPath,
    /// Whether everything below the path is concerned too.
    pub tree: bool,
}

const SEE: &[Action] = &[Action::ListBucket, Action::GetObject];
const LIST: &[Action] = &[Action::ListBucket];
const READ: &[Action] = &[Action::GetObject];
const WRITE: &[Action] = &[Action::PutObject];
const DELETE: &[Action] = &[Action::DeleteObject];
const MAKE_BUCKET: &[Action] = &[Action::CreateBucket];
const REMOVE_BUCKET: &[Action] = &[Action::DeleteBucket];
/// Attributes of a bucket's own directory.
const ADMINISTER: &[Action] = &[Action::PutBucketAcl];
const BUCKETS: &[Action] = &[Action::ListAllMyBuckets];

/// `CheckAccess`' bits.
const MODE_READ: u8 = 4;
const MODE_WRITE: u8 = 2;

/// What must be allowed for a request. None for what concerns no path, or one that a lease guards.
pub fn demands_of(request: &FsRequest) -> Vec<Demand> {
    use FsRequest::*;
    match request {
        Status { path }
        | IsFileClosed { path }
        | GetXAttrs { path, .. }
        | ListXAttrs { path }
        | AclStatus { path }
        | StoragePolicy { path } => see(path),
        List { path, .. } | ContentSummary { path } => one(list_actions(path), path),
        Locate { path, .. } => one(READ, path),
        CheckAccess { path, mode } => {
            let mut demands = see(path);
            if mode & MODE_READ != 0 && !is_bucket(path) && !path.is_root() {
                demands.extend(one(READ, path));
            }
            if mode & MODE_WRITE != 0 && !path.is_root() {
                demands.extend(change(path));
            }
            demands
        }
        Mkdirs { path, .. } if is_bucket(path) => one(MAKE_BUCKET, path),
        Mkdirs { path, .. } | Append { path, .. } | Truncate { path, .. } | RecoverLease { path, .. } => {
            one(WRITE, path)
        }
        Create(file) => one(WRITE, &file.path),
        Concat { target, sources } => {
            let sources = sources.iter().flat_map(|source| [one(READ, source), one(DELETE, source)]).flatten();
            one(WRITE, target).into_iter().chain(sources).collect()
        }
        Rename { from, to } | Rename2 { from, to, .. } => {
            let moved = |any_of, path: &FsPath| Demand { any_of, path: path.clone(), tree: true };
            vec![moved(READ, from), moved(DELETE, from), Demand { tree: false, ..moved(WRITE, to) }]
        }
        Delete { path, .. } if is_bucket(path) => one(REMOVE_BUCKET, path),
        Delete { path, .. } => vec![Demand { any_of: DELETE, path: path.clone(), tree: true }],
        SetPermission { path, .. }
        | SetOwner { path, .. }
        | SetTimes { path, .. }
        | SetReplication { path, .. }
        | SetQuota { path, .. }
        | SetXAttr { path, .. }
        | RemoveXAttr { path, .. }
        | ChangeAcl { path, .. }
        | SetStoragePolicy { path, .. } => change(path),
        Stats
        | ServerDefaults
        | OpenFiles { .. }
        | AddBlock { .. }
        | AbandonBlock { .. }
        | Complete { .. }
        | Fsync { .. }
        | RenewLease { .. }
        | UpdateBlockForPipeline { .. }
        | UpdatePipeline { .. }
        | AdditionalDatanode { .. } => Vec::new(),
    }
}

fn one(any_of: &'static [Action], path: &FsPath) -> Vec<Demand> {
    vec![Demand { any_of, path: path.clone(), tree: false }]
}

fn see(path: &FsPath) -> Vec<Demand> {
    // Whoever may be here may see that there is a root.
    if path.is_root() { Vec::new() } else { one(SEE, path) }
}

fn list_actions(path: &FsPath) -> &'static [Action] {
    if path.is_root() { BUCKETS } else { LIST }
}

fn change(path: &FsPath) -> Vec<Demand> {
    one(if is_bucket(path) { ADMINISTER } else { WRITE }, path)
}

fn is_bucket(path: &FsPath) -> bool {
    path.components().count() == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> FsPath {
        FsPath::parse(text).unwrap()
    }

    fn names(request: &FsRequest) -> Vec<String> {
        let name = |demand: Demand| format!("{} {}", demand.any_of[0].name(), demand.path);
        demands_of(request).into_iter().map(name).collect()
    }

    #[test]
    fn each_door_asks_for_the_same() {
        let delete = |text| FsRequest::Delete { path: path(text), recursive: true };
        let mkdirs =
            |text| FsRequest::Mkdirs { path: path(text), permission: 0o755, unmasked: None, create_parent: true };
        assert_eq!(names(&delete("/b/a")), ["s3:DeleteObject /b/a"]);
        assert_eq!(names(&delete("/b")), ["s3:DeleteBucket /b"]);
        assert_eq!(names(&mkdirs("/b")), ["s3:CreateBucket /b"]);
        assert_eq!(names(&mkdirs("/b/d")), ["s3:PutObject /b/d"]);
        let rename = FsRequest::Rename { from: path("/b/x"), to: path("/b/y") };
        assert_eq!(names(&rename), ["s3:GetObject /b/x", "s3:DeleteObject /b/x", "s3:PutObject /b/y"]);
        let list = FsRequest::List { path: FsPath::root(), after: String::new(), locations: false };
        assert_eq!(names(&list), ["s3:ListAllMyBuckets /"]);
        assert!(names(&FsRequest::Status { path: FsPath::root() }).is_empty());
        let access = FsRequest::CheckAccess { path: path("/b/f"), mode: 6 };
        assert_eq!(names(&access), ["s3:ListBucket /b/f", "s3:GetObject /b/f", "s3:PutObject /b/f"]);
    }
}
