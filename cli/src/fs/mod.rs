//! `granary fs`: the commands of Hadoop's `FsShell`, spelled, printed and exited as there, without a JVM.
//!
//! They speak WebHDFS to a namenode and follow its redirects to datanodes; what a command means is the server's decision.

mod attributes;
mod copy;
mod cp;
mod find;
mod glob;
mod inspect;
mod remove;
mod settings;
mod show;
mod trash;
mod webhdfs;

use crate::args::FsOptions;
use std::process::ExitCode;
use webhdfs::{FsError, WebHdfs};

/// How a command ends: 0, or 1 after a message. `-test` ends with 1 without one.
pub enum Ended {
    Well,
    /// Some paths failed and were told of.
    WithFailures,
}

/// A command's paths and its flags, which come before them as letters or words; some have a value.
pub struct Operands {
    pub flags: Vec<String>,
    values: Vec<(String, String)>,
    pub paths: Vec<String>,
}

impl Operands {
    /// Takes leading words that begin with a dash and are among `known` as flags. One of `valued` takes the word after it.
    fn parse(command: &str, words: &[String], known: &[&str], valued: &[&str]) -> Result<Operands, FsError> {
        let (mut flags, mut values) = (Vec::new(), Vec::new());
        let mut words = words.iter().peekable();
        while let Some(word) = words.next_if(|word| word.len() > 1 && word.starts_with('-')) {
            let flag = &word[1..];
            if flag == "-" {
                break;
            }
            if valued.contains(&flag) {
                let value = words.next();
                let value =
                    value.ok_or_else(|| FsError::usage(format!("-{command}: option {word} requires 1 argument")))?;
                values.push((flag.to_owned(), value.clone()));
                continue;
            }
            if !known.contains(&flag) {
                return Err(FsError::usage(format!("-{command}: Illegal option {word}")));
            }
            flags.push(flag.to_owned());
        }
        Ok(Operands { flags, values, paths: words.cloned().collect() })
    }

    /// Whether the flag was given.
    pub fn has(&self, flag: &str) -> bool {
        self.flags.iter().any(|given| given == flag)
    }

    /// The value of a flag that takes one.
    pub fn value(&self, flag: &str) -> Option<&str> {
        self.values.iter().find(|(given, _)| given == flag).map(|(_, value)| value.as_str())
    }

    fn at_least(self, command: &str, count: usize) -> Result<Operands, FsError> {
        match self.paths.len() >= count {
            true => Ok(self),
            false => Err(FsError::usage(format!(
                "-{command}: Not enough arguments: expected {count} but got {}",
                self.paths.len()
            ))),
        }
    }
}

/// Runs one command; its exit code is `FsShell`'s.
pub async fn run(options: FsOptions) -> anyhow::Result<ExitCode> {
    let client = WebHdfs::new(&options)?;
    let Some((command, words)) = options.command.split_first() else {
        eprintln!("Usage: granary fs -<command> [options] <path> ...");
        return Ok(ExitCode::from(255));
    };
    let Some(command) = command.strip_prefix('-') else {
        eprintln!("{command}: Unknown command");
        return Ok(ExitCode::from(255));
    };
    match dispatch(&client, command, words).await {
        Ok(Ended::Well) => Ok(ExitCode::SUCCESS),
        Ok(Ended::WithFailures) => Ok(ExitCode::from(1)),
        Err(FsError::Usage(message)) => {
            eprintln!("{message}");
            Ok(ExitCode::from(255))
        }
        Err(error) => {
            eprintln!("{command}: {error}");
            Ok(ExitCode::from(1))
        }
    }
}

async fn dispatch(client: &WebHdfs, command: &str, words: &[String]) -> Result<Ended, FsError> {
    let valued = |known: &[&str], valued: &[&str], count| {
        Operands::parse(command, words, known, valued)?.at_least(command, count)
    };
    let operands = |known: &[&str], count| valued(known, &[], count);
    match command {
        "ls" => show::ls(client, operands(&["d", "h", "R", "C"], 0)?).await,
        "cat" | "text" => show::cat(client, command, operands(&["ignoreCrc"], 1)?).await,
        "head" => show::head(client, operands(&[], 1)?).await,
        "tail" => show::tail(client, valued(&["f"], &["s"], 1)?).await,
        "mkdir" => remove::mkdir(client, operands(&["p"], 1)?).await,
        "rm" => remove::rm(client, operands(&["r", "R", "f", "skipTrash"], 1)?).await,
        "rmdir" => remove::rmdir(client, operands(&["ignore-fail-on-non-empty"], 1)?).await,
        "mv" => remove::mv(client, operands(&[], 2)?).await,
        "put" | "copyFromLocal" => copy::put(client, command, operands(&["f", "p", "l"], 1)?).await,
        "get" | "copyToLocal" => copy::get(client, command, operands(&["f", "p"], 1)?).await,
        "appendToFile" => copy::append(client, operands(&[], 2)?).await,
        "touchz" => copy::touchz(client, operands(&[], 1)?).await,
        "du" => inspect::du(client, operands(&["s", "h"], 0)?).await,
        "count" => inspect::count(client, operands(&["q", "h"], 1)?).await,
        "stat" => inspect::stat(client, operands(&[], 1)?).await,
        "cp" => cp::cp(client, operands(&["f", "p"], 2)?).await,
        "getmerge" => cp::getmerge(client, operands(&["nl", "skip-empty-file"], 2)?).await,
        "find" => find::find(client, words).await,
        "checksum" => attributes::checksum(client, operands(&[], 1)?).await,
        "getfacl" => attributes::getfacl(client, operands(&["R"], 1)?).await,
        "setfacl" => attributes::setfacl(client, operands(&["R", "b", "k", "m", "x", "-set"], 1)?).await,
        "getfattr" => attributes::getfattr(client, valued(&["R", "d"], &["n", "e"], 1)?).await,
        "setfattr" => attributes::setfattr(client, valued(&[], &["n", "v", "x"], 1)?).await,
        "touch" => attributes::touch(client, valued(&["a", "m", "c"], &["t"], 1)?).await,
        "expunge" => trash::expunge(client, operands(&["immediate"], 0)?).await,
        "test" => inspect::test(client, operands(&["d", "e", "f", "s", "z"], 1)?).await,
        "df" => inspect::df(client, operands(&["h"], 0)?).await,
        "setrep" => settings::setrep(client, operands(&["R", "w"], 2)?).await,
        "chmod" => settings::chmod(client, operands(&["R"], 2)?).await,
        "chown" | "chgrp" => settings::chown(client, command, operands(&["R"], 2)?).await,
        "truncate" => settings::truncate(client, operands(&["w"], 2)?).await,
        _ => Err(FsError::usage(format!("-{command}: Unknown command"))),
    }
}

/// Tells of a path that failed and goes on.
pub fn tell(command: &str, error: &FsError) -> Ended {
    eprintln!("{command}: {error}");
    Ended::WithFailures
}
