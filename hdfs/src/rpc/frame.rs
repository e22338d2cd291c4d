//! Frames of Hadoop RPC: a 32-bit big-endian length, then messages, each behind its own varint length.
//!
//! A frame's memory grows with the bytes that have arrived, never with the length a stranger declared.

use bytes::{Buf, Bytes, BytesMut};
use prost::Message;
use std::io;
use tokio::io::{AsyncRead, AsyncReadExt};

/// The longest request taken: 8 MiB. The longest a stock client makes (a concat of many files, a long list of datanodes)
/// is far below it.
pub const FRAME_BYTES_MAX: usize = 8 << 20;
/// Bytes of the length before a frame.
const LENGTH_BYTES: usize = 4;
/// What is read at a time, and so what memory runs ahead of the bytes that came.
const PIECE_BYTES: usize = 16 << 10;
/// Less room than this is not worth a read.
const ROOM_BYTES_MIN: usize = 2 << 10;

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

/// Cuts frames from what arrives; several may come with one read.
pub struct FrameReader<R> {
    reader: R,
    arrived: BytesMut,
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Frames from `reader`.
    pub fn new(reader: R) -> FrameReader<R> {
        FrameReader { reader, arrived: BytesMut::new() }
    }

    /// The next frame if it has arrived whole.
    ///
    /// # Errors
    /// [`FrameError::Length`]; the connection is of no use afterwards.
    pub fn take(&mut self) -> Result<Option<Bytes>, FrameError> {
        let Some(prefix) = self.arrived.first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let declared = i32::from_be_bytes(*prefix);
        let length = usize::try_from(declared)
            .ok()
            .filter(|length| *length <= FRAME_BYTES_MAX)
            .ok_or(FrameError::Length(declared))?;
        if self.arrived.len() - LENGTH_BYTES < length {
            return Ok(None);
        }
        self.arrived.advance(LENGTH_BYTES);
        Ok(Some(self.arrived.split_to(length).freeze()))
    }

    /// Waits for some more bytes. Nothing is lost if it is given up.
    ///
    /// # Errors
    /// [`FrameError`]; the connection is of no use afterwards.
    pub async fn fill(&mut self) -> Result<(), FrameError> {
        if self.arrived.capacity() - self.arrived.len() < ROOM_BYTES_MIN {
            self.arrived.reserve(PIECE_BYTES);
        }
        match (self.reader.read_buf(&mut self.arrived).await?, self.arrived.is_empty()) {
            (0, true) => Err(FrameError::Closed),
            (0, false) => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            _ => Ok(()),
        }
    }

    /// Waits for the next frame.
    ///
    /// # Errors
    /// As [`FrameReader::take`] and [`FrameReader::fill`].
    pub async fn next(&mut self) -> Result<Bytes, FrameError> {
        loop {
            match self.take()? {
                Some(frame) => return Ok(frame),
                None => self.fill().await?,
            }
        }
    }

    /// Waits for the first bytes of a connection, which are in no frame.
    ///
    /// # Errors
    /// As [`FrameReader::fill`].
    pub async fn first_bytes<const BYTES: usize>(&mut self) -> Result<[u8; BYTES], FrameError> {
        loop {
            match self.arrived.first_chunk::<BYTES>().copied() {
                Some(bytes) => {
                    self.arrived.advance(BYTES);
                    return Ok(bytes);
                }
                None => self.fill().await?,
            }
        }
    }

    /// Reads on, to the end or for `bytes_max`, and forgets what comes.
    ///
    /// # Errors
    /// The socket's.
    pub async fn discard(&mut self, bytes_max: u64) -> io::Result<()> {
        tokio::io::copy(&mut (&mut self.reader).take(bytes_max), &mut tokio::io::sink()).await.map(|_| ())
    }
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

/// Appends a frame of a header and, if there is one, the body behind it.
pub fn append_frame(frames: &mut Vec<u8>, header: &impl Message, body: Option<&[u8]>) {
    let header_length = header.encoded_len();
    let body_length = body.map_or(0, |body| prost::length_delimiter_len(body.len()) + body.len());
    let length = prost::length_delimiter_len(header_length) + header_length + body_length;
    frames.reserve(LENGTH_BYTES + length);
    frames.extend_from_slice(&(length as u32).to_be_bytes());
    header.encode_length_delimited(frames).expect("a vector grows");
    if let Some(body) = body {
        prost::encode_length_delimiter(body.len(), frames).expect("a vector grows");
        frames.extend_from_slice(body);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::envelope::{RpcRequestHeader, RpcResponseHeader};
    use tokio::io::AsyncWriteExt;

    #[tokio::test]
    async fn a_frame_is_read_whole_and_a_lying_length_is_refused() {
        let mut frames = FrameReader::new(&[0u8, 0, 0, 3, 1, 2, 3, 0, 0, 0, 0][..]);
        assert!(frames.take().unwrap().is_none());
        assert_eq!(frames.next().await.unwrap().as_ref(), [1, 2, 3]);
        assert_eq!(frames.take().unwrap().unwrap().len(), 0);
        assert!(matches!(frames.next().await, Err(FrameError::Closed)));
        let truncated = FrameReader::new(&[0u8, 0, 0, 3, 1][..]).next().await;
        assert!(matches!(truncated, Err(FrameError::Io(_))));
        for length in [-1, FRAME_BYTES_MAX as i32 + 1] {
            let bytes = length.to_be_bytes();
            assert!(matches!(FrameReader::new(&bytes[..]).next().await, Err(FrameError::Length(_))));
        }
    }

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_however_they_arrive() {
        let bodies: Vec<Vec<u8>> = [0, 1, 200, 20_000, 100_000, 3].map(|length| vec![length as u8; length]).into();
        let mut bytes = b"hrpc".to_vec();
        for body in &bodies {
            bytes.extend((body.len() as u32).to_be_bytes());
            bytes.extend(body);
        }
        for piece in [1, 7, 5_000, bytes.len()] {
            let (mut sender, receiver) = tokio::io::duplex(piece);
            let sent = bytes.clone();
            let sending = tokio::spawn(async move { sender.write_all(&sent).await });
            let mut frames = FrameReader::new(receiver);
            assert_eq!(&frames.first_bytes::<4>().await.unwrap(), b"hrpc");
            for body in &bodies {
                assert!(frames.next().await.unwrap() == body);
            }
            sending.await.unwrap().unwrap();
            assert!(matches!(frames.next().await, Err(FrameError::Closed)));
        }
    }

    #[test]
    fn the_header_of_an_answer_is_apaches() {
        let client_id = vec![7u8; 16];
        let header = RpcResponseHeader {
            call_id: 5,
            server_ipc_version_num: Some(9),
            client_id: Some(client_id.clone().into()),
            retry_count: Some(0),
            ..RpcResponseHeader::default()
        };
        let mut frame = Vec::new();
        append_frame(&mut frame, &header, Some(&[]));
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
