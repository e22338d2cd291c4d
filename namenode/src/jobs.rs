//! Where the job service beside this peer is reached. The namenode keeps its rows and passes its calls on; what is
//! scheduled where is not its business.

use futures_util::future::BoxFuture;
use granary_protocol::jobs::{JobsCall, JobsReply, JobsService};
use granary_protocol::{ErrorCode, Failure};
use std::sync::{Arc, OnceLock};

/// The service, once it is there.
#[derive(Default)]
pub(crate) struct JobsSlot {
    service: OnceLock<Arc<dyn JobsService>>,
}

impl JobsSlot {
    /// The first service given stays.
    pub fn fill(&self, service: Arc<dyn JobsService>) {
        let _ = self.service.set(service);
    }

    /// Passes a call on, of which the caller knows that this peer leads.
    pub fn call(&self, call: JobsCall) -> BoxFuture<'_, Result<JobsReply, Failure>> {
        match self.service.get() {
            Some(service) => service.call(call),
            None => Box::pin(async { Err(Failure::new(ErrorCode::Unavailable, "no job service runs here")) }),
        }
    }
}
