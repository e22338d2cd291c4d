//! A user's groups: those of `/etc/group` on the machine that answers, and those of the settings.

use crate::config::HdfsConfig;
use std::fs;
use std::path::Path;

/// The largest system file read.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// The group that the superusers are in.
pub const SUPERGROUP: &str = "supergroup";

/// The groups of a user, its primary group first. Reads two small files; call it off the runtime's workers.
pub fn groups_of(user: &str, config: &HdfsConfig) -> Vec<String> {
    let passwd = read(Path::new("/etc/passwd"));
    let group = read(Path::new("/etc/group"));
    let mut groups = system_groups(user, &passwd, &group);
    let configured = config.groups.iter().filter(|(_, members)| members.iter().any(|member| member == user));
    groups.extend(configured.map(|(group, _)| group.clone()));
    let mut seen = std::collections::BTreeSet::new();
    groups.retain(|group| seen.insert(group.clone()));
    groups
}

fn read(path: &Path) -> String {
    let small = fs::metadata(path).is_ok_and(|metadata| metadata.len() <= FILE_BYTES_MAX);
    // A machine without these files has no groups.
    if small { fs::read_to_string(path).unwrap_or_default() } else { String::new() }
}

/// The groups that lines of `passwd` and `group` give a user.
fn system_groups(user: &str, passwd: &str, group: &str) -> Vec<String> {
    let primary = passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next() == Some(user)).then(|| fields.nth(2)).flatten()
    });
    let entries = || {
        group.lines().filter_map(|line| {
            let mut fields = line.split(':');
            let (name, number) = (fields.next()?, fields.nth(1)?);
            Some((name, number, fields.next().unwrap_or_default()))
        })
    };
    let named = primary.and_then(|primary| entries().find(|(_, number, _)| *number == primary));
    let member = entries().filter(|(_, _, members)| members.split(',').any(|member| member == user));
    named.into_iter().chain(member).map(|(name, _, _)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_primary_group_comes_first_and_none_comes_twice() {
        let passwd = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:100:Ann:/:/bin/sh\n";
        let group = "root:x:0:\nusers:x:100:ann\nstaff:x:50:bob,ann\n";
        assert_eq!(system_groups("ann", passwd, group), ["users", "users", "staff"]);
        assert_eq!(system_groups("root", passwd, group), ["root"]);
        assert!(system_groups("zoe", passwd, group).is_empty());
        let config = HdfsConfig {
            groups: BTreeMap::from([("etl".to_owned(), vec!["zoe-of-nowhere".to_owned()])]),
            ..HdfsConfig::default()
        };
        assert_eq!(groups_of("zoe-of-nowhere", &config), ["etl"]);
    }
}
