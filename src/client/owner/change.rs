//! Making a change: what it follows, who signs it, what goes along.

use serde_json::{Value, json};

use super::{Owner, OwnerError, clock_id, require_history};
use crate::{
    client::sources::{Gathered, History, Judged},
    crypto::{Curve, DelegateKey, DelegateSigningKey, KeyType, SigningKey},
    delegation::{
        AppData, AppDataDraft, DelegationId, Draft, NamedKey, Statement, Status, VerifiedLog, history::predecessor,
        plan_operation, web::Chain,
    },
    entropy::Entropy,
    ipld::Cid,
    plc::{Operation, UnsignedOperation},
    syntax::{Did, Tid},
};

/// Which procedure makes a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Procedure {
    /// Names the first key, or claims the one that is named.
    Create,
    /// Names the next key.
    Update,
    /// Ends the delegation.
    Delete,
}

impl Procedure {
    /// Its NSID.
    pub const fn nsid(self) -> &'static str {
        match self {
            Self::Create => "dev.housekey.delegation.createDelegation",
            Self::Update => "dev.housekey.delegation.updateDelegation",
            Self::Delete => "dev.housekey.delegation.deleteDelegation",
        }
    }
}

/// Who signs a change.
#[derive(Clone, Copy, Default)]
pub struct Signers<'a> {
    /// The key that is to be named; none for an end.
    pub next: Option<&'a DelegateSigningKey>,
    /// The key before, where its holder consents.
    pub endorser: Option<&'a DelegateSigningKey>,
    /// A rotation key of the owner's own; without it the server signs the operation.
    pub rotation: Option<&'a DelegateSigningKey>,
}

/// A change that can be sent.
#[derive(Clone, Debug)]
pub struct Change {
    /// Which procedure makes it.
    pub procedure: Procedure,
    /// The statement; none for an end whose key is lost.
    pub statement: Option<Statement>,
    id: DelegationId,
    /// What the document names afterwards.
    pub(super) key: Option<DelegateKey>,
    operation: Option<Operation>,
    app_data: Vec<AppData>,
    /// The state that the operation must lead to; none where there is to be no operation.
    pub(super) planned: Option<UnsignedOperation>,
}

impl Change {
    /// The input of the procedure.
    pub fn request(&self, token: Option<&str>) -> Value {
        let mut body = match &self.statement {
            Some(statement) => json!({"statement": statement.to_json()}),
            None => json!({"id": self.id}),
        };
        let mut put = |name: &str, value: Value| body.as_object_mut().map(|body| body.insert(name.to_owned(), value));
        if let Some(token) = token {
            put("token", json!(token));
        }
        if let Some(operation) = &self.operation {
            put("operation", json!(operation));
        }
        if !self.app_data.is_empty() {
            put("appData", self.app_data.iter().map(AppData::to_json).collect());
        }
        body
    }

    /// Entries of associated data that go along under the new key.
    pub const fn resigned(&self) -> usize {
        self.app_data.len()
    }
}

/// What a change follows.
struct Ground {
    head: Option<Cid>,
    current: Option<NamedKey>,
    /// Who can endorse a change of what is there.
    latest: Option<NamedKey>,
    /// Who could have endorsed what is there.
    before_current: Option<NamedKey>,
}

impl Owner {
    /// Makes a change out of what public material says now. `waiting` is the statement of an earlier attempt, for which
    /// a code was mailed: it is sent as it is, for the code is good for no other.
    ///
    /// # Errors
    /// [`OwnerError`], in words: above all where the keys are not those that the change needs.
    pub async fn prepare(
        &self,
        procedure: Procedure,
        signers: Signers<'_>,
        waiting: Option<Statement>,
        entropy: &dyn Entropy,
    ) -> Result<Change, OwnerError> {
        let next = signers.next.map(DelegateSigningKey::public);
        let present = self.judge().await;
        require_history(&present)?;
        let present = self.before(present, next.as_ref());
        let ground = ground(&present);
        let claims = check(procedure, &ground, next.as_ref())?;
        let endorser = endorser(signers, &ground, claims)?;
        if claims && endorser.is_none() && present.assessment.verdict.status == Status::Verified {
            let text = "the account names this key already, and a statement of it is public: there is nothing to do";
            return Err(OwnerError::Unfit(text.to_owned()));
        }
        let statement = match waiting {
            Some(statement) => Some(same_change(statement, self, next.as_ref(), &ground)?),
            // The key is lost: an id and a code are all there is.
            None if next.is_none() && endorser.is_none() => None,
            None => {
                let draft = Draft {
                    did: self.did.clone(),
                    id: self.id.clone(),
                    key: next.clone(),
                    prev: ground.head,
                    created_at: self.sources.clock().now(),
                };
                Some(draft.sign(signers.next, endorser)?)
            }
        };
        let planned = if claims { None } else { plan(&present.gathered, &self.did, &self.id, next.as_ref())? };
        let operation = sign_operation(&present.gathered, planned.as_ref(), signers.rotation)?;
        let app_data = match (signers.next, endorser) {
            (Some(next), Some(_)) if !claims => self.resign(&present, next, entropy),
            _ => Vec::new(),
        };
        Ok(Change { procedure, statement, id: self.id.clone(), key: next, operation, app_data, planned })
    }

    /// What a change starts from. The document of a did:web may say already what the change leads to: whoever hosts it
    /// edits it first. Then the change starts from the latest statement.
    fn before(&self, present: Judged, next: Option<&DelegateKey>) -> Judged {
        let Judged { mut gathered, assessment } = present;
        let Gathered { did, id, history, statements, .. } = &mut gathered;
        let History::Web { key, .. } = history else { return Judged { gathered, assessment } };
        if key.as_deref().map(NamedKey::new) != next.map(|next| NamedKey::new(&next.to_string())) {
            return Judged { gathered, assessment };
        }
        let chain = Chain::read(did, id, statements.as_deref().unwrap_or_default());
        *key = chain.last_key().map(|key| key.as_str().to_owned());
        let assessment = gathered.assess(None, self.sources.clock());
        Judged { gathered, assessment }
    }

    /// The entries that hold under the key before, under the next one. Only after an endorsement: what a lost key
    /// signed may not be the owner's.
    fn resign(&self, present: &Judged, next: &DelegateSigningKey, entropy: &dyn Entropy) -> Vec<AppData> {
        let now = self.sources.clock().now();
        let living = present.assessment.associated.apps.values().filter(|entry| entry.data().is_some());
        living
            .map(|entry| {
                let draft = AppDataDraft {
                    did: self.did.clone(),
                    id: self.id.clone(),
                    app: entry.app().clone(),
                    rev: Tid::after(Some(entry.rev()), now, clock_id(entropy)),
                    data: entry.data().cloned(),
                    expires_at: entry.expires_at().timestamp(),
                };
                draft.sign(next)
            })
            .collect()
    }
}

fn ground(present: &Judged) -> Ground {
    let (gathered, eras) = (&present.gathered, &present.assessment.eras);
    let latest = |count: usize| predecessor(eras, count).and_then(|era| era.key.clone());
    match &gathered.history {
        History::Web { key, .. } => {
            let chain = Chain::read(&gathered.did, &gathered.id, gathered.statements.as_deref().unwrap_or_default());
            let head = chain.head();
            let current = key.as_deref().map(NamedKey::new);
            Ground {
                head,
                latest: head.and_then(|head| chain.latest_key(&head)).cloned(),
                before_current: head.and_then(|head| chain.key_before(&head, current.as_ref())).cloned(),
                current,
            }
        }
        History::Plc(_) | History::Unavailable => Ground {
            head: present.assessment.head,
            current: present.assessment.key().cloned(),
            latest: latest(eras.len()),
            before_current: latest(eras.len().saturating_sub(1)),
        },
    }
}

/// Whether the change is one that can be made; true where it claims a key that is named already.
fn check(procedure: Procedure, ground: &Ground, next: Option<&DelegateKey>) -> Result<bool, OwnerError> {
    let unfit = |text: String| Err(OwnerError::Unfit(text));
    let is_named = |key: &NamedKey| next.is_some_and(|next| key.supported() == Ok(next));
    match (procedure, &ground.current) {
        (Procedure::Create, Some(current)) if is_named(current) => Ok(true),
        (Procedure::Create, Some(current)) => {
            unfit(format!("the account names a key already, {}: `delegate rotate` replaces it", current.as_str()))
        }
        (Procedure::Update, Some(current)) if is_named(current) => {
            unfit("the account names this key already: `delegate create` claims it".to_owned())
        }
        (Procedure::Update | Procedure::Delete, None) => unfit("the account names no key under this id".to_owned()),
        (Procedure::Create, None) | (Procedure::Update | Procedure::Delete, Some(_)) => Ok(false),
    }
}

/// The key that endorses, if it is the one that can.
fn endorser<'a>(
    signers: Signers<'a>,
    ground: &Ground,
    claims: bool,
) -> Result<Option<&'a DelegateSigningKey>, OwnerError> {
    let Some(key) = signers.endorser else { return Ok(None) };
    let needed = if claims { &ground.before_current } else { &ground.latest };
    let public = key.public();
    // Nobody endorses oneself: the same key once more after an end needs its claim alone.
    if signers.next.is_some_and(|next| next.public() == public) {
        return Ok(None);
    }
    match needed {
        Some(needed) if needed.supported() == Ok(&public) => Ok(Some(key)),
        Some(needed) => Err(OwnerError::Unfit(format!(
            "the key before is {}, and not the one in the file: {public}. Look at it with `housekey verify`",
            needed.as_str()
        ))),
        None => Err(OwnerError::Unfit("there is no key before this one, so nothing can be endorsed".to_owned())),
    }
}

/// A statement that waited for its code, if it still says what is wanted now.
fn same_change(
    statement: Statement,
    owner: &Owner,
    next: Option<&DelegateKey>,
    ground: &Ground,
) -> Result<Statement, OwnerError> {
    let key = statement.key().and_then(|key| key.supported().ok());
    let same = *statement.did() == owner.did && *statement.id() == owner.id && key == next;
    if !same {
        return Err(OwnerError::Unfit("the statement that waits for its code is about another change".to_owned()));
    }
    if statement.prev() != ground.head {
        return Err(OwnerError::Unfit(
            "the DID has changed since the code was asked for, so it is good for nothing: ask for another".to_owned(),
        ));
    }
    Ok(statement)
}

fn plan(
    gathered: &Gathered,
    did: &Did,
    id: &DelegationId,
    key: Option<&DelegateKey>,
) -> Result<Option<UnsignedOperation>, OwnerError> {
    let History::Plc(entries) = &gathered.history else { return Ok(None) };
    let log = VerifiedLog::new(did, entries).map_err(|cause| OwnerError::Unknown(cause.to_string()))?;
    Ok(Some(plan_operation(&log, id, key)?))
}

fn sign_operation(
    gathered: &Gathered,
    planned: Option<&UnsignedOperation>,
    rotation: Option<&DelegateSigningKey>,
) -> Result<Option<Operation>, OwnerError> {
    if rotation.is_some() && gathered.did.is_web() {
        return Err(OwnerError::Unfit("a did:web has no operations that a rotation key could sign".to_owned()));
    }
    let (Some(planned), Some(rotation)) = (planned, rotation) else { return Ok(None) };
    let curve = match rotation.key_type() {
        KeyType::K256 => Curve::K256,
        KeyType::P256 => Curve::P256,
        KeyType::Ed25519 => {
            return Err(OwnerError::Unfit("a rotation key must be of the type p256 or k256".to_owned()));
        }
    };
    let public = rotation.public().to_string();
    if !planned.rotation_keys.contains(&public) {
        return Err(OwnerError::Unfit(format!("{public} is not a rotation key of {}", gathered.did)));
    }
    let key = SigningKey::from_bytes(curve, rotation.to_bytes().as_slice());
    let key = key.map_err(|cause| OwnerError::Unfit(cause.to_string()))?;
    Ok(Some(planned.clone().sign(&key)))
}
