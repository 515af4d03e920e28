//! One planner per account at a time.
use crate::store::AccountId;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OwnedMutexGuard;

type Table = Arc<Mutex<HashMap<AccountId, Arc<tokio::sync::Mutex<()>>>>>;

/// The locks, made as they are needed and dropped when nobody waits.
#[derive(Clone, Debug, Default)]
pub struct AccountLocks {
    // A blocking mutex: it is held for one look-up and never over an await.
    table: Table,
}

/// Held while an account's next commit is planned and written.
#[derive(Debug)]
pub struct AccountGuard {
    // Dropped in this order: the lock is free before the ticket looks whether anybody else wants it.
    _held: OwnedMutexGuard<()>,
    _ticket: Ticket,
}

/// A place in the queue of one account's lock. The last one to leave, holder or waiter that gave up, removes the lock.
#[derive(Debug)]
struct Ticket {
    table: Table,
    account: AccountId,
}

impl AccountLocks {
    /// Waits for the account's lock. Dropping the future gives up the place in the queue.
    pub async fn lock(&self, account: AccountId) -> AccountGuard {
        let (lock, ticket) = {
            let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
            let lock = Arc::clone(table.entry(account).or_default());
            (lock, Ticket { table: Arc::clone(&self.table), account })
        };
        AccountGuard { _held: lock.lock_owned().await, _ticket: ticket }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        if table.get(&self.account).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            table.remove(&self.account);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, poll};

    fn waiting(locks: &AccountLocks) -> usize {
        locks.table.lock().unwrap().len()
    }

    #[tokio::test]
    async fn a_second_planner_of_the_same_account_waits_for_the_first() {
        let locks = AccountLocks::default();
        let first = locks.lock(AccountId(1)).await;
        let mut second = Box::pin(locks.lock(AccountId(1)));
        assert!(poll!(&mut second).is_pending());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn planners_of_other_accounts_do_not_wait() {
        let locks = AccountLocks::default();
        let _first = locks.lock(AccountId(1)).await;
        assert!(locks.lock(AccountId(2)).now_or_never().is_some());
    }

    #[tokio::test]
    async fn no_lock_stays_behind_when_holders_and_waiters_are_gone() {
        let locks = AccountLocks::default();
        let first = locks.lock(AccountId(1)).await;
        let mut gives_up = Box::pin(locks.lock(AccountId(1)));
        assert!(poll!(&mut gives_up).is_pending());
        drop(first);
        assert_eq!(waiting(&locks), 1);
        drop(gives_up);
        assert_eq!(waiting(&locks), 0);
    }
}
