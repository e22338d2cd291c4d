//! The simulated network: connections between machines that delay, lose (and send again, as TCP does), and end.
//!
//! Time moves in steps: what is sent in one step arrives in a later one at the earliest, so the order in which machines take
//! their turns within a step decides nothing about what they know of each other.

mod pipe;

use crate::random::Random;
use crate::trace;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use granary_rpc::{Carrier, Network, NetworkListener};
use pipe::{PipeReader, PipeState, PipeWriter};
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::sync::{mpsc, oneshot};

/// Which machine.
pub type HostId = usize;

const MS: u64 = 1_000_000;
/// A packet that was lost is sent again after this long, at least.
const RETRANSMIT: u64 = 200 * MS;
/// How often TCP tries to get through a network that carries nothing.
const RETRY: u64 = 250 * MS;

/// How a run's network behaves.
#[derive(Clone, Copy, Debug)]
pub struct Weather {
    /// One way, in nanoseconds.
    pub latency_min: u64,
    pub latency_max: u64,
    /// Of a thousand messages, how many are lost and sent again.
    pub lost_permille: u64,
}

/// What a machine's end means to those connected with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its system closes the connections.
    Closed,
    /// Nobody is told.
    Silent,
}

type PipeId = u64;

struct Connect {
    from: HostId,
    to: SocketAddr,
    answer: oneshot::Sender<io::Result<Carrier>>,
}

struct State {
    now: u64,
    random: Random,
    weather: Weather,
    /// From whom to whom nothing gets.
    cut: BTreeSet<(HostId, HostId)>,
    /// Machines that run.
    up: BTreeSet<HostId>,
    /// Machines without power: not even a refusal comes from there.
    dark: BTreeSet<HostId>,
    pipes: BTreeMap<PipeId, PipeState>,
    next_pipe: PipeId,
    listeners: BTreeMap<SocketAddr, mpsc::UnboundedSender<Carrier>>,
    connects: BTreeMap<(u64, u64), Connect>,
    /// Pipes at the times when something of theirs is due.
    due: BTreeSet<(u64, PipeId)>,
    next_event: u64,
    /// This state, for the ends of pipes.
    own: Weak<Mutex<State>>,
}

/// The network. Clones are the same one.
#[derive(Clone)]
pub struct SimulatedNetwork {
    state: Arc<Mutex<State>>,
}

impl SimulatedNetwork {
    /// A network that carries everything.
    pub fn new(seed: u64, weather: Weather) -> SimulatedNetwork {
        let state = State {
            now: 0,
            random: Random::new(seed, 3),
            weather,
            cut: BTreeSet::new(),
            up: BTreeSet::new(),
            dark: BTreeSet::new(),
            pipes: BTreeMap::new(),
            next_pipe: 1,
            listeners: BTreeMap::new(),
            connects: BTreeMap::new(),
            due: BTreeSet::new(),
            next_event: 0,
            own: Weak::new(),
        };
        let network = SimulatedNetwork { state: Arc::new(Mutex::new(state)) };
        network.state().own = Arc::downgrade(&network.state);
        network
    }

    /// The address of a machine.
    pub fn address(host: HostId) -> SocketAddr {
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, host as u8 + 1)), 9000)
    }

    /// The network as `host` sees it.
    pub fn of(&self, host: HostId) -> Arc<dyn Network> {
        Arc::new(HostNetwork { host, network: self.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing gets from `from` to `to` any more, or everything again.
    pub fn set_cut(&self, from: HostId, to: HostId, cut: bool) {
        let mut state = self.state();
        if cut {
            state.cut.insert((from, to))
        } else {
            state.cut.remove(&(from, to))
        };
    }

    /// Everything is carried everywhere.
    pub fn heal(&self) {
        self.state().cut.clear();
    }

    /// A machine runs.
    pub fn begin_host(&self, host: HostId) {
        let mut state = self.state();
        state.up.insert(host);
        state.dark.remove(&host);
    }

    /// A machine's process is about to end: what it still does reaches nobody.
    pub fn end_host(&self, host: HostId, ending: Ending) {
        let mut state = self.state();
        state.up.remove(&host);
        if ending == Ending::Silent {
            state.dark.insert(host);
        }
        state.listeners.retain(|address, _| *address != SimulatedNetwork::address(host));
        let touched = state.pipes.values_mut().filter(|pipe| pipe.from == host || pipe.to == host);
        touched.for_each(|pipe| pipe.lose_host(ending == Ending::Closed));
    }

    /// Lets time go on to `now`: what is due arrives.
    pub fn advance(&self, now: u64) {
        let mut state = self.state();
        state.now = now;
        state.connect_due();
        state.deliver_due();
    }
}

impl State {
    fn reaches(&self, from: HostId, to: HostId) -> bool {
        !self.cut.contains(&(from, to)) && !self.dark.contains(&to)
    }

    /// When something sent now arrives.
    fn arrival(&mut self) -> u64 {
        let Weather { latency_min, latency_max, lost_permille } = self.weather;
        let mut due = self.now + self.random.range(latency_min, latency_max);
        while self.random.range(0, 1000) < lost_permille {
            due += RETRANSMIT;
        }
        due
    }

    fn connect_due(&mut self) {
        let due: Vec<(u64, u64)> = self.connects.range(..=(self.now, u64::MAX)).map(|(at, _)| *at).collect();
        for at in due {
            let Some(connect) = self.connects.remove(&at) else { continue };
            if connect.answer.is_closed() {
                continue;
            }
            let to = host_of(connect.to);
            if !self.reaches(connect.from, to) || !self.reaches(to, connect.from) {
                self.next_event += 1;
                self.connects.insert((self.now + RETRY, self.next_event), connect);
                continue;
            }
            let Some(listener) = self.listeners.get(&connect.to).cloned() else {
                let _ = connect.answer.send(Err(io::ErrorKind::ConnectionRefused.into()));
                continue;
            };
            trace::note("connect", &[connect.from as u64, to as u64, self.now], &[]);
            let (there, back) = (self.new_pipe(connect.from, to), self.new_pipe(to, connect.from));
            self.pipes.get_mut(&there.1).expect("just made").twin = back.1;
            self.pipes.get_mut(&back.1).expect("just made").twin = there.1;
            let near = Carrier {
                reader: Box::new(PipeReader::new(back.0.clone(), back.1)),
                writer: Box::new(PipeWriter::new(there.0.clone(), there.1)),
                peer: connect.to,
            };
            let far = Carrier {
                reader: Box::new(PipeReader::new(there.0, there.1)),
                writer: Box::new(PipeWriter::new(back.0, back.1)),
                peer: SimulatedNetwork::address(connect.from),
            };
            // Dropped carriers would lock the state that is locked here.
            if let Err(undelivered) = listener.send(far) {
                std::mem::forget(undelivered);
            }
            if let Err(undelivered) = connect.answer.send(Ok(near)) {
                std::mem::forget(undelivered);
            }
        }
    }

    fn deliver_due(&mut self) {
        while let Some((at, id)) = self.due.first().copied().filter(|(at, _)| *at <= self.now) {
            self.due.remove(&(at, id));
            let Some((from, to)) = self.pipes.get(&id).map(|pipe| (pipe.from, pipe.to)) else { continue };
            if !self.reaches(from, to) {
                self.due.insert((self.now + RETRY, id));
                continue;
            }
            let (now, up) = (self.now, self.up.contains(&to) && self.up.contains(&from));
            let Some(pipe) = self.pipes.get_mut(&id) else { continue };
            if pipe.is_lost() {
                // The machine at the other end runs again and knows nothing of this connection.
                let (twin, is_up) = (pipe.twin, up);
                if is_up {
                    pipe.break_off();
                    if let Some(twin) = self.pipes.get_mut(&twin) {
                        twin.break_off();
                    }
                }
                continue;
            }
            pipe.deliver(now);
        }
        self.pipes.retain(|_, pipe| !pipe.is_over());
    }
}

fn host_of(address: SocketAddr) -> HostId {
    match address.ip() {
        IpAddr::V4(ip) => HostId::from(ip.octets()[3]) - 1,
        IpAddr::V6(_) => unreachable!("addresses of the simulation are of version 4"),
    }
}

struct HostNetwork {
    host: HostId,
    network: SimulatedNetwork,
}

impl std::fmt::Debug for HostNetwork {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the network as machine {} sees it", self.host)
    }
}

impl Network for HostNetwork {
    fn connect<'a>(&'a self, addr: &'a str) -> BoxFuture<'a, io::Result<Carrier>> {
        async move {
            let to: SocketAddr = addr.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            let (answer, answered) = oneshot::channel();
            {
                let mut state = self.network.state();
                state.next_event += 1;
                let at = (state.arrival(), state.next_event);
                state.connects.insert(at, Connect { from: self.host, to, answer });
            }
            answered.await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
        }
        .boxed()
    }

    fn listen(&self, addr: SocketAddr) -> io::Result<Box<dyn NetworkListener>> {
        let (arrived, arrivals) = mpsc::unbounded_channel();
        self.network.state().listeners.insert(addr, arrived);
        Ok(Box::new(Listener { addr, arrivals: tokio::sync::Mutex::new(arrivals) }))
    }
}

struct Listener {
    addr: SocketAddr,
    arrivals: tokio::sync::Mutex<mpsc::UnboundedReceiver<Carrier>>,
}

impl NetworkListener for Listener {
    fn accept(&self) -> BoxFuture<'_, io::Result<Carrier>> {
        async move { self.arrivals.lock().await.recv().await.ok_or_else(|| io::ErrorKind::NotConnected.into()) }.boxed()
    }

    fn local_addr(&self) -> SocketAddr {
        self.addr
    }
}
