//! Opened signing keys, a bounded number of them: opening one costs a key derivation and a point multiplication.
use crate::{
    crypto::SigningKey,
    limits::records::SIGNING_KEYS_KEPT,
    store::{Account, AccountId},
};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// The signing keys of accounts that wrote lately.
#[derive(Default)]
pub struct SigningKeys {
    // A blocking mutex: it is held for a look-up and never over an await.
    kept: Mutex<Generations>,
}

/// Two halves: when the young one is full it becomes the old one, and what was not used since is forgotten.
#[derive(Default)]
struct Generations {
    young: HashMap<AccountId, Kept>,
    old: HashMap<AccountId, Kept>,
}

#[derive(Clone)]
struct Kept {
    // What was opened: an account whose key was replaced must not sign with the one before.
    sealed: Vec<u8>,
    key: SigningKey,
}

impl SigningKeys {
    /// The account's key, if it was opened lately and is still the one that the account has.
    pub fn get(&self, account: &Account) -> Option<SigningKey> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept.young.get(&account.id) {
            return (found.sealed == account.sealed_signing_key).then(|| found.key.clone());
        }
        let found = kept.old.remove(&account.id).filter(|found| found.sealed == account.sealed_signing_key)?;
        let key = found.key.clone();
        kept.keep(account.id, found);
        drop(kept);
        Some(key)
    }

    /// Forgets an account's key: the account is gone.
    pub fn forget(&self, account: AccountId) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.young.remove(&account);
        kept.old.remove(&account);
    }

    /// Keeps an opened key.
    pub fn put(&self, account: &Account, key: &SigningKey) {
        let entry = Kept { sealed: account.sealed_signing_key.clone(), key: key.clone() };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).keep(account.id, entry);
    }
}

impl Generations {
    fn keep(&mut self, id: AccountId, entry: Kept) {
        if self.young.len() >= SIGNING_KEYS_KEPT / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, entry);
    }
}

impl std::fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKeys")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{crypto::Curve, entropy::SeededEntropy, service::fixture::Fixture};

    #[tokio::test]
    async fn a_replaced_key_is_not_found_and_forgotten_accounts_are_opened_again() {
        let fixture = Fixture::new().await;
        let mut account = fixture.account("alice").await;
        let keys = SigningKeys::default();
        let key = SigningKey::generate(Curve::K256, &SeededEntropy::new(1));
        keys.put(&account, &key);
        assert_eq!(keys.get(&account).unwrap().did_key(), key.did_key());
        let sealed = std::mem::replace(&mut account.sealed_signing_key, vec![1, 2, 3]);
        assert!(keys.get(&account).is_none());
        account.sealed_signing_key = sealed;
        assert!(keys.get(&account).is_some());
        let mut other = account.clone();
        for id in 0..i64::try_from(SIGNING_KEYS_KEPT).unwrap() * 2 {
            other.id = AccountId(1_000 + id);
            keys.put(&other, &key);
        }
        assert!(keys.get(&account).is_none());
        let kept = keys.kept.into_inner().unwrap();
        assert!(kept.young.len() + kept.old.len() <= SIGNING_KEYS_KEPT);
    }

    #[tokio::test]
    async fn an_account_that_writes_often_stays_open() {
        let fixture = Fixture::new().await;
        let account = fixture.account("alice").await;
        let key = fixture.server.signing_key(&account).unwrap();
        assert_eq!(key.did_key().to_string(), account.signing_key);
        let mut other = account.clone();
        for id in 0..i64::try_from(SIGNING_KEYS_KEPT).unwrap() * 2 {
            other.id = AccountId(1_000 + id);
            fixture.server.signing_keys.put(&other, &key);
            assert!(fixture.server.signing_keys.get(&account).is_some());
        }
    }
}
