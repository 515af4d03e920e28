//! An archive in the making: in a directory of its own beside its place, which it takes when it is whole and verified.

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, BufWriter, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::{
    ArchiveError, BLOB_LIST, BLOBS, DELEGATIONS, DOCUMENT, Identity, LOG, MANIFEST, Manifest, Opened, PREFERENCES,
    Part, REPO, Tell, Verified, repository,
    verify::{BlobLine, verify},
};
use crate::{
    clock::Timestamp,
    ipld::{Cid, Codec},
    limits::archive::PIECE_BYTES,
};

/// The directory that an archive is made in; removed with this.
pub(super) struct WorkDir(pub(super) PathBuf);

impl WorkDir {
    /// Makes it, for its owner alone.
    pub(super) fn create(path: PathBuf) -> Result<Self, ArchiveError> {
        DirBuilder::new().mode(0o700).create(&path).map_err(|cause| unwritable(&path, cause))?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What cannot be removed now is named after this process and stays for the user to see.
        drop(fs::remove_dir_all(&self.0));
    }
}

/// An archive that is being made.
pub(super) struct Draft {
    output: PathBuf,
    tar: tar::Builder<File>,
    list: BufWriter<File>,
    added: HashSet<Cid>,
    blob_bytes: u64,
    now: Timestamp,
    dir: WorkDir,
}

impl Draft {
    /// Begins one that will be `output`, where there must be nothing yet.
    pub(super) fn begin(output: &Path, now: Timestamp) -> Result<Self, ArchiveError> {
        if output.symlink_metadata().is_ok() {
            return Err(ArchiveError::Exists(output.to_owned()));
        }
        let mut name = std::ffi::OsString::from(".");
        name.push(output.file_name().unwrap_or_default());
        name.push(format!(".{}.part", std::process::id()));
        let dir = WorkDir::create(output.with_file_name(name))?;
        let tar = tar::Builder::new(create(&dir.0.join("archive.tar"))?);
        let list = BufWriter::new(create(&dir.0.join(BLOB_LIST))?);
        Ok(Self { output: output.to_owned(), tar, list, added: HashSet::new(), blob_bytes: 0, now, dir })
    }

    /// A file for the repository, which is there when the draft is finished.
    pub(super) fn repository(&self) -> Result<(PathBuf, File), ArchiveError> {
        let path = self.dir.0.join(REPO);
        let file = create(&path)?;
        Ok((path, file))
    }

    /// A file for one blob, empty.
    pub(super) fn blob(&self) -> Result<(PathBuf, File), ArchiveError> {
        let path = self.dir.0.join("blob");
        let file = create(&path)?;
        Ok((path, file))
    }

    /// Takes a blob from a file, if it holds what its CID says; whether it does.
    pub(super) fn add_blob(&mut self, cid: &Cid, mime_type: &str, from: &Path) -> Result<bool, ArchiveError> {
        let unreadable = |cause| ArchiveError::File { path: from.to_owned(), verb: "read", cause };
        let mut file = File::open(from).map_err(unreadable)?;
        let (digest, size) = hash(&mut file).map_err(unreadable)?;
        if Cid::new(Codec::Raw, digest) != *cid {
            return Ok(false);
        }
        if self.added.contains(cid) {
            return Ok(true);
        }
        let file = File::open(from).map_err(unreadable)?;
        self.append(&format!("{BLOBS}{cid}"), size, file)?;
        let line = BlobLine { cid: *cid, mime_type: Some(mime_type.chars().take(200).collect()), size: Some(size) };
        self.list(&line)?;
        self.added.insert(*cid);
        self.blob_bytes += size;
        Ok(true)
    }

    /// Adds everything else, verifies the whole, and lets it take its place.
    pub(super) fn finish(
        mut self,
        identity: &Identity,
        preferences: Option<&serde_json::Value>,
        tell: Tell<'_>,
    ) -> Result<Verified, ArchiveError> {
        let said = identity.check()?;
        let path = self.dir.0.join(REPO);
        let unreadable = |cause| ArchiveError::File { path: path.clone(), verb: "read", cause };
        let size = fs::metadata(&path).map_err(unreadable)?.len();
        let mut car = File::open(&path).map_err(unreadable)?;
        let scratch = self.dir.0.join("blocks.sqlite");
        let repository = repository::read(&mut car, size, &scratch, tell, &unreadable)?;
        let head = (repository.root, repository.commit.unsigned.rev);
        let mut manifest = Manifest::new(identity.did.clone(), said.handle, self.now.to_rfc3339_millis(), head);
        self.append(REPO, size, File::open(&path).map_err(unreadable)?)?;
        manifest.parts.insert(REPO.to_owned(), Part { size, sha256: HEXLOWER.encode(&repository.digest) });
        let mut missing: Vec<Cid> = repository.blobs.difference(&self.added).copied().collect();
        missing.sort_unstable();
        for cid in &missing {
            self.list(&BlobLine { cid: *cid, mime_type: None, size: None })?;
        }
        (manifest.records, manifest.missing_blobs) = (repository.records, missing.len() as u64);
        (manifest.blobs, manifest.blob_bytes) = (self.added.len() as u64, self.blob_bytes);
        self.append_list(&mut manifest)?;
        let mut parts = vec![(DELEGATIONS, repository.delegations()), (DOCUMENT, identity.document.clone())];
        parts.extend(preferences.map(|preferences| (PREFERENCES, preferences.clone())));
        if let Some(log) = &identity.log {
            let log = serde_json::to_value(log).map_err(|cause| ArchiveError::Malformed(LOG, cause.to_string()))?;
            parts.push((LOG, log));
        }
        for (name, json) in parts {
            self.append_json(name, &json, Some(&mut manifest))?;
        }
        let json = serde_json::to_value(&manifest);
        self.append_json(MANIFEST, &json.map_err(|cause| ArchiveError::Malformed(MANIFEST, cause.to_string()))?, None)?;
        self.take_place(tell)
    }

    fn take_place(self, tell: Tell<'_>) -> Result<Verified, ArchiveError> {
        let made = self.dir.0.join("archive.tar");
        let written = self.tar.into_inner().and_then(|file| file.sync_all());
        written.map_err(|cause| unwritable(&made, cause))?;
        let verified = verify(&Opened::open(&made)?, &self.dir.0.join("blocks.sqlite"), self.now, tell)?;
        // A link fails where a file has come meanwhile; renaming would replace it.
        fs::hard_link(&made, &self.output).or_else(|_| rename_new(&made, &self.output))?;
        let parent = self.output.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or_else(|| Path::new("."));
        File::open(parent).and_then(|dir| dir.sync_all()).map_err(|cause| unwritable(parent, cause))?;
        Ok(verified)
    }

    fn append_list(&mut self, manifest: &mut Manifest) -> Result<(), ArchiveError> {
        let path = self.dir.0.join(BLOB_LIST);
        self.list.flush().map_err(|cause| unwritable(&path, cause))?;
        let open = || File::open(&path).map_err(|cause| ArchiveError::File { path: path.clone(), verb: "read", cause });
        let (digest, size) = hash(&mut open()?).map_err(|cause| unwritable(&path, cause))?;
        self.append(BLOB_LIST, size, open()?)?;
        manifest.parts.insert(BLOB_LIST.to_owned(), Part { size, sha256: HEXLOWER.encode(&digest) });
        Ok(())
    }

    fn append_json(
        &mut self,
        name: &'static str,
        json: &serde_json::Value,
        manifest: Option<&mut Manifest>,
    ) -> Result<(), ArchiveError> {
        let text = format!("{json:#}\n");
        let size = text.len() as u64;
        if let Some(manifest) = manifest {
            let sha256 = HEXLOWER.encode(&Sha256::digest(&text));
            manifest.parts.insert(name.to_owned(), Part { size, sha256 });
        }
        self.append(name, size, text.as_bytes())
    }

    fn append(&mut self, name: &str, size: u64, from: impl Read) -> Result<(), ArchiveError> {
        let mut header = tar::Header::new_ustar();
        header.set_size(size);
        header.set_mode(0o600);
        header.set_mtime(u64::try_from(self.now.as_micros() / 1_000_000).unwrap_or(0));
        let appended = self.tar.append_data(&mut header, name, from.take(size));
        appended.map_err(|cause| unwritable(&self.dir.0, cause))
    }

    fn list(&mut self, line: &BlobLine) -> Result<(), ArchiveError> {
        let path = &self.dir.0;
        let written = serde_json::to_writer(&mut self.list, line).map_err(io::Error::from);
        written.and_then(|()| self.list.write_all(b"\n")).map_err(|cause| unwritable(path, cause))
    }
}

/// For file systems without links.
fn rename_new(from: &Path, to: &Path) -> Result<(), ArchiveError> {
    if to.symlink_metadata().is_ok() {
        return Err(ArchiveError::Exists(to.to_owned()));
    }
    fs::rename(from, to).map_err(|cause| unwritable(to, cause))
}

fn hash(file: &mut File) -> io::Result<([u8; 32], u64)> {
    let (mut hasher, mut size, mut piece) = (Sha256::new(), 0, vec![0; PIECE_BYTES]);
    loop {
        let count = file.read(&mut piece)?;
        if count == 0 {
            return Ok((hasher.finalize().into(), size));
        }
        hasher.update(piece.get(..count).unwrap_or_default());
        size += count as u64;
    }
}

fn create(path: &Path) -> Result<File, ArchiveError> {
    let made = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    made.map_err(|cause| unwritable(path, cause))
}

/// A file of a draft could not be written.
pub(super) fn unwritable(path: &Path, cause: io::Error) -> ArchiveError {
    ArchiveError::File { path: path.to_owned(), verb: "written", cause }
}
