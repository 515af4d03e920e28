//! What moderation is about, as the lexicons write it.

use serde::{Deserialize, Serialize};

use crate::{
    ipld::Cid,
    repo::RecordPath,
    service::states::{Moderation, Subject},
    syntax::{AtIdentifier, AtUri, Did},
    xrpc::XrpcError,
};

/// The union of `com.atproto.admin.defs#repoRef`, `com.atproto.repo.strongRef` and `com.atproto.admin.defs#repoBlobRef`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "$type")]
pub enum SubjectRef {
    /// An account.
    #[serde(rename = "com.atproto.admin.defs#repoRef")]
    Repo {
        /// Its DID.
        did: Did,
    },
    /// A record.
    #[serde(rename = "com.atproto.repo.strongRef")]
    Record {
        /// Where it is.
        uri: AtUri,
        /// Which version the moderator saw.
        cid: Cid,
    },
    /// A blob.
    #[serde(rename = "com.atproto.admin.defs#repoBlobRef")]
    Blob {
        /// Whose it is.
        did: Did,
        /// Which it is.
        cid: Cid,
        /// The record where it was seen.
        #[serde(rename = "recordUri", skip_serializing_if = "Option::is_none")]
        record_uri: Option<AtUri>,
    },
}

/// `com.atproto.admin.defs#statusAttr`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StatusAttr {
    /// Whether it is so.
    pub applied: bool,
    /// The moderator's reference.
    #[serde(rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}

impl SubjectRef {
    /// What it names.
    pub(super) fn subject(&self) -> Result<Subject, XrpcError> {
        Ok(match self {
            Self::Repo { did } => Subject::Account(did.clone()),
            Self::Record { uri, cid } => record(uri, Some(*cid))?,
            Self::Blob { did, cid, .. } => Subject::Blob(did.clone(), *cid),
        })
    }
}

/// The record that a URI names, in this version if one is named.
pub(super) fn record(uri: &AtUri, cid: Option<Cid>) -> Result<Subject, XrpcError> {
    match (&uri.authority, &uri.collection, &uri.rkey) {
        (AtIdentifier::Did(did), Some(collection), Some(rkey)) => {
            Ok(Subject::Record(did.clone(), RecordPath::new(collection.clone(), rkey.clone()), cid))
        }
        _ => Err(XrpcError::invalid("uri must name a record by its DID: at://did/collection/rkey")),
    }
}

impl StatusAttr {
    /// What it asks for.
    pub(super) fn moderation(&self) -> Result<Moderation, XrpcError> {
        const MAX: usize = crate::limits::accounts::TAKEDOWN_REFERENCE_BYTES;
        if self.reference.as_ref().is_some_and(|reference| reference.len() > MAX) {
            return Err(XrpcError::invalid(format!("ref must have at most {MAX} bytes")));
        }
        Ok(if self.applied { Moderation::Applied { reference: self.reference.clone() } } else { Moderation::Lifted })
    }
}
