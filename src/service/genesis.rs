//! The first commit of a new account, with the events that announce it.

use std::sync::Arc;

use super::Server;
use crate::{
    crypto::seal::CannotOpen,
    event::{self, CommitEvent},
    repo,
    store::{Account, ChangeSet},
};

/// The genesis commit of a pending account and its events in the order in which the network expects them: identity,
/// account (active), commit, sync.
pub(super) fn change_set(server: &Arc<Server>, account: &Account) -> Result<ChangeSet, CannotOpen> {
    let key = server.signing_key(account)?;
    let now = server.now();
    let plan = repo::genesis(&account.did, server.tids.next(now), &key);
    let commit = CommitEvent {
        did: &account.did,
        commit: plan.head.commit,
        rev: plan.head.rev,
        since: plan.since,
        prev_data: plan.prev_data,
        ops: &[],
        blocks: &plan.event_blocks,
    };
    let events = vec![
        event::identity(&account.did, Some(&account.handle), now),
        event::account(&account.did, None, now),
        event::commit(&commit, now),
        event::sync(&account.did, plan.head.rev, &(plan.head.commit, plan.commit.clone()), now),
    ];
    Ok(ChangeSet {
        account: account.id,
        expected_head: None,
        head: plan.head,
        commit: plan.commit,
        new_nodes: plan.new_nodes,
        removed_nodes: plan.removed_nodes,
        records: Vec::new(),
        events,
    })
}
