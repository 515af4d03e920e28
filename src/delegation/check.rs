//! What a server checks before it accepts a change: the statement, and a PLC operation that the user signed.

use super::{
    DelegationError, DelegationId, NamedKey, Statement,
    anchor::{IdLog, VerifiedLog},
    proof::check_endorsement,
    web::{Chain, WebDocument},
};
use crate::{
    clock::Timestamp,
    crypto::DelegateKey,
    ipld::Cid,
    limits::delegation as limits,
    plc::{Operation, UnsignedOperation, validate_constraints},
    syntax::Did,
};

/// Which method was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// `createDelegation`.
    Create,
    /// `updateDelegation`.
    Update,
    /// `deleteDelegation`.
    Delete,
}

/// What holds for the DID now.
#[derive(Clone, Copy, Debug)]
pub enum Ground<'a> {
    /// did:plc: the log as verified.
    Plc(&'a VerifiedLog<'a>),
    /// did:web: the document, and the statements that are here.
    Web(WebDocument<'a>, &'a [Statement]),
}

/// Everything that a statement is checked against.
#[derive(Clone, Copy, Debug)]
pub struct Account<'a> {
    /// The account.
    pub did: &'a Did,
    /// What holds for the DID now.
    pub ground: Ground<'a>,
    /// The ids that the account has delegated now.
    pub delegations: &'a [DelegationId],
    /// did:keys that this server can use: the account's signing key and the server's rotation keys.
    pub server_keys: &'a [String],
    /// The time now.
    pub now: Timestamp,
}

/// What an accepted statement does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The DID document names the key from now on.
    Names,
    /// The document names the key already.
    Claims,
    /// The document names no key any more.
    Ends,
}

/// A statement that passed every check up to `InvalidEndorsement`; consent is not looked at here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedStatement {
    /// Its CID.
    pub cid: Cid,
    /// What it does.
    pub effect: Effect,
    /// The key that it speaks of; none for an end.
    pub key: Option<DelegateKey>,
    /// What the id names now.
    pub current: Option<NamedKey>,
    /// Whether the key before consents: then nothing more is needed.
    pub endorsed: bool,
    /// Whether the id never had a key.
    pub first: bool,
}

/// How the request was authorised, as far as consent depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Session {
    /// An OAuth client, which never stands for the owner alone.
    OAuth,
    /// A full session that is not fresh any more.
    Full,
    /// A full session opened with the password lately.
    Fresh {
        /// Whether the account has a second factor and it was used.
        second_factor: bool,
    },
}

impl CheckedStatement {
    /// Whether the owner must show consent with a mailed code.
    pub const fn needs_token(&self, session: Session) -> bool {
        match session {
            _ if self.endorsed => false,
            Session::OAuth | Session::Full => true,
            Session::Fresh { second_factor } => !(self.first || second_factor),
        }
    }
}

/// The facts about one id that the checks use.
struct Facts {
    head: Option<Cid>,
    current: Option<NamedKey>,
    /// Who endorses a change of what is there now, and whether a server could use that key.
    latest: Option<(NamedKey, bool)>,
    /// Who could have endorsed what is there now.
    before_current: Option<(NamedKey, bool)>,
    server_keys: Vec<String>,
    was_server_held: bool,
}

/// Checks a statement in the order of the contract, up to and with `InvalidEndorsement`.
///
/// # Errors
/// The first [`DelegationError`] that applies.
pub fn check_statement(
    statement: &Statement,
    purpose: Purpose,
    account: &Account<'_>,
) -> Result<CheckedStatement, DelegationError> {
    check_form(statement, purpose, account.did, account.now)?;
    let facts = facts(statement, account);
    let effect = check_effect(statement, purpose, account, &facts)?;
    let key = check_key(statement, &facts)?;
    if statement.prev() != facts.head {
        return Err(DelegationError::StaleStatement(facts.head));
    }
    if statement.key().is_some_and(|key| !statement.is_claimed_by(key)) {
        return Err(DelegationError::InvalidClaim(SIGNATURE_FORM));
    }
    let endorser = if effect == Effect::Claims { &facts.before_current } else { &facts.latest };
    let endorsed = check_endorsement(statement, endorser.as_ref().map(|(key, _)| key)).map_err(|_| {
        DelegationError::InvalidEndorsement(match endorser {
            None => "there is no key before this one",
            Some((key, _)) if statement.key() == Some(key) => "the key before is the same one",
            Some(_) => SIGNATURE_FORM,
        })
    })?;
    if endorsed && endorser.as_ref().is_some_and(|(_, server_held)| *server_held) {
        return Err(DelegationError::InvalidEndorsement("a server could use the key before"));
    }
    let first = facts.latest.is_none() && facts.current.is_none();
    Ok(CheckedStatement { cid: statement.cid(), effect, key, current: facts.current, endorsed, first })
}

const SIGNATURE_FORM: &str = "64 bytes over the statement's DAG-CBOR without the signatures are needed, \
                              for P-256 and K-256 r and s with a low s";

/// The checks that need nothing but the statement: `InvalidStatement` and `ReservedDelegationId`.
///
/// # Errors
/// The first [`DelegationError`] that applies.
pub fn check_form(statement: &Statement, purpose: Purpose, did: &Did, now: Timestamp) -> Result<(), DelegationError> {
    let invalid = |text: &str| Err(DelegationError::InvalidStatement(text.to_owned()));
    if statement.did() != did {
        return invalid("did must be the account's");
    }
    if statement.created_at().timestamp() > now.plus(limits::CREATED_AT_MAX_AHEAD) {
        return invalid("createdAt is more than an hour ahead");
    }
    match (purpose, statement.key()) {
        (Purpose::Create | Purpose::Update, None) => invalid("key must not be null here: deleteDelegation ends"),
        (Purpose::Delete, Some(_)) => invalid("key must be null to end a delegation"),
        _ if statement.id().is_reserved() => Err(DelegationError::ReservedDelegationId(statement.id().to_string())),
        _ => Ok(()),
    }
}

fn check_effect(
    statement: &Statement,
    purpose: Purpose,
    account: &Account<'_>,
    facts: &Facts,
) -> Result<Effect, DelegationError> {
    // One more, whoever put its key into the document.
    let adds = match purpose {
        Purpose::Create => true,
        Purpose::Update => facts.current.is_some(),
        Purpose::Delete => false,
    };
    let is_new = adds && !account.delegations.contains(statement.id());
    if is_new && account.delegations.len() >= limits::DELEGATIONS_MAX_PER_ACCOUNT {
        return Err(DelegationError::TooManyDelegations);
    }
    let same = facts.current.as_ref() == statement.key();
    match (purpose, &facts.current) {
        (Purpose::Create, Some(_)) if same => Ok(Effect::Claims),
        (Purpose::Create, Some(_)) => {
            Err(DelegationError::DelegationExists("the id names another key: updateDelegation replaces it"))
        }
        (Purpose::Update | Purpose::Delete, None) => Err(DelegationError::DelegationNotFound),
        (Purpose::Update, Some(_)) if same => {
            Err(DelegationError::DelegationExists("the id names this key already: createDelegation claims it"))
        }
        (Purpose::Create, None) | (Purpose::Update, Some(_)) => Ok(Effect::Names),
        (Purpose::Delete, Some(_)) => Ok(Effect::Ends),
    }
}

fn check_key(statement: &Statement, facts: &Facts) -> Result<Option<DelegateKey>, DelegationError> {
    let Some(named) = statement.key() else { return Ok(None) };
    let key = named.supported().map_err(|cause| DelegationError::UnsupportedKeyType(cause.to_string()))?;
    if facts.was_server_held || facts.server_keys.iter().any(|other| other == named.as_str()) {
        return Err(DelegationError::KeyNotUserHeld);
    }
    Ok(Some(key.clone()))
}

fn facts(statement: &Statement, account: &Account<'_>) -> Facts {
    let mut server_keys = account.server_keys.to_vec();
    match account.ground {
        Ground::Plc(verified) => {
            let log = IdLog::read(verified, statement.id());
            if let Some(data) = verified.data() {
                server_keys.extend(data.rotation_keys.iter().cloned());
                server_keys.extend(data.signing_key().map(str::to_owned));
            }
            let changes = log.changes();
            let latest = |count: usize| {
                let change = changes.iter().take(count).rev().find(|change| change.key.is_some())?;
                Some((change.key.clone()?, change.server_held))
            };
            Facts {
                head: Some(verified.head()),
                current: changes.last().and_then(|change| change.key.clone()),
                latest: latest(changes.len()),
                before_current: latest(changes.len().saturating_sub(1)),
                server_keys,
                was_server_held: statement.key().is_some_and(|key| log.is_server_held(key)),
            }
        }
        Ground::Web(document, statements) => {
            server_keys.extend(document.server_keys.iter().cloned());
            let chain = Chain::read(account.did, statement.id(), statements);
            let head = chain.head();
            let held = |key: &NamedKey| (key.clone(), server_keys.iter().any(|other| other == key.as_str()));
            let current = document.key.map(NamedKey::new);
            // Readers know the chain alone: a key that the document names without a statement endorses nothing.
            let latest = head.and_then(|head| chain.latest_key(&head)).map(held);
            let before_current = head.and_then(|head| chain.key_before(&head, current.as_ref())).map(held);
            Facts { head, current, latest, before_current, was_server_held: false, server_keys }
        }
    }
}

/// The operation that makes the id name this key, or none, and changes nothing else: to be signed by a rotation key.
///
/// # Errors
/// [`DelegationError::InvalidOperation`] when the DID has ended, the document is as wanted already, or a bound of the
/// directory would be broken.
pub fn plan_operation(
    log: &VerifiedLog<'_>,
    id: &DelegationId,
    key: Option<&DelegateKey>,
) -> Result<UnsignedOperation, DelegationError> {
    let invalid = |text: String| DelegationError::InvalidOperation(text);
    let current = log.data().ok_or_else(|| invalid("the DID has ended".to_owned()))?;
    let mut next = UnsignedOperation { prev: Some(log.head()), ..current.clone() };
    let before = match key {
        Some(key) => next.verification_methods.insert(id.to_string(), key.to_string()),
        None => next.verification_methods.remove(id.as_str()),
    };
    if before == key.map(DelegateKey::to_string) {
        return Err(invalid("the DID document is as the statement says already: no operation is needed".to_owned()));
    }
    validate_constraints(&next).map_err(|cause| invalid(cause.to_string()))?;
    Ok(next)
}

/// Whether an operation that the user signed changes this verification method and nothing else, follows the head, and
/// would be taken.
///
/// # Errors
/// [`DelegationError::InvalidOperation`] says what is wrong.
pub fn check_operation(
    operation: &Operation,
    log: &VerifiedLog<'_>,
    id: &DelegationId,
    key: Option<&DelegateKey>,
) -> Result<(), DelegationError> {
    let invalid = |text: &str| Err(DelegationError::InvalidOperation(text.to_owned()));
    let Operation::Operation(signed) = operation else {
        return invalid("an operation of the type plc_operation is needed");
    };
    if signed.unsigned.prev != Some(log.head()) {
        return invalid("prev must be the last operation of the log");
    }
    if signed.unsigned != plan_operation(log, id, key)? {
        return invalid("it must differ from the present state in the verification method of the delegation alone");
    }
    if log.data().is_none_or(|current| operation.signer(&current.rotation_keys).is_none()) {
        return invalid("one of the DID's present rotation keys must sign it");
    }
    Ok(())
}

/// Whether generic methods may bring the DID from one state to the next: a delegated id may only keep its key, or go
/// back to the one of its latest statement that verifies. `protected` holds the ids that have a statement here, with
/// that key (none where it is an end).
///
/// # Errors
/// [`DelegationError::DelegationProtected`] names the id.
pub fn check_generic_change(
    current: &UnsignedOperation,
    next: &UnsignedOperation,
    protected: &[(DelegationId, Option<DelegateKey>)],
) -> Result<(), DelegationError> {
    for (id, key) in protected {
        let (before, after) =
            (current.verification_methods.get(id.as_str()), next.verification_methods.get(id.as_str()));
        if before != after && after.cloned() != key.as_ref().map(DelegateKey::to_string) {
            return Err(DelegationError::DelegationProtected(id.to_string()));
        }
    }
    Ok(())
}
