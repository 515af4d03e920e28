//! What a move would do, found out without changing anything.

use serde_json::Value;

use super::{
    MoveError, Standing,
    account::{Status, describe, handle_there, require_to_be_free},
    text,
};
use crate::{
    client::{pds::Pds, session::Session, sources::Sources},
    syntax::{Did, Handle},
};

/// Who changes the DID document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signer {
    /// The owner's rotation key.
    OwnKey,
    /// The old server, for a code that it mails.
    OldServer,
    /// The owner, who publishes the document of a did:web.
    Publisher,
}

/// What would move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Survey {
    /// The account.
    pub did: Did,
    /// The handle at the new server.
    pub handle: Handle,
    /// Whether the new server wants an invite code.
    pub invite_required: bool,
    /// Records at the old server.
    pub records: u64,
    /// Blobs that they refer to, and how many of them the old server has.
    pub blobs: (u64, u64),
    /// Who changes the document.
    pub signer: Signer,
    /// How the account stands.
    pub standing: Standing,
}

impl Survey {
    /// Logs in at the old server and asks both.
    ///
    /// # Errors
    /// [`MoveError`].
    pub async fn of(
        sources: &Sources,
        did: &Did,
        from: &mut Session,
        to: &Pds,
        handle: Option<Handle>,
        has_own_key: bool,
    ) -> Result<Self, MoveError> {
        let old = from.fresh().await?;
        let left = describe(old).await?;
        require_to_be_free(did, old, &left)?;
        let status = Status::of(old).await?;
        let described = describe(to).await?;
        let now = old.get("com.atproto.server.getSession", &[]).await?;
        let handle = match handle {
            Some(handle) => handle,
            None => handle_there(&text(&now, "handle").unwrap_or_default(), &left, &described)?,
        };
        let signer = match (did.is_plc(), has_own_key) {
            (false, _) => Signer::Publisher,
            (true, true) => Signer::OwnKey,
            (true, false) => Signer::OldServer,
        };
        Ok(Self {
            did: did.clone(),
            handle,
            invite_required: described.get("inviteCodeRequired").and_then(Value::as_bool).unwrap_or(false),
            records: status.records,
            blobs: (status.expected_blobs, status.imported_blobs),
            signer,
            standing: Standing::of(sources, did, old, to).await,
        })
    }
}
