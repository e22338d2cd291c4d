//! The exceptions Hadoop clients unwrap: one closed table of Java classes, and the value handlers return.
//!
//! Clients branch on the class name and show the first line of the message, so both are Apache's own wherever Apache has
//! one. What stands in a message is meant for the client: no cause of our own, no path of this machine.

use std::fmt;

/// Expands the table into the enum and its names.
macro_rules! java_exceptions {
    ($($(#[$doc:meta])* $variant:ident $class:literal)+) => {
        /// A class of exception a Hadoop client knows.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum JavaException {
            $($(#[$doc])* $variant,)+
        }

        impl JavaException {
            /// All of them, in the order of the table.
            pub const ALL: &'static [JavaException] = &[$(JavaException::$variant,)+];

            /// The fully qualified name.
            pub const fn class_name(self) -> &'static str {
                match self {
                    $(JavaException::$variant => $class,)+
                }
            }
        }
    };
}

java_exceptions! {
    /// The path, or what was named with it, does not exist.
    FileNotFound "java.io.FileNotFoundException"
    /// Anything that has no class of its own.
    Io "java.io.IOException"
    /// A file where a new one was to be, or a file where a directory was to be made.
    FileAlreadyExists "org.apache.hadoop.fs.FileAlreadyExistsException"
    /// A parent of the path is a file.
    ParentNotDirectory "org.apache.hadoop.fs.ParentNotDirectoryException"
    /// A directory with entries was to be deleted alone.
    PathIsNotEmptyDirectory "org.apache.hadoop.fs.PathIsNotEmptyDirectoryException"
    /// The path is not a directory.
    PathIsNotDirectory "org.apache.hadoop.fs.PathIsNotDirectoryException"
    /// The path cannot be one.
    InvalidPath "org.apache.hadoop.fs.InvalidPathException"
    /// A component or the whole is too long.
    PathComponentTooLong "org.apache.hadoop.hdfs.protocol.FSLimitException$PathComponentTooLongException"
    /// The principal may not.
    AccessControl "org.apache.hadoop.security.AccessControlException"
    /// This datanode has no replica of the block.
    ReplicaNotFound "org.apache.hadoop.hdfs.server.datanode.ReplicaNotFoundException"
    /// The user may not speak for the other.
    Authorization "org.apache.hadoop.security.authorize.AuthorizationException"
    /// Another client writes the file.
    AlreadyBeingCreated "org.apache.hadoop.hdfs.protocol.AlreadyBeingCreatedException"
    /// The file's lease is being recovered.
    RecoveryInProgress "org.apache.hadoop.hdfs.protocol.RecoveryInProgressException"
    /// The block before has too few replicas; ask again.
    NotReplicatedYet "org.apache.hadoop.hdfs.server.namenode.NotReplicatedYetException"
    /// Nothing is written while the namenode is in safe mode.
    SafeMode "org.apache.hadoop.hdfs.server.namenode.SafeModeException"
    /// The writer has no lease on the file.
    LeaseExpired "org.apache.hadoop.hdfs.server.namenode.LeaseExpiredException"
    /// This namenode does not lead.
    Standby "org.apache.hadoop.ipc.StandbyException"
    /// Ask this namenode again.
    Retriable "org.apache.hadoop.ipc.RetriableException"
    /// Too many names below a directory.
    NsQuotaExceeded "org.apache.hadoop.hdfs.protocol.NSQuotaExceededException"
    /// Too many bytes below a directory.
    DsQuotaExceeded "org.apache.hadoop.hdfs.protocol.DSQuotaExceededException"
    /// Anything about snapshots.
    Snapshot "org.apache.hadoop.hdfs.protocol.SnapshotException"
    /// An access control list or an entry of one that is none.
    Acl "org.apache.hadoop.hdfs.protocol.AclException"
    /// An argument that makes no sense.
    IllegalArgument "org.apache.hadoop.HadoopIllegalArgumentException"
    /// Not offered.
    UnsupportedOperation "java.lang.UnsupportedOperationException"
    /// A token that is forged, expired or for something else.
    InvalidToken "org.apache.hadoop.security.token.SecretManager$InvalidToken"
    /// The protocol has no such method.
    NoSuchMethod "org.apache.hadoop.ipc.RpcNoSuchMethodException"
    /// The server has no such protocol.
    NoSuchProtocol "org.apache.hadoop.ipc.RpcNoSuchProtocolException"
    /// The request cannot be read.
    RpcServer "org.apache.hadoop.ipc.RpcServerException"
    /// Another version of the protocol.
    VersionMismatch "org.apache.hadoop.ipc.RPC$VersionMismatch"
}

/// What a handler answers in place of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteException {
    /// The class.
    pub class: JavaException,
    /// Its message, without the class before it.
    pub message: String,
}

impl RemoteException {
    /// An exception with its message.
    pub fn new(class: JavaException, message: impl Into<String>) -> Self {
        Self { class, message: message.into() }
    }
}

impl fmt::Display for RemoteException {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class.class_name(), self.message)
    }
}

impl std::error::Error for RemoteException {}
