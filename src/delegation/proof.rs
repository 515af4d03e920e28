//! Verifying statements one by one against a log: shape is known, now claim, anchor and endorsement.

use super::{
    DelegationId, NamedKey, Statement,
    anchor::{Anchor, IdLog},
    history::{Era, Proof, predecessor},
};
use crate::{ipld::Cid, limits::delegation as limits, syntax::Did};

/// Why a statement does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// It is about another account or id.
    OtherDelegation,
    /// Its key is of a kind or form that is not supported.
    UnsupportedKey,
    /// The claim is not its key's.
    Claim,
    /// Only nullified operations bear it out.
    Void,
    /// The log does not name its key where it says.
    Nowhere,
    /// Its `prev` is not in the log.
    PrevAbsent,
    /// Its `prev` is not in the log, and the current or the pinned key signed it: a part of the log is being hidden.
    HiddenLog,
    /// The endorsement is not that of the latest key before, or there is nothing to endorse.
    Endorsement,
    /// A server could use its key.
    ServerHeld,
    /// More statements, or signatures, than a reader takes in.
    TooMany,
}

/// A statement that does not count, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// The statement.
    pub statement: Cid,
    /// Why.
    pub fault: Fault,
}

/// The history of a log with the statements that hold in it, and those that do not.
#[derive(Clone, Debug)]
pub struct Proven {
    /// The history.
    pub eras: Vec<Era>,
    /// What does not count.
    pub ignored: Vec<Ignored>,
}

/// Whether the endorsement that a statement carries is the predecessor's; `false` where it carries none.
///
/// # Errors
/// [`Fault::Endorsement`] where it carries one that is another's, or that nobody could give.
pub(super) fn check_endorsement(statement: &Statement, predecessor: Option<&NamedKey>) -> Result<bool, Fault> {
    match (statement.endorsement(), predecessor) {
        (None, _) => Ok(false),
        (Some(_), Some(key)) if statement.key() != Some(key) && statement.is_endorsed_by(key) => Ok(true),
        (Some(_), _) => Err(Fault::Endorsement),
    }
}

/// Judges every statement against the log. `pinned` is a key that was verified before.
pub fn prove(did: &Did, id: &DelegationId, log: &IdLog, statements: &[Statement], pinned: Option<&NamedKey>) -> Proven {
    let eras = log.changes().iter().map(|change| Era {
        key: change.key.clone(),
        operation: Some(change.operation),
        at: Some(change.at),
        server_held: change.server_held,
        proofs: Vec::new(),
    });
    let mut prover =
        Prover { did, id, log, pinned, eras: eras.collect(), signatures_left: limits::SIGNATURE_CHECKS_MAX };
    let mut ignored = Vec::new();
    for (index, statement) in statements.iter().enumerate() {
        let judged = if index < limits::STATEMENTS_MAX_READ { prover.judge(statement) } else { Err(Fault::TooMany) };
        match judged {
            Ok((era, proof)) => {
                if let Some(era) = prover.eras.get_mut(era).filter(|era| !era.proofs.contains(&proof)) {
                    era.proofs.push(proof);
                }
            }
            Err(fault) => ignored.push(Ignored { statement: statement.cid(), fault }),
        }
    }
    Proven { eras: prover.eras, ignored }
}

struct Prover<'a> {
    did: &'a Did,
    id: &'a DelegationId,
    log: &'a IdLog,
    pinned: Option<&'a NamedKey>,
    eras: Vec<Era>,
    signatures_left: usize,
}

impl Prover<'_> {
    fn judge(&mut self, statement: &Statement) -> Result<(usize, Proof), Fault> {
        if statement.did() != self.did || statement.id() != self.id {
            return Err(Fault::OtherDelegation);
        }
        let era = match self.log.anchor(statement) {
            Anchor::At(era) => era,
            Anchor::Void => return Err(Fault::Void),
            Anchor::Nowhere => return Err(Fault::Nowhere),
            Anchor::PrevAbsent => return Err(self.judge_unanchored(statement)),
        };
        self.signatures_left = self.signatures_left.checked_sub(2).ok_or(Fault::TooMany)?;
        if let Some(key) = statement.key() {
            key.supported().map_err(|_| Fault::UnsupportedKey)?;
            if !statement.is_claimed_by(key) {
                return Err(Fault::Claim);
            }
        }
        let before = predecessor(&self.eras, era);
        let endorsed = check_endorsement(statement, before.and_then(|era| era.key.as_ref()))?;
        // A key that a server held can be named, but neither proves itself nor endorses another.
        if self.eras.get(era).is_some_and(|era| era.server_held) {
            return Err(Fault::ServerHeld);
        }
        let endorsed = endorsed && before.is_some_and(|before| !before.server_held);
        let order = statement.prev().map_or(0, |prev| self.log.order(&prev));
        Ok((era, Proof { statement: statement.cid(), endorsed, order }))
    }

    /// A statement cannot speak of an operation that nobody made: if a key that counts signed it, the log is not whole.
    fn judge_unanchored(&mut self, statement: &Statement) -> Fault {
        let current = predecessor(&self.eras, self.eras.len()).and_then(|era| era.key.as_ref());
        for key in [current, self.pinned].into_iter().flatten() {
            let Some(left) = self.signatures_left.checked_sub(2) else { return Fault::TooMany };
            self.signatures_left = left;
            let claimed = statement.key() == Some(key) && statement.is_claimed_by(key);
            if claimed || statement.is_endorsed_by(key) {
                return Fault::HiddenLog;
            }
        }
        Fault::PrevAbsent
    }
}
