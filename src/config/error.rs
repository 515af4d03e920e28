//! What can be wrong with a configuration, in words for whoever wrote it.

use std::{fmt, path::PathBuf};

/// Why the configuration was refused: a sentence that names the setting, where it stands, what was given and what is
/// needed. The value of a secret is never part of it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The one setting without which there is no server.
    #[error(
        "server.hostname is not set. It is the name under which others reach this server; set it in housekey.toml, or as \
         the environment variable HOUSEKEY_SERVER_HOSTNAME. A configuration to start from:\n\n\
         [server]\nhostname = \"pds.example.com\"\ndata_dir = \"/var/lib/housekey\"\n"
    )]
    MissingHostname,
    /// The configuration file, or a file that it names, cannot be read.
    #[error("{what} {} cannot be read: {cause}", path.display())]
    Unreadable {
        /// Which file: "the configuration file", or a setting and where it stands.
        what: String,
        /// Its path.
        path: PathBuf,
        /// Why not.
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("{}, line {line}, is not valid TOML: {message}", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The parser's words, which repeat nothing of the file.
        message: String,
    },
    /// A key that there is not, or that stands in the wrong place.
    #[error("{name} ({origin}) is not a setting; {hint}")]
    Unknown {
        /// As it was written.
        name: String,
        /// Where.
        origin: Origin,
        /// What was probably meant.
        hint: String,
    },
    /// A secret was given both itself and as a file.
    #[error("{key} is given twice, as {one} and as {other}: keep one of them")]
    GivenTwice {
        /// The setting.
        key: String,
        /// Where the secret itself stands.
        one: Origin,
        /// Where its file is named.
        other: Origin,
    },
    /// A value of the wrong type or form.
    #[error("{key} ({origin}) {given}: {needed}")]
    Invalid {
        /// The setting.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// "is …", or "is not valid" for a secret.
        given: String,
        /// The form of a good value, and the parser's reason where it has one.
        needed: String,
    },
    /// Two settings contradict each other.
    #[error("{key} ({origin}) {problem}")]
    Conflict {
        /// The setting.
        key: String,
        /// Where it stands.
        origin: Origin,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// Text that is not UTF-8, which no setting may be.
    #[error("{0} is not valid UTF-8 text")]
    NotText(String),
}

impl ConfigError {
    /// Whether nothing is wrong but that `server.hostname` was never set.
    pub const fn is_missing_hostname(&self) -> bool {
        matches!(self, Self::MissingHostname)
    }
}

/// Where a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag of the command line.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(String),
    /// A line of the configuration file.
    Line(PathBuf, usize),
    /// Nowhere: it follows from other settings.
    Default,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "the flag {flag}"),
            Self::Variable(name) => write!(f, "the environment variable {name}"),
            Self::Line(path, line) => write!(f, "{}, line {line}", path.display()),
            Self::Default => f.write_str("the default"),
        }
    }
}

/// Something that works but is probably not what was meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The setting, as `section.key`.
    pub key: &'static str,
    /// One sentence.
    pub text: String,
}

impl Warning {
    pub(super) fn new(key: &'static str, text: impl Into<String>) -> Self {
        Self { key, text: text.into() }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key, self.text)
    }
}
