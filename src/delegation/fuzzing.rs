//! Bodies of the fuzz targets: no input may panic, and what parses must come out as it went in.

use serde_json::Value as Json;

use super::{
    Account, AppData, DelegationId, Evidence, Ground, Pin, Purpose, Source, Statement, VerifiedLog, WellKnown, assess,
    check_operation, check_statement, safety_number, web::WebDocument,
};
use crate::{clock::Timestamp, plc::Entry, syntax::Did};

/// A statement that parses is written back with the same meaning, signed bytes and CID.
///
/// # Panics
/// When that is not so.
pub fn statement(data: &[u8]) {
    let Some(statement) = parse(data).and_then(|json| Statement::from_json(&json).ok()) else { return };
    assert_eq!(Statement::from_json(&statement.to_json()).as_ref(), Ok(&statement), "JSON does not round-trip");
    assert_eq!(Statement::from_map(&statement.to_map()).as_ref(), Ok(&statement), "a map does not round-trip");
    assert_eq!(Statement::from_record(&statement.to_record()).as_ref(), Ok(&statement), "a record does not");
    assert!(statement.record_key().as_str().ends_with(&statement.cid().to_string()), "the record key is another's");
}

/// An entry of associated data that parses is written back with the same meaning.
///
/// # Panics
/// When that is not so.
pub fn app_data(data: &[u8]) {
    let Some(json) = parse(data) else { return };
    let did = json.get("did").and_then(Json::as_str).and_then(|did| did.parse::<Did>().ok());
    if let Some(did) = did {
        drop(WellKnown::from_json(&json, &did, &DelegationId::default()).map(|body| body.to_bytes()));
    }
    let Ok(entry) = AppData::from_json(&json) else { return };
    assert_eq!(AppData::from_json(&entry.to_json()).as_ref(), Ok(&entry), "JSON does not round-trip");
    assert_eq!(AppData::from_record(&entry.to_record()).as_ref(), Ok(&entry), "a record does not round-trip");
    drop(entry.record_key());
    if let Ok(key) = entry.key().supported() {
        drop(super::app_data::check_put(&[], &entry, (entry.did(), entry.id()), key, Timestamp::EPOCH));
        assert_eq!(safety_number::fingerprint(key).len(), 39, "a fingerprint has eight groups");
    }
}

/// Judging anything never panics: `{ did, id, log, statements, entries, pin, document, now }`, each part optional.
///
/// # Panics
/// When a verdict is not JSON.
pub fn verdict(data: &[u8]) {
    let Some(json) = parse(data) else { return };
    let list = |name: &str| json.get(name).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |name: &str| json.get(name).and_then(Json::as_str);
    let log: Vec<Entry> = list("log").iter().filter_map(|entry| serde_json::from_value(entry.clone()).ok()).collect();
    let statements: Vec<Statement> = list("statements").iter().filter_map(|s| Statement::from_json(s).ok()).collect();
    let entries: Vec<AppData> = list("entries").iter().filter_map(|entry| AppData::from_json(entry).ok()).collect();
    let pin: Option<Pin> = json.get("pin").and_then(|pin| serde_json::from_value(pin.clone()).ok());
    let Some(did) = text("did").and_then(|did| did.parse::<Did>().ok()) else { return };
    let id = text("id").and_then(|id| id.parse().ok()).unwrap_or_default();
    let server_keys: Vec<String> = list("serverKeys").iter().filter_map(Json::as_str).map(str::to_owned).collect();
    let document = WebDocument { key: text("document"), server_keys: &server_keys };
    let now = Timestamp::from_micros(json.get("now").and_then(Json::as_i64).unwrap_or(0));
    for source in [Source::Plc(&log), Source::Web(document), Source::Unavailable] {
        let evidence = Evidence {
            did: &did,
            id: &id,
            source,
            statements: Some(&statements),
            entries: &entries,
            pin: pin.as_ref(),
            declaration: None,
            now,
        };
        let assessment = assess(&evidence);
        assert!(serde_json::to_value(&assessment.verdict).is_ok_and(|json| json.is_object()), "a verdict is no JSON");
        if let Some(pin) = assessment.to_pin(&did, &id) {
            let again = serde_json::to_value(&pin).ok().and_then(|json| serde_json::from_value(json).ok());
            assert_eq!(again.as_ref(), Some(&pin), "a pin does not round-trip");
        }
    }
    let verified = VerifiedLog::new(&did, &log).ok();
    let plc = verified.as_ref().map(Ground::Plc);
    for ground in plc.into_iter().chain([Ground::Web(document, &statements)]) {
        let account = Account { did: &did, ground, delegations: &[], server_keys: &server_keys, now };
        for statement in &statements {
            for purpose in [Purpose::Create, Purpose::Update, Purpose::Delete] {
                drop(check_statement(statement, purpose, &account));
            }
        }
    }
    if let Some(verified) = &verified {
        for entry in &log {
            drop(check_operation(&entry.operation, verified, &id, None));
        }
    }
}

fn parse(data: &[u8]) -> Option<Json> {
    serde_json::from_slice(data).ok()
}
