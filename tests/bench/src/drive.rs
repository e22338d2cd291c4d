//! Sends one request set over a number of connections and measures it.
//!
//! A few threads, each with a single-threaded runtime and its share of the connections, take requests from one
//! counter. Connections are opened before the clock starts. Every status and length is checked; bodies are compared
//! on a sample. Nothing here knows what the requests are for.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use crate::http::Connection;
use crate::payload::Payload;
use crate::request::RequestSet;
use crate::usage::{self, Usage};

/// Every connection looks at its first response and every so many after it.
const INSPECT_EVERY: u64 = 32;
/// A connection gives up after so many wrong answers: the server is broken, not slow.
const ERRORS_MAX: u64 = 20;
/// How long beyond its time a phase may take to finish what is under way.
const GRACE: Duration = Duration::from_secs(120);

/// The server under test.
#[derive(Clone)]
pub struct Target {
    pub address: SocketAddr,
    /// Root of the server's process tree, if its usage is to be measured.
    pub pid: Option<u32>,
    /// Accept the statuses of a plain WebDAV server for PUT.
    pub lenient: bool,
    pub threads: usize,
}

/// What happens when the requests run out before the time.
#[derive(Clone, Copy, PartialEq)]
pub enum Order {
    /// The phase ends: each request is sent at most once.
    Once,
    /// They start over.
    Repeat,
}

/// What a phase measured.
#[derive(Default)]
pub struct Measured {
    /// Requests sent, in order from the first, counted without repetition; errors are included.
    pub requests_used: usize,
    pub operations: u64,
    pub object_bytes: u64,
    pub elapsed: Duration,
    /// Sorted.
    pub latencies_ns: Vec<u64>,
    pub inspected: u64,
    pub errors: u64,
    pub first_error: Option<String>,
    pub server_cpu_us: u64,
    pub server_peak_rss_kib: u64,
    pub client_cpu_us: u64,
}

impl Measured {
    /// Nearest-rank percentile, in milliseconds.
    pub fn percentile_ms(&self, percent: f64) -> f64 {
        let rank = (self.latencies_ns.len() as f64 * percent / 100.0).ceil() as usize;
        let found = self.latencies_ns.get(rank.saturating_sub(1));
        found.map_or(0.0, |ns| *ns as f64 / 1e6)
    }
}

struct Shared {
    target: Target,
    requests: RequestSet,
    payload: Arc<Payload>,
    order: Order,
    next: AtomicUsize,
    deadline: OnceLock<Instant>,
}

#[derive(Default)]
struct Tally {
    operations: u64,
    object_bytes: u64,
    latencies_ns: Vec<u64>,
    inspected: u64,
    errors: u64,
    first_error: Option<String>,
    last_end: Option<Instant>,
}

/// Runs `requests` over `connections` connections for at most `duration`.
pub fn drive(
    target: &Target,
    payload: &Arc<Payload>,
    requests: RequestSet,
    order: Order,
    connections: usize,
    duration: Duration,
) -> Result<Measured> {
    let threads = target.threads.clamp(1, connections);
    let shared = Arc::new(Shared {
        target: target.clone(),
        requests,
        payload: Arc::clone(payload),
        order,
        next: AtomicUsize::new(0),
        deadline: OnceLock::new(),
    });
    let connected = Arc::new(Barrier::new(threads + 1));
    let started = Arc::new(Barrier::new(threads + 1));
    let workers: Vec<_> = (0..threads)
        .map(|thread| {
            let (shared, connected, started) = (Arc::clone(&shared), Arc::clone(&connected), Arc::clone(&started));
            let share = connections / threads + usize::from(thread < connections % threads);
            thread::spawn(move || work(&shared, share, duration + GRACE, &connected, &started))
        })
        .collect();

    connected.wait();
    let (server, client) = sample(target);
    let begun = Instant::now();
    shared.deadline.get_or_init(|| begun + duration);
    started.wait();
    let tallies = workers
        .into_iter()
        .map(|worker| worker.join().map_err(|_| anyhow!("a driving thread panicked"))?)
        .collect::<Result<Vec<_>>>();
    let (server_after, client_after) = sample(target);

    let mut measured = Measured {
        server_cpu_us: server_after.cpu_us.saturating_sub(server.cpu_us),
        server_peak_rss_kib: server_after.peak_rss_kib,
        client_cpu_us: client_after.cpu_us.saturating_sub(client.cpu_us),
        requests_used: shared.next.load(Ordering::Relaxed).min(shared.requests.len()),
        ..Measured::default()
    };
    for tally in tallies?.into_iter().flatten() {
        measured.operations += tally.operations;
        measured.object_bytes += tally.object_bytes;
        measured.latencies_ns.extend(tally.latencies_ns);
        measured.inspected += tally.inspected;
        measured.errors += tally.errors;
        measured.first_error = measured.first_error.or(tally.first_error);
        let end = tally.last_end.unwrap_or(begun);
        measured.elapsed = measured.elapsed.max(end.duration_since(begun));
    }
    measured.latencies_ns.sort_unstable();
    Ok(measured)
}

fn sample(target: &Target) -> (Usage, Usage) {
    (target.pid.map(usage::of_tree).unwrap_or_default(), usage::of_tree(std::process::id()))
}

/// One thread: opens its connections, waits for the start, drives them to the end.
fn work(
    shared: &Arc<Shared>,
    connections: usize,
    limit: Duration,
    connected: &Barrier,
    started: &Barrier,
) -> Result<Vec<Tally>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let opened = runtime.map_err(anyhow::Error::from).and_then(|runtime| {
        let opened = runtime.block_on(async {
            let mut opened = Vec::with_capacity(connections);
            for _ in 0..connections {
                opened.push(Connection::open(shared.target.address).await?);
            }
            anyhow::Ok(opened)
        })?;
        Ok((runtime, opened))
    });
    // Both barriers are passed whatever happened, or the other threads would wait for ever.
    connected.wait();
    started.wait();
    let (runtime, opened) = opened?;
    runtime.block_on(async {
        let tasks: Vec<_> =
            opened.into_iter().map(|connection| tokio::spawn(converse(Arc::clone(shared), connection))).collect();
        let mut tallies = Vec::with_capacity(tasks.len());
        let all = async {
            for task in tasks {
                tallies.push(task.await?);
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(limit, all).await.map_err(|_| anyhow!("the server stopped answering"))??;
        Ok(tallies)
    })
}

/// One connection: requests one after the other until the time or the requests are used up.
async fn converse(shared: Arc<Shared>, connection: Connection) -> Tally {
    let mut tally = Tally::default();
    let mut connection = Some(connection);
    let deadline = *shared.deadline.get().expect("set before the threads are let go");
    while tally.errors < ERRORS_MAX && Instant::now() < deadline {
        let issued = shared.next.fetch_add(1, Ordering::Relaxed);
        if shared.order == Order::Once && issued >= shared.requests.len() {
            break;
        }
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => Connection::open(shared.target.address).await.map_err(anyhow::Error::from),
        };
        let outcome = match open {
            Ok(open) => one(&shared, issued % shared.requests.len(), open, &mut tally).await,
            Err(error) => Err(error),
        };
        match outcome {
            Ok(open) => connection = open,
            Err(error) => tally.fail(format!("{error:#}")),
        }
    }
    tally
}

/// One exchange. Returns the connection if it can be used again; an error means that it broke.
async fn one(
    shared: &Shared,
    index: usize,
    mut connection: Connection,
    tally: &mut Tally,
) -> Result<Option<Connection>> {
    let request = shared.requests.get(index);
    let inspect = (tally.operations + tally.errors).is_multiple_of(INSPECT_EVERY);
    let body = request.expected.body(&shared.payload, inspect);
    let begun = Instant::now();
    let response = connection.exchange(request.head, shared.payload.slice(request.body), body).await?;
    let end = Instant::now();
    tally.last_end = Some(end);
    match request.expected.check(&response, connection.kept(), inspect, shared.target.lenient) {
        Some(wrong) => tally.fail(wrong),
        None => {
            tally.operations += 1;
            tally.inspected += u64::from(inspect);
            tally.object_bytes += request.object_bytes;
            tally.latencies_ns.push(end.duration_since(begun).as_nanos() as u64);
        }
    }
    Ok((!connection.is_closing()).then_some(connection))
}

impl Tally {
    fn fail(&mut self, what: String) {
        self.errors += 1;
        self.first_error.get_or_insert(what);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::presign::{KeyPair, Presigner};
    use crate::request::Expected;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use time::OffsetDateTime;

    /// A server that answers every GET with `body`, and closes each connection after `lifetime` answers.
    fn serve(body: &'static [u8], lifetime: usize) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.unwrap();
                thread::spawn(move || answer(stream, body, lifetime));
            }
        });
        address
    }

    fn answer(mut stream: TcpStream, body: &[u8], lifetime: usize) {
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
        for served in 1..=lifetime {
            while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
            let close = if served == lifetime { "Connection: close\r\n" } else { "" };
            let head = format!("HTTP/1.1 200 OK\r\n{close}Content-Length: {}\r\n\r\n", body.len());
            if stream.write_all(&[head.as_bytes(), body].concat()).is_err() {
                return;
            }
        }
    }

    fn run(address: SocketAddr, payload: &Arc<Payload>, len: usize, order: Order, seconds: f64) -> Measured {
        let keys = KeyPair { access_key: "a".into(), secret_key: "b".into() };
        let presigner = Presigner::new(&keys, "us-east-1", "localhost", OffsetDateTime::UNIX_EPOCH);
        let mut requests = RequestSet::default();
        for _ in 0..100 {
            requests.push(&presigner, "GET", "/b/k", &[], 0..0, Expected::Object(Payload::range_of(0, len)));
        }
        let target = Target { address, pid: None, lenient: false, threads: 2 };
        drive(&target, payload, requests, order, 3, Duration::from_secs_f64(seconds)).unwrap()
    }

    #[test]
    fn every_request_is_answered_once_across_closing_connections() {
        let payload = Arc::new(Payload::new(10));
        let body = payload.slice(&Payload::range_of(0, 10)).to_vec().leak();
        let measured = run(serve(body, 7), &payload, 10, Order::Once, 60.0);
        assert_eq!((measured.operations, measured.errors, measured.requests_used), (100, 0, 100));
        assert_eq!((measured.object_bytes, measured.latencies_ns.len()), (1000, 100));
        assert!(measured.inspected >= 3);
        let repeated = run(serve(body, usize::MAX), &payload, 10, Order::Repeat, 0.2);
        assert!(repeated.operations > 100, "{}", repeated.operations);
    }

    #[test]
    fn wrong_bodies_are_errors_and_end_the_phase() {
        let payload = Arc::new(Payload::new(10));
        let measured = run(serve(b"short", usize::MAX), &payload, 10, Order::Repeat, 60.0);
        assert_eq!((measured.operations, measured.errors), (0, 3 * ERRORS_MAX));
        assert!(measured.first_error.unwrap().contains("5 bytes where 10"));
    }
}
