//! Seeing a change with one's own eyes before it is called done.

use super::{Change, Owner, OwnerError, Submitted};
use crate::{
    client::sources::{History, Judged},
    delegation::Status,
    limits::client::{CONFIRM_PAUSE, CONFIRM_PENDING_TRIES, CONFIRM_TRIES},
    plc::UnsignedOperation,
};

/// A change that public material shows.
#[derive(Clone, Debug)]
pub struct Confirmed {
    /// What it says now.
    pub judged: Judged,
    /// What the operation changed besides, in words: an honest server changes nothing else.
    pub besides: Vec<&'static str>,
}

impl Owner {
    /// Reads the log until it shows the change, and a statement for it.
    ///
    /// # Errors
    /// [`OwnerError::Unconfirmed`] with what there is instead.
    pub async fn confirm(&self, change: &Change, submitted: Submitted) -> Result<Confirmed, OwnerError> {
        let tries = match submitted {
            Submitted::Done => CONFIRM_TRIES,
            Submitted::Pending => CONFIRM_PENDING_TRIES,
        };
        let mut judged = self.judge().await;
        for _ in 1..tries {
            if shows(&judged, change) {
                break;
            }
            tokio::time::sleep(CONFIRM_PAUSE).await;
            judged = self.judge().await;
        }
        if shows(&judged, change) {
            let besides = change.planned.as_ref().map_or_else(Vec::new, |planned| besides(&judged, planned));
            return Ok(Confirmed { judged, besides });
        }
        let named = judged.assessment.key().map_or("no key", |key| key.as_str());
        let status = judged.assessment.verdict.status;
        let mut words = vec![format!("it names {named}, and the verdict is {status:?}")];
        words.extend(judged.gathered.problems);
        Err(OwnerError::Unconfirmed(words.join("; ")))
    }
}

/// Whether what is public now is what the change was to lead to, its statement included.
fn shows(judged: &Judged, change: &Change) -> bool {
    let assessment = &judged.assessment;
    let wanted = if change.key.is_some() { Status::Verified } else { Status::Ended };
    let named = assessment.key().and_then(|key| key.supported().ok());
    let is_stated = change.statement.as_ref().is_none_or(|statement| {
        let cid = statement.cid();
        assessment.eras.last().is_some_and(|era| era.proofs.iter().any(|proof| proof.statement == cid))
    });
    assessment.verdict.status == wanted && named == change.key.as_ref() && is_stated
}

/// What the operation of the change did that was not asked for.
fn besides(judged: &Judged, planned: &UnsignedOperation) -> Vec<&'static str> {
    let History::Plc(entries) = &judged.gathered.history else { return Vec::new() };
    let operation = judged.assessment.eras.last().and_then(|era| era.operation);
    let made = entries.iter().find(|entry| Some(entry.cid) == operation).and_then(|entry| entry.operation.normalized());
    made.map_or_else(Vec::new, |made| differences(&made, planned))
}

fn differences(made: &UnsignedOperation, planned: &UnsignedOperation) -> Vec<&'static str> {
    let changed = [
        (made.rotation_keys != planned.rotation_keys, "the rotation keys"),
        (made.verification_methods != planned.verification_methods, "other verification methods"),
        (made.also_known_as != planned.also_known_as, "the handle"),
        (made.services != planned.services, "the services"),
        (made.prev != planned.prev, "the operation that it follows"),
    ];
    changed.into_iter().filter_map(|(differs, what)| differs.then_some(what)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_that_is_as_planned_changed_nothing_besides() {
        let planned = UnsignedOperation { rotation_keys: vec!["a".into()], ..UnsignedOperation::default() };
        assert!(differences(&planned, &planned).is_empty());
    }

    #[test]
    fn a_rotation_key_or_a_service_that_was_slipped_in_is_told() {
        let planned = UnsignedOperation { rotation_keys: vec!["a".into()], ..UnsignedOperation::default() };
        let made = UnsignedOperation { rotation_keys: vec!["b".into(), "a".into()], ..planned.clone() };
        assert_eq!(differences(&made, &planned), ["the rotation keys"]);
        let mut made = planned.clone();
        made.set_pds("https://elsewhere.example");
        assert_eq!(differences(&made, &planned), ["the services"]);
    }
}
