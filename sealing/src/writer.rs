//! An object's bytes as users send them, on their way to how they are stored.

use crate::sealer::StreamSealer;
use bytes::Bytes;
use granary_client::{Client, ContentWriter, StoredContent};
use granary_protocol::Failure;
use granary_protocol::encryption::sealed_length;
use granary_protocol::object::StorageClass;

/// Writes one content.
pub struct ObjectWriter {
    stored: ContentWriter,
    sealer: Option<StreamSealer>,
}

impl ObjectWriter {
    /// A writer of `length` bytes, where that is known, which are sealed on the way if there is a sealer.
    pub fn new(client: &Client, length: Option<u64>, class: StorageClass, sealer: Option<StreamSealer>) -> Self {
        let size_hint = length.map(|length| if sealer.is_some() { sealed_length(length) } else { length });
        Self { stored: client.writer(size_hint, class), sealer }
    }

    /// Takes the next piece.
    ///
    /// # Errors
    /// As [`ContentWriter::write`].
    pub async fn write(&mut self, piece: Bytes) -> Result<(), Failure> {
        match &mut self.sealer {
            None => self.stored.write(piece).await,
            Some(sealer) => self.stored.write(sealer.push(&piece)).await,
        }
    }

    /// Ends the content: durable, and `None` for no bytes at all.
    ///
    /// # Errors
    /// As [`ContentWriter::finish`].
    pub async fn finish(mut self) -> Result<Option<StoredContent>, Failure> {
        if let Some(sealer) = self.sealer {
            self.stored.write(sealer.finish()).await?;
        }
        self.stored.finish().await
    }
}
