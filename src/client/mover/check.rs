//! Looking before the identity changes, and once more at the end.

use serde_json::Value;
use std::collections::BTreeMap;

use super::{MoveError, Mover, Stand, account::Status, identity::Credentials, note::KnownDelegation};
use crate::{
    client::pds::{CallError, Pds, whole},
    delegation::{DelegationId, Status as Judgement},
    ipld::{Cid, car},
    limits::client::MOVE_COMMIT_CAR_BYTES,
    plc::ATPROTO_KEY,
    repo::Commit,
    syntax::Did,
};

impl Mover<'_> {
    /// Whether the new server has what the old one has. What was written there meanwhile comes along first.
    pub(super) async fn check(&mut self) -> Result<(), MoveError> {
        if self.served {
            return Ok(());
        }
        self.repository().await?;
        let mut missing = self.missing_blobs().await?;
        if !missing.is_empty() {
            self.blobs().await?;
            missing = self.missing_blobs().await?;
        }
        let (old, new) = (self.plan.from.fresh().await?, self.plan.to.fresh().await?);
        let (there, here) = (Status::of(old).await?, Status::of(new).await?);
        let did = &self.plan.did;
        let (root, copy) = (root_of(old, did, &there.commit).await?, root_of(new, did, &here.commit).await?);
        let comparison = compare((there.records, root), (here.records, copy));
        let (old, new) = (old.host(), new.host());
        match comparison {
            Comparison::Same => {}
            Comparison::SameNumber => {
                self.tell(
                    "one of the servers does not show its commit: the records were compared by their number alone",
                );
            }
            Comparison::More => self.tell(format!(
                "{new} keeps {} records of its own beside the {} of {old}, such as statements of delegations",
                here.records - there.records,
                there.records
            )),
            Comparison::Different => {
                // The next run brings the records over anew.
                self.note.imported = None;
                self.save()?;
                return Err(MoveError::Unfit(format!(
                    "{old} has {} records and {new} has {}, and they are not the same: something was written meanwhile, \
                     or the import is not whole; run this again",
                    there.records, here.records
                )));
            }
        }
        if !missing.is_empty() {
            if !self.plan.allow_missing_blobs {
                return Err(MoveError::MissingBlobs(missing));
            }
            self.tell(format!("{} blobs stay behind, as --allow-missing-blobs permits", missing.len()));
        }
        Ok(())
    }

    /// The keys that the document names besides the account's own.
    async fn named_keys(&self) -> Result<BTreeMap<String, String>, MoveError> {
        let did = &self.plan.did;
        let mut keys = if did.is_plc() {
            self.data().await?.verification_methods
        } else {
            let document = self.sources.document(did).await.map_err(MoveError::Unfit)?;
            let methods = document.json.get("verificationMethod").and_then(Value::as_array).into_iter().flatten();
            let named = methods.filter_map(|method| {
                let (_, id) = method.get("id")?.as_str()?.rsplit_once('#')?;
                Some((id.to_owned(), format!("did:key:{}", method.get("publicKeyMultibase")?.as_str()?)))
            });
            named.collect()
        };
        keys.remove(ATPROTO_KEY);
        Ok(keys)
    }

    /// Notes the delegations as they are before the identity changes, once.
    pub(super) async fn remember_delegations(&mut self) -> Result<(), MoveError> {
        if !self.note.delegations.is_empty() {
            return Ok(());
        }
        let mut known = Vec::new();
        for (id, key) in self.named_keys().await? {
            let Ok(id) = id.parse::<DelegationId>() else { continue };
            let judged = self.sources.judge(&self.plan.did, &id, None).await;
            let verified = judged.assessment.verdict.status == Judgement::Verified;
            known.push(KnownDelegation { id, key, verified });
        }
        self.note.delegations = known;
        self.save()
    }

    /// What both servers and public material say at the end: the delegations that verified before, and whether they do.
    pub(super) async fn verify(&mut self) -> Result<Vec<(DelegationId, bool)>, MoveError> {
        let to = self.plan.to.fresh().await?;
        if !Status::of(to).await?.active {
            return Err(MoveError::Unfit(format!("{} says that the account is not active", to.host())));
        }
        let new = Credentials::of(to).await?;
        if !self.is_named(&new).await? {
            return Err(MoveError::Unfit("the DID document does not name the new server and its key".to_owned()));
        }
        if Stand::at(self.plan.from.pds(), &self.plan.did).await == Stand::Active {
            return Err(MoveError::Unfit(format!("the account is still active at {}", self.plan.from.host())));
        }
        let keys = self.named_keys().await?;
        let mut delegations = Vec::new();
        for known in self.note.delegations.iter().filter(|known| known.verified) {
            let judged = self.sources.judge(&self.plan.did, &known.id, None).await;
            let stands = keys.get(known.id.as_str()) == Some(&known.key)
                && judged.assessment.verdict.status == Judgement::Verified;
            delegations.push((known.id.clone(), stands));
        }
        self.note.done = true;
        self.save()?;
        Ok(delegations)
    }
}

/// How what the new server has compares with what the old one has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    /// The same records.
    Same,
    /// As many, and one of the servers does not show more.
    SameNumber,
    /// More: a server may keep what it had of the account, as Housekey does with the statements of delegations.
    More,
    /// Something is missing or other.
    Different,
}

fn compare(old: (u64, Option<Cid>), new: (u64, Option<Cid>)) -> Comparison {
    match (old, new) {
        ((_, Some(root)), (_, Some(copy))) if root == copy => Comparison::Same,
        ((there, _), (here, _)) if there < here => Comparison::More,
        ((there, None), (here, _)) | ((there, _), (here, None)) if there == here => Comparison::SameNumber,
        _ => Comparison::Different,
    }
}

/// The root of the records under a commit; none where the server does not give single blocks.
async fn root_of(pds: &Pds, did: &Did, commit: &str) -> Result<Option<Cid>, MoveError> {
    const METHOD: &str = "com.atproto.sync.getBlocks";
    let wanted: Cid = commit.parse().map_err(|_| CallError::Strange(pds.host(), "checkAccountStatus"))?;
    let answer = match pds.download(METHOD, &[("did", did.as_str()), ("cids", commit)]).await {
        Ok(answer) => answer,
        Err(cause) if cause.is_unknown_method() => return Ok(None),
        Err(cause) => return Err(cause.into()),
    };
    let bytes = whole(answer.body, MOVE_COMMIT_CAR_BYTES).await;
    let bytes = bytes.map_err(|cause| CallError::Unreachable(pds.host(), cause.to_string()))?;
    let strange = || CallError::Strange(pds.host(), METHOD);
    let blocks = car::read_blocks(&bytes).map_err(|_| strange())?;
    let (_, block) = blocks.into_iter().find(|(cid, _)| *cid == wanted).ok_or_else(strange)?;
    let commit = Commit::decode(&block).map_err(|_| strange())?;
    Ok(Some(commit.unsigned.data))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_the_same_by_their_root_and_fewer_or_others_are_not() {
        let (a, b) = (Some(Cid::of_cbor(b"a")), Some(Cid::of_cbor(b"b")));
        for (old, new, expected) in [
            ((2, a), (2, a), Comparison::Same),
            ((2, a), (2, b), Comparison::Different),
            ((2, a), (1, b), Comparison::Different),
            ((2, None), (1, b), Comparison::Different),
            ((2, a), (3, b), Comparison::More),
            ((2, None), (2, a), Comparison::SameNumber),
            ((2, a), (2, None), Comparison::SameNumber),
        ] {
            assert_eq!(compare(old, new), expected, "{old:?} {new:?}");
        }
    }
}
