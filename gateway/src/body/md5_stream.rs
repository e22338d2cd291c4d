//! MD5 (RFC 1321) of several bodies at once.
//!
//! Each of MD5's 64 steps needs the one before it, so a single stream leaves a core's other units idle. Streams that know
//! nothing of each other are hashed in one loop: two do 1.9 times the bytes of one, three 2.5 times; with four the
//! registers run out. Alone, a stream is as fast as in the `md-5` crate with its assembly.
//!
//! An [`Md5Stream`] takes bytes like any hasher; [`update_together`] feeds several of them, each with bytes of its own.

use bytes::Bytes;

/// Streams hashed in one loop at most.
pub(super) const LANES_MAX: usize = 3;

const BLOCK_BYTES: usize = 64;
const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// RFC 1321 §3.4: the integer part of 2^32 · |sin(i + 1)|.
const SINES: [u32; 64] = [
    0xd76a_a478,
    0xe8c7_b756,
    0x2420_70db,
    0xc1bd_ceee,
    0xf57c_0faf,
    0x4787_c62a,
    0xa830_4613,
    0xfd46_9501,
    0x6980_98d8,
    0x8b44_f7af,
    0xffff_5bb1,
    0x895c_d7be,
    0x6b90_1122,
    0xfd98_7193,
    0xa679_438e,
    0x49b4_0821,
    0xf61e_2562,
    0xc040_b340,
    0x265e_5a51,
    0xe9b6_c7aa,
    0xd62f_105d,
    0x0244_1453,
    0xd8a1_e681,
    0xe7d3_fbc8,
    0x21e1_cde6,
    0xc337_07d6,
    0xf4d5_0d87,
    0x455a_14ed,
    0xa9e3_e905,
    0xfcef_a3f8,
    0x676f_02d9,
    0x8d2a_4c8a,
    0xfffa_3942,
    0x8771_f681,
    0x6d9d_6122,
    0xfde5_380c,
    0xa4be_ea44,
    0x4bde_cfa9,
    0xf6bb_4b60,
    0xbebf_bc70,
    0x289b_7ec6,
    0xeaa1_27fa,
    0xd4ef_3085,
    0x0488_1d05,
    0xd9d4_d039,
    0xe6db_99e5,
    0x1fa2_7cf8,
    0xc4ac_5665,
    0xf429_2244,
    0x432a_ff97,
    0xab94_23a7,
    0xfc93_a039,
    0x655b_59c3,
    0x8f0c_cc92,
    0xffef_f47d,
    0x8584_5dd1,
    0x6fa8_7e4f,
    0xfe2c_e6e0,
    0xa301_4314,
    0x4e08_11a1,
    0xf753_7e82,
    0xbd3a_f235,
    0x2ad7_d2bb,
    0xeb86_d391,
];
const ROTATIONS: [[u32; 4]; 4] = [[7, 12, 17, 22], [5, 9, 14, 20], [4, 11, 16, 23], [6, 10, 15, 21]];

/// A running MD5.
#[derive(Clone)]
pub(super) struct Md5Stream {
    state: [u32; 4],
    /// The beginning of a block whose end has not come yet.
    partial: [u8; BLOCK_BYTES],
    length: u64,
}

impl Md5Stream {
    /// Of no bytes yet.
    pub fn new() -> Self {
        Self { state: INITIAL, partial: [0; BLOCK_BYTES], length: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, data: &[u8]) {
        let rest = self.complete_block(data);
        let (whole, tail) = rest.split_at(rest.len() - rest.len() % BLOCK_BYTES);
        compress([&mut self.state], [whole], whole.len() / BLOCK_BYTES);
        self.length += whole.len() as u64;
        self.keep(tail);
    }

    /// The digest of everything added.
    pub fn finish(mut self) -> [u8; 16] {
        let bits = self.length.wrapping_mul(8);
        let held = self.held();
        // A one bit, zeros, and the length in the last eight bytes of a block.
        let zeros = (2 * BLOCK_BYTES - 1 - 8 - held) % BLOCK_BYTES;
        let mut padding = [0; 2 * BLOCK_BYTES];
        padding[0] = 0x80;
        padding[1 + zeros..1 + zeros + 8].copy_from_slice(&bits.to_le_bytes());
        self.update(&padding[..1 + zeros + 8]);
        let mut digest = [0; 16];
        for (bytes, word) in digest.chunks_exact_mut(4).zip(self.state) {
            bytes.copy_from_slice(&word.to_le_bytes());
        }
        digest
    }

    /// Bytes in `partial`.
    fn held(&self) -> usize {
        (self.length % BLOCK_BYTES as u64) as usize
    }

    /// Ends the block that was begun, if `data` reaches that far; what is left of `data` begins a block, or is empty.
    fn complete_block<'d>(&mut self, data: &'d [u8]) -> &'d [u8] {
        let held = self.held();
        if held == 0 {
            return data;
        }
        let (head, rest) = data.split_at(data.len().min(BLOCK_BYTES - held));
        self.keep(head);
        if self.held() == 0 && !head.is_empty() {
            compress([&mut self.state], [&self.partial], 1);
        }
        rest
    }

    /// Puts aside bytes that end no block, or end it exactly.
    fn keep(&mut self, bytes: &[u8]) {
        let held = self.held();
        self.partial[held..held + bytes.len()].copy_from_slice(bytes);
        self.length += bytes.len() as u64;
    }
}

/// A stream and the bytes it is to be given.
pub(super) struct Feed<'f> {
    stream: &'f mut Md5Stream,
    pieces: Box<dyn Iterator<Item = &'f Bytes> + 'f>,
    /// What is left of the current piece; begins a block.
    rest: &'f [u8],
}

impl<'f> Feed<'f> {
    /// `pieces` for `stream`, in order.
    pub fn new(stream: &'f mut Md5Stream, pieces: impl Iterator<Item = &'f Bytes> + 'f) -> Self {
        Self { stream, pieces: Box::new(pieces), rest: &[] }
    }

    /// Goes on to where a whole block begins; how many whole blocks follow there, none at the end.
    fn blocks_ahead(&mut self) -> usize {
        while self.rest.len() < BLOCK_BYTES {
            self.stream.keep(self.rest);
            let Some(piece) = self.pieces.next() else {
                self.rest = &[];
                return 0;
            };
            self.rest = self.stream.complete_block(piece);
        }
        self.rest.len() / BLOCK_BYTES
    }

    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
        self.stream.length += bytes as u64;
    }
}

/// Feeds every stream, up to [`LANES_MAX`] at a time.
pub(super) fn update_together(mut feeds: Vec<Feed<'_>>) {
    loop {
        feeds.retain_mut(|feed| feed.blocks_ahead() > 0);
        let lanes = &mut feeds[..];
        let lanes = match lanes.len() {
            0 => return,
            count => &mut lanes[..count.min(LANES_MAX)],
        };
        let blocks = lanes.iter().map(|feed| feed.rest.len() / BLOCK_BYTES).min().unwrap_or_default();
        match lanes {
            [a, b, c] => {
                let states = [&mut a.stream.state, &mut b.stream.state, &mut c.stream.state];
                compress(states, [a.rest, b.rest, c.rest], blocks);
            }
            [a, b] => compress([&mut a.stream.state, &mut b.stream.state], [a.rest, b.rest], blocks),
            [a] => compress([&mut a.stream.state], [a.rest], blocks),
            _ => unreachable!("between one and LANES_MAX"),
        }
        for lane in lanes {
            lane.advance(blocks * BLOCK_BYTES);
        }
    }
}

/// One word of each lane.
type Words<const LANES: usize> = [u32; LANES];

/// Takes `blocks` blocks from the beginning of each lane's data into its state.
fn compress<const LANES: usize>(states: [&mut [u32; 4]; LANES], data: [&[u8]; LANES], blocks: usize) {
    let mut sums: [Words<LANES>; 4] = std::array::from_fn(|word| std::array::from_fn(|lane| states[lane][word]));
    for block in 0..blocks {
        let mut message = [[0; LANES]; 16];
        for (lane, data) in data.iter().enumerate() {
            let bytes = &data[block * BLOCK_BYTES..][..BLOCK_BYTES];
            let (words, _) = bytes.as_chunks::<4>();
            for (word, bytes) in message.iter_mut().zip(words) {
                word[lane] = u32::from_le_bytes(*bytes);
            }
        }
        let mixed = mix(sums, &message);
        for (sum, mixed) in sums.iter_mut().zip(mixed) {
            for (sum, mixed) in sum.iter_mut().zip(mixed) {
                *sum = sum.wrapping_add(mixed);
            }
        }
    }
    for (lane, state) in states.into_iter().enumerate() {
        *state = sums.map(|sum| sum[lane]);
    }
}

/// The 64 steps, unrolled so that each one's constants are in its instructions.
#[inline(always)]
fn mix<const LANES: usize>(sums: [Words<LANES>; 4], message: &[Words<LANES>; 16]) -> [Words<LANES>; 4] {
    let [mut a, mut b, mut c, mut d] = sums;
    macro_rules! steps {
        ($($number:literal)*) => { $(
            let next = step::<LANES, $number>([a, b, c, d], message);
            (a, d, c, b) = (d, c, b, next);
        )* };
    }
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    steps!(16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
    steps!(32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47);
    steps!(48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
    [a, b, c, d]
}

/// Step `NUMBER` of every lane: the new `b`.
#[inline(always)]
fn step<const LANES: usize, const NUMBER: usize>(
    [a, b, c, d]: [Words<LANES>; 4],
    message: &[Words<LANES>; 16],
) -> Words<LANES> {
    let round = NUMBER / 16;
    let word = match round {
        0 => NUMBER,
        1 => (5 * NUMBER + 1) % 16,
        2 => (3 * NUMBER + 5) % 16,
        _ => (7 * NUMBER) % 16,
    };
    let rotation = ROTATIONS[round][NUMBER % 4];
    std::array::from_fn(|lane| {
        let (b, c, d) = (b[lane], c[lane], d[lane]);
        // First what does not wait for `b`, which comes from the step before.
        let early = a[lane].wrapping_add(message[word][lane]).wrapping_add(SINES[NUMBER]);
        let sum = match round {
            0 => early.wrapping_add(d ^ (b & (c ^ d))),
            1 => early.wrapping_add(c & !d).wrapping_add(b & d),
            2 => early.wrapping_add(b ^ (c ^ d)),
            _ => early.wrapping_add(c ^ (b | !d)),
        };
        b.wrapping_add(sum.rotate_left(rotation))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use md5::Digest as _;
    use proptest::prelude::*;

    fn reference(data: &[u8]) -> [u8; 16] {
        md5::Md5::digest(data).into()
    }

    #[test]
    fn the_digests_of_the_rfc() {
        for (text, expected) in [
            ("", "d41d8cd98f00b204e9800998ecf8427e"),
            ("abc", "900150983cd24fb0d6963f7d28e17f72"),
            (
                "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
                "57edf4a22be3c955ac49da2e2107b67a",
            ),
        ] {
            let mut stream = Md5Stream::new();
            stream.update(text.as_bytes());
            assert_eq!(hex::encode(stream.finish()), expected);
        }
    }

    #[test]
    fn every_length_around_a_block_is_padded_right() {
        let data: Vec<u8> = (0..300).map(|at| at as u8).collect();
        for length in 0..data.len() {
            let mut stream = Md5Stream::new();
            stream.update(&data[..length]);
            assert_eq!(stream.finish(), reference(&data[..length]), "{length} bytes");
        }
    }

    /// Bodies in pieces whose ends fall anywhere in a block.
    fn bodies() -> impl Strategy<Value = Vec<Vec<Bytes>>> {
        let piece = (0usize..700, any::<u8>())
            .prop_map(|(length, first)| Bytes::from_iter((0..length).map(|at| first.wrapping_add(at as u8))));
        prop::collection::vec(prop::collection::vec(piece, 0..6), 0..6)
    }

    proptest! {
        #[test]
        fn together_is_as_each_alone(bodies in bodies(), again in bodies()) {
            let mut streams = vec![Md5Stream::new(); bodies.len()];
            update_together(streams.iter_mut().zip(&bodies).map(|(s, body)| Feed::new(s, body.iter())).collect());
            update_together(streams.iter_mut().zip(&again).map(|(s, body)| Feed::new(s, body.iter())).collect());
            for (index, (stream, body)) in streams.into_iter().zip(&bodies).enumerate() {
                let more = again.get(index).map_or(Vec::new(), |body| body.concat());
                prop_assert_eq!(stream.finish(), reference(&[body.concat(), more].concat()));
            }
        }

        #[test]
        fn pieces_are_as_the_whole(pieces in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..8)) {
            let mut stream = Md5Stream::new();
            pieces.iter().for_each(|piece| stream.update(piece));
            prop_assert_eq!(stream.finish(), reference(&pieces.concat()));
        }
    }
}
