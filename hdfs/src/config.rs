//! `[hdfs]`: the settings of the Hadoop door.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Settings of the Hadoop door. Every field has a default that suits one machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HdfsConfig {
    /// Whether user names are believed that clients on other machines claim. Default false: from loopback only.
    pub allow_simple: bool,
    /// Users that may do everything when they come from loopback, beside `hdfs` and the user that runs this process.
    /// Default none.
    pub superusers: Vec<String>,
    /// Who may speak for whom: a user, and the users it may act as, `*` for all. Default nobody.
    pub proxy_users: BTreeMap<String, Vec<String>>,
    /// Users' groups beyond those of `/etc/group`: a group and its members. Default none.
    pub groups: BTreeMap<String, Vec<String>>,
    /// What clients are told to keep deleted files for in `.Trash`, minutes. Default 0: deleted is deleted. The namenode's
    /// own setting of this name counts too, if it is longer.
    pub trash_interval_minutes: u64,
}
