//! One planner per account at a time.
use crate::{
    limits::accounts::WRITES_WAITING,
    store::{AccountId, StoreError},
};
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
        let (lock, ticket) = self.ticket(account);
        AccountGuard { _held: lock.lock_owned().await, _ticket: ticket }
    }

    /// The same for what clients may ask for as often as they like.
    ///
    /// # Errors
    /// [`StoreError::Busy`] where [`WRITES_WAITING`] wait already: whoever comes later hears so now, not when it is too late.
    pub async fn lock_unless_crowded(&self, account: AccountId) -> Result<AccountGuard, StoreError> {
        let (lock, ticket) = self.ticket(account);
        // The table has one, this call another.
        if Arc::strong_count(&lock) > WRITES_WAITING + 2 {
            // In this order, as for a guard: the ticket must find one lock less.
            drop(lock);
            drop(ticket);
            return Err(StoreError::Busy);
        }
        Ok(AccountGuard { _held: lock.lock_owned().await, _ticket: ticket })
    }

    /// How many wait for the account's lock while somebody holds it.
    #[cfg(test)]
    pub(crate) fn waiting(&self, account: AccountId) -> usize {
        let table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        // The table has one, the holder another.
        table.get(&account).map_or(0, |lock| Arc::strong_count(lock).saturating_sub(2))
    }

    fn ticket(&self, account: AccountId) -> (Arc<tokio::sync::Mutex<()>>, Ticket) {
        let mut table = self.table.lock().unwrap_or_else(PoisonError::into_inner);
        let lock = Arc::clone(table.entry(account).or_default());
        drop(table);
        (lock, Ticket { table: Arc::clone(&self.table), account })
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
    async fn so_many_writes_of_an_account_wait_and_the_next_one_hears_at_once_that_it_is_busy() {
        let locks = AccountLocks::default();
        let held = locks.lock(AccountId(1)).await;
        let mut queue: Vec<_> =
            (0..WRITES_WAITING).map(|_| Box::pin(locks.lock_unless_crowded(AccountId(1)))).collect();
        for waiting in &mut queue {
            assert!(poll!(waiting).is_pending());
        }
        assert_eq!(locks.lock_unless_crowded(AccountId(1)).now_or_never().unwrap().unwrap_err(), StoreError::Busy);
        assert!(locks.lock_unless_crowded(AccountId(2)).now_or_never().is_some_and(|guard| guard.is_ok()));
        drop(held);
        drop(queue);
        assert_eq!(waiting(&locks), 0);
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
