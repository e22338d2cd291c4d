//! What operators have said about datanodes, by name, and about volumes, by id. Where they are and what they hold is soft state.

use super::apply::Effect;
use super::layout;
use super::transaction::Transaction;
use super::view::{self, View, undecodable};
use crate::error::{Rejection, StateError, refuse};
use granary_protocol::admin::DatanodeIntent;
use granary_protocol::namenode::NamenodeReply;
use granary_protocol::{ErrorCode, NodeName, VolumeId};

/// The most datanodes, and the most volumes, out of service at one time.
const INTENTS_MAX: usize = 10_000;
/// The longest name of a node.
const NAME_BYTES_MAX: usize = 255;

/// Every datanode that is not simply in service.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn datanode_intents<V: View + ?Sized>(view: &V) -> Result<Vec<(NodeName, DatanodeIntent)>, StateError> {
    let all = layout::table(layout::DATANODE_INTENT);
    let mut intents = Vec::new();
    for pair in view.scan(&all, Some(&layout::after_prefix(&all))) {
        let (key, value) = pair?;
        let name = std::str::from_utf8(&key[1..]).map_err(|error| undecodable(&key, error.to_string()))?;
        intents.push((NodeName::from(name), view::decode(&key, &value)?));
    }
    Ok(intents)
}

/// The volumes that are to be empty.
///
/// # Errors
/// The engine's, or a damaged row.
pub fn drained_volumes<V: View + ?Sized>(view: &V) -> Result<Vec<VolumeId>, StateError> {
    let all = layout::table(layout::VOLUME_DRAIN);
    let volume_of = |key: &[u8]| {
        let id = key.get(1..).and_then(|id| id.try_into().ok()).map(u64::from_be_bytes);
        id.map(VolumeId).ok_or_else(|| undecodable(key, "not a volume"))
    };
    view.scan(&all, Some(&layout::after_prefix(&all))).map(|pair| volume_of(&pair?.0)).collect()
}

pub(super) fn set_drain(tx: &mut Transaction<'_>, volume: VolumeId, drain: bool) -> Result<NamenodeReply, Rejection> {
    let row = layout::volume_drain(volume);
    match drain {
        true => {
            if tx.get(&row)?.is_none() && drained_volumes(tx)?.len() >= INTENTS_MAX {
                return Err(refuse(ErrorCode::LimitExceeded, "too many volumes are being emptied"));
            }
            tx.put(row, Vec::new());
        }
        false => tx.delete(row),
    }
    tx.effect(Effect::VolumeDrainChanged { volume, drain });
    Ok(NamenodeReply::Done)
}

pub(super) fn set_intent(
    tx: &mut Transaction<'_>,
    name: &NodeName,
    intent: DatanodeIntent,
) -> Result<NamenodeReply, Rejection> {
    if name.as_str().is_empty() || name.as_str().len() > NAME_BYTES_MAX {
        return Err(refuse(ErrorCode::InvalidArgument, "a datanode's name has 1 to 255 bytes"));
    }
    let row = layout::datanode_intent(name);
    match intent {
        DatanodeIntent::InService => tx.delete(row),
        DatanodeIntent::Decommission | DatanodeIntent::Maintenance { .. } => {
            if tx.get(&row)?.is_none() && datanode_intents(tx)?.len() >= INTENTS_MAX {
                return Err(refuse(ErrorCode::LimitExceeded, "too many datanodes are out of service"));
            }
            tx.put_record(row, &intent);
        }
    }
    tx.effect(Effect::DatanodeIntentChanged { name: name.clone(), intent });
    Ok(NamenodeReply::Done)
}
