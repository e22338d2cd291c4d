//! Degraded reads: bytes of a block that has no readable replica, made from the other members of its coded group.
//!
//! Only the wanted range is read, of as many members as the group has data blocks; members that end before the range are
//! zeros there and cost nothing, even if they are lost too. A member that fails is replaced by another, and the stream goes
//! on at the same byte. Memory is bounded: a piece a member, and what is handed out.

use crate::error::unavailable;
use crate::shared::Shared;
use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, join_all};
use granary_protocol::datanode::{ReadBlock, ReadStream};
use granary_protocol::erasure::{Code, Combination, SimdField};
use granary_protocol::lockstep::Lockstep;
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::redundancy::{CodingSource, LocatedGroup};
use granary_protocol::{BlockId, ErrorCode, Failure, VolumeId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The most bytes handed out at once: 256 KiB.
const STEP_BYTES: usize = 256 << 10;
/// How long a member may be silent before another one takes its place.
const MEMBER_PATIENCE: Duration = Duration::from_millis(1_000);

/// What came of asking for a group.
pub(crate) enum Degraded {
    /// The block is in none.
    NoGroup,
    /// So many of the members it takes are readable, as the namenode knows: too few.
    TooFew(Failure),
    /// A stream of the wanted bytes.
    Open(Box<dyn ReadStream>),
}

/// Opens bytes `offset..offset + length` of `block` from its group.
///
/// # Errors
/// The namenode's, or `Unavailable` when too few members answer.
pub(crate) async fn open(shared: &Arc<Shared>, block: BlockId, offset: u32, length: u32) -> Result<Degraded, Failure> {
    let located = match shared.namenode.call(NamenodeRequest::LocateGroup { block, offset, length }).await? {
        NamenodeReply::Group(Some(group)) => *group,
        NamenodeReply::Group(None) => return Ok(Degraded::NoGroup),
        other => return Err(crate::error::unexpected(&other)),
    };
    let mut wanted = Wanted { shared: shared.clone(), group: located, offset, left: length, failed: Vec::new() };
    let usable = wanted.usable().len();
    if usable < usize::from(wanted.group.data) {
        return Ok(Degraded::TooFew(wanted.too_few(usable)));
    }
    let sources = Some(wanted.open_sources().await?);
    Ok(Degraded::Open(Box::new(Rebuilt { wanted, sources })))
}

/// The stream.
struct Rebuilt {
    wanted: Wanted,
    sources: Option<Sources>,
}

/// What is still to come, and from whom.
struct Wanted {
    shared: Arc<Shared>,
    group: LocatedGroup,
    /// The next byte, in the block.
    offset: u32,
    left: u32,
    /// Volumes whose replicas have failed this reader.
    failed: Vec<VolumeId>,
}

struct Sources {
    lockstep: Lockstep,
    combination: Combination,
    /// Whose replica each input is; `None` where nothing is read.
    volumes: Vec<Option<VolumeId>>,
}

impl Wanted {
    /// Bytes of the range that a member has.
    fn bytes_of(&self, member: &CodingSource) -> u32 {
        member.located.length.saturating_sub(self.offset).min(self.left)
    }

    /// Members that are zeros in the range or have a replica that has not failed: those that cost nothing first, suspects
    /// last.
    fn usable(&self) -> Vec<&CodingSource> {
        let untried = |member: &CodingSource| {
            member.located.replicas.iter().any(|replica| !self.failed.contains(&replica.volume))
        };
        let suspect = |member: &CodingSource| {
            member.located.replicas.iter().all(|replica| self.shared.suspects.contains(replica.volume))
        };
        let others = self.group.others.iter();
        let mut usable: Vec<_> = others.filter(|member| self.bytes_of(member) == 0 || untried(member)).collect();
        usable.sort_by_key(|member| {
            let bytes = self.bytes_of(member);
            (bytes > 0 && suspect(member), bytes, member.place)
        });
        usable
    }

    fn too_few(&self, usable: usize) -> Failure {
        let needed = self.group.data;
        unavailable(format!("{usable} members of coded group {} can be read; it takes {needed}", self.group.group))
    }

    /// Opens as many members as it takes, others in the place of those that fail.
    async fn open_sources(&mut self) -> Result<Sources, Failure> {
        let needed = usize::from(self.group.data);
        let mut opened: Vec<(u8, Source)> = Vec::with_capacity(needed);
        while opened.len() < needed {
            let usable = self.usable();
            let fresh = usable.into_iter().filter(|member| opened.iter().all(|(place, _)| *place != member.place));
            let tried: Vec<&CodingSource> = fresh.take(needed - opened.len()).collect();
            if tried.len() < needed - opened.len() {
                return Err(self.too_few(opened.len() + tried.len()));
            }
            let attempts = join_all(tried.iter().map(|member| self.open_member(member))).await;
            let places: Vec<u8> = tried.iter().map(|member| member.place).collect();
            for (place, attempt) in places.into_iter().zip(attempts) {
                match attempt {
                    Ok(source) => opened.push((place, source)),
                    Err((volume, failure)) => self.member_failed(volume, &failure),
                }
            }
        }
        let places: Vec<u8> = opened.iter().map(|(place, _)| *place).collect();
        let code = Code::new(self.group.data, self.group.parity)
            .and_then(|code| code.combination(&places, &[self.group.place]));
        let combination = code.map_err(|error| Failure::new(ErrorCode::Internal, error.to_string()))?;
        let volumes = opened.iter().map(|(_, source)| source.volume).collect();
        let inputs = opened.into_iter().map(|(_, source)| (source.stream, source.bytes)).collect();
        Ok(Sources { lockstep: Lockstep::new(inputs, self.left), combination, volumes })
    }

    fn member_failed(&mut self, volume: VolumeId, failure: &Failure) {
        tracing::debug!(%volume, group = %self.group.group, %failure, "a member of a coded group cannot be read");
        self.shared.suspects.failed(volume, &failure.code);
        self.failed.push(volume);
    }

    /// Opens the first replica that has not failed. The error names the volume that did.
    async fn open_member(&self, member: &CodingSource) -> Result<Source, (VolumeId, Failure)> {
        let bytes = self.bytes_of(member);
        if bytes == 0 {
            return Ok(Source { stream: None, bytes: 0, volume: None });
        }
        let located = &member.located;
        let replica = located.replicas.iter().find(|replica| !self.failed.contains(&replica.volume));
        let replica = replica.ok_or((VolumeId::default(), ErrorCode::ReplicaNotFound.into()))?;
        let request = ReadBlock {
            volume: replica.volume,
            generation: located.generation,
            offset: self.offset,
            length: bytes,
            token: located.token.clone(),
        };
        match timeout(MEMBER_PATIENCE, self.shared.datanode(replica).read(request)).await {
            Ok(Ok(stream)) => {
                Ok(Source { stream: Some(Box::new(Patient(stream))), bytes, volume: Some(replica.volume) })
            }
            Ok(Err(failure)) => Err((replica.volume, failure)),
            Err(_) => Err((replica.volume, silent())),
        }
    }
}

impl Rebuilt {
    async fn next_bytes(&mut self) -> Result<Option<Bytes>, Failure> {
        while self.wanted.left > 0 {
            let Some(sources) = &mut self.sources else {
                self.sources = Some(self.wanted.open_sources().await?);
                continue;
            };
            match sources.lockstep.next(STEP_BYTES).await {
                Ok(Some(step)) => {
                    let mut made = BytesMut::zeroed(step.length);
                    let runs: Vec<&[u8]> = step.runs.iter().map(|run| run.as_ref()).collect();
                    sources.combination.apply(&SimdField, &runs, &mut [&mut made[..]]);
                    self.wanted.offset += step.length as u32;
                    self.wanted.left -= step.length as u32;
                    return Ok(Some(made.freeze()));
                }
                Ok(None) => return Err(Failure::new(ErrorCode::Internal, "a group's members ended early")),
                Err((input, failure)) => {
                    let volume = sources.volumes[input].unwrap_or_default();
                    self.sources = None;
                    self.wanted.member_failed(volume, &failure);
                }
            }
        }
        Ok(None)
    }
}

impl ReadStream for Rebuilt {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(self.next_bytes())
    }
}

fn silent() -> Failure {
    Failure::new(ErrorCode::DeadlineExceeded, "a member was silent")
}

/// An input of the code.
struct Source {
    stream: Option<Box<dyn ReadStream>>,
    bytes: u32,
    volume: Option<VolumeId>,
}

/// A member that may not be silent for long.
struct Patient(Box<dyn ReadStream>);

impl ReadStream for Patient {
    fn next(&mut self) -> BoxFuture<'_, Result<Option<Bytes>, Failure>> {
        Box::pin(async move { timeout(MEMBER_PATIENCE, self.0.next()).await.unwrap_or_else(|_elapsed| Err(silent())) })
    }
}
