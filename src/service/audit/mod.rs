//! An audit of everything that is stored: every tree, commit, index entry, blob and event is computed anew and compared.
//!
//! Reads beside a running server ([`AuditReader`]) and changes nothing. What it finds are sentences, each naming where.

mod account;
mod events;
#[cfg(test)]
mod tests;

use std::fmt::Display;

use crate::{
    limits::store::AUDIT_PROBLEMS,
    store::{AuditReader, StoreError},
};

/// How thorough an audit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blobs {
    /// Files are there and have their size.
    Present,
    /// Every file is read and its content compared with its CID.
    Read,
}

/// What an audit does at the moment, for a progress bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The database file's own structure.
    Database,
    /// `done` of `all` accounts.
    Accounts {
        /// Finished.
        done: u64,
        /// In all.
        all: u64,
    },
    /// `done` of `all` events.
    Events {
        /// Finished.
        done: u64,
        /// In all.
        all: u64,
    },
}

/// What was looked at, and what is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Accounts with a repository.
    pub accounts: u64,
    /// Records in them.
    pub records: u64,
    /// MST nodes.
    pub nodes: u64,
    /// Blobs that accounts have.
    pub blobs: u64,
    /// Blobs that records name and nobody has uploaded yet: normal while an account moves in, otherwise a loss.
    pub missing_blobs: u64,
    /// Events.
    pub events: u64,
    /// What is wrong, at most [`AUDIT_PROBLEMS`] sentences.
    pub problems: Vec<String>,
    /// How many more there are.
    pub further_problems: u64,
}

impl Audit {
    /// Whether nothing is wrong.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, place: impl Display, what: impl Display) {
        if self.problems.len() < AUDIT_PROBLEMS {
            self.problems.push(format!("{place}: {what}"));
        } else {
            self.further_problems += 1;
        }
    }
}

/// Audits everything; `progress` is told as it goes on.
///
/// # Errors
/// [`StoreError`] when the database cannot be read at all. Whatever can be read and is wrong is in the result instead.
pub fn audit(reader: &AuditReader, blobs: Blobs, progress: &mut dyn FnMut(Progress)) -> Result<Audit, StoreError> {
    let mut found = Audit::default();
    progress(Progress::Database);
    for complaint in reader.integrity()? {
        found.problem("the database file", complaint);
    }
    let accounts = reader.accounts()?;
    let all = u64::try_from(accounts.len()).unwrap_or(u64::MAX);
    for account in &accounts {
        progress(Progress::Accounts { done: found.accounts, all });
        account::audit(reader, account, blobs, &mut found)?;
        found.accounts += 1;
    }
    progress(Progress::Accounts { done: found.accounts, all });
    events::audit(reader, &mut found, progress)?;
    Ok(found)
}
