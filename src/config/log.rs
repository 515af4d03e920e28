//! `[log]`: what is logged, and how.

use serde_json::Value;

use super::{
    section::section,
    value::{Refused, Scalar},
};

const LEVELS: [&str; 6] = ["off", "error", "warn", "info", "debug", "trace"];

section! {
    /// What is logged, and how.
    Log = "log" () {
        /// A level, or `target=level` directives separated by commas.
        level: String as Level = default("info");
        /// The shape of lines.
        format: LogFormat as Format = default("text");
    }
}

/// The shape of log lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one JSON object per line.
    Json,
}

struct Level;

impl Scalar for Level {
    type Value = String;
    const EXPECTED: &'static str =
        "error, warn, info, debug or trace (or a list such as \"info,housekey::outbound=debug\")";

    fn parse(text: &str) -> Result<String, Refused> {
        let is_level = |word: &str| LEVELS.iter().any(|level| level.eq_ignore_ascii_case(word.trim()));
        let good = text.split(',').all(|directive| {
            directive
                .split_once('=')
                .map_or_else(|| is_level(directive), |(target, level)| !target.trim().is_empty() && is_level(level))
        });
        if good { Ok(text.to_owned()) } else { Err(Refused(None)) }
    }

    fn show(level: &String) -> Value {
        Value::from(level.as_str())
    }
}

struct Format;

impl Scalar for Format {
    type Value = LogFormat;
    const EXPECTED: &'static str = "\"text\" or \"json\"";

    fn parse(text: &str) -> Result<LogFormat, Refused> {
        match text {
            "text" => Ok(LogFormat::Text),
            "json" => Ok(LogFormat::Json),
            _ => Err(Refused(None)),
        }
    }

    fn show(format: &LogFormat) -> Value {
        Value::from(match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        })
    }
}
