//! What an archive says about itself.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{ArchiveError, MANIFEST};
use crate::{
    ipld::Cid,
    syntax::{Did, Handle, Tid},
};

/// Says what the file is.
const FORMAT: &str = "housekey-account-archive";
/// The version that is written and read.
const VERSION: u64 = 1;

/// What is in an archive.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Manifest {
    format: String,
    version: u64,
    /// The account.
    pub did: Did,
    /// Its handle, as its DID document names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub handle: Option<Handle>,
    /// When the archive was made, by the clock of who made it.
    pub created_at: String,
    /// The revision of the repository.
    pub rev: Tid,
    /// The CID of its commit.
    pub root: Cid,
    /// Records.
    pub records: u64,
    /// Blobs that are here.
    pub blobs: u64,
    /// Their bytes.
    pub blob_bytes: u64,
    /// Blobs that records use and that are not here.
    pub missing_blobs: u64,
    /// Every part but blobs and this one.
    pub parts: BTreeMap<String, Part>,
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Bytes.
    pub size: u64,
    /// SHA-256 in hex.
    pub sha256: String,
}

/// What a reader of any version can rely on.
#[derive(Deserialize)]
struct Label {
    format: String,
    version: u64,
}

impl Manifest {
    /// A manifest of this program's version without counts and parts.
    pub(super) fn new(did: Did, handle: Option<Handle>, created_at: String, (root, rev): (Cid, Tid)) -> Self {
        Self {
            format: FORMAT.to_owned(),
            version: VERSION,
            did,
            handle,
            created_at,
            rev,
            root,
            records: 0,
            blobs: 0,
            blob_bytes: 0,
            missing_blobs: 0,
            parts: BTreeMap::new(),
        }
    }

    /// Reads one, the version first.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ArchiveError> {
        let malformed = |cause: serde_json::Error| ArchiveError::Malformed(MANIFEST, cause.to_string());
        let label: Label = serde_json::from_slice(bytes).map_err(malformed)?;
        if label.format != FORMAT {
            return Err(ArchiveError::Malformed(MANIFEST, format!("its format is {:?}", label.format)));
        }
        if label.version != VERSION {
            return Err(ArchiveError::Version(label.version));
        }
        serde_json::from_slice(bytes).map_err(malformed)
    }
}
