//! `docs/hdfs-compatibility.md`: every method of Hadoop's `ClientProtocol`, and what this store does with it.
//!
//! The table of methods is made from the one that calls are dispatched by, so that it cannot say more than is served; a test
//! fails while the file is not what this makes of it. `GRANARY_WRITE_DOCS=1 cargo test -p granary-hdfs compatibility` writes
//! the part between the markers; the text around it is written by hand.

use super::methods::{METHODS, Offer, find};
use std::fmt::Write as _;
use std::path::PathBuf;

const BEGIN: &str = "<!-- methods: begin (made by a test) -->\n";
const END: &str = "<!-- methods: end -->\n";

fn table() -> String {
    let works = METHODS.iter().filter(|(_, offer)| matches!(offer, Offer::Works(..))).count();
    let mut text = format!("\n{} methods, of which {works} work.\n\n", METHODS.len());
    text.push_str("| method | here | |\n|---|---|---|\n");
    for (name, offer) in METHODS {
        let (here, note) = match offer {
            Offer::Works(_, note) => ("works", (*note).to_owned()),
            Offer::Refused(class, message) => ("refused", format!("`{}`: {message}", class.class_name())),
            Offer::NotApplicable(message) => {
                ("not applicable", format!("`java.lang.UnsupportedOperationException`: {message}"))
            }
        };
        writeln!(text, "| {name} | {here} | {note} |").unwrap();
    }
    text.push('\n');
    text
}

#[test]
fn methods_are_found_by_name() {
    assert!(METHODS.is_sorted_by(|one, other| one.0 < other.0), "found by binary search");
    assert!(matches!(find("getFileInfo"), Some(Offer::Works(..))));
    assert!(matches!(find("createSnapshot"), Some(Offer::Refused(..))));
    assert!(find("getFileinfo").is_none());
}

#[test]
fn the_document_says_what_is_served() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs/hdfs-compatibility.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(BEGIN).unwrap();
    let (made, after) = rest.split_once(END).unwrap();
    if std::env::var_os("GRANARY_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(
        made,
        table(),
        "docs/hdfs-compatibility.md is stale: GRANARY_WRITE_DOCS=1 cargo test -p granary-hdfs compatibility"
    );
}
