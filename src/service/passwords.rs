//! Argon2 on a bounded number of threads.

use std::sync::Arc;

use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::{
    crypto::password::{self, Cost},
    entropy::Entropy,
    limits::accounts,
};

/// Too many passwords are waiting to be hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server is busy checking passwords: try again in a moment")]
pub struct PasswordsBusy;

/// Runs password work off the async threads, a bounded number at a time. Cheap to clone.
#[derive(Clone, Debug)]
pub struct PasswordPool {
    /// Who hashes now.
    running: Arc<Semaphore>,
    /// Who hashes or waits to.
    admitted: Arc<Semaphore>,
}

impl PasswordPool {
    /// With so many hashes at once (at least one); [`accounts::PASSWORDS_WAITING`] further ones wait.
    pub fn new(at_once: usize) -> Self {
        let at_once = at_once.max(1);
        let admitted = at_once.saturating_add(accounts::PASSWORDS_WAITING).min(Semaphore::MAX_PERMITS);
        Self {
            running: Arc::new(Semaphore::new(at_once.min(Semaphore::MAX_PERMITS))),
            admitted: Arc::new(Semaphore::new(admitted)),
        }
    }

    /// Hashes a new password.
    ///
    /// # Errors
    /// [`PasswordsBusy`] when too many wait already.
    pub async fn hash(&self, password: String, cost: Cost, entropy: Arc<dyn Entropy>) -> Result<String, PasswordsBusy> {
        self.run(move || password::hash(&password, cost, entropy.as_ref())).await
    }

    /// Whether `password` is the one behind `hash`. For an unknown user `hash` is [`password::decoy`], so that the
    /// answer takes as long as for a wrong password.
    ///
    /// # Errors
    /// [`PasswordsBusy`] when too many wait already.
    pub async fn verify(&self, password: String, hash: String) -> Result<bool, PasswordsBusy> {
        self.run(move || password::verify(&password, &hash)).await
    }

    /// Other work of the same kind.
    ///
    /// # Errors
    /// [`PasswordsBusy`] when too many wait already.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, PasswordsBusy> {
        let place = Arc::clone(&self.admitted).try_acquire_owned().map_err(|_| PasswordsBusy)?;
        let turn = Arc::clone(&self.running).acquire_owned().await.map_err(|_| PasswordsBusy)?;
        // The permits go with the work: a caller that gives up does not make room while its hash still runs.
        spawn_blocking(move || {
            let done = work();
            drop((turn, place));
            done
        })
        .await
        .map_err(|_| PasswordsBusy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entropy::SeededEntropy;

    #[tokio::test]
    async fn what_the_pool_hashes_it_verifies() {
        let pool = PasswordPool::new(2);
        let hash = pool.hash("hunter2".to_owned(), Cost::Minimum, Arc::new(SeededEntropy::new(1))).await.unwrap();
        assert_eq!(pool.verify("hunter2".to_owned(), hash.clone()).await, Ok(true));
        assert_eq!(pool.verify("hunter3".to_owned(), hash).await, Ok(false));
    }

    #[tokio::test]
    async fn more_than_may_wait_are_refused_at_once() {
        let pool = PasswordPool::new(1);
        let all = u32::try_from(1 + accounts::PASSWORDS_WAITING).unwrap();
        let held = Arc::clone(&pool.admitted).try_acquire_many_owned(all).unwrap();
        assert_eq!(pool.verify("x".to_owned(), String::new()).await, Err(PasswordsBusy));
        drop(held);
        assert_eq!(pool.verify("x".to_owned(), String::new()).await, Ok(false));
    }
}
