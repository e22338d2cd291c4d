//! The `peer` file beside the Raft log: which peer this disk is. Lines of `key=value`, replaced atomically.

use crate::startup::NamenodeError;
use granary_protocol::{LAYOUT_VERSION, PeerId};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

/// The file's name, in the directory of the Raft log: whoever loses the log loses this too.
const FILE: &str = "peer";

/// What a peer's disk says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Identity {
    path: PathBuf,
    /// Its number; `None` until it was admitted.
    pub peer: Option<PeerId>,
    /// Chosen at random when the directory was first used.
    pub incarnation: u64,
    /// The incarnations of all first peers, this one among them. Empty while they are not all known, and for ever on a peer
    /// that came later or whose log is older than this file.
    pub founders: BTreeMap<PeerId, u64>,
}

impl Identity {
    /// Reads the file of `data`, or makes one for a directory that has none.
    pub(crate) fn open(data: &Path, peer: Option<PeerId>) -> Result<Identity, NamenodeError> {
        let directory = data.join("raft");
        fs::create_dir_all(&directory)?;
        let path = directory.join(FILE);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let mut random = [0u8; 8];
                getrandom::fill(&mut random).map_err(|error| NamenodeError::Io(std::io::Error::other(error)))?;
                let incarnation = u64::from_le_bytes(random);
                let identity = Identity { path, peer, incarnation, founders: BTreeMap::new() };
                identity.save()?;
                return Ok(identity);
            }
            Err(error) => return Err(error.into()),
        };
        let identity = Identity::decode(&path, &text)
            .map_err(|why| NamenodeError::Corrupt(format!("{}: {why}", path.display())))?;
        match (peer, identity.peer) {
            (Some(configured), Some(found)) if configured != found => {
                let why = format!("{} belongs to peer {found}, not to peer {configured}", data.display());
                Err(NamenodeError::Config(why))
            }
            _ => Ok(identity),
        }
    }

    /// Replaces the file, durably.
    pub(crate) fn save(&self) -> Result<(), NamenodeError> {
        let new = self.path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(self.encode().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, &self.path)?;
        let directory = self.path.parent().expect("the file lies in the log's directory");
        Ok(File::open(directory)?.sync_all()?)
    }

    fn encode(&self) -> String {
        let peer = self.peer.map_or(String::new(), |peer| peer.to_string());
        let mut text = format!("layout_version={LAYOUT_VERSION}\npeer={peer}\nincarnation={:016x}\n", self.incarnation);
        for (peer, incarnation) in &self.founders {
            text += &format!("founder.{peer}={incarnation:016x}\n");
        }
        text
    }

    fn decode(path: &Path, text: &str) -> Result<Identity, String> {
        let mut identity = Identity { path: path.to_owned(), peer: None, incarnation: 0, founders: BTreeMap::new() };
        let hex = |value: &str| u64::from_str_radix(value, 16).map_err(|_| format!("{value:?} is no incarnation"));
        let number = |value: &str| value.parse().map(PeerId).map_err(|_| format!("{value:?} is no number of a peer"));
        let mut layout = None;
        for line in text.lines() {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("a bad line: {line:?}"))?;
            match key.strip_prefix("founder.") {
                Some(peer) => drop(identity.founders.insert(number(peer)?, hex(value)?)),
                None => match key {
                    "layout_version" => layout = Some(value.to_owned()),
                    "peer" if value.is_empty() => {}
                    "peer" => identity.peer = Some(number(value)?),
                    "incarnation" => identity.incarnation = hex(value)?,
                    _ => return Err(format!("an unknown key: {key:?}")),
                },
            }
        }
        match layout {
            Some(layout) if layout == LAYOUT_VERSION.to_string() => Ok(identity),
            found => Err(format!("its layout_version is {found:?}; this version knows {LAYOUT_VERSION} only")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_keeps_its_name_and_an_empty_one_has_another() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut first = Identity::open(one.path(), Some(PeerId(2))).unwrap();
        first.founders = BTreeMap::from([(PeerId(1), 7), (PeerId(2), first.incarnation)]);
        first.save().unwrap();
        assert_eq!(Identity::open(one.path(), Some(PeerId(2))).unwrap(), first);
        assert_ne!(Identity::open(two.path(), Some(PeerId(2))).unwrap().incarnation, first.incarnation);
        assert!(matches!(Identity::open(one.path(), Some(PeerId(3))), Err(NamenodeError::Config(_))));
        assert_eq!(Identity::open(one.path(), None).unwrap().peer, Some(PeerId(2)));
    }

    #[test]
    fn what_it_does_not_know_is_refused() {
        let refused = |text: &str| Identity::decode(Path::new("peer"), text).unwrap_err();
        assert!(refused("layout_version=99\npeer=1\nincarnation=0\n").contains("99"));
        assert!(refused("peer=1\n").contains("layout_version"));
        assert!(refused("layout_version=2\ncolour=red\n").contains("colour"));
        assert!(refused("layout_version=2\npeer=x\n").contains("number"));
        assert!(refused("nonsense").contains("bad line"));
    }
}
