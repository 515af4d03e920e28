//! PLC operations that the owner asks for: what this server would have them say, a signature behind a mailed code, and
//! submission after the checks that keep the account working.

use std::{collections::BTreeMap, sync::Arc};

use sha2::{Digest, Sha256};

use super::change::{StateError, next_operation};
use crate::{
    crypto::token,
    limits::accounts as limits,
    outbound::{Mail, MailError},
    plc::{self, ATPROTO_KEY, ATPROTO_PDS, ATPROTO_PDS_TYPE, ConstraintError, Operation, Service},
    service::{
        Server,
        delegation::{self, DelegationFailure},
        journal::{self, Applied, JournalError},
    },
    store::{Account, CodePurpose, JournalKind, StoreError, TakeCode},
};

/// What this server would have the account's DID say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recommended {
    /// The handle.
    pub also_known_as: Vec<String>,
    /// The account's key.
    pub verification_methods: BTreeMap<String, String>,
    /// The operator's recovery key, and the server's.
    pub rotation_keys: Vec<String>,
    /// The server.
    pub services: BTreeMap<String, Service>,
}

/// What the owner wants an operation to say; what is left out stays as it is.
#[derive(Clone, Debug, Default)]
pub struct SignRequest {
    /// The mailed code.
    pub token: Option<String>,
    /// did:keys that may sign the next operation.
    pub rotation_keys: Option<Vec<String>>,
    /// URIs, the first `at://` being the handle.
    pub also_known_as: Option<Vec<String>>,
    /// did:keys by name.
    pub verification_methods: Option<BTreeMap<String, String>>,
    /// Services by name.
    pub services: Option<BTreeMap<String, Service>>,
}

/// Why a PLC operation was not signed or submitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlcOperationError {
    /// There is nowhere to mail a code to.
    #[error("account does not have an email address")]
    NoEmail,
    /// No mail can be sent.
    #[error(
        "this server cannot send mail, and the code for a PLC operation is mailed: its operator has to configure \
         [email] smtp_url and from"
    )]
    MailNotConfigured,
    /// The mail was not taken.
    #[error("the code could not be mailed: {0}")]
    Mail(String),
    /// A code is needed.
    #[error("email confirmation token required to sign PLC operations")]
    TokenRequired,
    /// The code is wrong.
    #[error("Token is invalid")]
    InvalidToken,
    /// The code is right, and too old.
    #[error("Token is expired")]
    ExpiredToken,
    /// The DID's state does not let the server change it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The directory would not take what the operation says.
    #[error("the PLC operation is not valid: {0}")]
    Constraint(#[from] ConstraintError),
    /// It is no operation, or says what would cut the account off from this server.
    #[error("{0}")]
    Operation(&'static str),
    /// It would change a delegation.
    #[error(transparent)]
    Delegation(#[from] DelegationFailure),
    /// The change of the directory and here.
    #[error(transparent)]
    Journal(JournalError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<JournalError> for PlcOperationError {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

/// What this server would have the account's DID say, delegated keys included as it says them now.
///
/// # Errors
/// When the directory cannot say which keys are delegated: leaving them out could end a delegation.
pub async fn recommended_credentials(server: &Server, account: &Account) -> Result<Recommended, DelegationFailure> {
    let mut verification_methods = delegation::delegated_keys(server, account).await?;
    verification_methods.insert(ATPROTO_KEY.to_owned(), account.signing_key.clone());
    let service = Service { kind: ATPROTO_PDS_TYPE.to_owned(), endpoint: server.policy.endpoint() };
    let server_key = server.rotation_key.did_key().to_string();
    Ok(Recommended {
        also_known_as: vec![format!("at://{}", account.handle)],
        verification_methods,
        rotation_keys: server.policy.recovery_did_key.iter().cloned().chain([server_key]).collect(),
        services: BTreeMap::from([(ATPROTO_PDS.to_owned(), service)]),
    })
}

/// Mails the owner the code that [`sign_plc_operation`] asks for.
///
/// # Errors
/// [`PlcOperationError`] when there is no address, or no mail can be sent.
pub async fn request_plc_operation_signature(server: &Server, account: &Account) -> Result<(), PlcOperationError> {
    let to = account.email.clone().ok_or(PlcOperationError::NoEmail)?;
    if !server.mailer.is_configured() {
        return Err(PlcOperationError::MailNotConfigured);
    }
    let code = token::mail_code(server.entropy.as_ref());
    let ends = server.now().plus(limits::MAIL_CODE_LIFETIME);
    server.store.put_code(account.id, CodePurpose::PlcOperation, hash_of(code.expose()), ends).await?;
    let text = include_str!("../../../assets/mail/plc_operation.txt")
        .replace("{handle}", account.handle.as_str())
        .replace("{did}", account.did.as_str())
        .replace("{code}", code.expose());
    let mail = Mail { to, subject: "Confirm a change of your identity".to_owned(), text, html: None };
    server.mailer.send(&mail).await.map_err(|cause| match cause {
        MailError::NotConfigured => PlcOperationError::MailNotConfigured,
        MailError::Address(_) | MailError::NotTaken(_) => PlcOperationError::Mail(cause.to_string()),
    })
}

/// Signs an operation over the last one in the directory. The code is used up only when everything else is right.
///
/// # Errors
/// [`PlcOperationError`].
pub async fn sign_plc_operation(
    server: &Server,
    account: &Account,
    request: SignRequest,
) -> Result<Operation, PlcOperationError> {
    let token = request.token.filter(|token| !token.is_empty()).ok_or(PlcOperationError::TokenRequired)?;
    let mut state = next_operation(server, &account.did).await?;
    state.rotation_keys = request.rotation_keys.unwrap_or(state.rotation_keys);
    state.also_known_as = request.also_known_as.unwrap_or(state.also_known_as);
    state.verification_methods = request.verification_methods.unwrap_or(state.verification_methods);
    state.services = request.services.unwrap_or(state.services);
    if let Some(protected) = delegation::protected(server, account).await? {
        protected.keep(&mut state);
        protected.check(&state).map_err(DelegationFailure::from)?;
    }
    plc::validate_constraints(&state)?;
    let hash = hash_of(&normalized(&token).ok_or(PlcOperationError::InvalidToken)?);
    match server.store.take_code(account.id, CodePurpose::PlcOperation, hash, server.now()).await? {
        TakeCode::Accepted => Ok(state.sign(&server.rotation_key)),
        TakeCode::Invalid => Err(PlcOperationError::InvalidToken),
        TakeCode::Expired => Err(PlcOperationError::ExpiredToken),
    }
}

/// Submits an operation that the owner had signed, here or elsewhere, and announces the identity anew.
///
/// # Errors
/// [`PlcOperationError`]: it must keep the account on this server, with its key and handle.
pub async fn submit_plc_operation(
    server: &Arc<Server>,
    account: &Account,
    operation: serde_json::Value,
) -> Result<Applied, PlcOperationError> {
    if !account.did.is_plc() {
        return Err(StateError::NotPlc.into());
    }
    let refused = PlcOperationError::Operation;
    let operation: Operation = serde_json::from_value(operation).map_err(|_| refused("Invalid operation"))?;
    let Operation::Operation(signed) = &operation else { return Err(refused("Invalid operation")) };
    let said = &signed.unsigned;
    if !said.rotation_keys.contains(&server.rotation_key.did_key().to_string()) {
        return Err(refused("Rotation keys do not include server's rotation key"));
    }
    let pds = said.services.get(ATPROTO_PDS);
    if pds.is_none_or(|service| service.kind != ATPROTO_PDS_TYPE) {
        return Err(refused("Incorrect type on atproto_pds service"));
    }
    if pds.is_none_or(|service| service.endpoint != server.policy.endpoint()) {
        return Err(refused("Incorrect endpoint on atproto_pds service"));
    }
    if said.signing_key() != Some(account.signing_key.as_str()) {
        return Err(refused("Incorrect signing key"));
    }
    if said.also_known_as.first() != Some(&format!("at://{}", account.handle)) {
        return Err(refused("Incorrect handle in alsoKnownAs"));
    }
    plc::validate_constraints(said)?;
    if let Some(protected) = delegation::protected(server, account).await? {
        protected.check(said).map_err(DelegationFailure::from)?;
    }
    Ok(journal::submit(server, account, JournalKind::Submit, &operation).await?)
}

/// A code as it was mailed, however it was typed; `None` for what is no code.
fn normalized(code: &str) -> Option<String> {
    let code = code.trim();
    (code.len() <= limits::MAIL_CODE_MAX_CHARS).then(|| code.to_ascii_uppercase())
}

fn hash_of(code: &str) -> [u8; 32] {
    Sha256::digest(code.as_bytes()).into()
}
