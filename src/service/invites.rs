//! Invite codes.

use super::Server;
use crate::{
    crypto::token,
    limits::accounts as limits,
    store::{NewInvite, StoreError},
};

/// The account of codes that belong to nobody in particular.
pub const ADMIN: &str = "admin";

/// Codes of one account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCodes {
    /// A DID, or [`ADMIN`].
    pub account: String,
    /// The codes.
    pub codes: Vec<String>,
}

/// Why no codes were made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InviteError {
    /// Too many at once.
    #[error("at most {} codes can be made at once", limits::INVITE_CODES_PER_REQUEST)]
    TooMany,
    /// A code that opens no account, or too many.
    #[error("useCount must be between 1 and {}", limits::INVITE_USES_MAX)]
    Uses,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A fresh code.
pub(super) fn new_code(server: &Server) -> String {
    token::invite_code(&server.policy.hostname, server.entropy.as_ref())
}

/// Makes `count` codes for each of `accounts`, each good for `uses` accounts.
///
/// # Errors
/// [`InviteError`]; no code was made then.
pub async fn create_invites(
    server: &Server,
    accounts: Vec<String>,
    count: u64,
    uses: i64,
) -> Result<Vec<AccountCodes>, InviteError> {
    let uses = u32::try_from(uses).ok().filter(|uses| (1..=limits::INVITE_USES_MAX).contains(uses));
    let uses = uses.ok_or(InviteError::Uses)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    if count.saturating_mul(accounts.len()) > limits::INVITE_CODES_PER_REQUEST {
        return Err(InviteError::TooMany);
    }
    let made: Vec<AccountCodes> = accounts
        .into_iter()
        .map(|account| AccountCodes { account, codes: (0..count).map(|_| new_code(server)).collect() })
        .collect();
    let now = server.now();
    let rows = made.iter().flat_map(|of| of.codes.iter().map(|code| (of.account.clone(), code.clone())));
    let rows = rows.map(|(for_account, code)| NewInvite {
        code,
        uses,
        for_account,
        created_by: ADMIN.to_owned(),
        created_at: now,
    });
    server.store.put_invites(rows.collect()).await?;
    Ok(made)
}
