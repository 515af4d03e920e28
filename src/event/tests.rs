//! Frames against their schema, byte for byte where it matters.

use bytes::Bytes;

use super::*;
use crate::{
    ipld::{Cid, Value, car, cbor},
    syntax::Datetime,
};

fn did() -> Did {
    "did:plc:ewvi7nxzyoun6zhxrhs64oiz".parse().unwrap()
}

fn tid(text: &str) -> Tid {
    text.parse().unwrap()
}

const NOON: Timestamp = Timestamp::from_micros(1_700_000_000_123_456);
const REV: &str = "3jzfcijpj2z2a";
const SINCE: &str = "3jzfcijpj2z22";

fn block(n: u8) -> (Cid, Bytes) {
    let bytes = Bytes::from(vec![n]);
    (Cid::of_cbor(&bytes), bytes)
}

/// A commit frame with one op of each kind, numbered.
fn sample(seq: i64, past: bool) -> Bytes {
    let (commit_cid, new, old) = (block(0).0, block(1).0, block(2).0);
    let op = |action, path, cid, prev| CommitOp { action, path, cid, prev };
    let ops = [
        op("create", "com.example.a/1", Some(new), None),
        op("update", "com.example.a/2", Some(new), Some(old)),
        op("delete", "com.example.a/3", None, Some(old)),
    ];
    let event = CommitEvent {
        did: &did(),
        commit: commit_cid,
        rev: tid(REV),
        since: past.then(|| tid(SINCE)),
        prev_data: past.then(|| block(3).0),
        ops: &ops,
        blocks: &[block(0), block(1)],
    };
    let frame = commit(&event, NOON);
    let numbered = frame.number(seq);
    assert!(numbered.len() <= frame.max_len());
    numbered
}

/// Header and payload as the data model sees them; both are canonical or this fails.
fn parts(frame: &[u8]) -> (Value, Value) {
    let (header, length) = cbor::decode_prefix(frame).unwrap();
    (header, cbor::decode(&frame[length..]).unwrap())
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_map().unwrap().iter().map(|(key, _)| key).collect()
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).unwrap().as_text().unwrap()
}

#[test]
fn a_commit_frame_has_every_field_of_the_schema() {
    let frame = sample(7, true);
    let (header, payload) = parts(&frame);
    assert_eq!((text(&header, "t"), header.get("op").unwrap().as_int()), ("#commit", Some(1)));
    let fields =
        ["ops", "rev", "seq", "repo", "time", "blobs", "since", "blocks", "commit", "rebase", "tooBig", "prevData"];
    assert_eq!(keys(&payload), fields);
    assert_eq!(payload.get("seq"), Some(&Value::Int(7)));
    assert_eq!(text(&payload, "repo"), did().as_str());
    assert_eq!((text(&payload, "rev"), text(&payload, "since")), (REV, SINCE));
    assert_eq!(text(&payload, "time"), "2023-11-14T22:13:20.123Z");
    assert_eq!((payload.get("rebase"), payload.get("tooBig")), (Some(&Value::Bool(false)), Some(&Value::Bool(false))));
    assert_eq!(payload.get("blobs"), Some(&Value::List(Vec::new())));
    let blocks = payload.get("blocks").unwrap().as_bytes().unwrap();
    let (roots, blocks) = car::read_all(blocks).unwrap();
    assert_eq!((roots, blocks), (vec![block(0).0], vec![block(0), block(1)]));
    let ops = payload.get("ops").unwrap().as_list().unwrap();
    assert_eq!(keys(&ops[0]), ["cid", "path", "action"], "a creation has no prev");
    assert_eq!(ops[2].get("cid"), Some(&Value::Null), "a deletion's cid is null");
    assert_eq!(ops[2].get("prev"), Some(&Value::Link(block(2).0)));
}

#[test]
fn a_first_commit_has_a_null_since_and_no_prev_data() {
    let frame = sample(1, false);
    let (_, payload) = parts(&frame);
    assert_eq!(payload.get("since"), Some(&Value::Null));
    assert_eq!(payload.get("prevData"), None);
}

#[test]
fn numbers_of_every_width_are_spliced_canonically() {
    for seq in [1, 23, 24, 255, 256, 65_535, 65_536, 4_294_967_295, 4_294_967_296, 9_007_199_254_740_991] {
        let frame = sample(seq, true);
        let decoded = Frame::decode(&frame).unwrap();
        assert_eq!(decoded.seq(), Some(seq));
        assert_eq!(decoded.encode(), frame);
    }
}

#[test]
fn every_kind_of_frame_decodes_to_what_was_said() {
    let handle: Handle = "alice.example.com".parse().unwrap();
    let time: Datetime = "2023-11-14T22:13:20.123Z".parse().unwrap();
    let seq = 5;
    let mut frames = vec![
        (sync(&did(), tid(REV), &block(0), NOON), EventKind::Sync, None),
        (
            identity(&did(), Some(&handle), NOON),
            EventKind::Identity,
            Some(Frame::Identity(IdentityFrame { seq, did: did(), handle: Some(handle), time: time.clone() })),
        ),
        (
            identity(&did(), None, NOON),
            EventKind::Identity,
            Some(Frame::Identity(IdentityFrame { seq, did: did(), handle: None, time: time.clone() })),
        ),
        (
            account(&did(), None, NOON),
            EventKind::Account,
            Some(Frame::Account(AccountFrame { seq, did: did(), active: true, status: None, time: time.clone() })),
        ),
    ];
    let statuses = [
        (AccountStatus::Takendown, "takendown"),
        (AccountStatus::Suspended, "suspended"),
        (AccountStatus::Deleted, "deleted"),
        (AccountStatus::Deactivated, "deactivated"),
    ];
    for (status, name) in statuses {
        let status_text = Some(name.to_owned());
        let said = AccountFrame { seq, did: did(), active: false, status: status_text, time: time.clone() };
        frames.push((account(&did(), Some(status), NOON), EventKind::Account, Some(Frame::Account(said))));
    }
    for (unnumbered, kind, expected) in frames {
        assert_eq!(unnumbered.kind, kind);
        let bytes = unnumbered.number(seq);
        parts(&bytes);
        let decoded = Frame::decode(&bytes).unwrap();
        assert_eq!(decoded.encode(), bytes);
        if let Some(expected) = expected {
            assert_eq!(decoded, expected);
        }
    }
}

#[test]
fn a_sync_frame_carries_only_the_commit() {
    let frame = sync(&did(), tid(REV), &block(0), NOON).number(9);
    let Frame::Sync(sync) = Frame::decode(&frame).unwrap() else { panic!("not a sync frame") };
    assert_eq!((sync.seq, sync.did, sync.rev), (9, did(), tid(REV)));
    assert_eq!(car::read_all(&sync.blocks).unwrap(), (vec![block(0).0], vec![block(0)]));
}

#[test]
fn notes_of_the_stream_have_no_number() {
    let outdated = info("OutdatedCursor", "too old");
    let decoded = Frame::decode(&outdated).unwrap();
    let said = InfoFrame { name: "OutdatedCursor".to_owned(), message: Some("too old".to_owned()) };
    assert_eq!((&decoded, decoded.seq()), (&Frame::Info(said), None));
    assert_eq!(decoded.encode(), outdated);
    let future = error("FutureCursor", "from tomorrow");
    let (header, payload) = parts(&future);
    assert_eq!((keys(&header), keys(&payload)), (vec!["op"], vec!["error", "message"]));
    assert_eq!(header.get("op"), Some(&Value::Int(-1)));
    let decoded = Frame::decode(&future).unwrap();
    assert_eq!(decoded.encode(), future);
    assert!(matches!(decoded, Frame::Error(ErrorFrame { error, .. }) if error == "FutureCursor"));
}

/// A frame with another header or payload than the encoders write.
fn forged(write: impl FnOnce(&mut Writer)) -> Result<Frame, FrameError> {
    let mut out = Writer::new();
    write(&mut out);
    Frame::decode(&out.into_bytes())
}

#[test]
fn malformed_headers_are_refused() {
    let unknown = forged(|out| {
        out.map(2).text("t").text("#new").text("op").int(1).map(0);
    });
    assert_eq!(unknown, Err(FrameError::UnknownKind("#new".to_owned())));
    let error_with_kind = forged(|out| {
        out.map(2).text("t").text("#commit").text("op").int(-1).map(0);
    });
    assert_eq!(error_with_kind, Err(FrameError::Header));
    let message_without_kind = forged(|out| {
        out.map(1).text("op").int(1).map(0);
    });
    assert_eq!(message_without_kind, Err(FrameError::Header));
    assert_eq!(Frame::decode(&vec![0; 5_000_001]), Err(FrameError::TooLarge));
}

#[test]
fn malformed_payloads_are_refused() {
    let identity = |seq: i64, handle: &str, time: &str| {
        forged(|out| {
            out.map(2).text("t").text("#identity").text("op").int(1);
            out.map(4).text("did").text(did().as_str()).text("seq").int(seq);
            out.text("time").text(time).text("handle").text(handle);
        })
    };
    let time = "2023-11-14T22:13:20.123Z";
    assert!(identity(1, "a.example.com", time).is_ok());
    assert_eq!(identity(0, "a.example.com", time), Err(FrameError::Sequence));
    assert_eq!(identity(1, "A.example.com", time), Err(FrameError::HandleCase));
    assert!(matches!(identity(1, "nothing", time), Err(FrameError::Syntax(_))));
    assert!(matches!(identity(1, "a.example.com", "today"), Err(FrameError::Syntax(_))));
    let missing = forged(|out| {
        out.map(2).text("t").text("#sync").text("op").int(1).map(1).text("did").text(did().as_str());
    });
    assert_eq!(missing, Err(FrameError::Fields));
    let ops = forged(|out| {
        out.map(2).text("t").text("#commit").text("op").int(1).map(11).text("ops").array(201);
        for _ in 0..201 {
            out.null();
        }
    });
    assert_eq!(ops, Err(FrameError::TooManyOps));
    let mut longer = sample(1, true).to_vec();
    longer.push(0xf6);
    assert!(matches!(Frame::decode(&longer), Err(FrameError::Cbor(_))));
}

#[test]
fn an_event_with_too_many_block_bytes_is_refused() {
    let frame = sync(&did(), tid(REV), &(block(0).0, Bytes::from(vec![0; 2_000_000])), NOON).number(1);
    assert_eq!(Frame::decode(&frame), Err(FrameError::BlocksTooLarge));
}

#[test]
fn damaged_frames_never_panic_and_never_decode_to_something_else() {
    let frames = [
        sample(300, true),
        sample(300, false),
        sync(&did(), tid(REV), &block(0), NOON).number(1),
        account(&did(), Some(AccountStatus::Deleted), NOON).number(1),
        identity(&did(), None, NOON).number(1),
        info("OutdatedCursor", "too old"),
        error("FutureCursor", "from tomorrow"),
    ];
    for frame in frames {
        fuzzing::frame(&frame);
        for at in 0..frame.len() {
            fuzzing::frame(&frame[..at]);
            for flip in [0x01, 0x20, 0x80, 0xff] {
                let mut bad = frame.to_vec();
                bad[at] ^= flip;
                fuzzing::frame(&bad);
            }
        }
    }
}
