//! Holds the crates to the table of allowed arrows: who may depend on whom.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Each crate and the crates it may depend on; dev-dependencies included. What is not listed may not exist.
fn allowed() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let all = [
        "granary-protocol",
        "granary-access",
        "granary-rpc",
        "granary-namenode",
        "granary-datanode",
        "granary-client",
        "granary-sealing",
        "granary-lifecycle",
        "granary-gateway",
        "granary-hdfs",
        "granary-mapreduce",
    ];
    BTreeMap::from([
        ("granary-protocol", BTreeSet::new()),
        ("granary-access", BTreeSet::from(["granary-protocol"])),
        ("granary-rpc", BTreeSet::from(["granary-protocol"])),
        ("granary-namenode", BTreeSet::from(["granary-protocol", "granary-rpc"])),
        ("granary-datanode", BTreeSet::from(["granary-protocol", "granary-rpc"])),
        ("granary-client", BTreeSet::from(["granary-protocol", "granary-rpc"])),
        ("granary-sealing", BTreeSet::from(["granary-protocol", "granary-client"])),
        ("granary-lifecycle", BTreeSet::from(["granary-protocol", "granary-client", "granary-sealing"])),
        (
            "granary-gateway",
            BTreeSet::from([
                "granary-protocol",
                "granary-access",
                "granary-client",
                "granary-sealing",
                "granary-lifecycle",
            ]),
        ),
        (
            "granary-hdfs",
            BTreeSet::from([
                "granary-protocol",
                "granary-access",
                "granary-client",
                "granary-sealing",
                "granary-namenode",
                "granary-datanode",
            ]),
        ),
        ("granary-mapreduce", BTreeSet::from(["granary-protocol", "granary-rpc", "granary-client", "granary-sealing"])),
        ("granary-simulation", BTreeSet::from(["granary-protocol", "granary-namenode", "granary-mapreduce"])),
        (
            "granary-store-simulation",
            BTreeSet::from([
                "granary-protocol",
                "granary-rpc",
                "granary-namenode",
                "granary-datanode",
                "granary-client",
            ]),
        ),
        ("granary", BTreeSet::from(all)),
        ("granary-tests", BTreeSet::from(all)),
        ("granary-bench", BTreeSet::new()),
    ])
}

#[test]
fn crates_depend_only_downwards() {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let default = metadata["workspace_default_members"].as_array().unwrap();
    assert!(
        default.len() == 1 && default[0].as_str().unwrap().contains("/cli#"),
        "`cargo run` is the store: {default:?}"
    );
    let allowed = allowed();
    let packages = metadata["packages"].as_array().unwrap();
    let names: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    assert_eq!(names, allowed.keys().copied().collect(), "the crates there are and the crates in the table");
    for package in packages {
        let name = package["name"].as_str().unwrap();
        let dependencies =
            package["dependencies"].as_array().unwrap().iter().map(|dependency| dependency["name"].as_str().unwrap());
        for dependency in dependencies.filter(|dependency| names.contains(dependency)) {
            assert!(allowed[name].contains(dependency), "{name} may not depend on {dependency}");
        }
    }
}
