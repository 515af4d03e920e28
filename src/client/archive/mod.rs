//! Archives of accounts: everything that an account is, in one tar file that can be verified without asking anybody
//! (`docs/archive.md` is the format).

mod draft;
mod error;
mod from_directory;
mod from_server;
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod manifest;
mod opened;
mod repository;
mod restore;
mod verify;

#[cfg(test)]
mod tests;

pub use error::ArchiveError;
pub use from_directory::from_directory;
pub use from_server::from_server;
pub use identity::Identity;
pub use manifest::{Manifest, Part};
pub use opened::Opened;
pub use restore::{NewHome, Restored, create_account, restore};
pub use verify::{Delegated, SignedBy, UNKNOWABLE, Verified, verify};

/// What work on an archive tells while it goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// `done` of `all`, bytes or blobs; `all` is 0 where nobody knows.
    Progress {
        /// Of what.
        what: &'static str,
        /// So far.
        done: u64,
        /// In all.
        all: u64,
    },
    /// Something that the owner should know.
    Note(String),
}

/// Who is told.
pub type Tell<'a> = &'a mut dyn FnMut(Told);

/// The repository.
const REPO: &str = "repo.car";
/// The list of blobs: a line of JSON for each.
const BLOB_LIST: &str = "blobs.jsonl";
/// What blobs' names begin with.
const BLOBS: &str = "blobs/";
/// What the account's apps keep for it; not every server has it.
const PREFERENCES: &str = "preferences.json";
/// Statements and associated data, as JSON.
const DELEGATIONS: &str = "delegations.json";
/// The DID document.
const DOCUMENT: &str = "did.json";
/// The audit log of a did:plc.
const LOG: &str = "plc.json";
/// What is in the archive; comes last.
const MANIFEST: &str = "manifest.json";

/// All parts but blobs, in their order.
const PARTS: [&str; 7] = [REPO, BLOB_LIST, PREFERENCES, DELEGATIONS, DOCUMENT, LOG, MANIFEST];
