//! The command line.

use clap::{Args, Parser, Subcommand};
use granary_gateway::config::{NewBuckets, NotificationSettings, StoreDefault, TargetSettings};
use granary_hdfs::config::HdfsConfig;
use granary_lifecycle::LifecycleSettings;
use granary_namenode::redundancy::ClassConfig;
use granary_protocol::block::Media;
use granary_protocol::object::StorageClass;
use granary_protocol::redundancy::NotAPolicy;
use std::net::SocketAddr;
use std::path::PathBuf;

/// One store with two front doors, S3 and Hadoop.
#[derive(Debug, Parser)]
#[command(name = "granary", version, about, long_about = None, after_help = "\
Start with:
  granary server --data ./data          every role in one process, S3 on 127.0.0.1:9000
  granary local up --dir ./cluster      a real cluster of processes on this machine

Each command explains itself with --help.")]
pub struct Arguments {
    /// What to log: error, warn, info, debug, or a filter such as `info,granary_namenode=debug`.
    #[arg(long, global = true, default_value = "info", env = "GRANARY_LOG", value_name = "FILTER")]
    pub log: String,

    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run every role in this process: a whole store on one machine.
    Server(ServerOptions),
    /// Run a namenode: one of the peers that hold all metadata.
    Namenode(RoleOptions),
    /// Run a datanode: block replicas on this machine's disks.
    Datanode(RoleOptions),
    /// Run a gateway: the S3 door.
    Gateway(RoleOptions),
    /// Get a certificate for a new node, against a join token.
    Enrol(EnrolOptions),
    /// Make a cluster's certificate authority and certificates for its nodes.
    Certs(CertsOptions),
    /// Ask a process whether it is ready: exit code 0 when it is.
    Health(HealthOptions),
    /// Work with files and directories as Hadoop's shell does: `granary fs -ls /`.
    Fs(FsOptions),
    /// Run batch jobs where the bytes are, and look after them.
    Job(JobOptions),
    /// Run a cluster of separate processes on this machine.
    #[command(subcommand)]
    Local(LocalCommand),
    /// Look at a running store and administer it.
    Admin(AdminOptions),
    /// Ask what lifecycle rules will do.
    Lifecycle(LifecycleQuestion),
}

#[derive(Debug, Args)]
#[command(after_help = JOB_EXAMPLES)]
pub struct JobOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: JobCommand,
}

const JOB_EXAMPLES: &str = "\
Examples:
  granary job run wordcount -input s3://books/2026 -output s3://results/words
  granary job run grep ERROR -input 's3://logs/2026-11-*' -output s3://results/errors
  granary job run -input s3://books/ -output s3://results/words -mapper map.py -reducer reduce.py -files map.py,reduce.py
  granary job run -input s3://books/ -output s3://results/words -wasm-mapper map.wasm -wasm-reducer reduce.wasm
  granary job status job_000007

The key comes from GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY, or from AWS_ACCESS_KEY_ID and
AWS_SECRET_ACCESS_KEY (with AWS_SESSION_TOKEN for keys of a session). Programs of one's own need the permission
job:ExecNative; WebAssembly modules and built-in programs need none.";

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Run a job and wait for its end: a built-in program, or a mapper and reducer as in Hadoop Streaming.
    #[command(after_help = JOB_RUN_HELP, disable_help_flag = true)]
    Run {
        /// A built-in program, and options.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM AND OPTIONS")]
        words: Vec<String>,
    },
    /// How far a job has come, where its maps ran, and why attempts failed.
    Status {
        job: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Jobs, latest first.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
        /// How many at most.
        #[arg(long, default_value_t = 100)]
        limit: u32,
    },
    /// End a job. Nothing of it stays.
    Kill { job: String },
    /// What failed attempts wrote to standard error.
    Logs {
        job: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// The counters of a job.
    Counters {
        job: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// A job's history: lines of JSON.
    History { job: String },
}

pub const JOB_RUN_HELP: &str = "\
Built-in programs: wordcount, grep PATTERN, sort, distcp, checksum, identity, teragen ROWS, terasort, teravalidate.

Options, spelled as in Hadoop Streaming:
  -input URL (may be repeated; globs)   -output URL   -numReduceTasks N   -lazyOutput
  -mapper CMD   -reducer CMD|NONE|aggregate   -combiner CMD   -files FILE[#NAME],...   -cmdenv NAME=VALUE
  -wasm-mapper 'FILE ARGUMENTS'   -wasm-reducer 'FILE ARGUMENTS'   -wasm-combiner 'FILE ARGUMENTS'
  -partitioner CLASS   -inputformat CLASS   -D NAME=VALUE
Of grep: -ignoreCase -invert -count. Of checksum: -algorithm crc32c|crc64nvme|md5|sha256.
Of granary: --name TEXT, --archived fail|skip|restore, --split-bytes N, --detach, --json, --endpoint URL, --ca-file FILE, --region NAME";

#[derive(Debug, Args)]
#[command(after_help = "\
Commands, with the options of Hadoop's shell: -ls -cat -text -head -tail -mkdir -rm -rmdir -mv -cp -find -put
-copyFromLocal -get -copyToLocal -getmerge -appendToFile -touch -touchz -du -count -stat -test -checksum -df -setrep
-chmod -chown -chgrp -truncate -getfacl -setfacl -getfattr -setfattr -expunge. Times are in UTC.

Examples:
  granary fs -mkdir -p /data/in
  granary fs -put report.csv /data/in
  granary fs --webhdfs http://namenode:9870 --user ann -ls -h /data")]
pub struct FsOptions {
    /// WebHDFS of a namenode.
    #[arg(long, env = "GRANARY_WEBHDFS", default_value = "http://127.0.0.1:9870", value_name = "URL")]
    pub webhdfs: String,
    /// On whose behalf; the user of the operating system otherwise.
    #[arg(long, env = "HADOOP_USER_NAME", value_name = "NAME")]
    pub user: Option<String>,
    /// The command, its options and its paths.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
The root key comes from GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY. Without them one is generated at the first
start, printed once, and kept in DIR/root-credentials.json (mode 0600).

The master key of server-side encryption comes from GRANARY_MASTER_KEY (32 bytes in base64) or --master-key-file. Without
either one is generated at the first start and kept in DIR/master-key (mode 0600). Keep a copy elsewhere.

Example:
  granary server --data /mnt/disk1 --data /mnt/disk2 --s3 0.0.0.0:9000")]
pub struct ServerOptions {
    /// Where to keep data. Several directories, one a disk, give each block several replicas. The first also keeps the
    /// metadata.
    #[arg(long, required = true, value_name = "DIR")]
    pub data: Vec<PathBuf>,
    /// A directory on cheap, slow media, for the blocks of GLACIER and DEEP_ARCHIVE. May be repeated, one a disk.
    #[arg(long, value_name = "DIR")]
    pub archive: Vec<PathBuf>,
    /// Where S3 is served.
    #[arg(long, default_value = "127.0.0.1:9000", value_name = "ADDR:PORT")]
    pub s3: SocketAddr,
    /// Where the namenode's metrics and health and WebHDFS are served.
    #[arg(long, default_value = "127.0.0.1:9870", value_name = "ADDR:PORT")]
    pub namenode_http: SocketAddr,
    /// Where hdfs:// is served (Hadoop RPC).
    #[arg(long, default_value = "127.0.0.1:8020", value_name = "ADDR:PORT")]
    pub namenode_rpc: SocketAddr,
    /// Where the datanode's metrics and health are served, and the data of WebHDFS.
    #[arg(long, default_value = "127.0.0.1:9864", value_name = "ADDR:PORT")]
    pub datanode_http: SocketAddr,
    /// Where Hadoop clients read and write blocks (DataTransferProtocol).
    #[arg(long, default_value = "127.0.0.1:9866", value_name = "ADDR:PORT")]
    pub datanode_transfer: SocketAddr,
    /// Where Hadoop clients ask about blocks that are being written (ClientDatanodeProtocol).
    #[arg(long, default_value = "127.0.0.1:9867", value_name = "ADDR:PORT")]
    pub datanode_ipc: SocketAddr,
    /// Where WebHDFS is served under TLS beside the namenode, with the certificate of --tls-cert.
    #[arg(long, requires = "tls_cert", value_name = "ADDR:PORT")]
    pub namenode_https: Option<SocketAddr>,
    /// Where the data of WebHDFS is served under TLS, with the certificate of --tls-cert.
    #[arg(long, requires = "tls_cert", value_name = "ADDR:PORT")]
    pub datanode_https: Option<SocketAddr>,
    /// Tasks of jobs that run at a time; 0 for none. Default: as many as the machine has cores.
    #[arg(long, value_name = "N")]
    pub task_slots: Option<u32>,
    /// Where tasks keep what they sort and their programs write. Default: in the first data directory.
    #[arg(long, value_name = "DIR")]
    pub task_scratch: Option<PathBuf>,
    #[command(flatten)]
    pub hdfs: HdfsOptions,
    #[command(flatten)]
    pub redundancy: RedundancyOptions,
    #[command(flatten)]
    pub door: DoorOptions,
}

/// Whom the Hadoop door believes.
#[derive(Clone, Debug, Default, Args)]
pub struct HdfsOptions {
    /// Believe the user names that Hadoop clients on other machines claim (SIMPLE authentication). From this machine they
    /// always are.
    #[arg(long)]
    pub hdfs_allow_simple: bool,
    /// A user that may do everything through the Hadoop door when it comes from this machine, beside `hdfs` and the user
    /// that runs the server. May be repeated.
    #[arg(long, value_name = "USER")]
    pub hdfs_superuser: Vec<String>,
    /// Let one Hadoop user speak for others: `oozie=ann,bob`, or `hive=*` for all. May be repeated.
    #[arg(long, value_name = "USER=USERS")]
    pub hdfs_proxy_user: Vec<ProxyUser>,
    /// What Hadoop clients are told to keep deleted files for in `.Trash`.
    #[arg(long, default_value_t = 0, value_name = "MINUTES")]
    pub hdfs_trash_interval_minutes: u64,
}

impl HdfsOptions {
    /// As the door wants it.
    pub fn config(&self) -> HdfsConfig {
        HdfsConfig {
            allow_simple: self.hdfs_allow_simple,
            superusers: self.hdfs_superuser.clone(),
            proxy_users: self.hdfs_proxy_user.iter().map(|proxy| (proxy.user.clone(), proxy.users.clone())).collect(),
            trash_interval_minutes: self.hdfs_trash_interval_minutes,
            ..HdfsConfig::default()
        }
    }
}

/// A user that may speak for others, written `USER=USERS`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyUser {
    pub user: String,
    pub users: Vec<String>,
}

impl std::str::FromStr for ProxyUser {
    type Err = String;

    fn from_str(text: &str) -> Result<ProxyUser, String> {
        let (user, users) = text.split_once('=').ok_or("a proxy user is written USER=USERS")?;
        Ok(ProxyUser { user: user.to_owned(), users: users.split(',').map(str::to_owned).collect() })
    }
}

/// What storage classes ask for.
#[derive(Clone, Debug, Default, Args)]
pub struct RedundancyOptions {
    /// How blocks of a storage class are kept, on which media, or both: `STANDARD_IA=rs-6-3`, `STANDARD=ssd`,
    /// `GLACIER=rs-4-2,archive`. Without it the defaults for the number of failure domains hold. May be repeated.
    #[arg(long = "class", value_name = "CLASS=POLICY,MEDIA")]
    pub classes: Vec<ClassPolicy>,
    /// How long a namenode that begins to lead waits before it codes blocks and removes surplus replicas.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub coding_settle_s: u64,
    /// How long a block of a coded class waits for others of its kind before it goes into a smaller group.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub coding_patience_s: u64,
}

impl RedundancyOptions {
    /// Puts them into a namenode's settings.
    pub fn apply(&self, config: &mut granary_namenode::Config) {
        config.classes = self.classes.iter().map(|policy| (policy.class.clone(), policy.settings)).collect();
        config.coding.settle_ms = self.coding_settle_s.saturating_mul(1_000);
        config.coding.patience_ms = self.coding_patience_s.saturating_mul(1_000);
    }
}

/// A storage class, its redundancy and its media, written `CLASS=POLICY`, `CLASS=MEDIA` or `CLASS=POLICY,MEDIA`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClassPolicy {
    pub class: String,
    pub settings: ClassConfig,
}

impl std::str::FromStr for ClassPolicy {
    type Err = String;

    fn from_str(text: &str) -> Result<ClassPolicy, String> {
        let (class, words) = text.split_once('=').ok_or("a class's redundancy is written CLASS=POLICY")?;
        if StorageClass::from_name(class).is_none() {
            return Err(format!("S3 has no storage class {class:?}"));
        }
        let mut settings = ClassConfig::default();
        for word in words.split(',') {
            match Media::from_name(word) {
                Some(media) => settings.media = Some(media),
                None => settings.redundancy = Some(word.parse().map_err(|error: NotAPolicy| error.to_string())?),
            }
        }
        Ok(ClassPolicy { class: class.to_owned(), settings })
    }
}

/// How the S3 door presents itself.
#[derive(Clone, Debug, Args)]
pub struct DoorOptions {
    /// Serve S3 over TLS with this certificate chain (PEM).
    #[arg(long, requires = "tls_key", value_name = "FILE")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's private key (PEM).
    #[arg(long, requires = "tls_cert", value_name = "FILE")]
    pub tls_key: Option<PathBuf>,
    /// A URL under which clients reach this door, for example behind a proxy. Its host is accepted in virtual-hosted
    /// requests (`bucket.HOST`). May be repeated.
    #[arg(long, value_name = "URL")]
    pub public_url: Vec<String>,
    /// The region requests are signed for.
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    pub region: String,
    /// What buckets are created with: `standard` (private; whether access control lists count is left to whoever puts one),
    /// `guarded` (public access blocked and no lists, as AWS does) or `open` (neither, as AWS did before April 2023).
    #[arg(long, default_value = "standard", value_parser = new_buckets, value_name = "standard|guarded|open")]
    pub new_buckets: NewBuckets,
    /// Serve buckets that have a website configuration as `BUCKET.DOMAIN`. May be repeated.
    #[arg(long, value_name = "DOMAIN")]
    pub website_domain: Vec<String>,
    /// A webhook that buckets may send events to, as arn:aws:sqs:REGION:ACCOUNT:NAME and its like. May be repeated.
    #[arg(long, value_name = "NAME=URL")]
    pub notification_target: Vec<NotificationTarget>,
    /// Let webhooks have addresses of this machine and of private networks.
    #[arg(long)]
    pub allow_private_notification_targets: bool,
    /// How often access logs of buckets are delivered.
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    pub access_log_interval_s: u64,
    #[command(flatten)]
    pub lifecycle: LifecycleOptions,
    #[command(flatten)]
    pub encryption: EncryptionOptions,
}

/// Lifecycle rules and restores.
#[derive(Clone, Debug, Args)]
pub struct LifecycleOptions {
    /// Seconds of a day in lifecycle rules and restores. Fewer than 86,400 are for tests: objects expire sooner than their
    /// rules say. GRANARY_LIFECYCLE_DAY_SECONDS does the same for every role.
    #[arg(long, default_value_t = 86_400, value_name = "SECONDS")]
    pub lifecycle_day_seconds: u64,
    /// Versions judged by lifecycle rules in a second at most.
    #[arg(long, default_value_t = 10_000, value_name = "COUNT")]
    pub lifecycle_objects_per_second: u64,
    /// How long an Expedited restore of GLACIER takes.
    #[arg(long, default_value_t = 300, value_name = "SECONDS")]
    pub restore_expedited_s: u64,
    /// How long a Standard restore of GLACIER takes.
    #[arg(long, default_value_t = 14_400, value_name = "SECONDS")]
    pub restore_standard_s: u64,
    /// How long a Bulk restore of GLACIER takes.
    #[arg(long, default_value_t = 28_800, value_name = "SECONDS")]
    pub restore_bulk_s: u64,
    /// How long a Standard restore of DEEP_ARCHIVE takes.
    #[arg(long, default_value_t = 43_200, value_name = "SECONDS")]
    pub restore_deep_standard_s: u64,
    /// How long a Bulk restore of DEEP_ARCHIVE takes.
    #[arg(long, default_value_t = 172_800, value_name = "SECONDS")]
    pub restore_deep_bulk_s: u64,
}

impl LifecycleOptions {
    pub fn settings(&self) -> LifecycleSettings {
        LifecycleSettings {
            day_seconds: self.lifecycle_day_seconds,
            objects_per_second: self.lifecycle_objects_per_second,
            restore_expedited_s: self.restore_expedited_s,
            restore_standard_s: self.restore_standard_s,
            restore_bulk_s: self.restore_bulk_s,
            restore_deep_standard_s: self.restore_deep_standard_s,
            restore_deep_bulk_s: self.restore_deep_bulk_s,
        }
    }
}

fn new_buckets(word: &str) -> Result<NewBuckets, String> {
    match word {
        "standard" => Ok(NewBuckets::Standard),
        "guarded" => Ok(NewBuckets::Guarded),
        "open" => Ok(NewBuckets::Open),
        _ => Err("standard, guarded or open".to_owned()),
    }
}

impl DoorOptions {
    /// Where events may go.
    pub fn notifications(&self) -> NotificationSettings {
        let target = |target: &NotificationTarget| (target.name.clone(), TargetSettings { url: target.url.clone() });
        NotificationSettings {
            targets: self.notification_target.iter().map(target).collect(),
            allow_private_targets: self.allow_private_notification_targets,
        }
    }
}

/// A webhook, written `NAME=URL`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotificationTarget {
    pub name: String,
    pub url: String,
}

impl std::str::FromStr for NotificationTarget {
    type Err = String;

    fn from_str(text: &str) -> Result<NotificationTarget, String> {
        let (name, url) = text.split_once('=').ok_or("a target is written NAME=URL")?;
        Ok(NotificationTarget { name: name.to_owned(), url: url.to_owned() })
    }
}

/// Server-side encryption.
#[derive(Clone, Debug, Default, Args)]
pub struct EncryptionOptions {
    /// The file of the master key: 32 bytes in base64, readable by its owner only.
    #[arg(long, value_name = "FILE")]
    pub master_key_file: Option<PathBuf>,
    /// How objects are stored when neither request nor bucket say: none or AES256.
    #[arg(long, default_value = "none", value_name = "METHOD")]
    pub default_encryption: StoreDefault,
    /// Refuse KMS keys that do not exist, as AWS does, instead of making them when they are first used.
    #[arg(long)]
    pub no_missing_kms_keys: bool,
    /// Take SSE-C keys from other machines over plain HTTP too, where they can be listened to.
    #[arg(long)]
    pub customer_keys_in_clear: bool,
}

#[derive(Debug, Args)]
pub struct RoleOptions {
    /// The role's settings (TOML). `granary local up` writes examples.
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,
    /// Override a setting: `--set s3=0.0.0.0:9000`. Values are TOML; bare words count as strings. May be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example, on the new machine, with a token from `granary admin join-token`:
  granary enrol --endpoint http://gateway:9000 --token granary1.… --name datanode-7 --role datanode --dir /etc/granary")]
pub struct EnrolOptions {
    /// A gateway of the cluster.
    #[arg(long, default_value = "http://127.0.0.1:9000", value_name = "URL")]
    pub endpoint: String,
    /// The join token.
    #[arg(long, env = "GRANARY_JOIN_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: String,
    /// The node's name, unique in the cluster.
    #[arg(long)]
    pub name: String,
    /// What the node will be.
    #[arg(long, value_parser = ["datanode", "gateway", "namenode"])]
    pub role: String,
    /// Where to put `ca.pem`, `node.pem` and `node-key.pem`.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Trust this certificate authority (PEM) for an https endpoint.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "\
Writes DIR/ca.pem and DIR/ca-key.pem (the authority; keep the key where it is safe) and for each node
DIR/NAME/{ca.pem,node.pem,node-key.pem}. With an authority already in DIR, the nodes are added to its cluster.

Example:
  granary certs --dir ./certs --cluster prod --node namenode-1:namenode --node datanode-1:datanode")]
pub struct CertsOptions {
    /// Where the authority is kept.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// The cluster's name; needed for a new authority.
    #[arg(long, value_name = "NAME")]
    pub cluster: Option<String>,
    /// A node and what it will be: namenode, datanode or gateway. May be repeated.
    #[arg(long = "node", value_name = "NAME:ROLE")]
    pub nodes: Vec<NodeRole>,
}

/// A node to certify, written `NAME:ROLE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRole {
    /// Also the name of a directory, so never more than one component of a path.
    pub name: String,
    pub role: String,
}

impl std::str::FromStr for NodeRole {
    type Err = String;

    fn from_str(text: &str) -> Result<NodeRole, String> {
        let (name, role) = text.split_once(':').ok_or("a node is written NAME:ROLE")?;
        granary_rpc::NodeName::new(name).map_err(|error| error.to_string())?;
        if !role.split('+').all(|role| ["namenode", "datanode", "gateway"].contains(&role)) {
            return Err(format!("a node is a namenode, a datanode or a gateway, not {role:?}"));
        }
        Ok(NodeRole { name: name.to_owned(), role: role.to_owned() })
    }
}

#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  granary health http://127.0.0.1:9870")]
pub struct HealthOptions {
    /// The process's http port: http://HOST:PORT, or https for an S3 door with a certificate.
    #[arg(value_name = "URL")]
    pub url: String,
    /// Ask only whether the process lives, not whether it can do its work.
    #[arg(long)]
    pub live: bool,
    /// Trust this certificate authority (PEM) for an https URL.
    #[arg(long, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Start a cluster and write DIR/cluster.json.
    Up(LocalUpOptions),
    /// kill -9 one process.
    Kill(LocalNodeOptions),
    /// Stop one process gently.
    Stop(LocalNodeOptions),
    /// Start a stopped or killed process again.
    Start(LocalNodeOptions),
    /// Put a new, empty namenode into the place of one that runs, was killed or lost its data, while the others serve.
    Replace(LocalNodeOptions),
    /// Stop every process.
    Down(LocalDownOptions),
}

#[derive(Debug, Args)]
pub struct LocalUpOptions {
    /// Where the cluster keeps its data, certificates, logs and cluster.json.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
    /// Namenodes: 1, 3 or 5.
    #[arg(long, default_value_t = 3)]
    pub namenodes: u16,
    /// Datanodes.
    #[arg(long, default_value_t = 3)]
    pub datanodes: u16,
    /// Gateways.
    #[arg(long, default_value_t = 1)]
    pub gateways: u16,
    /// Racks the datanodes are spread over.
    #[arg(long, default_value_t = 1)]
    pub racks: u16,
    /// Of the datanodes so many, the first ones, get a second volume, for archives.
    #[arg(long, default_value_t = 0)]
    pub archives: u16,
    /// The first gateway's S3 port; further gateways and all other ports are free ones. 0 picks a free one too.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub s3_port: u16,
    /// Send block data between processes in clear (tokens and checksums stay): for a trusted network.
    #[arg(long)]
    pub plaintext_data: bool,
    /// Tasks of jobs that each datanode's task runner runs at a time; 0 for no task runners.
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub task_slots: u32,
    #[command(flatten)]
    pub redundancy: RedundancyOptions,
}

#[derive(Debug, Args)]
pub struct LocalNodeOptions {
    /// The process, as named in cluster.json.
    pub name: String,
    /// The cluster's directory.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
pub struct LocalDownOptions {
    /// The cluster's directory.
    #[arg(long, value_name = "DIR")]
    pub dir: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "The root key is taken from GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY.")]
pub struct AdminOptions {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: AdminCommand,
}

#[derive(Debug, Args)]
#[command(after_help = "The root key is taken from GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY.

Example:
  granary lifecycle explain s3://logs/2024/03/01.gz")]
pub struct LifecycleQuestion {
    #[command(flatten)]
    pub connection: Connection,
    #[command(subcommand)]
    pub command: LifecycleCommand,
}

#[derive(Debug, Subcommand)]
pub enum LifecycleCommand {
    /// Which rules cover an object, what each will do and when.
    Explain {
        /// s3://bucket/key
        url: String,
        /// A version other than the current one.
        #[arg(long, value_name = "ID")]
        version_id: Option<String>,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Subcommand)]
pub enum LifecycleAdminCommand {
    /// Each bucket's scan: when it began, how fast it is, what it did, when the next is due.
    Status {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

/// How admin commands reach the store.
#[derive(Clone, Debug, Args)]
pub struct Connection {
    /// A gateway.
    #[arg(long, global = true, default_value = "http://127.0.0.1:9000", env = "GRANARY_ENDPOINT", value_name = "URL")]
    pub endpoint: String,
    /// Trust this certificate authority (PEM) for an https endpoint.
    #[arg(long, global = true, value_name = "FILE")]
    pub ca_file: Option<PathBuf>,
    /// The region requests are signed for.
    #[arg(long, global = true, default_value = "us-east-1", value_name = "REGION")]
    pub region: String,
}

#[derive(Debug, Subcommand)]
pub enum AdminCommand {
    /// Nodes, volumes, redundancy and the Raft leader.
    Status {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Space: capacity, what objects take, what is dead and not yet given back.
    Df {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Storage classes: what each asks for, and the bytes stored for every byte kept.
    Class {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// The blocks of an object: where each replica is and whether its checksums hold (every byte is read).
    Blocks {
        /// s3://bucket/key
        url: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Take datanodes out of service and back. `status` shows how far they are.
    #[command(subcommand)]
    Datanode(DatanodeCommand),
    /// Copy the metadata out while the store serves, begin a new group of namenodes with a copy, check a stopped one's files.
    #[command(subcommand, after_help = METADATA_EXAMPLES)]
    Metadata(MetadataCommand),
    /// Empty volumes of datanodes, for good or for a change of disks.
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// The namenodes: who they are, and changing that while they serve.
    #[command(subcommand, after_help = NAMENODE_EXAMPLES)]
    Namenode(NamenodeCommand),
    /// What lifecycle rules have done, bucket by bucket, and what waits.
    #[command(subcommand)]
    Lifecycle(LifecycleAdminCommand),
    /// Buckets at S3 endpoints elsewhere that keep the blocks of archived classes.
    #[command(subcommand, after_help = ARCHIVE_TARGET_EXAMPLES)]
    ArchiveTarget(ArchiveTargetCommand),
    /// Keys of SSE-KMS.
    #[command(subcommand)]
    KmsKey(KmsKeyCommand),
    /// The master key of server-side encryption: under which one the keys of the store are sealed, and a new one.
    #[command(subcommand, after_help = MASTER_KEY_EXAMPLES)]
    MasterKey(MasterKeyCommand),
    /// Users of the store and their access keys.
    ///
    /// Each user is an account of its own: it owns the buckets it makes and has no right to anything else, until a policy
    /// gives it one.
    #[command(subcommand, after_help = USER_EXAMPLES)]
    User(UserCommand),
    /// Identity policies: what users may do beyond their own buckets, in the AWS policy language.
    ///
    /// readonly, readwrite, writeonly and consoleAdmin can be attached without being put first.
    #[command(subcommand, after_help = POLICY_EXAMPLES)]
    Policy(PolicyCommand),
    /// Make a token with which one new node can enrol.
    JoinToken {
        /// Only for a node of this name.
        #[arg(long)]
        name: Option<String>,
        /// `namenode` for a token of a namenode, which needs --name; otherwise it is one for a datanode or a gateway.
        #[arg(long, value_parser = ["namenode"], requires = "name")]
        role: Option<String>,
        /// How long the token is valid.
        #[arg(long, default_value_t = 24)]
        hours: u64,
    },
}

const METADATA_EXAMPLES: &str = "\
Examples:
  granary admin metadata export backup.meta                           # from the leader, of one moment
  granary admin metadata import backup.meta --config namenode.toml    # into the empty directory of one first peer
  granary admin metadata verify --config namenode.toml                # of a namenode that does not run

The file holds every secret of the cluster and is made readable by its owner alone. Objects that were written after the
export are not in it, and their blocks are removed from the datanodes that report to the imported metadata.";

#[derive(Debug, Subcommand)]
pub enum MetadataCommand {
    /// Write all metadata into a new file, with a hash over it.
    Export { file: PathBuf },
    /// Fill the empty directory of a namenode with a file's metadata. Others join it afterwards.
    Import {
        file: PathBuf,
        #[command(flatten)]
        role: RoleOptions,
    },
    /// Read the log and the state of a stopped namenode whole, checksums included.
    Verify {
        #[command(flatten)]
        role: RoleOptions,
    },
}

#[derive(Debug, Subcommand)]
pub enum VolumeCommand {
    /// Volumes with their datanodes, paths, and what is left on those that are being emptied.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Empty a volume: its replicas are copied elsewhere, and read until then. It outlives restarts.
    Drain {
        /// DATANODE:PATH, as `list` shows it.
        volume: String,
    },
    /// Take that back, at any time: the volume takes replicas again.
    Cancel {
        /// DATANODE:PATH, as `list` shows it.
        volume: String,
    },
}

const NAMENODE_EXAMPLES: &str = "\
Examples:
  granary admin namenode list
  granary admin namenode add namenode-4 10.0.0.14:7000
  granary admin namenode replace namenode-1 namenode-4 10.0.0.14:7000
  granary admin namenode remove namenode-1

The new namenode runs already, with an empty data directory and `[namenode.join] name = \"namenode-4\"` in its
configuration. A command that was interrupted is given again: it goes on where it stopped.";

#[derive(Debug, Subcommand)]
pub enum NamenodeCommand {
    /// The peers: numbers, names, addresses, who leads, who only learns yet.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Take an empty namenode in: it learns, and votes once it holds what the others hold.
    Add {
        /// The name in its certificate.
        name: String,
        /// Its internal port.
        #[arg(value_name = "HOST:PORT")]
        address: String,
    },
    /// Let a namenode go. The others need no word from it any more.
    Remove {
        /// Its name, as `list` shows it.
        name: String,
    },
    /// Take an empty namenode in, and let another go in the moment the new one votes.
    Replace {
        /// The one that goes, as `list` shows it. It need not run.
        old: String,
        /// The name in the new one's certificate; the same where a machine has lost its data.
        name: String,
        /// The new one's internal port.
        #[arg(value_name = "HOST:PORT")]
        address: String,
    },
}

const MASTER_KEY_EXAMPLES: &str = "\
Examples:
  granary admin master-key status
  granary admin master-key rotate

A gateway's master key file may hold several keys, a line each: it seals with the first and opens with all. Rotating seals
every key of the store under the first, after which the others may be taken out of the files (docs/encryption.md).";

const USER_EXAMPLES: &str = "\
Examples:
  granary admin user add ann                       # prints a new key, once
  granary admin user key add ann                   # a second key, to replace the first
  granary admin user key remove ann AKIA…
  granary admin user disable ann                   # none of ann's keys opens anything any more";

const POLICY_EXAMPLES: &str = "\
Examples:
  granary admin policy attach readonly ann         # ann may read every bucket of the store
  granary admin policy put uploads uploads.json
  granary admin policy attach uploads ann
  granary admin policy detach readonly ann

uploads.json:
  {\"Version\": \"2012-10-17\", \"Statement\": [{\"Effect\": \"Allow\", \"Action\": \"s3:PutObject\",
   \"Resource\": \"arn:aws:s3:::inbox/${aws:username}/*\"}]}";

#[derive(Debug, Subcommand)]
pub enum UserCommand {
    /// Add a user, with a key that is printed once.
    Add {
        /// Letters, digits and +=,.@_-, at most 64.
        name: String,
        #[command(flatten)]
        key: GivenKey,
    },
    /// All users.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// A user with its ARN, canonical id, keys and policies.
    Show {
        name: String,
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Let none of its keys open anything. Its buckets stay.
    Disable { name: String },
    /// Take that back.
    Enable { name: String },
    /// Remove a user and its keys. Its buckets and objects stay and keep their owner.
    Remove { name: String },
    /// Its keys.
    #[command(subcommand)]
    Key(UserKeyCommand),
}

/// A key that is brought instead of made.
#[derive(Debug, Args)]
pub struct GivenKey {
    /// A key of your choice instead of a new one.
    #[arg(long, requires = "secret_key", value_name = "K")]
    pub access_key: Option<String>,
    /// Its secret, at least 8 characters. Better from the environment than from a command line others can read.
    #[arg(long, requires = "access_key", env = "GRANARY_USER_SECRET_KEY", hide_env_values = true, value_name = "S")]
    pub secret_key: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum UserKeyCommand {
    /// Add a further key, printed once.
    Add {
        user: String,
        #[command(flatten)]
        key: GivenKey,
    },
    /// Let a key open nothing, and the temporary credentials made with it neither.
    Disable { user: String, access_key: String },
    /// Take that back.
    Enable { user: String, access_key: String },
    /// Remove a key.
    Remove { user: String, access_key: String },
}

#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Add or replace a policy; users it is attached to follow within a second.
    Put {
        /// Letters, digits and +=,.@_-, at most 128.
        name: String,
        /// JSON in the policy language, at most 20 KiB.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// The names of all policies.
    List {
        /// For machines, with the documents.
        #[arg(long)]
        json: bool,
    },
    /// A policy's document.
    Show { name: String },
    /// Remove a policy that is attached to nobody.
    Remove { name: String },
    /// Give a user what a policy allows.
    Attach { name: String, user: String },
    /// Take it away again.
    Detach { name: String, user: String },
}

#[derive(Debug, Subcommand)]
pub enum DatanodeCommand {
    /// Empty a datanode for good: its replicas are copied elsewhere and stay readable until it is stopped.
    Decommission {
        /// Its name, as `status` shows it.
        name: String,
    },
    /// Leave a datanode's replicas where they are while it is away: they are not copied unless nothing else is left.
    Maintenance {
        /// Its name, as `status` shows it.
        name: String,
        /// How long at most; then it counts as any other again.
        #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=43_200))]
        minutes: u64,
    },
    /// Back to ordinary service, whatever was said before.
    Recommission {
        /// Its name, as `status` shows it.
        name: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum MasterKeyCommand {
    /// How many keys are sealed under which master key.
    Status {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Seal every key under the gateway's current master key.
    Rotate {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
}

const ARCHIVE_TARGET_EXAMPLES: &str = "The root key is taken from GRANARY_ROOT_ACCESS_KEY and GRANARY_ROOT_SECRET_KEY.

Examples:
  GRANARY_ARCHIVE_SECRET_KEY=... granary admin archive-target set GLACIER \\
    --to https://s3.eu-central-1.amazonaws.com --target-region eu-central-1 --bucket cold --access-key AKIA...
  granary admin archive-target list
  granary admin archive-target remove GLACIER";

#[derive(Debug, Subcommand)]
pub enum ArchiveTargetCommand {
    /// Keep the blocks of a class in a bucket at an S3 endpoint, or change how that is reached.
    Set(ArchiveTargetOptions),
    /// Every target: what is there, what waits, what fails.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Fetch everything from a class's target, and forget it then.
    Remove {
        /// GLACIER or DEEP_ARCHIVE
        class: String,
    },
}

#[derive(Debug, Args)]
pub struct ArchiveTargetOptions {
    /// GLACIER or DEEP_ARCHIVE
    pub class: String,
    /// The endpoint: http://host[:port] or https://host[:port]. Buckets are addressed in the path.
    #[arg(long, value_name = "URL")]
    pub to: String,
    /// The bucket there. It must exist.
    #[arg(long)]
    pub bucket: String,
    /// What every key there begins with.
    #[arg(long, default_value = "")]
    pub prefix: String,
    /// The region requests to it are signed for.
    #[arg(long, default_value = "us-east-1", value_name = "REGION")]
    pub target_region: String,
    /// The access key there.
    #[arg(long, value_name = "KEY")]
    pub access_key: String,
    /// A file with its secret key; without it, GRANARY_ARCHIVE_SECRET_KEY. Kept sealed under the store's key.
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,
    /// Trust the authorities in this file (PEM) for an https endpoint, and not those of the public web.
    #[arg(long, value_name = "FILE")]
    pub authority_file: Option<PathBuf>,
    /// Do not write, read and delete a small object there first.
    #[arg(long)]
    pub unchecked: bool,
}

#[derive(Debug, Subcommand)]
pub enum KmsKeyCommand {
    /// Make a key.
    Create {
        /// How requests name it: `NAME`, `alias/NAME` or `arn:aws:kms:REGION:ACCOUNT:key/NAME`.
        name: String,
    },
    /// All keys.
    List {
        /// For machines.
        #[arg(long)]
        json: bool,
    },
    /// Encrypt and decrypt nothing more under a key until it is enabled again.
    Disable {
        /// The key.
        name: String,
    },
    /// Take a disabled key into use again.
    Enable {
        /// The key.
        name: String,
    },
}
