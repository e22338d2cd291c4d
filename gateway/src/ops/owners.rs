//! Who the canonical ids of an answer are, by name.

use super::xml_writer::Xml;
use crate::server::{GatewayState, Refusal};
use granary_protocol::CanonicalId;
use std::collections::{BTreeSet, HashMap};

/// The names of some owners. One who is not known any more has an id and no name.
pub(super) struct Owners {
    names: HashMap<CanonicalId, String>,
}

impl Owners {
    /// Looks the names up: with one request to the namenode, or none if only the root account is among them.
    pub async fn find<'i>(
        state: &GatewayState,
        owners: impl Iterator<Item = &'i CanonicalId>,
    ) -> Result<Self, Refusal> {
        let account = &state.config.account;
        let root = CanonicalId(account.canonical_id.clone());
        let others: Vec<CanonicalId> =
            owners.filter(|owner| **owner != root).collect::<BTreeSet<_>>().into_iter().cloned().collect();
        let mut names: HashMap<_, _> = match others.is_empty() {
            true => HashMap::new(),
            false => {
                let found = state.client.find_owners(others).await?;
                found.into_iter().map(|(id, _account, name)| (id, name)).collect()
            }
        };
        names.insert(root, account.display_name.clone());
        Ok(Self { names })
    }

    /// Whether this is somebody.
    pub fn contains(&self, id: &CanonicalId) -> bool {
        self.names.contains_key(id)
    }

    /// An element with id and name: `Owner`, `Initiator`.
    pub fn push(&self, xml: &mut Xml, tag: &str, id: &CanonicalId) {
        xml.open(tag);
        self.push_parts(xml, id);
        xml.close(tag);
    }

    /// `ID` and `DisplayName`.
    pub fn push_parts(&self, xml: &mut Xml, id: &CanonicalId) {
        xml.element("ID", id.as_str());
        if let Some(name) = self.names.get(id) {
            xml.element("DisplayName", name);
        }
    }
}
