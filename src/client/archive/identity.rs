//! Who the account is: its DID document, and for a did:plc the log that it follows from.

use serde_json::Value;

use super::ArchiveError;
use crate::{
    client::sources::Sources,
    delegation::VerifiedLog,
    identity::DidDocument,
    plc::{self, Entry, log::standing},
    syntax::{Did, Handle},
};

/// The account's identity as public material shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// The account.
    pub did: Did,
    /// The DID document; that of a did:plc is what its log says.
    pub document: Value,
    /// The audit log of a did:plc.
    pub log: Option<Vec<Entry>>,
}

/// What an identity that was checked says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) handle: Option<Handle>,
    /// did:keys of the repository: the present one first, then earlier ones, the latest first.
    pub(super) signing_keys: Vec<String>,
}

impl Identity {
    /// Fetches it.
    ///
    /// # Errors
    /// [`ArchiveError::Unfit`] where it cannot be read, or does not fit.
    pub async fn fetch(sources: &Sources, did: &Did) -> Result<Self, ArchiveError> {
        if !did.is_plc() {
            let document = sources.document(did).await.map_err(ArchiveError::Unfit)?;
            return Ok(Self { did: did.clone(), document: document.json.clone(), log: None });
        }
        let log = sources.log(did).await.map_err(|cause| {
            ArchiveError::Unfit(format!("the log of {did} could not be read, and belongs into the archive: {cause}"))
        })?;
        let document = document_of(did, &log)?;
        Ok(Self { did: did.clone(), document, log: Some(log) })
    }

    /// Checks the log, and that the document is what it says.
    pub(super) fn check(&self) -> Result<Said, ArchiveError> {
        let Some(log) = &self.log else {
            let malformed = |cause: &dyn std::fmt::Display| ArchiveError::Malformed(super::DOCUMENT, cause.to_string());
            let document = DidDocument::parse(&self.did, self.document.clone()).map_err(|cause| malformed(&cause))?;
            let signing_keys = document.signing_key.iter().map(ToString::to_string).collect();
            return Ok(Said { handle: document.handle, signing_keys });
        };
        if document_of(&self.did, log)? != self.document {
            return Err(ArchiveError::Disagree("the DID document is not what the log of the DID says".to_owned()));
        }
        let states: Vec<_> = standing(log).rev().filter_map(|entry| entry.operation.normalized()).collect();
        let mut signing_keys: Vec<String> =
            states.iter().filter_map(|state| state.signing_key().map(str::to_owned)).collect();
        signing_keys.dedup();
        let handle = states.first().and_then(|state| state.handle()?.parse().ok());
        Ok(Said { handle, signing_keys })
    }
}

/// The document that a log leads to.
fn document_of(did: &Did, log: &[Entry]) -> Result<Value, ArchiveError> {
    let log = VerifiedLog::new(did, log)?;
    let data = log.data().ok_or(ArchiveError::Ended)?;
    serde_json::to_value(plc::document::DidDocument::of(did, data))
        .map_err(|cause| ArchiveError::Malformed(super::DOCUMENT, cause.to_string()))
}
