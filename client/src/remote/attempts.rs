//! Which requests may simply be sent again, and which need a number for that.

use granary_protocol::namenode::NamenodeRequest;

/// How a request is sent again after an answer that did not come, or that leaves open what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempts {
    /// Doing it twice is the same as doing it once.
    Plain,
    /// All attempts carry one number: it takes effect once.
    Numbered,
}

/// How `request` is sent again.
pub(super) fn attempts(request: &NamenodeRequest) -> Attempts {
    use NamenodeRequest::*;
    match request {
        GetBucket { .. }
        | GetBucketSettings { .. }
        | ListBuckets { .. }
        | GetObject { .. }
        | LocateContent { .. }
        | ListObjectParts { .. }
        | ListVersions { .. }
        | ListObjects { .. }
        | GetUpload { .. }
        | ListParts { .. }
        | ListUploads { .. }
        | RecordsAlive { .. }
        | ListPeers
        | ExportMetadata { .. }
        | ListLifecycleBuckets { .. }
        | ScanVersions { .. }
        | GetLifecycleStatus
        | GetRestores { .. }
        | Status
        | Space
        | Classes
        | LocateGroup { .. }
        | DescribeBlocks { .. }
        | GetUser { .. }
        | ListUsers { .. }
        | FindAccessKey { .. }
        | FindOwners { .. }
        | ListPolicies { .. }
        | GetTokenKey
        | GetDelegationTerm { .. }
        | GetEncryptionKey { .. }
        | ListEncryptionKeys { .. }
        | DatanodeDoors
        | QueryJobs(_) => Attempts::Plain,
        // A submission carries a token, polls say again what was not answered, an output that nobody fills goes with its
        // job, and each change of a job's rows is told from its repetition.
        Jobs(_) | ChangeJobs(_) => Attempts::Plain,
        // Each step looks at the members as they are.
        ChangePeers(_) => Attempts::Plain,
        // What a lost answer leaves behind (a lease without holder, blocks nobody writes, a claim) ends by itself.
        OpenLease { .. }
        | RenewLease { .. }
        | CloseLease { .. }
        | AllocateBlocks { .. }
        | ClaimCompaction { .. }
        | ClaimSmallFiles { .. } => Attempts::Plain,
        SealBlock { .. } | AbandonBlocks { .. } | RelocateContents { .. } => Attempts::Plain,
        // A secret that nobody was told opens nothing.
        CreateJoinToken { .. } | CreateNamenodeToken { .. } => Attempts::Plain,
        // An event may be delivered more than once anyway.
        ClaimEvents { .. } | SettleEvents { .. } => Attempts::Plain,
        // What was sealed anew is told from what was not.
        ReplaceEncryptionKey { .. } => Attempts::Plain,
        // A move takes place from exactly where the content is; a moment that has come stays so.
        ClaimMoves { .. } | SettleRestores { .. } => Attempts::Plain,
        // A target is set as a whole; a change of a block is told from its repetition; a task whose claim got lost is free again.
        SetArchiveTarget { .. }
        | ListArchiveTargets
        | ClaimArchiveWork { .. }
        | ChangeArchive(_)
        | ReportArchive { .. } => Attempts::Plain,
        RegisterDatanode { .. }
        | Heartbeat { .. }
        | BlockReport { .. }
        | ReplicasChanged { .. }
        | AnnounceDatanodeDoor(_) => Attempts::Plain,
        // These have numbers of their own, where they need one.
        FileSystem(_) => Attempts::Plain,
        // A second time these find their own effect in the way, make another version, or undo what somebody else did in
        // between: a PUT whose answer was lost and that was overwritten or deleted since must not come back.
        CreateBucket { .. }
        | DeleteBucket { .. }
        | SetVersioning { .. }
        | SetBucketLock { .. }
        | SetBucketDocument { .. }
        | AmendObject { .. }
        | RenameObject { .. }
        | PutObject { .. }
        | CopyObject { .. }
        | DeleteObjects { .. }
        | CreateUpload { .. }
        | PutPart { .. }
        | CopyPart { .. }
        | CompleteUpload { .. }
        | AbortUpload { .. }
        | SetDatanodeIntent { .. }
        | SetVolumeDrain { .. }
        | Enrol { .. }
        | AddUser { .. }
        | RemoveUser { .. }
        | SetUserDisabled { .. }
        | AddAccessKey { .. }
        | SetAccessKeyDisabled { .. }
        | RemoveAccessKey { .. }
        | PutPolicy { .. }
        | RemovePolicy { .. }
        | AttachPolicy { .. }
        | AddEncryptionKey { .. }
        | SetEncryptionKeyDisabled { .. }
        | SetDelegationTerm { .. }
        | AppendEvents { .. }
        | ApplyLifecycle { .. }
        | RestoreObject { .. } => Attempts::Numbered,
    }
}
