//! What an unfinished replica is worth after a crash.
//!
//! A packed replica is scanned: every record that is whole and matches its checksums counts, the first that does not
//! ends it (preallocated bytes are zeros, which are no record). An owned replica counts as far as the checksums that
//! were written with its last sync vouch for it; without any, it is worth nothing.
//!
//! The bytes are synced before they are reported: after a crash of the process alone they may still be in memory only.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use granary_protocol::block::{BLOCK_BYTES_MAX, BlockKind};
use granary_protocol::record::{HEADER_BYTES, RecordHeader};

use crate::chunk_sums::{ChunkSums, decode_file, vouched_bytes};
use crate::disk;
use crate::layout::ReplicaName;
use crate::open_replica::OpenReplica;

const SCAN_BUFFER_BYTES: usize = 1 << 20;

/// Recovers the replica whose data is at `path`. `sums` are the bytes of its checksums' file, if there is one.
pub(crate) fn recover(name: ReplicaName, path: &Path, sums: Option<Vec<u8>>) -> io::Result<OpenReplica> {
    let file = File::options().read(true).write(true).open(path)?;
    let covered = match name.kind {
        BlockKind::Packed => scan_records(&file)?,
        BlockKind::Owned | BlockKind::Parity => {
            vouched(&file, sums.and_then(|bytes| decode_file(&bytes, name.kind)).unwrap_or_default())?
        }
    };
    file.sync_data()?;
    let file_bytes = file.metadata()?.len();
    Ok(OpenReplica::recovered(name, path.to_owned(), file, covered, file_bytes))
}

fn scan_records(file: &File) -> io::Result<ChunkSums> {
    let mut reader = BufReader::with_capacity(SCAN_BUFFER_BYTES, file);
    let mut sums = ChunkSums::default();
    let mut header_bytes = [0u8; HEADER_BYTES];
    let mut payload = Vec::new();
    while read_whole(&mut reader, &mut header_bytes)? {
        let Ok(header) = RecordHeader::decode(&header_bytes) else { break };
        if sums.length() > BLOCK_BYTES_MAX - header.record_bytes() {
            break;
        }
        payload.resize(header.length as usize, 0);
        if !read_whole(&mut reader, &mut payload)? || header.verify(&payload).is_err() {
            break;
        }
        sums.append(&header_bytes);
        sums.append(&payload);
    }
    Ok(sums)
}

/// `false` at the end of the file, even in the middle of `into`.
fn read_whole(reader: &mut impl Read, into: &mut [u8]) -> io::Result<bool> {
    match reader.read_exact(into) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn vouched(file: &File, sums: Vec<u32>) -> io::Result<ChunkSums> {
    let data = disk::read_up_to(
        file,
        0,
        (sums.len() * granary_protocol::checksum::CHUNK_BYTES).min(BLOCK_BYTES_MAX as usize),
    )?;
    Ok(ChunkSums::of(&data[..vouched_bytes(&data, &sums)]))
}
