//! Making accounts, and looking at them.

use std::sync::Arc;

use super::{
    CheckPasswordError, PasswordsBusy, Server,
    credentials::{BadPassword, check_new_password},
    email::{EmailError, parse_email},
    handles::{HandleError, check_handle_of, check_own_reservations, check_service_handle, parse_handle},
    journal::{self, JournalError},
    moving_in,
    sessions::{self, SessionTokens},
    sign_ups::{self, SignUpBy},
    states::check_points_here,
};
use crate::{
    crypto::{Curve, DidKey, SigningKey},
    plc::{self, ConstraintError, UnsignedOperation},
    store::{Account, CreateConflict, NewAccount, OwnState, RepoStats, StoreError},
    syntax::{Did, Handle},
};

/// A sign-up as it was asked for.
#[derive(Clone, Debug, Default)]
pub struct SignUp {
    /// The handle, as typed.
    pub handle: String,
    /// The e-mail address, as typed.
    pub email: Option<String>,
    /// The password.
    pub password: Option<String>,
    /// An invite code.
    pub invite_code: Option<String>,
    /// The owner's own rotation key as did:key; the strongest of the account.
    pub recovery_key: Option<String>,
    /// An existing DID to bring.
    pub did: Option<Did>,
    /// The DID whose service-auth token came along.
    pub issuer: Option<Did>,
    /// Whether a PLC operation came along.
    pub has_plc_op: bool,
    /// Who asks.
    pub by: SignUpBy,
}

/// An account that was made just now, and its first session.
#[derive(Clone, Debug)]
pub struct SignedUp {
    /// The account.
    pub account: Account,
    /// Its session.
    pub tokens: SessionTokens,
    /// Its DID document, if it could be read.
    pub document: Option<serde_json::Value>,
}

/// Why no account was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignUpError {
    /// Nothing shows that the DID's owner asks.
    #[error("Missing auth to create account with did: {0}")]
    MissingAuth(Did),
    /// The DID has an account here, or had one.
    #[error("There is already an account with the did {0}, or there was one")]
    DidTaken(Did),
    /// The DID asked for its account before, with another password.
    #[error(
        "An account for {0} was made here already and waits for its activation: send the password that it was made with, or \
         sign in with it by com.atproto.server.createSession"
    )]
    MovingAlready(Did),
    /// Whether the password is the one from before was not found out.
    #[error(transparent)]
    Check(#[from] CheckPasswordError),
    /// A did:web that this server does not make.
    #[error("{0}")]
    WebDid(&'static str),
    /// A PLC operation of the client's.
    #[error("Unsupported input: \"plcOp\"")]
    PlcOp,
    /// Only the administrator makes accounts.
    #[error("Sign-up is closed: ask the administrator of this server for an account")]
    Closed,
    /// The same, for a DID from elsewhere that brings no code of the administrator's.
    #[error(
        "Sign-up is closed: an account moves in with an invite code that the administrator of this server has made for it \
         (housekey invite create)"
    )]
    ClosedToMoves,
    /// Too many sign-ups came from one network address.
    #[error("too many accounts were made from your network address today: try again tomorrow")]
    TooManyFromThere,
    /// No password, or too long a one.
    #[error(transparent)]
    Password(#[from] BadPassword),
    /// An invite code is needed.
    #[error("No invite code provided")]
    NoInvite,
    /// The invite code is unknown, disabled or used up.
    #[error("Provided invite code not available")]
    InviteUnavailable,
    /// The e-mail address.
    #[error(transparent)]
    Email(#[from] EmailError),
    /// The address is in use.
    #[error("Email already taken: {0}")]
    EmailTaken(String),
    /// The handle.
    #[error(transparent)]
    Handle(#[from] HandleError),
    /// The recovery key, or what else the directory would not take.
    #[error("the account's PLC operation is not valid: {0}")]
    Operation(#[from] ConstraintError),
    /// Too many passwords are waiting.
    #[error(transparent)]
    Busy(#[from] PasswordsBusy),
    /// The change of the directory and here.
    #[error(transparent)]
    Journal(JournalError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<JournalError> for SignUpError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::HandleTaken(handle) | JournalError::Begin(CreateConflict::HandleTaken(handle)) => {
                HandleError::Taken(handle).into()
            }
            JournalError::Begin(CreateConflict::EmailTaken(email)) => Self::EmailTaken(email),
            JournalError::Begin(CreateConflict::InviteUnavailable) => Self::InviteUnavailable,
            JournalError::Store(cause) | JournalError::Begin(CreateConflict::Store(cause)) => Self::Store(cause),
            other @ (JournalError::Begin(CreateConflict::DidTaken)
            | JournalError::Conflict(_)
            | JournalError::Rejected(_)
            | JournalError::Unavailable(_)
            | JournalError::Pending
            | JournalError::Key(_)) => Self::Journal(other),
        }
    }
}

/// Makes an account with a new did:plc, or with the DID that is brought along, and opens its first session.
///
/// # Errors
/// [`SignUpError`]; nothing is there then, except while the journal says [`JournalError::Pending`].
pub async fn create_account(server: &Arc<Server>, sign_up: SignUp) -> Result<SignedUp, SignUpError> {
    // Who asks once more is not new.
    if let Some(did) = &sign_up.did
        && let Some(waiting) = moving_in::again(server, did, &sign_up).await?
    {
        return Ok(waiting);
    }
    let place = sign_ups::take_place(server, &sign_up).await?;
    let made = match sign_up.did.clone() {
        Some(did) => moving_in::create(server, did, sign_up).await,
        None => make_account(server, sign_up).await,
    };
    // An account that may still come of it keeps its place.
    if !matches!(made, Ok(_) | Err(SignUpError::Journal(JournalError::Pending))) {
        sign_ups::give_back(server, place).await;
    }
    made
}

async fn make_account(server: &Arc<Server>, sign_up: SignUp) -> Result<SignedUp, SignUpError> {
    let (handle, email, password) = check_sign_up(server, &sign_up).await?;
    let hashing = server.passwords.hash(password, server.policy.password_cost, Arc::clone(&server.entropy));
    let password_hash = hashing.await?;
    let key = SigningKey::generate(Curve::K256, server.entropy.as_ref());
    let state = genesis_state(server, &handle, &key.did_key(), sign_up.recovery_key);
    plc::validate_constraints(&state)?;
    let operation = state.clone().sign(&server.rotation_key);
    let did = operation.did_for_genesis();
    let sealed =
        server.master_key.seal(&Server::repo_key_purpose(&did), key.to_bytes().as_slice(), server.entropy.as_ref());
    let account = NewAccount {
        did: did.clone(),
        handle,
        email: Some(email),
        password_hash,
        sealed_signing_key: sealed,
        signing_key: key.did_key().to_string(),
        invite_code: sign_up.invite_code,
        created_at: server.now(),
    };
    journal::create_account(server, account, &operation).await?;
    let account = server.store.account_by_did(&did).await?;
    let account = account.ok_or_else(|| StoreError::Damaged("a new account is missing".to_owned()))?;
    let tokens = sessions::open(server, &account, None).await?;
    let document = serde_json::to_value(plc::DidDocument::of(&did, &state))
        .map_err(|cause| StoreError::Damaged(cause.to_string()))?;
    Ok(SignedUp { account, tokens, document: Some(document) })
}

/// The checks in the reference's order. Gives handle, address and password.
pub(super) async fn check_sign_up(server: &Server, sign_up: &SignUp) -> Result<(Handle, String, String), SignUpError> {
    if sign_up.has_plc_op {
        return Err(SignUpError::PlcOp);
    }
    let password = sign_up.password.clone().unwrap_or_default();
    check_new_password(&password)?;
    if server.policy.invite_required
        && sign_up.by.needs_invite()
        && sign_up.invite_code.as_deref().unwrap_or_default().is_empty()
    {
        return Err(SignUpError::NoInvite);
    }
    let email = parse_email(sign_up.email.as_deref())?;
    let handle = parse_handle(&sign_up.handle)?;
    let reserved = sign_up.by.reserved();
    if let Some(did) = &sign_up.did {
        check_handle_of(server, did, &handle, reserved).await?;
    } else {
        check_service_handle(&server.policy, &handle, reserved)?;
        check_own_reservations(server, &handle, reserved).await?;
    }
    if let Some(code) = &sign_up.invite_code
        && !server.store.invite_is_available(code).await?
    {
        return Err(SignUpError::InviteUnavailable);
    }
    if server.store.handle_is_held(&handle).await? {
        return Err(HandleError::Taken(handle).into());
    }
    if server.store.account_by_email(&email).await?.is_some() {
        return Err(SignUpError::EmailTaken(email));
    }
    Ok((handle, email, password))
}

/// The state of a new DID: the owner's key is the strongest, then the operator's recovery key, then the server's.
fn genesis_state(server: &Server, handle: &Handle, key: &DidKey, recovery_key: Option<String>) -> UnsignedOperation {
    let server_key = server.rotation_key.did_key().to_string();
    let mut rotation_keys: Vec<String> = Vec::new();
    for key in recovery_key.into_iter().chain(server.policy.recovery_did_key.clone()).chain([server_key]) {
        if !rotation_keys.contains(&key) {
            rotation_keys.push(key);
        }
    }
    UnsignedOperation::genesis(key, handle, &server.policy.endpoint_at_genesis(), rotation_keys)
}

/// Reserves a signing key for an account that is going to move here; the first one reserved for a DID stays.
///
/// # Errors
/// When the database fails.
pub async fn reserve_signing_key(server: &Server, did: Option<&Did>) -> Result<String, StoreError> {
    let key = SigningKey::generate(Curve::K256, server.entropy.as_ref());
    let did_key = key.did_key().to_string();
    let purpose = reserved_key_purpose(&did_key);
    let sealed = server.master_key.seal(&purpose, key.to_bytes().as_slice(), server.entropy.as_ref());
    server.store.reserve_signing_key(did, &did_key, sealed, server.now()).await
}

/// The purpose under which a reserved key is sealed; it is sealed anew when an account takes it.
pub fn reserved_key_purpose(did_key: &str) -> String {
    format!("reserved-key:{did_key}")
}

/// How an account stands, for its owner who moves it.
#[derive(Clone, Debug)]
pub struct AccountStatus {
    /// Whether its owner has it active, whatever the administrator laid on top of that.
    pub activated: bool,
    /// Whether the DID names this server and the account's key.
    pub valid_did: bool,
    /// Counts of its repository.
    pub stats: RepoStats,
    /// Its preferences.
    pub preferences: usize,
}

/// Looks how an account stands.
///
/// # Errors
/// When the database fails; a DID that cannot be read is just not valid.
pub async fn check_status(server: &Server, account: &Account) -> Result<AccountStatus, StoreError> {
    let stats = server.store.repo_stats(account.id).await?;
    let activated = server.store.own_state(account.id).await? == Some(OwnState::Active);
    let preferences = server.store.preferences(account.id).await?.len();
    Ok(AccountStatus { activated, valid_did: check_points_here(server, account).await.is_ok(), stats, preferences })
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
