//! Who may see a repository: one rule for every method that reads one.
use super::{
    Server,
    states::{Capability, allows},
};
use crate::{
    store::{Account, AccountState, StoreError},
    syntax::AtIdentifier,
};

/// Whose repositories a caller sees although they are not active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Active ones only.
    Active,
    /// All of them: the owner and the administrator.
    All,
}

/// Why a repository is not shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RepoUnavailable {
    /// There is no such account here.
    #[error("Could not find repo for DID: {0}")]
    NotFound(AtIdentifier),
    /// The administrator took it down.
    #[error("Repo has been takendown: {0}")]
    Takendown(AtIdentifier),
    /// The administrator suspended it.
    #[error("Repo has been suspended: {0}")]
    Suspended(AtIdentifier),
    /// Its owner switched it off.
    #[error("Repo has been deactivated: {0}")]
    Deactivated(AtIdentifier),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The account with this DID or handle, in whatever state, if it is here.
///
/// # Errors
/// When the database fails.
pub async fn find(server: &Server, repo: &AtIdentifier) -> Result<Option<Account>, StoreError> {
    match repo {
        AtIdentifier::Did(did) => server.store.account_by_did(did).await,
        AtIdentifier::Handle(handle) => server.store.account_by_handle(handle).await,
    }
}

/// The account with this DID or handle, when a caller with this sight may read its repository.
///
/// # Errors
/// [`RepoUnavailable`] says why it is not shown.
pub async fn available(server: &Server, repo: &AtIdentifier, sight: Sight) -> Result<Account, RepoUnavailable> {
    let account = find(server, repo).await?.ok_or_else(|| RepoUnavailable::NotFound(repo.clone()))?;
    let needed = match sight {
        Sight::Active => Capability::BeRead,
        Sight::All => Capability::ReadItself,
    };
    if allows(&account.state, needed) {
        return Ok(account);
    }
    Err(match account.state {
        AccountState::Pending | AccountState::Active => RepoUnavailable::NotFound(repo.clone()),
        AccountState::Takendown { .. } => RepoUnavailable::Takendown(repo.clone()),
        AccountState::Suspended => RepoUnavailable::Suspended(repo.clone()),
        AccountState::Deactivated { .. } => RepoUnavailable::Deactivated(repo.clone()),
    })
}
