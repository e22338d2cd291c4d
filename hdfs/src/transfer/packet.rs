//! Packets: a length, a header, checksums, data.
//!
//! `u32 PLEN | u16 HLEN | header | checksums | data`, where `PLEN` counts itself, the checksums and the data.

use super::checksum::ChunkChecksum;
use super::message::PacketHeader;
use bytes::{Bytes, BytesMut};
use prost::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest packet taken, as Hadoop's own readers limit it: 16 MiB.
pub const PACKET_BYTES_MAX: usize = 16 << 20;
/// The longest header taken; a stock one has 25 or 27 bytes.
const HEADER_BYTES_MAX: usize = 256;
/// Bytes before the header.
const PREFIX_BYTES: usize = 6;
/// What the length counts besides checksums and data: itself.
const LENGTH_BYTES: usize = 4;
/// What is read of a packet at a time, and so what memory runs ahead of the bytes that came.
const PIECE_BYTES: usize = 128 << 10;

/// A packet as it came.
#[derive(Clone, Debug)]
pub struct Packet {
    pub header: PacketHeader,
    /// All of its bytes, for whoever is next in the pipeline.
    pub raw: Bytes,
    pub checksums: Bytes,
    pub data: Bytes,
}

impl Packet {
    /// The packet of `data`, with the checksums asked for.
    pub fn new(header: PacketHeader, checksums: &[u8], data: &[u8]) -> BytesMut {
        let mut raw = Packet::head(header, checksums, data.len());
        raw.extend_from_slice(data);
        raw
    }

    /// What comes before the data of a packet that has `data_bytes` of it.
    pub fn head(header: PacketHeader, checksums: &[u8], data_bytes: usize) -> BytesMut {
        let header_bytes = header.encoded_len();
        let length = LENGTH_BYTES + checksums.len() + data_bytes;
        let mut raw = BytesMut::with_capacity(PREFIX_BYTES + header_bytes + checksums.len());
        raw.extend_from_slice(&(length as u32).to_be_bytes());
        raw.extend_from_slice(&(header_bytes as u16).to_be_bytes());
        header.encode(&mut raw).expect("a buffer grows");
        raw.extend_from_slice(checksums);
        raw
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Reads a packet whose data is summed as `checksum` says. The sums are not compared here.
///
/// # Errors
/// The socket's; `InvalidData` for what is no packet.
pub async fn read_packet(reader: &mut (impl AsyncRead + Unpin), checksum: ChunkChecksum) -> io::Result<Packet> {
    let mut prefix = [0u8; PREFIX_BYTES];
    reader.read_exact(&mut prefix).await?;
    let length = u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize;
    let header_bytes = usize::from(u16::from_be_bytes([prefix[4], prefix[5]]));
    if !(LENGTH_BYTES..=PACKET_BYTES_MAX).contains(&length) || header_bytes > HEADER_BYTES_MAX {
        return Err(invalid(format!("a packet of {length} bytes behind a header of {header_bytes}")));
    }
    let body = length - LENGTH_BYTES;
    let total = PREFIX_BYTES + header_bytes + body;
    let mut raw = BytesMut::with_capacity(total.min(PIECE_BYTES));
    raw.extend_from_slice(&prefix);
    while raw.len() < total {
        let missing = total - raw.len();
        raw.reserve(missing.min(PIECE_BYTES));
        if (&mut *reader).take(missing as u64).read_buf(&mut raw).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let raw = raw.freeze();
    let header_end = PREFIX_BYTES + header_bytes;
    let header = PacketHeader::decode(&raw[PREFIX_BYTES..header_end]).map_err(|error| invalid(error.to_string()))?;
    let data_bytes = usize::try_from(header.data_len).map_err(|_| invalid("a negative length of data"))?;
    let sums_bytes = body.checked_sub(data_bytes).ok_or_else(|| invalid("a packet shorter than its data"))?;
    if sums_bytes != checksum.bytes_of(data_bytes) {
        return Err(invalid(format!("{sums_bytes} bytes of checksums for {data_bytes} bytes of data")));
    }
    let checksums = raw.slice(header_end..header_end + sums_bytes);
    let data = raw.slice(header_end + sums_bytes..);
    Ok(Packet { header, raw, checksums, data })
}

/// The raw bytes of the packet that ends a block of `length` bytes.
pub fn last_packet(seqno: i64, length: i64) -> BytesMut {
    let header =
        PacketHeader { offset_in_block: length, seqno, last_packet_in_block: true, data_len: 0, sync_block: None };
    Packet::new(header, &[], &[])
}
