//! The operations: which there are under each http method, and who answers them.

use super::error::WebError;
use http::Method;

/// Expands the table into the enum, its names and its methods.
macro_rules! operations {
    ($($method:ident { $($variant:ident $name:literal)+ })+) => {
        /// What is asked.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Operation {
            $($($variant,)+)+
        }

        impl Operation {
            /// All of them, with method and name, in the order of the table.
            pub const ALL: &'static [(Operation, &'static str, &'static str)] = &[
                $($((Operation::$variant, stringify!($method), $name),)+)+
            ];
        }
    };
}

operations! {
    GET {
        Open "OPEN"
        GetFileStatus "GETFILESTATUS"
        GetFileLinkStatus "GETFILELINKSTATUS"
        ListStatus "LISTSTATUS"
        ListStatusBatch "LISTSTATUS_BATCH"
        GetContentSummary "GETCONTENTSUMMARY"
        GetQuotaUsage "GETQUOTAUSAGE"
        GetFileChecksum "GETFILECHECKSUM"
        GetHomeDirectory "GETHOMEDIRECTORY"
        GetTrashRoot "GETTRASHROOT"
        GetTrashRoots "GETTRASHROOTS"
        GetFileBlockLocations "GETFILEBLOCKLOCATIONS"
        GetBlockLocations "GET_BLOCK_LOCATIONS"
        GetXAttrs "GETXATTRS"
        ListXAttrs "LISTXATTRS"
        GetAclStatus "GETACLSTATUS"
        CheckAccess "CHECKACCESS"
        GetDelegationToken "GETDELEGATIONTOKEN"
        GetServerDefaults "GETSERVERDEFAULTS"
        GetStatus "GETSTATUS"
        GetStoragePolicy "GETSTORAGEPOLICY"
        GetAllStoragePolicy "GETALLSTORAGEPOLICY"
        GetEcPolicy "GETECPOLICY"
        GetEcPolicies "GETECPOLICIES"
        GetEcCodecs "GETECCODECS"
        GetLinkTarget "GETLINKTARGET"
        GetSnapshotDiff "GETSNAPSHOTDIFF"
        GetSnapshotDiffListing "GETSNAPSHOTDIFFLISTING"
        GetSnapshottableDirectoryList "GETSNAPSHOTTABLEDIRECTORYLIST"
        GetSnapshotList "GETSNAPSHOTLIST"
    }
    PUT {
        Create "CREATE"
        Mkdirs "MKDIRS"
        Rename "RENAME"
        SetReplication "SETREPLICATION"
        SetOwner "SETOWNER"
        SetPermission "SETPERMISSION"
        SetTimes "SETTIMES"
        ModifyAclEntries "MODIFYACLENTRIES"
        SetAcl "SETACL"
        RemoveAclEntries "REMOVEACLENTRIES"
        RemoveAcl "REMOVEACL"
        RemoveDefaultAcl "REMOVEDEFAULTACL"
        SetXAttr "SETXATTR"
        RemoveXAttr "REMOVEXATTR"
        SetStoragePolicy "SETSTORAGEPOLICY"
        SatisfyStoragePolicy "SATISFYSTORAGEPOLICY"
        SetQuota "SETQUOTA"
        SetQuotaByStorageType "SETQUOTABYSTORAGETYPE"
        EnableEcPolicy "ENABLEECPOLICY"
        DisableEcPolicy "DISABLEECPOLICY"
        SetEcPolicy "SETECPOLICY"
        CreateSymlink "CREATESYMLINK"
        AllowSnapshot "ALLOWSNAPSHOT"
        DisallowSnapshot "DISALLOWSNAPSHOT"
        CreateSnapshot "CREATESNAPSHOT"
        RenameSnapshot "RENAMESNAPSHOT"
        RenewDelegationToken "RENEWDELEGATIONTOKEN"
        CancelDelegationToken "CANCELDELEGATIONTOKEN"
    }
    POST {
        Append "APPEND"
        Concat "CONCAT"
        Truncate "TRUNCATE"
        UnsetStoragePolicy "UNSETSTORAGEPOLICY"
        UnsetEcPolicy "UNSETECPOLICY"
    }
    DELETE {
        Delete "DELETE"
        DeleteSnapshot "DELETESNAPSHOT"
    }
}

impl Operation {
    /// The operation of this name under this method, whatever the name's case.
    ///
    /// # Errors
    /// There is none, as Apache says it.
    pub fn parse(method: &Method, name: Option<&str>) -> Result<Operation, WebError> {
        let name = name.unwrap_or("null").to_ascii_uppercase();
        let found = Self::ALL.iter().find(|(_, of, known)| *of == method.as_str() && *known == name);
        let invalid = || WebError::parameter("op", format!("{name} is not a valid {method} operation."));
        found.map(|(operation, _, _)| *operation).ok_or_else(invalid)
    }

    /// Whether it moves bytes, which a datanode does.
    pub fn moves_data(self) -> bool {
        matches!(self, Operation::Open | Operation::Create | Operation::Append | Operation::GetFileChecksum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_one_method() {
        assert_eq!(Operation::parse(&Method::GET, Some("open")), Ok(Operation::Open));
        assert_eq!(Operation::parse(&Method::PUT, Some("MkDirs")), Ok(Operation::Mkdirs));
        for (method, name) in
            [(Method::PUT, "OPEN"), (Method::GET, "MKDIRS"), (Method::PUT, "BOGUS"), (Method::PATCH, "OPEN")]
        {
            assert!(Operation::parse(&method, Some(name)).is_err(), "{method} {name}");
        }
        assert!(Operation::parse(&Method::GET, None).is_err());
    }
}
