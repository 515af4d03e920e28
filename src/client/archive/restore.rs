//! Filling an account from an archive that was verified.

use serde_json::{Value, json};

use super::{ArchiveError, Opened, PREFERENCES, REPO, Tell, Told, Verified};
use crate::{
    client::{
        pds::{CAR_TYPE, CallError, Pds, Upload},
        session::Session,
    },
    crypto::Secret,
    ipld::Cid,
    limits::archive::MISSING_NAMED,
    syntax::{Did, Handle},
};

/// An account to make at another server for a DID that is there already.
#[derive(Clone, Debug)]
pub struct NewHome {
    /// Its handle there.
    pub handle: Handle,
    /// Its e-mail address.
    pub email: Option<String>,
    /// An invite code of that server.
    pub invite_code: Option<String>,
    /// A token by which the DID says that it wants this account: `getServiceAuth` of the server where it was gives one.
    pub proof: Secret,
}

/// What was restored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// The account.
    pub did: Did,
    /// Records that the server has now.
    pub records: u64,
    /// Blobs that were uploaded.
    pub blobs: u64,
    /// Blobs that the server misses and the archive does not have: the first hundred.
    pub missing: Vec<String>,
    /// Whether the server took the preferences.
    pub preferences: bool,
}

/// Makes the account, not active.
///
/// # Errors
/// [`ArchiveError::Call`].
pub async fn create_account(pds: &Pds, did: &Did, home: &NewHome, password: &Secret) -> Result<(), ArchiveError> {
    let mut body = json!({
        "did": did, "handle": home.handle, "email": home.email, "inviteCode": home.invite_code,
        "password": password.expose(),
    });
    if let Some(body) = body.as_object_mut() {
        body.retain(|_, value| !value.is_null());
    }
    pds.with_token(&home.proof).post("com.atproto.server.createAccount", &body).await?;
    Ok(())
}

/// Brings records, blobs and preferences into an account that is not active. Run again after an interruption, it goes on.
///
/// # Errors
/// [`ArchiveError`]: above all when the account is active, whose records would be replaced.
pub async fn restore(
    opened: &Opened,
    verified: &Verified,
    session: &mut Session,
    tell: Tell<'_>,
) -> Result<Restored, ArchiveError> {
    const STATUS: &str = "com.atproto.server.checkAccountStatus";
    let pds = session.fresh().await?;
    let status = pds.get(STATUS, &[]).await?;
    match status.get("activated").and_then(Value::as_bool) {
        Some(false) => {}
        Some(true) => {
            return Err(ArchiveError::Unfit(format!(
                "the account is active at {}, and what it has there would be replaced: deactivate it first",
                pds.host()
            )));
        }
        None => return Err(CallError::Strange(pds.host(), STATUS).into()),
    }
    let (section, size) = opened.part(REPO)?;
    tell(Told::Progress { what: "sending records", done: 0, all: size });
    pds.upload("com.atproto.repo.importRepo", Upload::read(CAR_TYPE.to_owned(), size, section)).await?;
    tell(Told::Progress { what: "sending records", done: size, all: size });
    let (blobs, missing) = send_blobs(opened, verified, session, tell).await?;
    let preferences = send_preferences(opened, session, tell).await?;
    let status = session.fresh().await?.get(STATUS, &[]).await?;
    let records = status.get("indexedRecords").and_then(Value::as_u64).unwrap_or(0);
    Ok(Restored { did: verified.manifest.did.clone(), records, blobs, missing, preferences })
}

/// Uploads every blob that the server names as missing. How many, and which the archive does not have.
async fn send_blobs(
    opened: &Opened,
    verified: &Verified,
    session: &mut Session,
    tell: Tell<'_>,
) -> Result<(u64, Vec<String>), ArchiveError> {
    let (mut sent, mut missing) = (0, Vec::new());
    for named in session.missing_blobs().await? {
        tell(Told::Progress { what: "sending blobs", done: sent, all: verified.manifest.blobs });
        let cid = named.parse::<Cid>().ok();
        let part = cid.and_then(|cid| Some((cid, opened.blob(&cid)?)));
        let Some((cid, (section, size))) = part else {
            if missing.len() < MISSING_NAMED {
                missing.push(named);
            }
            continue;
        };
        let kind = verified.media_types.get(&cid).cloned().unwrap_or_default();
        session.fresh().await?.upload("com.atproto.repo.uploadBlob", Upload::read(kind, size, section)).await?;
        sent += 1;
    }
    Ok((sent, missing))
}

async fn send_preferences(opened: &Opened, session: &mut Session, tell: Tell<'_>) -> Result<bool, ArchiveError> {
    if !opened.has(PREFERENCES) {
        return Ok(false);
    }
    let kept: Value = opened.json(PREFERENCES)?;
    match session.fresh().await?.post("app.bsky.actor.putPreferences", &kept).await {
        Ok(_) => Ok(true),
        Err(cause) if cause.is_definite() => {
            tell(Told::Note(format!("the preferences were not taken: {cause}")));
            Ok(false)
        }
        Err(cause) => Err(cause.into()),
    }
}
