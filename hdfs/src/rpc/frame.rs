//! Frames of Hadoop RPC: a 32-bit big-endian length, then messages, each behind its own varint length.
//!
//! A frame's memory grows with the bytes that have arrived, never with the length a stranger declared.

use bytes::{Buf, Bytes};
use prost::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest request taken: 8 MiB. The longest a stock client makes (a concat of many files, a long list of datanodes)
/// is far below it.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// What is read of a frame at a time, and so what memory runs ahead of the bytes that came.
const PIECE_BYTES: usize = 64 << 10;

/// Why there is no frame.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The client left between two frames.
    #[error("the connection was closed")]
    Closed,
    /// Longer than [`FRAME_BYTES_MAX`], or negative.
    #[error("a frame of {0} bytes")]
    Length(i32),
    /// The socket failed, or closed within a frame.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads one frame.
///
/// # Errors
/// [`FrameError`]; the connection is of no use afterwards.
pub async fn read_frame(reader: &mut (impl AsyncRead + Unpin)) -> Result<Bytes, FrameError> {
    let mut prefix = [0u8; 4];
    let first = reader.read(&mut prefix).await?;
    if first == 0 {
        return Err(FrameError::Closed);
    }
    reader.read_exact(&mut prefix[first..]).await?;
    let declared = i32::from_be_bytes(prefix);
    let length = usize::try_from(declared)
        .ok()
        .filter(|length| *length <= FRAME_BYTES_MAX)
        .ok_or(FrameError::Length(declared))?;
    let mut frame = Vec::with_capacity(length.min(PIECE_BYTES));
    while frame.len() < length {
        let from = frame.len();
        frame.resize((from + PIECE_BYTES).min(length), 0);
        reader.read_exact(&mut frame[from..]).await?;
    }
    Ok(Bytes::from(frame))
}

/// Takes the next message off a frame; what follows it stays.
///
/// # Errors
/// It is not there whole, or is none of this type.
pub fn take_message<M: Message + Default>(frame: &mut Bytes) -> Result<M, prost::DecodeError> {
    M::decode(take_delimited(frame)?)
}

/// Takes the bytes of the next message off a frame.
///
/// # Errors
/// They are not there whole.
pub fn take_delimited(frame: &mut Bytes) -> Result<Bytes, prost::DecodeError> {
    let length = prost::decode_length_delimiter(&mut *frame)?;
    if length > frame.remaining() {
        // An empty buffer makes prost say what it says of every truncated message.
        return Err(prost::decode_length_delimiter(&[][..]).expect_err("nothing is no length"));
    }
    Ok(frame.split_to(length))
}

/// A frame of a header and, if there is one, the body behind it, ready to be sent.
pub fn encode_frame(header: &impl Message, body: Option<&[u8]>) -> Vec<u8> {
    let header_length = header.encoded_len();
    let body_length = body.map_or(0, |body| prost::length_delimiter_len(body.len()) + body.len());
    let length = prost::length_delimiter_len(header_length) + header_length + body_length;
    let mut frame = Vec::with_capacity(4 + length);
    frame.extend_from_slice(&(length as u32).to_be_bytes());
    header.encode_length_delimited(&mut frame).expect("a vector grows");
    if let Some(body) = body {
        prost::encode_length_delimiter(body.len(), &mut frame).expect("a vector grows");
        frame.extend_from_slice(body);
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::envelope::{RpcRequestHeader, RpcResponseHeader};

    #[tokio::test]
    async fn a_frame_is_read_whole_and_a_lying_length_is_refused() {
        let mut bytes: &[u8] = &[0, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0];
        assert_eq!(read_frame(&mut bytes).await.unwrap().as_ref(), [1, 2, 3]);
        assert_eq!(read_frame(&mut bytes).await.unwrap().len(), 0);
        assert!(matches!(read_frame(&mut bytes).await, Err(FrameError::Closed)));
        let mut truncated: &[u8] = &[0, 0, 0, 3, 1];
        assert!(matches!(read_frame(&mut truncated).await, Err(FrameError::Io(_))));
        for length in [-1, FRAME_BYTES_MAX as i32 + 1] {
            let bytes = length.to_be_bytes();
            assert!(matches!(read_frame(&mut &bytes[..]).await, Err(FrameError::Length(_))));
        }
    }

    #[test]
    fn the_header_of_an_answer_is_apaches() {
        let client_id = vec![7u8; 16];
        let header = RpcResponseHeader {
            call_id: 5,
            server_ipc_version_num: Some(9),
            client_id: Some(client_id.clone()),
            retry_count: Some(0),
            ..RpcResponseHeader::default()
        };
        let frame = encode_frame(&header, Some(&[]));
        // 26 bytes of header as Apache's namenode writes them, then an empty answer.
        let mut wanted = vec![0, 0, 0, 28, 0x1a, 0x08, 5, 0x10, 0, 0x18, 9, 0x3a, 16];
        wanted.extend(&client_id);
        wanted.extend([0x40, 0, 0]);
        assert_eq!(frame, wanted);
    }

    #[test]
    fn negative_call_ids_are_zigzag_in_requests_only() {
        let request = RpcRequestHeader { call_id: -33, ..RpcRequestHeader::default() };
        assert!(request.encode_to_vec().starts_with(&[0x18, 65]), "{:02x?}", request.encode_to_vec());
        let answer = RpcResponseHeader { call_id: -33i32 as u32, ..RpcResponseHeader::default() };
        assert!(answer.encode_to_vec().starts_with(&[0x08, 0xdf, 0xff, 0xff, 0xff, 0x0f]));
    }

    #[test]
    fn a_message_that_is_longer_than_its_frame_is_refused() {
        assert!(take_delimited(&mut Bytes::from_static(&[5, 1, 2])).is_err());
        assert!(take_delimited(&mut Bytes::new()).is_err());
        let mut frame = Bytes::from_static(&[2, 1, 2, 9]);
        assert_eq!(take_delimited(&mut frame).unwrap().as_ref(), [1, 2]);
        assert_eq!(frame.as_ref(), [9]);
    }
}
