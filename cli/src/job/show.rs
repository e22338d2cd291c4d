//! Jobs for people.

use crate::admin;
use serde_json::Value;
use std::io::{IsTerminal, Write};

/// Width of a bar.
const BAR: usize = 20;

/// The text of a value, empty where it is none.
pub(super) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

pub(super) fn json(value: &Value) -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

/// Whether nothing more will happen.
pub(super) fn is_final(status: &Value) -> bool {
    matches!(text(&status["state"]), "SUCCEEDED" | "FAILED" | "KILLED")
}

/// A line that shows how far a job has come: over itself on a terminal, and anew when it changes elsewhere.
pub(super) struct ProgressBar {
    silent: bool,
    terminal: bool,
    shown: String,
}

impl ProgressBar {
    pub fn new(silent: bool) -> ProgressBar {
        ProgressBar { silent, terminal: std::io::stderr().is_terminal(), shown: String::new() }
    }

    pub fn show(&mut self, status: &Value) {
        let line = progress_line(status);
        if self.silent || line == self.shown {
            return;
        }
        let mut stderr = std::io::stderr().lock();
        // Nobody is served by a command that ends because its progress could not be shown.
        let _ = match self.terminal {
            true => write!(stderr, "\r{line}\x1b[K").and_then(|()| stderr.flush()),
            false => writeln!(stderr, "{line}"),
        };
        self.shown = line;
    }

    pub fn end(&self) {
        if self.terminal && !self.silent {
            eprintln!();
        }
    }
}

fn progress_line(status: &Value) -> String {
    if let Some(objects) = status["restoring"]["objects"].as_u64() {
        let (job, state) = (text(&status["job"]), text(&status["state"]));
        return format!("{job} {state} {objects} archived objects{}", until(&status["restoring"]["ready_ms"]));
    }
    let percent = |kind: &str| status[kind]["percent"].as_f64().unwrap_or(0.0);
    let (map, reduce) = (percent("maps"), percent("reduces"));
    let mut line = format!("{} {} map {} {map:.1}%", text(&status["job"]), text(&status["state"]), bar(map));
    if status["reduces"]["total"].as_u64().unwrap_or(0) > 0 {
        line.push_str(&format!(" reduce {} {reduce:.1}%", bar(reduce)));
    }
    let [node, rack, other] = localities(status);
    line.push_str(&format!(" local {node} rack {rack} other {other}"));
    let bytes = |name: &str| status["bytes"][name].as_u64().unwrap_or(0);
    let (local, remote) = (bytes("data_local"), bytes("rack_local") + bytes("other"));
    line.push_str(&format!(" ({} local, {} remote)", admin::bytes(local), admin::bytes(remote)));
    if let Some(left) = status["time_left_ms"].as_u64().filter(|_| !is_final(status)) {
        line.push_str(&format!(" {} s left", left.div_ceil(1000)));
    }
    line
}

/// How far off a moment is.
fn until(moment_ms: &Value) -> String {
    let now_ms = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    match moment_ms.as_u64() {
        Some(moment) => format!(", {} s left", u128::from(moment).saturating_sub(now_ms).div_ceil(1000)),
        None => String::new(),
    }
}

fn bar(percent: f64) -> String {
    let filled = ((percent / 100.0 * BAR as f64) as usize).min(BAR);
    format!("[{}{}]", "#".repeat(filled), ".".repeat(BAR - filled))
}

fn localities(status: &Value) -> [u64; 3] {
    let counters = &status["counters"]["Job Counters"];
    ["DATA_LOCAL_MAPS", "RACK_LOCAL_MAPS", "OTHER_LOCAL_MAPS"].map(|name| counters[name].as_u64().unwrap_or(0))
}

pub(super) fn status(status: &Value) {
    println!(
        "{} {} ({}) of {}",
        text(&status["job"]),
        text(&status["name"]),
        text(&status["state"]),
        text(&status["user"])
    );
    if !text(&status["reason"]).is_empty() {
        println!("  {}", text(&status["reason"]));
    }
    for kind in ["maps", "reduces"] {
        let figures = &status[kind];
        let count = |name: &str| figures[name].as_u64().unwrap_or(0);
        println!("  {kind:<8} {} of {} done, {} running", count("done"), count("total"), count("running"));
    }
    let [node, rack, other] = localities(status);
    println!("  locality {node} data-local, {rack} rack-local, {other} elsewhere");
    let bytes = |name: &str| admin::bytes(status["bytes"][name].as_u64().unwrap_or(0));
    println!(
        "  input    {} local, {} from the rack, {} from elsewhere",
        bytes("data_local"),
        bytes("rack_local"),
        bytes("other")
    );
    if let Some(left) = status["time_left_ms"].as_u64() {
        println!("  about {} s left", left.div_ceil(1000));
    }
    if let (Some(started), Some(finished)) = (status["submitted_ms"].as_u64(), status["finished_ms"].as_u64()) {
        println!("  took     {:.2} s", finished.saturating_sub(started) as f64 / 1000.0);
    }
    println!("  output   {}", text(&status["output"]));
    logs(status);
}

/// Failed attempts.
pub(super) fn logs(status: &Value) {
    for failure in status["failures"].as_array().into_iter().flatten() {
        println!("{} on {}: {}", text(&failure["attempt"]), text(&failure["runner"]), text(&failure["reason"]));
        for line in text(&failure["stderr"]).lines() {
            println!("  | {line}");
        }
    }
}

pub(super) fn list(jobs: &Value) {
    println!("{:<12} {:<10} {:<16} {:<12} {:>6} {:>7}  output", "job", "state", "user", "name", "map %", "reduce %");
    for job in jobs["jobs"].as_array().into_iter().flatten() {
        let percent = |kind: &str| match job[kind]["percent"].as_f64() {
            Some(percent) => format!("{percent:.1}"),
            None => "-".to_owned(),
        };
        println!(
            "{:<12} {:<10} {:<16} {:<12} {:>6} {:>7}  {}",
            text(&job["job"]),
            text(&job["state"]),
            text(&job["user"]),
            text(&job["name"]),
            percent("maps"),
            percent("reduces"),
            text(&job["output"])
        );
    }
}

pub(super) fn counters(counters: &Value) {
    for (group, names) in counters.as_object().into_iter().flatten() {
        println!("{group}");
        for (name, value) in names.as_object().into_iter().flatten() {
            println!("  {name:<28} {value}");
        }
    }
}
