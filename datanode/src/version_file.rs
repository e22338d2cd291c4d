//! The `VERSION` file: whose volume this is and which layout it has. Lines of `key=value`, replaced atomically.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use granary_protocol::{ClusterId, DatanodeId, LAYOUT_VERSION, VolumeId};

/// What a volume says about itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct VersionFile {
    pub(crate) datanode: DatanodeId,
    pub(crate) volume: VolumeId,
    /// Unknown until the first registration.
    pub(crate) cluster: Option<ClusterId>,
}

impl VersionFile {
    fn encode(&self) -> String {
        let cluster = self.cluster.as_ref().map_or("", ClusterId::as_str);
        format!(
            "layout_version={LAYOUT_VERSION}\ndatanode={}\nvolume={}\ncluster={cluster}\n",
            self.datanode, self.volume
        )
    }

    /// Reads the text of a `VERSION` file; the error says what is wrong with it.
    fn decode(text: &str) -> Result<VersionFile, String> {
        let mut values: BTreeMap<&str, &str> = BTreeMap::new();
        for line in text.lines() {
            let (key, value) = line.split_once('=').ok_or_else(|| format!("VERSION has a bad line: {line:?}"))?;
            values.insert(key, value);
        }
        let mut number = |key: &str| -> Result<u64, String> {
            let value = values.remove(key).ok_or_else(|| format!("VERSION has no {key}"))?;
            value.parse().map_err(|_| format!("VERSION has a bad {key}: {value:?}"))
        };
        let layout = number("layout_version")?;
        if layout != u64::from(LAYOUT_VERSION) {
            return Err(format!("its layout version is {layout}, this program reads {LAYOUT_VERSION} only"));
        }
        let (datanode, volume) = (DatanodeId(number("datanode")?), VolumeId(number("volume")?));
        let cluster = values.remove("cluster").filter(|cluster| !cluster.is_empty()).map(ClusterId::from);
        match values.keys().next() {
            Some(key) => Err(format!("VERSION has an unknown key: {key:?}")),
            None => Ok(VersionFile { datanode, volume, cluster }),
        }
    }

    /// The file at `path`, `None` if there is none. The inner error says what is wrong with its text.
    pub(crate) fn load(path: &Path) -> io::Result<Option<Result<VersionFile, String>>> {
        match fs::read_to_string(path) {
            Ok(text) => Ok(Some(Self::decode(&text))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Replaces the file at `path`, durably.
    pub(crate) fn store(&self, path: &Path) -> io::Result<()> {
        let new = path.with_extension("new");
        let mut file = File::create(&new)?;
        file.write_all(self.encode().as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        let directory = path.parent().expect("VERSION lies in a volume's directory");
        File::open(directory)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_survives_and_refuses_what_it_does_not_know() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("VERSION");
        assert!(VersionFile::load(&path).unwrap().is_none());
        for cluster in [None, Some(ClusterId::from("c-1"))] {
            let version = VersionFile { datanode: DatanodeId(u64::MAX), volume: VolumeId(2), cluster };
            version.store(&path).unwrap();
            assert_eq!(VersionFile::load(&path).unwrap(), Some(Ok(version)));
        }
        let refused = |text: &str| VersionFile::decode(text).unwrap_err();
        assert!(refused("layout_version=1\ndatanode=1\nvolume=1\ncluster=\n").contains("layout version is 1"));
        assert!(refused("layout_version=9\ndatanode=1\nvolume=1\ncluster=\n").contains("layout version is 9"));
        assert!(refused("layout_version=2\nvolume=1\ncluster=\n").contains("no datanode"));
        assert!(refused("layout_version=2\ndatanode=x\nvolume=1\n").contains("bad datanode"));
        assert!(refused("layout_version=2\ndatanode=1\nvolume=1\ncodec=x\n").contains("unknown key"));
        assert!(refused("nonsense").contains("bad line"));
    }
}
