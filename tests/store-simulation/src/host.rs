//! A simulated machine: a runtime of its own for everything that its one process does, a clock, a disk and a place in the
//! network. Ending its process drops the runtime, and with it every task, wherever it was.

use crate::network::{Ending, HostId, SimulatedNetwork};
use crate::os;
use granary_protocol::{Clock, UnixMillis};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::SystemTime;
use tokio::runtime::{Builder, Runtime};

/// Rounds of tasks in a turn. What has not come to rest by then goes on in the next one.
const ROUNDS: usize = 5;

/// The wall clock of one machine, which may be wrong.
#[derive(Clone, Debug, Default)]
pub struct SkewedClock {
    ahead_ms: Arc<AtomicI64>,
}

impl SkewedClock {
    /// Sets it ahead, or with a negative number behind.
    pub fn set_ahead(&self, ms: i64) {
        self.ahead_ms.store(ms, Ordering::Relaxed);
    }
}

impl Clock for SkewedClock {
    fn now(&self) -> UnixMillis {
        let now = UnixMillis::from(SystemTime::now());
        UnixMillis(now.0.saturating_add_signed(self.ahead_ms.load(Ordering::Relaxed)))
    }
}

/// A machine.
pub struct Host {
    pub id: HostId,
    pub clock: SkewedClock,
    runtime: Option<Runtime>,
    /// Its process has been stopped until then.
    pub frozen_until: u64,
    /// It starts again then.
    pub boots_at: Option<u64>,
}

impl Host {
    /// A machine that has not started.
    pub fn new(id: HostId) -> Host {
        Host { id, clock: SkewedClock::default(), runtime: None, frozen_until: 0, boots_at: None }
    }

    /// Whether its process runs.
    pub fn is_up(&self) -> bool {
        self.runtime.is_some()
    }

    /// Starts its process, whose main task is `main`.
    pub fn boot(&mut self, network: &SimulatedNetwork, now: u64, main: impl Future<Output = ()> + Send + 'static) {
        os::set_now(now);
        network.begin_host(self.id);
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime without sockets");
        runtime.spawn(main);
        self.runtime = Some(runtime);
        self.boots_at = None;
        self.frozen_until = 0;
    }

    /// Gives its process one more task.
    pub fn spawn(&self, now: u64, task: impl Future<Output = ()> + Send + 'static) {
        os::set_now(now);
        if let Some(runtime) = &self.runtime {
            runtime.spawn(task);
        }
    }

    /// Lets it run until it has nothing to do at `now`.
    pub fn turn(&self, now: u64) {
        let Some(runtime) = self.runtime.as_ref().filter(|_| self.frozen_until <= now) else { return };
        os::set_now(now);
        runtime.block_on(async {
            for _ in 0..ROUNDS {
                tokio::task::yield_now().await;
            }
        });
    }

    /// Ends its process at once, and cuts the power if told to.
    pub fn end(&mut self, network: &SimulatedNetwork, now: u64, ending: Ending, power_cut: bool) {
        let Some(runtime) = self.runtime.take() else { return };
        os::set_now(now);
        network.end_host(self.id, ending);
        os::with_disk(|disk| disk.faults(self.id).frozen = true);
        drop(runtime);
        os::with_disk(|disk| if power_cut { disk.power_was_cut(self.id) } else { disk.processes_ended(self.id) });
    }
}
