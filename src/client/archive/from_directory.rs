//! An archive as the administrator, from a data directory beside the server that may be using it.

use std::{
    fs::File,
    io::{BufWriter, Write},
    path::Path,
};

use serde_json::{Value, json};

use super::{
    ArchiveError, Identity, Tell, Told, Verified,
    draft::{Draft, unwritable},
};
use crate::{
    clock::Timestamp,
    ipld::car,
    store::{AuditAccount, AuditFile, AuditReader},
};

/// Reads everything of an account into `output`, where there must be nothing yet. Reads only, in one snapshot.
///
/// # Errors
/// [`ArchiveError`]; nothing was made then.
pub fn from_directory(
    reader: &AuditReader,
    (account, identity): (&AuditAccount, &Identity),
    output: &Path,
    now: Timestamp,
    tell: Tell<'_>,
) -> Result<Verified, ArchiveError> {
    let mut draft = Draft::begin(output, now)?;
    reader.begin()?;
    let (path, file) = draft.repository()?;
    let mut file = BufWriter::new(file);
    write_repository(reader, account, (&path, &mut file), tell)?;
    file.into_inner().map_err(|cause| unwritable(&path, cause.into_error()))?;
    write_blobs(reader, account, &mut draft, tell)?;
    let kept = reader.preferences(account.id)?;
    reader.end()?;
    let kept: Vec<Value> = kept.iter().filter_map(|preference| serde_json::from_str(&preference.value).ok()).collect();
    draft.finish(identity, Some(&json!({"preferences": kept})), tell)
}

fn write_repository(
    reader: &AuditReader,
    account: &AuditAccount,
    (path, file): (&Path, &mut BufWriter<File>),
    tell: Tell<'_>,
) -> Result<(), ArchiveError> {
    let gone = || ArchiveError::Unfit(format!("{} has no repository any more", account.did));
    let at = reader.head(account.id)?.ok_or_else(gone)?;
    let all = reader.record_count(account.id)?;
    let mut write = |bytes: &[u8]| file.write_all(bytes).map_err(|cause| unwritable(path, cause));
    let mut frame = car::header(&[at.head.commit]);
    car::write_block(&mut frame, &at.head.commit, &at.block);
    write(&frame)?;
    let mut after = None;
    loop {
        let page = reader.nodes(account.id, after.as_ref())?;
        let Some(last) = page.last() else { break };
        for node in &page {
            frame.clear();
            car::write_block(&mut frame, &node.cid, &node.block);
            write(&frame)?;
        }
        after = Some(last.clone());
    }
    let mut done = 0;
    for collection in reader.collections(account.id)? {
        let mut after = None;
        loop {
            let page = reader.records(account.id, &collection, after.as_ref())?;
            let Some(last) = page.last() else { break };
            for record in &page {
                frame.clear();
                car::write_block(&mut frame, &record.cid, &record.value);
                write(&frame)?;
            }
            done += page.len() as u64;
            tell(Told::Progress { what: "reading records", done, all });
            after = Some(last.rkey.clone());
        }
    }
    Ok(())
}

/// Every blob that a record uses; uploads that none uses are not the account's yet.
fn write_blobs(
    reader: &AuditReader,
    account: &AuditAccount,
    draft: &mut Draft,
    tell: Tell<'_>,
) -> Result<(), ArchiveError> {
    let (mut after, mut done) = (None, 0);
    loop {
        let page = reader.blobs(account.id, after.as_ref())?;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.cid);
        for blob in page.iter().filter(|blob| blob.permanent) {
            done += 1;
            tell(Told::Progress { what: "reading blobs", done, all: 0 });
            let is_whole = match reader.blob_file(&blob.cid)? {
                AuditFile::Missing => false,
                AuditFile::Present { .. } => {
                    draft.add_blob(&blob.cid, &blob.mime_type, &reader.blob_path(&blob.cid))?
                }
            };
            if !is_whole {
                tell(Told::Note(format!("the blob {} is missing or damaged; it is not in the archive", blob.cid)));
            }
        }
    }
}
