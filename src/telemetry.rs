//! Logs: one line per event on standard error, as text or JSON. Secrets are types without `Debug`; bodies are not logged.

use std::io::IsTerminal;
use tracing::{Level, Metadata};
use tracing_subscriber::{EnvFilter, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _};

/// The shape of log lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// For machines: one JSON object per line.
    Json,
}

/// Starts logging at a level (`error`, `warn`, `info`, `debug`, `trace`, or `target=level` directives). Called twice, the first stays.
pub fn start(level: &str, format: Format) {
    let filter = EnvFilter::try_new(level).unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    let lines = fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr);
    // A second start keeps the first, which is what a test with two servers in one process wants.
    drop(match format {
        Format::Text => lines.finish().with(filter_fn(has_no_body)).try_init(),
        Format::Json => lines.json().finish().with(filter_fn(has_no_body)).try_init(),
    });
}

/// False for what holds whole messages, whatever level was asked for.
fn has_no_body(line: &Metadata<'_>) -> bool {
    *line.level() < Level::TRACE || !line.target().starts_with("tungstenite")
}

/// Warnings only: what `dev` prints besides its ready line.
pub fn start_for_development() {
    start("warn", Format::Text);
}
