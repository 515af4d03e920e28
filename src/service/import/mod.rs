//! Bringing in a whole repository as a CAR file: received into a file of its own, checked to the last record, staged in
//! slices, and made true by one short flip. Whatever goes wrong before, nothing has changed.

mod assemble;
mod check;
mod indexed;
mod kept;
#[cfg(test)]
mod tests;

pub use indexed::blobs_of;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt};
use tokio::{sync::mpsc, task::spawn_blocking};

use super::{Server, delegation, journal::LogUnavailable, security_log};
use crate::{
    clock::Timestamp,
    crypto::seal::CannotOpen,
    event,
    ipld::{
        CborError, Cid,
        car::{CarError, Item, Reader},
    },
    limits::import::{BLOCKS_MAX, FEED_BYTES, KEPT_BYTES_MAX, RECORD_BLOBS_MAX, STAGE_AHEAD},
    repo::{Commit, CommitError, Head, RecordPath, UnsignedCommit, mst::MstError},
    store::{Account, AccountState, AddBlock, Flip, Import, ImportBlocks, ImportRefused, SecurityKind, StoreError},
    syntax::{Did, Tid},
};

/// What becomes of the commit that the file brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NewCommit {
    /// A new one with a fresh revision is signed with the account's key: the account moves here.
    Signed,
    /// It stays as it is, being signed with the account's key already: another server's data are taken over with their
    /// keys. No event is made. Where it cannot stay (the account has a newer commit, or records that are kept), a new one
    /// is signed all the same.
    AsBrought,
}

/// What was brought in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imported {
    /// Where the repository stands now.
    pub head: Head,
    /// How many records it has.
    pub records: u64,
}

/// Why nothing was brought in. `E` is what reading the file can fail with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImportError<E> {
    /// The file broke off or was refused while it was read.
    Read(E),
    /// It was read, and not taken.
    Refused(ImportFault),
}

/// What is wrong with a repository that is brought in, or why it cannot be now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// The file is larger than this many bytes.
    #[error("request entity too large: a repository may have at most {0} bytes")]
    TooLarge(u64),
    /// It is not a CAR file.
    #[error("{0}")]
    Car(#[from] CarError),
    /// It has too many blocks.
    #[error("the CAR file has more than {BLOCKS_MAX} blocks")]
    TooManyBlocks,
    /// It names several roots.
    #[error("the CAR file names {0} roots; expected one root, the repository's commit")]
    Roots(usize),
    /// The root is not among the blocks.
    #[error("the CAR file lacks its root, the commit {0}")]
    NoCommit(Cid),
    /// The root is no commit.
    #[error("{0}")]
    Commit(#[from] CommitError),
    /// It is somebody else's repository.
    #[error("the repository in the file is that of {found}, the account is {expected}")]
    WrongDid {
        /// The account's.
        expected: Did,
        /// The commit's.
        found: Did,
    },
    /// No key of the DID made the signature.
    #[error("the commit in the file is not signed by a key that the DID {0} names or named for its repository")]
    WrongKey(Did),
    /// The keys of the DID cannot be found out now.
    #[error(
        "the keys of the DID could not be read, so the commit's signature could not be checked: {0}; try again later"
    )]
    KeysUnavailable(String),
    /// The tree is refused.
    #[error("{0}")]
    Tree(#[from] MstError),
    /// A record is not among the blocks.
    #[error("the CAR file lacks the record {0}")]
    RecordMissing(RecordPath),
    /// A record is malformed.
    #[error("Could not parse record at '{path}': {why}")]
    Record {
        /// Where.
        path: RecordPath,
        /// What is wrong.
        why: RecordFault,
    },
    /// The records together, each as often as the tree names it, are larger than a file may be.
    #[error("the records of the repository have more than {0} bytes together")]
    RecordsTooLarge(u64),
    /// More is to be kept than an import can.
    #[error(
        "the account has more than {KEPT_BYTES_MAX} bytes of records in the collections of delegations, which an import \
         would keep: delete those that are not needed first"
    )]
    TooMuchKept,
    /// The store.
    #[error(transparent)]
    Store(#[from] ImportRefused),
    /// The account's key cannot be opened.
    #[error(transparent)]
    Key(#[from] CannotOpen),
}

/// What is wrong with one record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordFault {
    /// Not in the data model.
    #[error("{0}")]
    Cbor(#[from] CborError),
    /// A list, a text, …
    #[error("it is not an object")]
    NotAnObject,
    /// Its size in bytes.
    #[error("it has {0} bytes; at most {max} are allowed", max = crate::limits::repo::MAX_RECORD_BYTES)]
    TooLarge(usize),
    /// The tree links to something else than DAG-CBOR.
    #[error("its CID is not one of DAG-CBOR")]
    Codec,
    /// More blobs than one record may reference.
    #[error("it references more than {RECORD_BLOBS_MAX} blobs")]
    TooManyBlobs,
}

impl From<StoreError> for ImportFault {
    fn from(cause: StoreError) -> Self {
        Self::Store(cause.into())
    }
}

impl From<AddBlock> for ImportFault {
    fn from(cause: AddBlock) -> Self {
        match cause {
            AddBlock::TooMany => Self::TooManyBlocks,
            AddBlock::Store(cause) => cause.into(),
        }
    }
}

impl From<LogUnavailable> for ImportFault {
    fn from(cause: LogUnavailable) -> Self {
        Self::KeysUnavailable(cause.0)
    }
}

impl<E, F: Into<ImportFault>> From<F> for ImportError<E> {
    fn from(fault: F) -> Self {
        Self::Refused(fault.into())
    }
}

/// Makes the repository in a CAR file the account's, in place of what it has. The records of the two reserved collections
/// that are here stay beside those that it brings. Memory does not grow with the file.
///
/// The file must have the commit as its only root; its blocks may come in any order, and blocks that the commit does not
/// reach do not count. Blobs do not come along: those that are not here yet are missing blobs afterwards.
///
/// The account's own writes wait while the checked rows are staged; nobody else's do. Also for accounts without any
/// repository yet.
///
/// # Errors
/// [`ImportError`] says why nothing has changed.
pub async fn import<S, E>(
    server: &Server,
    account: &Account,
    car: S,
    new_commit: NewCommit,
) -> Result<Imported, ImportError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let (import, blocks) = server.store.begin_import(account.id, server.now()).await?;
    let mut received = receive(car, blocks, server.policy.import_bytes).await?;
    let root = received.only_root()?;
    let brought = check::commit(server, account, &mut received.blocks, root).await?;
    let imported =
        replace(server, account, import, received.blocks, Brought { cid: root, commit: brought, new_commit });
    let imported = imported.await?;
    // The repository stands whatever the directory says now; its log is read again at the next look.
    if let Err(cause) = delegation::after_import(server, account).await {
        tracing::warn!(did = %account.did, "delegations could not be brought up to date after an import: {cause}");
    }
    Ok(imported)
}

/// A file that is being read.
struct Received {
    reader: Reader,
    blocks: ImportBlocks,
    roots: Vec<Cid>,
}

impl Received {
    /// Takes the next bytes apart. Blocks the thread.
    fn feed(&mut self, bytes: &[u8]) -> Result<(), ImportFault> {
        self.reader.push(bytes);
        while let Some(item) = self.reader.next_item()? {
            match item {
                Item::Header(roots) => self.roots = roots,
                Item::Block(cid, block) => self.blocks.add(&cid, &block)?,
            }
        }
        Ok(())
    }

    fn only_root(&self) -> Result<Cid, ImportFault> {
        match self.roots.as_slice() {
            [root] => Ok(*root),
            roots => Err(ImportFault::Roots(roots.len())),
        }
    }
}

async fn receive<S, E>(mut car: S, blocks: ImportBlocks, max: u64) -> Result<Received, ImportError<E>>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
{
    let mut received = Received { reader: Reader::new(), blocks, roots: Vec::new() };
    let mut waiting = BytesMut::new();
    let mut size: u64 = 0;
    while let Some(piece) = car.next().await {
        let piece = piece.map_err(ImportError::Read)?;
        size = size.saturating_add(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        if size > max {
            return Err(ImportFault::TooLarge(max).into());
        }
        waiting.extend_from_slice(&piece);
        if waiting.len() >= FEED_BYTES {
            received = feed(received, waiting.split().freeze()).await?;
        }
    }
    let mut received = feed(received, waiting.freeze()).await?;
    std::mem::take(&mut received.reader).finish()?;
    Ok(received)
}

async fn feed(mut received: Received, bytes: Bytes) -> Result<Received, ImportFault> {
    let feeding = spawn_blocking(move || received.feed(&bytes).map(|()| received));
    feeding.await.map_err(|_| StoreError::Closed)?
}

/// The commit that a file brings.
struct Brought {
    cid: Cid,
    commit: Commit,
    new_commit: NewCommit,
}

/// Under the account's lock: stages what the checked commit names, and what is kept, and flips.
async fn replace(
    server: &Server,
    account: &Account,
    mut import: Import,
    blocks: ImportBlocks,
    brought: Brought,
) -> Result<Imported, ImportFault> {
    let _guard = server.locks.lock(account.id).await;
    let head = server.store.head(account.id).await?;
    let now = server.now();
    let kept = kept::read(server, account).await?;
    let key = server.signing_key(account)?;
    let newer = head.is_none_or(|head| head.rev < brought.commit.unsigned.rev);
    let stays = brought.new_commit == NewCommit::AsBrought && newer && brought.commit.verify(&key.did_key()).is_ok();
    let rev =
        if stays { brought.commit.unsigned.rev } else { next_rev(server, head, brought.commit.unsigned.rev, now) };
    let root = brought.commit.unsigned.data;

    let (send, mut slices) = mpsc::channel(STAGE_AHEAD);
    let (quota, usage) = (server.store.quota(), server.store.usage(account.id).await?);
    let bounds = assemble::Bounds { records_bytes: server.policy.import_bytes, quota, usage };
    let assembling = spawn_blocking(move || assemble::assemble(blocks, root, kept, &bounds, &send));
    while let Some(rows) = slices.recv().await {
        import.stage(rows, rev).await?;
    }
    let assembled = assembling.await.map_err(|_| StoreError::Closed)??;

    let (head_cid, stays) = (head.map(|head| head.commit), stays && assembled.root == root);
    let commit = if stays {
        brought.commit
    } else {
        UnsignedCommit { did: account.did.clone(), data: assembled.root, rev }.sign(&key)
    };
    let block = commit.encode();
    let new = Head { commit: if stays { brought.cid } else { Cid::of_cbor(&block) }, rev, data: assembled.root };
    let told = account.state == AccountState::Active && brought.new_commit == NewCommit::Signed;
    let events =
        if told { vec![event::sync(&account.did, rev, &(new.commit, block.clone()), now)] } else { Vec::new() };
    let detail = format!("{} records", assembled.records);
    let noted = security_log::event(server, account.id, SecurityKind::Moved, Some(&detail));
    import.flip(Flip { expected_head: head_cid, head: new, commit: block, events, at: now, noted }).await?;
    Ok(Imported { head: new, records: assembled.records })
}

/// Behind what is here and, if that is not from the future, behind what was brought: relays have seen it elsewhere.
fn next_rev(server: &Server, head: Option<Head>, brought: Tid, now: Timestamp) -> Tid {
    let seen = (brought.timestamp() <= now).then_some(brought);
    match head.map(|head| head.rev).max(seen) {
        Some(last) => server.tids.rev_after(last, now),
        None => server.tids.next(now),
    }
}
