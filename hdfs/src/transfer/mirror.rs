//! The next member of a pipeline, as the one before it sees it: a client of the same protocol.

use super::message::{BlockOpResponse, OpWriteBlock, PipelineAck, Status};
use super::server::{Connection, KnownDatanodes, within};
use super::wire::{self, Op};
use crate::proto::DatanodeInfo;
use std::io;
use std::time::Duration;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

/// A member that is ready for packets.
pub(super) struct Mirror {
    pub packets: MirrorPackets,
    pub acks: MirrorAcks,
}

/// Packets, down.
pub(super) struct MirrorPackets {
    writer: OwnedWriteHalf,
    limit: Duration,
    /// Nothing more is sent after an error; the acknowledgements that do not come say the rest.
    broken: bool,
}

/// Acknowledgements, up.
pub(super) struct MirrorAcks {
    reader: BufReader<OwnedReadHalf>,
    limit: Duration,
}

/// A member that could not be made ready, as its predecessor tells it.
#[derive(Debug)]
pub(super) struct BadLink {
    /// `ip:port` of the member to avoid: the one asked, or one behind it.
    pub address: String,
    pub status: Status,
    pub message: String,
}

/// Where a datanode takes transfers.
pub(super) fn address_of(datanode: &DatanodeInfo) -> String {
    format!("{}:{}", datanode.id.ip_addr, datanode.id.xfer_port)
}

/// How long a member may take to answer with `behind` members behind it.
fn patience(limit: Duration, behind: usize) -> Duration {
    limit.saturating_mul(1 + behind as u32)
}

/// What the first target is to be asked, so that the rest of the pipeline follows behind it.
pub(super) fn forwarded(request: &OpWriteBlock) -> Option<(DatanodeInfo, OpWriteBlock)> {
    let (first, rest) = request.targets.split_first()?;
    let mut next = OpWriteBlock { targets: rest.to_vec(), source: None, ..request.clone() };
    next.storage_type = take_first(&mut next.target_storage_types);
    next.storage_id = take_first(&mut next.target_storage_ids);
    next.pinning = take_first(&mut next.target_pinnings);
    Some((first.clone(), next))
}

fn take_first<T>(items: &mut Vec<T>) -> Option<T> {
    (!items.is_empty()).then(|| items.remove(0))
}

impl Mirror {
    /// Connects to `target`, if it is a datanode, and asks it to be ready for the block. `setup` and `packets` are limits of
    /// time for it alone.
    pub async fn open(
        known: &dyn KnownDatanodes,
        target: &DatanodeInfo,
        request: &OpWriteBlock,
        setup: Duration,
        packets: Duration,
    ) -> Result<Mirror, BadLink> {
        let address = address_of(target);
        if !known.is_known(&address).await {
            let message = format!("{address} is not a datanode of this cluster");
            return Err(BadLink { address, status: Status::Error, message });
        }
        let unreachable = |error: io::Error| BadLink {
            address: address.clone(),
            status: Status::Error,
            message: format!("{address}: {error}"),
        };
        let opening = async {
            let mut connection = Connection::new(TcpStream::connect(address.as_str()).await?)?;
            wire::write_request(&mut connection.writer, Op::WriteBlock, request).await?;
            let response: BlockOpResponse = wire::read_message(&mut connection.reader).await?;
            Ok((connection, response))
        };
        let behind = request.targets.len();
        let (connection, response) = within(patience(setup, behind), opening).await.map_err(unreachable)?;
        if response.status() != Status::Success {
            let further = response.first_bad_link.clone().filter(|link| !link.is_empty());
            return Err(BadLink {
                address: further.unwrap_or_else(|| address.clone()),
                status: response.status(),
                message: format!("{address}: {}", response.message()),
            });
        }
        let limit = patience(packets, behind);
        Ok(Mirror {
            packets: MirrorPackets { writer: connection.writer, limit, broken: false },
            acks: MirrorAcks { reader: connection.reader, limit },
        })
    }
}

impl MirrorPackets {
    /// Passes a packet on as it came.
    pub async fn send(&mut self, raw: &[u8]) {
        if !self.broken {
            self.broken = within(self.limit, self.writer.write_all(raw)).await.is_err();
        }
    }

    /// Passes a packet on, for a sender that must know.
    pub async fn send_or_fail(&mut self, raw: &[u8]) -> io::Result<()> {
        within(self.limit, self.writer.write_all(raw)).await
    }
}

impl MirrorAcks {
    /// The next acknowledgement, which must be that of `seqno`.
    pub async fn next(&mut self, seqno: i64) -> io::Result<PipelineAck> {
        let ack: PipelineAck = within(self.limit, wire::read_message(&mut self.reader)).await?;
        if ack.seqno != seqno {
            let what = format!("packet {} acknowledged, expected {seqno}", ack.seqno);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(ack)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::DatanodeId;

    #[test]
    fn a_request_is_shifted_by_one_member() {
        let member = |ip: &str| DatanodeInfo {
            id: DatanodeId { ip_addr: ip.to_owned(), xfer_port: 9866, ..DatanodeId::default() },
            ..DatanodeInfo::default()
        };
        let request = OpWriteBlock {
            targets: vec![member("10.0.0.2"), member("10.0.0.3")],
            storage_type: Some(1),
            target_storage_types: vec![2, 3],
            storage_id: Some("a".to_owned()),
            target_storage_ids: vec!["b".to_owned(), "c".to_owned()],
            pipeline_size: 3,
            ..OpWriteBlock::default()
        };
        let (second, to_second) = forwarded(&request).unwrap();
        assert_eq!(address_of(&second), "10.0.0.2:9866");
        assert_eq!((to_second.storage_type, to_second.storage_id.as_deref()), (Some(2), Some("b")));
        let (third, to_third) = forwarded(&to_second).unwrap();
        assert_eq!(address_of(&third), "10.0.0.3:9866");
        assert_eq!((to_third.storage_type, to_third.storage_id.as_deref()), (Some(3), Some("c")));
        assert_eq!(to_third.pipeline_size, 3);
        assert!(forwarded(&to_third).is_none());
    }
}
