//! How operations and messages lie on a socket: version, opcode, messages behind their varint length.

use prost::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// The version every client since Hadoop 2.0 speaks.
pub const VERSION: u16 = 28;
/// The longest message taken: 256 KiB. A stock client's longest names the members of a pipeline.
pub const MESSAGE_BYTES_MAX: usize = 256 << 10;
/// Bytes of the varint of such a length, at most.
const LENGTH_BYTES_MAX: usize = 5;
/// What a client sends first that wants its data sealed: the magic of SASL.
pub const SASL_MAGIC: u16 = 0xdead;

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    WriteBlock,
    ReadBlock,
    ReplaceBlock,
    CopyBlock,
    BlockChecksum,
    TransferBlock,
    RequestShortCircuitFds,
    ReleaseShortCircuitFds,
    RequestShortCircuitShm,
    BlockGroupChecksum,
}

impl Op {
    /// The operation of this number.
    pub fn from_code(code: u8) -> Option<Op> {
        Some(match code {
            80 => Op::WriteBlock,
            81 => Op::ReadBlock,
            83 => Op::ReplaceBlock,
            84 => Op::CopyBlock,
            85 => Op::BlockChecksum,
            86 => Op::TransferBlock,
            87 => Op::RequestShortCircuitFds,
            88 => Op::ReleaseShortCircuitFds,
            89 => Op::RequestShortCircuitShm,
            90 => Op::BlockGroupChecksum,
            _ => return None,
        })
    }

    /// Its number.
    pub fn code(self) -> u8 {
        match self {
            Op::WriteBlock => 80,
            Op::ReadBlock => 81,
            Op::ReplaceBlock => 83,
            Op::CopyBlock => 84,
            Op::BlockChecksum => 85,
            Op::TransferBlock => 86,
            Op::RequestShortCircuitFds => 87,
            Op::ReleaseShortCircuitFds => 88,
            Op::RequestShortCircuitShm => 89,
            Op::BlockGroupChecksum => 90,
        }
    }
}

fn invalid(reason: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason.into())
}

/// Reads a message behind its length.
///
/// # Errors
/// The socket's; `InvalidData` for a message that is too long or none of this type.
pub async fn read_message<M: Message + Default>(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<M> {
    let mut length: u64 = 0;
    for position in 0.. {
        if position == LENGTH_BYTES_MAX {
            return Err(invalid("a length of too many bytes"));
        }
        let byte = reader.read_u8().await?;
        length |= u64::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            break;
        }
    }
    let length = usize::try_from(length).ok().filter(|length| *length <= MESSAGE_BYTES_MAX);
    let Some(length) = length else { return Err(invalid("a message that is too long")) };
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes).await?;
    M::decode(bytes.as_slice()).map_err(|error| invalid(error.to_string()))
}

/// Writes a message behind its length, in one piece.
///
/// # Errors
/// The socket's.
pub async fn write_message(writer: &mut (impl AsyncWrite + Unpin), message: &impl Message) -> io::Result<()> {
    writer.write_all(&message.encode_length_delimited_to_vec()).await?;
    writer.flush().await
}

/// Writes a request.
///
/// # Errors
/// The socket's.
pub async fn write_request(writer: &mut (impl AsyncWrite + Unpin), op: Op, request: &impl Message) -> io::Result<()> {
    let mut bytes = VERSION.to_be_bytes().to_vec();
    bytes.push(op.code());
    request.encode_length_delimited(&mut bytes).expect("a vector grows");
    writer.write_all(&bytes).await?;
    writer.flush().await
}
