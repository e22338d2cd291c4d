//! A file of metadata.
//!
//! ```text
//! "GRNMETA1" | then for each row, in ascending order of keys: key length u32 | key | value length u32 | value
//! | 0 u32 | rows u64 | SHA-256 of everything before it
//! ```
//!
//! Numbers are little-endian. No key is empty, so that a length of 0 ends the rows. Rows are those of `state::layout`, of
//! the `layout_version` that is one of them.

use crate::engine::{KEY_BYTES_MAX, VALUE_BYTES_MAX};
use sha2::{Digest, Sha256};
use std::io::{self, Read, Write};

const MAGIC: [u8; 8] = *b"GRNMETA1";

/// What was written or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// Rows.
    pub rows: u64,
    /// The hash at the end of the file.
    pub sha256: [u8; 32],
}

/// Writes a file of metadata.
pub struct FileWriter<W> {
    to: W,
    hash: Sha256,
    rows: u64,
}

impl<W: Write> FileWriter<W> {
    /// Begins one.
    ///
    /// # Errors
    /// The writer's.
    pub fn new(to: W) -> io::Result<FileWriter<W>> {
        let mut writer = FileWriter { to, hash: Sha256::new(), rows: 0 };
        writer.put(&MAGIC)?;
        Ok(writer)
    }

    /// The next row. Keys ascend.
    ///
    /// # Errors
    /// The writer's.
    pub fn row(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        assert!(!key.is_empty() && key.len() <= KEY_BYTES_MAX && value.len() <= VALUE_BYTES_MAX, "a row of an engine");
        for part in [key, value] {
            self.put(&(part.len() as u32).to_le_bytes())?;
            self.put(part)?;
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends the file; gives the writer back.
    ///
    /// # Errors
    /// The writer's.
    pub fn finish(mut self) -> io::Result<(Summary, W)> {
        self.put(&0u32.to_le_bytes())?;
        let rows = self.rows;
        self.put(&rows.to_le_bytes())?;
        let sha256: [u8; 32] = self.hash.finalize().into();
        self.to.write_all(&sha256)?;
        self.to.flush()?;
        Ok((Summary { rows, sha256 }, self.to))
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.to.write_all(bytes)
    }
}

/// Reads a whole file; `row` is given each row. Only the answer says that they were right.
///
/// # Errors
/// `InvalidData` for a file that is cut short, altered, or something else; the reader's, and those of `row`.
pub fn read(from: impl Read, mut row: impl FnMut(&[u8], &[u8]) -> io::Result<()>) -> io::Result<Summary> {
    let mut reader = FileReader { from, hash: Sha256::new() };
    if reader.take(MAGIC.len())? != MAGIC {
        return Err(bad("it is no file of metadata"));
    }
    let (mut rows, mut last) = (0u64, Vec::new());
    loop {
        let length = reader.number()? as usize;
        if length == 0 {
            break;
        }
        if length > KEY_BYTES_MAX {
            return Err(bad("a key is too long"));
        }
        let key = reader.take(length)?;
        if key <= last {
            return Err(bad("its keys are not in order"));
        }
        let length = reader.number()? as usize;
        if length > VALUE_BYTES_MAX {
            return Err(bad("a value is too long"));
        }
        let value = reader.take(length)?;
        row(&key, &value)?;
        (rows, last) = (rows + 1, key);
    }
    let counted = reader.take(8)?;
    if counted != rows.to_le_bytes() {
        return Err(bad("rows are missing"));
    }
    let FileReader { mut from, hash } = reader;
    let sha256: [u8; 32] = hash.finalize().into();
    let mut stored = [0; 32];
    from.read_exact(&mut stored)?;
    if stored != sha256 {
        return Err(bad("its hash is wrong: it was altered"));
    }
    match from.read(&mut [0])? {
        0 => Ok(Summary { rows, sha256 }),
        _ => Err(bad("something follows its end")),
    }
}

struct FileReader<R> {
    from: R,
    hash: Sha256,
}

impl<R: Read> FileReader<R> {
    fn take(&mut self, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.from.read_exact(&mut bytes).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => bad("it is cut short"),
            _ => error,
        })?;
        self.hash.update(&bytes);
        Ok(bytes)
    }

    fn number(&mut self) -> io::Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes were asked for")))
    }
}

fn bad(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> (Summary, Vec<u8>) {
        let mut writer = FileWriter::new(Vec::new()).unwrap();
        for number in 0..50u8 {
            writer.row(&[1, number], &vec![number; usize::from(number)]).unwrap();
        }
        writer.finish().unwrap()
    }

    #[test]
    fn rows_come_back_as_they_were() {
        let (summary, bytes) = written();
        let mut number = 0u8;
        let read = read(&bytes[..], |key, value| {
            assert_eq!((key, value), (&[1, number][..], &vec![number; usize::from(number)][..]));
            number += 1;
            Ok(())
        });
        assert_eq!(read.unwrap(), summary);
        assert_eq!(summary.rows, 50);
    }

    #[test]
    fn no_altered_bit_and_no_missing_byte_goes_unnoticed() {
        let (_, bytes) = written();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(read(&altered[..], |_, _| Ok(())).is_err(), "byte {at}");
            assert!(read(&bytes[..at], |_, _| Ok(())).is_err(), "cut at {at}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(read(&longer[..], |_, _| Ok(())).is_err());
    }
}
