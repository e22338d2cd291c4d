//! `granary admin class`: what storage classes ask for and what is stored for them; and coded groups in other answers.

use crate::admin::{bytes, get, print_json};
use crate::archive_targets;
use crate::args::Connection;
use granary_protocol::admin::GroupAnswer;
use granary_protocol::redundancy::{ClassReport, ClassStatus};

/// `granary admin class`.
pub async fn show(connection: &Connection, json: bool) -> anyhow::Result<()> {
    let (body, report): (_, ClassReport) = get(connection, "classes").await?;
    if json {
        return print_json(&body);
    }
    println!("{} failure domains in service, each a {}", report.domains, report.domain);
    println!(
        "{:<20} {:<11} {:<8} {:<8} {:>8} {:>8} {:>10} {:>10} {:>9}",
        "class", "redundancy", "media", "set by", "blocks", "coded", "kept", "stored", "per byte"
    );
    for class in &report.classes {
        println!(
            "{:<20} {:<11} {:<8} {:<8} {:>8} {:>8} {:>10} {:>10} {:>9}",
            class.class,
            class.policy.to_string(),
            class.media,
            if class.configured { "config" } else { "default" },
            class.blocks,
            class.coded_blocks,
            bytes(class.live_bytes),
            bytes(class.stored_bytes),
            per_byte(class)
        );
    }
    print_media(&report);
    for class in report.classes.iter().filter(|class| !class.restore.is_empty()) {
        println!("{} is read only after a restore: {}", class.class, class.restore);
    }
    print_groups(&report);
    archive_targets::print_all(connection).await
}

/// Which classes cannot be where they belong, or are not yet.
fn print_media(report: &ClassReport) {
    let wanting: Vec<&str> =
        report.classes.iter().filter(|class| !class.has_media).map(|class| class.class.as_str()).collect();
    if !wanting.is_empty() {
        println!("no volume in service is of the media of {}: all volumes are used", wanting.join(", "));
    }
    for class in report.classes.iter().filter(|class| class.other_media_bytes > 0) {
        println!("{}: {} on volumes of other media", class.class, bytes(class.other_media_bytes));
    }
}

/// Bytes stored for every byte kept.
fn per_byte(class: &ClassStatus) -> String {
    match class.live_bytes {
        0 => "-".to_owned(),
        live => format!("{:.2}", class.stored_bytes as f64 / live as f64),
    }
}

/// The ledger of coded groups; nothing where there are none.
pub fn print_groups(report: &ClassReport) {
    let groups = &report.groups;
    if groups.groups + groups.encoding == 0 {
        return;
    }
    println!("coded groups");
    println!(
        "  {} groups, {} being encoded, {} being dissolved; {} data, {} parity",
        groups.groups,
        groups.encoding,
        groups.dissolving,
        bytes(groups.data_bytes),
        bytes(groups.parity_bytes)
    );
    println!("  {} members wanted, {} live", groups.members_wanted, groups.members_live);
    println!("  {} members lost that can be rebuilt ({})", groups.members_lost, bytes(groups.lost_bytes));
    if groups.unreadable_groups > 0 {
        println!("  {} groups have lost more members than they have parity", groups.unreadable_groups);
    }
    if groups.members_misplaced > 0 {
        println!("  {} members share a failure domain with another of their group", groups.members_misplaced);
    }
    if groups.groups_beyond_domains > 0 {
        println!(
            "  {} groups have more members than there are failure domains ({}): lost members wait for one, unless \
             `coding.share_domains` is set",
            groups.groups_beyond_domains, report.domains
        );
    }
}

/// The group of a block.
pub fn print_group(group: &GroupAnswer) {
    println!(
        "  group {} {}: this is member {}, {} of the others can be read",
        group.group, group.policy, group.place, group.readable
    );
    for member in &group.others {
        let place = if member.replicas.is_empty() { "LOST".to_owned() } else { member.replicas.join(", ") };
        println!(
            "    {:>2} {:<6} block {:<8} {:>10}  {place}",
            member.place,
            member.kind,
            member.block,
            bytes(member.length.into())
        );
    }
}
