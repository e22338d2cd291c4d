//! [`SealedReads`]: plaintext of encrypted files, beside a datanode.
//!
//! The sealed bytes come from whatever replica has them: a block of plaintext is a little longer when it is sealed, so some
//! of it lies in the next stored block, perhaps elsewhere. No key and no plaintext is kept beyond a read.

use super::token::SealedBlock;
use crate::cluster_key::ClusterKey;
use crate::proto::Token;
use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_client::Client;
use granary_protocol::datanode::ReadStream;
use granary_protocol::encryption::{ObjectEncryption, SealedRun, sealed_range};
use granary_protocol::{BlockId, ErrorCode, Failure, UnixMillis};
use granary_sealing::{KeyStore, KeyStoreError, LayerKeys, ObjectReader, open_data_keys};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// Opens encrypted files.
pub struct SealedReads {
    client: Client,
    /// `None` without a master key.
    keys: Option<Arc<dyn KeyStore>>,
    signed_with: ClusterKey,
}

impl SealedReads {
    /// One that reads with `client` and has keys opened by `keys`, if it has any.
    pub fn new(client: Client, keys: Option<Arc<dyn KeyStore>>, signed_with: ClusterKey) -> SealedReads {
        SealedReads { client, keys, signed_with }
    }

    /// The block that a client's token allows to read, named `block` by the client.
    ///
    /// # Errors
    /// `InvalidToken`; those of [`SealedReads::data_keys`].
    pub async fn open(&self, token: &Token, block: BlockId) -> Result<SealedSource, Failure> {
        let now = UnixMillis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64);
        let found = SealedBlock::from_hadoop(self.signed_with.get().await?, token, now)?;
        if found.block != block {
            return Err(Failure::new(ErrorCode::InvalidToken, "the block token is for something else"));
        }
        let keys = self.data_keys(&found.encryption).await?;
        Ok(SealedSource { client: self.client.clone(), block: found, keys })
    }

    /// The data keys of an object.
    ///
    /// # Errors
    /// `Unsupported` without a master key, `AccessDenied` for a key that is disabled or its owner's alone, the namenode's.
    pub async fn data_keys(&self, kept: &ObjectEncryption) -> Result<LayerKeys, Failure> {
        let Some(keys) = &self.keys else {
            return Err(Failure::new(
                ErrorCode::Unsupported,
                "this datanode has no master key: encrypted files are not read here",
            ));
        };
        match open_data_keys(&**keys, kept).await {
            Ok(Some(opened)) => Ok(opened),
            Ok(None) => Err(Failure::new(ErrorCode::AccessDenied, "encrypted with a key that only its owner has")),
            Err(KeyStoreError::Unavailable(failure)) => Err(failure),
            Err(error @ (KeyStoreError::Disabled(_) | KeyStoreError::NotFound(_) | KeyStoreError::InvalidName(_))) => {
                Err(Failure::new(ErrorCode::AccessDenied, error.to_string()))
            }
            Err(error) => Err(Failure::new(ErrorCode::Internal, error.to_string())),
        }
    }
}

/// A block of plaintext that may be read.
pub struct SealedSource {
    client: Client,
    block: SealedBlock,
    keys: LayerKeys,
}

impl SealedSource {
    /// Bytes of the block.
    pub fn length(&self) -> u32 {
        u32::try_from(self.block.run.length).unwrap_or(u32::MAX)
    }

    /// Some of its bytes. They must lie within it.
    pub fn read(self, start: u32, bytes: u32) -> Box<dyn ReadStream> {
        let SealedBlock { content, run_starts_at, run, .. } = self.block;
        let run = SealedRun { offset: run.offset + u64::from(start), length: bytes.into(), ..run };
        let (from, stored) = sealed_range(run.offset, run.length, run.plain_size);
        let sealed = self.client.read_content(content, run_starts_at + from, stored);
        Box::new(Opened(ObjectReader::of_stored(sealed, vec![run], self.keys)))
    }
}

struct Opened(ObjectReader);

impl ReadStream for Opened {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        self.0.next().boxed()
    }
}
