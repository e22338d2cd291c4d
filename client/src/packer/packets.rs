//! Cuts a run of bytes into packets without copying what is large.

use bytes::{Bytes, BytesMut};
use granary_protocol::datanode::PACKET_BYTES_MAX;
use std::collections::VecDeque;

/// A piece of at least this size travels as it is; smaller ones are gathered. Copying costs about 30 µs here, a packet
/// of its own some 10.
const DIRECT_BYTES_MIN: usize = 256 << 10;
const GATHER_BYTES_FIRST: usize = 8 << 10;

/// Gathers small pieces into packets and passes large ones through.
#[derive(Default)]
pub(crate) struct PacketAssembler {
    gathered: BytesMut,
    ready: VecDeque<Bytes>,
}

impl PacketAssembler {
    /// Adds bytes that belong to nobody: always copied.
    pub fn copy(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.gathered.capacity() == self.gathered.len() {
                // Grows by doubling: a lone small content costs little, a stream soon gathers whole packets.
                let more = self.gathered.len().max(GATHER_BYTES_FIRST).max(bytes.len());
                self.gathered.reserve(more.min(PACKET_BYTES_MAX - self.gathered.len()));
            }
            let room = (PACKET_BYTES_MAX - self.gathered.len()).min(bytes.len());
            self.gathered.extend_from_slice(&bytes[..room]);
            bytes = &bytes[room..];
            if self.gathered.len() == PACKET_BYTES_MAX {
                self.flush();
            }
        }
    }

    /// Adds a piece.
    pub fn push(&mut self, mut piece: Bytes) {
        if piece.len() < DIRECT_BYTES_MIN {
            return self.copy(&piece);
        }
        self.flush();
        while piece.len() > PACKET_BYTES_MAX {
            self.ready.push_back(piece.split_to(PACKET_BYTES_MAX));
        }
        self.ready.push_back(piece);
    }

    /// A full packet that is not the last of what has been added.
    pub fn next_full(&mut self) -> Option<Bytes> {
        if self.ready.len() > 1 || !self.gathered.is_empty() { self.ready.pop_front() } else { None }
    }

    /// All that is left, in order; afterwards the assembler is empty.
    pub fn finish(&mut self) -> VecDeque<Bytes> {
        self.flush();
        std::mem::take(&mut self.ready)
    }

    fn flush(&mut self) {
        if !self.gathered.is_empty() {
            self.ready.push_back(self.gathered.split().freeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn packets_are_the_pieces_in_order(sizes in proptest::collection::vec(
            prop_oneof![0usize..100, 1000usize..70_000, 250_000usize..2_500_000], 0..8,
        )) {
            let mut assembler = PacketAssembler::default();
            let (mut expected, mut packets) = (Vec::new(), Vec::new());
            for (index, size) in sizes.into_iter().enumerate() {
                let piece: Vec<u8> = (0..size).map(|at| (at * 7 + index) as u8).collect();
                expected.extend_from_slice(&piece);
                assembler.push(piece.into());
                while let Some(packet) = assembler.next_full() {
                    packets.push(packet);
                }
            }
            packets.extend(assembler.finish());
            prop_assert!(packets.iter().all(|packet| !packet.is_empty() && packet.len() <= PACKET_BYTES_MAX));
            prop_assert_eq!(packets.concat(), expected);
        }
    }
}
