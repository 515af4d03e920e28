//! Carries one row from `prepared` to its end.

use std::sync::Arc;

use super::{
    Applied, JournalError,
    crash::{CrashPoint, Step},
    log::{LogUnavailable, Standing, audit_log, standing_of},
};
use crate::{
    event,
    ipld::Cid,
    limits::journal as limits,
    outbound::PostError,
    plc::{Entry, log::standing},
    service::{
        Server, delegation, genesis, identity,
        mails::{self, letters},
        security_log,
    },
    store::{
        Account, CreateConflict, DelegationChange, JournalEffect, JournalId, JournalKind, JournalRow, JournalState,
        NewSecurityEvent, SecurityKind, StoreError,
    },
};

const MOVED: &str = "the identity was changed from elsewhere in the meantime: read its state and try again";
const NULLIFIED: &str = "the operation was undone by a stronger rotation key of the identity";

/// Carries rows; a test may stop it at a step.
pub(super) struct Carrier {
    pub(super) server: Arc<Server>,
    pub(super) crash: CrashPoint,
}

impl Carrier {
    /// The one function by which a change becomes true or fails. Safe to repeat at any time by whoever has the turn.
    pub(super) async fn carry(&self, id: JournalId) -> Result<Applied, JournalError> {
        let row = self.server.store.journal_row(id).await?;
        let row = row.ok_or_else(|| StoreError::Damaged("a journal row is missing".to_owned()))?;
        match row.state {
            JournalState::Applied => return Ok(Applied { account: row.account, nullified: Vec::new() }),
            JournalState::Failed => return Err(JournalError::Rejected(row.error.unwrap_or_default())),
            JournalState::Prepared | JournalState::Posted => self.crash.passed(Step::Prepared)?,
        }
        if row.posts == 0 { self.post_first(&row).await } else { self.post_again(&row).await }
    }

    /// Nothing was posted before: a clear answer decides.
    async fn post_first(&self, row: &JournalRow) -> Result<Applied, JournalError> {
        self.server.store.journal_posted(row.id, self.server.now()).await?;
        self.crash.passed(Step::Posted)?;
        let before = match audit_log(&self.server, &row.change.did).await {
            Ok(log) => log,
            Err(LogUnavailable(cause)) => return self.fail(row, JournalError::Unavailable(cause)).await,
        };
        if let Some(end) = self.end_by_log(row, &before).await {
            return end;
        }
        let answer = self.post(row).await?;
        match answer {
            Ok(()) => self.apply_and_look_back(row, &before).await,
            Err(PostError::Refused { message, .. }) => self.fail(row, JournalError::Rejected(message)).await,
            Err(PostError::NotSent(cause)) => {
                let cause = format!("the PLC directory could not be reached: {cause}");
                self.fail(row, JournalError::Unavailable(cause)).await
            }
            Err(PostError::Ambiguous(cause)) => {
                tracing::warn!(did = %row.change.did, "the PLC directory gave no clear answer: {cause}");
                self.read_and_end(row).await.map_or(Err(JournalError::Pending), |end| end)
            }
        }
    }

    /// It may have been posted before: only the log decides.
    async fn post_again(&self, row: &JournalRow) -> Result<Applied, JournalError> {
        let Ok(before) = audit_log(&self.server, &row.change.did).await else { return Err(JournalError::Pending) };
        if let Some(end) = self.end_by_log(row, &before).await {
            return end;
        }
        if let Some(refused_at) = row.refused_at {
            // This reading is the second one without the operation.
            if self.server.now().since(refused_at) >= limits::REFUSAL_CONFIRMED_AFTER {
                let words = row.error.clone().unwrap_or_else(|| "it refused the operation twice".to_owned());
                return self.fail(row, JournalError::Rejected(words)).await;
            }
            return Err(JournalError::Pending);
        }
        self.server.store.journal_posted(row.id, self.server.now()).await?;
        self.crash.passed(Step::Posted)?;
        match self.post(row).await? {
            Ok(()) => self.apply_and_look_back(row, &before).await,
            Err(PostError::NotSent(_)) => Err(JournalError::Pending),
            Err(PostError::Ambiguous(_)) => self.read_and_end(row).await.map_or(Err(JournalError::Pending), |end| end),
            Err(PostError::Refused { message, .. }) => {
                let Ok(log) = audit_log(&self.server, &row.change.did).await else { return Err(JournalError::Pending) };
                if let Some(end) = self.end_by_log(row, &log).await {
                    return end;
                }
                tracing::warn!(did = %row.change.did, "the PLC directory refused a repeated operation: {message}");
                self.server.store.journal_refused(row.id, self.server.now()).await?;
                Err(JournalError::Pending)
            }
        }
    }

    async fn post(&self, row: &JournalRow) -> Result<Result<(), PostError>, JournalError> {
        let answer = self.server.plc.post(&row.change.did, &row.change.operation).await;
        self.crash.passed(Step::Sent)?;
        Ok(answer)
    }

    /// Reads the log once more after an unclear answer; `None` while it does not decide.
    async fn read_and_end(&self, row: &JournalRow) -> Option<Result<Applied, JournalError>> {
        let log = audit_log(&self.server, &row.change.did).await.ok()?;
        self.end_by_log(row, &log).await
    }

    /// Ends the row if the log decides it.
    async fn end_by_log(&self, row: &JournalRow, log: &[Entry]) -> Option<Result<Applied, JournalError>> {
        match standing_of(row, log) {
            Standing::Present => Some(self.apply(row).await),
            Standing::Nullified => Some(self.fail(row, JournalError::Conflict(NULLIFIED)).await),
            Standing::Moved => Some(self.fail(row, JournalError::Conflict(MOVED)).await),
            Standing::Absent => None,
        }
    }

    async fn fail(&self, row: &JournalRow, why: JournalError) -> Result<Applied, JournalError> {
        self.server.store.journal_fail(row.id, &why.to_string(), self.server.now()).await?;
        Err(why)
    }

    /// The row's effect, all of it in one transaction.
    pub(super) async fn apply(&self, row: &JournalRow) -> Result<Applied, JournalError> {
        let account = self.server.store.account_by_id(row.account).await?;
        let account = account.ok_or_else(|| StoreError::Damaged("a journal row has no account".to_owned()))?;
        let told = self.told_by(row).await?;
        // A commit is planned over the head, which must not move before it is written.
        let guard = match row.change.kind {
            JournalKind::Delegation(_) | JournalKind::SigningKey { .. } => {
                Some(self.server.locks.lock(row.account).await)
            }
            JournalKind::CreateAccount | JournalKind::UpdateHandle { .. } | JournalKind::Submit => None,
        };
        let effect = self.effect(row, &account).await?;
        let noted = Some(self.noted(row, told.as_ref().and_then(|(_, before)| before.as_deref())));
        match self.server.store.journal_apply(row.id, effect, self.server.now(), noted).await {
            Ok(()) => {}
            Err(CreateConflict::Store(cause)) => return Err(cause.into()),
            // The handle is held by the row, so this is a row that failed before and whose operation appeared later.
            Err(CreateConflict::HandleTaken(handle)) => return Err(JournalError::HandleTaken(handle)),
            Err(
                refused
                @ (CreateConflict::EmailTaken(_) | CreateConflict::DidTaken | CreateConflict::InviteUnavailable),
            ) => {
                return Err(JournalError::Begin(refused));
            }
        }
        drop(guard);
        self.server.resolver.forget(&row.change.did).await;
        self.crash.passed(Step::Applied)?;
        if let Some((change, before)) = told {
            delegation::tell_owner_of_change(&self.server, &account, change, before.as_deref()).await;
        }
        Ok(Applied { account: row.account, nullified: Vec::new() })
    }

    /// The change that the owner is told of, with the key before it.
    async fn told_by<'a>(
        &self,
        row: &'a JournalRow,
    ) -> Result<Option<(&'a DelegationChange, Option<String>)>, StoreError> {
        let JournalKind::Delegation(change) = &row.change.kind else { return Ok(None) };
        let rows = self.server.store.delegations(row.account).await?;
        let before = rows.into_iter().find(|row| row.id == change.id).and_then(|row| row.key);
        Ok(Some((change, before)))
    }

    /// What the owner's log says of the change; `before` is the key that a delegation had.
    fn noted(&self, row: &JournalRow, before: Option<&str>) -> NewSecurityEvent {
        let note = |kind, detail| security_log::event(&self.server, row.account, kind, detail);
        match &row.change.kind {
            JournalKind::CreateAccount => note(SecurityKind::AccountCreated, None),
            JournalKind::UpdateHandle { handle } => note(SecurityKind::HandleChanged, Some(handle.as_str())),
            JournalKind::Submit => note(SecurityKind::PlcOperationSubmitted, None),
            JournalKind::Delegation(change) => {
                delegation::noted_change(&self.server, row.account, &change.id, before, change.key.as_deref())
            }
            JournalKind::SigningKey { .. } => note(SecurityKind::AdminAction, Some("the signing key was replaced")),
        }
    }

    async fn effect(&self, row: &JournalRow, account: &Account) -> Result<JournalEffect, JournalError> {
        let now = self.server.now();
        Ok(match &row.change.kind {
            JournalKind::CreateAccount => JournalEffect::CreateAccount(genesis::change_set(&self.server, account)?),
            JournalKind::UpdateHandle { handle } => {
                JournalEffect::UpdateHandle(handle.clone(), vec![event::identity(&account.did, Some(handle), now)])
            }
            JournalKind::Submit => {
                JournalEffect::Events(vec![event::identity(&account.did, Some(&account.handle), now)])
            }
            JournalKind::Delegation(change) => delegation::effect(&self.server, account, change).await?,
            JournalKind::SigningKey { did_key } => identity::signing_key_effect(&self.server, account, did_key).await?,
        })
    }

    /// Applies, then looks whether the operation undid another that came in just before it: the directory cannot compare
    /// and swap, and the owner must hear of it.
    async fn apply_and_look_back(&self, row: &JournalRow, before: &[Entry]) -> Result<Applied, JournalError> {
        let applied = self.apply(row).await?;
        if row.change.prev.is_none() {
            return Ok(applied);
        }
        let Ok(after) = audit_log(&self.server, &row.change.did).await else { return Ok(applied) };
        let known = |cid: &Cid| before.iter().any(|entry| entry.nullified && entry.cid == *cid);
        let nullified: Vec<Cid> =
            after.iter().filter(|entry| entry.nullified && !known(&entry.cid)).map(|entry| entry.cid).collect();
        if !nullified.is_empty() && standing(&after).any(|entry| entry.cid == row.change.operation_cid) {
            self.tell_owner(row, &nullified).await;
            return Ok(Applied { nullified, ..applied });
        }
        Ok(applied)
    }

    async fn tell_owner(&self, row: &JournalRow, nullified: &[Cid]) {
        let did = &row.change.did;
        let list = nullified.iter().map(Cid::to_string).collect::<Vec<_>>().join("\n");
        tracing::warn!(%did, "an operation nullified others: {list}");
        let Ok(Some(account)) = self.server.store.account_by_id(row.account).await else { return };
        let about = mails::about(&self.server, &account);
        let letter = letters::operation_nullified(about, &row.change.operation_cid.to_string(), &list);
        mails::tell(&self.server, &account, letter).await;
    }
}
