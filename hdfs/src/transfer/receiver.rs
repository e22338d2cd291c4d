//! The packets of a block being written: from the socket to the next member and to the disk, acknowledgements back.
//!
//! Three loops share one task. The first reads packets and passes them on as they came; the second compares their sums
//! and writes them, as many at once as have gathered; the third answers them in order, when this member and all behind
//! it are done with each. Readers see a packet's bytes once every member has them.
//!
//! Invariant: an acknowledgement names a status for this member and, as far as they were heard, for those behind it; after
//! the first that is not a success nothing more is taken.

use super::checksum::ChunkChecksum;
use super::message::{HEARTBEAT_SEQNO, PipelineAck, Status};
use super::mirror::{Mirror, MirrorAcks, MirrorPackets};
use super::packet::{Packet, read_packet};
use super::server::{Connection, TransferSettings, within};
use super::wire;
use granary_datanode::{Appender, Piece};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Bytes of packets between the socket and the disk, at most; a single packet may be larger.
const QUEUED_BYTES_MAX: usize = 4 << 20;
/// Packets between the socket and the disk, at most.
const QUEUED_PACKETS_MAX: usize = 64;
/// Packets that this member is done with and others are not, at most. Stock clients send 80 before they wait.
const UNANSWERED_PACKETS_MAX: usize = 1024;
/// How long, and for how many bytes, a client that was told of a failure is listened to: closing a socket with unread
/// data could take the answer away before the client has read it.
const LINGER: Duration = Duration::from_secs(5);
const LINGER_BYTES_MAX: u64 = 64 << 20;

/// What becomes of the replica after the last packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It is finalized.
    Finalize,
    /// It stays open: it was brought level with the members of a pipeline and will be written on.
    StayOpen,
}

/// A replica that is ready for packets.
pub(super) struct Receiver {
    pub appender: Appender,
    pub checksum: ChunkChecksum,
    pub mirror: Option<Mirror>,
    pub ending: Ending,
}

/// A packet on its way to the disk, with its share of the bytes that may be.
struct Queued {
    packet: Packet,
    _share: OwnedSemaphorePermit,
}

/// A packet that this member is done with.
struct Written {
    seqno: i64,
    /// Bytes of the block that it ends at.
    end: u32,
    status: Status,
    last: bool,
}

impl Receiver {
    /// Takes packets until the last one is answered.
    pub async fn run(self, connection: &mut Connection, settings: &TransferSettings) -> io::Result<()> {
        let Receiver { appender, checksum, mirror, ending } = self;
        let (packets_down, acks_up) = match mirror {
            Some(Mirror { packets, acks }) => (Some(packets), Some(acks)),
            None => (None, None),
        };
        let (queue, queued) = mpsc::channel(QUEUED_PACKETS_MAX);
        let (done, written) = mpsc::channel(UNANSWERED_PACKETS_MAX);
        let ran = tokio::try_join!(
            receive(&mut connection.reader, checksum, packets_down, queue, settings.packet_timeout),
            store(&appender, checksum, ending, queued, done),
            respond(&mut connection.writer, acks_up, &appender, written, settings.write_timeout),
        );
        if ran.is_err() {
            let _gone = connection.writer.shutdown().await;
            let mut rest = (&mut connection.reader).take(LINGER_BYTES_MAX);
            let _over = within(LINGER, tokio::io::copy(&mut rest, &mut tokio::io::sink())).await;
        }
        ran.map(|_| ())
    }
}

async fn receive(
    reader: &mut BufReader<OwnedReadHalf>,
    checksum: ChunkChecksum,
    mut mirror: Option<MirrorPackets>,
    queue: mpsc::Sender<Queued>,
    limit: Duration,
) -> io::Result<()> {
    let shares = Arc::new(Semaphore::new(QUEUED_BYTES_MAX));
    loop {
        let packet = within(limit, read_packet(reader, checksum)).await?;
        if let Some(mirror) = &mut mirror {
            mirror.send(&packet.raw).await;
        }
        let last = packet.header.last_packet_in_block;
        let bytes = packet.raw.len().min(QUEUED_BYTES_MAX) as u32;
        let share = shares.clone().acquire_many_owned(bytes).await.map_err(io::Error::other)?;
        if queue.send(Queued { packet, _share: share }).await.is_err() {
            // Writing has ended; why, the answer says.
            return Ok(());
        }
        if last {
            return Ok(());
        }
    }
}

async fn store(
    appender: &Appender,
    checksum: ChunkChecksum,
    ending: Ending,
    mut queued: mpsc::Receiver<Queued>,
    done: mpsc::Sender<Written>,
) -> io::Result<()> {
    let mut batch = Vec::with_capacity(QUEUED_PACKETS_MAX);
    while queued.recv_many(&mut batch, QUEUED_PACKETS_MAX).await > 0 {
        let good = batch.iter().take_while(|queued| is_good(&queued.packet, checksum)).count();
        let damaged = batch.get(good).map(|queued| queued.packet.header.seqno);
        let status = write(appender, checksum, ending, &batch[..good]).await;
        for Queued { packet, .. } in &batch[..good] {
            let header = packet.header;
            let end = header.offset_in_block.max(0) as u32 + packet.data.len() as u32;
            let written = Written { seqno: header.seqno, end, status, last: header.last_packet_in_block };
            if done.send(written).await.is_err() || status != Status::Success {
                return Ok(());
            }
        }
        if let Some(seqno) = damaged {
            let _listening = done.send(Written { seqno, end: 0, status: Status::ErrorChecksum, last: false }).await;
            return Ok(());
        }
        batch.clear();
    }
    Ok(())
}

/// Whether a packet can be written at all: sums that fit, a place that a block can have.
fn is_good(packet: &Packet, checksum: ChunkChecksum) -> bool {
    let offset = u32::try_from(packet.header.offset_in_block);
    let end = offset.ok().and_then(|offset| offset.checked_add(packet.data.len() as u32));
    packet.header.seqno == HEARTBEAT_SEQNO || (end.is_some() && checksum.matches(&packet.checksums, &packet.data))
}

async fn write(appender: &Appender, checksum: ChunkChecksum, ending: Ending, batch: &[Queued]) -> Status {
    let sent = || batch.iter().map(|queued| &queued.packet).filter(|packet| packet.header.seqno != HEARTBEAT_SEQNO);
    let piece = |packet: &Packet| Piece {
        offset: packet.header.offset_in_block as u32,
        data: packet.data.clone(),
        sums: checksum.stored(&packet.checksums),
    };
    let pieces: Vec<Piece> = sent().filter(|packet| !packet.data.is_empty()).map(piece).collect();
    let last = sent().any(|packet| packet.header.last_packet_in_block);
    let sync = sent().any(|packet| packet.header.sync_block()) && !(last && ending == Ending::Finalize);
    if (!pieces.is_empty() || sync) && appender.write(pieces, sync).await.is_err() {
        return Status::Error;
    }
    if last && ending == Ending::Finalize && appender.finalize().await.is_err() {
        return Status::Error;
    }
    Status::Success
}

async fn respond(
    writer: &mut OwnedWriteHalf,
    mut mirror: Option<MirrorAcks>,
    appender: &Appender,
    mut written: mpsc::Receiver<Written>,
    limit: Duration,
) -> io::Result<()> {
    while let Some(Written { seqno, end, status, last }) = written.recv().await {
        let mut reply = vec![status as i32];
        if let Some(mirror) = mirror.as_mut().filter(|_| status == Status::Success) {
            match mirror.next(seqno).await {
                Ok(ack) => reply.extend(ack.reply),
                Err(error) => {
                    tracing::debug!(%error, "the next member of a pipeline does not acknowledge");
                    reply.push(Status::Error as i32);
                }
            }
        }
        let good = reply.iter().all(|status| *status == Status::Success as i32);
        if good && seqno != HEARTBEAT_SEQNO {
            appender.acknowledged(end);
        }
        within(limit, wire::write_message(writer, &PipelineAck::of(seqno, reply))).await?;
        if !good {
            return Err(io::Error::other("a member of the pipeline failed"));
        }
        if last {
            return Ok(());
        }
    }
    Err(io::Error::from(io::ErrorKind::UnexpectedEof))
}
