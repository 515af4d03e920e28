//! `sequencer.sqlite`: where the event stream stands, and its recent events in the form of ours.

use bytes::Bytes;

use super::{
    accounts::time,
    foreign::{Foreign, Unreadable},
};
use crate::{
    clock::Timestamp,
    event::Frame,
    ipld::{Value, cbor},
};

/// An event as it goes over the wire, with its number.
pub(super) struct CarriedEvent {
    pub(super) seq: i64,
    pub(super) time: Timestamp,
    pub(super) frame: Bytes,
}

/// The greatest number that was ever given; 0 if none was.
pub(super) fn latest(db: &Foreign) -> Result<i64, Unreadable> {
    let given = db.one("SELECT seq FROM sqlite_sequence WHERE name = 'repo_seq'", [], |row| row.get(0))?;
    let stored = db.one("SELECT coalesce(max(seq), 0) FROM repo_seq", [], |row| row.get(0))?;
    Ok(given.unwrap_or(0).max(stored.unwrap_or(0)))
}

/// A page of events since `from` with numbers after `after`; how many of them could not be turned into ours.
pub(super) fn events(
    db: &Foreign,
    from: &str,
    after: i64,
    limit: i64,
) -> Result<(Vec<CarriedEvent>, usize, Option<i64>), Unreadable> {
    let rows = db.all(
        "SELECT seq, eventType, event, sequencedAt FROM repo_seq
         WHERE seq > ?1 AND sequencedAt >= ?2 AND invalidated = 0 ORDER BY seq LIMIT ?3",
        (after, from, limit),
        |row| {
            let event: Vec<u8> = row.get(2)?;
            Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?, event, row.get::<_, String>(3)?))
        },
    )?;
    let last = rows.last().map(|(seq, ..)| *seq);
    let count = rows.len();
    let carried: Vec<_> = rows.iter().filter_map(|(seq, kind, event, at)| carried(*seq, kind, event, at)).collect();
    let lost = count - carried.len();
    Ok((carried, lost, last))
}

/// The reference keeps the payload without number and time. What does not become a valid frame is left out.
fn carried(seq: i64, kind: &str, event: &[u8], at: &str) -> Option<CarriedEvent> {
    let kind = match kind {
        "append" => "#commit",
        "sync" => "#sync",
        "identity" => "#identity",
        "account" => "#account",
        _ => return None,
    };
    let Value::Map(mut payload) = cbor::decode(event).ok()? else { return None };
    payload.insert("seq", Value::Int(seq));
    payload.insert("time", at);
    let mut out = cbor::Writer::new();
    out.map(2).text("t").text(kind).text("op").int(1).value(&Value::Map(payload));
    let frame = Bytes::from(out.into_bytes());
    Frame::decode(&frame).ok()?;
    Some(CarriedEvent { seq, time: time(at)?, frame })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipld::Map;

    #[test]
    fn an_event_gets_its_number_and_time_and_nonsense_is_left_out() {
        let mut payload = Map::new();
        payload.insert("did", "did:plc:ewvi7nxzyoun6zhxrhs64oiz");
        payload.insert("handle", "alice.test");
        let payload = cbor::encode(&Value::Map(payload));
        let event = carried(42, "identity", &payload, "2026-11-22T10:00:00.000Z").unwrap();
        let Frame::Identity(frame) = Frame::decode(&event.frame).unwrap() else { panic!("an identity event") };
        assert_eq!((frame.seq, frame.handle.unwrap().as_str()), (42, "alice.test"));
        assert_eq!(event.time.to_rfc3339_millis(), "2026-11-22T10:00:00.000Z");
        for (kind, payload, at) in [
            ("identity", &b"\xa0"[..], "2026-11-22T10:00:00.000Z"),
            ("identity", &payload, "yesterday"),
            ("handle", &payload, "2026-11-22T10:00:00.000Z"),
            ("identity", b"\xff", "2026-11-22T10:00:00.000Z"),
        ] {
            assert!(carried(42, kind, payload, at).is_none(), "{kind} {at}");
        }
    }
}
