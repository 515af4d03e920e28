//! The commit of a file that is brought in: whose it is, and who signed it.

use tokio::task::spawn_blocking;

use super::{ImportFault, Server};
use crate::{
    crypto::DidKey,
    ipld::Cid,
    outbound::Freshness,
    plc::log::standing,
    repo::{BlockSource, Commit, mst::MstError},
    service::journal::audit_log,
    store::{Account, ImportBlocks},
};

/// The commit under `root`: the account's, signed by a key that is or was that of its repository.
///
/// Earlier keys of a did:plc count, as its log has them: somebody who brings in a backup has often changed the key since.
/// The reference does not look at the signature; nothing that it takes from an honest server is refused here.
pub(super) async fn commit(
    server: &Server,
    account: &Account,
    blocks: &mut ImportBlocks,
    root: Cid,
) -> Result<Commit, ImportFault> {
    let block = blocks.block(&root).map_err(MstError::from)?.ok_or(ImportFault::NoCommit(root))?;
    let commit = Commit::decode(&block)?;
    if commit.unsigned.did != account.did {
        return Err(ImportFault::WrongDid { expected: account.did.clone(), found: commit.unsigned.did });
    }
    if is_signed(&commit, &account.signing_key) {
        return Ok(commit);
    }
    let keys = keys_of(server, account).await?;
    let (commit, signed) = spawn_blocking(move || {
        let signed = keys.iter().any(|key| is_signed(&commit, key));
        (commit, signed)
    })
    .await
    .map_err(|_| crate::store::StoreError::Closed)?;
    if signed { Ok(commit) } else { Err(ImportFault::WrongKey(account.did.clone())) }
}

fn is_signed(commit: &Commit, key: &str) -> bool {
    key.parse::<DidKey>().is_ok_and(|key| commit.verify(&key).is_ok())
}

/// The keys that the DID names for its repository, the latest first, and named before where that is known.
async fn keys_of(server: &Server, account: &Account) -> Result<Vec<String>, ImportFault> {
    if account.did.is_plc() {
        let log = audit_log(server, &account.did).await?;
        let states = standing(&log).rev().filter_map(|entry| entry.operation.normalized());
        let mut keys: Vec<String> = states.filter_map(|state| state.signing_key().map(str::to_owned)).collect();
        keys.dedup();
        return Ok(keys);
    }
    let document = server.resolver.did(&account.did, Freshness::Now).await;
    let document = document.map_err(|cause| ImportFault::KeysUnavailable(cause.to_string()))?;
    Ok(document.signing_key.iter().map(ToString::to_string).collect())
}
