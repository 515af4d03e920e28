//! Invite codes of accounts: the allowance that grows with time, and what the administrator does about codes.

use std::sync::Arc;

use super::{
    Server,
    invites::{ADMIN, new_code},
    security_log,
};
use crate::{
    clock::Timestamp,
    limits::{accounts::INVITE_CODES_PER_REQUEST, community as limits},
    store::{Account, InviteCode, InviteRights, NewInvite, SecurityKind, StoreError},
};

/// Which codes of its own an account wants to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Used {
    /// Those that are used up as well.
    Included,
    /// Only those that are good for another account.
    LeftOut,
}

/// Whether codes that the account's allowance is good for are made now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Available {
    /// They are.
    Created,
    /// They are not.
    Left,
}

/// Why codes were not disabled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DisableInvitesError {
    /// All of the administrator's at once.
    #[error("cannot disable all of the administrator's invite codes at once: name the codes")]
    Admin,
    /// Too many at once.
    #[error("at most {} codes and accounts can be named at once", INVITE_CODES_PER_REQUEST)]
    TooMany,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The codes of an account, newest last, disabled ones left out.
///
/// # Errors
/// When the database fails.
pub async fn own_codes(
    server: &Arc<Server>,
    account: &Account,
    used: Used,
    available: Available,
) -> Result<Vec<InviteCode>, StoreError> {
    // Held so that two requests at once do not both make what the allowance is good for.
    let _guard = server.locks.lock(account.id).await;
    let mut codes = server.store.invites_of(account.did.as_str()).await?;
    if available == Available::Created && server.policy.invite_required {
        let rights = server.store.invite_rights(account.id).await?;
        let count = if rights.is_disabled { 0 } else { allowance(server, account, &codes) };
        if count > 0 {
            let now = server.now();
            let invites = (0..count).map(|_| NewInvite {
                code: new_code(server),
                uses: 1,
                for_account: account.did.to_string(),
                created_by: account.did.to_string(),
                created_at: now,
            });
            server.store.put_invites(invites.collect()).await?;
            codes = server.store.invites_of(account.did.as_str()).await?;
        }
    }
    codes.retain(|code| !code.disabled && (used == Used::Included || is_good(code)));
    codes.reverse();
    Ok(codes)
}

fn is_good(code: &InviteCode) -> bool {
    !code.disabled && u32::try_from(code.used_by.len()).is_ok_and(|used| used < code.invite.uses)
}

/// How many codes an account may make now: one for each interval that it has been here since the epoch, less those that it
/// made since; never more than [`limits::OPEN_INVITES_MAX`] good ones at a time. Gifts of the administrator do not count.
fn allowance(server: &Server, account: &Account, codes: &[InviteCode]) -> usize {
    let rules = &server.policy.sign_up;
    let Some(interval) = rules.invite_interval else { return 0 };
    let routine = || codes.iter().filter(|code| code.invite.created_by != ADMIN);
    let intervals = |from: Timestamp, to: Timestamp| to.since(from).as_micros() / interval.as_micros().max(1);
    let (born, epoch) = (account.created_at, rules.invite_epoch);
    let all = intervals(born, server.now());
    let earned = if born >= epoch { all } else { all.saturating_sub(intervals(born, epoch)) };
    let made = routine().filter(|code| code.invite.created_at > epoch).count();
    let left = usize::try_from(earned).unwrap_or(usize::MAX).saturating_sub(made);
    let open = routine().filter(|code| is_good(code)).count();
    left.min(limits::OPEN_INVITES_MAX.saturating_sub(open))
}

/// Disables codes, and all that some accounts have.
///
/// # Errors
/// [`DisableInvitesError`]; nothing was changed then.
pub async fn disable(server: &Server, codes: Vec<String>, accounts: Vec<String>) -> Result<usize, DisableInvitesError> {
    if accounts.iter().any(|account| account == ADMIN) {
        return Err(DisableInvitesError::Admin);
    }
    if codes.len().saturating_add(accounts.len()) > INVITE_CODES_PER_REQUEST {
        return Err(DisableInvitesError::TooMany);
    }
    Ok(server.store.disable_invites(codes, accounts).await?)
}

/// Sets whether an account's allowance grows into codes.
///
/// # Errors
/// When the database fails.
pub async fn set_rights(server: &Server, account: &Account, rights: InviteRights) -> Result<(), StoreError> {
    let detail = if rights.is_disabled { "it earns no invite codes any more" } else { "it earns invite codes again" };
    let noted = security_log::event(server, account.id, SecurityKind::AdminAction, Some(detail));
    server.store.set_invite_rights(account.id, rights, Some(noted)).await
}

#[cfg(test)]
#[path = "invite_codes_tests.rs"]
mod tests;
