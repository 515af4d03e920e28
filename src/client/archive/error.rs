//! What is wrong with an archive, or with making one.

use std::{io, path::PathBuf};

use crate::{
    client::pds::CallError,
    ipld::Cid,
    limits::archive::BLOBS_MAX,
    plc::LogError,
    service::import::ImportFault,
    store::{AddBlock, StoreError},
};

/// Why an archive is refused, or was not made or restored.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The file system.
    #[error("{path} cannot be {verb}: {cause}", path = .path.display())]
    File {
        /// Where.
        path: PathBuf,
        /// What was tried, as a participle.
        verb: &'static str,
        /// Why.
        cause: io::Error,
    },
    /// There is something already.
    #[error("{} is there already: name another file with --output", .0.display())]
    Exists(PathBuf),
    /// It is no tar file, or a damaged one.
    #[error("this is not an archive of an account: {0}")]
    NotTar(String),
    /// The file ends inside a part, or before its manifest.
    #[error("the archive is cut off: {0} is not whole")]
    CutOff(String),
    /// A name that leads somewhere else.
    #[error("the archive holds {0:?}, a path that leads out of it")]
    UnsafePath(String),
    /// A link, a directory, a device …
    #[error("the archive holds {0:?}, which is not a plain file")]
    NotAFile(String),
    /// A name that the format does not have.
    #[error("the archive holds {0:?}, which no archive of an account has")]
    Unexpected(String),
    /// The same name more than once.
    #[error("the archive holds {0} twice")]
    Twice(String),
    /// More than is ever read.
    #[error("{0} has more than {1} bytes")]
    TooLarge(String, u64),
    /// More blobs than an archive has.
    #[error("the archive holds more than {BLOBS_MAX} blobs")]
    TooManyBlobs,
    /// A part is not there.
    #[error("the archive lacks {0}")]
    Missing(String),
    /// A part that is not what it should be.
    #[error("{0} is not what it should be: {1}")]
    Malformed(&'static str, String),
    /// Another version of the format.
    #[error("the archive has version {0}; this program reads version 1")]
    Version(u64),
    /// A part that is not the one that the manifest speaks of.
    #[error("{0} does not have the size and digest that the manifest gives")]
    Digest(String),
    /// A blob whose content is not what its name says.
    #[error("the blob {0} holds something else than its name says")]
    BlobDigest(Cid),
    /// The repository.
    #[error("the repository is not good: {0}")]
    Repository(#[from] ImportFault),
    /// The log.
    #[error("the log of the DID does not verify: {0}")]
    Log(#[from] LogError),
    /// The DID has ended.
    #[error("the DID has ended: its log closes with a tombstone")]
    Ended,
    /// Parts that do not fit together.
    #[error("{0}")]
    Disagree(String),
    /// A server.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is there does not fit what is to be done.
    #[error("{0}")]
    Unfit(String),
}

impl From<AddBlock> for ArchiveError {
    fn from(cause: AddBlock) -> Self {
        ImportFault::from(cause).into()
    }
}
