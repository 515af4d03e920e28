//! Another signing key for an account: in the DID document, here, and under the latest commit.

use std::sync::Arc;

use super::change::{StateError, next_operation};
use crate::{
    crypto::{Curve, DidKey, SigningKey, seal::CannotOpen},
    event,
    plc::{self, ConstraintError},
    repo,
    service::{
        Server,
        accounts::reserved_key_purpose,
        journal::{self, JournalError},
    },
    store::{Account, AccountState, ChangeSet, JournalEffect, JournalKind, StoreError},
};

/// Why an account keeps its signing key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RotateKeyError {
    /// The server does not hold the private half.
    #[error(
        "this server does not hold the private half of {0}: reserve a key with com.atproto.server.reserveSigningKey, and \
         name that one"
    )]
    NotReserved(DidKey),
    /// The DID's state does not let the server change it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The directory would not take the operation.
    #[error("the PLC operation is not valid: {0}")]
    Operation(#[from] ConstraintError),
    /// The change of the directory and here.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Gives an account the reserved key `key`. The latest commit is signed anew with it, so that what is exported from then on
/// verifies against the DID document. The key that the account has already changes nothing.
///
/// # Errors
/// [`RotateKeyError`].
pub async fn rotate_signing_key(server: &Arc<Server>, account: &Account, key: &DidKey) -> Result<(), RotateKeyError> {
    let did_key = key.to_string();
    if did_key == account.signing_key {
        return Ok(());
    }
    if server.store.reserved_signing_key(&did_key).await?.is_none() {
        return Err(RotateKeyError::NotReserved(key.clone()));
    }
    let mut state = next_operation(server, &account.did).await?;
    state.set_signing_key(key);
    plc::validate_constraints(&state)?;
    let operation = state.sign(&server.rotation_key);
    journal::submit(server, account, JournalKind::SigningKey { did_key }, &operation).await?;
    Ok(())
}

/// What becomes true with the operation, for whoever holds the account's lock: the key, the commit under it, `#identity`
/// before the commit that only the new key verifies.
pub(in crate::service) async fn effect(
    server: &Server,
    account: &Account,
    did_key: &str,
) -> Result<JournalEffect, JournalError> {
    let damaged = |cause: String| JournalError::Store(StoreError::Damaged(cause));
    let reserved = server.store.reserved_signing_key(did_key).await?;
    let reserved = reserved.ok_or_else(|| damaged(format!("the reserved key {did_key} is gone")))?;
    let plain = server.master_key.open(&reserved_key_purpose(did_key), &reserved)?;
    let key = SigningKey::from_bytes(Curve::K256, &plain).map_err(|_| CannotOpen)?;
    let sealed = server.master_key.seal(&Server::repo_key_purpose(&account.did), &plain, server.entropy.as_ref());
    let head = server.store.head(account.id).await?;
    let head = head.ok_or_else(|| damaged("an account without a repository".to_owned()))?;
    let mut blocks = server.store.plan_blocks(account.id, head.data, Vec::new()).await?;
    let now = server.now();
    let rev = server.tids.rev_after(head.rev, now);
    let plan = repo::plan(&account.did, &head, &mut blocks, &[], rev, &key)
        .map_err(|cause| damaged(format!("the commit under a new key: {cause}")))?;
    let mut events = vec![event::identity(&account.did, Some(&account.handle), now)];
    // One that is not active announces no commits: it says where it stands when it comes back.
    events.extend((account.state == AccountState::Active).then(|| plan.event(&account.did, now)));
    let commit = ChangeSet {
        account: account.id,
        expected_head: Some(head.commit),
        events,
        head: plan.head,
        commit: plan.commit,
        new_nodes: plan.new_nodes,
        removed_nodes: plan.removed_nodes,
        records: Vec::new(),
    };
    Ok(JournalEffect::SigningKey { sealed, did_key: did_key.to_owned(), commit })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Json, json};

    use super::*;
    use crate::{
        event::Frame,
        repo::Commit,
        service::{
            accounts::{check_status, reserve_signing_key},
            journal::{Step, crashing_at, reconcile},
            records,
            testing::{As, World},
        },
    };

    const ROTATE: &str = "com.atproto.admin.updateAccountSigningKey";

    async fn reserved(world: &World) -> DidKey {
        reserve_signing_key(&world.server, None).await.unwrap().parse().unwrap()
    }

    /// Document, account and latest commit agree on this key.
    async fn has_key(world: &World, account: &Account, key: &str) {
        let account = world.reread(account).await;
        assert_eq!(account.signing_key, key);
        assert_eq!(world.server.signing_key(&account).unwrap().did_key().to_string(), key);
        assert!(check_status(&world.server, &account).await.unwrap().valid_did);
        let (_, block) = world.server.store.commit_block(account.id).await.unwrap().unwrap();
        assert!(Commit::decode(&block).unwrap().verify(&key.parse().unwrap()).is_ok());
    }

    async fn note(world: &World, account: &Account) {
        let write = records::Write::Create {
            collection: "com.example.note".parse().unwrap(),
            rkey: None,
            record: json!({ "$type": "com.example.note" }),
            replace_duplicates: false,
        };
        let request = records::WriteRequest { writes: vec![write], ..records::WriteRequest::default() };
        records::write(&world.server, &world.reread(account).await, request).await.unwrap();
    }

    #[tokio::test]
    async fn a_new_key_stands_in_the_document_here_and_under_the_latest_commit() {
        let world = World::new().await;
        let alice = world.account("alice").await;
        note(&world, &alice).await;
        let before = world.server.store.head(alice.id).await.unwrap().unwrap();
        let key = reserved(&world).await;
        let input = json!({ "did": alice.did, "signingKey": key.to_string() });
        assert_eq!(world.post(ROTATE, As::Nobody, &input).await.status, 401);
        world.post(ROTATE, As::Admin, &input).await.ok();
        has_key(&world, &alice, &key.to_string()).await;
        let after = world.server.store.head(alice.id).await.unwrap().unwrap();
        assert_eq!(after.data, before.data, "no record changed");
        let events = world.events().await;
        let [.., Frame::Identity(_), Frame::Commit(commit)] = events.as_slice() else { panic!("{events:?}") };
        assert_eq!((commit.rev, commit.prev_data, commit.ops.len()), (after.rev, Some(before.data), 0));
        note(&world, &alice).await;
        has_key(&world, &alice, &key.to_string()).await;
        let posts = world.directory.posts();
        world.post(ROTATE, As::Admin, &input).await.ok();
        assert_eq!(world.directory.posts(), posts, "it has that key already");
    }

    #[tokio::test]
    async fn a_key_that_the_server_does_not_hold_is_refused_and_nothing_changes() {
        let world = World::new().await;
        let alice = world.account("alice").await;
        let posts = world.directory.posts();
        let foreign = SigningKey::generate(Curve::K256, &crate::entropy::SeededEntropy::new(9)).did_key().to_string();
        for key in [foreign.as_str(), "did:key:zQ3sh", "did:plc:abc", ""] {
            let refused = world.post(ROTATE, As::Admin, &json!({ "did": alice.did, "signingKey": key })).await;
            assert_eq!(refused.error(), (400, "InvalidRequest"), "{key}");
        }
        let nobody = json!({ "did": "did:web:nobody.example.com", "signingKey": foreign });
        assert_eq!(world.post(ROTATE, As::Admin, &nobody).await.error(), (400, "NotFound"));
        assert_eq!(world.post(ROTATE, As::Admin, &Json::Null).await.status, 400);
        assert_eq!(world.directory.posts(), posts);
        has_key(&world, &alice, &alice.signing_key).await;
    }

    #[tokio::test]
    async fn a_crash_at_any_step_ends_with_one_key_everywhere() {
        for step in [Step::Prepared, Step::Posted, Step::Sent, Step::Applied] {
            let world = World::new().await;
            let alice = world.account("alice").await;
            let key = reserved(&world).await;
            drop(crashing_at(step, rotate_signing_key(&world.server, &alice, &key)).await);
            let world = world.restart().await;
            reconcile(&world.server).await.unwrap();
            has_key(&world, &alice, &key.to_string()).await;
            note(&world, &alice).await;
        }
    }
}
