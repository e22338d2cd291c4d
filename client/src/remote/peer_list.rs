//! Where the namenodes are: what was configured, then what they say, kept in a file for the next start.
//!
//! Every namenode is asked, because any of them may have been left behind by a change; of their answers the one read from the
//! latest membership holds.

use super::namenode::RemoteNamenode;
use granary_protocol::admin::PeerList;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest, NamenodeService};
use granary_rpc::{RpcClient, RpcClientConfig, Security};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often they are asked.
const INTERVAL: Duration = Duration::from_secs(2);
/// How long one may take to answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// More addresses than a cluster has peers; an answer with more is none.
const ADDRESSES_MAX: usize = 64;

/// The file that keeps the latest list: `version=NUMBER`, then an address a line. Replaced atomically.
#[derive(Clone, Debug)]
pub struct KnownNamenodes {
    path: PathBuf,
}

impl KnownNamenodes {
    /// The list in `path`.
    pub fn new(path: PathBuf) -> KnownNamenodes {
        KnownNamenodes { path }
    }

    /// The list that was kept, or else the configured one. A file that cannot be read counts as none: the configured
    /// addresses are asked instead, and the log says so.
    pub fn load(&self, configured: &[String]) -> PeerList {
        let configured = PeerList { version: 0, addresses: configured.to_vec() };
        match fs::read_to_string(&self.path) {
            Ok(text) => parse(&text).unwrap_or_else(|| {
                tracing::warn!(file = %self.path.display(), "the list of namenodes is damaged");
                configured
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => configured,
            Err(error) => {
                tracing::warn!(file = %self.path.display(), %error, "the list of namenodes cannot be read");
                configured
            }
        }
    }

    /// Keeps a list.
    ///
    /// # Errors
    /// The file system's.
    pub fn save(&self, list: &PeerList) -> io::Result<()> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        let mut text = format!("version={}\n", list.version);
        list.addresses.iter().for_each(|address| text += &format!("{address}\n"));
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

fn parse(text: &str) -> Option<PeerList> {
    let mut lines = text.lines();
    let version = lines.next()?.strip_prefix("version=")?.parse().ok()?;
    let addresses: Vec<String> = lines.map(str::to_owned).collect();
    is_usable(&addresses).then_some(PeerList { version, addresses })
}

fn is_usable(addresses: &[String]) -> bool {
    (1..=ADDRESSES_MAX).contains(&addresses.len()) && addresses.iter().all(|address| address.contains(':'))
}

/// Asks the namenodes who they are, and tells when that changes.
pub struct PeerListFollower {
    list: PeerList,
    /// Asked beside those of the list: a change may have left us with none that lives.
    configured: Vec<String>,
    file: KnownNamenodes,
    security: Security,
    rpc: RpcClientConfig,
    peers: BTreeMap<String, RemoteNamenode>,
}

impl PeerListFollower {
    /// Begins with what `file` kept, or with `configured`.
    pub fn new(file: KnownNamenodes, configured: &[String], security: Security, rpc: RpcClientConfig) -> Self {
        let list = file.load(configured);
        Self { list, configured: configured.to_vec(), file, security, rpc, peers: BTreeMap::new() }
    }

    /// The addresses as they are known now.
    pub fn addresses(&self) -> &[String] {
        &self.list.addresses
    }

    /// Asks until `shutdown`; `learned` is told every new list.
    pub async fn run(mut self, shutdown: CancellationToken, learned: impl Fn(&[String])) {
        let following = async {
            loop {
                if self.ask().await {
                    tracing::info!(namenodes = ?self.list.addresses, "the namenodes have changed");
                    learned(&self.list.addresses);
                }
                tokio::time::sleep(INTERVAL).await;
            }
        };
        shutdown.run_until_cancelled(following).await;
    }

    /// Asks everybody once; whether the addresses are others now.
    async fn ask(&mut self) -> bool {
        let wanted: Vec<String> = self.list.addresses.iter().chain(&self.configured).cloned().collect();
        self.peers.retain(|address, _| wanted.contains(address));
        for address in wanted {
            self.peers.entry(address).or_insert_with_key(|address| {
                let rpc = RpcClient::with_config(address.as_str(), self.security.clone(), self.rpc.clone());
                RemoteNamenode::new(rpc, CALL_TIMEOUT)
            });
        }
        let answers = self.peers.values().map(|peer| peer.call(NamenodeRequest::ListPeers));
        let answers = futures_util::future::join_all(answers).await;
        let lists = answers.into_iter().filter_map(|answer| match answer {
            Ok(NamenodeReply::Peers(list)) => Some(list),
            _ => None,
        });
        let newest = lists.filter(|list| is_usable(&list.addresses)).max_by_key(|list| list.version);
        newest.is_some_and(|newest| self.take(newest))
    }

    fn take(&mut self, mut newest: PeerList) -> bool {
        if newest.version <= self.list.version {
            return false;
        }
        newest.addresses.sort();
        let mut known = self.list.addresses.clone();
        known.sort();
        let changed = known != newest.addresses;
        if let Err(error) = self.file.save(&newest) {
            let file = self.file.path.display();
            tracing::warn!(%file, %error, "the list of namenodes cannot be kept; a restart begins with the configured one");
        }
        self.list = newest;
        changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(version: u64, addresses: &[&str]) -> PeerList {
        PeerList { version, addresses: addresses.iter().map(|address| (*address).to_owned()).collect() }
    }

    #[test]
    fn the_latest_list_holds_and_outlives_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = KnownNamenodes::new(directory.path().join("gateway.namenodes"));
        let configured = ["a:1".to_owned(), "b:1".to_owned()];
        let follower =
            || PeerListFollower::new(file.clone(), &configured, Security::Plaintext, RpcClientConfig::default());
        let mut first = follower();
        assert_eq!(first.addresses(), configured);
        assert!(!first.take(list(3, &["b:1", "a:1"])), "the same addresses are no change");
        assert!(first.take(list(7, &["c:1", "b:1"])));
        assert!(!first.take(list(5, &["a:1"])), "one that was left behind");
        assert_eq!(follower().addresses(), ["b:1", "c:1"]);
        fs::write(directory.path().join("gateway.namenodes"), "nonsense").unwrap();
        assert_eq!(follower().addresses(), configured);
    }
}
