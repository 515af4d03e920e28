//! New handles, and the endpoint that DIDs name.

use std::sync::Arc;

use crate::{
    clock::Timestamp,
    event,
    outbound::Freshness,
    plc::{self, ConstraintError, Entry, UnsignedOperation, log::standing},
    service::{
        Server,
        handles::{HandleError, Reserved, check_handle_of, parse_handle},
        journal::{self, JournalError},
        security_log,
    },
    store::{Account, CreateConflict, JournalKind, SecurityKind, StoreError},
    syntax::{Did, Handle},
};

/// Why an account's identity was not changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpdateHandleError {
    /// The handle.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The did:web document does not name the handle.
    #[error(
        "DID is not properly configured for handle: the document of {did} must list at://{handle} in alsoKnownAs first"
    )]
    DocumentDoesNotClaim {
        /// The account.
        did: Did,
        /// The handle that it wants.
        handle: Handle,
    },
    /// The did:web document could not be read.
    #[error("the DID document could not be read: {0}")]
    Document(String),
    /// The DID's state does not let the server change it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The directory would not take the operation.
    #[error("the PLC operation is not valid: {0}")]
    Operation(#[from] ConstraintError),
    /// The change of the directory and here.
    #[error(transparent)]
    Journal(JournalError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<JournalError> for UpdateHandleError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::HandleTaken(handle) => HandleError::Taken(handle).into(),
            JournalError::Store(cause) => Self::Store(cause),
            other @ (JournalError::Begin(_)
            | JournalError::Conflict(_)
            | JournalError::Rejected(_)
            | JournalError::Unavailable(_)
            | JournalError::Pending
            | JournalError::Key(_)) => Self::Journal(other),
        }
    }
}

/// Why a DID's state in the directory cannot be built on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// The DID is not a did:plc.
    #[error("only a did:plc is changed by PLC operations: the document of a did:web is changed where it is hosted")]
    NotPlc,
    /// The directory gave no log.
    #[error("{0}; nothing was changed, try again later")]
    Unavailable(String),
    /// The directory does not have the DID.
    #[error("the DID is not registered in the PLC directory")]
    NotRegistered,
    /// The DID has ended.
    #[error("Did is tombstoned")]
    Tombstoned,
    /// The server holds none of the keys that may change the DID.
    #[error(
        "this server's rotation key is not among the rotation keys of the DID, so it cannot sign for it: sign the \
         operation with a rotation key of your own and submit it to the PLC directory"
    )]
    NotOurs,
}

/// The state that the next operation of a DID builds on: that of its last standing operation, `prev` being its CID.
pub(super) async fn next_operation(server: &Server, did: &Did) -> Result<UnsignedOperation, StateError> {
    if !did.is_plc() {
        return Err(StateError::NotPlc);
    }
    let log = journal::audit_log(server, did).await.map_err(|cause| StateError::Unavailable(cause.0))?;
    let last: &Entry = standing(&log).next_back().ok_or(StateError::NotRegistered)?;
    let mut state = last.operation.normalized().ok_or(StateError::Tombstoned)?;
    if !state.rotation_keys.contains(&server.rotation_key.did_key().to_string()) {
        return Err(StateError::NotOurs);
    }
    state.prev = Some(last.cid);
    Ok(state)
}

/// Gives an account a new handle, in the directory and here. The same handle again only announces the identity anew.
///
/// # Errors
/// [`UpdateHandleError`].
pub async fn update_handle(server: &Arc<Server>, account: &Account, text: &str) -> Result<(), UpdateHandleError> {
    update_handle_as(server, account, text, Reserved::Refused).await
}

/// The same in the administrator's name, who may give reserved handles away.
///
/// # Errors
/// [`UpdateHandleError`].
pub async fn update_handle_as(
    server: &Arc<Server>,
    account: &Account,
    text: &str,
    reserved: Reserved,
) -> Result<(), UpdateHandleError> {
    let handle = parse_handle(text)?;
    let is_own = handle == account.handle;
    if !is_own {
        check_handle_of(server, &account.did, &handle, reserved).await?;
        if server.store.handle_is_held(&handle).await? {
            return Err(HandleError::Taken(handle).into());
        }
    }
    if !account.did.is_plc() {
        if server.store.is_served_did(&account.did).await? {
            return announce_handle(server, account, &handle).await;
        }
        let document = server.resolver.did(&account.did, Freshness::Now).await;
        let document = document.map_err(|cause| UpdateHandleError::Document(cause.to_string()))?;
        if document.handle.as_ref() != Some(&handle) {
            return Err(UpdateHandleError::DocumentDoesNotClaim { did: account.did.clone(), handle });
        }
        return announce_handle(server, account, &handle).await;
    }
    let mut state = next_operation(server, &account.did).await?;
    if state.handle() == Some(handle.as_str()) {
        return announce_handle(server, account, &handle).await;
    }
    state.set_handle(&handle);
    plc::validate_constraints(&state)?;
    let operation = state.sign(&server.rotation_key);
    journal::submit(server, account, JournalKind::UpdateHandle { handle }, &operation).await?;
    Ok(())
}

/// The document says so already: what is left is to say it here and to the network.
async fn announce_handle(server: &Server, account: &Account, handle: &Handle) -> Result<(), UpdateHandleError> {
    let now: Timestamp = server.now();
    let events = vec![event::identity(&account.did, Some(handle), now)];
    let is_new = *handle != account.handle;
    let noted =
        is_new.then(|| security_log::event(server, account.id, SecurityKind::HandleChanged, Some(handle.as_str())));
    match server.store.set_handle(account.id, handle, events, noted).await {
        Ok(()) => {
            server.resolver.forget(&account.did).await;
            Ok(())
        }
        Err(CreateConflict::Store(cause)) => Err(cause.into()),
        Err(
            CreateConflict::HandleTaken(_)
            | CreateConflict::EmailTaken(_)
            | CreateConflict::DidTaken
            | CreateConflict::InviteUnavailable,
        ) => Err(HandleError::Taken(handle.clone()).into()),
    }
}

/// Makes the DID of an account name `public_url` as its PDS; says whether it did not before.
///
/// # Errors
/// [`UpdateHandleError`].
pub async fn update_endpoint(server: &Arc<Server>, account: &Account) -> Result<bool, UpdateHandleError> {
    let mut state = next_operation(server, &account.did).await?;
    let endpoint = server.policy.endpoint();
    if state.pds() == Some(endpoint.as_str()) {
        return Ok(false);
    }
    state.set_pds(&endpoint);
    plc::validate_constraints(&state)?;
    let operation = state.sign(&server.rotation_key);
    journal::submit(server, account, JournalKind::Submit, &operation).await?;
    Ok(true)
}
