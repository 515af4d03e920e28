use super::*;
use crate::{
    clock::Timestamp,
    delegation::app_data::{AppDataFault, check_brought, check_entry, check_put},
    ipld::{Map, Value},
    limits::delegation as limits,
    syntax::Tid,
};

const APP: &str = "com.example.chat";

fn map(entries: &[(&str, &str)]) -> Map {
    entries.iter().copied().collect()
}

fn put(world: &World, existing: &[AppData], entry: &AppData) -> Result<Option<crate::syntax::Nsid>, DelegationError> {
    check_put(existing, entry, (&world.did, &world.id), &key(1).public(), world.now)
}

fn draft(world: &World) -> AppDataDraft {
    AppDataDraft {
        did: world.did.clone(),
        id: world.id.clone(),
        app: APP.parse().unwrap(),
        rev: Tid::new(world.now, 0),
        data: Some(Map::new()),
        expires_at: world.now.plus(hours(24)),
    }
}

fn message(result: Result<Option<crate::syntax::Nsid>, DelegationError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.name(), "InvalidAssociatedData");
    error.to_string()
}

#[test]
fn an_entry_is_written_and_read_in_every_form() {
    let world = world();
    for entry in [world.entry(APP, Some(map(&[("a", "b")])), &key(1)), world.entry(APP, None, &key(1))] {
        assert_eq!(AppData::from_map(&entry.to_map()).as_ref(), Ok(&entry));
        assert_eq!(AppData::from_json(&entry.to_json()).as_ref(), Ok(&entry));
        assert_eq!(AppData::from_record(&entry.to_record()).as_ref(), Ok(&entry));
        assert_eq!(entry.record_key().as_str(), "e2ee:com.example.chat");
        assert!(entry.is_signed());
        assert_eq!(put(&world, &[], &entry), Ok(None));
    }
}

#[test]
fn an_entry_is_a_closed_map() {
    let world = world();
    let good = world.entry(APP, None, &key(1)).to_map();
    for field in ["$type", "did", "id", "key", "app", "rev", "expiresAt", "sig"] {
        let mut map = good.clone();
        map.remove(field);
        assert!(AppData::from_map(&map).is_err(), "{field}");
    }
    for (field, value) in [("extra", Value::Bool(true)), ("data", Value::Null), ("data", "text".into())] {
        let mut map = good.clone();
        map.insert(field, value);
        assert!(AppData::from_map(&map).is_err(), "{field}");
    }
}

#[test]
fn data_of_32_kib_is_taken_and_one_byte_more_is_not() {
    let world = world();
    // A map with one entry: its header, the key and the header of the text take 6 bytes.
    for (length, taken) in [(limits::APP_DATA_MAX_BYTES - 6, true), (limits::APP_DATA_MAX_BYTES - 5, false)] {
        let entry = world.entry(APP, Some(map(&[("a", &"x".repeat(length))])), &key(1));
        let size = crate::ipld::cbor::encode(&Value::Map(entry.data().unwrap().clone())).len();
        assert_eq!(size, limits::APP_DATA_MAX_BYTES + usize::from(!taken));
        assert_eq!(AppData::from_map(&entry.to_map()).is_ok(), taken);
    }
}

#[test]
fn a_domain_is_a_public_name_in_lower_case_and_nothing_else() {
    let world = world();
    let read = |data: Map| AppData::from_map(&world.entry(DOMAIN_APP, Some(data), &key(1)).to_map());
    for name in ["keys.example.com", "xn--bcher-kva.example.org", "a.test"] {
        assert_eq!(read(map(&[("domain", name)])).unwrap().domain(), Some(name), "{name}");
    }
    for name in [
        "",
        "localhost",
        "Example.com",
        "example.com.",
        "example.com:443",
        "https://example.com",
        "192.0.2.1",
        "[2001:db8::1]",
        "2001:db8::1",
        "printer.local",
        "x.onion",
        "a b.com",
        "b\u{fc}cher.example.org",
        "user@example.com",
        "example.com/path",
    ] {
        assert!(read(map(&[("domain", name)])).is_err(), "{name}");
    }
    assert!(read(Map::new()).is_err());
    assert!(read(map(&[("domain", "a.test"), ("port", "1")])).is_err());
    assert!(AppData::from_map(&world.entry(DOMAIN_APP, None, &key(1)).to_map()).is_ok(), "an end has no data");
}

#[test]
fn a_rev_may_be_five_minutes_ahead_and_no_more() {
    let world = world();
    let at = |ahead: Duration| AppDataDraft { rev: Tid::new(world.now.plus(ahead), 0), ..draft(&world) }.sign(&key(1));
    let limit = limits::APP_DATA_REV_MAX_AHEAD;
    assert_eq!(put(&world, &[], &at(limit)), Ok(None));
    assert!(message(put(&world, &[], &at(limit + Duration::from_millis(1)))).contains("rev"));
}

#[test]
fn an_entry_lives_for_90_days_at_most_and_must_not_have_expired() {
    let world = world();
    let until = |at: Timestamp| AppDataDraft { expires_at: at, ..draft(&world) }.sign(&key(1));
    let days = Duration::from_hours(24 * 90);
    assert_eq!(put(&world, &[], &until(world.now.plus(days))), Ok(None));
    assert!(message(put(&world, &[], &until(world.now.plus(days + hours(1))))).contains("90"));
    assert!(message(put(&world, &[], &until(world.now))).contains("passed"));
}

#[test]
fn only_the_current_key_signs_for_this_delegation() {
    let world = world();
    assert!(message(put(&world, &[], &draft(&world).sign(&key(2)))).contains("key"));
    let other = AppDataDraft { did: World::new(2).did, ..draft(&world) }.sign(&key(1));
    assert!(message(put(&world, &[], &other)).contains("did"));
    let mut forged = draft(&world).sign(&key(1)).to_map();
    forged.insert("data", map(&[("changed", "yes")]));
    assert!(message(put(&world, &[], &AppData::from_map(&forged).unwrap())).contains("sig"));
}

#[test]
fn a_rev_that_does_not_grow_is_stale_unless_the_key_changed() {
    let world = world();
    let old = draft(&world).sign(&key(1));
    assert_eq!(put(&world, std::slice::from_ref(&old), &old), Err(DelegationError::StaleRevision));
    let newer = AppDataDraft { rev: Tid::after(Some(old.rev()), world.now, 0), ..draft(&world) }.sign(&key(1));
    assert_eq!(put(&world, &[old], &newer), Ok(None));
    let of_another_key = AppDataDraft { rev: newer.rev(), ..draft(&world) }.sign(&key(2));
    assert_eq!(put(&world, &[of_another_key], &draft(&world).sign(&key(1))), Ok(None));
}

#[test]
fn the_33rd_entry_takes_the_place_of_the_oldest_ended_one_or_none() {
    let mut world = world();
    let mut existing = Vec::new();
    for n in 0..32 {
        world.pass(Duration::from_secs(1));
        let data = (n != 5 && n != 9).then(Map::new);
        existing.push(world.entry(&format!("com.example.app{n}"), data, &key(1)));
    }
    let new = world.entry(APP, Some(Map::new()), &key(1));
    let freed = put(&world, &existing, &new).unwrap().map(|app| app.to_string());
    assert_eq!(freed.as_deref(), Some("com.example.app5"));
    for entry in &mut existing {
        if entry.data().is_none() {
            *entry = world.entry(entry.app().as_str(), Some(Map::new()), &key(1));
        }
    }
    assert!(message(put(&world, &existing, &new)).contains("32"));
    // One that is there already can always be changed.
    world.pass(Duration::from_secs(1));
    let changed = world.entry("com.example.app7", None, &key(1));
    assert_eq!(put(&world, &existing, &changed), Ok(None));
}

#[test]
fn entries_that_a_key_change_brings_along_are_signed_by_the_new_key() {
    let world = world();
    let beside = |entries: &[AppData], existing: &[AppData]| {
        let (delegation, key) = ((&world.did, &world.id), key(2).public());
        check_brought(entries, existing, delegation, &key, world.now).map_err(|error| error.name())
    };
    let check = |entries: &[AppData]| beside(entries, &[]);
    let of = |n: u64, app: &str| world.entry(app, Some(Map::new()), &key(n));
    assert_eq!(check(&[of(2, APP), of(2, "com.example.other")]), Ok(()));
    assert_eq!(check(&[of(2, APP), of(1, "com.example.other")]), Err("InvalidAssociatedData"));
    assert_eq!(check(&[of(2, APP), of(2, APP)]), Err("InvalidAssociatedData"));
    assert_eq!(check(&vec![of(2, APP); 33]), Err("InvalidAssociatedData"));

    // Where the key has entries already, they keep their revisions and their places.
    assert_eq!(beside(&[of(2, APP)], &[of(2, APP)]), Err("StaleRevision"));
    assert_eq!(beside(&[of(2, APP)], &[of(1, APP)]), Ok(()), "that of another key leaves");
    let many: Vec<AppData> = (0..32).map(|n| of(2, &format!("com.example.app{n}"))).collect();
    assert_eq!(beside(&[of(2, APP)], &many[..31]), Ok(()));
    assert_eq!(beside(&[of(2, APP)], &many), Err("InvalidAssociatedData"));
}

#[test]
fn a_reader_ignores_what_lies_ahead_and_takes_the_latest_of_an_app() {
    let mut world = world();
    let old = world.entry(APP, Some(Map::new()), &key(1));
    world.pass(hours(1));
    let new = world.entry(APP, Some(map(&[("v", "2")])), &key(1));
    world.pass(hours(1));
    let ahead = world.entry(APP, None, &key(1));
    let now = ahead.rev().timestamp().minus(hours(1));
    let verdict = check_entry(&ahead, (&world.did, &world.id), &key(1).public(), None, now);
    assert_eq!(verdict, Err(AppDataFault::RevAhead));
    world.now = now;
    for entries in [[old.clone(), new.clone(), ahead.clone()], [ahead, new.clone(), old]] {
        world.entries = entries.to_vec();
        let seen = world.assess().associated;
        assert_eq!(seen.apps.values().collect::<Vec<_>>(), [&new]);
        assert_eq!(seen.refused.len(), 1);
    }
}

#[test]
fn the_well_known_body_is_written_and_read() {
    let world = world();
    let entry = world.entry(APP, Some(Map::new()), &key(1));
    let body =
        WellKnown::active(world.did.clone(), world.id.clone(), Some(world.statements[0].clone()), vec![entry.clone()]);
    let json = body.to_json();
    assert_eq!(json["version"], 1);
    assert_eq!(json["did"], world.did.as_str());
    assert_eq!(json["id"], "e2ee");
    assert_eq!(json["statement"], world.statements[0].to_json());
    assert_eq!(json["apps"][APP], entry.to_json());
    assert_eq!(json.as_object().unwrap().len(), 5);
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&body.to_bytes()).unwrap(), json);
    assert_eq!(WellKnown::from_json(&json, &world.did, &world.id), Ok(body));
}

#[test]
fn the_well_known_body_of_an_ended_id_has_its_ending_and_no_apps() {
    let world = world();
    let ending = world.ending(&key(1));
    let body = WellKnown::ended(world.did.clone(), world.id.clone(), Some(ending.clone())).to_json();
    assert_eq!(body["statement"], ending.to_json());
    assert_eq!(body["apps"], serde_json::json!({}));
    let unsigned = WellKnown::ended(world.did.clone(), world.id.clone(), None).to_json();
    assert!(unsigned.get("statement").is_none());
    // A claim is no ending.
    let claim = WellKnown::ended(world.did.clone(), world.id.clone(), Some(world.statements[0].clone()));
    assert_eq!(claim.statement, None);
}

#[test]
fn a_well_known_body_about_something_else_is_refused_and_junk_in_it_left_out() {
    let world = world();
    let mut body = WellKnown::active(world.did.clone(), world.id.clone(), None, Vec::new()).to_json();
    let read = |body: &serde_json::Value| WellKnown::from_json(body, &world.did, &world.id);
    body["apps"] = serde_json::json!({ "com.example.other": world.entry(APP, None, &key(1)).to_json(), "x": 1 });
    body["statement"] = serde_json::json!("junk");
    let seen = read(&body).unwrap();
    assert!(seen.apps.is_empty() && seen.statement.is_none());
    for (field, value) in [("version", serde_json::json!(2)), ("did", "did:web:a.test".into()), ("id", "x".into())] {
        let mut other = body.clone();
        other[field] = value;
        assert!(read(&other).is_err(), "{field}");
    }
}
