//! The owner's changes of a delegation: statements made from a log that was read and verified here, sent to the
//! account's server, and believed once the directory shows them.

mod change;
mod confirm;

pub use change::{Change, Procedure, Signers};
pub use confirm::Confirmed;

use serde_json::{Value, json};

use super::{
    pds::{CallError, Pds},
    sign_in::SignInCode,
    sources::{Judged, Sources},
};
use crate::{
    clock::Timestamp,
    crypto::{DelegateKey, DelegateSigningKey, Secret},
    delegation::{AppData, AppDataDraft, DelegationError, DelegationId, ShapeError},
    entropy::{Entropy, random_bytes},
    ipld::Map,
    syntax::{AtIdentifier, Did, Nsid, Tid},
};

/// Why a change was not made, or is not known to be.
#[derive(Debug, thiserror::Error)]
pub enum OwnerError {
    /// The server.
    #[error(transparent)]
    Call(#[from] CallError),
    /// What holds now could not be read.
    #[error("{0}")]
    Unknown(String),
    /// What holds now does not fit the change.
    #[error("{0}")]
    Unfit(String),
    /// The statement or entry would not be one.
    #[error("{0}")]
    Shape(#[from] ShapeError),
    /// The operation would not be one.
    #[error("{0}")]
    Operation(#[from] DelegationError),
    /// The server says that it is done, and public material does not.
    #[error("the server accepted the change, but the public record does not show it: {0}")]
    Unconfirmed(String),
}

/// An owner who is logged in.
#[derive(Clone)]
pub struct Owner {
    sources: Sources,
    pds: Pds,
    did: Did,
    id: DelegationId,
    unchecked: Option<String>,
}

impl Owner {
    /// Logs in with the account's password.
    ///
    /// # Errors
    /// [`OwnerError::Call`]; [`OwnerError::Unfit`] when the server speaks of another account than was named.
    pub async fn log_in(
        sources: &Sources,
        mut pds: Pds,
        (identifier, password, code): (&str, &Secret, &SignInCode),
        id: DelegationId,
    ) -> Result<Self, OwnerError> {
        let did = pds.log_in(identifier, password, code).await?;
        // A statement speaks for a DID: a server must not choose which. What has no public name is the server's to know.
        let unchecked = match identifier.parse::<AtIdentifier>() {
            Ok(actor) => match sources.did_of(&actor).await {
                Ok(meant) if meant == did => None,
                Ok(_) => {
                    let host = pds.host();
                    return Err(OwnerError::Unfit(format!("{host} logged {identifier} in as another account, {did}")));
                }
                Err(cause) => Some(cause),
            },
            Err(_) => None,
        };
        Ok(Self { sources: sources.clone(), pds, did, id, unchecked })
    }

    /// Why nobody but the server could be asked whether the account is the one that was named; none where somebody was, or
    /// where only the server can know.
    pub fn unchecked(&self) -> Option<&str> {
        self.unchecked.as_deref()
    }

    /// The account.
    pub const fn did(&self) -> &Did {
        &self.did
    }

    /// What public material says now.
    pub async fn judge(&self) -> Judged {
        self.sources.judge(&self.did, &self.id, None).await
    }

    /// Calls the procedure of a change, once. Says whether the server knows already that it is done.
    ///
    /// # Errors
    /// [`CallError`], `TokenRequired` among them: see [`Self::request_token`].
    pub async fn submit(&self, change: &Change, token: Option<&str>) -> Result<Submitted, CallError> {
        let answer = self.pds.post(change.procedure.nsid(), &change.request(token)).await?;
        let state = answer.get("state").and_then(Value::as_str).unwrap_or_default();
        Ok(if state == "pending" { Submitted::Pending } else { Submitted::Done })
    }

    /// Asks the server to mail the code that a change needs.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn request_token(&self, change: &Change) -> Result<(), CallError> {
        let body = match &change.statement {
            Some(statement) => json!({"statement": statement.to_json()}),
            None => json!({"id": self.id}),
        };
        self.pds.post("dev.housekey.delegation.requestDelegationToken", &body).await.map(drop)
    }

    /// Sets one app's entry, or ends it where there is no data, and sees that it is served.
    ///
    /// # Errors
    /// [`OwnerError`].
    pub async fn put_data(
        &self,
        key: &DelegateSigningKey,
        app: Nsid,
        data: Option<Map>,
        expires_at: Timestamp,
        entropy: &dyn Entropy,
    ) -> Result<AppData, OwnerError> {
        let present = self.judge().await;
        require_current(&present, &key.public())?;
        let last = present.gathered.entries.iter().filter(|entry| *entry.app() == app).map(AppData::rev).max();
        let rev = Tid::after(last, self.sources.clock().now(), clock_id(entropy));
        let draft = AppDataDraft { did: self.did.clone(), id: self.id.clone(), app, rev, data, expires_at };
        // What would not be read as an entry is not sent either.
        let entry = AppData::from_map(&draft.sign(key).to_map())?;
        self.pds.post("dev.housekey.delegation.putAssociatedData", &json!({"entry": entry.to_json()})).await?;
        let after = self.judge().await;
        if after.assessment.associated.apps.get(entry.app()).map(AppData::rev) == Some(rev) {
            Ok(entry)
        } else {
            Err(OwnerError::Unconfirmed(format!("the entry of {} is not served", entry.app())))
        }
    }
}

/// What the server knows of a change that it accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Submitted {
    /// It is made.
    Done,
    /// It cannot tell yet.
    Pending,
}

/// Ten random bits.
fn clock_id(entropy: &dyn Entropy) -> u16 {
    u16::from_be_bytes(random_bytes(entropy)) & 0x3ff
}

/// The log or document must be known, and name this key.
fn require_current(present: &Judged, key: &DelegateKey) -> Result<(), OwnerError> {
    require_history(present)?;
    match present.assessment.key() {
        Some(named) if named.supported() == Ok(key) => Ok(()),
        Some(named) => Err(OwnerError::Unfit(format!(
            "the account names {} now, and not the key in the file: {key}. Look at it with `housekey verify`",
            named.as_str()
        ))),
        None => Err(OwnerError::Unfit("the account names no key under this id".to_owned())),
    }
}

/// Nothing is signed over a history that could not be read or does not verify.
fn require_history(present: &Judged) -> Result<(), OwnerError> {
    use super::sources::History;
    let problems = || present.gathered.problems.join("; ");
    if let Some(cause) = &present.assessment.log_error {
        return Err(OwnerError::Unknown(format!("the log of {} does not verify: {cause}", present.gathered.did)));
    }
    match present.gathered.history {
        History::Unavailable => Err(OwnerError::Unknown(problems())),
        // Without a log, the statements are the history.
        History::Web { .. } if present.gathered.statements.is_none() => Err(OwnerError::Unknown(problems())),
        History::Plc(_) | History::Web { .. } => Ok(()),
    }
}
