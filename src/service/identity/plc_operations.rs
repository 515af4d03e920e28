//! PLC operations that the owner asks for: what this server would have them say, a signature behind a mailed code, and
//! submission after the checks that keep the account working.

use std::{collections::BTreeMap, sync::Arc};

use super::change::{StateError, next_operation};
use crate::{
    plc::{self, ATPROTO_KEY, ATPROTO_PDS, ATPROTO_PDS_TYPE, ConstraintError, Operation, Service},
    service::{
        Server,
        codes::{self, CodeError},
        delegation::{self, DelegationFailure},
        journal::{self, Applied, JournalError},
        security_log,
    },
    store::{Account, CodePurpose, JournalKind, SecurityKind},
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
    /// A code is needed.
    #[error("email confirmation token required to sign PLC operations")]
    TokenRequired,
    /// The code.
    #[error(transparent)]
    Code(#[from] CodeError),
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

/// Signs an operation over the last one in the directory. The mailed code is used up only when everything else is right.
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
    let noted = security_log::event(server, account.id, SecurityKind::PlcOperationSigned, None);
    codes::take(server, account, CodePurpose::PlcOperation, &token, Some(noted)).await?;
    Ok(state.sign(&server.rotation_key))
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
        match next_operation(server, &account.did).await {
            // The owner keeps the rotation keys to herself already: nothing is lost.
            Err(StateError::NotOurs) => {}
            Err(cause) => return Err(cause.into()),
            Ok(_) => return Err(refused("Rotation keys do not include server's rotation key")),
        }
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
