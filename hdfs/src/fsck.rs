//! `fsck` over http, as `hdfs fsck` asks a namenode: every file below a path, its blocks, and how many replicas live.
//!
//! Read-only: what is missing is never moved or deleted from here. The report streams while the tree is walked, directory by
//! directory, so that its memory does not grow with the tree's size but with its depth and breadth of directories.
//!
//! Source: `org.apache.hadoop.hdfs.server.namenode.NamenodeFsck`, Hadoop 3.4; clients look at how the last line ends.

use crate::config::HdfsConfig;
use crate::datanode_directory::DatanodeDirectory;
use crate::door::FileSystemDoor;
use crate::exception::RemoteException;
use crate::identity;
use crate::names::pool_id;
use crate::principal::Principal;
use crate::webhdfs::Peer;
use axum::body::{Body, Bytes};
use axum::extract::RawQuery;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::stream;
use granary_protocol::filesystem::{FileBlock, FileKind, FileStatus, FsPath, FsReply, FsRequest, LocatedFile};
use granary_protocol::namenode::{NamenodeReply, NamenodeRequest};
use granary_protocol::{ClusterId, ErrorCode, Failure};
use http::{StatusCode, header};
use percent_encoding::percent_decode_str;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::mpsc;

/// Pieces of a report that wait for the client.
const PIECES_QUEUED_MAX: usize = 16;
/// Directories that wait to be walked. A broader tree is reported as not finished.
const DIRECTORIES_MAX: usize = 1_000_000;
/// Who asks if the client does not say.
const NOBODY: &str = "dr.who";

/// The parameters of a request. Those that would change something are known, to be refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Question {
    path: Option<String>,
    user: Option<String>,
    files: bool,
    blocks: bool,
    locations: bool,
    racks: bool,
    open_files: bool,
    /// Moving, deleting or listing what is corrupt.
    unoffered: bool,
}

impl Question {
    fn parse(query: &str) -> Question {
        let mut question = Question::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let text = || percent_decode_str(&value.replace('+', " ")).decode_utf8_lossy().into_owned();
            match name {
                "path" => question.path = Some(text()),
                "ugi" => question.user = Some(text()),
                "files" => question.files = true,
                "blocks" => question.blocks = true,
                "locations" => question.locations = true,
                "racks" => question.racks = true,
                "openforwrite" => question.open_files = true,
                "move" | "delete" | "listcorruptfileblocks" => question.unoffered = true,
                _ => {}
            }
        }
        question
    }
}

/// Walks the file system for `fsck`.
pub struct Fsck {
    door: Arc<FileSystemDoor>,
    datanodes: Arc<DatanodeDirectory>,
    config: Arc<HdfsConfig>,
}

impl Fsck {
    /// One beside a namenode.
    pub fn new(door: Arc<FileSystemDoor>, datanodes: Arc<DatanodeDirectory>, config: Arc<HdfsConfig>) -> Arc<Fsck> {
        Arc::new(Fsck { door, datanodes, config })
    }

    /// What an http port serves at `/fsck`. Expects to find a [`Peer`] with each request.
    pub fn router(self: &Arc<Self>) -> Router {
        let fsck = self.clone();
        Router::new().route(
            "/fsck",
            get(move |Extension(peer): Extension<Peer>, RawQuery(query): RawQuery| {
                let fsck = fsck.clone();
                async move { fsck.answer(peer, Question::parse(query.as_deref().unwrap_or_default())).await }
            }),
        )
    }

    async fn answer(self: Arc<Self>, peer: Peer, question: Question) -> Response {
        let user = question.user.as_deref().unwrap_or(NOBODY);
        let claimed = identity::admit(&self.config, peer.address)
            .and_then(|()| identity::claim(&self.config, peer.address, Some(user), None));
        let principal = match claimed {
            Ok(claimed) => self.door.principals().resolve(&claimed, peer.address.ip()).await,
            Err(refused) => Err(refused),
        };
        let principal = match principal {
            Ok(principal) => principal,
            Err(refused) => return (StatusCode::FORBIDDEN, format!("{refused}\n")).into_response(),
        };
        let (pieces, queue) = mpsc::channel(PIECES_QUEUED_MAX);
        tokio::spawn(async move { Walk::new(&self, principal, question, pieces).run().await });
        let body = stream::unfold(queue, |mut queue| async move {
            let piece: String = queue.recv().await?;
            Some((Ok::<_, std::convert::Infallible>(Bytes::from(piece)), queue))
        });
        ([(header::CONTENT_TYPE, "text/plain; charset=utf-8")], Body::from_stream(body)).into_response()
    }
}

/// What was counted.
#[derive(Default)]
struct Counts {
    bytes: u64,
    directories: u64,
    files: u64,
    open_files: u64,
    blocks: u64,
    live: u64,
    wanted: u64,
    under_replicated: u64,
    over_replicated: u64,
    missing: u64,
    corrupt_files: u64,
}

/// One walk. Ends early when the client leaves.
struct Walk<'a> {
    fsck: &'a Fsck,
    principal: Principal,
    question: Question,
    pieces: mpsc::Sender<String>,
    counts: Counts,
    cluster: ClusterId,
}

/// Why a walk ends early.
enum Stop {
    /// The client left.
    Gone,
    /// The store refused.
    Refused(RemoteException),
}

impl From<RemoteException> for Stop {
    fn from(refused: RemoteException) -> Stop {
        Stop::Refused(refused)
    }
}

impl<'a> Walk<'a> {
    fn new(fsck: &'a Fsck, principal: Principal, question: Question, pieces: mpsc::Sender<String>) -> Walk<'a> {
        Walk { fsck, principal, question, pieces, counts: Counts::default(), cluster: ClusterId::default() }
    }

    async fn run(mut self) {
        let path = self.question.path.clone().unwrap_or_else(|| "/".to_owned());
        let refused = match self.report(&path).await {
            Ok(()) | Err(Stop::Gone) => return,
            Err(Stop::Refused(refused)) => refused,
        };
        // The client is told, if it is still there.
        let _ = self.say(format!("{refused}\n\n\nFsck on path '{path}' FAILED\n")).await;
    }

    async fn report(&mut self, text: &str) -> Result<(), Stop> {
        let started = SystemTime::now();
        let (user, from) = (self.principal.fs.user.clone(), self.principal.address);
        self.say(format!("FSCK started by {user} (auth:SIMPLE) from /{from} for path {text}\n")).await?;
        if self.question.unoffered {
            let said = "This store repairs by itself: fsck neither moves nor deletes nor lists corrupt files.\n";
            return self.say(format!("{said}\n\nFsck on path '{text}' FAILED\n")).await;
        }
        if let NamenodeReply::Status(status) = self.fsck.door.ask(NamenodeRequest::Status).await? {
            self.cluster = status.cluster;
        }
        self.fsck.datanodes.refresh().await;
        let Some((path, status)) = self.find(text).await? else {
            return self.say(format!("\nPath '{text}' does not exist\n")).await;
        };
        if status.kind == FileKind::File {
            let located = self.locate(&path).await?;
            self.check_file(&path, &status, &located).await?;
        } else {
            self.check_tree(path).await?;
        }
        let ms = started.elapsed().unwrap_or_default().as_millis();
        let summary = self.summary();
        let state = if self.counts.corrupt_files == 0 { "HEALTHY" } else { "CORRUPT" };
        self.say(format!(
            "\nStatus: {state}\n{summary}FSCK ended in {ms} milliseconds\n\n\nThe filesystem under path '{text}' is {state}\n"
        ))
        .await
    }

    async fn find(&self, text: &str) -> Result<Option<(FsPath, FileStatus)>, Stop> {
        let Ok(path) = FsPath::parse(text) else { return Ok(None) };
        match self.ask(FsRequest::Status { path: path.clone() }).await? {
            FsReply::Status(Some(status)) => Ok(Some((path, *status))),
            _ => Ok(None),
        }
    }

    async fn check_tree(&mut self, root: FsPath) -> Result<(), Stop> {
        let mut waiting = vec![root];
        while let Some(directory) = waiting.pop() {
            self.counts.directories += 1;
            if self.question.files {
                self.say(format!("{directory} <dir>\n")).await?;
            }
            let mut after = String::new();
            loop {
                let request = FsRequest::List { path: directory.clone(), after, locations: true };
                let FsReply::Listing(Some(page)) = self.ask(request).await? else { break };
                let last = page.entries.last().map(|entry| entry.status.name.clone());
                for entry in page.entries {
                    let Ok(path) = directory.child(&entry.status.name) else { continue };
                    match (entry.status.kind, entry.located) {
                        (FileKind::Directory, _) if waiting.len() < DIRECTORIES_MAX => waiting.push(path),
                        (FileKind::Directory, _) => {
                            self.say(format!("{path} is left out: too many directories wait\n")).await?;
                        }
                        (FileKind::File, Some(located)) => self.check_file(&path, &entry.status, &located).await?,
                        (FileKind::File, None) => {
                            let located = self.locate(&path).await?;
                            self.check_file(&path, &entry.status, &located).await?;
                        }
                    }
                }
                match last {
                    Some(last) if page.remaining > 0 => after = last,
                    Some(_) | None => break,
                }
            }
        }
        Ok(())
    }

    async fn locate(&self, path: &FsPath) -> Result<LocatedFile, Stop> {
        match self.ask(FsRequest::Locate { path: path.clone(), offset: 0, length: u64::MAX }).await? {
            FsReply::Located(located) => Ok(*located),
            _ => Err(Stop::Refused(Failure::from(ErrorCode::Internal).into())),
        }
    }

    async fn check_file(&mut self, path: &FsPath, status: &FileStatus, located: &LocatedFile) -> Result<(), Stop> {
        if status.under_construction {
            self.counts.open_files += 1;
            // A file that is being written is counted only if it was asked for, as Apache's does.
            if !self.question.open_files {
                return Ok(());
            }
        }
        let before = self.counts.missing;
        self.counts.files += 1;
        self.counts.bytes += located.length;
        let mut lines = String::new();
        for (index, block) in located.blocks.iter().enumerate() {
            let live = self.count_block(status, block);
            if self.question.blocks {
                self.describe_block(&mut lines, index, block, live);
            }
        }
        let missing = self.counts.missing - before;
        if missing > 0 {
            self.counts.corrupt_files += 1;
        }
        let health = if missing > 0 { format!("MISSING {missing} blocks") } else { "OK".to_owned() };
        if self.question.files {
            let (length, blocks) = (located.length, located.blocks.len());
            let open = if status.under_construction { ", OPENFORWRITE" } else { "" };
            let replication = status.replication;
            let head = format!(
                "{path} {length} bytes, replicated: replication={replication}, {blocks} block(s){open}:  {health}\n"
            );
            return self.say(head + &lines).await;
        }
        match missing {
            0 => Ok(()),
            _ => self.say(format!("\n{path}: {health}\n")).await,
        }
    }

    fn count_block(&mut self, status: &FileStatus, block: &FileBlock) -> u64 {
        let (live, wanted) = (block.located.replicas.len() as u64, u64::from(status.replication));
        self.counts.blocks += 1;
        self.counts.live += live;
        self.counts.wanted += wanted;
        match live {
            0 => self.counts.missing += 1,
            live if live < wanted => self.counts.under_replicated += 1,
            live if live > wanted => self.counts.over_replicated += 1,
            _ => {}
        }
        live
    }

    fn describe_block(&self, lines: &mut String, index: usize, block: &FileBlock, live: u64) {
        let (id, generation) = (block.extent.block.0, block.located.generation.0);
        let (pool, length) = (pool_id(&self.cluster), block.extent.length);
        write!(lines, "{index}. {pool}:blk_{id}_{generation} len={length} Live_repl={live}").expect("a string grows");
        if self.question.locations || self.question.racks {
            let shown = block.located.replicas.iter().map(|replica| {
                let door = self.fsck.datanodes.door(replica.datanode.id);
                let node = door.map_or_else(
                    || replica.datanode.name.to_string(),
                    |door| format!("{}:{}", door.address, door.transfer_port),
                );
                let rack = if self.question.racks { replica.datanode.rack.as_str() } else { "" };
                format!("{rack}{}{node}", if rack.is_empty() { "" } else { "/" })
            });
            write!(lines, "  [{}]", shown.collect::<Vec<_>>().join(", ")).expect("a string grows");
        }
        lines.push('\n');
    }

    fn summary(&self) -> String {
        let counts = &self.counts;
        let doors = self.fsck.datanodes.doors();
        let racks = doors.iter().map(|door| door.rack.as_str()).collect::<BTreeSet<_>>().len();
        let share = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 };
        let average = |sum: u64, of: u64| if of == 0 { 0.0 } else { sum as f64 / of as f64 };
        let minimally = counts.blocks - counts.missing;
        let size = average(counts.bytes, counts.blocks) as u64;
        [
            format!(" Number of data-nodes:\t{}", doors.len()),
            format!(" Number of racks:\t\t{racks}"),
            format!(" Total dirs:\t\t\t{}", counts.directories),
            " Total symlinks:\t\t0".to_owned(),
            String::new(),
            "Replicated Blocks:".to_owned(),
            format!(" Total size:\t{} B", counts.bytes),
            format!(" Total files:\t{} (Files currently being written: {})", counts.files, counts.open_files),
            format!(" Total blocks (validated):\t{} (avg. block size {size} B)", counts.blocks),
            format!(" Minimally replicated blocks:\t{minimally} ({:.1} %)", share(minimally, counts.blocks)),
            format!(
                " Over-replicated blocks:\t{} ({:.1} %)",
                counts.over_replicated,
                share(counts.over_replicated, counts.blocks)
            ),
            format!(
                " Under-replicated blocks:\t{} ({:.1} %)",
                counts.under_replicated,
                share(counts.under_replicated, counts.blocks)
            ),
            format!(" Average block replication:\t{:.1}", average(counts.live, counts.blocks)),
            format!(" Missing blocks:\t\t{}", counts.missing),
            format!(" Corrupt blocks:\t\t{}", counts.missing),
            format!(" Missing replicas:\t\t{}", counts.wanted.saturating_sub(counts.live)),
            String::new(),
            String::new(),
        ]
        .join("\n")
    }

    async fn ask(&self, request: FsRequest) -> Result<FsReply, Stop> {
        Ok(self.fsck.door.call(&self.principal, None, request).await?)
    }

    async fn say(&self, text: String) -> Result<(), Stop> {
        self.pieces.send(text).await.map_err(|_| Stop::Gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_read_as_the_client_writes_it() {
        let question = Question::parse("ugi=root&files=1&blocks=1&path=%2Fb%2Fa+b%25");
        assert_eq!(question.path.as_deref(), Some("/b/a b%"));
        assert!(question.files && question.blocks && !question.racks && !question.unoffered);
        assert!(Question::parse("move=1").unoffered);
        assert_eq!(Question::parse(""), Question::default());
    }
}
