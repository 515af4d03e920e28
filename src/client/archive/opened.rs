//! An archive as it lies there: what is where in it, and nothing that could not be.

use std::{
    collections::{BTreeSet, HashMap},
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use data_encoding::HEXLOWER;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};

use super::{ArchiveError, BLOB_LIST, BLOBS, DELEGATIONS, DOCUMENT, LOG, MANIFEST, Manifest, PARTS, REPO};
use crate::{
    ipld::{Cid, Codec},
    limits::archive::{BLOBS_MAX, MANIFEST_MAX_BYTES, PART_MAX_BYTES, REPO_MAX_BYTES},
};

/// An archive whose structure and manifest are good. Nothing is ever unpacked: parts are read where they lie.
#[derive(Debug)]
pub struct Opened {
    file: Arc<File>,
    path: PathBuf,
    parts: HashMap<&'static str, Extent>,
    blobs: HashMap<Cid, Extent>,
    /// What the archive says about itself.
    pub manifest: Manifest,
}

/// Where in the file something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Extent {
    at: u64,
    size: u64,
}

/// A part that is being read. Does not move the position of the file.
#[derive(Debug)]
pub(super) struct Section {
    file: Arc<File>,
    at: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..most).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let read = self.file.read_at(buffer, self.at)?;
        if read == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut off while it was read"));
        }
        let done = read as u64;
        self.at += done;
        self.left -= done;
        Ok(read)
    }
}

/// What a name in an archive stands for.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Part(&'static str),
    Blob(Cid),
}

impl Opened {
    /// Looks through the file, whatever it is: memory grows with the number of its blobs alone.
    ///
    /// # Errors
    /// [`ArchiveError`] names what no archive has.
    pub fn open(path: &Path) -> Result<Self, ArchiveError> {
        let unreadable = |cause| ArchiveError::File { path: path.to_owned(), verb: "read", cause };
        // What is none, a pipe without a writer above all, must not hold the opening up.
        if path.metadata().is_ok_and(|about| !about.is_file()) {
            return Err(ArchiveError::NotTar("it is not a plain file".to_owned()));
        }
        let file = File::open(path).map_err(unreadable)?;
        let about = file.metadata().map_err(unreadable)?;
        if !about.is_file() {
            return Err(ArchiveError::NotTar("it is not a plain file".to_owned()));
        }
        let (parts, blobs) = index(&file, about.len())?;
        let manifest = *parts.get(MANIFEST).ok_or_else(|| ArchiveError::CutOff(MANIFEST.to_owned()))?;
        let file = Arc::new(file);
        let mut text = Vec::new();
        let mut section = Section { file: Arc::clone(&file), at: manifest.at, left: manifest.size };
        section.read_to_end(&mut text).map_err(unreadable)?;
        let opened = Self { file, path: path.to_owned(), parts, blobs, manifest: Manifest::read(&text)? };
        opened.check_parts()?;
        Ok(opened)
    }

    /// The parts are those that the manifest names.
    fn check_parts(&self) -> Result<(), ArchiveError> {
        let here: BTreeSet<&str> = self.parts.keys().copied().filter(|name| *name != MANIFEST).collect();
        let named: BTreeSet<&str> = self.manifest.parts.keys().map(String::as_str).collect();
        let mut needed = vec![REPO, BLOB_LIST, DELEGATIONS, DOCUMENT];
        needed.extend(self.manifest.did.is_plc().then_some(LOG));
        if let Some(missing) = needed.into_iter().chain(named.iter().copied()).find(|name| !here.contains(name)) {
            return Err(ArchiveError::Missing(missing.to_owned()));
        }
        if let Some(extra) = here.difference(&named).next() {
            return Err(ArchiveError::Unexpected((*extra).to_owned()));
        }
        for (name, extent) in &self.parts {
            if self.manifest.parts.get(*name).is_some_and(|part| part.size != extent.size) {
                return Err(ArchiveError::Digest((*name).to_owned()));
            }
        }
        Ok(())
    }

    /// CIDs of the blobs, as they lie in the file.
    pub(super) fn blobs(&self) -> Vec<Cid> {
        let mut blobs: Vec<(u64, Cid)> = self.blobs.iter().map(|(cid, extent)| (extent.at, *cid)).collect();
        blobs.sort_unstable();
        blobs.into_iter().map(|(_, cid)| cid).collect()
    }

    /// Whether a blob is here.
    pub(super) fn has_blob(&self, cid: &Cid) -> bool {
        self.blobs.contains_key(cid)
    }

    /// A blob and its size.
    pub(super) fn blob(&self, cid: &Cid) -> Option<(Section, u64)> {
        self.blobs.get(cid).map(|extent| (self.section(*extent), extent.size))
    }

    /// A part and its size.
    pub(super) fn part(&self, name: &'static str) -> Result<(Section, u64), ArchiveError> {
        let extent = self.parts.get(name).ok_or_else(|| ArchiveError::Missing(name.to_owned()))?;
        Ok((self.section(*extent), extent.size))
    }

    /// Whether a part is here.
    pub(super) fn has(&self, name: &str) -> bool {
        self.parts.contains_key(name)
    }

    /// A part of JSON, whose digest is the manifest's.
    pub(super) fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, ArchiveError> {
        let (mut section, _) = self.part(name)?;
        let mut text = Vec::new();
        section.read_to_end(&mut text).map_err(|cause| self.failed(cause))?;
        self.check_digest(name, &Sha256::digest(&text))?;
        serde_json::from_slice(&text).map_err(|cause| ArchiveError::Malformed(name, cause.to_string()))
    }

    /// The digest of a part is the manifest's.
    pub(super) fn check_digest(&self, name: &str, digest: &[u8]) -> Result<(), ArchiveError> {
        let said = self.manifest.parts.get(name).map(|part| part.sha256.as_str());
        if said == Some(HEXLOWER.encode(digest).as_str()) { Ok(()) } else { Err(ArchiveError::Digest(name.to_owned())) }
    }

    /// The file failed.
    pub(super) fn failed(&self, cause: io::Error) -> ArchiveError {
        if cause.kind() == io::ErrorKind::UnexpectedEof {
            return ArchiveError::CutOff("the file".to_owned());
        }
        ArchiveError::File { path: self.path.clone(), verb: "read", cause }
    }

    fn section(&self, extent: Extent) -> Section {
        Section { file: Arc::clone(&self.file), at: extent.at, left: extent.size }
    }
}

type Index = (HashMap<&'static str, Extent>, HashMap<Cid, Extent>);

/// Reads the headers. Entries come as they are written: extensions for long names, which could hold anything, are no parts.
fn index(file: &File, length: u64) -> Result<Index, ArchiveError> {
    let not_tar = |cause: io::Error| ArchiveError::NotTar(cause.to_string());
    let mut tar = tar::Archive::new(file);
    let (mut parts, mut blobs) = (HashMap::new(), HashMap::new());
    for entry in tar.entries_with_seek().map_err(not_tar)?.raw(true) {
        let entry = entry.map_err(not_tar)?;
        let bytes = entry.path_bytes();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if entry.header().entry_type() != tar::EntryType::Regular {
            return Err(ArchiveError::NotAFile(text));
        }
        let name = name_of(&text)?;
        let extent = Extent { at: entry.raw_file_position(), size: entry.header().entry_size().map_err(not_tar)? };
        if extent.at.checked_add(extent.size).is_none_or(|end| end > length) {
            return Err(ArchiveError::CutOff(text));
        }
        let most = most_bytes(&name);
        if extent.size > most {
            return Err(ArchiveError::TooLarge(text, most));
        }
        let before = match name {
            Name::Part(part) => parts.insert(part, extent),
            Name::Blob(cid) => blobs.insert(cid, extent),
        };
        if before.is_some() {
            return Err(ArchiveError::Twice(text));
        }
        if blobs.len() > BLOBS_MAX {
            return Err(ArchiveError::TooManyBlobs);
        }
    }
    if parts.is_empty() && blobs.is_empty() {
        return Err(ArchiveError::NotTar("there is nothing in it".to_owned()));
    }
    Ok((parts, blobs))
}

fn name_of(text: &str) -> Result<Name, ArchiveError> {
    if text.contains(['\\', '\0']) || text.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(ArchiveError::UnsafePath(text.to_owned()));
    }
    if let Some(part) = PARTS.into_iter().find(|part| *part == text) {
        return Ok(Name::Part(part));
    }
    let cid = text.strip_prefix(BLOBS).and_then(|cid| cid.parse::<Cid>().ok());
    // The one way to write it, so that no blob comes under two names.
    let cid = cid.filter(|cid| cid.codec() == Codec::Raw && text.ends_with(&cid.to_string()));
    cid.map(Name::Blob).ok_or_else(|| ArchiveError::Unexpected(text.to_owned()))
}

const fn most_bytes(name: &Name) -> u64 {
    match name {
        Name::Blob(_) => u64::MAX,
        Name::Part(part) => match part.as_bytes() {
            b"manifest.json" => MANIFEST_MAX_BYTES,
            b"repo.car" => REPO_MAX_BYTES,
            // Read line by line.
            b"blobs.jsonl" => u64::MAX,
            _ => PART_MAX_BYTES,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{super::PREFERENCES, *};

    #[test]
    fn a_name_stands_for_a_part_or_a_blob_and_for_nothing_else() {
        let cid = Cid::of_raw(b"x");
        assert_eq!(name_of("repo.car").unwrap(), Name::Part(REPO));
        assert_eq!(name_of(PREFERENCES).unwrap(), Name::Part(PREFERENCES));
        assert_eq!(name_of(&format!("blobs/{cid}")).unwrap(), Name::Blob(cid));
        for text in ["/repo.car", "../repo.car", "blobs/../repo.car", "./repo.car", "blobs//x", "", "a\\b", "blobs/"] {
            assert!(matches!(name_of(text), Err(ArchiveError::UnsafePath(_))), "{text}");
        }
        let upper = format!("blobs/{}", cid.to_string().to_uppercase());
        let other = format!("blobs/{}", Cid::of_cbor(b"x"));
        for text in ["REPO.CAR", "repo.car ", "notes.txt", "blobs/x", upper.as_str(), other.as_str()] {
            assert!(matches!(name_of(text), Err(ArchiveError::Unexpected(_))), "{text}");
        }
    }
}
