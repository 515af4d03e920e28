//! The file that remembers what servers cannot tell.

use serde::{Deserialize, Serialize};
use std::path::Path;

use super::MoveError;
use crate::{
    client::files::{self, FileError},
    delegation::DelegationId,
    plc::Operation,
    syntax::{AtIdentifier, Did},
};

/// A delegation as it was before the identity changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KnownDelegation {
    pub(super) id: DelegationId,
    /// The did:key that the document named.
    pub(super) key: String,
    pub(super) verified: bool,
}

/// What a move remembers between runs. No secret is in it; the operation is what the directory publishes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct MoveFile {
    /// The account as its owner named it.
    account: String,
    /// The account.
    did: Did,
    /// The old server.
    from: String,
    /// The new server.
    to: String,
    /// The revision at the old server that was brought over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) imported: Option<String>,
    /// The delegations before the identity changed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) delegations: Vec<KnownDelegation>,
    /// The signed operation, from before it was submitted: a code signs once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) operation: Option<Operation>,
    /// Whether all is done.
    #[serde(default)]
    pub(super) done: bool,
}

impl MoveFile {
    /// A new note.
    pub fn new(account: &AtIdentifier, did: Did, from: String, to: String) -> Self {
        let account = account.to_string();
        Self { account, did, from, to, imported: None, delegations: Vec::new(), operation: None, done: false }
    }

    /// What an earlier run noted, if there was one.
    ///
    /// # Errors
    /// [`MoveError::File`] where it cannot be read, [`MoveError::Unfit`] where it is something else.
    pub fn read(path: &Path) -> Result<Option<Self>, MoveError> {
        match files::read_text(path) {
            Ok(text) => serde_json::from_str(&text).map(Some).map_err(|_| unfit(path, "is not the note of a move")),
            Err(cause) if cause.is_missing() => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// The account, if the owner names it as before: once it has moved, its old handle may lead nowhere.
    pub fn did_of(&self, account: &AtIdentifier) -> Option<&Did> {
        (self.account == account.to_string()).then_some(&self.did)
    }

    /// The server that the account leaves in a move to `to`.
    pub fn from(&self, to: &str) -> Option<&str> {
        (self.to == to).then_some(self.from.as_str())
    }

    /// Where the account goes, while the move is not over.
    pub fn to(&self) -> Option<&str> {
        (!self.done).then_some(self.to.as_str())
    }

    /// Whether every step was taken.
    pub const fn is_done(&self) -> bool {
        self.done
    }

    /// The note for a move, if it is one of that move. A finished move may be followed by one elsewhere under the same name.
    pub(super) fn of_move(self, did: &Did, from: &str, to: &str, path: &Path) -> Result<Self, MoveError> {
        let is_this = self.from == from && self.to == to;
        if self.did != *did || !is_this && !self.done {
            return Err(unfit(path, &format!("is the note of another move, of {} to {}", self.did, self.to)));
        }
        if is_this {
            return Ok(self);
        }
        let (from, to) = (from.to_owned(), to.to_owned());
        Ok(Self { from, to, imported: None, delegations: Vec::new(), operation: None, done: false, ..self })
    }

    pub(super) fn write(&self, path: &Path) -> Result<(), FileError> {
        let mut text = serde_json::to_string(self).unwrap_or_default();
        text.push('\n');
        files::replace(path, &text)
    }
}

fn unfit(path: &Path, what: &str) -> MoveError {
    MoveError::Unfit(format!("{} {what}: remove it, or name another file with --file", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "https://old.example.com";
    const NEW: &str = "https://new.example.com";

    fn did() -> Did {
        "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()
    }

    fn alice() -> AtIdentifier {
        "alice.example.com".parse().unwrap()
    }

    fn note() -> MoveFile {
        let note = MoveFile::new(&alice(), did(), OLD.to_owned(), NEW.to_owned());
        MoveFile { imported: Some("3k".to_owned()), ..note }
    }

    #[test]
    fn a_note_is_read_again_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("move.json");
        assert_eq!(MoveFile::read(&path).unwrap(), None);
        note().write(&path).unwrap();
        assert_eq!(MoveFile::read(&path).unwrap(), Some(note()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_note_of_another_move_or_account_is_refused_with_what_to_do() {
        let path = Path::new("move.json");
        assert_eq!(note().of_move(&did(), OLD, NEW, path).unwrap(), note());
        let other = note().of_move(&did(), NEW, OLD, path).unwrap_err().to_string();
        assert!(other.contains("another move, of did:plc:ewvi7nxzyoun6zhxrhs64oiz"), "{other}");
        let bob = "did:plc:z72i7hdynmk6r22z27h6tvur".parse().unwrap();
        assert!(note().of_move(&bob, OLD, NEW, path).unwrap_err().to_string().contains("remove it"));
    }

    #[test]
    fn after_a_finished_move_the_way_back_begins_anew() {
        let done = MoveFile { done: true, ..note() };
        let back = done.of_move(&did(), NEW, OLD, Path::new("move.json")).unwrap();
        assert_eq!((back.imported.as_ref(), back.done), (None, false));
        assert_eq!((back.from(OLD), back.from(NEW), back.to()), (Some(NEW), None, Some(OLD)));
    }

    #[test]
    fn a_name_leads_to_the_noted_account_only_if_it_is_the_same_name() {
        assert_eq!(note().did_of(&alice()), Some(&did()));
        assert_eq!(note().did_of(&"bob.example.com".parse().unwrap()), None);
    }

    #[test]
    fn a_file_that_is_no_note_is_refused_with_what_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("move.json");
        std::fs::write(&path, "[]").unwrap();
        let refused = MoveFile::read(&path).unwrap_err().to_string();
        assert!(refused.contains("is not the note of a move: remove it"), "{refused}");
    }
}
