//! Compressed input, told by the end of an object's name as Hadoop tells it.

use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use std::io::{BufRead, BufReader, Error, ErrorKind, Read, Result};

/// How an object is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Codec {
    Plain,
    Gzip,
    Zstd,
    Bzip2,
}

/// Bytes read from the store at a time.
const READ_BYTES: usize = 256 << 10;

impl Codec {
    /// Of an object with this key.
    pub fn of(key: &str) -> Codec {
        match key.rsplit_once('.') {
            Some((_, "gz")) => Codec::Gzip,
            Some((_, "zst")) => Codec::Zstd,
            Some((_, "bz2")) => Codec::Bzip2,
            _ => Codec::Plain,
        }
    }

    /// Whether reading can begin elsewhere than at the beginning.
    pub fn splits(self) -> bool {
        matches!(self, Codec::Plain | Codec::Bzip2)
    }

    /// The bytes as they were before compression; several compressed streams one after the other are one.
    pub fn decode<'a>(self, from: impl Read + Send + 'a) -> Result<Box<dyn Read + Send + 'a>> {
        let from = BufReader::with_capacity(READ_BYTES, from);
        Ok(match self {
            // Pieces of bzip2 have a reader of their own.
            Codec::Plain | Codec::Bzip2 => Box::new(from),
            Codec::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(from)),
            Codec::Zstd => Box::new(ZstdFrames { frames: FrameDecoder::new(), from, inside: false }),
        })
    }
}

/// Frames of zstd one after the other, skippable ones left out, checksums verified where there are any.
struct ZstdFrames<R: Read> {
    frames: FrameDecoder,
    from: BufReader<R>,
    inside: bool,
}

impl<R: Read> ZstdFrames<R> {
    /// The next frame that holds data. False: the object has ended.
    fn next_frame(&mut self) -> Result<bool> {
        loop {
            if self.from.fill_buf()?.is_empty() {
                return Ok(false);
            }
            match self.frames.init(&mut self.from) {
                Ok(()) => return Ok(true),
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    std::io::copy(&mut self.from.by_ref().take(length.into()), &mut std::io::sink())?;
                }
                Err(error) => return Err(Error::new(ErrorKind::InvalidData, error.to_string())),
            }
        }
    }

    fn verify(&self) -> Result<()> {
        match (self.frames.get_checksum_from_data(), self.frames.get_calculated_checksum()) {
            (Some(stored), Some(computed)) if stored != computed => {
                Err(Error::new(ErrorKind::InvalidData, "the checksum of a frame does not match"))
            }
            _ => Ok(()),
        }
    }
}

impl<R: Read> Read for ZstdFrames<R> {
    fn read(&mut self, into: &mut [u8]) -> Result<usize> {
        while !into.is_empty() {
            if !self.inside {
                self.inside = self.next_frame()?;
                if !self.inside {
                    return Ok(0);
                }
            }
            let read = self.frames.read(into)?;
            if read > 0 {
                return Ok(read);
            }
            if self.frames.is_finished() {
                self.verify()?;
                self.inside = false;
            } else {
                let enough = BlockDecodingStrategy::UptoBytes(into.len());
                self.frames
                    .decode_blocks(&mut self.from, enough)
                    .map_err(|error| Error::new(ErrorKind::InvalidData, error.to_string()))?;
            }
        }
        Ok(0)
    }
}
