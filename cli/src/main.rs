//! `granary`: every role of the store in one binary, and the commands that administer it.
//!
//! Wiring only: this crate parses arguments and configuration, builds each role's components, and runs them until it is
//! told to stop. What a role does lives in the role's own crate.

mod admin;
mod archive_targets;
mod args;
mod certs;
mod classes;
mod config;
mod credentials;
mod enrol;
mod fs;
mod hadoop;
mod health;
mod http_client;
mod job;
mod jobs;
mod kms_key;
mod lifecycle;
mod lifecycle_report;
mod local;
mod logging;
mod master_key;
mod master_key_admin;
mod metadata;
mod namenodes;
mod node_certificate;
mod role_http;
mod roles;
mod server;
mod shutdown;
mod users;
mod volumes;

use args::{AdminCommand, Arguments, Command, LifecycleAdminCommand, LifecycleCommand, LocalCommand};
use clap::Parser;
use std::process::ExitCode;

/// See `docs/decisions/0005-allocator.md`.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    if let Some(code) = jobs::launcher() {
        return code;
    }
    let arguments = Arguments::parse();
    logging::init(&arguments.log);
    if let Command::Fs(options) = arguments.command {
        // Its exit codes are those of Hadoop's shell.
        return runtime().and_then(|runtime| runtime.block_on(fs::run(options))).unwrap_or_else(|error| {
            eprintln!("granary: {error:#}");
            ExitCode::from(255)
        });
    }
    if let Command::Job(options) = arguments.command {
        // A job that failed is the command's failure.
        return runtime().and_then(|runtime| runtime.block_on(job::run(options))).unwrap_or_else(|error| {
            eprintln!("granary: {error:#}");
            ExitCode::FAILURE
        });
    }
    let outcome = runtime().and_then(|runtime| runtime.block_on(run(arguments.command)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("granary: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().thread_name("granary").build()?)
}

async fn run(command: Command) -> anyhow::Result<()> {
    match command {
        Command::Server(options) => server::run(options).await,
        Command::Namenode(options) => roles::namenode(options).await,
        Command::Datanode(options) => roles::datanode(options).await,
        Command::Gateway(options) => roles::gateway(options).await,
        Command::Enrol(options) => enrol::run(options).await,
        Command::Certs(options) => certs::run(&options),
        Command::Health(options) => health::run(options).await,
        Command::Fs(options) => fs::run(options).await.map(drop),
        Command::Job(options) => job::run(options).await.map(drop),
        Command::Local(command) => match command {
            LocalCommand::Up(options) => local::up(options).await,
            LocalCommand::Kill(options) => local::kill(&options.dir, &options.name),
            LocalCommand::Stop(options) => local::stop(&options.dir, &options.name),
            LocalCommand::Start(options) => local::start(&options.dir, &options.name).await,
            LocalCommand::Replace(options) => local::replace(&options.dir, &options.name).await,
            LocalCommand::Down(options) => local::down(&options.dir),
        },
        Command::Lifecycle(options) => match options.command {
            LifecycleCommand::Explain { url, version_id, json } => {
                lifecycle_report::explain(&options.connection, &url, version_id.as_deref(), json).await
            }
        },
        Command::Admin(options) => match options.command {
            AdminCommand::Status { json } => admin::status(&options.connection, json).await,
            AdminCommand::Df { json } => admin::df(&options.connection, json).await,
            AdminCommand::Class { json } => classes::show(&options.connection, json).await,
            AdminCommand::Blocks { url, json } => admin::blocks(&options.connection, &url, json).await,
            AdminCommand::Datanode(command) => admin::datanode(&options.connection, command).await,
            AdminCommand::Volume(command) => volumes::run(&options.connection, command).await,
            AdminCommand::Metadata(command) => metadata::run(&options.connection, command).await,
            AdminCommand::Namenode(command) => namenodes::run(&options.connection, command).await,
            AdminCommand::Lifecycle(LifecycleAdminCommand::Status { json }) => {
                lifecycle_report::status(&options.connection, json).await
            }
            AdminCommand::ArchiveTarget(command) => archive_targets::run(&options.connection, command).await,
            AdminCommand::KmsKey(command) => kms_key::run(&options.connection, command).await,
            AdminCommand::MasterKey(command) => master_key_admin::run(&options.connection, command).await,
            AdminCommand::User(command) => users::user(&options.connection, command).await,
            AdminCommand::Policy(command) => users::policy(&options.connection, command).await,
            AdminCommand::JoinToken { name, role, hours } => {
                admin::join_token(&options.connection, name, role, hours).await
            }
        },
    }
}
