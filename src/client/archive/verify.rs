//! Whether an archive is what it says: everything that can be known from the file alone, and what cannot.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    io::{BufRead, BufReader, Read},
    path::Path,
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    ArchiveError, BLOB_LIST, DELEGATIONS, DOCUMENT, Identity, LOG, Manifest, Opened, PREFERENCES, REPO, Tell, Told,
    identity::Said,
    repository::{self, Repository},
};
use crate::{
    client::sources::named_key,
    clock::Timestamp,
    crypto::DidKey,
    delegation::{AppData, DelegationId, Evidence, Source, Statement, Status, assess, web::WebDocument},
    identity::DidDocument,
    ipld::{Cid, Codec, Map},
    limits::archive::{BLOB_LINE_MAX_BYTES, MISSING_NAMED, PIECE_BYTES},
    plc::ATPROTO_KEY,
    repo::Commit,
    service::import::ImportFault,
};

/// What no archive can prove, in sentences.
pub const UNKNOWABLE: [&str; 5] = [
    "whether the account has changed since: the log and the repository are those of the day on which this was made",
    "whether the log leaves out a later operation, or one that is nullified within 72 hours of it",
    "whether the handle leads to the DID: only DNS and the handle's website say so",
    "whether the preferences and the media types of blobs are what the owner set: the server said so, and nobody signed them",
    "whether records that the account deleted before are wanted back",
];

/// Which key signed the repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum SignedBy {
    /// The one that the DID names.
    Present,
    /// One that it named before.
    Earlier,
}

/// A delegation as the archive proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegated {
    /// The delegation.
    pub id: DelegationId,
    /// What its statements and the log are worth.
    pub status: Status,
    /// Statements in the repository.
    pub statements: usize,
}

/// What an archive is, all of it checked.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What it says about itself.
    pub manifest: Manifest,
    /// Who signed the repository.
    pub signed_by: SignedBy,
    /// Blobs that records use and that are not here: the first hundred.
    pub missing: Vec<Cid>,
    /// Blobs that are here and that no record uses.
    pub unused_blobs: u64,
    /// Delegations.
    pub delegations: Vec<Delegated>,
    /// Whether there are preferences.
    pub has_preferences: bool,
    /// The media types of blobs.
    pub(super) media_types: HashMap<Cid, String>,
}

/// A line of the list of blobs; one that is not here has a CID alone.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct BlobLine {
    pub(super) cid: Cid,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mime_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) size: Option<u64>,
}

/// Checks everything. `scratch` is a file that does not exist and can be made, for the blocks of the repository.
///
/// # Errors
/// [`ArchiveError`]: the first thing that is wrong.
pub fn verify(opened: &Opened, scratch: &Path, now: Timestamp, tell: Tell<'_>) -> Result<Verified, ArchiveError> {
    let manifest = &opened.manifest;
    let log = if opened.has(LOG) { Some(opened.json(LOG)?) } else { None };
    let identity = Identity { did: manifest.did.clone(), document: opened.json(DOCUMENT)?, log };
    let said = identity.check()?;
    if said.handle != manifest.handle {
        return Err(disagree("the manifest names another handle than the DID document"));
    }
    let has_preferences = opened.has(PREFERENCES);
    if has_preferences {
        check_preferences(&opened.json(PREFERENCES)?)?;
    }
    let (mut car, size) = opened.part(REPO)?;
    let repository = repository::read(&mut car, size, scratch, tell, &|cause| opened.failed(cause))?;
    opened.check_digest(REPO, &repository.digest)?;
    let signed_by = check_commit(manifest, &said, &repository)?;
    if opened.json::<serde_json::Value>(DELEGATIONS)? != repository.delegations() {
        return Err(disagree("delegations.json is not what the repository holds"));
    }
    let media_types = check_list(opened)?;
    check_blobs(opened, tell)?;
    let missing: BTreeSet<&Cid> = repository.blobs.iter().filter(|cid| !opened.has_blob(cid)).collect();
    if missing.len() as u64 != manifest.missing_blobs {
        return Err(disagree("the manifest counts other missing blobs than there are"));
    }
    let unused = opened.blobs().iter().filter(|cid| !repository.blobs.contains(cid)).count();
    Ok(Verified {
        manifest: manifest.clone(),
        signed_by,
        missing: missing.into_iter().take(MISSING_NAMED).copied().collect(),
        unused_blobs: unused as u64,
        delegations: delegations(&identity, &repository, now),
        has_preferences,
        media_types,
    })
}

fn disagree(what: &str) -> ArchiveError {
    ArchiveError::Disagree(what.to_owned())
}

/// What `getPreferences` answers.
fn check_preferences(json: &serde_json::Value) -> Result<(), ArchiveError> {
    let list = json.get("preferences").and_then(serde_json::Value::as_array);
    if list.is_some_and(|list| list.iter().all(serde_json::Value::is_object)) {
        Ok(())
    } else {
        Err(ArchiveError::Malformed(PREFERENCES, "it has no list of preferences".to_owned()))
    }
}

/// The commit is this account's, and what the manifest says.
fn check_commit(manifest: &Manifest, said: &Said, repository: &Repository) -> Result<SignedBy, ArchiveError> {
    let unsigned = &repository.commit.unsigned;
    if unsigned.did != manifest.did {
        let (expected, found) = (manifest.did.clone(), unsigned.did.clone());
        return Err(ImportFault::WrongDid { expected, found }.into());
    }
    if (repository.root, unsigned.rev, repository.records) != (manifest.root, manifest.rev, manifest.records) {
        return Err(disagree("the manifest speaks of another revision of the repository"));
    }
    let signer = said.signing_keys.iter().position(|key| is_signed(&repository.commit, key));
    match signer {
        Some(0) => Ok(SignedBy::Present),
        Some(_) => Ok(SignedBy::Earlier),
        None => Err(ImportFault::WrongKey(manifest.did.clone()).into()),
    }
}

fn is_signed(commit: &Commit, key: &str) -> bool {
    key.parse::<DidKey>().is_ok_and(|key| commit.verify(&key).is_ok())
}

/// The list names each blob that is here with its size. The media types that it gives.
fn check_list(opened: &Opened) -> Result<HashMap<Cid, String>, ArchiveError> {
    let malformed = |cause: String| ArchiveError::Malformed(BLOB_LIST, cause);
    let (section, _) = opened.part(BLOB_LIST)?;
    let mut lines = BufReader::with_capacity(PIECE_BYTES, section);
    let (mut hasher, mut line) = (Sha256::new(), Vec::new());
    let (mut media_types, mut seen, mut bytes) = (HashMap::new(), HashSet::new(), 0_u64);
    loop {
        line.clear();
        let mut bounded = lines.by_ref().take(BLOB_LINE_MAX_BYTES);
        if bounded.read_until(b'\n', &mut line).map_err(|cause| opened.failed(cause))? == 0 {
            break;
        }
        hasher.update(&line);
        let read: BlobLine = serde_json::from_slice(&line).map_err(|cause| malformed(cause.to_string()))?;
        if !seen.insert(read.cid) {
            return Err(ArchiveError::Twice(format!("{} in {BLOB_LIST}", read.cid)));
        }
        let size = opened.blob(&read.cid).map(|(_, size)| size);
        if size != read.size {
            return Err(malformed(format!("it gives another size for {}", read.cid)));
        }
        if let Some(size) = size {
            bytes += size;
            media_types
                .insert(read.cid, read.mime_type.ok_or_else(|| malformed("a media type is missing".to_owned()))?);
        }
    }
    opened.check_digest(BLOB_LIST, &hasher.finalize())?;
    let manifest = &opened.manifest;
    if media_types.len() != opened.blobs().len() {
        return Err(malformed("it does not name every blob".to_owned()));
    }
    if (media_types.len() as u64, bytes) != (manifest.blobs, manifest.blob_bytes) {
        return Err(disagree("the manifest counts other blobs than there are"));
    }
    Ok(media_types)
}

/// Each blob's content is what its name says.
fn check_blobs(opened: &Opened, tell: Tell<'_>) -> Result<(), ArchiveError> {
    let (mut piece, mut done, all) = (vec![0; PIECE_BYTES], 0, opened.manifest.blob_bytes);
    for cid in opened.blobs() {
        let Some((mut section, _)) = opened.blob(&cid) else { continue };
        let mut hasher = Sha256::new();
        loop {
            let count = section.read(&mut piece).map_err(|cause| opened.failed(cause))?;
            if count == 0 {
                break;
            }
            hasher.update(piece.get(..count).unwrap_or_default());
            done += count as u64;
            tell(Told::Progress { what: "checking blobs", done, all });
        }
        if Cid::new(Codec::Raw, hasher.finalize().into()) != cid {
            return Err(ArchiveError::BlobDigest(cid));
        }
    }
    Ok(())
}

/// What the statements of each delegation and the log are worth.
fn delegations(identity: &Identity, repository: &Repository, now: Timestamp) -> Vec<Delegated> {
    let records = repository.statements.keys().chain(repository.data.keys());
    let mut ids: BTreeSet<String> = records.filter_map(|rkey| Some(rkey.split_once(':')?.0.to_owned())).collect();
    let methods = identity.document.get("verificationMethod").and_then(serde_json::Value::as_array);
    let methods = methods.into_iter().flatten().filter_map(|method| method.get("id")?.as_str()?.split_once('#'));
    ids.extend(methods.map(|(_, id)| id.to_owned()).filter(|id| id != ATPROTO_KEY));
    ids.iter().filter_map(|id| id.parse().ok()).map(|id| delegated(identity, repository, id, now)).collect()
}

fn delegated(identity: &Identity, repository: &Repository, id: DelegationId, now: Timestamp) -> Delegated {
    let prefix = format!("{id}:");
    let of_id = |(rkey, _): &(&String, &Map)| rkey.starts_with(&prefix);
    let statements: Vec<Statement> =
        repository.statements.iter().filter(of_id).filter_map(|(_, map)| Statement::from_record(map).ok()).collect();
    let entries: Vec<AppData> =
        repository.data.iter().filter(of_id).filter_map(|(_, map)| AppData::from_record(map).ok()).collect();
    let document = DidDocument::parse(&identity.did, identity.document.clone()).ok();
    let key = document.as_ref().and_then(|document| named_key(document, &id));
    let server_keys: Vec<String> =
        document.iter().filter_map(|document| document.signing_key.as_ref()).map(ToString::to_string).collect();
    let source = match &identity.log {
        Some(log) => Source::Plc(log),
        None => Source::Web(WebDocument { key: key.as_deref(), server_keys: &server_keys }),
    };
    let evidence = Evidence {
        did: &identity.did,
        id: &id,
        source,
        statements: Some(&statements),
        entries: &entries,
        pin: None,
        declaration: None,
        now,
    };
    let status = assess(&evidence).verdict.status;
    Delegated { statements: statements.len(), status, id }
}
