//! DataTransferProtocol, the datanode's side: how stock Hadoop clients read and write blocks (port 9866).
//!
//! A connection carries operations one after another; after a write it is closed. Every operation brings a block token,
//! and a token names an extent: what a client takes for a block may be an object in a packed block. Pipelines are
//! mirrored over this same protocol, packet by packet as they came, so that each member's own status is in every
//! acknowledgement; an acknowledgement says "visible", one of a packet with `syncBlock` or of the last one says "on
//! stable storage".
//!
//! Everything a stranger can make grow has a bound: connections, bytes of a request and of a packet, packets between the
//! socket and the disk, time without a word.

mod ask;
mod block_checksum;
mod checksum;
mod message;
mod mirror;
mod packet;
mod read_block;
mod receiver;
mod server;
mod source;
mod transfer_block;
mod wire;
mod write_block;

pub(crate) use ask::{BlockChecksumKind, BlockChecksumReply, ask_block_checksum};
pub use server::{KnownDatanodes, TransferServer, TransferSettings};

#[cfg(test)]
mod tests;
