//! Frames as a reader of the stream sees them: typed, and decoded strictly.
//! Spec: <https://atproto.com/specs/event-stream#framing>; schema: `com.atproto.sync.subscribeRepos`.

use bytes::Bytes;

use super::{CommitOp, header, write_op};
use crate::{
    ipld::{
        CborError, Cid, Value,
        cbor::{Reader, Writer},
    },
    limits::repo::{MAX_COMMIT_OPS, MAX_EVENT_BLOCKS_BYTES, MAX_FRAME_BYTES},
    syntax::{Datetime, Did, Handle, SyntaxError, Tid},
};

/// One frame of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// `#commit`
    Commit(CommitFrame),
    /// `#sync`
    Sync(SyncFrame),
    /// `#identity`
    Identity(IdentityFrame),
    /// `#account`
    Account(AccountFrame),
    /// `#info`
    Info(InfoFrame),
    /// An error, after which the stream ends.
    Error(ErrorFrame),
}

/// A repository has a new commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitFrame {
    /// The sequence number.
    pub seq: i64,
    /// The account.
    pub repo: Did,
    /// The commit.
    pub commit: Cid,
    /// Its revision.
    pub rev: Tid,
    /// The revision before.
    pub since: Option<Tid>,
    /// The MST root before.
    pub prev_data: Option<Cid>,
    /// What changed.
    pub ops: Vec<FrameOp>,
    /// A CAR file with the commit as its root.
    pub blocks: Bytes,
    /// Deprecated, always empty now.
    pub blobs: Vec<Cid>,
    /// Deprecated, always false now.
    pub rebase: bool,
    /// Deprecated, always false now.
    pub too_big: bool,
    /// When the event was made.
    pub time: Datetime,
}

/// One op of a [`CommitFrame`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameOp {
    /// `create`, `update` or `delete`.
    pub action: String,
    /// `collection/rkey`.
    pub path: String,
    /// The new CID.
    pub cid: Option<Cid>,
    /// The CID before.
    pub prev: Option<Cid>,
}

impl FrameOp {
    /// The op without ownership, as inversion takes it.
    pub fn as_op(&self) -> CommitOp<'_> {
        CommitOp { action: &self.action, path: &self.path, cid: self.cid, prev: self.prev }
    }
}

/// A repository stands at this commit, whatever was before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncFrame {
    /// The sequence number.
    pub seq: i64,
    /// The account.
    pub did: Did,
    /// The commit's revision.
    pub rev: Tid,
    /// A CAR file with only the commit.
    pub blocks: Bytes,
    /// When the event was made.
    pub time: Datetime,
}

/// An account's handle or DID document may have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityFrame {
    /// The sequence number.
    pub seq: i64,
    /// The account.
    pub did: Did,
    /// Its handle.
    pub handle: Option<Handle>,
    /// When the event was made.
    pub time: Datetime,
}

/// An account's hosting status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountFrame {
    /// The sequence number.
    pub seq: i64,
    /// The account.
    pub did: Did,
    /// Whether its repository can be fetched.
    pub active: bool,
    /// Why not. An open set: relays name more than this server does.
    pub status: Option<String>,
    /// When the event was made.
    pub time: Datetime,
}

/// Something about the stream itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InfoFrame {
    /// `OutdatedCursor`
    pub name: String,
    /// A sentence for people.
    pub message: Option<String>,
}

/// Why the stream ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// `FutureCursor`, `ConsumerTooSlow`.
    pub error: String,
    /// A sentence for people.
    pub message: Option<String>,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Larger than a frame may be.
    #[error("the frame has more than {MAX_FRAME_BYTES} bytes")]
    TooLarge,
    /// Not canonical DAG-CBOR, or not of the types that the schema asks for.
    #[error("the frame is not valid: {0}")]
    Cbor(#[from] CborError),
    /// A header that is neither of a message nor of an error.
    #[error("the frame's header is not valid")]
    Header,
    /// A kind of message that the stream may have one day: to be skipped.
    #[error("the frame is of the unknown kind {0:?}")]
    UnknownKind(String),
    /// Other fields than its kind has.
    #[error("the frame does not have exactly the fields of its kind")]
    Fields,
    /// An identifier or time that is none.
    #[error("the frame is not valid: {0}")]
    Syntax(#[from] SyntaxError),
    /// A sequence number that is not positive.
    #[error("the frame's sequence number is not positive")]
    Sequence,
    /// A handle that is not in lower case.
    #[error("the frame's handle is not in lower case")]
    HandleCase,
    /// More ops than a commit may have.
    #[error("the commit has more than {MAX_COMMIT_OPS} ops")]
    TooManyOps,
    /// More block bytes than a commit may have.
    #[error("the event has more than {MAX_EVENT_BLOCKS_BYTES} bytes of blocks")]
    BlocksTooLarge,
}

impl Frame {
    /// Decodes a frame strictly: exactly the fields of the schema, in canonical form.
    ///
    /// # Errors
    /// The [`FrameError`] that says what is wrong.
    pub fn decode(bytes: &[u8]) -> Result<Self, FrameError> {
        if bytes.len() > MAX_FRAME_BYTES {
            return Err(FrameError::TooLarge);
        }
        let mut reader = Reader::new(bytes);
        let frame = match decode_header(&mut reader)? {
            None => decode_error(&mut reader)?,
            Some("#commit") => decode_commit(&mut reader)?,
            Some("#sync") => decode_sync(&mut reader)?,
            Some("#identity") => decode_identity(&mut reader)?,
            Some("#account") => decode_account(&mut reader)?,
            Some("#info") => decode_info(&mut reader)?,
            Some(other) => return Err(FrameError::UnknownKind(other.to_owned())),
        };
        reader.end()?;
        Ok(frame)
    }

    /// The sequence number, of frames that have one.
    pub const fn seq(&self) -> Option<i64> {
        match self {
            Self::Commit(frame) => Some(frame.seq),
            Self::Sync(frame) => Some(frame.seq),
            Self::Identity(frame) => Some(frame.seq),
            Self::Account(frame) => Some(frame.seq),
            Self::Info(_) | Self::Error(_) => None,
        }
    }

    /// The frame's bytes.
    pub fn encode(&self) -> Bytes {
        let out = match self {
            Self::Commit(frame) => encode_commit(frame),
            Self::Sync(frame) => encode_sync(frame),
            Self::Identity(frame) => encode_identity(frame),
            Self::Account(frame) => encode_account(frame),
            Self::Info(frame) => {
                let mut out = header("#info");
                write_note(&mut out, "name", &frame.name, frame.message.as_deref());
                out
            }
            Self::Error(frame) => {
                let mut out = Writer::new();
                out.map(1).text("op").int(-1);
                write_note(&mut out, "error", &frame.error, frame.message.as_deref());
                out
            }
        };
        Bytes::from(out.into_bytes())
    }
}

/// The kind of a message; `None` for an error.
fn decode_header<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a str>, FrameError> {
    let header = match reader.map()? {
        1 => None,
        2 => {
            expect(reader, "t")?;
            Some(reader.text()?)
        }
        _ => return Err(FrameError::Header),
    };
    expect(reader, "op")?;
    match (header, reader.int()?) {
        (None, -1) | (Some(_), 1) => Ok(header),
        _ => Err(FrameError::Header),
    }
}

fn decode_commit(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let count = reader.map()?;
    if !(11..=12).contains(&count) {
        return Err(FrameError::Fields);
    }
    expect(reader, "ops")?;
    let ops_count = reader.array()?;
    if ops_count > MAX_COMMIT_OPS {
        return Err(FrameError::TooManyOps);
    }
    let ops = (0..ops_count).map(|_| decode_op(reader)).collect::<Result<_, _>>()?;
    expect(reader, "rev")?;
    let rev = reader.text()?.parse()?;
    let seq = decode_seq(reader)?;
    expect(reader, "repo")?;
    let repo = reader.text()?.parse()?;
    let time = decode_time(reader)?;
    expect(reader, "blobs")?;
    let blobs = (0..reader.array()?).map(|_| reader.link()).collect::<Result<_, _>>()?;
    expect(reader, "since")?;
    let since = decode_since(reader)?;
    let blocks = decode_blocks(reader)?;
    expect(reader, "commit")?;
    let commit = reader.link()?;
    expect(reader, "rebase")?;
    let rebase = reader.bool()?;
    expect(reader, "tooBig")?;
    let too_big = reader.bool()?;
    let prev_data = if count == 12 {
        expect(reader, "prevData")?;
        Some(reader.link()?)
    } else {
        None
    };
    Ok(Frame::Commit(CommitFrame {
        seq,
        repo,
        commit,
        rev,
        since,
        prev_data,
        ops,
        blocks,
        blobs,
        rebase,
        too_big,
        time,
    }))
}

fn decode_op(reader: &mut Reader<'_>) -> Result<FrameOp, FrameError> {
    let count = reader.map()?;
    if !(3..=4).contains(&count) {
        return Err(FrameError::Fields);
    }
    expect(reader, "cid")?;
    let cid = reader.link_or_null()?;
    expect(reader, "path")?;
    let path = reader.text()?.to_owned();
    let prev = if count == 4 {
        expect(reader, "prev")?;
        Some(reader.link()?)
    } else {
        None
    };
    expect(reader, "action")?;
    let action = reader.text()?.to_owned();
    Ok(FrameOp { action, path, cid, prev })
}

fn decode_sync(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    if reader.map()? != 5 {
        return Err(FrameError::Fields);
    }
    let did = decode_did(reader)?;
    expect(reader, "rev")?;
    let rev = reader.text()?.parse()?;
    let seq = decode_seq(reader)?;
    let time = decode_time(reader)?;
    let blocks = decode_blocks(reader)?;
    Ok(Frame::Sync(SyncFrame { seq, did, rev, blocks, time }))
}

fn decode_identity(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let count = reader.map()?;
    if !(3..=4).contains(&count) {
        return Err(FrameError::Fields);
    }
    let did = decode_did(reader)?;
    let seq = decode_seq(reader)?;
    let time = decode_time(reader)?;
    let handle = if count == 4 {
        expect(reader, "handle")?;
        let text = reader.text()?;
        let handle: Handle = text.parse()?;
        if handle.as_str() != text {
            return Err(FrameError::HandleCase);
        }
        Some(handle)
    } else {
        None
    };
    Ok(Frame::Identity(IdentityFrame { seq, did, handle, time }))
}

fn decode_account(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let count = reader.map()?;
    if !(4..=5).contains(&count) {
        return Err(FrameError::Fields);
    }
    let did = decode_did(reader)?;
    let seq = decode_seq(reader)?;
    let time = decode_time(reader)?;
    expect(reader, "active")?;
    let active = reader.bool()?;
    let status = if count == 5 {
        expect(reader, "status")?;
        Some(reader.text()?.to_owned())
    } else {
        None
    };
    Ok(Frame::Account(AccountFrame { seq, did, active, status, time }))
}

fn decode_info(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let (name, message) = decode_note(reader, "name")?;
    Ok(Frame::Info(InfoFrame { name, message }))
}

fn decode_error(reader: &mut Reader<'_>) -> Result<Frame, FrameError> {
    let (error, message) = decode_note(reader, "error")?;
    Ok(Frame::Error(ErrorFrame { error, message }))
}

/// A name and perhaps a message.
fn decode_note(reader: &mut Reader<'_>, field: &str) -> Result<(String, Option<String>), FrameError> {
    let count = reader.map()?;
    if !(1..=2).contains(&count) {
        return Err(FrameError::Fields);
    }
    expect(reader, field)?;
    let name = reader.text()?.to_owned();
    let message = if count == 2 {
        expect(reader, "message")?;
        Some(reader.text()?.to_owned())
    } else {
        None
    };
    Ok((name, message))
}

fn decode_did(reader: &mut Reader<'_>) -> Result<Did, FrameError> {
    expect(reader, "did")?;
    Ok(reader.text()?.parse()?)
}

fn decode_seq(reader: &mut Reader<'_>) -> Result<i64, FrameError> {
    expect(reader, "seq")?;
    let seq = reader.int()?;
    if seq > 0 { Ok(seq) } else { Err(FrameError::Sequence) }
}

/// A revision or null.
fn decode_since(reader: &mut Reader<'_>) -> Result<Option<Tid>, FrameError> {
    match reader.value()? {
        Value::Null => Ok(None),
        Value::Text(text) => Ok(Some(text.parse()?)),
        Value::Bool(_) | Value::Int(_) | Value::Bytes(_) | Value::List(_) | Value::Map(_) | Value::Link(_) => {
            Err(FrameError::Fields)
        }
    }
}

fn decode_time(reader: &mut Reader<'_>) -> Result<Datetime, FrameError> {
    expect(reader, "time")?;
    Ok(reader.text()?.parse()?)
}

fn decode_blocks(reader: &mut Reader<'_>) -> Result<Bytes, FrameError> {
    expect(reader, "blocks")?;
    let blocks = reader.bytes()?;
    if blocks.len() > MAX_EVENT_BLOCKS_BYTES {
        return Err(FrameError::BlocksTooLarge);
    }
    Ok(Bytes::copy_from_slice(blocks))
}

fn expect(reader: &mut Reader<'_>, name: &str) -> Result<(), FrameError> {
    if reader.text()? == name { Ok(()) } else { Err(FrameError::Fields) }
}

fn encode_commit(frame: &CommitFrame) -> Writer {
    let mut out = header("#commit");
    out.map(11 + usize::from(frame.prev_data.is_some()));
    out.text("ops").array(frame.ops.len());
    for op in &frame.ops {
        write_op(&mut out, &op.as_op());
    }
    out.text("rev").text(&frame.rev.to_string()).text("seq").int(frame.seq);
    out.text("repo").text(frame.repo.as_str()).text("time").text(frame.time.as_str());
    out.text("blobs").array(frame.blobs.len());
    for blob in &frame.blobs {
        out.link(blob);
    }
    out.text("since");
    match frame.since {
        Some(since) => out.text(&since.to_string()),
        None => out.null(),
    };
    out.text("blocks").bytes(&frame.blocks).text("commit").link(&frame.commit);
    out.text("rebase").bool(frame.rebase).text("tooBig").bool(frame.too_big);
    if let Some(prev_data) = &frame.prev_data {
        out.text("prevData").link(prev_data);
    }
    out
}

fn encode_sync(frame: &SyncFrame) -> Writer {
    let mut out = header("#sync");
    out.map(5).text("did").text(frame.did.as_str()).text("rev").text(&frame.rev.to_string());
    out.text("seq").int(frame.seq).text("time").text(frame.time.as_str()).text("blocks").bytes(&frame.blocks);
    out
}

fn encode_identity(frame: &IdentityFrame) -> Writer {
    let mut out = header("#identity");
    out.map(3 + usize::from(frame.handle.is_some())).text("did").text(frame.did.as_str());
    out.text("seq").int(frame.seq).text("time").text(frame.time.as_str());
    if let Some(handle) = &frame.handle {
        out.text("handle").text(handle.as_str());
    }
    out
}

fn encode_account(frame: &AccountFrame) -> Writer {
    let mut out = header("#account");
    out.map(4 + usize::from(frame.status.is_some())).text("did").text(frame.did.as_str());
    out.text("seq").int(frame.seq).text("time").text(frame.time.as_str()).text("active").bool(frame.active);
    if let Some(status) = &frame.status {
        out.text("status").text(status);
    }
    out
}

fn write_note(out: &mut Writer, field: &str, name: &str, message: Option<&str>) {
    out.map(1 + usize::from(message.is_some())).text(field).text(name);
    if let Some(message) = message {
        out.text("message").text(message);
    }
}
