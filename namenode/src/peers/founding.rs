//! How the first peers begin: each learns the disks of all the others before it votes.
//!
//! All of them must be up once. Afterwards a majority is enough.

use super::words::{Introduce, Introduced, method};
use crate::config::{Config, PeerConfig};
use crate::startup::NamenodeError;
use bytes::Bytes;
use granary_protocol::{Failure, PeerId};
use granary_rpc::{RpcClient, RpcError, Security};
use std::collections::BTreeMap;
use std::time::Duration;

/// How long one introduction may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);
/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(100);
/// Attempts between two lines of log.
const ATTEMPTS_PER_LINE: u32 = 100;

/// Asks every other first peer for its incarnation, for as long as that takes; all of them, `own` included.
///
/// # Errors
/// One of them knows another disk under this peer's number: this one was emptied or replaced.
pub(crate) async fn found(
    config: &Config,
    own: u64,
    security: &Security,
) -> Result<BTreeMap<PeerId, u64>, NamenodeError> {
    let mut founders = BTreeMap::from([(config.peer, own)]);
    for other in config.peers.iter().filter(|other| other.peer != config.peer) {
        founders.insert(other.peer, meet(config.peer, own, other, security).await?);
    }
    Ok(founders)
}

async fn meet(own: PeerId, incarnation: u64, other: &PeerConfig, security: &Security) -> Result<u64, NamenodeError> {
    let client = RpcClient::new(other.address.as_str(), security.clone());
    let body = postcard::to_stdvec(&Introduce { peer: own, incarnation }).expect("two numbers always encode");
    let mut attempts: u32 = 0;
    loop {
        match client.call(method::INTRODUCE, Bytes::from(body.clone()), CALL_TIMEOUT).await {
            Ok(answer) => match postcard::from_bytes::<Introduced>(&answer) {
                Ok(introduced) if introduced.peer == other.peer => return Ok(introduced.incarnation),
                Ok(introduced) => {
                    let why = format!("{} is peer {}, not peer {}", other.address, introduced.peer, other.peer);
                    return Err(NamenodeError::Config(why));
                }
                Err(error) => tracing::debug!(peer = %other.name, %error, "an introduction is not understood"),
            },
            Err(RpcError::Remote(refusal)) => match postcard::from_bytes::<Failure>(&refusal) {
                Ok(failure) if failure.code == granary_protocol::ErrorCode::AccessDenied => {
                    return Err(NamenodeError::Config(failure.detail));
                }
                _ => {}
            },
            Err(error) => {
                if attempts.is_multiple_of(ATTEMPTS_PER_LINE) {
                    tracing::info!(peer = %other.name, %error, "waiting for the other first peers");
                }
            }
        }
        attempts += 1;
        tokio::time::sleep(PAUSE).await;
    }
}
