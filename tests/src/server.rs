//! One `granary server`: every role in one process, on free ports.

use crate::binary::granary;
use crate::eventually;
use crate::s3::S3;
use anyhow::Context;
use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ACCESS_KEY: &str = "granary-test";
const SECRET_KEY: &str = "granary-test-secret";
/// How long a server may take to answer.
const START_TIMEOUT: Duration = Duration::from_secs(180);

/// What the server listens on, S3 first.
const PORTS: [&str; 6] =
    ["--s3", "--namenode-http", "--datanode-http", "--namenode-rpc", "--datanode-transfer", "--datanode-ipc"];

/// A running server, killed when dropped.
pub struct Server {
    data: Vec<PathBuf>,
    ports: [u16; PORTS.len()],
    child: Child,
    arguments: Vec<String>,
}

impl Server {
    /// Starts a server on these directories and waits until it answers.
    pub async fn start(data: &[&Path]) -> anyhow::Result<Server> {
        Self::start_with(data, &[]).await
    }

    /// Likewise with further arguments.
    pub async fn start_with(data: &[&Path], arguments: &[&str]) -> anyhow::Result<Server> {
        let data: Vec<PathBuf> = data.iter().map(|path| path.to_path_buf()).collect();
        let ports = free_ports()?;
        let arguments: Vec<String> = arguments.iter().map(|argument| argument.to_string()).collect();
        let child = spawn(&data, ports, &arguments)?;
        let server = Server { data, ports, child, arguments };
        server.until_ready().await;
        Ok(server)
    }

    /// kill -9.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end.
    pub fn stop(&mut self) -> anyhow::Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        self.child.wait()?;
        Ok(())
    }

    /// Starts the killed or stopped server again; returns how long it took until it answered.
    pub async fn restart(&mut self) -> anyhow::Result<Duration> {
        let before = Instant::now();
        self.child = spawn(&self.data, self.ports, &self.arguments)?;
        self.until_ready().await;
        Ok(before.elapsed())
    }

    async fn until_ready(&self) {
        let address = self.address();
        eventually("the server to answer", START_TIMEOUT, || async {
            let mut client = S3::new(address.clone(), ACCESS_KEY, SECRET_KEY);
            let answer = client
                .send(http::Method::GET, "/", &[], bytes::Bytes::new())
                .await
                .map_err(|error| format!("{error:#}"))?;
            answer.ok().map(drop).map_err(|error| error.to_string())
        })
        .await;
    }

    /// `host:port` of S3.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.ports[0])
    }

    /// `host:port` of the namenode's and the datanode's http.
    pub fn http(&self) -> [String; 2] {
        [format!("127.0.0.1:{}", self.ports[1]), format!("127.0.0.1:{}", self.ports[2])]
    }

    /// A client with the root key.
    pub fn s3(&self) -> S3 {
        S3::new(self.address(), ACCESS_KEY, SECRET_KEY)
    }

    /// Runs `granary admin ARGUMENTS --json` against it.
    pub fn admin(&self, arguments: &[&str]) -> anyhow::Result<serde_json::Value> {
        let text = self.command(&[arguments, &["--json"]].concat())?;
        serde_json::from_str(&text).context("not JSON")
    }

    /// Runs `granary admin ARGUMENTS` against it; what it prints.
    pub fn command(&self, arguments: &[&str]) -> anyhow::Result<String> {
        let endpoint = format!("http://{}", self.address());
        let all = [&["admin", "--endpoint", &endpoint], arguments].concat();
        crate::run(&all, &[("GRANARY_ROOT_ACCESS_KEY", ACCESS_KEY), ("GRANARY_ROOT_SECRET_KEY", SECRET_KEY)])
    }

    /// A figure of `/proc/PID/status` in bytes, such as `VmHWM` (peak) or `VmRSS` (now).
    pub fn memory(&self, figure: &str) -> anyhow::Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line =
            status.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(':')).context("no such figure")?;
        let kib: u64 = line.trim().trim_end_matches("kB").trim().parse()?;
        Ok(kib * 1024)
    }

    /// Where `hdfs://` is served.
    pub fn hadoop_rpc(&self) -> String {
        format!("127.0.0.1:{}", self.ports[3])
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing is left behind.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(data: &[PathBuf], ports: [u16; PORTS.len()], arguments: &[String]) -> anyhow::Result<Child> {
    let mut command = Command::new(granary()?);
    command.arg("server");
    for directory in data {
        command.arg("--data").arg(directory);
    }
    for (flag, port) in PORTS.iter().zip(ports) {
        command.arg(flag).arg(format!("127.0.0.1:{port}"));
    }
    let log = log_file(&data[0])?;
    command
        .args(arguments)
        .env("GRANARY_ROOT_ACCESS_KEY", ACCESS_KEY)
        .env("GRANARY_ROOT_SECRET_KEY", SECRET_KEY)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting a server")
}

fn log_file(first: &Path) -> anyhow::Result<File> {
    std::fs::create_dir_all(first)?;
    Ok(OpenOptions::new().create(true).append(true).open(first.join("server.log"))?)
}

/// Ports that were free a moment ago, all different.
fn free_ports() -> anyhow::Result<[u16; PORTS.len()]> {
    let mut ports = [0; PORTS.len()];
    let held: Vec<_> = (0..ports.len()).map(|_| TcpListener::bind("127.0.0.1:0")).collect::<Result<_, _>>()?;
    for (port, listener) in ports.iter_mut().zip(&held) {
        *port = listener.local_addr()?.port();
    }
    Ok(ports)
}
