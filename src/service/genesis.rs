//! The first commit of a new account, with the events that announce it.

use std::sync::Arc;

use super::Server;
use crate::{
    crypto::{SigningKey, seal::CannotOpen},
    event::{self, CommitEvent},
    repo,
    store::{Account, AccountId, ChangeSet},
    syntax::{Did, Handle},
};

/// What the network hears of a new account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Announced {
    /// Identity, account, commit and sync.
    Everything,
    /// Nothing until it is activated.
    Nothing,
}

/// The genesis commit of a pending account and its events in the order in which the network expects them: identity,
/// account (active), commit, sync.
pub(super) fn change_set(server: &Arc<Server>, account: &Account) -> Result<ChangeSet, CannotOpen> {
    let key = server.signing_key(account)?;
    let first = first(server, (&account.did, &account.handle), &key, Announced::Everything);
    Ok(ChangeSet { account: account.id, ..first })
}

/// The same for an account that has no number yet.
pub(super) fn first(
    server: &Server,
    (did, handle): (&Did, &Handle),
    key: &SigningKey,
    announced: Announced,
) -> ChangeSet {
    let now = server.now();
    let plan = repo::genesis(did, server.tids.next(now), key);
    let commit = CommitEvent {
        did,
        commit: plan.head.commit,
        rev: plan.head.rev,
        since: plan.since,
        prev_data: plan.prev_data,
        ops: &[],
        blocks: &plan.event_blocks,
    };
    let all = || {
        vec![
            event::identity(did, Some(handle), now),
            event::account(did, None, now),
            event::commit(&commit, now),
            event::sync(did, plan.head.rev, &(plan.head.commit, plan.commit.clone()), now),
        ]
    };
    let events = if announced == Announced::Everything { all() } else { Vec::new() };
    ChangeSet {
        account: AccountId(0),
        expected_head: None,
        head: plan.head,
        commit: plan.commit,
        new_nodes: plan.new_nodes,
        removed_nodes: plan.removed_nodes,
        records: Vec::new(),
        events,
    }
}
