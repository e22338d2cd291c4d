//! A cluster of separate processes, started and stopped by `granary local`.

use crate::binary::run;
use crate::s3::S3;
use anyhow::Context;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// `cluster.json`, as far as tests need it.
#[derive(Clone, Debug, Deserialize)]
pub struct ClusterFile {
    pub access_key: String,
    pub secret_key: String,
    pub gateways: Vec<Gateway>,
    pub namenodes: Vec<Namenode>,
    pub datanodes: Vec<Datanode>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Gateway {
    pub name: String,
    pub pid: u32,
    pub s3: String,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Namenode {
    pub name: String,
    pub pid: u32,
    pub rpc: String,
    pub http: String,
    pub data: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Datanode {
    pub name: String,
    pub pid: u32,
    pub rpc: String,
    pub http: String,
    pub data: PathBuf,
    pub rack: String,
}

/// How large a cluster is.
#[derive(Clone, Copy, Debug)]
pub struct MiniClusterOptions {
    pub namenodes: u16,
    pub datanodes: u16,
    pub gateways: u16,
    pub racks: u16,
}

impl Default for MiniClusterOptions {
    fn default() -> Self {
        MiniClusterOptions { namenodes: 3, datanodes: 4, gateways: 1, racks: 2 }
    }
}

/// A running cluster; it is brought down and its directory removed when dropped.
pub struct MiniCluster {
    directory: TempDir,
    /// Of every process, also of those that are started again.
    environment: Vec<(String, String)>,
}

impl MiniCluster {
    /// Starts a cluster and waits until it is ready.
    pub fn start(options: MiniClusterOptions) -> anyhow::Result<MiniCluster> {
        Self::start_with(options, &[])
    }

    /// Likewise with variables in the environment of its processes.
    pub fn start_with(options: MiniClusterOptions, environment: &[(&str, &str)]) -> anyhow::Result<MiniCluster> {
        let environment = environment.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let cluster = MiniCluster { directory: tempfile::tempdir()?, environment };
        let numbers =
            [options.namenodes, options.datanodes, options.gateways, options.racks].map(|number| number.to_string());
        let flags = ["--namenodes", "--datanodes", "--gateways", "--racks"];
        let mut arguments = vec!["local", "up", "--dir", cluster.path()];
        arguments.extend(flags.iter().zip(&numbers).flat_map(|(flag, number)| [*flag, number.as_str()]));
        run(&arguments, &cluster.environment())?;
        Ok(cluster)
    }

    fn environment(&self) -> Vec<(&str, &str)> {
        self.environment.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
    }

    fn path(&self) -> &str {
        self.directory.path().to_str().expect("temporary directories have UTF-8 names")
    }

    /// The cluster's directory.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What runs where, now.
    pub fn file(&self) -> anyhow::Result<ClusterFile> {
        let text = std::fs::read_to_string(self.directory.path().join("cluster.json"))?;
        Ok(serde_json::from_str(&text)?)
    }

    /// kill -9 of one process.
    pub fn kill(&self, name: &str) -> anyhow::Result<()> {
        run(&["local", "kill", name, "--dir", self.path()], &[]).map(drop)
    }

    /// Starts a process that was killed.
    pub fn restart(&self, name: &str) -> anyhow::Result<()> {
        run(&["local", "start", name, "--dir", self.path()], &self.environment()).map(drop)
    }

    /// A client of the first gateway.
    pub fn s3(&self) -> anyhow::Result<S3> {
        let file = self.file()?;
        Ok(S3::new(file.gateways[0].s3.clone(), &file.access_key, &file.secret_key))
    }

    /// Runs `granary admin ARGUMENTS --json`.
    pub fn admin(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        serde_json::from_str(&self.order(&[arguments, &["--json"]].concat())?).context("not JSON")
    }

    /// Runs `granary admin ARGUMENTS`; what it printed.
    pub fn order(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let file = self.file()?;
        let endpoint = format!("http://{}", file.gateways[0].s3);
        let mut all = vec!["admin", "--endpoint", &endpoint];
        all.extend(arguments);
        let environment = [
            ("GRANARY_ROOT_ACCESS_KEY", file.access_key.as_str()),
            ("GRANARY_ROOT_SECRET_KEY", file.secret_key.as_str()),
        ];
        run(&all, &environment)
    }

    /// The name of the leading namenode.
    pub fn leader(&self) -> anyhow::Result<String> {
        let status = self.admin(&["status"])?;
        let peers = status["peers"].as_array().context("no peers")?;
        let leader = peers.iter().find(|peer| peer["leader"] == true).context("no leader")?;
        Ok(leader["name"].as_str().context("no name")?.to_owned())
    }

    /// Lines of ERROR in any process's log.
    pub fn error_lines(&self) -> Vec<String> {
        let Ok(file) = self.file() else { return Vec::new() };
        let names = file
            .namenodes
            .iter()
            .map(|n| &n.name)
            .chain(file.datanodes.iter().map(|n| &n.name))
            .chain(file.gateways.iter().map(|n| &n.name));
        names
            .flat_map(|name| {
                let log = std::fs::read_to_string(self.directory.path().join(name).join("log")).unwrap_or_default();
                log.lines()
                    .filter(|line| line.contains(" ERROR "))
                    .map(|line| format!("{name}: {line}"))
                    .collect::<Vec<_>>()
            })
            .collect()
    }
}

impl Drop for MiniCluster {
    fn drop(&mut self) {
        if let Err(error) = run(&["local", "down", "--dir", self.path()], &[]) {
            eprintln!("the cluster did not go down cleanly: {error:#}");
        }
    }
}
