//! The event stream's payloads and frames. Pure. Spec: <https://atproto.com/specs/sync>, <https://atproto.com/specs/event-stream>.
//!
//! A frame is a header and a payload, both DAG-CBOR. Canonical key order puts `seq` before most of the payload, so a
//! frame is encoded once in two parts and the number goes between them.

mod frame;
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod tests;

pub use frame::{
    AccountFrame, CommitFrame, ErrorFrame, Frame, FrameError, FrameOp, IdentityFrame, InfoFrame, SyncFrame,
};

use bytes::{BufMut, Bytes, BytesMut};

use crate::{
    clock::Timestamp,
    ipld::{Cid, car, cbor::Writer},
    syntax::{Did, Handle, Tid},
};

/// The kinds of events that are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// `#commit`
    Commit = 1,
    /// `#sync`
    Sync = 2,
    /// `#identity`
    Identity = 3,
    /// `#account`
    Account = 4,
}

/// A frame encoded once, without its sequence number, which the writer splices in when it numbers the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnnumberedFrame {
    /// What kind.
    pub kind: EventKind,
    before: Bytes,
    after: Bytes,
}

impl UnnumberedFrame {
    /// The whole frame with its number.
    pub fn number(&self, seq: i64) -> Bytes {
        let mut number = Writer::new();
        number.int(seq);
        let number = number.into_bytes();
        let mut frame = BytesMut::with_capacity(self.before.len() + number.len() + self.after.len());
        frame.put_slice(&self.before);
        frame.put_slice(&number);
        frame.put_slice(&self.after);
        frame.freeze()
    }

    /// Bytes of the frame with the largest number.
    pub fn max_len(&self) -> usize {
        self.before.len() + 9 + self.after.len()
    }
}

/// An account's status as the stream names it; `None` in [`account`] means active.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountStatus {
    /// `takendown`
    Takendown,
    /// `suspended`
    Suspended,
    /// `deleted`
    Deleted,
    /// `deactivated`
    Deactivated,
}

impl AccountStatus {
    /// The name on the stream.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Takendown => "takendown",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Deactivated => "deactivated",
        }
    }
}

/// One op of a commit event.
#[derive(Clone, Copy, Debug)]
pub struct CommitOp<'a> {
    /// `create`, `update` or `delete`.
    pub action: &'a str,
    /// `collection/rkey`.
    pub path: &'a str,
    /// The new CID.
    pub cid: Option<Cid>,
    /// The CID before.
    pub prev: Option<Cid>,
}

/// What a `#commit` says.
#[derive(Clone, Debug)]
pub struct CommitEvent<'a> {
    /// The account.
    pub did: &'a Did,
    /// The commit.
    pub commit: Cid,
    /// Its revision.
    pub rev: Tid,
    /// The revision before.
    pub since: Option<Tid>,
    /// The MST root before.
    pub prev_data: Option<Cid>,
    /// The ops.
    pub ops: &'a [CommitOp<'a>],
    /// The blocks, commit first.
    pub blocks: &'a [(Cid, Bytes)],
}

/// A `#commit` frame.
pub fn commit(event: &CommitEvent<'_>, time: Timestamp) -> UnnumberedFrame {
    let car = car_of(&event.commit, event.blocks);
    let mut before = header("#commit");
    before.map(11 + usize::from(event.prev_data.is_some()));
    before.text("ops").array(event.ops.len());
    for op in event.ops {
        write_op(&mut before, op);
    }
    before.text("rev").text(&event.rev.to_string()).text("seq");
    let mut after = Writer::new();
    after.text("repo").text(event.did.as_str()).text("time").text(&time.to_rfc3339_millis());
    after.text("blobs").array(0).text("since");
    match event.since {
        Some(since) => after.text(&since.to_string()),
        None => after.null(),
    };
    after.text("blocks").bytes(&car).text("commit").link(&event.commit);
    after.text("rebase").bool(false).text("tooBig").bool(false);
    if let Some(prev_data) = &event.prev_data {
        after.text("prevData").link(prev_data);
    }
    unnumbered(EventKind::Commit, before, after)
}

/// A `#sync` frame: only the commit block.
pub fn sync(did: &Did, rev: Tid, commit: &(Cid, Bytes), time: Timestamp) -> UnnumberedFrame {
    let car = car_of(&commit.0, std::slice::from_ref(commit));
    let mut before = header("#sync");
    before.map(5).text("did").text(did.as_str()).text("rev").text(&rev.to_string()).text("seq");
    let mut after = Writer::new();
    after.text("time").text(&time.to_rfc3339_millis()).text("blocks").bytes(&car);
    unnumbered(EventKind::Sync, before, after)
}

/// An `#identity` frame.
pub fn identity(did: &Did, handle: Option<&Handle>, time: Timestamp) -> UnnumberedFrame {
    let mut before = header("#identity");
    before.map(3 + usize::from(handle.is_some())).text("did").text(did.as_str()).text("seq");
    let mut after = Writer::new();
    after.text("time").text(&time.to_rfc3339_millis());
    if let Some(handle) = handle {
        after.text("handle").text(handle.as_str());
    }
    unnumbered(EventKind::Identity, before, after)
}

/// An `#account` frame; `None` is active.
pub fn account(did: &Did, status: Option<AccountStatus>, time: Timestamp) -> UnnumberedFrame {
    let mut before = header("#account");
    before.map(4 + usize::from(status.is_some())).text("did").text(did.as_str()).text("seq");
    let mut after = Writer::new();
    after.text("time").text(&time.to_rfc3339_millis()).text("active").bool(status.is_none());
    if let Some(status) = status {
        after.text("status").text(status.as_str());
    }
    unnumbered(EventKind::Account, before, after)
}

/// An `#info` frame (`OutdatedCursor`).
pub fn info(name: &str, message: &str) -> Bytes {
    let mut out = header("#info");
    out.map(2).text("name").text(name).text("message").text(message);
    Bytes::from(out.into_bytes())
}

/// An error frame (`FutureCursor`, `ConsumerTooSlow`).
pub fn error(name: &str, message: &str) -> Bytes {
    let mut out = Writer::new();
    out.map(1).text("op").int(-1);
    out.map(2).text("error").text(name).text("message").text(message);
    Bytes::from(out.into_bytes())
}

/// The header of a message.
fn header(kind: &str) -> Writer {
    let mut out = Writer::new();
    out.map(2).text("t").text(kind).text("op").int(1);
    out
}

fn write_op(out: &mut Writer, op: &CommitOp<'_>) {
    out.map(3 + usize::from(op.prev.is_some()));
    out.text("cid").link_or_null(op.cid.as_ref()).text("path").text(op.path);
    if let Some(prev) = &op.prev {
        out.text("prev").link(prev);
    }
    out.text("action").text(op.action);
}

fn car_of(root: &Cid, blocks: &[(Cid, Bytes)]) -> Vec<u8> {
    let mut out = car::header(&[*root]);
    // A block's frame is its length (three bytes at most for what an event takes), its CID and its bytes.
    out.reserve(blocks.iter().map(|(cid, bytes)| 3 + cid.as_bytes().len() + bytes.len()).sum());
    for (cid, bytes) in blocks {
        car::write_block(&mut out, cid, bytes);
    }
    out
}

fn unnumbered(kind: EventKind, before: Writer, after: Writer) -> UnnumberedFrame {
    UnnumberedFrame { kind, before: Bytes::from(before.into_bytes()), after: Bytes::from(after.into_bytes()) }
}
