//! `actors/*/<did>/`: a repository with its key, its blobs and preferences. Everything is verified as it is read.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use bytes::Bytes;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::foreign::{Foreign, Unreadable};
use crate::{
    crypto::{Curve, SigningKey},
    ipld::{Cid, Codec, Value, cbor},
    repo::{
        BlockSource, Commit, CommitError, Head, RecordPath, SourceError,
        mst::{MstError, Step, Walk},
    },
    syntax::Did,
};

/// Bytes of a file that are read at once to be hashed.
const HASH_BUFFER: usize = 128 * 1024;

/// What is wrong with what an account has: it is not taken over.
#[derive(Debug, thiserror::Error)]
pub enum ActorFault {
    /// A database.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// A file.
    #[error("{path} cannot be read: {cause}", path = .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// The key file holds no key.
    #[error("{} does not hold a K-256 key", .0.display())]
    Key(PathBuf),
    /// There is no repository.
    #[error("its database holds no repository")]
    NoRepository,
    /// The commit.
    #[error("its latest commit is not valid: {0}")]
    Commit(#[from] CommitError),
    /// The commit is somebody else's, or of another revision than its database says.
    #[error("its latest commit is not the one that its database names")]
    OtherCommit,
    /// The tree.
    #[error("its tree is not valid: {0}")]
    Tree(#[from] MstError),
    /// A record.
    #[error("its record {path} {why}")]
    Record {
        /// Where.
        path: String,
        /// What is wrong with it.
        why: String,
    },
}

/// Where an account is on disk.
pub(super) struct Actor {
    pub(super) did: Did,
    dir: PathBuf,
}

/// A repository that was verified to its last record.
pub(super) struct Repository {
    pub(super) head: Head,
    pub(super) commit: Bytes,
    pub(super) nodes: Vec<(Cid, Bytes)>,
    pub(super) records: Vec<(RecordPath, Cid, Bytes, Value)>,
}

/// A blob that a record uses or used.
#[derive(Clone, Debug)]
pub(super) struct ForeignBlob {
    pub(super) cid: String,
    pub(super) mime_type: String,
    pub(super) created_at: String,
    /// The reference under which it was taken down.
    pub(super) taken_down: Option<String>,
}

impl Actor {
    pub(super) fn new(actors: &Path, did: Did) -> Self {
        let hash = HEXLOWER.encode(&Sha256::digest(did.as_str().as_bytes()));
        let dir = actors.join(hash.get(..2).unwrap_or_default()).join(did.as_str());
        Self { did, dir }
    }

    /// Its repository key.
    pub(super) fn key(&self) -> Result<SigningKey, ActorFault> {
        read_key(&self.dir.join("key"))
    }

    /// Its database.
    pub(super) fn open(&self, aside: &Path) -> Result<Foreign, Unreadable> {
        Foreign::open(&self.dir.join("store.sqlite"), aside)
    }

    /// Reads and verifies the whole repository: who signed the commit, each block's hash, the tree, each record.
    pub(super) fn repository(&self, db: &Foreign, key: &SigningKey) -> Result<Repository, ActorFault> {
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?));
        let (root, rev) = db.one("SELECT cid, rev FROM repo_root", [], read)?.ok_or(ActorFault::NoRepository)?;
        let root: Cid = root.parse().map_err(|_| ActorFault::OtherCommit)?;
        let mut blocks = Blocks(db);
        let commit_block = blocks.block(&root).map_err(MstError::from)?.ok_or(ActorFault::NoRepository)?;
        let commit = Commit::decode(&commit_block)?;
        if commit.unsigned.did != self.did || commit.unsigned.rev.to_string() != rev {
            return Err(ActorFault::OtherCommit);
        }
        commit.verify(&key.did_key())?;
        let head = Head { commit: root, rev: commit.unsigned.rev, data: commit.unsigned.data };
        let mut repository = Repository { head, commit: commit_block, nodes: Vec::new(), records: Vec::new() };
        let mut walk = Walk::new(head.data);
        while let Some(step) = walk.step(&mut blocks)? {
            match step {
                Step::Node(cid, block) => repository.nodes.push((cid, block)),
                Step::Entry(path, cid) => repository.records.push(record(&mut blocks, path, cid)?),
            }
        }
        Ok(repository)
    }

    /// Its blobs without those that no record has come to use yet; how many of the latter there are.
    pub(super) fn blobs(db: &Foreign) -> Result<(Vec<ForeignBlob>, usize), Unreadable> {
        let all =
            db.all("SELECT cid, mimeType, createdAt, takedownRef, tempKey FROM blob ORDER BY cid", [], |row| {
                let taken_down = row.get(3)?;
                let blob =
                    ForeignBlob { cid: row.get(0)?, mime_type: row.get(1)?, created_at: row.get(2)?, taken_down };
                Ok((blob, row.get::<_, Option<String>>(4)?.is_some()))
            })?;
        let temporary = all.iter().filter(|(_, temporary)| *temporary).count();
        Ok((all.into_iter().filter(|(_, temporary)| !temporary).map(|(blob, _)| blob).collect(), temporary))
    }

    /// Paths of records that were taken down, and under which reference.
    pub(super) fn record_takedowns(db: &Foreign) -> Result<Vec<(String, String)>, Unreadable> {
        const QUERY: &str = "SELECT collection || '/' || rkey, takedownRef FROM record WHERE takedownRef IS NOT NULL";
        db.all(QUERY, [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Its preferences as JSON texts, in order.
    pub(super) fn preferences(db: &Foreign) -> Result<Vec<(String, String)>, Unreadable> {
        db.all("SELECT name, valueJson FROM account_pref ORDER BY id", [], |row| Ok((row.get(0)?, row.get(1)?)))
    }

    /// Whether the creation of the account was not finished: its genesis operation waits to be sent.
    pub(super) fn has_unsent_operation(&self) -> bool {
        self.dir.join("did-op").is_file()
    }
}

/// The block source of one account's database; each block's hash is checked.
struct Blocks<'a>(&'a Foreign);

impl BlockSource for Blocks<'_> {
    fn block(&mut self, cid: &Cid) -> Result<Option<Bytes>, SourceError> {
        const QUERY: &str = "SELECT content FROM repo_block WHERE cid = ?1";
        let read = |row: &rusqlite::Row<'_>| row.get_ref(0)?.as_blob().map(Bytes::copy_from_slice).map_err(Into::into);
        let block = self.0.one(QUERY, [cid.to_string()], read).map_err(|cause| SourceError(cause.to_string()))?;
        if block.as_ref().is_some_and(|block| !cid.matches(block)) {
            return Err(SourceError(format!("the block {cid} holds something else than its hash says")));
        }
        Ok(block)
    }
}

fn record(blocks: &mut Blocks<'_>, path: String, cid: Cid) -> Result<(RecordPath, Cid, Bytes, Value), ActorFault> {
    let parsed: RecordPath = path.parse().map_err(|_| MstError::Key(path.clone()))?;
    if cid.codec() != Codec::DagCbor {
        return Err(ActorFault::Record { path, why: "is not DAG-CBOR".to_owned() });
    }
    let Some(block) = blocks.block(&cid).map_err(MstError::from)? else {
        return Err(ActorFault::Record { path, why: format!("({cid}) is missing") });
    };
    match cbor::decode(&block) {
        Ok(value @ Value::Map(_)) => Ok((parsed, cid, block, value)),
        Ok(_) => Err(ActorFault::Record { path, why: "is not an object".to_owned() }),
        Err(cause) => Err(ActorFault::Record { path, why: format!("is not valid: {cause}") }),
    }
}

/// The keys that were reserved for accounts to come: the name of each file, a DID or did:key, and the key.
pub(super) fn reserved_keys(actors: &Path) -> Result<Vec<(String, SigningKey)>, ActorFault> {
    let dir = actors.join("reserved_keys");
    let failed = |cause| ActorFault::File { path: dir.clone(), cause };
    let files = match fs::read_dir(&dir) {
        Ok(files) => files,
        Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(cause) => return Err(failed(cause)),
    };
    let mut keys = Vec::new();
    for file in files {
        let file = file.map_err(failed)?;
        keys.push((file.file_name().to_string_lossy().into_owned(), read_key(&file.path())?));
    }
    keys.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(keys)
}

fn read_key(path: &Path) -> Result<SigningKey, ActorFault> {
    let bytes = fs::read(path).map_err(|cause| ActorFault::File { path: path.to_owned(), cause })?;
    let bytes = zeroize::Zeroizing::new(bytes);
    SigningKey::from_bytes(Curve::K256, &bytes).map_err(|_| ActorFault::Key(path.to_owned()))
}

/// The CID of a file's content, and its size.
pub(super) fn hash_file(path: &Path) -> io::Result<(Cid, u64)> {
    let mut file = fs::File::open(path)?;
    let (mut hasher, mut size, mut buffer) = (Sha256::new(), 0, vec![0; HASH_BUFFER]);
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok((Cid::new(Codec::Raw, hasher.finalize().into()), size));
        }
        hasher.update(buffer.get(..read).unwrap_or_default());
        size += u64::try_from(read).unwrap_or(0);
    }
}
