//! The operator's settings: from flags, environment, file and defaults into their final types, once, at start.
//!
//! Each section is a file here, and its list of keys (see `section`) is the only place where a key is written. What
//! works with one setting alone is a kind (`kinds`); what settings say together is checked in the section.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

mod accounts;
mod admin;
mod blobs;
mod email;
mod error;
mod firehose;
mod identity;
mod kinds;
mod lexicons;
mod limits;
mod links;
mod log;
mod nearest;
mod outbound;
mod secrets;
mod section;
mod server;
mod services;
mod source;
mod value;

#[cfg(test)]
mod tests;

pub use accounts::Accounts;
pub use admin::Admin;
pub use blobs::Blobs;
pub use email::Email;
pub use error::{ConfigError, Origin, Warning};
pub use firehose::Firehose;
pub use identity::Identity;
pub use lexicons::Lexicons;
pub use limits::Limits;
pub use links::Links;
pub use log::{Log, LogFormat};
pub use outbound::Outbound;
pub use secrets::Secrets;
pub use server::Server;
pub use services::Services;
pub use source::{Overrides, Source};

use crate::{crypto::password::Cost, limits::config::FILE_MAX_BYTES, service};
use section::Section;
use source::Given;

/// The configuration file that is read when none is named, if it is there.
const DEFAULT_FILE: &str = "housekey.toml";

/// Declares [`Config`] and everything that goes through all its sections.
macro_rules! sections {
    ($($(#[$doc:meta])* $field:ident: $name:ident ($($from:ident)?);)*) => {
        /// Everything that the operator decided, in final types.
        #[derive(Clone)]
        pub struct Config {
            $($(#[$doc])* pub $field: $name,)*
        }

        /// All sections and their keys.
        const SECTIONS: &[&Section] = &[$(&$name::SECTION),*];

        impl Config {
            fn from_given(given: &Given) -> Result<Self, ConfigError> {
                $(let $field = $name::read(given $(, &$from)?)?;)*
                Ok(Self { $($field),* })
            }

            /// All settings, defaults included, by section and key; secrets as `***`, what is not set as null.
            pub fn redacted(&self) -> serde_json::Value {
                let mut shown = serde_json::Map::new();
                $(shown.insert($name::SECTION.name.to_owned(), self.$field.show());)*
                shown.into()
            }
        }
    };
}

sections! {
    /// `[server]`
    server: Server();
    /// `[identity]`
    identity: Identity(server);
    /// `[accounts]`
    accounts: Accounts();
    /// `[admin]`
    admin: Admin();
    /// `[secrets]`
    secrets: Secrets();
    /// `[email]`
    email: Email();
    /// `[limits]`
    limits: Limits();
    /// `[services]`
    services: Services();
    /// `[firehose]`
    firehose: Firehose();
    /// `[outbound]`
    outbound: Outbound();
    /// `[blobs]`
    blobs: Blobs(server);
    /// `[log]`
    log: Log();
    /// `[lexicons]`
    lexicons: Lexicons();
    /// `[links]`
    links: Links();
}

impl Config {
    /// Makes the configuration out of its sources: flag over environment over file over default. Reads the files that
    /// settings name, and nothing else.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn load(source: Source) -> Result<(Self, Vec<Warning>), ConfigError> {
        let allow_plain_http = source.allow_plain_http;
        let given = Given::gather(source)?;
        let config = Self::from_given(&given)?;
        if !allow_plain_http {
            config.server.check_encrypted(&given)?;
        }
        let mut warnings = Vec::new();
        config.check(&given, &mut warnings)?;
        Ok((config, warnings))
    }

    /// Makes the configuration out of the file at `path` (without one, `housekey.toml` if it is there), the process's
    /// environment and the flags.
    ///
    /// # Errors
    /// [`ConfigError`]: the first thing that is wrong.
    pub fn read(path: Option<&Path>, overrides: Overrides) -> Result<(Self, Vec<Warning>), ConfigError> {
        Self::load(Source { file: read_file(path)?, env: process_environment()?, overrides, allow_plain_http: false })
    }

    /// What the verbs need of it.
    pub fn policy(&self) -> service::Policy {
        service::Policy {
            hostname: self.server.hostname.clone(),
            public_url: self.server.public_url.clone(),
            service_did: self.server.service_did.clone(),
            handle_domains: self.identity.handle_domains.clone(),
            did_web: self.identity.did_web,
            invite_required: self.accounts.invite_required,
            sign_up: self.accounts.rules(),
            recovery_did_key: self.identity.recovery_did_key.as_ref().map(ToString::to_string),
            blob_bytes: self.limits.blob_bytes,
            import_bytes: self.limits.import_bytes,
            retain: self.firehose.retain,
            backfill: self.firehose.backfill,
            version: self.server.version.clone(),
            links: service::Links {
                terms: self.links.terms.clone(),
                privacy: self.links.privacy.clone(),
                contact_email: self.links.contact_email.clone(),
            },
            services: self.services.known(),
            crawlers: self.services.crawlers.clone(),
            genesis_endpoint: None,
            plc_limits: true,
            password_cost: Cost::Standard,
        }
    }

    fn check(&self, given: &Given, warnings: &mut Vec<Warning>) -> Result<(), ConfigError> {
        self.server.warn(warnings);
        self.identity.check(given, warnings)?;
        self.secrets.warn(warnings);
        Email::check(given)?;
        self.limits.warn(warnings);
        self.admin.warn(warnings);
        self.services.check(given, warnings)?;
        self.firehose.check(given)?;
        self.outbound.warn(warnings);
        if !self.accounts.invite_required && !self.accounts.closed {
            warnings.push(Warning::new(
                "accounts.invite_required",
                "it is off, so anybody may make accounts here, and spammers look for such servers",
            ));
        }
        if self.accounts.invite_required && self.admin.password.is_none() {
            warnings.push(Warning::new(
                "admin.password",
                "it is not set, so nobody can make the invite codes that accounts.invite_required asks for",
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Config {}", self.redacted())
    }
}

fn read_file(path: Option<&Path>) -> Result<Option<(PathBuf, String)>, ConfigError> {
    let file = path.unwrap_or_else(|| Path::new(DEFAULT_FILE));
    match source::read_text(file, FILE_MAX_BYTES) {
        Ok(text) => Ok(Some((file.to_owned(), text))),
        Err(cause) if path.is_none() && cause.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(cause) => {
            Err(ConfigError::Unreadable { what: "the configuration file".to_owned(), path: file.to_owned(), cause })
        }
    }
}

/// The variables that are settings. Others are left alone, whatever bytes they hold.
#[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
fn process_environment() -> Result<Vec<(String, String)>, ConfigError> {
    let mut found = Vec::new();
    for (name, value) in std::env::vars_os() {
        let Some(name) = name.to_str().filter(|name| name.starts_with(source::PREFIX)) else { continue };
        if source::variable(name)?.is_some() {
            let value =
                value.into_string().map_err(|_| ConfigError::NotText(Origin::Variable(name.to_owned()).to_string()))?;
            found.push((name.to_owned(), value));
        }
    }
    Ok(found)
}
