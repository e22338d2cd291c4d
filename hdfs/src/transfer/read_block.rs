//! READ_BLOCK: bytes of an extent, in packets, with their checksums.
//!
//! Chunks are counted from the start of the extent, whatever its place in the replica. The datanode has compared every
//! byte with the sums it stores before it comes here; the sums that are sent are made from those bytes.

use super::checksum::ChunkChecksum;
use super::message::{BareStatus, BlockOpResponse, OpReadBlock, PacketHeader, ReadOpChecksumInfo};
use super::packet::{Packet, last_packet};
use super::server::{Connection, Next, Shared, refusal, within};
use super::source::Source;
use super::wire;
use bytes::{Buf, Bytes, BytesMut};
use granary_protocol::checksum::CHUNK_BYTES;
use granary_protocol::datanode::ReadStream;
use granary_protocol::{ErrorCode, Failure};
use std::io;
use tokio::io::AsyncWriteExt;

/// Data bytes of a packet: whole chunks.
pub(super) const PACKET_DATA_BYTES: usize = 128 << 10;

/// The bytes to be sent: whole chunks around those asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkRange {
    pub start: u32,
    pub end: u32,
}

/// The chunks that hold `length` bytes from `offset`, of an extent of `available` bytes; `None` outside of it.
pub(super) fn chunks_around(offset: u64, length: u64, available: u32) -> Option<ChunkRange> {
    let end = offset.checked_add(length).filter(|end| *end <= u64::from(available))?;
    let chunk = CHUNK_BYTES as u64;
    let (start, end) = (offset - offset % chunk, end.next_multiple_of(chunk).min(u64::from(available)));
    Some(ChunkRange { start: u32::try_from(start).ok()?, end: u32::try_from(end).ok()? })
}

/// Serves one request.
pub(super) async fn serve(connection: &mut Connection, shared: &Shared, request: OpReadBlock) -> io::Result<Next> {
    let checksum = if request.send_checksums() { ChunkChecksum::STORED } else { ChunkChecksum::NONE };
    let (range, stream) = match open(connection, shared, &request).await {
        Ok(opened) => opened,
        Err(failure) => {
            connection.respond(&refusal(&failure)).await?;
            return Ok(Next::Close);
        }
    };
    let info = ReadOpChecksumInfo { checksum: checksum.message(), chunk_offset: range.start.into() };
    let response = BlockOpResponse { read_op_checksum_info: Some(info), ..BlockOpResponse::success() };
    connection.respond(&response).await?;
    let limit = shared.settings.write_timeout;
    if let Some(stream) = stream {
        let sender = Sender { connection, checksum, limit, offset: range.start, seqno: 0 };
        sender.send(Pieces::new(stream), range.end).await?;
    } else {
        within(limit, connection.writer.write_all(&last_packet(0, range.end.into()))).await?;
    }
    // Whether the client has verified what it got. One that stopped early has closed the connection: no error.
    let status: io::Result<BareStatus> =
        within(shared.settings.request_timeout, wire::read_message(&mut connection.reader)).await;
    Ok(if status.is_ok() { Next::Operation } else { Next::Close })
}

type Opened = (ChunkRange, Option<Box<dyn ReadStream>>);

/// Opens the chunks around the range asked for; no stream for no bytes.
async fn open(connection: &Connection, shared: &Shared, request: &OpReadBlock) -> Result<Opened, Failure> {
    let source = Source::open(connection, shared, &request.header.base_header).await?;
    let (offset, length) = (request.offset, request.len);
    let Some(range) = chunks_around(offset, length, source.length()) else {
        let reason = format!(" Offset {offset} and length {length} don't match block of {} bytes", source.length());
        return Err(Failure::new(ErrorCode::InvalidRange, reason));
    };
    let stream = match range.end - range.start {
        0 => None,
        bytes => Some(source.read(range.start, bytes)?),
    };
    Ok((range, stream))
}

struct Sender<'a> {
    connection: &'a mut Connection,
    checksum: ChunkChecksum,
    limit: std::time::Duration,
    offset: u32,
    seqno: i64,
}

impl Sender<'_> {
    /// Sends the pieces up to `end`, and the packet that says so.
    async fn send(mut self, mut pieces: Pieces, end: u32) -> io::Result<()> {
        while self.offset < end {
            let wanted = ((end - self.offset) as usize).min(PACKET_DATA_BYTES);
            // A failure in mid-stream can only be said by closing; the client reads on at another replica.
            let data = pieces.take(wanted).await.map_err(io::Error::other)?;
            let header = PacketHeader {
                offset_in_block: self.offset.into(),
                seqno: self.seqno,
                last_packet_in_block: false,
                data_len: data.len() as i32,
                sync_block: None,
            };
            let head = Packet::head(header, &self.checksum.sums(&data), data.len());
            self.offset += data.len() as u32;
            self.seqno += 1;
            // In one write, and the data from where it was read to.
            within(self.limit, self.connection.writer.write_all_buf(&mut head.chain(data))).await?;
        }
        let last = last_packet(self.seqno, self.offset.into());
        within(self.limit, self.connection.writer.write_all(&last)).await
    }
}

/// The bytes of a stream in portions of the caller's size.
pub(super) struct Pieces {
    stream: Box<dyn ReadStream>,
    rest: Bytes,
}

impl Pieces {
    pub fn new(stream: Box<dyn ReadStream>) -> Pieces {
        Pieces { stream, rest: Bytes::new() }
    }

    /// The next `wanted` bytes; copied only where they lie in several pieces.
    pub async fn take(&mut self, wanted: usize) -> Result<Bytes, Failure> {
        if self.rest.is_empty() {
            self.rest = self.next().await?;
        }
        if self.rest.len() >= wanted {
            return Ok(self.rest.split_to(wanted));
        }
        let mut gathered = BytesMut::with_capacity(wanted);
        loop {
            let part = self.rest.split_to(self.rest.len().min(wanted - gathered.len()));
            gathered.extend_from_slice(&part);
            if gathered.len() == wanted {
                return Ok(gathered.freeze());
            }
            self.rest = self.next().await?;
        }
    }

    async fn next(&mut self) -> Result<Bytes, Failure> {
        let short = || Failure::new(ErrorCode::CorruptReplica, "a replica ended early");
        self.stream.next().await?.ok_or_else(short)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_widened_as_apache_does() {
        let range = |start, end| Some(ChunkRange { start, end });
        // As seen: 1,024 bytes at 298,976 of a block of 300,000.
        assert_eq!(chunks_around(298_976, 1_024, 300_000), range(298_496, 300_000));
        assert_eq!(chunks_around(0, 6, 6), range(0, 6));
        assert_eq!(chunks_around(512, 0, 600), range(512, 512));
        assert_eq!(chunks_around(100, 1, 2_000), range(0, 512));
        assert_eq!(chunks_around(0, 7, 6), None);
        assert_eq!(chunks_around(u64::MAX, 1, 6), None);
    }
}
