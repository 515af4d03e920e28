//! What was taken over and what was not.

use std::path::PathBuf;

use serde::Serialize;

/// What was taken over, and what was not.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// The reference's directory.
    pub from: PathBuf,
    /// The new data directory; not made in a dry run.
    pub to: PathBuf,
    /// The configuration in it.
    pub config: PathBuf,
    /// Whether everything was thrown away again.
    pub dry_run: bool,
    /// The server's name.
    pub hostname: String,
    /// Accounts in the order of their creation.
    pub accounts: Vec<AccountReport>,
    /// Accounts that were left out on demand.
    pub left_out: Vec<String>,
    /// Invite codes.
    pub invites: usize,
    /// Keys that were reserved for accounts to come.
    pub reserved_keys: usize,
    /// The greatest number that the reference gave an event.
    pub last_seq: i64,
    /// The first number that will be given here.
    pub next_seq: i64,
    /// Recent events that readers of the stream can still get.
    pub events: usize,
    /// What became of the settings.
    pub settings: SettingsReport,
    /// What was not taken over, in words.
    pub not_taken: Vec<String>,
}

/// What became of the settings.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SettingsReport {
    /// Settings that are in force here.
    pub taken: Vec<String>,
    /// Settings that have no counterpart here.
    pub not_taken: Vec<String>,
    /// What the new configuration warns of.
    pub warnings: Vec<String>,
}

/// One account.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountReport {
    /// Its DID.
    pub did: String,
    /// Its handle.
    pub handle: String,
    /// `active`, `deactivated` or `takendown`.
    pub state: &'static str,
    /// Its revision.
    pub rev: String,
    /// Verified records.
    pub records: usize,
    /// Verified blobs.
    pub blobs: usize,
    /// Blobs that its records name or its database lists, but that are not there or do not match their hash.
    pub missing_blobs: Vec<String>,
    /// Uploads that no record uses yet: not taken.
    pub temporary_blobs: usize,
    /// Preferences.
    pub preferences: usize,
    /// App passwords.
    pub app_passwords: usize,
    /// Sessions that go on.
    pub sessions: usize,
}
