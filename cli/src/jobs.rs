//! Jobs: the service beside a namenode, the task runner beside a datanode, and the launcher of programs.

use anyhow::Context;
use granary_client::Client;
use granary_mapreduce::runner::{RunnerComponents, RunnerConfig, TaskRunner};
use granary_mapreduce::sandbox::{LAUNCHER_ARGUMENT, launcher_main};
use granary_mapreduce::service::{JobService, JobsDoor, ServiceComponents};
use granary_namenode::service::Namenode;
use granary_protocol::{DatanodeId, NodeName, Rack, UnixMillis};
use granary_rpc::Security;
use granary_sealing::{KeyStore, LocalKeyStore, MasterKey};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::SystemTime;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// Where scratch is, below a data directory.
pub const SCRATCH: &str = "tasks";
/// The first user that programs run as where this process may choose: far from those that people have.
const FIRST_USER: u32 = 790_000_000;
/// Runners on one machine have users of their own, so many each.
const USERS_PER_RUNNER: u32 = 1_000;
const RUNNERS_ON_MACHINE: u32 = 1_000;

/// Acts as the launcher of a task's program, if this process was started as that.
pub fn launcher() -> Option<ExitCode> {
    let arguments: Vec<String> =
        std::env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned()).collect();
    let (first, rest) = arguments.split_first()?;
    (first == LAUNCHER_ARGUMENT).then(|| ExitCode::from(u8::try_from(launcher_main(rest)).unwrap_or(u8::MAX)))
}

/// Tasks at a time unless a number is given.
pub fn cores() -> u32 {
    std::thread::available_parallelism().map_or(1, |cores| cores.get() as u32)
}

/// Starts the job service. It works while the namenode leads, until `shutdown`.
pub fn start_service(namenode: &Arc<Namenode>, tasks: &TaskTracker, shutdown: CancellationToken) -> Arc<JobService> {
    let leader = namenode.clone();
    let service = JobService::new(ServiceComponents {
        namenode: namenode.clone(),
        leads: Box::new(move || leader.is_leader()),
        now: Box::new(|| UnixMillis::from(SystemTime::now())),
        shutdown,
    });
    namenode.serve_jobs(Arc::new(JobsDoor(service.clone())));
    tasks.spawn(service.clone().run());
    service
}

/// Where a task runner stands.
pub struct RunnerPlace {
    pub name: NodeName,
    pub datanode: DatanodeId,
    pub rack: Rack,
    pub slots: u32,
    pub scratch: PathBuf,
    pub shuffle: Option<SocketAddr>,
    pub shuffle_advertised: Option<String>,
}

/// Starts a task runner, which works until `shutdown`.
pub async fn start_runner(
    place: RunnerPlace,
    client: &Client,
    master_key: Option<MasterKey>,
    security: Security,
    tasks: &TaskTracker,
    shutdown: CancellationToken,
) -> anyhow::Result<Arc<TaskRunner>> {
    let may_change_user = rustix::process::geteuid().is_root();
    let scratch = match may_change_user && !searchable_by_all(&place.scratch) {
        // Programs of other users could not reach their directory.
        true => std::env::temp_dir().join(format!("granary-tasks-{:08x}", folded(&place.scratch.to_string_lossy()))),
        false => place.scratch,
    };
    let runner_number = folded(&scratch.to_string_lossy()) % RUNNERS_ON_MACHINE;
    let config = RunnerConfig {
        name: place.name,
        datanode: place.datanode,
        rack: place.rack,
        slots: place.slots,
        scratch,
        shuffle: place.shuffle,
        shuffle_advertised: place.shuffle_advertised,
        launcher: std::env::current_exe().context("finding this program")?,
        first_user: may_change_user.then_some(FIRST_USER + runner_number * USERS_PER_RUNNER),
    };
    // Keys of the key store are only used here: none is made.
    let keys =
        master_key.map(|master| Arc::new(LocalKeyStore::new(client.clone(), master, false)) as Arc<dyn KeyStore>);
    let components = RunnerComponents { client: client.clone(), keys, security, shutdown };
    let runner = TaskRunner::start(config, components).await.context("starting the task runner")?;
    tasks.spawn(client.essential("the task runner", runner.clone().run()));
    Ok(runner)
}

/// Whether every directory above lets other users pass.
fn searchable_by_all(path: &Path) -> bool {
    let searchable = |directory: &Path| match std::fs::metadata(directory) {
        Ok(metadata) => metadata.permissions().mode() & 0o001 != 0,
        // It will be made.
        Err(_) => true,
    };
    path.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()).all(searchable)
}

fn folded(text: &str) -> u32 {
    text.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
