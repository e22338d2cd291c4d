//! Datanodes that keep replicas in memory. The first member of a pipeline writes to all of them.

use crate::cluster::{Cluster, ReadFault, ReadFaultKind, Replica, State};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use granary_protocol::block::Extent;
use granary_protocol::checksum::crc32c;
use granary_protocol::datanode::*;
use granary_protocol::token::AccessMode;
use granary_protocol::*;
use std::time::Duration;
use tokio::sync::mpsc;

pub struct FakeDatanode {
    pub cluster: Cluster,
    pub volume: VolumeId,
}

impl FakeDatanode {
    fn check_alive(&self) -> Result<(), Failure> {
        match self.cluster.state().faults.dead.contains(&self.volume) {
            true => Err(Failure::new(ErrorCode::Unavailable, "dead")),
            false => Ok(()),
        }
    }
}

impl DatanodeService for FakeDatanode {
    fn write(&self, request: WriteBlock) -> BoxFuture<'_, Result<WriteStream, Failure>> {
        Box::pin(async move {
            self.check_alive()?;
            assert_eq!(request.token.mode, AccessMode::Write);
            let mut state = self.cluster.state();
            for member in &request.pipeline {
                if state.faults.dead.contains(&member.volume) {
                    return Err(ErrorCode::DownstreamFailed { volume: member.volume }.into());
                }
                let replica = Replica { generation: request.generation, ..Replica::default() };
                state.replicas.insert((member.volume, request.block), replica);
            }
            drop(state);
            let (packets, received) = mpsc::channel(PACKETS_IN_FLIGHT_MAX);
            let (acks, acknowledged) = mpsc::channel(PACKETS_IN_FLIGHT_MAX + 1);
            let pipeline = Pipeline { cluster: self.cluster.clone(), request, synced: 0 };
            tokio::spawn(pipeline.run(received, acks));
            Ok(WriteStream { packets: Box::new(Packets(packets)), acks: Box::new(Acks(acknowledged)) })
        })
    }

    fn read(&self, request: ReadBlock) -> BoxFuture<'_, Result<Box<dyn ReadStream>, Failure>> {
        Box::pin(async move {
            self.check_alive()?;
            let wanted = Extent { block: request.token.block(), offset: request.offset, length: request.length };
            let allowed = request.token.extent;
            assert!(allowed.offset <= wanted.offset);
            assert!(wanted.offset + wanted.length <= allowed.offset + allowed.length, "the token covers what is read");
            let state = self.cluster.state();
            let replica = state.replicas.get(&(self.volume, wanted.block)).ok_or(ErrorCode::ReplicaNotFound)?;
            let end = (wanted.offset + wanted.length) as usize;
            if replica.data.len() < end || replica.generation < request.generation {
                return Err(ErrorCode::ReplicaNotFound.into());
            }
            let fault = state.faults.reads.get(&self.volume).copied();
            let data = Bytes::copy_from_slice(&replica.data[wanted.offset as usize..end]);
            let piece_bytes = state.faults.piece_bytes;
            let (cluster, volume) = (self.cluster.clone(), self.volume);
            let read: Box<dyn ReadStream> = Box::new(Read { cluster, volume, data, served: 0, piece_bytes, fault });
            Ok(read)
        })
    }

    fn call(&self, request: DatanodeRequest) -> BoxFuture<'_, Result<DatanodeReply, Failure>> {
        Box::pin(async move {
            self.check_alive()?;
            let DatanodeRequest::Finalize { volume, generation, length, token, .. } = request else {
                panic!("the fake datanode was asked {request:?}");
            };
            let mut state = self.cluster.state();
            if state.faults.write_tokens_expired {
                return Err(ErrorCode::InvalidToken.into());
            }
            let replica = state.replicas.get_mut(&(volume, token.block())).ok_or(ErrorCode::ReplicaNotFound)?;
            if replica.data.len() < length as usize {
                return Err(ErrorCode::ReplicaNotFound.into());
            }
            replica.data.truncate(length as usize);
            replica.synced = length as usize;
            replica.generation = generation;
            replica.finalized = true;
            Ok(DatanodeReply::Done)
        })
    }
}

struct Pipeline {
    cluster: Cluster,
    request: WriteBlock,
    synced: u32,
}

enum Trouble {
    Fails(Failure),
    Hangs,
}

impl Pipeline {
    async fn run(mut self, mut packets: mpsc::Receiver<Packet>, acks: mpsc::Sender<Result<Ack, Failure>>) {
        while let Some(packet) = packets.recv().await {
            let (packet_takes, sync_takes) = {
                let state = self.cluster.state();
                (state.faults.packet_takes, state.faults.sync_takes)
            };
            tokio::time::sleep(packet_takes).await;
            if packet.sync {
                tokio::time::sleep(sync_takes).await;
            }
            let result = self.take(&packet);
            match result {
                Ok(ack) => {
                    let _ = acks.send(Ok(ack)).await;
                }
                Err(Trouble::Fails(failure)) => {
                    let _ = acks.send(Err(failure)).await;
                    return;
                }
                Err(Trouble::Hangs) => std::future::pending().await,
            }
        }
    }

    fn take(&mut self, packet: &Packet) -> Result<Ack, Trouble> {
        assert_eq!(packet.data_crc, crc32c(&packet.data));
        assert!(packet.data.len() <= PACKET_BYTES_MAX);
        let mut state = self.cluster.state();
        state.packets += 1;
        for (index, member) in self.request.pipeline.iter().enumerate() {
            if due(&mut state, member.volume, |faults| &mut faults.hangs_at_packet) {
                return Err(Trouble::Hangs);
            }
            if due(&mut state, member.volume, |faults| &mut faults.dies_at_packet) {
                state.faults.dead.insert(member.volume);
            }
            if state.faults.dead.contains(&member.volume) {
                let code = match index {
                    0 => ErrorCode::Unavailable,
                    _ => ErrorCode::DownstreamFailed { volume: member.volume },
                };
                return Err(Trouble::Fails(code.into()));
            }
            let replica = state.replicas.get_mut(&(member.volume, self.request.block)).expect("opened");
            if replica.generation != self.request.generation {
                return Err(Trouble::Fails(ErrorCode::StaleGeneration.into()));
            }
            assert_eq!(replica.data.len(), packet.offset as usize, "packets follow each other");
            assert!(!replica.finalized, "nothing is written after the last packet");
            replica.data.extend_from_slice(&packet.data);
            if packet.sync {
                replica.synced = replica.data.len();
            }
            replica.finalized = packet.last;
        }
        if packet.sync {
            state.syncs += 1;
            self.synced = packet.offset + packet.data.len() as u32;
        }
        Ok(Ack { sequence: packet.sequence, synced_bytes: self.synced })
    }
}

/// Counts a fault down; whether it is due for this volume now.
fn due(
    state: &mut State,
    volume: VolumeId,
    fault: impl Fn(&mut crate::cluster::Faults) -> &mut Option<(VolumeId, u64)>,
) -> bool {
    match fault(&mut state.faults) {
        Some((at, left)) if *at == volume => {
            if *left == 0 {
                *fault(&mut state.faults) = None;
                return true;
            }
            *left -= 1;
            false
        }
        _ => false,
    }
}

struct Packets(mpsc::Sender<Packet>);

impl PacketSink for Packets {
    fn send(&mut self, packet: Packet) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            self.0.send(packet).await.map_err(|_| Failure::new(ErrorCode::Unavailable, "the pipeline is gone"))
        })
    }
}

struct Acks(mpsc::Receiver<Result<Ack, Failure>>);

impl AckSource for Acks {
    fn next(&mut self) -> BoxFuture<'_, Result<Ack, Failure>> {
        Box::pin(async move {
            self.0.recv().await.unwrap_or_else(|| Err(Failure::new(ErrorCode::Unavailable, "the pipeline is gone")))
        })
    }
}

struct Read {
    cluster: Cluster,
    volume: VolumeId,
    data: Bytes,
    served: usize,
    piece_bytes: usize,
    fault: Option<ReadFault>,
}

impl ReadStream for Read {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(async move {
            if self.cluster.state().faults.dead.contains(&self.volume) {
                return Err(Failure::new(ErrorCode::Unavailable, "died"));
            }
            let until_fault = self.fault.map_or(usize::MAX, |fault| fault.after - self.served);
            let bytes = self.piece_bytes.min(self.data.len()).min(until_fault);
            match self.fault {
                Some(fault) if until_fault == 0 => match fault.how {
                    ReadFaultKind::Fails(why) => return Err(Failure::new(ErrorCode::CorruptReplica, why)),
                    ReadFaultKind::EndsEarly => return Ok(None),
                    ReadFaultKind::ServesTooMuch => {
                        let mut piece = self.data.to_vec();
                        piece.push(0);
                        return Ok(Some(piece.into()));
                    }
                    ReadFaultKind::IsSilent => {
                        tokio::time::sleep(Duration::from_secs(3600)).await;
                        return Ok(None);
                    }
                },
                _ => {}
            }
            if bytes == 0 {
                return Ok(None);
            }
            self.served += bytes;
            Ok(Some(self.data.split_to(bytes)))
        })
    }
}
