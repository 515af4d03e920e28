//! Blob files: content-addressed, fsynced before they are acknowledged.
//!
//! A blob lives at `<dir>/<last two characters of its CID>/<CID>` (all CIDs begin alike) and is received under `<dir>/tmp/`.

use std::{
    collections::HashSet,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures_util::Stream;
use sha2::{Digest, Sha256};
use tokio::task::{JoinHandle, spawn_blocking};

use super::{Durability, StoreError};
use crate::{
    ipld::{Cid, Codec},
    limits::{
        records::BLOB_CHUNK_BYTES,
        store::{BLOB_BUFFER_BYTES, BLOB_HEAD_BYTES},
    },
};

/// The directory of blob files. Cheap to clone.
#[derive(Clone, Debug)]
pub struct BlobFiles {
    inner: Arc<Files>,
}

#[derive(Debug)]
struct Files {
    root: PathBuf,
    durability: Durability,
    counter: AtomicU64,
    next_directory: AtomicUsize,
    // A mutex because uploads and the sweeper must exclude each other: held while a name is noted, or one file unlinked.
    keeping: Mutex<Keeping>,
}

/// Blobs that have a file but perhaps no row yet: the sweeper leaves them alone. What is forgotten here, because its
/// upload was given up, goes with the sweep after next.
#[derive(Debug, Default)]
struct Keeping {
    young: HashSet<Cid>,
    old: HashSet<Cid>,
}

/// A blob being received: hash, size and first bytes are taken as it streams. While one buffer is hashed and written on
/// the blocking pool, the other one fills.
#[derive(Debug)]
pub struct BlobWrite {
    /// None after a failure.
    state: Option<Receiving>,
    buffer: Vec<u8>,
}

/// Where the sink and the second buffer are.
#[derive(Debug)]
enum Receiving {
    Here(Sink, Vec<u8>),
    /// On the blocking pool. Dropped, the work ends by itself, and its file goes with it.
    Away(JoinHandle<io::Result<(Sink, Vec<u8>)>>),
}

/// A received blob, still under a temporary name.
#[derive(Debug)]
pub struct StagedBlob {
    /// Its CID.
    pub cid: Cid,
    /// Its size in bytes.
    pub size: u64,
    /// Its first bytes, for sniffing (at most 4,096).
    pub head: Vec<u8>,
    file: File,
    temp: TempFile,
}

/// An open blob file for reading.
#[derive(Debug)]
pub struct BlobFile {
    /// Its size in bytes.
    pub size: u64,
    file: File,
}

#[derive(Debug)]
struct Sink {
    file: File,
    temp: TempFile,
    hasher: Sha256,
    size: u64,
    head: Vec<u8>,
}

/// Removes the file when dropped; after the file was renamed there is nothing left to remove.
#[derive(Debug)]
struct TempFile(PathBuf);

impl Drop for TempFile {
    fn drop(&mut self) {
        // Not there any more when it was kept; what cannot be removed now goes at the next start.
        drop(fs::remove_file(&self.0));
    }
}

impl BlobFiles {
    /// Makes the directory and removes what an interrupted upload left.
    pub(super) fn open_dir(root: &Path, durability: Durability) -> io::Result<Self> {
        let temp = root.join("tmp");
        fs::create_dir_all(&temp)?;
        for leftover in fs::read_dir(&temp)? {
            fs::remove_file(leftover?.path())?;
        }
        let files = Files {
            root: root.to_owned(),
            durability,
            counter: AtomicU64::new(0),
            next_directory: AtomicUsize::new(0),
            keeping: Mutex::default(),
        };
        Ok(Self { inner: Arc::new(files) })
    }

    /// Begins to receive a blob.
    ///
    /// # Errors
    /// [`StoreError`]: no file can be made.
    pub async fn begin(&self) -> Result<BlobWrite, StoreError> {
        let files = Arc::clone(&self.inner);
        let sink = blocking(move || {
            let number = files.counter.fetch_add(1, Ordering::Relaxed);
            let path = files.root.join("tmp").join(format!("{}-{number}", std::process::id()));
            let file = File::options().write(true).create_new(true).open(&path)?;
            Ok(Sink { file, temp: TempFile(path), hasher: Sha256::new(), size: 0, head: Vec::new() })
        })
        .await?;
        Ok(BlobWrite { state: Some(Receiving::Here(sink, Vec::new())), buffer: Vec::new() })
    }

    /// fsyncs and renames to the final path (and fsyncs the directory); the same content twice is one file.
    ///
    /// # Errors
    /// [`StoreError`]: the file cannot be made durable.
    pub async fn keep(&self, staged: StagedBlob) -> Result<(), StoreError> {
        let files = Arc::clone(&self.inner);
        blocking(move || files.keep(&staged)).await
    }

    /// Makes a file that lies elsewhere this blob's too, as a hard link; false where the file systems or the system's
    /// rules do not allow that. Who calls it has seen that the content is what the CID says.
    ///
    /// # Errors
    /// [`StoreError`]: the file is not there, or the link cannot be made durable.
    pub async fn link(&self, source: &Path, cid: &Cid) -> Result<bool, StoreError> {
        let (files, source, cid) = (Arc::clone(&self.inner), source.to_owned(), *cid);
        blocking(move || files.link(&source, &cid)).await
    }

    /// Opens a blob for reading.
    ///
    /// # Errors
    /// [`StoreError`]: the file is there but cannot be opened.
    pub async fn open(&self, cid: &Cid) -> Result<Option<BlobFile>, StoreError> {
        let path = self.inner.path(cid);
        blocking(move || match File::open(path) {
            Ok(file) => Ok(Some(BlobFile { size: file.metadata()?.len(), file })),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause),
        })
        .await
    }

    /// Whether the file is there.
    pub(super) fn exists(&self, cid: &Cid) -> bool {
        self.inner.path(cid).is_file()
    }

    /// The upload has its row: the row protects it from now on.
    pub(super) fn has_row(&self, cid: &Cid) {
        let mut keeping = self.inner.keeping();
        keeping.young.remove(cid);
        keeping.old.remove(cid);
    }

    /// A sweep begins: uploads that were given up two sweeps ago are no longer protected.
    pub(super) fn begin_sweep(&self) {
        let mut keeping = self.inner.keeping();
        keeping.old = std::mem::take(&mut keeping.young);
    }

    /// Unlinks a file unless an upload is keeping it; true if a file went.
    pub(super) fn unlink_unless_kept(&self, cid: &Cid) -> Result<bool, StoreError> {
        let keeping = self.inner.keeping();
        if keeping.young.contains(cid) || keeping.old.contains(cid) {
            return Ok(false);
        }
        let unlinked = fs::remove_file(self.inner.path(cid));
        // Not before: an upload that begins to keep the file now would lose it.
        drop(keeping);
        match unlinked {
            Ok(()) => Ok(true),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(cause) => Err(failed(&cause)),
        }
    }

    /// The CIDs of the files in the next `count` directories; they take turns.
    pub(super) fn next_directories(&self, count: usize) -> Result<Vec<Cid>, StoreError> {
        const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
        let start = self.inner.next_directory.fetch_add(count, Ordering::Relaxed);
        let mut cids = Vec::new();
        for index in (start..).take(count) {
            let character = |index: usize| BASE32.get(index % 32).copied().map_or('a', char::from);
            let name = String::from_iter([character(index / 32), character(index)]);
            let files = match fs::read_dir(self.inner.root.join(name)) {
                Ok(files) => files,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => continue,
                Err(cause) => return Err(failed(&cause)),
            };
            for file in files {
                let file = file.map_err(|cause| failed(&cause))?;
                // Whatever is not named like a blob is not ours.
                cids.extend(file.file_name().to_str().and_then(|name| name.parse::<Cid>().ok()));
            }
        }
        Ok(cids)
    }
}

impl Files {
    fn keep(&self, staged: &StagedBlob) -> io::Result<()> {
        let path = self.path(&staged.cid);
        let directory = path.parent().unwrap_or(&self.root);
        self.keeping().young.insert(staged.cid);
        if self.durability == Durability::Full {
            staged.file.sync_all()?;
        }
        let is_new = make_directory(directory)?;
        fs::rename(&staged.temp.0, &path)?;
        self.sync_names(directory, is_new)
    }

    fn link(&self, source: &Path, cid: &Cid) -> io::Result<bool> {
        let path = self.path(cid);
        let directory = path.parent().unwrap_or(&self.root);
        self.keeping().young.insert(*cid);
        let is_new = make_directory(directory)?;
        match fs::hard_link(source, &path) {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {}
            Err(cause) => {
                use io::ErrorKind::{CrossesDevices, PermissionDenied, TooManyLinks, Unsupported};
                let impossible = [CrossesDevices, PermissionDenied, TooManyLinks, Unsupported].contains(&cause.kind());
                return if impossible { Ok(false) } else { Err(cause) };
            }
        }
        self.sync_names(directory, is_new)?;
        Ok(true)
    }

    /// Makes a file's name durable, and then that of a new directory: file systems with a journal have both of them in
    /// the one transaction that the first call flushes.
    fn sync_names(&self, directory: &Path, is_new: bool) -> io::Result<()> {
        if self.durability == Durability::Full {
            File::open(directory)?.sync_all()?;
            if is_new {
                File::open(&self.root)?.sync_all()?;
            }
        }
        Ok(())
    }

    fn path(&self, cid: &Cid) -> PathBuf {
        file_of(&self.root, cid)
    }

    fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// True if it was not there.
fn make_directory(directory: &Path) -> io::Result<bool> {
    let is_new = !directory.is_dir();
    if is_new {
        fs::create_dir_all(directory)?;
    }
    Ok(is_new)
}

/// Where the file of a blob is below the directory of all blobs.
pub(super) fn file_of(root: &Path, cid: &Cid) -> PathBuf {
    let name = cid.to_string();
    let shard = name.get(name.len().saturating_sub(2)..).unwrap_or("aa").to_owned();
    root.join(shard).join(name)
}

impl BlobFile {
    /// The bytes of this span, read in pieces of at most [`BLOB_CHUNK_BYTES`]; one that ends behind the file ends with it.
    ///
    /// # Errors
    /// Each piece: [`StoreError`], it cannot be read; nothing follows then.
    pub fn read(self, span: Range<u64>) -> impl Stream<Item = Result<Bytes, StoreError>> + Send + use<> {
        futures_util::stream::try_unfold((self.file, span), |(mut file, span)| async move {
            if span.is_empty() {
                return Ok(None);
            }
            let (file, piece) = blocking(move || {
                let wanted = (span.end - span.start).min(BLOB_CHUNK_BYTES as u64);
                let mut piece = Vec::with_capacity(usize::try_from(wanted).unwrap_or(BLOB_CHUNK_BYTES));
                file.seek(SeekFrom::Start(span.start))?;
                (&file).take(wanted).read_to_end(&mut piece)?;
                Ok(((file, span.start + piece.len() as u64..span.end), piece))
            })
            .await?;
            Ok((!piece.is_empty()).then(|| (Bytes::from(piece), file)))
        })
    }
}

impl BlobWrite {
    /// Adds bytes.
    ///
    /// # Errors
    /// [`StoreError`]: earlier ones could not be written; the upload is lost then.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), StoreError> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() < BLOB_BUFFER_BYTES {
            return Ok(());
        }
        let (mut sink, spare) = self.settle().await?;
        let mut buffer = std::mem::replace(&mut self.buffer, spare);
        self.state = Some(Receiving::Away(spawn_blocking(move || {
            sink.absorb(&buffer)?;
            buffer.clear();
            Ok((sink, buffer))
        })));
        Ok(())
    }

    /// Ends the upload. Dropping a write or a staged blob removes its file.
    ///
    /// # Errors
    /// [`StoreError`]: the last bytes cannot be written.
    pub async fn finish(mut self) -> Result<StagedBlob, StoreError> {
        let (mut sink, _) = self.settle().await?;
        let rest = std::mem::take(&mut self.buffer);
        blocking(move || {
            sink.absorb(&rest)?;
            let Sink { file, temp, hasher, size, head } = sink;
            let cid = Cid::new(Codec::Raw, hasher.finalize().into());
            Ok(StagedBlob { cid, size, head, file, temp })
        })
        .await
    }

    /// Waits for what is being written, and takes it; a second buffer comes with it.
    async fn settle(&mut self) -> Result<(Sink, Vec<u8>), StoreError> {
        match self.state.take() {
            Some(Receiving::Here(sink, spare)) => Ok((sink, spare)),
            Some(Receiving::Away(work)) => settled(work).await,
            None => Err(StoreError::File("an earlier write of this upload failed".to_owned())),
        }
    }
}

impl Sink {
    fn absorb(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += bytes.len() as u64;
        let room = BLOB_HEAD_BYTES.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        self.file.write_all(bytes)
    }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> Result<T, StoreError> {
    settled(spawn_blocking(work)).await
}

async fn settled<T>(work: JoinHandle<io::Result<T>>) -> Result<T, StoreError> {
    match work.await {
        Ok(result) => result.map_err(|cause| failed(&cause)),
        Err(_) => Err(StoreError::Closed),
    }
}

fn failed(cause: &io::Error) -> StoreError {
    if matches!(cause.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
        StoreError::DiskFull
    } else {
        StoreError::File(cause.to_string())
    }
}
