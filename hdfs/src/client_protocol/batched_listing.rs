//! `getBatchedListing`: several directories in one call, page after page.

use super::context::{ClientProtocol, not_found, path};
use super::messages::*;
use crate::exception::{JavaException, RemoteException};
use crate::rpc::Call;
use prost::Message;

/// Paths of one call, as `dfs.batched.ls.limit` allows.
const PATHS_MAX: usize = 100;
/// Entries of one answer, after which the next call goes on.
const ENTRIES_MAX: usize = 1000;

/// `BatchedListingKeyProto`: where the next call goes on.
#[derive(Clone, PartialEq, prost::Message)]
struct Cursor {
    /// Of the paths, so that a call with other paths is noticed.
    #[prost(bytes = "vec", required, tag = "1")]
    checksum: Vec<u8>,
    #[prost(uint32, required, tag = "2")]
    path_index: u32,
    #[prost(bytes = "vec", required, tag = "3")]
    start_after: Vec<u8>,
}

impl ClientProtocol {
    pub(super) async fn get_batched_listing(
        &self,
        call: &Call,
        request: GetBatchedListingRequest,
    ) -> Result<GetBatchedListingResponse, RemoteException> {
        if request.paths.len() > PATHS_MAX {
            let message = format!("Too many source paths ({} > {PATHS_MAX})", request.paths.len());
            return Err(RemoteException::new(JavaException::IllegalArgument, message));
        }
        let checksum = checksum(&request.paths);
        let Cursor { path_index, start_after, .. } = cursor(&request.start_after, &checksum)?;
        let mut after = String::from_utf8(start_after).unwrap_or_default();
        let mut answer = GetBatchedListingResponse::default();
        let mut entries = 0;
        for (index, text) in request.paths.iter().enumerate().skip(path_index as usize) {
            loop {
                let page = self.batch_page(call, text, std::mem::take(&mut after), request.need_location).await;
                let listing = shown(page, index);
                entries += listing.0.partial_listing.len();
                let last = listing.0.partial_listing.last().map(|status| status.path.clone()).unwrap_or_default();
                answer.listings.push(listing.0);
                let more = listing.1;
                if entries >= ENTRIES_MAX && (more || index + 1 < request.paths.len()) {
                    let (path_index, start_after) = if more { (index, last) } else { (index + 1, Vec::new()) };
                    let cursor = Cursor { checksum, path_index: path_index as u32, start_after };
                    answer.has_more = true;
                    answer.start_after = cursor.encode_to_vec();
                    return Ok(answer);
                }
                if !more {
                    break;
                }
                after = String::from_utf8(last).unwrap_or_default();
            }
        }
        Ok(answer)
    }

    async fn batch_page(
        &self,
        call: &Call,
        text: &str,
        after: String,
        locations: bool,
    ) -> Result<crate::proto::DirectoryListing, RemoteException> {
        let path = path(text)?;
        self.list(call, path.clone(), after, locations).await?.ok_or_else(|| not_found(&path))
    }
}

/// A page, or the exception of one directory, which does not fail the others; and whether there is more of it.
fn shown(
    page: Result<crate::proto::DirectoryListing, RemoteException>,
    index: usize,
) -> (BatchedDirectoryListing, bool) {
    let parent_idx = index as u32;
    match page {
        Ok(listing) => {
            let more = listing.remaining_entries > 0 && !listing.partial_listing.is_empty();
            let listing =
                BatchedDirectoryListing { partial_listing: listing.partial_listing, parent_idx, exception: None };
            (listing, more)
        }
        Err(exception) => {
            let exception = super::messages::RemoteException {
                class_name: exception.class.class_name().to_owned(),
                message: Some(exception.message),
            };
            (BatchedDirectoryListing { exception: Some(exception), parent_idx, ..Default::default() }, false)
        }
    }
}

fn cursor(bytes: &[u8], checksum: &[u8]) -> Result<Cursor, RemoteException> {
    if bytes.is_empty() {
        return Ok(Cursor::default());
    }
    let cursor = Cursor::decode(bytes).ok().filter(|cursor| cursor.checksum == checksum);
    cursor.ok_or_else(|| RemoteException::new(JavaException::IllegalArgument, "Invalid batched listing cursor"))
}

/// FNV-1a over the paths. Notices a mistake, not an attack: a cursor opens nothing that a path does not.
fn checksum(paths: &[String]) -> Vec<u8> {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in paths.iter().flat_map(|path| path.bytes().chain([0])) {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash.to_be_bytes().to_vec()
}
