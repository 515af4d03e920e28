//! The event log: numbers grow, frames parse, each commit undoes to the one before, and the last is where the repository
//! stands.

use std::collections::HashMap;

use super::{Audit, Progress};
use crate::{
    event::{CommitFrame, Frame, SyncFrame},
    ipld::{Cid, car},
    repo::{Commit, MemoryBlocks, proof},
    store::{AuditReader, StoreError},
    syntax::{Did, Tid},
};

/// Where the log leaves a repository.
#[derive(Clone, Copy, Debug)]
struct Last {
    rev: Tid,
    data: Cid,
}

/// Audits the log in one snapshot.
pub(super) fn audit(
    reader: &AuditReader,
    found: &mut Audit,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), StoreError> {
    reader.begin()?;
    let outcome = whole(reader, found, progress);
    reader.end()?;
    outcome
}

fn whole(reader: &AuditReader, found: &mut Audit, progress: &mut dyn FnMut(Progress)) -> Result<(), StoreError> {
    let all = reader.event_count()?;
    let mut last: HashMap<Did, Last> = HashMap::new();
    let mut after = 0;
    loop {
        progress(Progress::Events { done: found.events, all });
        let page = reader.events(after)?;
        if page.is_empty() {
            break;
        }
        for event in page {
            found.events += 1;
            after = event.seq;
            if let Err(why) = one(&event.frame, event.seq, &mut last) {
                found.problem(format_args!("event {}", event.seq), why);
            }
        }
    }
    if after > reader.last_seq()? {
        found.problem("event log", "it has a number that was not given yet");
    }
    for account in reader.accounts()?.iter().filter(|account| account.active) {
        let (Some(last), Some(at)) = (last.get(&account.did), reader.head(account.id)?) else { continue };
        if last.rev != at.head.rev || last.data != at.head.data {
            let what = format!("the log leaves the repository at {}, it stands at {}", last.rev, at.head.rev);
            found.problem(&account.did, what);
        }
    }
    Ok(())
}

fn one(frame: &[u8], seq: i64, last: &mut HashMap<Did, Last>) -> Result<(), String> {
    match Frame::decode(frame).map_err(|cause| cause.to_string())? {
        Frame::Commit(frame) => commit(&frame, seq, last),
        Frame::Sync(frame) => sync(frame, seq, last),
        Frame::Identity(frame) => numbered(frame.seq, seq),
        Frame::Account(frame) => numbered(frame.seq, seq),
        Frame::Info(_) | Frame::Error(_) => Err("a message that is no event".to_owned()),
    }
}

fn numbered(says: i64, is: i64) -> Result<(), String> {
    if says == is { Ok(()) } else { Err(format!("the frame says number {says}")) }
}

fn commit(frame: &CommitFrame, seq: i64, last: &mut HashMap<Did, Last>) -> Result<(), String> {
    numbered(frame.seq, seq)?;
    let (_, blocks) = car::read_all(&frame.blocks).map_err(|cause| cause.to_string())?;
    let mut blocks = MemoryBlocks(blocks.into_iter().collect());
    let block = blocks.0.get(&frame.commit).ok_or("the commit is not among its blocks")?;
    let signed = Commit::decode(block).map_err(|cause| cause.to_string())?.unsigned;
    if signed.did != frame.repo || signed.rev != frame.rev {
        return Err("the commit is another one than the frame says".to_owned());
    }
    let now = Last { rev: frame.rev, data: signed.data };
    if let Some(before) = last.insert(frame.repo.clone(), now) {
        if frame.since != Some(before.rev) || frame.prev_data != Some(before.data) {
            return Err(format!("it does not follow revision {}", before.rev));
        }
        if frame.rev <= before.rev {
            return Err(format!("its revision {} is not after {}", frame.rev, before.rev));
        }
    }
    let Some(prev_data) = frame.prev_data else { return Ok(()) };
    let ops: Vec<_> = frame.ops.iter().map(|op| op.as_op()).collect();
    let undone = proof::invert(&mut blocks, &signed.data, &ops).map_err(|cause| cause.to_string())?;
    if undone == prev_data { Ok(()) } else { Err(format!("undone, it is {undone} and not {prev_data}")) }
}

fn sync(frame: SyncFrame, seq: i64, last: &mut HashMap<Did, Last>) -> Result<(), String> {
    numbered(frame.seq, seq)?;
    let (_, blocks) = car::read_all(&frame.blocks).map_err(|cause| cause.to_string())?;
    let [(_, block)] = blocks.as_slice() else { return Err("it has more than the commit".to_owned()) };
    let signed = Commit::decode(block).map_err(|cause| cause.to_string())?.unsigned;
    if signed.did != frame.did || signed.rev != frame.rev {
        return Err("the commit is another one than the frame says".to_owned());
    }
    last.insert(frame.did, Last { rev: frame.rev, data: signed.data });
    Ok(())
}
