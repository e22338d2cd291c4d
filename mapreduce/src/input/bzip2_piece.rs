//! A piece of an object compressed by bzip2: its blocks are independent and begin, at any bit, with a mark of 48 bits.
//!
//! A block belongs to the piece its mark begins in. Of the text in them a reader takes whole lines: unless it has the
//! object's beginning it drops what comes up to and with the first `\n`, and it goes on behind its last block up to and
//! with the first `\n` there. (That a line may begin exactly with a block is thereby no case of its own.)
//!
//! Each block is given to the decoder as a stream of its own, which verifies its checksum.

use bzip2::read::BzDecoder;
use std::io::{Cursor, Error, ErrorKind, Read, Result};

const BLOCK_MARK: u64 = 0x3141_5926_5359;
const END_MARK: u64 = 0x1772_4538_5090;
const MARK_BITS: u64 = 48;
const MARK_MASK: u64 = (1 << MARK_BITS) - 1;
/// Bytes a block may have, compressed: 900,000 and what Huffman coding adds at worst.
const BLOCK_BYTES_MAX: usize = 2 << 20;
/// Bytes read at a time.
const READ_BYTES: usize = 64 << 10;
/// How often a mark that turns out to be part of a block's data is passed over.
const FALSE_MARKS_MAX: usize = 3;

/// The lines of a piece, as they were before compression.
pub(super) struct Bzip2Piece<R> {
    marks: Marks<R>,
    /// The mark the next block begins with.
    next: Option<Mark>,
    /// Blocks from this bit on are another piece's.
    end_bit: u64,
    block: Option<BzDecoder<Cursor<Vec<u8>>>>,
    /// Bytes of the block that have been decoded ahead.
    ahead: Cursor<Vec<u8>>,
    /// Before the first `\n`.
    skipping: bool,
    /// Behind its last block.
    past: bool,
    done: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mark {
    bit: u64,
    block: bool,
}

impl<R: Read> Bzip2Piece<R> {
    /// `from` gives the object from byte `begin` to its end; `end` is where the piece ends.
    pub fn open(mut from: R, begin: u64, end: u64) -> Result<Self> {
        if begin == 0 {
            let mut magic = [0; 4];
            from.read_exact(&mut magic)?;
            if !magic.starts_with(b"BZh") {
                return Err(damaged("it does not begin as bzip2 does"));
            }
        }
        let first = if begin == 0 { 4 } else { begin };
        let mut marks = Marks { from, bytes: Vec::new(), base: first, scanned: 0, window: 0, first_bit: first * 8 };
        let next = marks.next()?;
        if begin == 0 && next.is_none() {
            return Err(damaged("it ends early"));
        }
        Ok(Bzip2Piece {
            marks,
            next,
            end_bit: end * 8,
            block: None,
            ahead: Cursor::new(Vec::new()),
            skipping: begin > 0,
            past: false,
            done: false,
        })
    }

    /// Decoded bytes, of the next block if need be. Zero: there are no more that are wanted.
    fn decoded(&mut self, into: &mut [u8]) -> Result<usize> {
        loop {
            let read = self.ahead.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            if let Some(block) = &mut self.block {
                let read = block.read(into)?;
                if read > 0 {
                    return Ok(read);
                }
                self.block = None;
            }
            if !self.next_block()? {
                return Ok(0);
            }
        }
    }

    /// Goes to the next block. False: it is not wanted, or there is none.
    fn next_block(&mut self) -> Result<bool> {
        while let Some(mark) = self.next {
            if !mark.block {
                // The end of a stream; another may follow.
                self.marks.forget_before(mark.bit + MARK_BITS);
                self.next = self.marks.next()?;
                continue;
            }
            if mark.bit >= self.end_bit {
                // A line that began before this piece and has not ended in it is all another's.
                if self.skipping {
                    return Ok(false);
                }
                self.past = true;
            }
            return self.start_block(mark).map(|()| true);
        }
        Ok(false)
    }

    /// Decodes the beginning of the block. Only a true end gives any bytes: what looks like a mark within a block makes
    /// the decoder fail before its first, and the block is tried again up to the next mark.
    fn start_block(&mut self, mark: Mark) -> Result<()> {
        let mut last = damaged("a block cannot be decoded");
        for _ in 0..FALSE_MARKS_MAX {
            let Some(end) = self.marks.next()? else { return Err(damaged("it ends early")) };
            let mut block = BzDecoder::new(Cursor::new(self.marks.stream_of(mark.bit, end.bit)));
            let mut first = vec![0; READ_BYTES];
            match block.read(&mut first) {
                Ok(read) if read > 0 => {
                    first.truncate(read);
                    self.ahead = Cursor::new(first);
                    self.block = Some(block);
                    self.next = Some(end);
                    self.marks.forget_before(end.bit);
                    return Ok(());
                }
                Ok(_) => {}
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

impl<R: Read> Read for Bzip2Piece<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while !self.done {
            let read = self.decoded(into)?;
            if read == 0 {
                self.done = true;
                break;
            }
            let first_end = memchr::memchr(b'\n', &into[..read]);
            if self.past {
                self.done = first_end.is_some();
                return Ok(first_end.map_or(read, |place| place + 1));
            }
            if !self.skipping {
                return Ok(read);
            }
            if let Some(place) = first_end {
                self.skipping = false;
                into.copy_within(place + 1..read, 0);
                if place + 1 < read {
                    return Ok(read - place - 1);
                }
            }
        }
        Ok(0)
    }
}

/// Finds marks, and keeps the bytes since the last one that is needed.
struct Marks<R> {
    from: R,
    bytes: Vec<u8>,
    /// Where in the object `bytes` begins.
    base: u64,
    /// How many of `bytes` have been looked at.
    scanned: usize,
    /// The last bits looked at.
    window: u64,
    /// Marks before this bit are not wanted: they may be made of bits that were never read.
    first_bit: u64,
}

impl<R: Read> Marks<R> {
    /// The next mark. `None`: the object has ended.
    fn next(&mut self) -> Result<Option<Mark>> {
        loop {
            while self.scanned < self.bytes.len() {
                self.window = self.window << 8 | u64::from(self.bytes[self.scanned]);
                self.scanned += 1;
                if let Some(mark) = self.mark_ending_here() {
                    return Ok(Some(mark));
                }
            }
            if self.bytes.len() > BLOCK_BYTES_MAX {
                return Err(damaged("a block is too long"));
            }
            let kept = self.bytes.len();
            self.bytes.resize(kept + READ_BYTES, 0);
            let read = self.from.read(&mut self.bytes[kept..])?;
            self.bytes.truncate(kept + read);
            if read == 0 {
                return Ok(None);
            }
        }
    }

    /// A mark whose last bit is in the byte looked at last.
    fn mark_ending_here(&self) -> Option<Mark> {
        let end = (self.base + self.scanned as u64) * 8;
        (0..8).rev().find_map(|shift| {
            let bits = self.window >> shift & MARK_MASK;
            let bit = (end - shift).checked_sub(MARK_BITS).filter(|&bit| bit >= self.first_bit)?;
            (bits == BLOCK_MARK || bits == END_MARK).then_some(Mark { bit, block: bits == BLOCK_MARK })
        })
    }

    /// Drops the bytes before a bit.
    fn forget_before(&mut self, bit: u64) {
        let bytes = ((bit / 8 - self.base) as usize).min(self.scanned);
        self.bytes.drain(..bytes);
        self.base += bytes as u64;
        self.scanned -= bytes;
    }

    /// The bits from one mark to another as a stream of one block, whose checksum is the block's.
    fn stream_of(&self, begin: u64, end: u64) -> Vec<u8> {
        let (from, shift) = ((begin / 8 - self.base) as usize, begin % 8);
        let bits = end - begin;
        let byte_at = |index: u64| {
            let at = from + index as usize;
            let pair = u16::from_be_bytes([self.bytes[at], self.bytes.get(at + 1).copied().unwrap_or(0)]);
            (pair >> (8 - shift)) as u8
        };
        let mut stream = b"BZh9".to_vec();
        stream.extend((0..bits / 8).map(byte_at));
        let checksum: [u8; 4] = stream[10..14].try_into().expect("a mark and a checksum begin a block");
        // The bits that are left, the end's mark and the checksum, one behind the other.
        let left = bits % 8;
        let mut tail = if left == 0 { 0 } else { u128::from(byte_at(bits / 8) >> (8 - left)) };
        tail = tail << MARK_BITS | u128::from(END_MARK);
        tail = tail << 32 | u128::from(u32::from_be_bytes(checksum));
        let tail_bits = left + MARK_BITS + 32;
        let aligned = tail_bits.next_multiple_of(8);
        tail <<= aligned - tail_bits;
        stream.extend_from_slice(&tail.to_be_bytes()[16 - (aligned / 8) as usize..]);
        stream
    }
}

fn damaged(what: &str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}
