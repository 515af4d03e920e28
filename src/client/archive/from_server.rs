//! An archive as the account's owner, from whatever server the account is at.

use std::{fs::File, io::Write, path::Path};

use futures_util::StreamExt;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{
    ArchiveError, Identity, Tell, Told, Verified,
    draft::{Draft, unwritable},
};
use crate::{
    client::{
        pds::{CallError, Download},
        session::Session,
        sources::Sources,
    },
    ipld::Cid,
    limits::{
        archive::{BLOBS_MAX, REPO_MAX_BYTES},
        client::{MOVE_BLOB_MAX_BYTES, MOVE_BUSY_PAUSE, MOVE_BUSY_TRIES, MOVE_SILENCE},
    },
    syntax::Did,
};

/// Fetches everything that the session may see into `output`, where there must be nothing yet. Blobs that the server does not
/// give are told, and named in the archive.
///
/// # Errors
/// [`ArchiveError`]; nothing was made then.
pub async fn from_server(
    sources: &Sources,
    session: &mut Session,
    did: &Did,
    output: &Path,
    tell: Tell<'_>,
) -> Result<Verified, ArchiveError> {
    let mut draft = Draft::begin(output, sources.clock().now())?;
    let identity = Identity::fetch(sources, did).await?;
    let pds = session.fresh().await?;
    let host = pds.host();
    let answer = pds.download("com.atproto.sync.getRepo", &[("did", did.as_str())]).await?;
    let (path, mut file) = draft.repository()?;
    let mut told = |done, all| tell(Told::Progress { what: "fetching records", done, all });
    receive(&host, answer, (&path, &mut file), REPO_MAX_BYTES, &mut told).await?;
    let preferences = preferences(session, tell).await?;
    let listed = list_blobs(session, did).await?;
    for (done, cid) in listed.iter().enumerate() {
        tell(Told::Progress { what: "fetching blobs", done: done as u64, all: listed.len() as u64 });
        fetch_blob(session, did, cid, &mut draft, tell).await?;
    }
    draft.finish(&identity, preferences.as_ref(), tell)
}

/// Writes an answer into a file.
async fn receive(
    host: &str,
    mut answer: Download,
    (path, file): (&Path, &mut File),
    most: u64,
    told: &mut dyn FnMut(u64, u64),
) -> Result<(), ArchiveError> {
    let broken = |cause: String| CallError::Unreachable(host.to_owned(), cause);
    let mut done = 0;
    loop {
        let piece = timeout(MOVE_SILENCE, answer.body.next()).await;
        let Some(piece) = piece.map_err(|_| broken("the answer stopped to come".to_owned()))? else { break };
        let piece = piece.map_err(|cause| broken(cause.to_string()))?;
        done += piece.len() as u64;
        if done > most {
            return Err(ArchiveError::TooLarge(format!("what {host} sent"), most));
        }
        file.write_all(&piece).map_err(|cause| unwritable(path, cause))?;
        told(done, answer.size.unwrap_or(0));
    }
    if answer.size.is_some_and(|size| size != done) {
        return Err(broken("the answer is not as long as it says".to_owned()).into());
    }
    file.flush().map_err(|cause| unwritable(path, cause))
}

/// What the server keeps for the account's apps, where it keeps any.
async fn preferences(session: &mut Session, tell: Tell<'_>) -> Result<Option<Value>, ArchiveError> {
    let pds = session.fresh().await?;
    match pds.get("app.bsky.actor.getPreferences", &[]).await {
        Ok(kept) => Ok(Some(kept)),
        Err(cause) if cause.is_definite() => {
            tell(Told::Note(format!("no preferences are in the archive: {cause}")));
            Ok(None)
        }
        Err(cause) => Err(cause.into()),
    }
}

async fn list_blobs(session: &mut Session, did: &Did) -> Result<Vec<Cid>, ArchiveError> {
    let read = |cid: &Value| cid.as_str()?.parse().ok();
    let listed = session.list("com.atproto.sync.listBlobs", &[("did", did.as_str())], "cids", read).await?;
    if listed.len() > BLOBS_MAX { Err(ArchiveError::TooManyBlobs) } else { Ok(listed) }
}

/// Adds one blob, or tells that it cannot be had.
async fn fetch_blob(
    session: &mut Session,
    did: &Did,
    cid: &Cid,
    draft: &mut Draft,
    tell: Tell<'_>,
) -> Result<(), ArchiveError> {
    let name = cid.to_string();
    let (mut pause, mut tries) = (MOVE_BUSY_PAUSE, 1);
    let answer = loop {
        let pds = session.fresh().await?;
        match pds.download("com.atproto.sync.getBlob", &[("did", did.as_str()), ("cid", &name)]).await {
            Err(cause) if cause.is_busy() && tries < MOVE_BUSY_TRIES => {
                sleep(pause).await;
                (pause, tries) = (pause * 2, tries + 1);
            }
            answer => break answer,
        }
    };
    let answer = match answer {
        Ok(answer) => answer,
        Err(cause) if cause.is_about_this() || cause.is_breakdown() => {
            tell(Told::Note(format!("the blob {name} is not in the archive: {cause}")));
            return Ok(());
        }
        Err(cause) => return Err(cause.into()),
    };
    let kind = answer.kind.clone().unwrap_or_else(|| "application/octet-stream".to_owned());
    let (path, mut file) = draft.blob()?;
    let received = receive(&session.host(), answer, (&path, &mut file), MOVE_BLOB_MAX_BYTES, &mut |_, _| {}).await;
    drop(file);
    // What is lost of one blob is no reason to have no archive of all the others.
    if let Err(ArchiveError::Call(cause)) = &received {
        tell(Told::Note(format!("the blob {name} is not in the archive: {cause}")));
        return Ok(());
    }
    received?;
    if !draft.add_blob(cid, &kind, &path)? {
        tell(Told::Note(format!(
            "{} gave something else for the blob {name}; it is not in the archive",
            session.host()
        )));
    }
    Ok(())
}
