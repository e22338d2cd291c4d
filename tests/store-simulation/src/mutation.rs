//! Stores that are broken on purpose, so that it is known what the invariants catch. Each is a part that the real one stands on
//! or is wrapped in: nothing of this is in the product.

use clap::ValueEnum;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_namenode::read_index::AdmitReads;
use granary_namenode::service::Namenode;
use granary_protocol::datanode::{
    Ack, AckSource, DatanodeReply, DatanodeRequest, DatanodeService, Packet, PacketSink, ReadBlock, ReadStream,
    WriteBlock, WriteStream,
};
use granary_protocol::{ErrorCode, Failure};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;
use tokio::sync::mpsc;

/// What is broken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Mutation {
    /// Nothing.
    #[default]
    None,
    /// The disks of datanodes say that a sync is done and do nothing.
    FsyncSkipped,
    /// A datanode acknowledges a packet, and hands it to its replica a little later.
    AckBeforeReplica,
    /// A namenode that takes itself for the leader answers reads without asking the others whether it is.
    StaleLeaderRead,
}

/// How long a packet that was acknowledged too early is on its way to the replica.
const BEHIND: Duration = Duration::from_millis(400);
/// Packets on their way at one time.
const PACKETS_MAX: usize = 64;

/// A datanode that acknowledges before its replica has anything.
pub struct AckBeforeReplica(pub Arc<dyn DatanodeService>);

impl DatanodeService for AckBeforeReplica {
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        async move {
            let WriteStream { packets, mut acks } = self.0.write(request).await?;
            let (early, acknowledged) = mpsc::channel(PACKETS_MAX);
            let (late, mut arriving) = mpsc::channel::<Packet>(PACKETS_MAX);
            tokio::spawn(async move {
                let mut packets = packets;
                while let Some(packet) = arriving.recv().await {
                    tokio::time::sleep(BEHIND).await;
                    let last = packet.last;
                    if packets.send(packet).await.is_err() || acks.next().await.is_err() || last {
                        break;
                    }
                }
            });
            Ok(WriteStream { packets: Box::new(Early { early, late }), acks: Box::new(Acknowledged(acknowledged)) })
        }
        .boxed()
    }

    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        self.0.read(request)
    }

    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        self.0.call(request)
    }
}

struct Early {
    early: mpsc::Sender<Ack>,
    late: mpsc::Sender<Packet>,
}

impl PacketSink for Early {
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>> {
        async move {
            let synced_bytes = packet.offset + packet.data.len() as u32;
            let ack = Ack { sequence: packet.sequence, synced_bytes };
            let over = || Failure::from(ErrorCode::StaleGeneration);
            self.late.send(packet).await.map_err(|_| over())?;
            self.early.send(ack).await.map_err(|_| over())
        }
        .boxed()
    }
}

struct Acknowledged(mpsc::Receiver<Ack>);

impl AckSource for Acknowledged {
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>> {
        async move { self.0.recv().await.ok_or_else(|| Failure::from(ErrorCode::StaleGeneration)) }.boxed()
    }
}

/// Admits reads of whoever takes itself for the leader.
#[derive(Default)]
pub struct OnItsOwnWord(OnceLock<Weak<Namenode>>);

impl OnItsOwnWord {
    /// The peer in question.
    pub fn of(&self, namenode: &Arc<Namenode>) {
        let _ = self.0.set(Arc::downgrade(namenode));
    }
}

impl AdmitReads for OnItsOwnWord {
    fn admit(&self) -> BoxFuture<'_, Result<(), Failure>> {
        let leads = self.0.get().and_then(Weak::upgrade).is_some_and(|namenode| namenode.is_leader());
        std::future::ready(if leads { Ok(()) } else { Err(ErrorCode::NotLeader { leader: None }.into()) }).boxed()
    }
}
