//! Structured logs on standard error.

use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging by `filter`; a filter that does not parse falls back to `info` and says so.
pub fn init(filter: &str) {
    let (parsed, complaint) = match EnvFilter::try_new(filter) {
        Ok(parsed) => (parsed, None),
        Err(error) => (EnvFilter::new("info"), Some(error)),
    };
    // openraft reports each election and each lost connection as an error of its own; what matters of it is reported by
    // the roles, in the product's words.
    let parsed = match "openraft=off".parse() {
        Ok(directive) if !filter.contains("openraft") => parsed.add_directive(directive),
        _ => parsed,
    };
    tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(true)
        .init();
    if let Some(error) = complaint {
        tracing::warn!(%error, filter, "log filter not understood, using info");
    }
}
