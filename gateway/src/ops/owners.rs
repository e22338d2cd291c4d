//! Who the canonical ids of an answer are, by name.

use super::xml_writer::Xml;
use crate::server::{GatewayState, Refusal};
use granary_protocol::CanonicalId;
use std::collections::HashMap;
use std::sync::Arc;

/// The names of some owners. One who is not known any more has an id and no name.
pub(super) struct Owners {
    names: HashMap<CanonicalId, Arc<str>>,
}

impl Owners {
    /// Looks the names up, all that are not remembered at once.
    pub async fn find<'i>(
        state: &GatewayState,
        owners: impl Iterator<Item = &'i CanonicalId>,
    ) -> Result<Self, Refusal> {
        let found = state.owners.find_all(owners).await?;
        let names = found.into_iter().map(|(id, owner)| (id, owner.display_name)).collect();
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
