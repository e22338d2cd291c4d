//! An object's bytes as users see them, however they are stored.

use crate::layers::LayerKeys;
use crate::opener::{OpenError, WindowOpener};
use bytes::Bytes;
use granary_client::{Client, ContentReader};
use granary_protocol::encryption::SealedRun;
use granary_protocol::namenode::ObjectRead;
use granary_protocol::{ErrorCode, Failure};

/// Reads one window of an object.
pub struct ObjectReader {
    stored: ContentReader,
    opener: Option<WindowOpener>,
}

impl ObjectReader {
    /// A reader of the window that `read` locates, opened with `keys` if it is sealed.
    pub fn new(client: &Client, read: ObjectRead, keys: Option<LayerKeys>) -> Self {
        let opener = keys.map(|keys| WindowOpener::new(keys, read.sealed.clone()));
        Self { stored: client.read(read), opener }
    }

    /// A reader of what `stored` reads, the sealed bytes of `runs` one after another.
    pub fn of_stored(stored: ContentReader, runs: Vec<SealedRun>, keys: LayerKeys) -> Self {
        Self { stored, opener: Some(WindowOpener::new(keys, runs)) }
    }

    /// The next piece, at most 1 MiB and a segment; `None` after the last. Not to be called again after an error.
    ///
    /// # Errors
    /// As [`ContentReader::next`]; `Internal` when what was read is not what was sealed.
    pub async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let piece = self.stored.next().await?;
            let Some(opener) = &mut self.opener else { return Ok(piece) };
            match piece {
                Some(sealed) => {
                    let plain = opener.push(&sealed).map_err(not_authentic)?;
                    if !plain.is_empty() {
                        return Ok(Some(plain));
                    }
                }
                None => return opener.finish().map(|()| None).map_err(not_authentic),
            }
        }
    }
}

fn not_authentic(error: OpenError) -> Failure {
    Failure::new(ErrorCode::Internal, format!("an encrypted object cannot be opened: {error}"))
}
