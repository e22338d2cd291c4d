//! What is asked of a datanode, and the trait that asks it.
//!
//! Writing: the client opens a pipeline at its first member, which opens the next one, and so on. Packets go down,
//! acknowledgements come up, in order; an acknowledgement speaks for every member from the first to the last.
//!
//! # Between processes
//!
//! The methods are in [`method`]; bodies are postcard unless said otherwise. A *frame* is one packet of an rpc stream.
//!
//! - [`method::WRITE`], a stream, opened with a [`WriteBlock`]. The server sends one frame `Result<(), Failure>` when the
//!   whole pipeline is ready. Then the client's frames are packets: `u16` little-endian length of the header, the
//!   [`PacketHeader`], the data bytes. The server's frames are `Result<Ack, Failure>`; after an `Err` it finishes. Both
//!   sides finish after the packet with `last` and its acknowledgement. A client that leaves before leaves the replicas open.
//! - [`method::READ`], a stream, opened with a [`ReadBlock`]; the client sends nothing and finishes at once. The server
//!   sends one frame `Result<(), Failure>`, then, if `Ok`, frames whose first byte is [`method::FRAME_DATA`], followed by
//!   bytes of the replica, or [`method::FRAME_FAILURE`], followed by a [`Failure`] that ends the stream; then it finishes.
//! - [`method::CALL`], a call: a [`DatanodeRequest`], answered by a [`DatanodeReply`], or by a [`Failure`] as the
//!   application's error.

use crate::block::{BlockKind, DatanodeEndpoint, ReplicaLocation};
use crate::error::Failure;
use crate::ids::{BlockId, GenerationStamp, VolumeId};
use crate::token::BlockToken;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The most data bytes of a packet: 1 MiB.
pub const PACKET_BYTES_MAX: usize = 1 << 20;
/// The most bytes a reader is handed at once: 1 MiB.
pub const READ_PIECE_BYTES_MAX: usize = 1 << 20;
/// How many packets a writer may have unacknowledged.
pub const PACKETS_IN_FLIGHT_MAX: usize = 8;

/// How the service is reached over `granary-rpc`; the module's documentation has the wire form.
pub mod method {
    /// A stream: [`super::DatanodeService::write`].
    pub const WRITE: u16 = 1;
    /// A stream: [`super::DatanodeService::read`].
    pub const READ: u16 = 2;
    /// A call: [`super::DatanodeService::call`].
    pub const CALL: u16 = 3;

    /// First byte of a frame of a read that carries bytes of the replica.
    pub const FRAME_DATA: u8 = 0;
    /// First byte of a frame of a read that carries a failure.
    pub const FRAME_FAILURE: u8 = 1;
}

/// A datanode: in this process or behind a socket.
pub trait DatanodeService: Send + Sync + 'static {
    /// Opens a pipeline of which this datanode's volume is the first member. Returns once every member is ready.
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>>;

    /// Opens a replica for reading. Every byte handed out has been verified against the stored checksums.
    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>>;

    /// Answers one request about a replica.
    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>>;
}

/// Finds the service of a datanode: this process's own, or a connection to another.
pub trait DatanodeConnector: Send + Sync + 'static {
    /// The service at `datanode`. Connecting happens at the first call.
    fn datanode(&self, datanode: &DatanodeEndpoint) -> Arc<dyn DatanodeService>;
}

/// The two directions of an open pipeline.
pub struct WriteStream {
    /// Packets, down.
    pub packets: Box<dyn PacketSink>,
    /// Acknowledgements, up.
    pub acks: Box<dyn AckSource>,
}

/// Where a writer puts packets. Waits when the pipeline is full. Dropping it before a packet with `last` leaves the
/// replicas open, for recovery or removal.
pub trait PacketSink: Send {
    /// Sends one packet.
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>>;
}

/// Where acknowledgements come from: one a packet, in order. A failure ends the stream;
/// `DownstreamFailed` names the member that failed, any other code means the member asked.
pub trait AckSource: Send {
    /// The next acknowledgement.
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>>;
}

/// Verified bytes of a replica, in order.
pub trait ReadStream: Send {
    /// The next piece, at most [`READ_PIECE_BYTES_MAX`]; `None` after the last.
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>>;
}

/// Opens a replica for writing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteBlock {
    /// The block.
    pub block: BlockId,
    /// Its generation.
    pub generation: GenerationStamp,
    /// Records or plain bytes; a datanode recovers packed replicas by scanning them.
    pub kind: BlockKind,
    /// The members from here on, this datanode first.
    pub pipeline: Vec<ReplicaLocation>,
    /// Allows writing (or, for a copy made by a datanode, copying) the whole block.
    pub token: BlockToken,
}

/// A piece of a block on its way down a pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// From 0, without gaps.
    pub sequence: u64,
    /// Where the data goes; packets follow each other without gaps.
    pub offset: u32,
    /// Acknowledge only once every member has this and all earlier packets on stable storage.
    pub sync: bool,
    /// Finalize the replicas after this packet; implies `sync`. May be empty.
    pub last: bool,
    /// CRC32C of `data`, computed by the writer, checked by every member.
    pub data_crc: u32,
    /// At most [`PACKET_BYTES_MAX`].
    pub data: Bytes,
}

/// The header of a [`Packet`] on a socket; the data follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PacketHeader {
    pub sequence: u64,
    pub offset: u32,
    pub sync: bool,
    pub last: bool,
    pub data_crc: u32,
}

/// Every member has written (and with `sync`, synced; with `last`, finalized) this packet and all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ack {
    /// The packet.
    pub sequence: u64,
    /// Bytes of the block that every member has on stable storage.
    pub synced_bytes: u32,
}

/// Reads bytes of a replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadBlock {
    /// Which replica, where a datanode has several.
    pub volume: VolumeId,
    /// A replica of a lower generation is refused as not found.
    pub generation: GenerationStamp,
    /// First byte.
    pub offset: u32,
    /// Bytes, at least 1. A replica with fewer is refused as not found.
    pub length: u32,
    /// Allows reading them; names the block.
    pub token: BlockToken,
}

/// Requests about one replica.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatanodeRequest {
    /// → `Done`. After a pipeline failed: cut the replica to `length` (at most what it has), raise its generation from
    /// the token's to `generation`, finalize it. Needs a write token. Repeating it is harmless.
    Finalize { volume: VolumeId, generation: GenerationStamp, length: u32, kind: BlockKind, token: BlockToken },
    /// → `Verified`. Reads the whole replica and checks every checksum. Needs a copy token.
    Verify { volume: VolumeId, token: BlockToken },
}

/// Replies to [`DatanodeRequest`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DatanodeReply {
    Done,
    /// Bytes read and found good.
    Verified {
        length: u32,
    },
}
