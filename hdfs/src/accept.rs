//! Taking the connections of a port: as many at a time as may be, until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// A pause after the system refused to accept, so that a lack of descriptors does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves each connection until `shutdown`, then waits for those under way. Beyond `connections_max` further ones are
/// closed at once. `port` is what the log calls it.
pub(crate) async fn accept<F>(
    listener: TcpListener,
    connections_max: usize,
    port: &'static str,
    shutdown: CancellationToken,
    serve: impl Fn(TcpStream, SocketAddr, CancellationToken) -> F,
) where
    F: Future<Output = ()> + Send + 'static,
{
    let tasks = TaskTracker::new();
    let connections = Arc::new(Semaphore::new(connections_max));
    while let Some(accepted) = shutdown.run_until_cancelled(listener.accept()).await {
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection to the {port} port could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(permit) = connections.clone().try_acquire_owned() else {
            tracing::warn!(%peer, "too many connections to the {port} port");
            continue;
        };
        let served = serve(stream, peer, shutdown.child_token());
        tasks.spawn(async move {
            served.await;
            drop(permit);
        });
    }
    tasks.close();
    tasks.wait().await;
}
